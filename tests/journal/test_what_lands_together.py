"""What a durable run writes, when several things happen at once: nothing is done before what it follows from is in
the store, nothing is lost on the way, and who has lost the run writes nothing any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import trio

from lambdacat_effects import (
    Durable,
    Plan,
    Sleep,
    ambient,
    ask,
    call_tools,
    continue_as_new,
    parallel,
    race,
    recall,
    recall_marked,
    remember,
    remember_unless_changed,
    shielded,
    store_memory,
    timeout,
    tool,
)
from lambdacat_effects.errors import LeaseLost, NondeterminismError, RunCancelled, RunInUse, RunSuspended
from lambdacat_effects.journal.records import ANSWERS, ENTRIES, FENCES, NUMBERS, RUNS, Header, Kind, Record
from lambdacat_effects.storage import InMemoryStore, Put
from lambdacat_effects.storage.port import Change

Contents = dict[str, dict[str, bytes]]


class Watched(InMemoryStore):
    """A store that can be looked into."""

    def contents(self) -> Contents:
        return {space: dict(values) for space, values in self._namespaces.items()}

    def records(self) -> list[Record]:
        return [Record.decode("r", data) for _, data in sorted(self.contents().get(ENTRIES, {}).items())]

    def cancelled(self) -> list[str]:
        """The effects that are known to have been cancelled."""
        return [record.text() for record in self.records() if record.kind is Kind.CANCELLED]


def written(changes: Sequence[Change]) -> list[Record]:
    """The records among some changes."""
    return [
        Record.decode("r", put.value) for put in changes if isinstance(put, Put) and put.namespace == ENTRIES
    ]


async def without_its_end(store: Watched) -> None:
    """As after a crash before the end of a run was written."""
    data = await store.get(RUNS, "r")
    assert data is not None
    header = attrs.evolve(Header.decode("r", data), status="running", outcome=None, records=0)
    await store.put(RUNS, "r", header.encode())


async def replayed(store: Watched) -> Any:
    """What a run comes to that is performed once more from its journal alone."""
    await without_its_end(store)
    return await Durable(store).resume("r", handlers=ambient)


_seen: dict[str, list[str]] = {}
_store = Watched()


@tool
async def fetch(what: str) -> str:
    return f"got {what}"


@tool
async def stubborn(seconds: float) -> None:
    """Takes a while to end."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(seconds)


@tool
async def clean(what: str) -> None:
    _seen[what] = _store.cancelled()


# Cancellations that another branch writes


class Slow(Watched):
    """Takes long to write what has `stubborn(seconds=1)` in it."""

    async def batch(self, changes: Sequence[Change]) -> bool:
        if any(record.text() == "stubborn(seconds=1)" for record in written(changes)):
            with trio.CancelScope(shield=True):
                await trio.sleep(100)
        return await super().batch(changes)


def cleaned(what: str, plan: Any) -> Plan[Any, Any]:
    try:
        return (yield from plan)
    finally:
        yield from shielded(clean(what))


def cancelled_together() -> Plan[Any, Any]:
    two = parallel(stubborn(0), stubborn(5))
    try:
        yield from timeout(5, parallel(cleaned("one", stubborn(1)), cleaned("two", two)))
    except TimeoutError:
        return "too late"


async def test_a_branch_goes_on_when_its_cancellation_is_in_the_store(
    autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another branch is writing it, with its own."""
    store = Slow()
    monkeypatch.setitem(globals(), "_store", store)
    _seen.clear()
    handlers = call_tools(stubborn, clean)
    assert await Durable(store).run("r", cancelled_together, handlers=handlers) == "too late"
    assert "stubborn(seconds=1)" in _seen["one"]
    assert {"stubborn(seconds=0)", "stubborn(seconds=5)"} <= set(_seen["two"])


# Conditions that are not met


class Changing(Watched):
    """Somebody else changes `m/k` once, just before the run does."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[list[str]] = []

    async def batch(self, changes: Sequence[Change]) -> bool:
        mine = any(isinstance(put, Put) and (put.namespace, put.key) == ("m", "k") for put in changes)
        if mine and not self.refused:
            await super().batch([Put("m", "k", b"1")])
        made = await super().batch(changes)
        if not made:
            self.refused.append([record.text() for record in written(changes)])
        return made


def slowly(effect: Any) -> Plan[Any, Any]:
    """What was asked has happened, and its answer takes a while."""
    answer = yield from effect
    yield from Sleep(5)
    return answer


def after_a_call() -> Plan[Any, Any]:
    yield from fetch("it")
    yield from stubborn(5)


def one_after_the_other() -> Plan[Any, Any]:
    try:
        yield from timeout(8, parallel(stubborn(0), after_a_call()))
    except TimeoutError:
        return "too late"


def on_a_condition() -> Plan[Any, Any]:
    while True:
        found = yield from recall_marked("m", "k", as_type=int)
        if (yield from remember_unless_changed("m", "k", 2, since=found.mark)) is not None:
            return "changed"


def with_a_condition() -> Plan[Any, Any]:
    return list((yield from parallel(one_after_the_other(), on_a_condition())))


async def test_what_was_to_be_written_with_a_condition_is_written_if_it_is_not_met(
    autojump_clock: Any,
) -> None:
    """Cancellations that went along go with the next write; and the records are numbered without a gap."""
    store = Changing()
    handlers = call_tools(fetch, stubborn) | store_memory(store).behind(slowly)
    outcome = await Durable(store).run("r", with_a_condition, handlers=handlers)
    assert outcome == ["too late", "changed"]
    assert any("stubborn(seconds=0)" in texts for texts in store.refused)
    assert sorted(store.cancelled()).count("stubborn(seconds=0)") == 1
    numbers = [int(key.rpartition(".")[2], 16) for key in store.contents()[ENTRIES]]
    assert sorted(numbers) == list(range(len(numbers)))
    assert await replayed(store) == outcome


def too_slow_for_its_condition() -> Plan[Any, Any]:
    found = yield from recall_marked("m", "k", as_type=int)
    try:
        yield from timeout(3, remember_unless_changed("m", "k", 2, since=found.mark))
    except TimeoutError:
        return "too late"


async def test_what_was_to_be_changed_on_a_condition_is_not_if_it_is_cancelled(autojump_clock: Any) -> None:
    """Nobody looks any more whether the condition is met: so what somebody else has changed since stays."""
    store = Watched()

    async def somebody_else() -> None:
        await trio.sleep(7)  # in the midst of the five seconds that the change takes
        await store.put("m", "k", b"1")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(somebody_else)
        handlers = store_memory(store).behind(slowly)
        outcome = await Durable(store).run("r", too_slow_for_its_condition, handlers=handlers)
    assert outcome == "too late"
    assert await store.get("m", "k") == b"1"


# Runs that continue as new


def forgetful() -> Plan[Any, Any]:
    with trio.move_on_after(2):
        yield from remember("m", "k", 1)
    yield from continue_as_new(remembering)


def remembering() -> Plan[Any, Any]:
    return (yield from recall("m", "k", as_type=int))


async def test_what_a_cancelled_effect_has_changed_is_there_when_a_run_continues_as_new(
    autojump_clock: Any,
) -> None:
    """It was cancelled after it had happened, and nothing was written since."""
    store = Watched()
    handlers = store_memory(store).behind(slowly)
    assert await Durable(store).run("r", forgetful, handlers=handlers) == 1


# Runs that have stopped


@tool
async def steady(seconds: float) -> str:
    """Is not disturbed."""
    with trio.CancelScope(shield=True):
        await trio.sleep(seconds)
    return "done"


def two(what: str) -> Plan[Any, Any]:
    return list((yield from parallel(steady(5), fetch(what))))


def changed(_what: str) -> Plan[Any, Any]:
    return two("something else")


async def test_what_is_answered_after_a_run_has_stopped_is_not_written(autojump_clock: Any) -> None:
    """A branch of a plan that has changed ends late: the journal is as it was, for the plan it belongs to."""
    for _ in range(12):  # Trio draws which branch goes first
        store = Watched()
        durable, handlers = Durable(store), call_tools(fetch, steady)
        await durable.run("r", two, "it", handlers=handlers)
        assert store.records()[-1].text() == "steady(seconds=5)"
        await store.delete(ENTRIES, max(store.contents()[ENTRIES]))
        await without_its_end(store)
        before = store.records()
        with pytest.raises(NondeterminismError):
            await durable.resume("r", handlers=handlers, make=changed)
        assert store.records() == before
        assert await durable.resume("r", handlers=handlers) == ["done", "got it"]


@tool
async def wait_for_ever() -> None:
    await trio.sleep_forever()


def stubborn_in_the_end() -> Plan[Any, Any]:
    try:
        yield from wait_for_ever()
    except BaseException:
        yield from continue_as_new(remembering)


async def test_a_run_that_has_stopped_does_not_continue_as_new(autojump_clock: Any) -> None:
    """Its clean-up is no part of it: it goes on where it was when it is resumed."""
    store = Watched()
    handlers = call_tools(wait_for_ever) | store_memory(store)
    with trio.move_on_after(5):
        await Durable(store).run("r", stubborn_in_the_end, handlers=handlers)
    info = await Durable(store).info("r")
    assert (info.status, info.generation) == ("interrupted", 0)


# Runs that have ended


def asking_in_vain() -> Plan[Any, Any]:
    answer = yield from ask("Now?")
    yield from race(ask("Or then?"), Sleep(2))
    yield from wait_for_ever()
    return answer


async def test_nothing_but_its_journal_is_left_of_a_run_that_has_ended(autojump_clock: Any) -> None:
    """No question, no answer, no cancellation, no lease."""
    store = Watched()
    durable, handlers = Durable(store), call_tools(wait_for_ever)
    with pytest.raises(RunSuspended):
        await durable.run("r", asking_in_vain, handlers=handlers)
    await durable.answer("r", "yes")
    with trio.move_on_after(10):
        await durable.resume("r", handlers=handlers)
    assert ANSWERS in store.contents()
    await durable.cancel("r")
    with pytest.raises(RunCancelled):
        await durable.resume("r", handlers=handlers)
    assert set(store.contents()) == {RUNS, ENTRIES, FENCES, NUMBERS}


# Runs that begin at one moment


class FarAway(Watched):
    """What it answers is a second old."""

    async def get(self, namespace: str, key: str) -> bytes | None:
        found = await super().get(namespace, key)
        await trio.sleep(1)
        return found


async def test_runs_that_begin_at_one_moment_have_numbers_of_their_own(autojump_clock: Any) -> None:
    """Each in a process of its own: else they would write into one journal."""
    store = FarAway()

    async def begin(run_id: str) -> None:
        await Durable(store).run(run_id, fetch, run_id, handlers=call_tools(fetch))

    async with trio.open_nursery() as nursery:
        for run_id in ("a", "b", "c"):
            nursery.start_soon(begin, run_id)
    headers = [Header.decode(run_id, data) for run_id, data in store.contents()[RUNS].items()]
    assert len({header.number for header in headers}) == 3


async def test_a_run_that_is_begun_and_resumed_at_one_moment_is_performed_once(autojump_clock: Any) -> None:
    """All looked when nobody had it."""
    store = FarAway()
    outcomes: list[str] = []

    async def one(performing: Any) -> None:
        try:
            outcomes.append(await performing)
        except RunInUse:
            outcomes.append("in use")

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(one, Durable(store).run("r", fetch, "it", handlers=call_tools(fetch)))
    assert sorted(outcomes) == ["got it", "in use", "in use"]
    outcomes.clear()
    await without_its_end(store)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(one, Durable(store).resume("r", handlers=call_tools(fetch)))
    assert sorted(outcomes) == ["got it", "in use", "in use"]


# Runs that were lost


def busy(n: int) -> Plan[Any, Any]:
    """Something of everything that is written."""
    yield from parallel(fetch(f"one of {n}"), remember("m", "k", n))
    yield from race(fetch(f"first of {n}"), Sleep(3))
    found = yield from recall_marked("m", "marked", as_type=int)
    yield from remember_unless_changed("m", "marked", n, since=found.mark)
    try:
        yield from timeout(2, Sleep(4))
    except TimeoutError:
        yield from fetch("late")
    if n < 2:
        yield from continue_as_new(busy, n + 1)
    return (yield from recall("m", "k", as_type=int))


class TakenOver(Watched):
    """After so many writes somebody else takes the run over."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.writes = 0
        self.then: Contents | None = None
        self._at = at

    async def batch(self, changes: Sequence[Change]) -> bool:
        made = await super().batch(changes)
        self.writes += 1
        assert self.then is None or self.writes < self._at + 100, "it tries again and again"
        if self.writes == self._at and self._found(FENCES, "r") is not None:
            await super().batch([Put(FENCES, "r", b"1000000000000000000000000")])
            self.then = self.contents()
        return made


async def performed(store: TakenOver) -> str:
    try:
        answer = await Durable(store).run("r", busy, 0, handlers=call_tools(fetch) | store_memory(store))
    except LeaseLost:
        return "lost"
    return f"answered {answer}"


async def test_who_has_lost_a_run_writes_nothing_more(autojump_clock: Any) -> None:
    """At whatever moment somebody else takes it over."""
    whole = TakenOver(-1)
    assert await performed(whole) == "answered 2"
    assert whole.writes > 20
    lost = 0
    for at in range(1, whole.writes + 1):
        store = TakenOver(at)
        lost += await performed(store) == "lost"
        assert store.then in (None, store.contents()), at
    assert lost > whole.writes - 5
