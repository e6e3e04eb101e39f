"""Runs that are kept: performed, resumed, looked at, cancelled, compacted, forgotten."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import durable_plans as plans
import pytest
import trio
from durable_plans import Broken, Died, World, die, interrupted_at

from lambdacat_effects import (
    CallTool,
    Durable,
    Err,
    Ok,
    RunInfo,
    ambient,
    answer_tools,
    in_memory,
    recall,
    store_memory,
)
from lambdacat_effects.errors import (
    InvalidArgument,
    RecordedError,
    RunCancelled,
    RunInUse,
    RunSuspended,
    UnknownRun,
)
from lambdacat_effects.journal import idempotency_key
from lambdacat_effects.runtime.events import Answered, Event
from lambdacat_effects.storage import InMemoryStore, LmdbStore, Store
from lambdacat_effects.testing import simulate

# run


async def test_a_run_answers_what_its_plan_answers(store: Store) -> None:
    """As without a journal."""
    world = World(store)
    assert await Durable(store).run("r", plans.in_turn, 2, handlers=world.handlers) == [
        "got item 0",
        "got item 1",
    ]
    assert world.texts == ["fetch('item 0')", "fetch('item 1')"]


async def test_a_run_raises_what_its_plan_raises(store: Store) -> None:
    """Errors of a user's class with their attributes; a second time from the journal, equally."""
    world, durable = World(store), Durable(store)
    for asking in (
        lambda: durable.run("r", plans.failing_at_once, handlers=world.handlers),
        lambda: durable.resume("r", handlers=ambient),
    ):
        with pytest.raises(Broken, match="at once") as caught:
            await asking()
        assert caught.value.code == 7
    assert (await durable.info("r")).status == "failed"
    assert len(world.calls) == 1


async def test_an_id_is_taken_once(store: Store) -> None:
    """By a run that has ended, and by one that has not; the message says what to do."""
    world, durable = World(store), Durable(store)
    await durable.run("r", plans.in_turn, 1, handlers=world.handlers)
    with pytest.raises(
        RunInUse, match=r"'r' already, of durable_plans:in_turn, which has succeeded: `forget` it"
    ):
        await durable.run("r", plans.in_turn, 1, handlers=world.handlers)
    await interrupted_at(durable, world, 1, "s", plans.in_turn, 1)
    with pytest.raises(RunInUse, match="which has not ended: `resume` it"):
        await durable.run("s", plans.in_turn, 1, handlers=world.handlers)
    assert len(world.calls) == 2


async def test_a_run_keeps_its_note_and_its_name(store: Store) -> None:
    """Paths begin with the run's id."""
    heard: list[Event] = []
    durable = Durable(store)
    await durable.run(
        "r", plans.in_turn, 1, handlers=World(store).handlers, note="for Ann", listen=heard.append
    )
    info = await durable.info("r")
    assert (info.note, info.plan, info.generation, info.ended) == (
        "for Ann",
        "durable_plans:in_turn",
        0,
        True,
    )
    assert {event.path[0] for event in heard} == {"r"}


async def test_a_path_opens_a_store_of_its_own(tmp_path: Path) -> None:
    """`Durable(path)` keeps runs where `lmdb_memory` keeps memory, in one transaction."""
    durable = Durable(tmp_path)
    async with LmdbStore(tmp_path) as store:
        world = World(store)
        assert await durable.run("r", plans.counted, "count", "n", handlers=world.handlers) == 1
    assert [info.run_id for info in await Durable(str(tmp_path)).runs()] == ["r"]
    async with durable, LmdbStore(tmp_path) as store:
        assert await durable.resume("r", handlers=ambient) == 1
        assert await store_memory(store).run(recall("count", "n", as_type=int)) == 1


# resume


async def test_a_run_goes_on_where_it_was_interrupted(store: Store) -> None:
    """Interrupted at each of its calls: those before are not repeated, and that one has its key again."""
    for number in range(1, 5):
        world, durable = World(store), Durable(store)
        await interrupted_at(durable, world, number, f"r{number}", plans.in_turn, 4)
        assert (await durable.info(f"r{number}")).status == "interrupted"
        answer = await durable.resume(f"r{number}", handlers=world.handlers)
        assert answer == [f"got item {i}" for i in range(4)]
        in_flight = (f"r{number}:{number}.0:{number}", f"fetch('item {number - 1}')")
        assert world.counts == {
            **{(f"r{number}:{number}.0:{i + 1}", f"fetch('item {i}')"): 1 for i in range(4)},
            in_flight: 2,
        }


async def test_a_run_goes_on_after_its_process_died(store: Store) -> None:
    """Nothing was written when it died, not even that its lease is free."""
    world, durable = World(store, stop_at=3, how=die), Durable(store)
    with pytest.raises(Died):
        await durable.run("r", plans.in_turn, 3, handlers=world.handlers)
    assert (await durable.info("r")).status == "interrupted"
    world.stop_at = None
    assert len(await durable.resume("r", handlers=world.handlers)) == 3
    assert len(world.calls) == 4


async def test_resuming_an_ended_run_answers_its_outcome(store: Store) -> None:
    """Without performing anything, or needing any handler."""
    world, durable = World(store), Durable(store)
    answer = await durable.run("r", plans.within_others, handlers=world.handlers)
    again = await durable.resume("r", handlers=ambient)
    assert repr(again) == repr(answer)
    assert again[6].error.code == answer[6].error.code == 7


async def test_resume_makes_the_plan_by_another_function(store: Store) -> None:
    """`make=`, for a function that has moved."""
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 2, "r", plans.in_turn, 3)
    found: list[int] = []

    def moved(n: int) -> Any:
        found.append(n)
        return plans.in_turn(n)

    assert len(await durable.resume("r", handlers=world.handlers, make=moved)) == 3
    assert found == [3]


async def test_resuming_what_is_not_there(store: Store) -> None:
    with pytest.raises(UnknownRun, match=r"no run 'r' in this store: see `Durable\.runs\(\)`"):
        await Durable(store).resume("r", handlers=ambient)


async def test_resume_all_resumes_what_can_go_on(store: Store) -> None:
    """All at the same time; runs that wait for an answer, or have ended, are left alone."""
    world, durable = World(store), Durable(store)
    await durable.run("ended", plans.in_turn, 1, handlers=world.handlers)
    await interrupted_at(durable, world, 1, "a", plans.in_turn, 2)
    await interrupted_at(durable, world, 1, "b", plans.failing_at_once)
    for run_id in ("asking", "answered"):
        with pytest.raises(RunSuspended):
            await durable.run(run_id, plans.approval, "it", handlers=world.handlers)
    await durable.answer("answered", False)
    seen: list[str] = []

    def handlers(info: RunInfo) -> Any:
        seen.append(info.run_id)
        return world.handlers

    outcomes = await durable.resume_all(handlers=handlers)
    assert sorted(seen) == ["a", "answered", "b"]
    assert outcomes["a"] == Ok(["got item 0", "got item 1"])
    assert outcomes["answered"] == Ok("not sent")
    assert isinstance(outcomes["b"], Err)
    assert isinstance(outcomes["b"].error, Broken)
    assert set(outcomes) == {"a", "b", "answered"}
    assert await durable.resume_all(handlers=world.handlers) == {}


async def test_resume_all_leaves_what_is_being_performed() -> None:
    """A run that somebody performs is no concern of others."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: durable.run("r", plans.cleaning_up, handlers=world.handlers))
        await trio.testing.wait_all_tasks_blocked()
        assert (await durable.info("r")).status == "running"
        assert await durable.resume_all(handlers=world.handlers) == {}
        nursery.cancel_scope.cancel()


# prepared


def test_a_prepared_run_is_performed_by_any_runner() -> None:
    """New or resumed: `run_pure`, a simulation, and Trio go on with each other's runs."""
    store = InMemoryStore()
    durable, world = Durable(store), World(store)
    pure = answer_tools({plans.fetch: lambda what: f"got {what}"}) | store_memory(store)
    plan, handlers = durable.prepared("p", plans.in_turn, 2, handlers=pure)
    assert handlers.run_pure(plan) == ["got item 0", "got item 1"]
    report = simulate(lambda: durable.prepared("p", plans.in_turn, 2, handlers=ambient))
    assert report.value == ["got item 0", "got item 1"]
    trio.run(interrupted_at, durable, world, 2, "t", plans.in_turn, 3)
    plan, handlers = durable.prepared("t", plans.in_turn, 3, handlers=pure)
    assert len(handlers.run_pure(plan)) == 3
    assert trio.run(durable.info, "t").status == "succeeded"


# cancel


async def test_a_run_is_cancelled_where_it_is_performed(autojump_clock: Any) -> None:
    """Its clean-up is done, and is in its history; then it has ended."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    with pytest.raises(RunCancelled, match="the run 'r' was cancelled"):
        async with _performing(durable, world, "r", plans.cleaning_up):
            await durable.cancel("r")
    assert world.texts == ["fetch('the lock')", "wait_for_ever('something')", "undo('the lock')"]
    assert (await durable.info("r")).status == "cancelled"
    assert [step.what for step in await durable.history("r")] == ["answered", "cancelled", "answered"]
    with pytest.raises(RunCancelled):
        await durable.resume("r", handlers=ambient)
    await durable.cancel("r")
    assert (await durable.info("r")).status == "cancelled"


@asynccontextmanager
async def _performing(
    durable: Durable, world: World, run_id: str, make: Any, *args: Any
) -> AsyncGenerator[None, None]:
    failed: list[Exception] = []

    async def perform() -> None:
        try:
            await durable.run(run_id, make, *args, handlers=world.handlers)
        except Exception as error:
            failed.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(perform)
        await trio.testing.wait_all_tasks_blocked()
        yield
    if failed:
        raise failed[0]


async def test_a_run_is_cancelled_when_it_is_resumed(store: Store) -> None:
    """Where it was: effects that were answered are not repeated, those in flight are not begun again."""
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 2, "r", plans.cleaning_up)
    await durable.cancel("r")
    assert (await durable.info("r")).status == "interrupted"
    with pytest.raises(RunCancelled):
        await durable.resume("r", handlers=world.handlers)
    assert world.texts == ["fetch('the lock')", "wait_for_ever('something')", "undo('the lock')"]


async def test_a_suspended_run_is_cancelled(store: Store) -> None:
    """What it asks is asked no more."""
    world, durable = World(store), Durable(store)
    with pytest.raises(RunSuspended):
        await durable.run("r", plans.approval, "it", handlers=world.handlers)
    await durable.cancel("r")
    with pytest.raises(RunCancelled):
        await durable.resume("r", handlers=world.handlers)
    info = await durable.info("r")
    assert (info.status, info.questions) == ("cancelled", ())


async def test_cancelling_what_is_not_there() -> None:
    with pytest.raises(UnknownRun):
        await Durable(InMemoryStore()).cancel("r")


# runs, info, history


async def test_runs_are_listed_as_they_began(store: Store) -> None:
    """The oldest first, whatever they are called."""
    world, durable = World(store), Durable(store)
    for run_id in ("b", "a", "ü\n", "c" * 300):
        await durable.run(run_id, plans.in_turn, 1, handlers=world.handlers)
    listed = await durable.runs()
    assert [info.run_id for info in listed] == ["b", "a", "ü\n", "c" * 300]
    assert [info.created for info in listed] == sorted(info.created for info in listed)
    assert all(info.created <= info.changed and info.status == "succeeded" for info in listed)


async def test_history_tells_what_was_done(autojump_clock: Any) -> None:
    """In the order it happened: answers, errors, sleeps, decisions, cancellations."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    assert await durable.run("r", plans.either, 5, 2, handlers=world.handlers) == "got quick"
    steps = await durable.history("r")
    assert [(step.place, step.what) for step in steps if step.effect != "Sleep(seconds=5)"] == [
        ("1.0.1", "answered"),
        ("1.1.1", "answered"),
        ("1.1.2", "began"),
        ("1.1.2", "answered"),
        ("1.1.3", "answered"),
        ("1", "decided"),
        ("1.0.3", "answered"),
        ("1", "ended"),
    ] or [(step.place, step.what) for step in steps]
    by_place = {(step.place, step.what): step for step in steps}
    assert by_place["1.1.3", "answered"].outcome == "got quick"
    assert by_place["1", "ended"].outcome == ["cancelled", "won"]
    assert str(by_place["1.1.3", "answered"]) == "1.1.3        fetch(what='quick'): 'got quick'"
    with pytest.raises(UnknownRun):
        await durable.history("s")


async def test_history_of_errors_is_readable(store: Store) -> None:
    world, durable = World(store), Durable(store)
    with pytest.raises(Broken):
        await durable.run("r", plans.failing_at_once, handlers=world.handlers)
    [step] = await durable.history("r")
    assert (step.what, type(step.outcome), step.outcome.code) == ("failed", Broken, 7)


# compact, forget


async def test_compaction_keeps_outcomes(store: Store) -> None:
    """Of runs that have ended, the journal goes, and the answer stays; others are untouched."""
    world, durable = World(store), Durable(store)
    await durable.run("a", plans.in_turn, 3, handlers=world.handlers)
    await durable.run("b", plans.in_turn, 2, handlers=world.handlers)
    await interrupted_at(durable, world, 3, "c", plans.in_turn, 3)
    assert await durable.compact("b") == 2
    assert await durable.compact() == 3
    assert await durable.compact() == 0
    assert await durable.history("a") == []
    assert await durable.resume("a", handlers=ambient) == ["got item 0", "got item 1", "got item 2"]
    assert len(await durable.history("c")) == 2
    assert await durable.compact("c") == 0
    assert len(await durable.resume("c", handlers=world.handlers)) == 3
    with pytest.raises(UnknownRun):
        await durable.compact("d")


async def test_a_forgotten_run_leaves_nothing(store: Store) -> None:
    """Its id is free; of one that has not ended, this is refused."""
    world, durable = World(store), Durable(store)
    spaces = ("_runs", "_j", "_fences", "_leases", "_answers", "_questions", "_cancels")
    await durable.run("r", plans.in_turn, 2, handlers=world.handlers)
    with pytest.raises(RunSuspended):
        await durable.run("s", plans.approval, "it", handlers=world.handlers)
    await durable.forget("r")
    with pytest.raises(RunInUse, match="has not ended: cancel it first, and resume it"):
        await durable.forget("s")
    await durable.cancel("s")
    with pytest.raises(RunCancelled):
        await durable.resume("s", handlers=world.handlers)
    await durable.forget("s")
    assert [await store.scan(space) for space in spaces] == [[] for _ in spaces]
    with pytest.raises(UnknownRun):
        await durable.info("r")
    assert len(await durable.run("r", plans.in_turn, 1, handlers=world.handlers)) == 1


# listeners, keys


async def test_a_listener_of_a_resumed_run_hears_all_of_it(store: Store) -> None:
    """What was answered before is told again, at the time it is fed to the plan: reports are of the whole run."""
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 2, "r", plans.in_turn, 3)
    heard: list[Event] = []
    await durable.resume("r", handlers=world.handlers, listen=heard.append)
    answered = [str(event.what) for event in heard if isinstance(event, Answered) and len(event.path) == 2]
    assert answered == [f"fetch('item {i}')" for i in range(3)]


async def test_outside_a_durable_run_there_is_no_key() -> None:
    assert idempotency_key() is None
    world = World(InMemoryStore())
    await world.handlers.run(plans.in_turn(1))
    assert world.calls == [("None", "fetch('item 0')")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"store": ""}, "an empty path"),
        ({"lease": 0}, "lease is a number of seconds, more than 0; got 0"),
        ({"lease": float("nan")}, "lease"),
        ({"most_bytes": 0}, "most_bytes is a number of bytes, at least 1; got 0"),
    ],
)
def test_arguments_are_checked_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        Durable(**{"store": InMemoryStore(), **arguments})


async def test_an_error_whose_class_is_gone_is_told_by_its_name() -> None:
    """As `RecordedError`, with the name and the message."""
    store = InMemoryStore()
    durable = Durable(store)

    class Local(Exception):
        pass

    async def failing(_call: Any) -> Any:
        raise Local("here")

    with pytest.raises(Local):
        await durable.run("r", plans.in_turn, 1, handlers=CallTool.by(failing))
    with pytest.raises(RecordedError, match="Local was recorded here, which cannot be imported: here"):
        await durable.resume("r", handlers=in_memory())
