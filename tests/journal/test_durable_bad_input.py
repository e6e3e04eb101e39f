"""What cannot be kept, cannot be read, or makes no sense: a clear error, and nothing lost that was acknowledged."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import durable_plans as plans
import pytest
import trio
from durable_plans import Broken, Cat, Colour, World, interrupted_at

from lambdacat_effects import CallTool, Durable, Need, ambient, in_memory
from lambdacat_effects.errors import (
    InvalidArgument,
    JournalUnreadable,
    LimitExceeded,
    NotSerialisable,
    RunSuspended,
    StoreUnusable,
    UnhandledEffect,
    UnknownRun,
)
from lambdacat_effects.journal import idempotency_key
from lambdacat_effects.journal.records import Header, Record
from lambdacat_effects.storage import Change, InMemoryStore, LmdbStore, Put
from lambdacat_effects.storage.json_store import JsonStore


def answering(answer: Any) -> Any:
    """Tools that answer this."""
    return CallTool.by(lambda _call: answer)


def snapshot(store: InMemoryStore) -> dict[str, dict[str, bytes]]:
    """All that is kept, but for who performs what, and since when."""
    kept = {
        space: dict(kept) for space, kept in store._namespaces.items() if space not in ("_leases", "_fences")
    }
    for run_id, data in kept.get("_runs", {}).items():
        with suppress(JournalUnreadable):
            kept["_runs"][run_id] = attrs.evolve(Header.decode(run_id, data), changed=0.0).encode()
    return kept


async def put_header(store: InMemoryStore, **fields: Any) -> None:
    """Change the header of the run `r`."""
    header = Header.decode("r", store._namespaces["_runs"]["r"])
    await store.put("_runs", "r", attrs.evolve(header, **fields).encode())


# What cannot be kept


@attrs.frozen
class Holder:
    label: str
    content: Any


@pytest.mark.parametrize(
    ("answer", "place", "problem"),
    [
        (object(), "answer is of the class object", "which cannot be kept: answer with attrs classes"),
        (
            Holder("a", [1, {"k": lambda: 1}]),
            "answer.content[1]['k'] is of the class function",
            "cannot be kept",
        ),
        ((open, 1), "answer[0]", "cannot be kept"),
    ],
)
async def test_an_answer_that_cannot_be_kept(answer: Any, place: str, problem: str) -> None:
    """Which effect, and where in the answer; the journal is as it was, and the run goes on with better handlers."""
    store = InMemoryStore()
    durable = Durable(store)
    await interrupted_at(durable, World(store), 2, "r", plans.in_turn, 2)
    before = snapshot(store)
    with pytest.raises(NotSerialisable, match="cannot be kept in the journal") as caught:
        await durable.resume("r", handlers=answering(answer))
    assert "fetch(what='item 1')" in str(caught.value)
    assert place in str(caught.value)
    assert problem in str(caught.value)
    assert snapshot(store) == before
    assert await durable.resume("r", handlers=World(store).handlers) == ["got item 0", "got item 1"]


async def test_an_answer_of_a_class_within_a_function() -> None:
    """Cannot be made again, as it cannot be imported."""

    @attrs.frozen
    class Local:
        n: int

    with pytest.raises(
        NotSerialisable, match="cannot be imported by its name: define it at the top of a module"
    ):
        await Durable(InMemoryStore()).run("r", plans.in_turn, 1, handlers=answering(Local(1)))


async def test_an_answer_that_contains_itself_or_is_too_deep() -> None:
    loop: list[Any] = []
    loop.append(loop)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for n, (answer, problem) in enumerate([(loop, "contains itself"), (deep, "nested too deeply")]):
        durable = Durable(InMemoryStore())
        with pytest.raises(NotSerialisable, match=problem):
            await durable.run(f"r{n}", plans.in_turn, 1, handlers=answering(answer))
        assert (await durable.info(f"r{n}")).status == "interrupted"


async def test_an_answer_of_the_plan_that_cannot_be_kept() -> None:
    """The run has not ended: it does when its plan answers with something else."""
    durable = Durable(InMemoryStore())
    with pytest.raises(NotSerialisable, match="the answer of the plan cannot be kept"):
        await durable.run("r", plans.answering_with_a_function, handlers=ambient)
    assert (await durable.info("r")).status == "interrupted"


@pytest.mark.parametrize("size", [3000, 100_000])
async def test_an_answer_that_is_too_large(size: int) -> None:
    """Says how large it is, and what to do; the journal is as it was."""
    store = InMemoryStore()
    durable = Durable(store, most_bytes=1000)
    with pytest.raises(
        LimitExceeded, match=r"fetch\(what='item 0'\) at 1 takes \d+ bytes .* at most 1000 are allowed"
    ):
        await durable.run("r", plans.in_turn, 1, handlers=answering("x" * size))
    assert store._namespaces.get("_j", {}) == {}
    assert len(await Durable(store).resume("r", handlers=answering("x" * size))) == 1


@pytest.mark.parametrize(
    "value",
    [
        None,
        (1, 2.5, "ü", b"\0", True),
        {"a": {1, 2}, (1, 2): frozenset("x")},
        float("inf"),
        1 << 5000,
        datetime(2024, 2, 29, tzinfo=UTC),
        Path("/tmp"),
        Cat("Felix", Colour.GREY, Path("home")),
        [Cat("Tom")],
        "\ud800",
        "",
        {},
    ],
    ids=repr,
)
async def test_answers_of_all_kinds_come_back_as_they_were(value: Any) -> None:
    """Of the same class, from the journal and as the run's outcome."""
    durable = Durable(InMemoryStore())
    answer = await durable.run("r", plans.in_turn, 1, handlers=answering(value))
    [step] = await durable.history("r")
    [again] = await durable.resume("r", handlers=ambient)
    assert answer == [value] == [step.outcome] == [again]
    assert type(again) is type(value)


@pytest.mark.parametrize(
    "error",
    [
        Broken("it", code=3),
        OSError(2, "no such file", "x"),
        KeyError("k"),
        ExceptionGroup("several", [ValueError("a"), Broken("b", code=4)]),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    ],
    ids=repr,
)
async def test_errors_of_all_kinds_come_back_as_they_were(error: Exception) -> None:
    """Class, text and attributes."""

    async def failing(_call: Any) -> Any:
        raise error

    store = InMemoryStore()
    durable = Durable(store)
    with trio.CancelScope() as scope:
        await durable.run("r", plans.failing_then_waiting, handlers=_first_failing(store, failing, scope))
    answer = await durable.resume("r", handlers=World(store).handlers)
    kind, text, attributes = answer[0]
    assert (kind, text) == (type(error).__name__, str(error))
    assert attributes == getattr(error, "code", None)


def _first_failing(store: InMemoryStore, failing: Any, scope: trio.CancelScope) -> Any:
    calls: list[Any] = []

    async def handler(call: Any) -> Any:
        calls.append(call)
        if len(calls) == 1:
            return await failing(call)
        scope.cancel()
        return await trio.sleep_forever()

    return CallTool.by(handler)


# What a run is begun with


@pytest.mark.parametrize("run_id", ["", "a\0b", 3, None, b"r"])
async def test_a_run_id_is_a_text(run_id: Any) -> None:
    with pytest.raises(InvalidArgument, match="a run id is a non-empty text without NUL"):
        await Durable(InMemoryStore()).run(run_id, plans.in_turn, 1, handlers=ambient)


def _local() -> Any:
    def local() -> Any:
        yield from ()

    return local


@pytest.mark.parametrize(
    "make",
    [lambda: plans.in_turn(1), _local(), functools.partial(plans.in_turn, 1)],
    ids=["lambda", "local function", "partial"],
)
async def test_a_plan_that_cannot_be_found_by_name(make: Any) -> None:
    """Before anything is written; the message says how to write it, for the DSL, too."""
    store = InMemoryStore()
    with pytest.raises(InvalidArgument, match=r"define it with `def` at the top of a module\. \(Of the DSL:"):
        await Durable(store).run("r", make, handlers=ambient)
    assert store._namespaces == {}


@pytest.mark.parametrize("make", [plans.in_turn(1), plans.fetch("x"), 3, None])
async def test_a_plan_is_not_a_function_that_makes_one(make: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"not `run\(run_id, research\(question\)\)`"):
        await Durable(InMemoryStore()).run("r", make, handlers=ambient)


async def test_an_argument_that_cannot_be_kept() -> None:
    """Which one, before anything is written."""
    store = InMemoryStore()
    with pytest.raises(
        NotSerialisable, match=r"the argument state\['text'\] of durable_plans:flow .* is of the class"
    ):
        await Durable(store).run("r", plans.flow, {"text": object()}, handlers=ambient)
    assert store._namespaces == {}


async def test_arguments_that_do_not_fit() -> None:
    """As a call of the function would say it; no run is begun."""
    store = InMemoryStore()
    with pytest.raises(TypeError, match="in_turn"):
        await Durable(store).run("r", plans.in_turn, 1, 2, handlers=ambient)  # type: ignore[call-arg]
    assert store._namespaces == {}


async def test_handlers_are_handlers() -> None:
    for given in (None, 3, [ambient]):
        with pytest.raises(InvalidArgument, match="handlers= takes handlers"):
            await Durable(InMemoryStore()).run("r", plans.in_turn, 1, handlers=given)  # type: ignore[arg-type]


# Handlers that are missing


async def test_handlers_that_are_missing_on_resume() -> None:
    """What was answered needs none; what was not is named, and the run stays as it is."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 2, "r", plans.in_turn, 2)
    before = snapshot(store)
    with pytest.raises(UnhandledEffect, match=r"fetch\('item 1'\)"):
        await durable.resume("r", handlers=in_memory())
    assert snapshot(store) == before
    assert len(await durable.resume("r", handlers=world.handlers)) == 2


async def test_a_need_that_is_missing_is_no_outcome() -> None:
    """Nor any other mistake in the program: it is mended, and the run goes on."""
    durable = Durable(InMemoryStore())
    with pytest.raises(UnhandledEffect):
        await durable.run("r", plans.needing, handlers=ambient)
    assert (await durable.info("r")).status == "interrupted"
    from lambdacat_effects import supply

    assert await durable.resume("r", handlers=supply(int, 7)) == 7
    assert repr(Need(int)) == "Need(key=<class 'int'>)"


async def test_a_plan_whose_module_is_gone() -> None:
    """`make=` helps; until then the run stays."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 1, "r", plans.in_turn, 1)
    for plan in ("gone_module:in_turn", "durable_plans:gone", "durable_plans:World.gone"):
        await put_header(store, plan=plan)
        with pytest.raises(UnknownRun, match=f"made by {plan}, which cannot be imported .* make="):
            await durable.resume("r", handlers=world.handlers)
    await put_header(store, plan="gone_module:in_turn")
    assert await durable.resume("r", handlers=world.handlers, make=plans.in_turn) == ["got item 0"]


# What cannot be read


async def test_a_journal_of_a_newer_format() -> None:
    """Is left as it is."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 1, "r", plans.in_turn, 1)
    header = json.loads(store._namespaces["_runs"]["r"])
    await store.put("_runs", "r", json.dumps({**header, "format": 99}).encode())
    before = snapshot(store)
    for asking in (
        lambda: durable.resume("r", handlers=world.handlers),
        lambda: durable.info("r"),
        lambda: durable.history("r"),
        lambda: durable.forget("r"),
        lambda: durable.run_or_resume("r", plans.in_turn, 1, handlers=world.handlers),
    ):
        with pytest.raises(
            JournalUnreadable, match=r"a journal of format 99, and this version .* formats up to"
        ):
            await asking()
    [info] = await durable.runs()
    assert (info.run_id, info.status, info.ended) == ("r", "unreadable", False)
    assert "a journal of format 99" in str(info.problem)
    assert snapshot(store) == before


DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "no JSON": lambda data: b"\xff" + data,
    "other JSON": lambda data: b"[1]",
    "no list": lambda data: b'{"a": 1}',
    "a number": lambda data: b"7",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("space", ["_j", "_runs"])
async def test_a_damaged_record(space: str, damage: str) -> None:
    """Which run and which record; nothing is changed, and other runs go on."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 3, "r", plans.in_turn, 3)
    await interrupted_at(durable, world, 1, "s", plans.in_turn, 1)
    key = min(store._namespaces[space])
    await store.put(space, key, DAMAGES[damage](store._namespaces[space][key]))
    before = snapshot(store)
    with pytest.raises(JournalUnreadable, match=r"of the run 'r' .*damaged"):
        await durable.resume("r", handlers=world.handlers)
    if space == "_j":
        with pytest.raises(JournalUnreadable, match="record 0 of the run 'r' cannot be read"):
            await durable.history("r")
    assert snapshot(store) == before
    assert len(await durable.resume("s", handlers=world.handlers)) == 1


async def test_a_record_cut_at_every_byte() -> None:
    """Is damaged, or the whole."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 2, "r", plans.in_turn, 2)
    [(key, data)] = store._namespaces["_j"].items()
    for length in range(len(data)):
        await store.put("_j", key, data[:length])
        with pytest.raises(JournalUnreadable):
            await durable.resume("r", handlers=world.handlers)
    await store.put("_j", key, data)
    assert len(await durable.resume("r", handlers=world.handlers)) == 2


async def test_an_answer_whose_class_is_gone() -> None:
    """Says which answer, of which effect; the run stays until the class is back."""
    store = InMemoryStore()
    durable = Durable(store)
    await interrupted_at(durable, World(store), 2, "r", plans.in_turn, 2)
    [(key, data)] = store._namespaces["_j"].items()
    answered = Record.decode("r", data)
    answered.data = {"$type": "durable_plans:Dog", "name": "Rex"}
    await store.put("_j", key, answered.encode("r"))
    with pytest.raises(
        JournalUnreadable, match=r"the answer of fetch\(what='item 0'\) at 1 .*durable_plans:Dog"
    ):
        await durable.resume("r", handlers=World(store).handlers)
    [step] = await durable.history("r")
    assert step.outcome == "Dog(name='Rex')"


# Stores that fail


class Failing(InMemoryStore):
    """A disk that is full from the change number `full_at` on."""

    def __init__(self, full_at: int) -> None:
        super().__init__()
        self.changes = 0
        self.full_at: float = full_at

    async def batch(self, changes: Sequence[Change]) -> bool:
        self.changes += 1
        if self.changes > self.full_at and any(isinstance(change, Put) for change in changes):
            raise StoreUnusable("no space left on device")
        return await super().batch(changes)


@pytest.mark.parametrize("full_at", range(6))
async def test_a_store_that_is_full(full_at: int) -> None:
    """The plan goes no further than the journal; when there is room again, the run goes on."""
    store = Failing(full_at)
    world, durable = World(store), Durable(store)
    with pytest.raises(StoreUnusable, match="no space left"):
        await durable.run("r", plans.swallowing, 3, handlers=world.handlers)
    kept = len(store._namespaces.get("_j", {}))
    assert len(world.calls) in (kept, kept + 1)
    store.full_at = float("inf")
    if "r" in store._namespaces.get("_runs", {}):
        answer = await durable.resume("r", handlers=world.handlers)
    else:
        answer = await durable.run("r", plans.swallowing, 3, handlers=world.handlers)
    assert answer == ["got item 0", "got item 1", "got item 2"]
    assert len(world.calls) <= 4


async def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(StoreUnusable):
        await Durable(tmp_path / "taken").run("r", plans.in_turn, 1, handlers=ambient)


async def test_a_store_that_is_opened_twice(tmp_path: Path) -> None:
    """By two `Durable`s and memory: all see the same."""
    async with LmdbStore(tmp_path) as store, Durable(tmp_path) as one, Durable(tmp_path) as two:
        world = World(store)
        await interrupted_at(one, world, 2, "r", plans.in_turn, 2)
        assert len(await two.resume("r", handlers=world.handlers)) == 2
        assert (await one.info("r")).status == "succeeded"


async def test_a_journal_on_another_engine(tmp_path: Path) -> None:
    """Anything that passes for a store keeps runs."""
    async with JsonStore(tmp_path) as store:
        world, durable = World(store), Durable(store)
        await interrupted_at(durable, world, 2, "r", plans.in_turn, 3)
        assert len(await durable.resume("r", handlers=world.handlers)) == 3
        with pytest.raises(RunSuspended):
            await durable.run("s", plans.approval, "it", handlers=world.handlers)
    assert idempotency_key() is None


# Secrets


async def test_arguments_of_effects_are_redacted() -> None:
    """By the names of the fields; answers are not, since a run is resumed with them."""
    store = InMemoryStore()
    durable = Durable(store, redact=["what"])
    await durable.run("r", plans.in_turn, 1, handlers=answering("the answer"))
    written = b"".join(store._namespaces["_j"].values())
    assert b"item 0" not in written
    assert b"the answer" in written
