"""The laws of the algebra: each accepts what is lawful, and rejects, with its equation and a counter-example, what is
not. (That our own instances obey them, and that each law rejects a mutant of each, is in `tests/algebra`.)"""

import math
import operator
import re
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

from lambdacat_effects.algebra import (
    IDENTITY,
    LIST,
    NOTHING,
    OPTION,
    SET,
    STATE,
    SUM,
    Kleisli,
    Lens,
    Monad,
    Monoid,
    Some,
    State,
    key,
    lens,
    writer_monad,
)
from lambdacat_effects.errors import InvalidArgument, LawBroken
from lambdacat_effects.testing import laws
from lambdacat_effects.testing.laws import Law

integers = st.integers(-9, 9)


def drops_the_rest(s: Any, v: Any) -> Any:
    return {"a": v}


def put_in_place(s: Any, v: Any) -> Any:
    s["a"] = v
    return s


class ForgetfulModify(Lens[Any, Any]):
    def modify(self, source: Any, f: Any) -> Any:
        return source


def get_a(s: Any) -> Any:
    return s["a"]


read_a = lens(get_a, lambda s, v: {**s, "a": v}, name="a")
numbered = {"sources": st.builds(lambda a: {"a": a, "b": 0}, integers), "values": integers}
numbers = {"sources": [{"a": 1, "b": 2}, {"a": 0}], "values": [3, 4]}


def lens_of(set: Any) -> list[Law]:
    return laws.lens_laws(lens(get_a, set, name="wrong"), **numbered)


def extending(a: Any, b: Any) -> Any:
    a.extend(b)
    return a


def monoid(combine: Any, empty: Any = 0, values: Any = integers, **how: Any) -> list[Law]:
    return laws.monoid_laws(Monoid("wrong", empty, combine), values, **how)


class Concat(Monoid[Any]):
    """Addition, with a `concat` of its own."""

    def concat(self, values: Any) -> Any:
        return {0: 1, 1: 7, 3: 9}[len(list(values))]


def concat() -> list[Law]:
    return laws.monoid_laws(Concat("wrong", 0, operator.add), integers)


def functor(map: Any) -> list[Law]:
    functions = st.builds(lambda d: lambda n: n + d, integers)
    return laws.functor_laws(map, st.lists(integers), functions)


def bind_twice(m: Any, f: Any) -> Any:
    return [c for a in m for b in f(a) for c in f(b)]


def bind(m: Any, f: Any) -> Any:
    return [b for a in m for b in f(a)]


def monad(pure: Any, bind: Any, map: Any = None) -> list[Law]:
    arrows = st.builds(lambda d: lambda n: [n, n + d], integers)
    functions = None if map is None else [abs, lambda n: n + 1]
    wrong = Monad("wrong", pure, bind)
    return laws.monad_laws(
        wrong, integers, st.lists(integers, max_size=3), arrows, map=map, functions=functions
    )


def kleisli(**wrong: Any) -> list[Law]:
    arrows = [Kleisli(OPTION, lambda n: Some(n + 1)), Kleisli(OPTION, lambda n: Some(n * 3))]
    return laws.kleisli_laws(OPTION, arrows, integers, **wrong)


plus_one = Kleisli.lift(OPTION, lambda n: n + 1)

# For each law: laws of a mutant, and what the message has to say.
MUTANTS: dict[str, tuple[list[Law], str, list[str]]] = {
    "a lens that drops the rest": (
        lens_of(drops_the_rest),
        "get-set",
        [
            "for wrong: set(s, get(s)) == s",
            "s = {'a': 0, 'b': 0}\n  left side:  {'a': 0}\n  right side: {'a': 0, 'b': 0}",
        ],
    ),
    "a lens that drops what is set": (
        lens_of(lambda s, v: s),
        "set-get",
        ["get(set(s, v)) == v", "s = {'a': 0, 'b': 0}\n    v = 1\n  left side:  0\n  right side: 1"],
    ),
    "a lens that counts its writes": (
        lens_of(lambda s, v: {"a": v, "b": s["b"] + 1}),
        "set-set",
        [
            "set(set(s, v), w) == set(s, w)",
            "    v = 0\n    w = 0\n  left side:  {'a': 0, 'b': 2}\n  right side: {'a': 0, 'b': 1}",
        ],
    ),
    "a lens that writes in place": (
        lens_of(put_in_place),
        "source kept",
        [
            "(get(s), repr(s)) is the same after set(s, v)",
            "s = {'a': 0, 'b': 0}\n    v = 1\n  left side:  (1, \"{'a': 1, 'b': 0}\")",
        ],
    ),
    "a lens that modifies nothing": (
        laws.lens_laws(ForgetfulModify(read_a._steps), **numbered),
        "modify",
        ["modify(s, f) == set(s, f(get(s))), where f(get(s)) is v", "v = 1\n  left side:  {'a': 0, 'b': 0}"],
    ),
    "a monoid that keeps the first": (
        monoid(lambda a, b: a),
        "left identity",
        ["combine(empty, a) == a", "a = 1\n  left side:  0\n  right side: 1"],
    ),
    "a maximum of natural numbers for all": (
        monoid(max),
        "right identity",
        ["combine(a, empty) == a", "a = -1\n  left side:  0\n  right side: -1"],
    ),
    "a monoid that subtracts": (
        monoid(operator.sub),
        "associativity",
        [
            "combine(combine(a, b), c) == combine(a, combine(b, c))",
            "a = 0\n    b = 0\n    c = 1\n  left side:  -1\n  right side: 1",
        ],
    ),
    "a concat of none that is something": (
        concat(),
        "concat of none",
        ["for wrong: concat([]) == empty\n  left side:  1\n  right side: 0"],
    ),
    "a concat of one that is another": (
        concat(),
        "concat of one",
        ["concat([a]) == a", "a = 0\n  left side:  7"],
    ),
    "a concat that loses a part": (
        concat(),
        "concat in parts",
        ["concat([a, b, c]) == combine(concat([a]), concat([b, c]))", "a = 0\n    b = 0\n    c = 0\n"],
    ),
    "a list that is extended in place": (
        monoid(extending, [], st.lists(integers)),
        "arguments kept",
        ["repr((a, b)) is the same after combine(a, b)", "    a = []\n    b = [0]\n"],
    ),
    "a monoid that minds the order": (
        monoid(operator.add, "", st.text("xy"), commutative=True),
        "commutativity",
        ["combine(a, b) == combine(b, a)", "  left side:  '", "  right side: '"],
    ),
    "a monoid that counts repetition": (
        monoid(operator.add, idempotent=True),
        "idempotence",
        ["combine(a, a) == a", "a = 1\n  left side:  2\n  right side: 1"],
    ),
    "a functor that doubles": (
        functor(lambda m, f: [f(n) for n in m] * 2),
        "identity",
        ["map(m, lambda x: x) == m", "m = [0]\n  left side:  [0, 0]\n  right side: [0]"],
    ),
    "a functor that applies twice": (
        functor(lambda m, f: [f(n) * 2 for n in m]),
        "composition",
        [
            "map(map(m, f), g) == map(m, lambda x: g(f(x)))",
            "    g = <lambda> (test_laws_algebra.py:",
            "where g(",
        ],
    ),
    "a pure that does something": (
        monad(lambda a: [a, a], bind),
        "left identity",
        [
            "bind(pure(a), f) == f(a)",
            "    a = 0\n    f = <lambda> (test_laws_algebra.py:",
            "where f(0) = [0, 0]\n",
        ],
    ),
    "a pure that keeps nothing": (
        monad(lambda a: [], bind),
        "right identity",
        ["bind(m, pure) == m", "m = [0]\n  left side:  []\n  right side: [0]"],
    ),
    "a bind that runs twice": (
        monad(lambda a: [a], bind_twice),
        "left identity",
        ["bind(pure(a), f) == f(a)", "where f(0) = [0, 0]\n  left side:  [0, 0, 0, 0]\n  right side: [0, 0]"],
    ),
    "a log that is no monoid": (
        laws.monad_laws(
            writer_monad(Monoid("minus", 0, operator.sub)),
            integers,
            integers.map(lambda n: writer_monad(SUM).pure(n)).map(
                lambda m: attrs.evolve(m, log=1, monoid=Monoid("minus", 0, operator.sub))
            ),
            [lambda n: attrs.evolve(writer_monad(Monoid("minus", 0, operator.sub)).pure(n), log=1)],
        ),
        "associativity",
        [
            "bind(bind(m, f), g) == bind(m, lambda x: bind(f(x), g))",
            "m = Writer(value=0, log=1",
            "where g(0) = ",
        ],
    ),
    "a map that does nothing": (
        monad(lambda a: [a], bind, map=lambda m, f: m),
        "map is bind",
        ["map(m, p) == bind(m, lambda x: pure(p(x)))", "where p(", "  left side:  ["],
    ),
    "an identity arrow that adds, on the left": (
        kleisli(identity=plus_one),
        "left identity",
        ["(identity >> f)(a) == f(a)", "f = Kleisli(OPTION, <lambda> (test_laws_algebra.py:", "    a = 0\n"],
    ),
    "an identity arrow that adds, on the right": (
        kleisli(identity=plus_one),
        "right identity",
        ["(f >> identity)(a) == f(a)", "  left side:  Some(value=2)\n  right side: Some(value=1)"],
    ),
    "a composition that depends on its grouping": (
        kleisli(compose=lambda f, g: Kleisli(OPTION, lambda a: Some(f.run(a).value - g.run(a).value))),
        "associativity",
        [
            "((f >> g) >> h)(a) == (f >> (g >> h))(a)",
            "    f = Kleisli(",
            "    g = Kleisli(",
            "    h = Kleisli(",
        ],
    ),
    "a composition that goes backwards": (
        kleisli(compose=lambda f, g: g >> f),
        "composition is bind",
        ["(f >> g)(a) == bind(f(a), g)", "  left side:  Some(value=", "  right side: Some(value="],
    ),
}


@pytest.mark.parametrize(("made", "name", "told"), MUTANTS.values(), ids=MUTANTS)
def test_every_law_rejects_its_mutant(made: list[Law], name: str, told: list[str]) -> None:
    """And says which equation, for which inputs, and what both sides were."""
    (law,) = [law for law in made if law.name == name]
    with pytest.raises(LawBroken) as caught:
        law.check()
    assert str(caught.value).startswith(f'the law "{name}" does not hold')
    for part in told:
        assert part in str(caught.value)


LAWFUL: dict[str, list[Law]] = {
    "a lens": laws.lens_laws(read_a, **numbered),
    "a lens, by examples": laws.lens_laws(read_a, **numbers),
    "anything with get and set": laws.lens_laws(SimpleNamespace(get=read_a.get, set=read_a.set), **numbers),
    "a lens onto floats": laws.lens_laws(
        lens(lambda s: s[0] / 3, lambda s, v: (v * 3,), name="thirds"),
        [(0.1,), (7.0,)],
        [0.2, 1e-9],
        observe=lambda part: part[0] if isinstance(part, tuple) else part,
        equal=math.isclose,
    ),
    "sums": laws.monoid_laws(SUM, integers, commutative=True),
    "sums of floats": laws.monoid_laws(SUM, [0.1, 0.2, 0.3], equal=math.isclose),
    "sets": laws.monoid_laws(SET, st.frozensets(integers), commutative=True, idempotent=True),
    "lists, by examples": laws.monoid_laws(LIST, [[], [1], [2, 3]]),
    "mapping of lists": functor(lambda m, f: [f(n) for n in m]),
    "lists": monad(lambda a: [a], bind, map=lambda m, f: [f(n) for n in m]),
    "states": laws.monad_laws(
        STATE,
        integers,
        st.builds(lambda d: State(lambda s: (s + d, s * 2)), integers),
        st.builds(lambda d: lambda n: State(lambda s: (n + s, s + d)), integers),
        map=lambda m, f: m.map(f),
        functions=[abs],
        observe=laws.at(-1, 0, 5),
    ),
    "arrows": kleisli(),
    "functions as arrows": laws.kleisli_laws(OPTION, [Some, lambda n: NOTHING], [1, 2]),
    "functions of bare values as arrows": laws.kleisli_laws(IDENTITY, [abs, lambda n: n + 1], integers),
    "arrows of states": laws.kleisli_laws(
        STATE, [State.put, lambda n: State(lambda s: (s, n))], integers, observe=laws.at(1, 2)
    ),
}


@pytest.mark.parametrize("made", LAWFUL.values(), ids=LAWFUL)
def test_what_is_lawful_passes(made: list[Law]) -> None:
    """Drawn or by examples, by `==` or by an equality of its own."""
    for law in made:
        law.check()


def test_laws_are_told_apart_by_their_names() -> None:
    """The names of one list are different, so that `ids=str` is."""
    for made in LAWFUL.values():
        assert len(made) == len({str(law) for law in made})
    assert ["get-set", "set-get", "set-set", "source kept", "modify"] == [*map(str, LAWFUL["a lens"])]
    assert ["get-set", "set-get", "set-set", "source kept"] == [
        *map(str, LAWFUL["anything with get and set"])
    ]
    assert ["commutativity", "idempotence"] == [*map(str, LAWFUL["sets"])][-2:]


def test_a_source_that_a_lens_does_not_fit_is_named() -> None:
    """The lens's own error is shown, and is the cause."""
    with pytest.raises(LawBroken, match=r"s = \{'b': 1\}\n  raised LensMismatch\(") as caught:
        laws.lens_laws(key("a"), [{"b": 1}], [2])[0].check()
    assert "needs a mapping with the key 'a'" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: laws.lens_laws(3, [1], [2]),
            "as_lens() was given 3, which has no functions get(source) and",
        ),
        (lambda: laws.lens_laws(read_a, [], [2]), "sources has no examples"),
        (lambda: laws.lens_laws(read_a, {"a": 1}, [2]), "sources is one mapping, {'a': 1}. Give a list"),
        (
            lambda: laws.monoid_laws(sum, [1]),
            "monoid_laws() was given <built-in function sum>. Give a Monoid(",
        ),  # type: ignore[arg-type]
        (lambda: laws.monoid_laws(SUM, []), "values has no examples"),
        (lambda: laws.functor_laws(3, [1], [abs]), "functor_laws() was given 3 as its map(step, function)."),  # type: ignore[arg-type]
        (lambda: laws.functor_laws(map, [1], []), "functions has no examples"),
        (lambda: laws.monad_laws(Some, [1], [1], [Some]), "Give a Monad(name, pure, bind)."),  # type: ignore[arg-type]
        (lambda: laws.monad_laws(OPTION, [1], [Some(1)], []), "arrows has no examples"),
        (
            lambda: laws.monad_laws(OPTION, [1], [Some(1)], [Some], map=map),
            "monad_laws() was given one of map= and functions=. Give both, or neither.",
        ),
        (lambda: laws.monad_laws(OPTION, [1], [Some(1)], [Some], functions=[abs]), "Give both, or neither."),
        (lambda: laws.kleisli_laws(Some, [Some], [1]), "kleisli_laws() was given <class"),  # type: ignore[arg-type]
        (lambda: laws.kleisli_laws(OPTION, [Some], []), "values has no examples"),
    ],
)
def test_wrong_arguments_are_refused_at_once(make: Any, message: str) -> None:
    """When tests are collected, with what to give instead."""
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        make()
