"""Monoids: their laws for every instance, each law with mutants of every instance that it rejects."""

import math
import operator
import re
from fractions import Fraction
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects.algebra import (
    ALL_OF,
    ANY_OF,
    FIRST,
    LAST,
    LIST,
    MAX,
    MIN,
    NOTHING,
    PRODUCT,
    SET,
    STRING,
    SUM,
    TUPLE,
    Monoid,
    Some,
    dict_monoid,
    endo,
    tuple_monoid,
)
from lambdacat_effects.errors import InvalidArgument, LawBroken
from lambdacat_effects.testing.laws import monoid_laws

quick = settings(deadline=None, max_examples=30)


LAWS = [
    "left identity",
    "right identity",
    "associativity",
    "concat of none",
    "concat of one",
    "concat in parts",
]


def seen(value: Any) -> Any:
    """Of functions their values at a few points, since that is what equality of functions means."""
    return [value(n) for n in range(-2, 3)] if callable(value) else value


def check_law(name: str, monoid: Monoid[Any], values: Any) -> None:
    (law,) = [law for law in monoid_laws(monoid, values, observe=seen) if law.name == name]
    law.check()


integers = st.integers()
fractions = st.fractions(max_denominator=100)
numbers = integers | st.floats(allow_nan=False)
texts = st.text(max_size=3)
lists = st.lists(integers, max_size=3)
options = st.just(NOTHING) | st.builds(Some, integers)
functions = st.builds(lambda m, n: lambda x: m * x + n, integers, integers)

# For each instance: values to draw, and three with which its mutants are told apart.
INSTANCES: dict[str, tuple[Monoid[Any], Any, tuple[Any, Any, Any]]] = {
    "SUM of integers": (SUM, integers, (1, 2, 4)),
    "SUM of fractions": (SUM, fractions, (Fraction(1, 3), Fraction(1), Fraction(2))),
    "PRODUCT of integers": (PRODUCT, integers, (2, 3, 5)),
    "PRODUCT of fractions": (PRODUCT, fractions, (Fraction(1, 3), Fraction(2), Fraction(5))),
    "STRING": (STRING, texts, ("a", "b", "c")),
    "LIST": (LIST, lists, ([1], [2], [3])),
    "TUPLE": (TUPLE, lists.map(tuple), ((1,), (2,), (3,))),
    "SET": (SET, st.frozensets(integers), (frozenset({1}), frozenset({2}), frozenset({3}))),
    "MAX": (MAX, numbers, (1, 2, 3)),
    "MIN": (MIN, numbers, (3, 2, 1)),
    "ALL_OF": (ALL_OF, st.booleans(), (False, False, False)),
    "ANY_OF": (ANY_OF, st.booleans(), (True, True, True)),
    "FIRST": (FIRST, options, (Some(1), Some(2), Some(3))),
    "LAST": (LAST, options, (Some(1), Some(2), Some(3))),
    "endo()": (endo(), functions, (lambda n: n + 1, lambda n: n * 10, lambda n: n - 3)),
    "dict_monoid": (
        dict_monoid(STRING),
        st.dictionaries(st.sampled_from("abc"), texts),
        ({"a": "x"}, {"a": "y", "b": "y"}, {"b": "z"}),
    ),
    "dict_monoid of dict_monoid": (
        dict_monoid(dict_monoid(SUM)),
        st.dictionaries(st.sampled_from("ab"), st.dictionaries(st.sampled_from("ab"), integers)),
        ({"a": {"a": 1}}, {"a": {"b": 2}}, {"a": {"a": 3}}),
    ),
    "tuple_monoid": (
        tuple_monoid(SUM, STRING, LIST),
        st.tuples(integers, texts, lists),
        ((1, "a", [1]), (2, "b", [2]), (3, "c", [3])),
    ),
    "tuple_monoid of none": (tuple_monoid(), st.just(()), ((), (), ())),
}


@pytest.mark.parametrize(("monoid", "values", "_"), INSTANCES.values(), ids=INSTANCES)
def test_every_monoid_obeys_every_law(monoid: Any, values: Any, _: Any) -> None:
    """Every instance has a two-sided identity, combines associatively, concatenates accordingly, and leaves the
    arguments alone."""
    for law in monoid_laws(monoid, values, observe=seen, max_examples=30):
        law.check()


COMMUTATIVE = [name for name in INSTANCES if name.split()[0] in ("SUM", "PRODUCT", "SET", "MAX", "MIN")]
IDEMPOTENT = ["SET", "MAX", "MIN", "ALL_OF", "ANY_OF", "FIRST", "LAST"]


@pytest.mark.parametrize("name", [*COMMUTATIVE, "ALL_OF", "ANY_OF", "dict_monoid of dict_monoid"])
def test_what_combines_in_any_order_is_commutative(name: str) -> None:
    """So branches may end in any order."""
    monoid, values, _ = INSTANCES[name]
    monoid_laws(monoid, values, commutative=True, max_examples=30)[-1].check()


@pytest.mark.parametrize("name", IDEMPOTENT)
def test_what_may_be_combined_twice_is_idempotent(name: str) -> None:
    """So what comes twice counts once."""
    monoid, values, _ = INSTANCES[name]
    monoid_laws(monoid, values, idempotent=True, max_examples=30)[-1].check()


def mutant(name: str, real: Monoid[Any], a: Any, b: Any) -> Monoid[Any]:
    """The instance with the one flaw that the law is there to find."""
    combine, concat = real.combine, real.concat
    once = combine(a, b)
    match name:
        case "left identity":
            return attrs.evolve(real, combine=lambda x, y: x)
        case "right identity":
            return attrs.evolve(real, combine=lambda x, y: y)
        case "associativity":
            return attrs.evolve(real, combine=lambda x, y: real.empty if x == once else combine(x, y))
        case "concat of none":
            return with_concat(real, lambda values: concat([a, *values]))
        case "concat of one":
            return with_concat(real, lambda values: concat(values[1:]))
        case "concat in parts":
            return with_concat(real, lambda values: concat(values[:2]) if len(values) < 3 else real.empty)
    raise NotImplementedError(name)


def with_concat(real: Monoid[Any], concat: Any) -> Monoid[Any]:
    class Mutant(Monoid[Any]):
        def concat(self, values: Any) -> Any:
            return concat(list(values))

    return Mutant(real.name, real.empty, real.combine)


# Of the empty tuple there is one value only, so nothing can go wrong with it.
DISTINGUISHING = {name: case for name, case in INSTANCES.items() if name != "tuple_monoid of none"}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("real", "_", "example"), DISTINGUISHING.values(), ids=DISTINGUISHING)
def test_every_law_rejects_a_mutant_of_every_monoid(name: str, real: Any, _: Any, example: Any) -> None:
    """On the same examples each law accepts the instance and rejects it with the flaw it is there to find."""
    check_law(name, real, example)
    with pytest.raises(LawBroken):
        check_law(name, mutant(name, real, *example[:2]), example)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("left identity", Monoid("minus", 0, operator.sub)),
        ("associativity", Monoid("minus", 0, operator.sub)),
        ("right identity", Monoid("max of natural numbers, used for all", 5, max)),
        ("associativity", Monoid("mean", 0, lambda a, b: (a + b) / 2)),
    ],
)
def test_the_laws_reject_familiar_operations_that_are_no_monoids(name: str, wrong: Any) -> None:
    """Subtraction, a clamp at the wrong end and the mean are the usual mistakes; the laws find each."""
    with pytest.raises(LawBroken):
        check_law(name, wrong, [1, 2, 4])


@quick
@given(st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=3))
def test_sum_and_product_of_floats_associate_up_to_rounding(parts: list[float]) -> None:
    """Floats of moderate size regroup within the rounding that the docstring admits."""
    a, b, c = parts
    slack = 1e-15 * sum(map(abs, parts))
    assert abs(SUM.combine(SUM.combine(a, b), c) - SUM.combine(a, SUM.combine(b, c))) <= slack
    left = PRODUCT.combine(PRODUCT.combine(a, b), c)
    assert math.isclose(left, PRODUCT.combine(a, PRODUCT.combine(b, c)), rel_tol=1e-15, abs_tol=1e-300)


def test_the_sum_of_floats_is_not_exactly_associative() -> None:
    """The warning in the docstring is true."""
    with pytest.raises(LawBroken):
        check_law("associativity", SUM, [1e16, -1e16, 1.0])


@pytest.mark.parametrize(
    ("expected", "monoid", "values"),
    [
        (6, SUM, [1, 2, 3]),
        (24, PRODUCT, [2, 3, 4]),
        ("abc", STRING, "abc"),
        (3, MAX, [1, 3, 2]),
        (1, MIN, [3, 1, 2]),
        (-math.inf, MAX, []),
        (math.inf, MIN, []),
        (False, ALL_OF, [True, False]),
        (True, ANY_OF, [True, False]),
        (Some(1), FIRST, [NOTHING, Some(1), Some(2), NOTHING]),
        (Some(2), LAST, [NOTHING, Some(1), Some(2), NOTHING]),
        ({"a": 3, "b": 1}, dict_monoid(SUM), [{"a": 1}, {"b": 1}, {"a": 2}]),
        ({"a": "xy"}, dict_monoid(STRING), [{"a": "x"}, {"a": "y"}]),
        ((3, [1, 2]), tuple_monoid(SUM, LIST), [(1, [1]), (2, [2])]),
    ],
)
def test_concat_combines_as_the_name_says(expected: Any, monoid: Any, values: Any) -> None:
    """Each instance means what it is called."""
    assert expected == monoid.concat(values)


def test_endo_applies_the_first_function_first() -> None:
    """`combine(f, g)` reads as `f >> g`."""
    assert 30 == endo().combine(lambda n: n + 1, lambda n: n * 10)(2)


def test_endo_of_10_000_functions_does_not_recurse() -> None:
    """A long composition needs no deep stack, whichever way it is nested."""
    left = endo().concat([lambda n: n + 1] * 5_000)
    right: Any = endo().empty
    for _ in range(5_000):
        right = endo().combine(lambda n: n + 1, right)
    assert 10_000 == endo().combine(left, right)(0)


@pytest.mark.parametrize(
    ("monoid", "grow"), [(LIST, lambda e: e.append(1)), (dict_monoid(SUM), lambda e: e.update(a=1))]
)
def test_whoever_changes_an_empty_value_changes_only_theirs(monoid: Any, grow: Any) -> None:
    """`empty`, and the `concat` of nothing, are fresh each time."""
    grow(monoid.empty)
    grow(monoid.concat([]))
    assert 0 == len(monoid.empty)


def test_monoids_are_values() -> None:
    """Monoids built alike are equal and hash alike; others are not."""
    assert {dict_monoid(LIST)} == {dict_monoid(LIST), dict_monoid(LIST)}
    assert tuple_monoid(SUM, SUM) == tuple_monoid(SUM, SUM)
    assert endo() == endo()
    assert dict_monoid(SUM) != dict_monoid(PRODUCT)
    assert SUM != PRODUCT
    assert 3 == len({Monoid("m", 0, max), Monoid("m", 0, min), Monoid("m", 1, max)})


def test_a_monoid_prints_as_it_is_written() -> None:
    """The repr of a built monoid names its parts."""
    assert "tuple_monoid(SUM, dict_monoid(LIST))" == repr(tuple_monoid(SUM, dict_monoid(LIST)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Monoid("", 0, max), "Monoid() was given the name ''. Give a string that is not empty."),
        (lambda: Monoid(3, 0, max), "Monoid() was given the name 3."),
        (lambda: Monoid("m", 0, 1), "Monoid('m', ...) was given combine=1. Give a function of two values."),
        (
            lambda: dict_monoid(int),
            "dict_monoid() was given <class 'int'>. Give monoids, such as SUM or LIST.",
        ),
        (lambda: tuple_monoid(SUM, 3), "tuple_monoid() was given 3. Give monoids, such as SUM or LIST."),
        (
            lambda: tuple_monoid(SUM, SUM).combine((1, 2), (1, 2, 3)),
            "tuple_monoid(SUM, SUM) was given tuples of 2 and 3 items. Give each 2, one for each monoid.",
        ),
    ],
)
def test_wrong_arguments_are_refused(make: Any, message: str) -> None:
    """The message says what was given and what to give."""
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        make()
