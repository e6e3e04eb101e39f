"""Recorded values: they come back equal and of the same classes, or are refused before anything is written."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects import MISSING, Effect, Ok, PlanTimeout, effect, tool
from lambdacat_effects.errors import MergeConflict, NoneSucceeded
from lambdacat_effects.journal.asked import Asked, describe, differences
from lambdacat_effects.storage.exact.reading import read, read_error
from lambdacat_effects.storage.exact.redaction import Redaction, Redactor
from lambdacat_effects.storage.exact.writing import Writer, exactly
from lambdacat_effects.storage.leaves import Misfit
from lambdacat_effects.testing.recording import (
    RecordedError,
    RecordingUnreadable,
    Unrecordable,
    record,
    replay,
)


@effect
class Ask(Effect[Any]):
    key: Any


class Colour(enum.Enum):
    RED = ("r", 1)
    CRIMSON = RED
    BLUE = ("b", 2)


class Size(enum.IntEnum):
    SMALL = 1


class Name(enum.StrEnum):
    ADA = "ada"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@attrs.frozen
class Hit:
    title: str
    score: float = 0.0
    _hidden: int = 7
    length: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "length", len(self.title))


@attrs.define
class Upper:
    text: str = attrs.field(converter=lambda text: text + "!")


@attrs.frozen(cache_hash=True)
class Hashed:
    name: str


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: Any = None
    norm: int = dataclasses.field(init=False, default=3)


@dataclasses.dataclass(slots=True)
class Slotted:
    items: list[Any]


class Pair(NamedTuple):
    left: Any
    right: Any


Old = namedtuple("Old", "a b")


class Outer:
    @attrs.define
    class Inner:
        n: int


class Text(str):
    pass


class Shop(Exception):
    """With an `__init__` of its own that takes other arguments."""

    def __init__(self, item: str, *, code: int) -> None:
        super().__init__(f"no {item}")
        self.item = item
        self.code = code


class HttpDown(OSError):
    def __init__(self, url: str) -> None:
        super().__init__(5, "down")
        self.url = url


@attrs.define(eq=False)
class Attrsy(Exception):
    reason: str
    code: int = 3


class Both(KeyError, AttributeError):
    pass


class Disk(KeyError, OSError):
    pass


def write(value: Any) -> Any:
    return Writer(Redactor(Redaction()), exactly=True).write(value)


def round_trip(value: Any) -> Any:
    text = json.dumps(write(value), sort_keys=True, allow_nan=False, ensure_ascii=False)
    return read(json.loads(text.encode()))


def alike(one: Any, other: Any) -> bool:
    """Equal, and of the same classes all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.isnan(one) == math.isnan(other) and repr(one) == repr(other)
    if isinstance(one, (dict, MappingProxyType)):
        return len(one) == len(other) and all(
            alike(k, j) and alike(one[k], other[j]) for k, j in zip(one, other, strict=True)
        )
    if isinstance(one, (list, tuple, deque)):
        return len(one) == len(other) and all(alike(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, (set, frozenset)):
        return one == other and {type(a) for a in one} == {type(a) for a in other}
    if attrs.has(type(one)):
        return all(alike(getattr(one, f.name), getattr(other, f.name)) for f in attrs.fields(type(one)))
    if dataclasses.is_dataclass(one):  # whose == tells a NaN from another
        return all(alike(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    return bool(one == other)


VALUES = [
    None,
    True,
    0,
    -(2**5000),
    1.5,
    -0.0,
    math.nan,
    math.inf,
    "",
    "Grüße 🐈",
    "\udc80",
    "\ud83d\ude00",
    "$type",
    b"",
    b"\x00\xff",
    bytearray(b"x"),
    1 + 2j,
    datetime(2024, 1, 2, 3, 4, 5, 6),
    datetime(2024, 1, 2, tzinfo=UTC),
    datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=-5, minutes=30))),
    datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    date(2024, 1, 2),
    time(1, 2, 3),
    timedelta(days=-1, microseconds=3),
    UUID(int=5),
    Decimal("1.10"),
    Fraction(1, 3),
    Path("/a/b"),
    PurePosixPath("a"),
    PureWindowsPath("c:\\a"),
    [1, [2]],
    (1, (2,), []),
    {1, 2},
    frozenset([(1, "a"), (2, "b")]),
    deque([1, 2], maxlen=3),
    {},
    {"b": 1, "a": 2},
    {"$type": "int", "$text": "1"},
    {1: "a", "1": "b", (1, 2): "c", None: 0},
    OrderedDict(b=1, a=2),
    Counter("hello"),
    MappingProxyType({"b": 1, "a": [2]}),
    Colour.RED,
    Colour.CRIMSON,
    Size.SMALL,
    Name.ADA,
    Rights.READ,
    Rights.READ | Rights.WRITE,
    Rights(0),
    MISSING,
    Hit("cats", 1.0),
    Upper("a"),
    Hashed("a"),
    Point(1, Point(2)),
    Slotted([1]),
    Pair(1, (2,)),
    Old(1, b"2"),
    Outer.Inner(3),
    Ok({"a": Ok(Hit("x"))}),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    """Equal and of the same class."""
    assert alike(value, round_trip(value))


def test_what_was_made_is_a_value_of_its_own() -> None:
    """And works as the original does."""
    hit = round_trip(Hit("cats"))
    assert (4, 7) == (hit.length, hit._hidden)
    assert hash(Hashed("a")) == hash(round_trip(Hashed("a")))
    made = round_trip(Slotted([1]))
    made.items.append(2)
    assert Slotted([1, 2]) == made


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.sampled_from([*Colour, *Size, Rights.READ | Rights.WRITE])
)
keys = st.text() | st.integers() | st.binary() | st.tuples(st.integers(), st.text())
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
        | st.frozensets(keys, max_size=4)
        | st.builds(Point, st.integers(), inner)
        | st.builds(Pair, inner, inner)
        | inner.map(Ok)
    ),
    max_leaves=12,
)


@given(values)
@settings(deadline=None, max_examples=300)
def test_any_value_comes_back_as_it_was(value: Any) -> None:
    """However it is nested. (Nothing is redacted here: Hypothesis finds the names of secrets by itself.)"""
    assert alike(value, read(json.loads(json.dumps(exactly().write(value), allow_nan=False))))


@given(values)
@settings(deadline=None, max_examples=100)
def test_a_value_goes_through_the_file(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    """As the answer of an effect."""
    file = tmp_path_factory.mktemp("values") / "recording.json"
    assert alike(value, record(Ask.by(lambda _: value), file).run_pure(Ask("k")))
    assert alike(value, replay(file).run_pure(Ask("k")))


@pytest.mark.parametrize(
    "mutant",
    [
        lambda plain: json.loads(json.dumps(plain).replace('"tuple"', '"frozenset"')),
        lambda plain: json.loads(json.dumps(plain), object_hook=lambda d: d.get("$items", d)),
        lambda plain: json.loads(json.dumps(plain, sort_keys=True).replace("true", "1")),
    ],
)
def test_a_codec_with_a_mistake_is_found_out(mutant: Any) -> None:
    """The check tells a tuple from a list, and True from 1."""

    def comes_back(value: Any) -> bool:
        try:
            return alike(value, read(mutant(write(value))))
        except (Misfit, TypeError):
            return False

    assert not all(comes_back(value) for value in [*VALUES, [True]])


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (object(), " is of the class object"),
        ({"a": [1, object()]}, r"\['a'\]\[1\] is of the class object"),
        (Point(1, {2: lambda: 0}), r"\.y\[2\] is of the class function"),
        ({(1, object()): 1}, r" \(the key .*\)\[1\] is of the class object"),
        (Text("a"), " is of the class .*Text"),
        (defaultdict(list), " is of the class collections:defaultdict"),
        (range(3), " is of the class range"),
        (int, " is of the class type"),
        (ValueError(object()), r"\.args\[0\] is of the class object"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_read_back_is_refused(value: Any, place: str, tmp_path: Path) -> None:
    """Before the file is touched, naming effect and place."""
    file = tmp_path / "recording.json"
    with pytest.raises(Unrecordable, match=rf"the answer of Ask\(key='k'\) at Ask/1 .* answer{place}"):
        record(Ask.by(lambda _: value), file).run_pure(Ask("k"))
    assert not file.exists()


def test_a_value_that_contains_itself_is_refused() -> None:
    """And one that occurs twice is not."""
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(Misfit, match="contains itself"):
        write(loop)
    twice = Point(1)
    assert [twice, twice] == round_trip([twice, twice])


def test_what_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    """As JSON could not say it."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    file = tmp_path / "recording.json"
    with pytest.raises(Unrecordable, match="it is nested too deeply"):
        record(Ask.by(lambda _: deep), file).run_pure(Ask("k"))
    assert not file.exists()


def test_a_field_that_was_never_assigned_is_refused() -> None:
    """There is nothing to write."""
    hit = Hit.__new__(Hit)
    with pytest.raises(Misfit, match="was never assigned"):
        write(hit)


def test_a_class_that_nobody_could_import_is_refused() -> None:
    """A replay would not find it."""

    @attrs.define
    class Local:
        n: int

    with pytest.raises(
        Misfit, match="which cannot be imported by its name: define it at the top of a module"
    ):
        write(Local(1))


# Errors.


def error_shape(error: BaseException) -> Any:
    inner = [error_shape(e) for e in error.exceptions] if isinstance(error, BaseExceptionGroup) else []
    cause = error.__cause__ and error_shape(error.__cause__)
    args = error.args[:1] if inner else error.args
    return type(error), str(error), args, vars(error), inner, cause


def caused() -> Exception:
    try:
        try:
            raise KeyError("k")
        except KeyError as key:
            raise ValueError("v") from key
    except ValueError as error:
        return error


def noted() -> Exception:
    error = RuntimeError("r")
    error.add_note("one")
    error.add_note("two")
    return error


ERRORS = [
    ValueError(),
    ValueError("a", 1, (2,), b"x"),
    KeyError("k"),
    OSError(2, "No such file", "/a/b"),
    FileNotFoundError(2, "No such file", "/a", None, "/b"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    ImportError("no", name="n", path="p"),
    StopIteration(3),
    AttributeError("a", name="n"),
    PlanTimeout("late", seconds=2.5),
    MergeConflict("no"),
    NoneSucceeded("none", [ValueError("a"), KeyError("b")]),
    ExceptionGroup("g", [ValueError(1), ExceptionGroup("h", [PlanTimeout("t", seconds=1)])]),
    Shop("tea", code=3),
    HttpDown("http://x"),
    Attrsy("why"),
    Both("k"),
    Disk("k"),
    caused(),
    noted(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_as_it_was(error: Exception) -> None:
    """Class, arguments, attributes, notes, cause and members."""
    again = read_error(json.loads(json.dumps(write(error))))
    assert error_shape(error) == error_shape(again)
    for name in (
        "errno",
        "filename",
        "filename2",
        "name",
        "path",
        "value",
        "start",
        "reason",
        "code",
        "seconds",
    ):
        assert getattr(error, name, None) == getattr(again, name, None)


def test_an_errors_attributes_that_cannot_be_written_are_left_out() -> None:
    """As HTTP clients keep the whole connection there; what was raised is still of its class."""
    error = Shop("tea", code=4)
    error.connection = object()  # type: ignore[attr-defined]
    again = round_trip(error)
    assert {"item": "tea", "code": 4} == vars(again)


def test_an_error_whose_class_is_gone_is_replaced(tmp_path: Path) -> None:
    """By one that says so."""

    class Gone(Exception):
        pass

    def fail(_asked: Ask) -> None:
        raise Gone("no tea")

    file = tmp_path / "recording.json"
    with pytest.raises(Gone):
        record(Ask.by(fail), file).run_pure(Ask("k"))
    with pytest.raises(
        RecordedError, match="Gone was recorded here, which cannot be imported: no tea"
    ) as caught:
        replay(file).run_pure(Ask("k"))
    assert caught.value.type_name.endswith("<locals>.Gone")


# Reading executes nothing but imports.


@pytest.mark.parametrize(
    "plain",
    [
        {"$type": "os:system", "$items": ["true"]},
        {"$type": "subprocess:Popen", "args": "true"},
        {"$type": "subprocess:Popen", "$items": ["true"]},
        {"$type": "subprocess:Popen", "$text": "true"},
        {"$type": "subprocess:Popen", "$pairs": []},
        {"$type": "subprocess:Popen", "$error": {"args": ["true"]}},
        {"$type": "subprocess:Popen", "$member": "X"},
        {"$type": "nowhere_at_all:X", "a": 1},
        {"$type": "lambdacat_effects:nothing", "a": 1},
        {"$type": 3},
        {"$type": "tuple"},
        {"$type": "int", "$text": "seven"},
        {"$type": "float", "$text": "1.5"},
        {"$type": "bytes", "$text": "?"},
        {"$type": f"{__name__}:Colour", "$member": "GREEN"},
        {"$type": f"{__name__}:Point", "y": 1},
        {"$type": f"{__name__}:Point", "x": 1, "y": 2, "norm": 3, "z": 4},
        {"$type": "set", "$items": [[]]},
        {"$type": "ValueError", "$error": {}},
        {"$type": "ExceptionGroup", "$error": {"args": []}},
        {"$type": "UnicodeDecodeError", "$error": {"args": [1]}},
        {"$type": "lambdacat_effects:race", "a": 1},
    ],
    ids=str,
)
def test_what_was_not_written_is_not_read(plain: Any) -> None:
    """No class is made that is not data, and nothing is called."""
    with pytest.raises(Misfit):
        read(plain)


def test_no_code_of_a_class_runs_when_it_is_read() -> None:
    """A converter would convert again."""
    assert round_trip(Upper("a")).text == "a!"


def test_a_class_that_has_changed_since_is_named(tmp_path: Path) -> None:
    """With its fields and the place."""
    file = tmp_path / "recording.json"
    record(Ask.by(lambda _: {"hits": [Hit("cats")]}), file).run_pure(Ask("k"))
    file.write_text(file.read_text().replace('"score"', '"rank"'))
    before = file.read_bytes()
    told = (
        r"at Ask/1: answer\['hits'\]\[0\] is of the class .*Hit, whose fields have changed since: rank, score"
    )
    with pytest.raises(RecordingUnreadable, match=told):
        replay(file).run_pure(Ask("k"))
    assert before == file.read_bytes()


# What is asked: compared, never read back.


@tool
def search(query: str, /, limit: int = 5, *words: str, **options: Any) -> list[str]:
    """Search."""
    return []


def asked(effect: Any) -> Asked:
    return describe(effect, Writer(Redactor(Redaction()), exactly=False))


def test_what_is_asked_may_be_anything() -> None:
    """A function stands as its name, another object as its class; neither has an address."""

    def local() -> None: ...

    one, other = (asked(Ask([local, partial(max, 1), object(), Hit, search, Text("a")])) for _ in range(2))
    assert one == other
    assert "0x" not in one.key()
    assert asked(Ask(ValueError(1))) != asked(Ask(ValueError(2)))
    assert asked(Ask(OrderedDict(a=1, b=2))) != asked(Ask(OrderedDict(b=2, a=1)))
    loop: list[Any] = []
    loop.append(loop)
    assert asked(Ask(loop)).fields == {"key": [{"$object": "list"}]}
    assert one != asked(Ask([max, partial(max, 1), object(), Hit, search, Text("a")]))


def test_a_call_is_described_by_the_names_of_its_parameters() -> None:
    """However the arguments were given."""
    assert asked(search("a", 3)) == asked(search("a", limit=3))
    assert asked(search("a", 3, "x", fast=True)).fields["arguments"] == {
        "query": "a",
        "limit": 3,
        "words": {"$type": "tuple", "$items": ["x"]},
        "options": {"fast": True},
    }


def test_the_order_of_a_mapping_does_not_matter_to_what_is_asked() -> None:
    """Equal effects ask the same."""
    assert asked(Ask({"a": 1, "b": 2})) == asked(Ask({"b": 2, "a": 1}))


def test_differences_are_told_leaf_by_leaf() -> None:
    """Removed and added ones, too."""
    assert differences(asked(Ask({"a": [1, 2], "b": 1})), asked(Ask({"a": [1, 3], "c": 1}))) == [
        "key.a[1]: 2 -> 3",
        "key.b: 1 -> nothing",
        "key.c: nothing -> 1",
    ]
    assert differences(asked(search("a")), asked(Ask("a")))[0].startswith("effect: CallTool -> ")
