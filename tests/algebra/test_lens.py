"""Lenses: their laws, each with a mutant that breaks it, and what they say when they do not fit."""

import dataclasses
import re
from collections import OrderedDict, defaultdict
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects.algebra import Lens, as_lens, attr, identity, index, key, lens
from lambdacat_effects.errors import InvalidArgument, LawBroken, LensMismatch
from lambdacat_effects.testing.laws import Law, lens_laws

quick = settings(deadline=None, max_examples=30)


@attrs.frozen
class Profile:
    name: Any
    _age: Any = 0
    seen: int = attrs.field(default=7, init=False)


@dataclasses.dataclass(frozen=True)
class Address:
    city: Any
    street: Any = "Main St"
    lines: int = dataclasses.field(default=2, init=False)


class Point(NamedTuple):
    x: Any
    y: Any


class Tagged(list[Any]):
    pass


# The laws.


def composition_is_associative(compose: Any, a: Any, b: Any, c: Any, s: Any, v: Any) -> None:
    left, right = compose(compose(a, b), c), compose(a, compose(b, c))
    assert left.get(s) == right.get(s)
    assert left.set(s, v) == right.set(s, v)


def identity_composes_to_the_same(identity: Lens[Any, Any], a: Lens[Any, Any], s: Any, v: Any) -> None:
    for same in (identity >> a, a >> identity):
        assert a.get(s) == same.get(s)
        assert a.set(s, v) == same.set(s, v)


# The lenses, each with sources that it fits.

values = st.integers() | st.text(max_size=3) | st.none()
dicts = st.dictionaries(st.text(max_size=2), values, max_size=3)
with_key = st.builds(lambda d, v: {**d, "a": v}, dicts, values)
pairs = st.tuples(values, values)
nested = st.builds(lambda v, p, q: {"a": [p, Profile(Point(v, q))]}, values, values, values)

LENSES = {
    "key of a dict": (key("a"), with_key),
    "key of a mapping proxy": (key("a"), with_key.map(MappingProxyType)),
    "key of an ordered dict": (key("a"), with_key.map(OrderedDict)),
    "key that is no string": (key((1, None)), values.map(lambda v: {(1, None): v, "a": 0})),
    "attr of an attrs class": (attr("name"), st.builds(Profile, values)),
    "attr with an alias": (attr("_age"), st.builds(Profile, values, values)),
    "attr of a dataclass": (attr("city"), st.builds(Address, values)),
    "attr of a namedtuple": (attr("y"), st.builds(Point, values, values)),
    "index of a tuple": (index(1), pairs),
    "index of a list": (index(0), pairs.map(list)),
    "index from the end": (index(-2), pairs),
    "index of a list subclass": (index(1), pairs.map(Tagged)),
    "index of a namedtuple": (index(1), st.builds(Point, values, values)),
    "lens of two functions": (lens(lambda s: s[0], lambda s, v: (v, s[1])), pairs),
    "as_lens": (as_lens(SimpleNamespace(get=lambda s: s["a"], set=lambda s, v: {**s, "a": v})), with_key),
    "identity": (identity, values),
    "composition": (key("a") >> index(1) >> attr("name") >> attr("x"), nested),
}


@pytest.mark.parametrize(("lens", "sources"), LENSES.values(), ids=LENSES)
def test_every_lens_obeys_every_law(lens: Any, sources: Any) -> None:
    """Every constructor, and a composition of all of them, is a lawful lens that leaves its source alone."""
    for law in lens_laws(lens, sources, values, max_examples=30):
        law.check()


def put_in_place(s: Any, v: Any) -> Any:
    s["a"] = v
    return s


class ForgetfulModify(Lens[Any, Any]):
    def modify(self, source: Any, f: Any) -> Any:
        return source


read_a = lens(lambda s: s["a"], lambda s, v: {**s, "a": v})
LENS_MUTANTS = {
    "get-set": lens(lambda s: s["a"], lambda s, v: {"a": v}),
    "set-get": lens(lambda s: s["a"], lambda s, v: {**s, "a": s["a"]}),
    "set-set": lens(lambda s: s["a"], lambda s, v: {"a": v, "writes": s.get("writes", 0) + 1}),
    "source kept": lens(lambda s: s["a"], put_in_place),
    "modify": ForgetfulModify(read_a._steps),
}


@pytest.mark.parametrize("name", LENS_MUTANTS)
def test_every_lens_law_rejects_its_mutant(name: str) -> None:
    """Each law accepts a lawful lens and rejects, on the same example, a lens that breaks it."""
    check_law(name, lens_laws(read_a, [{"a": 1, "b": 2}], [3, 4]))
    with pytest.raises(LawBroken):
        check_law(name, lens_laws(LENS_MUTANTS[name], [{"a": 1, "b": 2}], [3, 4]))


def check_law(name: str, laws: list[Law]) -> None:
    (law,) = [law for law in laws if law.name == name]
    law.check()


@quick
@given(v=values, w=values, rest=values)
def test_composition_is_associative(v: Any, w: Any, rest: Any) -> None:
    """`(a >> b) >> c` and `a >> (b >> c)` read and write alike, and are equal values."""
    a, b, c = key("a"), index(1), attr("x")
    composition_is_associative(Lens.compose, a, b, c, {"a": (rest, Point(v, rest))}, w)
    assert (a >> b) >> c == a >> (b >> c)


def test_associativity_rejects_a_composition_that_drops_a_step() -> None:
    """A composition that forgets what follows a composed lens is found out."""

    def drops(a: Lens[Any, Any], b: Lens[Any, Any]) -> Lens[Any, Any]:
        return a if len(a._steps) > 1 else a >> b

    example = (key("a"), index(1), attr("x"), {"a": (0, Point(1, 2))}, 3)
    composition_is_associative(Lens.compose, *example)
    with pytest.raises(AssertionError):
        composition_is_associative(drops, *example)


@pytest.mark.parametrize(("a", "sources"), LENSES.values(), ids=LENSES)
@quick
@given(data=st.data())
def test_identity_composes_to_the_same_lens(a: Any, sources: Any, data: Any) -> None:
    """`identity` changes nothing on either side of `>>`, also by equality."""
    identity_composes_to_the_same(identity, a, data.draw(sources), data.draw(values))
    assert a == identity >> a == a >> identity


def test_the_identity_law_rejects_a_lens_that_does_something() -> None:
    """A lens that counts its writes is no identity, although it reads the whole source."""
    example = (index(0), [1, 2], 3)
    counts = lens(lambda s: s, lambda s, v: [*v, "written"])
    identity_composes_to_the_same(identity, *example)
    with pytest.raises(AssertionError):
        identity_composes_to_the_same(counts, *example)


# What the constructors promise besides the laws.


@pytest.mark.parametrize(
    ("expected", "lens", "source"),
    [
        ({"a": 9, "b": 2}, key("a"), MappingProxyType({"a": 1, "b": 2})),
        ({"a": 9}, key("a"), OrderedDict(a=1)),
        ((9, 2), index(0), (1, 2)),
        ([9, 2], index(0), [1, 2]),
        (Tagged([9, 2]), index(0), Tagged([1, 2])),
        (Point(9, 2), index(0), Point(1, 2)),
        (Point(9, 2), attr("x"), Point(1, 2)),
        (Profile("Tom", 9), attr("_age"), Profile("Tom", 3)),
        (Address(9), attr("city"), Address(1)),
    ],
)
def test_set_answers_with_the_promised_type(expected: Any, lens: Any, source: Any) -> None:
    """A mapping becomes a dict; every other source keeps its type."""
    changed = lens.set(source, 9)
    assert expected == changed
    assert type(expected) is type(changed)


def test_set_keeps_the_order_of_keys() -> None:
    """The key that is set stays in its place."""
    assert ["a", "b", "c"] == list(key("b").set({"a": 1, "b": 2, "c": 3}, 9))


def test_reading_a_defaultdict_adds_no_key() -> None:
    """A lens never changes its source, even one that would make the missing value up."""
    source: defaultdict[str, int] = defaultdict(int)
    with pytest.raises(LensMismatch):
        key("a").get(source)
    assert {} == source


@pytest.mark.parametrize(
    ("expected", "lens"),
    [
        ("key('a') >> index(0)", key("a") >> index(0)),
        ("attr('x') >> index(-1)", attr("x").compose(index(-1))),
        ("identity", identity),
        ("celsius", lens(abs, max, name="celsius")),
        ("lens(abs, max)", lens(abs, max)),
        ("as_lens(SimpleNamespace)", as_lens(SimpleNamespace(get=abs, set=max))),
    ],
)
def test_a_lens_prints_as_it_is_written(expected: str, lens: Any) -> None:
    """The repr is the expression that makes the lens."""
    assert expected == repr(lens)


def test_lenses_are_values() -> None:
    """Lenses with equal steps are equal and hash alike; others are not."""
    assert {key("a") >> index(0)} == {key("a") >> index(0), key("a") >> index(0)}
    assert key("a") != key("b")


def test_a_composition_of_10_000_lenses_does_not_recurse() -> None:
    """Depth is limited by memory, not by the stack."""
    deep: Lens[Any, Any] = Lens(index(0)._steps * 10_000)
    source: Any = 1
    for _ in range(10_000):
        source = (source,)
    assert 2 == deep.get(deep.set(source, 2))


def test_as_lens_answers_with_a_lens_itself() -> None:
    """What is a `Lens` already is not wrapped again."""
    assert identity is as_lens(identity)


def test_as_lens_takes_the_old_dataclass() -> None:
    """LambdaCat's `Lens(get, set)`, a dataclass of two functions, works unchanged."""

    @dataclasses.dataclass(frozen=True)
    class OldLens:
        get: Any
        set: Any

    old = OldLens(lambda s: s["a"], lambda s, v: {**s, "a": v})
    assert {"a": [5, 2]} == (as_lens(old) >> index(0)).set({"a": [1, 2]}, 5)


# What they say.

KEYS = {f"k{n}": "secret" for n in range(20)}
MISFITS = {
    "a missing key": (
        key("a"),
        {"b": "secret"},
        "the lens key('a') does not fit: it needs a mapping with the key 'a', and was given dict with the keys "
        "'b'. Put the key there first, or correct the lens.",
    ),
    "no mapping": (key("a"), "secret", "was given str. Put the key there first"),
    "an empty dict": (key("a"), {}, "was given dict with no keys."),
    "many keys": (key("a"), KEYS, "the keys 'k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7', ...."),
    "a missing field": (
        attr("nme"),
        Profile("secret"),
        "the lens attr('nme') does not fit: it needs an attrs class, a dataclass or a namedtuple with the field "
        "'nme', and was given Profile with the fields 'name', '_age'. Correct the name, or write the access "
        "yourself with lens(get, set).",
    ),
    "an attrs field outside __init__": (attr("seen"), Profile("Tom"), "with the field 'seen', and was given"),
    "a dataclass field outside __init__": (
        attr("lines"),
        Address("x"),
        "given Address with the fields 'city',",
    ),
    "an attribute that is no field": (attr("real"), 3, "with the field 'real', and was given int."),
    "a method of a namedtuple": (attr("count"), Point(1, 2), "given Point with the fields 'x', 'y'."),
    "a field of a plain tuple": (attr("x"), (1, 2), "given tuple of length 2."),
    "a class, not an instance": (attr("name"), Profile, "was given type."),
    "an index past the end": (
        index(2),
        ["secret", 2],
        "the lens index(2) does not fit: it needs a tuple or list with an item 2, and was given list of length 2. "
        "Check the length first, or correct the index.",
    ),
    "an index before the start": (index(-3), (1, 2), "with an item -3, and was given tuple of length 2."),
    "a string": (index(0), "secret", "needs a tuple or list with an item 0, and was given str."),
    "the inner of a composition": (
        key("a") >> index(0),
        {"a": []},
        "the lens key('a') >> index(0) does not fit: index(0) needs a tuple or list with an item 0, and was given "
        "list of length 0.",
    ),
    "the outer of a composition": (
        key("a") >> index(0),
        {},
        "the lens key('a') >> index(0) does not fit: key('a') needs a mapping",
    ),
}


@pytest.mark.parametrize(("lens", "source", "message"), MISFITS.values(), ids=MISFITS)
def test_a_misfit_names_the_lens_and_what_it_was_given(lens: Any, source: Any, message: str) -> None:
    """`get`, `set` and `modify` alike say which lens, what it needs, what it got and what to do."""
    for use in (lens.get, lambda s: lens.set(s, 1), lambda s: lens.modify(s, str)):
        with pytest.raises(LensMismatch, match=re.escape(message)) as caught:
            use(source)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("error", [KeyError, AttributeError, IndexError, TypeError])
def test_a_lens_of_functions_reports_their_misfits(error: type[Exception]) -> None:
    """The four errors of a wrong source become `LensMismatch`, which keeps the first as its cause."""

    def fails(*_: object) -> Any:
        raise error("gone")

    broken = key("a") >> lens(fails, fails, name="broken")
    for role, use in (("get", broken.get), ("set", lambda s: broken.set(s, 1))):
        expected = re.escape(
            "the lens key('a') >> broken does not fit: broken was given list of length 1, and its "
            f"{role} raised {error('gone')!r}. Correct the lens, or give it a source that it fits."
        )
        with pytest.raises(LensMismatch, match=expected) as caught:
            use({"a": [1]})
        assert type(caught.value.__cause__) is error


def test_other_errors_of_a_lens_of_functions_pass() -> None:
    """An error that does not speak of the shape of the source is not renamed."""

    def fails(*_: object) -> Any:
        raise ZeroDivisionError("real bug")

    with pytest.raises(ZeroDivisionError, match="real bug"):
        lens(fails, fails).get(1)


def test_errors_of_the_function_given_to_modify_pass() -> None:
    """A `KeyError` of `f` is `f`'s own business, not a misfit of the lens."""

    def fails(_: object) -> Any:
        raise KeyError("f's own")

    with pytest.raises(KeyError, match="f's own"):
        read_a.modify({"a": 1}, fails)


def test_errors_of_a_validator_pass() -> None:
    """A class that refuses the new value speaks for itself, even with a `TypeError`."""

    @attrs.frozen
    class Strict:
        n: int = attrs.field(validator=attrs.validators.instance_of(int))

    with pytest.raises(TypeError, match="'n' must be"):
        attr("n").set(Strict(1), "one")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: key(["a"]), "key() was given ['a'], which is not hashable. Give a string."),
        (
            lambda: attr("a.b"),
            "given 'a.b', which is no identifier. Give the name of one field; for a path, write",
        ),
        (lambda: attr(3), "attr() was given 3, which is no identifier."),
        (lambda: index("a"), "index() was given 'a'. Give an int; for the key of a mapping, write key(...)."),
        (lambda: index(True), "index() was given True. Give an int"),
        (lambda: lens("a", max), "lens() was given 'a' as its get. Give a function."),
        (lambda: lens(abs, None), "lens() was given None as its set. Give a function."),
        (
            lambda: as_lens({"a": 1}),
            "as_lens() was given {'a': 1}, which has no functions get(source) and set(",
        ),
        (lambda: as_lens(SimpleNamespace(get=1, set=2)), "Give a lens, or make one with lens(get, set)."),
        (
            lambda: key("a") >> 3,
            "the lens key('a') was composed with 3. Give a Lens: lens(get, set) or as_lens(",
        ),
        (lambda: key("a").compose("b"), "the lens key('a') was composed with 'b'."),
    ],
)
def test_wrong_arguments_are_refused_at_once(make: Any, message: str) -> None:
    """A constructor says what it was given and what to give, before any source is there."""
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        make()
