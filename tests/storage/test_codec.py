"""Values come back as what they were, type and all, or there is an error that names the place."""

import collections
import dataclasses
import datetime as dt
import enum
import math
import socket
import uuid
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects.errors import NotSerialisable, StoredValueMismatch
from lambdacat_effects.storage.codec import decode, encode

T = TypeVar("T")


@attrs.frozen
class Hit:
    title: str
    score: float = 0.0


@attrs.frozen
class Ranked(Hit):
    rank: int = 1


@attrs.frozen
class Celsius:
    degrees: float


@attrs.frozen
class Fahrenheit:
    degrees: float


@attrs.define
class Box(Generic[T]):
    content: T
    _label: str = ""


H = TypeVar("H", bound=Hit)


@attrs.frozen
class Ranking(Generic[H]):
    first: H


@dataclasses.dataclass
class Tree:
    value: int
    below: list["Tree"] = dataclasses.field(default_factory=list)
    beside: "Tree | None" = None
    total: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        self.total = self.value + sum(tree.total for tree in self.below)


class Point(NamedTuple):
    x: int
    hit: Hit | None


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Place(enum.Enum):
    HERE = (0, 0)
    THERE = (1, 2)


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Options(TypedDict, total=False):
    limit: int
    hits: list[Hit]


UserId = NewType("UserId", int)


def same(a: Any, b: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (a != a and b != b) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple, deque)):
        return len(a) == len(b) and all(map(same, a, b))
    if attrs.has(type(a)):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in attrs.fields(type(a)))
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return bool(a == b)


any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=8)
numbers = st.floats(allow_nan=False)  # as a key or in a set, NaN is equal to nothing
zones = st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)).map(dt.timezone)
trees = st.recursive(
    st.builds(Tree, st.integers()),
    lambda trees: st.builds(Tree, st.integers(), st.lists(trees, max_size=2), st.none() | trees),
    max_leaves=4,
)
hashable: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, any_text),
    (int, st.integers()),
    (bool, st.booleans()),
    (bytes, st.binary(max_size=20)),
    (dt.datetime, st.datetimes(timezones=st.none() | zones)),
    (dt.date, st.dates()),
    (dt.time, st.times()),
    (uuid.UUID, st.uuids()),
    (Path, st.text("ab./ ", min_size=1).map(Path)),
    (Colour, st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (Place, st.sampled_from(Place)),
    (Rights, st.integers(0, 3).map(Rights)),
    (Hit, st.builds(Hit, any_text, numbers)),
    (Ranked, st.builds(Ranked, any_text, numbers, st.integers())),
    (Decimal, st.decimals(allow_nan=False)),
    (Point, st.builds(Point, st.integers(), st.none() | st.builds(Hit, any_text))),
    (tuple[int, str], st.tuples(st.integers(), any_text)),
    (dt.date | dt.datetime, st.dates() | st.datetimes()),
    (Celsius | Fahrenheit, st.builds(Celsius, numbers) | st.builds(Fahrenheit, numbers)),
    (int | str | None, st.integers() | any_text | st.none()),
]
leaves = [
    *hashable,
    (float, st.floats()),
    (int | float, st.integers() | st.floats()),
    (type(None), st.none()),
    (Tree, trees),
    (Hit, st.builds(Ranked, any_text)),
    (Options, st.fixed_dictionaries({}, optional={"limit": st.integers(), "hits": st.just([Hit("a")])})),
    (UserId, st.integers()),
    (Annotated[str, "a name"], any_text),
    (Literal["a", 1, Colour.RED], st.sampled_from(["a", 1, Colour.RED])),
]


def collections_of(inner: Any) -> Any:
    def of(drawn: tuple[Any, Any]) -> st.SearchStrategy[Any]:
        t, values = drawn
        few = st.lists(values, max_size=3)
        return st.sampled_from(
            [
                (list[t], few),
                (tuple[t, ...], few.map(tuple)),
                (tuple[t, int], st.tuples(values, st.integers())),
                (deque[t], few.map(deque)),
                (t | None, st.none() | values),
                (Box[t], st.builds(Box, values, any_text)),
                (dict[str, t], st.dictionaries(any_text, values, max_size=3)),
                (OrderedDict[str, t], st.dictionaries(any_text, values, max_size=3).map(OrderedDict)),
                *[(dict[k, t], st.dictionaries(keys, values, max_size=3)) for k, keys in hashable],
            ]
        )

    return inner.flatmap(of)


sets = [
    pair
    for t, values in hashable
    for pair in (
        (set[t], st.sets(values, max_size=3)),
        (frozenset[t], st.frozensets(values, max_size=3)),
    )
]
typed_values = st.recursive(st.sampled_from([*leaves, *sets]), collections_of, max_leaves=3).flatmap(
    lambda drawn: st.tuples(st.just(drawn[0]), drawn[1])
)


@settings(max_examples=300, deadline=None)
@given(typed_values)
def test_a_value_reads_back_as_it_was(drawn: tuple[Any, Any]) -> None:
    """For every supported type: equal, and of the same types all the way down."""
    as_type, value = drawn
    data = encode(value)
    assert same(decode(data, as_type), value)
    assert encode(decode(data, as_type)) == data


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(json_values)
def test_plain_values_need_no_type(value: Any) -> None:
    for as_type in (object, Any):
        assert same(decode(encode(value), as_type), value)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(any_text | st.integers(), st.integers()))
def test_equal_values_are_written_alike(value: dict[Any, int]) -> None:
    assert encode(value) == encode(dict(reversed(value.items())))


def test_the_format_is_compact_json_with_sorted_keys() -> None:
    assert encode({"b": (1, 2.5), "a": [None, True, "é"]}) == '{"a":[null,true,"é"],"b":[1,2.5]}'.encode()
    assert encode(Hit("a")) == b'{"$type":"Hit","score":0.0,"title":"a"}'
    assert encode({1: "a", "1": "b"}) == b'[["1","b"],[1,"a"]]'


def test_what_json_lacks_a_number_for_is_kept_all_the_same() -> None:
    assert decode(encode([math.inf, -math.inf]), list[float]) == [math.inf, -math.inf]
    assert math.isnan(decode(encode(math.nan), float))
    assert decode(encode(10**4000), int) == 10**4000


def test_abstract_types_read_as_what_they_allow() -> None:
    assert decode(b"[1]", Sequence[int]) == (1,)  # type: ignore[type-abstract]
    assert decode(b"[1]", Set[int]) == frozenset([1])  # type: ignore[type-abstract]
    assert decode(b'{"a":1}', Mapping[str, int]) == {"a": 1}  # type: ignore[type-abstract]
    assert decode(b'{"a":[1]}', dict) == {"a": [1]}
    assert decode(encode(Box(3)), Box) == Box(3)
    assert decode(encode(Ranking(Ranked("b", 1.0, 3))), Ranking) == Ranking(Ranked("b", 1.0, 3))
    assert decode(encode(collections.Counter("aab")), collections.Counter[str]) == {"a": 2, "b": 1}


def test_fields_that_were_not_stored_take_their_defaults() -> None:
    """A class may gain and lose fields between writing and reading."""
    assert decode(b'{"title":"a","gone":1}', Hit) == Hit("a", 0.0)


def test_subclasses_read_back_where_their_base_is_asked_for() -> None:
    assert decode(encode([Hit("a"), Ranked("b", 1.0, 3)]), list[Hit]) == [Hit("a"), Ranked("b", 1.0, 3)]


@attrs.define
class Holder:
    hits: list[Any]


class Odd:
    pass


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Holder([{}, {"callback": print}]), r"^value\.hits\[1\]\['callback'\] is of type builtin_function"),
        (Holder([Odd()]), r"^value\.hits\[0\] is of type .*test_codec\.Odd, which cannot be stored"),
        ((i for i in "abc"), r"^value is of type generator"),
        ([socket.socket], r"^value\[0\] is of type type"),
        ({"a": {1: {Odd}}}, r"^value\['a'\]\[1\]\[0\] is of type type"),
        ({Odd: 1}, r"^value \(the key <class .*Odd'>\) is of type type"),
        ([10**5000], r"^value\[0\] is an integer of more than 4300 digits: store it as bytes"),
    ],
)
def test_what_cannot_be_stored_is_named_by_place_and_type(value: Any, message: str) -> None:
    with pytest.raises(NotSerialisable, match=message):
        encode(value)


def test_a_value_within_itself_cannot_be_stored() -> None:
    holder = Holder([])
    holder.hits.append({"me": holder})
    with pytest.raises(NotSerialisable, match=r"^value\.hits\[0\]\['me'\] contains itself"):
        encode(holder)
    twice = [1]
    assert encode([twice, twice]) == b"[[1],[1]]"


def test_nesting_has_a_limit_and_says_so() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(NotSerialisable, match=r"nested too deeply"):
        encode(deep)
    with pytest.raises(StoredValueMismatch, match=r"nested too deeply to read as object"):
        decode(b"[" * 100_000 + b"]" * 100_000, object)


@pytest.mark.parametrize(
    ("data", "as_type", "message"),
    [
        (b'"12"', int, r"does not read as int: value: expected int, found text"),
        (b"12", str, r"expected str, found an integer"),
        (b"1.5", int, r"expected int, found a number"),
        (b"1", bool, r"expected bool, found an integer"),
        (b"true", int, r"expected int, found a boolean"),
        (b"null", int, r"expected int, found null"),
        (b"9007199254740993", float, r"expected float, found an integer"),
        (b'"ab"', list[str], r"does not read as list\[str\]: value: expected list\[str\], found text"),
        (b"[1,2]", dict[str, int], r"expected dict\[str, int\], found a list"),
        (b"[[1],[2]]", set, r"unhashable"),
        (b"[[[1],2]]", dict, r"value \(the key \[1\]\): .*unhashable"),
        (b"[1,2]", tuple[int], r"found a list of 2"),
        (b"[1]", tuple[()], r"found a list of 1"),
        (b"[1]", Point, r"found a list of 1"),
        (b'["a",null]', Point, r"value\[0\]: expected int, found text"),
        (
            b"{}",
            Hit,
            r"does not read as .*Hit: value\.title: is missing: if .*Hit has changed since, give the new field",
        ),
        (b'{"title":"a","score":"b"}', Hit, r"value\.score: expected float, found text"),
        (b"[]", Hit, r"expected .*Hit, found a list"),
        (encode(Celsius(1)), Fahrenheit, r"expected .*Fahrenheit, found a stored Celsius"),
        (encode(Hit("a")), Ranked, r"found a stored Hit"),
        (encode(Hit("a")), str, r"expected str, found a stored Hit"),
        (b'[{"title":"a"},{"title":1}]', list[Hit], r"value\[1\]\.title: expected str"),
        (
            b'{"value":1,"below":[{"value":2,"below":[{"value":"x"}]}]}',
            Tree,
            r"value\.below\[0\]\.below\[0\]\.value:",
        ),
        (b'{"limit":"x"}', Options, r"value\.limit: expected int"),
        (b'"x"', Options, r"expected .*Options, found text"),
        (
            b'{"degrees":1}',
            Celsius | Fahrenheit,
            r"reads as .*Celsius and as .*Fahrenheit, which JSON does not tell",
        ),
        (b'"2024-01-01"', str | dt.date, r"reads as str and as datetime\.date"),
        (b'"x"', int | list[int], r"expected int \| list\[int\], found text"),
        (b'["x"]', int | list[int], r"value\[0\]: expected int, found text"),
        (b'"green"', Colour, r"expected a member of .*Colour"),
        (b"true", Level, r"expected a member of .*Level"),
        (b'"c"', Literal["a", "b"], r"expected one of Literal"),
        (b'"2024-01-01"', dt.datetime, r"expected datetime\.datetime, found other text"),
        (b'"!"', bytes, r"expected bytes, found other text"),
        (b'{"a":"b"}', collections.Counter[str], r"value\['a'\]: expected int"),
        (b"1", socket.socket, r"does not read as socket\.socket: .*Unsupported type"),
        (b"nonsense", int, r"does not read as int: it is no JSON"),
        (b"\xff", str, r"it is no JSON"),
    ],
)
def test_a_mismatch_names_the_type_and_the_first_place(data: bytes, as_type: Any, message: str) -> None:
    with pytest.raises(StoredValueMismatch, match=message):
        decode(data, as_type)


@attrs.define
class Checked:
    value: int = attrs.field(validator=attrs.validators.gt(0))


def test_what_a_class_refuses_does_not_read_as_it() -> None:
    with pytest.raises(StoredValueMismatch, match=r"value\[0\]: ValueError: .*must be > 0"):
        decode(b'[{"value":0}]', list[Checked])
