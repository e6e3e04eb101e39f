"""Classes change while values of them are stored: old records are migrated, or named."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects import in_memory, migration, recall, remember, store_memory, versioned
from lambdacat_effects.errors import InvalidArgument, StoredValueMismatch
from lambdacat_effects.storage import InMemoryStore
from lambdacat_effects.storage import versions as versions_module
from lambdacat_effects.storage.codec import decode, encode

T = TypeVar("T")


@versioned(3, was=("Person", "User"))
@attrs.frozen
class Customer:
    name: str
    visits: int
    tags: frozenset[str] = frozenset()


@migration(Customer, 1)
def count_visits(old: dict[str, Any]) -> dict[str, Any]:
    return {"name": old["name"], "visits": len(old["visited"]), "label": old.get("label", "")}


@migration(Customer, 2)
def split_label(old: dict[str, Any]) -> dict[str, Any]:
    return {"name": old["name"], "visits": old["visits"], "tags": old["label"].split()}


@dataclasses.dataclass(frozen=True)
@versioned(2)
class Point:
    x: float
    y: float


@migration(Point, 1)
def from_polar(old: dict[str, Any]) -> Mapping[str, Any]:
    return {"x": old["length"], "y": 0.0}


@attrs.define
class Shop(Generic[T]):
    customers: list[Customer]
    best: Customer | None
    at: dict[str, tuple[Point, ...]]
    extra: T


def customer(
    version: int, name: str, visits: int, tags: list[str], called: str = "Customer"
) -> dict[str, Any]:
    """A customer as each version of the class was stored."""
    record: dict[str, Any] = {"$type": called, "name": name}
    if version == 1:
        return {**record, "visited": ["day"] * visits, "label": " ".join(tags)}
    if version == 2:
        return {**record, "$version": 2, "visits": visits, "label": " ".join(tags)}
    return {**record, "$version": 3, "visits": visits, "tags": sorted(set(tags))}


def as_bytes(record: object) -> bytes:
    return json.dumps(record).encode()


def test_the_version_is_written_beside_the_class() -> None:
    assert b'{"$type":"Customer","$version":3,"name":"Ada","tags":[],"visits":2}' == encode(
        Customer("Ada", 2)
    )
    assert b'{"$type":"Point","$version":2,"x":1.0,"y":2.0}' == encode(Point(1.0, 2.0))


def test_a_class_that_declares_no_version_is_written_as_before() -> None:
    assert b"$version" not in encode(Shop([], None, {}, None))


names = st.text("abc", min_size=1, max_size=3)
drawn = st.tuples(
    st.sampled_from([1, 2, 3]),
    names,
    st.integers(0, 3),
    st.lists(names, max_size=3),
    st.sampled_from(["Customer", "Person", "User"]),
)


@given(st.builds(Customer, names, st.integers(), st.frozensets(names)))
def test_what_is_of_today_reads_back_as_it_was(value: Customer) -> None:
    assert value == decode(encode(value), Customer)


@settings(deadline=None)
@given(drawn, st.lists(drawn, max_size=3))
def test_records_of_every_version_and_name_read_alike_wherever_they_are(one: Any, more: list[Any]) -> None:
    """By itself, in a union, in collections and in fields."""

    def expected(d: Any) -> Customer:
        return Customer(d[1], d[2], frozenset(d[3]))

    record, records = customer(*one), [customer(*d) for d in more]
    assert expected(one) == decode(as_bytes(record), Customer)
    assert expected(one) == decode(as_bytes(record), Point | Customer | None)
    point = {"$type": "Point", "length": 2.0}
    shop = {"$type": "Shop", "customers": records, "best": record, "at": {"a": [point]}, "extra": [record]}
    read = decode(as_bytes(shop), Shop[list[Customer]])
    assert Shop([*map(expected, more)], expected(one), {"a": (Point(2.0, 0.0),)}, [expected(one)]) == read


@settings(deadline=None)
@given(drawn)
def test_what_was_migrated_is_stored_as_of_today(one: Any) -> None:
    """Migrating, writing and reading again is the same as migrating."""
    value = decode(as_bytes(customer(*one)), Customer)
    assert value == decode(encode(value), Customer)
    assert b'"$version":3' in encode(value)


@pytest.mark.parametrize("broken", ["skips a step", "counts from the end", "keeps what it is given"])
def test_the_properties_find_broken_migrating(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutants: each breaks the reading of some version."""
    original = versions_module.migrated

    def mutant(cls: type, stored: dict[str, Any]) -> dict[str, Any]:
        if broken == "keeps what it is given":
            return stored
        version = stored.get("$version", 1)
        if cls is Customer and version == 1:
            if broken == "skips a step":
                return original(cls, {**stored, "$version": 2})
            return {**split_label(count_visits(stored) | {"label": ""}), "$type": "Customer"}
        return original(cls, stored)

    monkeypatch.setattr("lambdacat_effects.storage.typed.migrated", mutant)
    with pytest.raises((AssertionError, StoredValueMismatch, ExceptionGroup)):
        test_records_of_every_version_and_name_read_alike_wherever_they_are()


@versioned(3)
@attrs.frozen
class Note:
    text: str


@migration(Note, 1)
def first_step(old: dict[str, Any]) -> dict[str, Any]:
    return old


def test_a_version_that_no_migration_leads_on_from_is_named() -> None:
    """The class, both versions, and what to write; for the step that is missing."""
    for stored in (b'{"$type":"Note","text":"a"}', b'{"$type":"Note","$version":2,"text":"a"}'):
        version = 2 if b"$version" in stored else 1
        with pytest.raises(StoredValueMismatch) as caught:
            decode(b'{"a":[' + stored + b"]}", dict[str, list[Note]])
        assert "what is stored does not read as dict[str, list[" in str(caught.value)
        assert (
            f"value['a'][0]: found {__name__}.Note of version {version}, and the class is at version 3: write "
            "@migration(Note, 2), a function from the fields of version 2, a dict, to those of version 3"
            in str(caught.value)
        )


@pytest.mark.parametrize("as_type", [Note, Note | None, Note | dict[str, Any], list[Note] | Note])
def test_what_a_later_program_stored_is_named(as_type: Any) -> None:
    """Whatever else the type allows: a later note is no dict."""
    with pytest.raises(
        StoredValueMismatch,
        match=r"found .*Note of version 4, and the class is at version 3: it was stored by a "
        r"later program, so read it with that, or bring the class to @versioned\(4\)",
    ):
        decode(b'{"$type":"Note","$version":4,"text":"a"}', as_type)


def test_a_class_that_declares_no_version_is_at_version_1() -> None:
    shop = b'{"$type":"Shop","$version":%d,"customers":[],"best":null,"at":{},"extra":null}'
    assert Shop([], None, {}, None) == decode(shop % 1, Shop[None])
    with pytest.raises(StoredValueMismatch, match=r"Shop of version 2, and the class is at version 1"):
        decode(shop % 2, Shop[None])


@pytest.mark.parametrize("version", ["0", "-1", '"2"', "true", "1.5", "null", "[]"])
def test_a_version_that_is_none_is_named(version: str) -> None:
    with pytest.raises(StoredValueMismatch, match=r"a whole number from 1 on, found"):
        decode(f'{{"$type":"Note","$version":{version},"text":"a"}}'.encode(), Note)


def test_the_memory_names_the_key_and_keeps_the_record() -> None:
    store = InMemoryStore()
    memory = store_memory(store)
    memory.run_pure(remember("n", "k", {"$type": "Note", "text": "a"}))
    with pytest.raises(
        StoredValueMismatch, match=r"^\('n', 'k'\) cannot be recalled: .*write @migration\(Note, 2\)"
    ):
        memory.run_pure(recall("n", "k", as_type=Note))
    assert {"$type": "Note", "text": "a"} == memory.run_pure(recall("n", "k", as_type=dict))


@versioned(2)
@attrs.frozen
class Failing:
    a: int


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda old: old["gone"],
            r"the migration of .*Failing from version 1 to 2 failed \(KeyError: 'gone'\)",
        ),
        (lambda old: None, r"from version 1 to 2 answered None: it is to answer a dict"),
        (lambda old: {1: 2}, r"answered \{1: 2\}: it is to answer a dict"),
        (lambda old: {"a": "x"}, r"value\.a: expected int, found text"),
        (
            lambda old: {"a": print},
            r"value\['a'\]: what a migration of .*Failing answered is of type builtin",
        ),
        (lambda old: {}, r"value\.a: is missing"),
    ],
)
def test_a_migration_that_fails_is_named(answer: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = vars(Failing)["__stored_as__"]
    monkeypatch.setattr(declared, "migrations", {1: answer})
    with pytest.raises(StoredValueMismatch, match=message):
        decode(b'{"$type":"Failing","b":1}', Failing)


def test_a_migration_may_change_what_it_is_given() -> None:
    """A union reads an object once for each of its members: each has its own."""

    @versioned(2)
    @attrs.frozen
    class Popped:
        items: list[int]

    @migration(Popped, 1)
    def pop(old: dict[str, Any]) -> dict[str, Any]:
        old["items"].pop()
        return old

    record = b'{"$type":"Popped","items":[1,2,3]}'
    assert Popped([1, 2]) == decode(record, Popped | list[Popped] | None)


def test_a_migration_may_answer_objects_of_today() -> None:
    @versioned(2)
    @attrs.frozen
    class Order:
        by: Customer

    @migration(Order, 1)
    def with_customer(old: dict[str, Any]) -> dict[str, Any]:
        return {"by": Customer(old["name"], 0)}

    assert Order(Customer("Ada", 0)) == decode(b'{"$type":"Order","name":"Ada"}', Order)


@versioned(2)
@attrs.frozen
class Base:
    a: int


@migration(Base, 1)
def base_one(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "a": old["a"] + 1}


@attrs.frozen
class Below(Base):
    b: int = 0


@versioned(1, was="Elder")
@attrs.frozen
class Own(Base):
    b: int = 0


def test_a_subclass_has_its_base_version_and_migrations_unless_it_declares_its_own() -> None:
    assert Below(2, 5) == decode(b'{"$type":"Below","a":1,"b":5}', Base)
    assert b'"$version":2' in encode(Below(1))
    assert Own(1, 5) == decode(b'{"$type":"Elder","a":1,"b":5}', Base)
    assert Own(1, 5) == decode(b'{"$type":"Elder","a":1,"b":5}', Own)


def test_a_migration_of_the_base_does_not_drop_what_only_the_subclass_has() -> None:
    """It was written without knowing of it."""

    @attrs.frozen
    class Regular(Customer):
        discount: int = 0

    stored = b'{"$type":"Regular","name":"Ada","visited":["May"],"discount":5,"label":"x"}'
    assert Regular("Ada", 1, frozenset({"x"}), 5) == decode(stored, Customer)


def test_a_former_name_of_the_base_is_none_of_its_subclass() -> None:
    @versioned(was="Old")
    @attrs.frozen
    class New:
        a: int

    @attrs.frozen
    class Sub(New):
        pass

    assert New(1) == decode(b'{"$type":"Old","a":1}', New)
    with pytest.raises(StoredValueMismatch, match="found a stored Old"):
        decode(b'{"$type":"Old","a":1}', Sub)


def test_two_classes_of_one_former_name_are_not_guessed_at() -> None:
    @versioned(was="Both")
    @attrs.frozen
    class One:
        a: int

    @versioned(was="Both")
    @attrs.frozen
    class Two:
        a: int

    with pytest.raises(StoredValueMismatch, match="which JSON does not tell apart"):
        decode(b'{"$type":"Both","a":1}', One | Two)


class Colour(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    a: int


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "2", None])
def test_versions_count_from_1(version: Any) -> None:
    with pytest.raises(InvalidArgument, match="whole number from 1 on"):
        versioned(version)


@pytest.mark.parametrize("was", ["", "module.Name", 3, ("A", 3), ["A"], None])
def test_former_names_are_names(was: Any) -> None:
    with pytest.raises(InvalidArgument, match="former name of the class"):
        versioned(was=was)


@pytest.mark.parametrize("cls", [Colour, Pair, dict, print, 3])
def test_only_classes_that_are_stored_by_name_have_versions(cls: Any) -> None:
    with pytest.raises(InvalidArgument, match="for attrs classes and dataclasses"):
        versioned(2)(cls)


@pytest.mark.parametrize(
    ("cls", "version", "message"),
    [
        (Shop, 1, "has been declared with @versioned"),
        (Below, 1, "has been declared with @versioned"),
        (3, 1, "has been declared with @versioned"),
        (Customer, 3, "Customer is at version 3: it migrates from the versions below"),
        (Customer, 0, "counted from 1; got 0"),
        (Customer, True, "counted from 1; got True"),
        (Customer, 1, "has a migration from version 1 already"),
    ],
)
def test_migrations_are_declared_for_what_they_are(cls: Any, version: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        migration(cls, version)


def test_a_migration_is_a_plain_function() -> None:
    async def waiting(old: Any) -> Any: ...

    for function in (3, waiting):
        with pytest.raises(InvalidArgument, match="a plain function of a dict"):
            migration(Failing, 1)(function)  # type: ignore[type-var]


def test_in_memory_migrates_too() -> None:
    memory = in_memory({("n", "k"): {"$type": "Person", "name": "Ada", "visited": ["a", "b"]}})
    assert Customer("Ada", 2) == memory.run_pure(recall("n", "k", as_type=Customer))
