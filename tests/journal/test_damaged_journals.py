"""Journals in which something was changed: a run goes on right, or is refused, and the error says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import attrs
import durable_plans as plans
import pytest
import trio
import trio.testing
from durable_plans import World, interrupted_at
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects import Durable, Err
from lambdacat_effects.errors import (
    JournalUnreadable,
    LambdacatError,
    NondeterminismError,
    RunInUse,
    RunSuspended,
    UnknownRun,
)
from lambdacat_effects.journal.records import Header, Kind, Record
from lambdacat_effects.journal.seals import sealed, unsealed
from lambdacat_effects.storage import InMemoryStore, Put

Contents = dict[str, dict[str, bytes]]


def contents(store: InMemoryStore) -> Contents:
    return {space: dict(kept) for space, kept in store._namespaces.items()}


def store_of(kept: Contents) -> InMemoryStore:
    store = InMemoryStore()
    store._namespaces = {space: dict(values) for space, values in kept.items()}
    return store


def on_trio(function: Callable[[], Any]) -> Any:
    return trio.run(function, clock=trio.testing.MockClock(autojump_threshold=0))


@cache
def journals() -> tuple[Contents, Contents, Any]:
    """That of a run that was interrupted at its last call, that of the same run ended, and its answer."""

    async def perform() -> tuple[Contents, Contents, Any]:
        store = InMemoryStore()
        durable, world = Durable(store), World(store)
        with pytest.raises(RunSuspended):
            await durable.run("r", plans.of_every_kind, handlers=world.handlers)
        await durable.answer("r", "Ann")
        with trio.CancelScope() as scope:
            world.stop_at, world.how = len(world.calls) + 1, scope.cancel
            await durable.resume("r", handlers=world.handlers)
        interrupted = contents(store)
        answer = await durable.resume("r", handlers=World(store).handlers)
        return interrupted, contents(store), answer

    found: tuple[Contents, Contents, Any] = on_trio(perform)
    return found


def test_the_journal_has_records_of_every_kind() -> None:
    """Or what follows would not be about all of them."""
    kinds = {Record.decode("r", data).kind for data in journals()[0]["_j"].values()}
    assert kinds == set(Kind)


async def outcome_of(store: InMemoryStore) -> Any:
    return await Durable(store).resume("r", handlers=World(store).handlers)


# Bytes that were changed anywhere


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bits flipped, bytes lost, doubled or put in."""
    start = draw(st.integers(0, len(data) - 1))
    end = min(len(data), start + draw(st.integers(1, 12)))
    how = draw(st.sampled_from(["flip", "delete", "double", "insert", "cut"]))
    if how == "flip":
        flipped = data[start] ^ (1 << draw(st.integers(0, 7)))
        return data[:start] + bytes([flipped]) + data[start + 1 :]
    if how == "insert":
        return data[:start] + draw(st.binary(min_size=1, max_size=5)) + data[start:]
    kept = {"delete": b"", "double": data[start:end] * 2, "cut": None}[how]
    return data[:start] if kept is None else data[:start] + kept + data[end:]


@settings(deadline=None)
@given(st.data())
def test_bytes_that_were_changed_in_an_interrupted_run(data: st.DataObject) -> None:
    """In any header, record, answer or number: never another answer, nor an error that is not ours."""
    interrupted, _, answer = journals()
    space = data.draw(st.sampled_from(["_j", "_j", "_runs", "_answers"]))
    key = data.draw(st.sampled_from(sorted(interrupted[space])))
    store = store_of(interrupted)
    store._namespaces[space][key] = data.draw(damaged(interrupted[space][key]))
    before = contents(store)
    try:
        found = on_trio(lambda: outcome_of(store))
    except JournalUnreadable as error:
        refusal = str(error)
    else:
        assert found == answer
        return
    assert "'r'" in refusal
    # (An answer is read when the run has begun to be performed.)
    for untouched in ("_j", "_answers") if space == "_answers" else ("_j", "_answers", "_runs"):
        assert contents(store)[untouched] == before[untouched]


@settings(deadline=None)
@given(st.data())
def test_bytes_that_were_changed_in_a_run_that_has_ended(data: st.DataObject) -> None:
    """Its outcome is in its header, and its history tells what is wrong."""
    _, ended, answer = journals()
    space = data.draw(st.sampled_from(["_j", "_runs"]))
    key = data.draw(st.sampled_from(sorted(ended[space])))
    store = store_of(ended)
    store._namespaces[space][key] = data.draw(damaged(ended[space][key]))
    unchanged = store._namespaces[space][key] == ended[space][key]
    if space == "_j" or unchanged:
        assert on_trio(lambda: outcome_of(store)) == answer
    else:
        with pytest.raises(JournalUnreadable, match=r"the header of the run 'r' cannot|a journal of format"):
            on_trio(lambda: outcome_of(store))
    if not unchanged:
        with pytest.raises(JournalUnreadable, match="'r'"):
            on_trio(lambda: Durable(store).history("r"))


# Parts that were changed by somebody who saw to the checksum


_OTHERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 1 << 70),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(["a", "c", "n", "w", "1", "1.0", "x.y", "-1", "", "$type", "int"]),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.sampled_from(["$type", "$error", "a"]), st.text(max_size=2), max_size=2),
)


@st.composite
def edited(draw: st.DrawFn, plain: Any) -> Any:
    """The same JSON, in which one part is another one, or is gone, or is there twice."""
    parts: list[Any] = []
    if isinstance(plain, list):
        parts = list(range(len(plain)))
    elif isinstance(plain, dict):
        parts = sorted(plain)
    if not parts or draw(st.integers(0, 3)) == 0:
        return draw(_OTHERS)
    part = draw(st.sampled_from(parts))
    copy = plain.copy()
    how = draw(st.sampled_from(["within", "within", "delete", "double"]))
    if how == "delete":
        del copy[part]
    elif how == "within" or isinstance(plain, dict):
        copy[part] = draw(edited(plain[part]))
    else:
        copy.insert(part, plain[part])
    return copy


def _bytes(plain: Any, owner: str = "") -> bytes:
    text = json.dumps(plain, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return sealed(text, owner) if isinstance(plain, (list, dict)) and plain else text


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_parts_that_were_changed(data: st.DataObject) -> None:
    """What still passes for a journal is one, of another run perhaps; all else is refused by name."""
    interrupted, _, _ = journals()
    key = data.draw(st.sampled_from(sorted(interrupted["_j"])))
    parts = json.loads(unsealed(interrupted["_j"][key], "r"))
    store = store_of(interrupted)
    store._namespaces["_j"][key] = _bytes(data.draw(edited(parts)), "r")

    async def resume() -> None:
        # It may say that an effect was cancelled, which is waited for then.
        with trio.move_on_after(100), suppress(LambdacatError):
            await outcome_of(store)

    on_trio(resume)
    with suppress(JournalUnreadable):
        on_trio(lambda: Durable(store).history("r"))


@settings(deadline=None)
@given(st.data())
def test_parts_of_a_header_that_were_changed(data: st.DataObject) -> None:
    """Whoever looks after runs is told, and others are not concerned."""
    interrupted, _, _ = journals()
    parts = json.loads(unsealed(interrupted["_runs"]["r"]))
    store = store_of(interrupted)
    store._namespaces["_runs"]["r"] = _bytes(data.draw(edited(parts)))
    durable = Durable(store)
    [info] = on_trio(durable.runs)
    if info.status == "unreadable":
        with pytest.raises(JournalUnreadable) as caught:
            on_trio(lambda: durable.info("r"))
        assert info.problem == str(caught.value)
    assert on_trio(durable.compact) in (0, len(interrupted["_j"]))


BAD_RECORDS: dict[str, Callable[[list[Any]], Any]] = {
    "an unknown kind": lambda parts: ["z", *parts[1:]],
    "a kind that is no text": lambda parts: [["a"], *parts[1:]],
    "an unknown fate": lambda parts: ["d", parts[1], ["Timeout", {"seconds": 2}], "z"],
    "two fates of one plan": lambda parts: ["d", parts[1], ["Timeout", {"seconds": 2}], "aa"],
    "a beginning at no time": lambda parts: ["s", parts[1], ["Sleep", {"seconds": 2}], "soon"],
    "a sleep without an end": lambda parts: ["s", parts[1], ["Sleep", {"seconds": 2}], None],
    "an effect without fields": lambda parts: [parts[0], parts[1], ["CallTool"], parts[3]],
    "an error that is none": lambda parts: ["e", *parts[1:3], "it failed"],
    "no place": lambda parts: [parts[0], "", *parts[2:]],
    "a place below zero": lambda parts: [parts[0], "-1", *parts[2:]],
    "a place like no other": lambda parts: [parts[0], "1_0", *parts[2:]],
    "a change that is neither old nor new": lambda parts: ["p", *parts[1:3], 1],
    "too short": lambda parts: parts[:3],
    "too long": lambda parts: [*parts, 0, 0],
    "after no number": lambda parts: [*parts, "0"],
}


@pytest.mark.parametrize("damage", BAD_RECORDS)
async def test_a_record_that_is_json_and_no_record(damage: str) -> None:
    """Run and record are named, and nothing is changed."""
    interrupted, _, _ = journals()
    key = sorted(interrupted["_j"])[0]
    store = store_of(interrupted)
    parts = json.loads(unsealed(interrupted["_j"][key], "r"))
    store._namespaces["_j"][key] = _bytes(BAD_RECORDS[damage](parts), "r")
    before = contents(store)
    for asking in (outcome_of(store), Durable(store).history("r")):
        with pytest.raises(JournalUnreadable, match=r"^record 0 of the run 'r' cannot be read .*is damaged"):
            await asking
    assert {**contents(store), "_fences": 0, "_leases": 0} == {**before, "_fences": 0, "_leases": 0}


BAD_HEADERS: dict[str, dict[str, Any]] = {
    "a number that is text": {"number": "1"},
    "a number that is a truth": {"number": True},
    "a generation below zero": {"generation": -1},
    "an outcome that is no list": {"status": "succeeded", "outcome": "it"},
    "two outcomes": {"status": "succeeded", "outcome": [1, 2]},
    "no outcome": {"status": "succeeded"},
    "an outcome of a run that goes on": {"outcome": [1]},
    "an unknown status": {"status": "asleep"},
    "the id of another run": {"run_id": "s"},
    "arguments that are none": {"arguments": [1]},
    "a plan that is none": {"plan": None},
    "a beginning that is none": {"began": ["it"]},
    "a time that is text": {"created": "today"},
    "a note that is none": {"note": 3},
    "records below zero": {"records": -1},
}


@pytest.mark.parametrize("damage", BAD_HEADERS)
async def test_a_header_that_is_json_and_no_header(damage: str) -> None:
    """It is named wherever it is asked for, and does not keep anybody from other runs."""
    store = store_of(journals()[0])
    durable, world = Durable(store), World(store)
    await interrupted_at(durable, world, 1, "other", plans.in_turn, 2)
    header = Header.decode("r", store._namespaces["_runs"]["r"])
    store._namespaces["_runs"]["r"] = attrs.evolve(header, **BAD_HEADERS[damage]).encode()
    for asking in (durable.info, durable.history, durable.cancel, durable.questions, durable.forget):
        with pytest.raises(
            JournalUnreadable, match=r"^the header of the run 'r' cannot be read .*is damaged"
        ):
            await asking("r")
    assert [(info.run_id, info.status) for info in await durable.runs()] == [
        ("other", "interrupted"),
        ("r", "unreadable"),
    ]
    outcomes = await durable.resume_all(handlers=world.handlers)
    assert isinstance(outcomes["r"], Err)
    assert isinstance(outcomes["r"].error, JournalUnreadable)
    assert outcomes["other"].unwrap() == ["got item 0", "got item 1"]
    assert await durable.compact() == 2


# Records that are not there


@pytest.mark.parametrize("number", range(6))
async def test_a_record_that_is_missing(number: int) -> None:
    """Between others: an effect would be repeated that was answered."""
    store = store_of(journals()[0])
    del store._namespaces["_j"][sorted(store._namespaces["_j"])[number]]
    before = contents(store)
    for asking in (outcome_of(store), Durable(store).history("r")):
        with pytest.raises(JournalUnreadable, match=f"record {number} of the run 'r' is missing"):
            await asking
    assert contents(store)["_j"] == before["_j"]
    assert contents(store)["_runs"] == before["_runs"]


async def test_the_last_records_of_a_run_that_waits() -> None:
    """How many there are is known since it was suspended."""
    store = InMemoryStore()
    durable, world = Durable(store), World(store)
    with pytest.raises(RunSuspended):
        await durable.run("r", plans.approval, "it", handlers=world.handlers)
    [key] = store._namespaces["_j"]
    del store._namespaces["_j"][key]
    with pytest.raises(JournalUnreadable, match=r"record 0 of the run 'r' is missing, of 1"):
        await durable.resume("r", handlers=world.handlers)


async def test_a_place_that_is_told_of_twice() -> None:
    """No effect is answered a second time."""
    store = store_of(journals()[0])
    keys = sorted(store._namespaces["_j"])
    number = int(keys[-1].rpartition(".")[2], 16) + 1
    again = f"{keys[-1].rpartition('.')[0]}.{number:08x}"
    store._namespaces["_j"][again] = store._namespaces["_j"][keys[0]]
    with pytest.raises(JournalUnreadable, match=f"record {number} of the run 'r' tells of 1 a second time"):
        await outcome_of(store)


@pytest.mark.parametrize("key", ["1.0.x", "1.0.1", "1.x.00000000", "1.7.00000000", "1."])
async def test_a_record_under_a_key_that_is_none(key: str) -> None:
    """Or of a generation that the run has not come to: nothing is removed."""
    store = store_of(journals()[0])
    store._namespaces["_j"][key] = store._namespaces["_j"][min(store._namespaces["_j"])]
    before = contents(store)
    with pytest.raises(JournalUnreadable, match="of the run 'r' "):
        await outcome_of(store)
    assert contents(store)["_j"] == before["_j"]


async def test_a_clean_up_of_which_nothing_is_known(
    autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that was over: under its shield nobody would ever cancel it, so it is refused."""
    monkeypatch.setattr(plans, "CLEANING_UP", ["one", "other"])
    store = InMemoryStore()
    durable, world = Durable(store), World(store)
    await interrupted_at(durable, world, 6, "r", plans.losing)
    for key, data in store._namespaces["_j"].items():
        record = Record.decode("r", data)
        if record.data == "took back one":
            record.place = (9,)
            await store.put("_j", key, record.encode("r"))
            break
    with pytest.raises(
        NondeterminismError, match=r"at 1.0.2.1:\n.*nothing that could be cancelled.*\n.*'one'"
    ):
        await durable.resume("r", handlers=world.handlers)


class Reordering(InMemoryStore):
    """A store in which the first answer is not written before the process dies, and others are."""

    def __init__(self) -> None:
        super().__init__()
        self.died = trio.Event()
        self.held = False

    async def batch(self, changes: Any) -> bool:
        answers = any(isinstance(change, Put) and b'"got ' in change.value for change in changes)
        if answers and not self.held:
            self.held = True
            await self.died.wait()
        return await super().batch(changes)


async def test_writes_of_branches_that_come_in_another_order() -> None:
    """A record may be there without the one before it, if the process dies then: the other effect is in flight."""
    store = Reordering()
    async with trio.open_nursery() as nursery:
        world = World(store)
        durable = Durable(store)
        nursery.start_soon(lambda: durable.run("r", plans.first_and_second, handlers=world.handlers))
        await trio.testing.wait_all_tasks_blocked()
        left = store_of(contents(store))
        store.died.set()
        nursery.cancel_scope.cancel()
    records = {key: Record.decode("r", data) for key, data in left._namespaces["_j"].items()}
    numbers = sorted(int(key.rpartition(".")[2], 16) for key in records)
    assert numbers != list(range(len(numbers)))
    world = World(left)
    assert await Durable(left).resume("r", handlers=world.handlers) == ("got first", "got second")
    [there] = [record.data.removeprefix("got ") for record in records.values()]
    assert world.texts == [f"fetch('{'second' if there == 'first' else 'first'}')"]
    assert sorted(step.place for step in await Durable(left).history("r")) == ["1", "1.0.1", "1.1.1"]
    keys = sorted(left._namespaces["_j"])
    assert [int(key.rpartition(".")[2], 16) for key in keys] == list(range(len(keys)))


# What can be done about it


async def test_a_run_that_cannot_be_read_is_forgotten() -> None:
    """With force: its records go, too, and no other's."""
    store = store_of(journals()[0])
    durable, world = Durable(store), World(store)
    await interrupted_at(durable, world, 2, "other", plans.in_turn, 3)
    others = {key for key in store._namespaces["_j"] if key.startswith("2.")}
    await store.put("_runs", "r", b"{}")
    with pytest.raises(JournalUnreadable, match=r"`forget` the run with `force=True`"):
        await durable.forget("r")
    await durable.forget("r", force=True)
    assert set(store._namespaces["_j"]) == others
    assert [info.run_id for info in await durable.runs()] == ["other"]
    assert len(await durable.resume("other", handlers=world.handlers)) == 3
    with pytest.raises(UnknownRun):
        await durable.forget("r", force=True)


async def test_of_two_that_cannot_be_read_the_second_takes_the_records() -> None:
    """Nobody knows whose they are before."""
    store = store_of(journals()[0])
    durable, world = Durable(store), World(store)
    await interrupted_at(durable, world, 2, "other", plans.in_turn, 3)
    kept = len(store._namespaces["_j"])
    for run_id in ("r", "other"):
        await store.put("_runs", run_id, b"{}")
    await durable.forget("r", force=True)
    assert len(store._namespaces["_j"]) == kept
    await durable.forget("other", force=True)
    assert not store._namespaces.get("_j")


async def test_a_run_whose_lease_cannot_be_read_is_forgotten() -> None:
    """Who may perform it writes nothing any more. It is listed until then, and why."""
    store = store_of(journals()[0])
    durable = Durable(store)
    await store.put("_leases", "r", b"soon")
    [info] = await durable.runs()
    assert info.status == "unreadable"
    assert "the lease of the run 'r' cannot be read" in str(info.problem)
    await durable.forget("r", force=True)
    assert await durable.runs() == []
    assert not store._namespaces.get("_j")


async def test_a_run_that_cannot_be_read_and_is_performed() -> None:
    """Is not forgotten meanwhile."""
    store = InMemoryStore()
    durable, world = Durable(store), World(store)
    async with trio.open_nursery() as nursery:
        world.stop_at, world.how = 1, lambda: None
        nursery.start_soon(lambda: durable.run("r", plans.in_turn, 1, handlers=world.handlers))
        await trio.testing.wait_all_tasks_blocked()
        await store.put("_runs", "r", b"{}")
        with pytest.raises(RunInUse, match="is being performed by this process"):
            await durable.forget("r", force=True)
        nursery.cancel_scope.cancel()


async def test_a_number_that_was_changed() -> None:
    """No new run writes over the journal of another."""
    store = store_of(journals()[0])
    data = store._namespaces["_numbers"]["runs"]
    store._namespaces["_numbers"]["runs"] = data.replace(b"[1", b"[0")
    with pytest.raises(JournalUnreadable, match="the number of the last run of this store cannot be read"):
        await Durable(store).run("s", plans.in_turn, 1, handlers=World(store).handlers)


def test_errors_are_ours() -> None:
    """Both are what a caller may expect of a journal that does not fit."""
    assert issubclass(JournalUnreadable, LambdacatError)
    assert issubclass(NondeterminismError, LambdacatError)
