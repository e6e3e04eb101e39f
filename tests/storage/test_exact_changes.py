"""Classes change while values of them are in journals and recordings, which are read without being told a type."""

from __future__ import annotations

import copy
import dataclasses
import enum
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeVar

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects import migration, versioned
from lambdacat_effects.storage.codec import decode, encode
from lambdacat_effects.storage.exact.changed import stored
from lambdacat_effects.storage.exact.reading import read
from lambdacat_effects.storage.exact.writing import exactly
from lambdacat_effects.storage.leaves import Misfit

T = TypeVar("T")


@versioned(3, was=("Person", "User"))
@attrs.frozen
class Customer(Generic[T]):
    name: str
    visits: int
    tags: frozenset[str] = frozenset()
    extra: T | None = None
    since: timedelta = timedelta()
    length: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "length", len(self.name))


@migration(Customer, 1)
def count_visits(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "visits": len(old.pop("visited"))}


@migration(Customer, 2)
def split_label(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "tags": old.pop("label").split()}


@dataclasses.dataclass(frozen=True)
@versioned(2)
class Point:
    x: float
    y: float


@migration(Point, 1)
def from_polar(old: dict[str, Any]) -> Mapping[str, Any]:
    return {"x": old["length"], "y": 0.0}


@attrs.frozen
class Shop:
    customers: Any
    at: Any


class Size(enum.Enum):
    SMALL = "s"


class Shape(enum.Enum):
    ROUND = (1, 2)


class Pair(NamedTuple):
    left: Any
    right: int = 2


def _alone(text: str) -> tuple[str, ...]:
    return (text,)


def _more_than_first(value: int, grown: Any) -> int:
    return value + int(grown.first)


_and_first: Any = attrs.Converter(_more_than_first, takes_self=True)


@attrs.frozen
class Grown:
    first: int
    second: Any = attrs.field(default="a", converter=_alone)
    third: list[int] = attrs.field(factory=list[int])
    fourth: int = attrs.field(
        default=attrs.Factory(lambda grown: _more_than_first(1, grown), takes_self=True)
    )
    fifth: int = attrs.field(default=1, converter=_and_first)  # type: ignore[misc]


@dataclasses.dataclass
class Slotted:
    first: int
    second: list[int] = dataclasses.field(default_factory=list[int])
    third: int = 3


def tuple_of(items: list[Any]) -> dict[str, Any]:
    return {"$type": "tuple", "$items": items}


def customer(drawn: Any) -> dict[str, Any]:
    """A customer as each version of the class was written."""
    version, name, visits, tags, called, extra = drawn
    written: dict[str, Any] = {
        "$type": f"{__name__}:{called}",
        "name": name,
        "length": len(name),
        "extra": exactly().write(extra),
        "since": exactly().write(timedelta(days=visits)),
    }
    if version == 1:
        return {**written, "visited": tuple_of(["day"] * visits), "label": " ".join(tags)}
    if version == 2:
        return {**written, "$version": 2, "visits": visits, "label": " ".join(tags)}
    return {**written, "$version": 3, "visits": visits, "tags": exactly().write(frozenset(tags))}


def expected(drawn: Any) -> Customer[Any]:
    _, name, visits, tags, _, extra = drawn
    return Customer(name, visits, frozenset(tags), extra, timedelta(days=visits))


names = st.text("abc", min_size=1, max_size=3)
extras = st.sampled_from([None, 1, 1.0, True, (1, (2,)), Decimal("1.50"), {3: Size.SMALL}, {"a"}])
drawn = st.tuples(
    st.sampled_from([1, 2, 3]),
    names,
    st.integers(0, 3),
    st.lists(names, max_size=3),
    st.sampled_from(["Customer", "Person", "User"]),
    extras,
)


def test_the_version_is_written_beside_the_class() -> None:
    written = exactly().write(Point(1.0, 2.0))
    assert {"$type": f"{__name__}:Point", "$version": 2, "x": 1.0, "y": 2.0} == written
    assert "$version" not in exactly().write(Shop(1, 2))


@settings(deadline=None)
@given(drawn, st.lists(drawn, max_size=3))
def test_records_of_every_version_and_name_read_alike_wherever_they_are(one: Any, more: list[Any]) -> None:
    """Wherever they are; what their migrations leave as it was is of the same classes."""
    found = read(customer(one))
    assert expected(one) == found
    assert repr(expected(one).extra) == repr(found.extra)
    point = {"$type": f"{__name__}:Point", "length": 2.0}
    shop = {
        "$type": f"{__name__}:Shop",
        "customers": [customer(d) for d in more],
        "at": {"a": tuple_of([point])},
    }
    assert Shop([expected(d) for d in more], {"a": (Point(2.0, 0.0),)}) == read(shop)


@settings(deadline=None)
@given(drawn)
def test_what_was_migrated_is_written_as_of_today(one: Any) -> None:
    """And reading changes nothing of what is read."""
    record = customer(one)
    before = copy.deepcopy(record)
    value = read(record)
    assert before == record
    assert exactly().write(value)["$version"] == 3
    assert value == read(exactly().write(value))


STORED: list[Any] = [
    Point(1.0, 2.0),
    [Point(1.0, 2.0), (1, "a"), {"b": b"x"}],
    {"at": datetime(2024, 5, 1, tzinfo=UTC), "of": Decimal("1.5")},
    {3: "a", "b": 1},
    {"z": 1, "a": 2},
    OrderedDict(z=1, a=2),
    frozenset({"a", "b"}),
    {"it's", "a"},
    [Size.SMALL, Shape.ROUND],
    [Pair("a", 3), Pair(Point(1.0, 2.0))],
    10**2000,
    float("inf"),
]


@pytest.mark.parametrize("value", STORED, ids=lambda value: type(value).__name__)
def test_migrations_are_given_what_a_memory_would_give_them(value: Any) -> None:
    assert encode(value) == encode(stored(exactly().write(value)))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ({"$type": f"{__name__}:Grown", "first": 4}, Grown(4)),
        ({"$type": f"{__name__}:Grown", "first": 4, "third": [1]}, Grown(4, third=[1])),
        ({"$type": f"{__name__}:Slotted", "first": 4}, Slotted(4)),
        ({"$type": f"{__name__}:Pair", "left": 4}, Pair(4)),
    ],
)
def test_new_fields_have_their_defaults(written: dict[str, Any], value: Any) -> None:
    """As the class makes them: by a factory, and converted."""
    found = read(written)
    assert (type(value), value) == (type(found), found)
    assert value == read(exactly().write(found))


def test_defaults_are_not_shared() -> None:
    """Of two values that are read."""
    one, other = (read({"$type": f"{__name__}:Slotted", "first": 4}) for _ in range(2))
    one.second.append(1)
    assert other.second == []


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            {"$type": "Grown", "second": 1},
            "is of the class .*:Grown, whose fields have changed since: .*first",
        ),
        (
            {"$type": "Grown", "first": 1, "sixth": 1},
            r"sixth, third\. Give a new field a default; .*@migration",
        ),
        ({"$type": "Grown", "$version": 2, "first": 1}, "it was stored by a later program"),
        ({"$type": "Point", "$version": 3, "x": 1.0, "y": 1.0}, "it was stored by a later program"),
        ({"$type": "Point", "$version": "2", "x": 1.0, "y": 1.0}, "a whole number from 1 on, found '2'"),
        ({"$type": "Point", "width": 1.0}, r"the migration of .*Point from version 1 to 2 failed \(KeyError"),
        ({"$type": "Point", "length": "long"}, "expected float, found text"),
        ({"$type": "Someone", "name": "a"}, "Someone, which cannot be imported"),
    ],
)
def test_what_does_not_read_says_what_mends_it(written: dict[str, Any], told: str) -> None:
    with pytest.raises(Misfit, match=told):
        read({**written, "$type": f"{__name__}:{written['$type']}"})


def test_a_memory_and_a_journal_agree_on_a_point() -> None:
    old = {"$type": f"{__name__}:Point", "length": 2.0}
    assert decode(b'{"$type":"Point","length":2.0}', Point) == read(old)
