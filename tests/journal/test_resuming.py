"""What a resumed run does: answers are not asked for again, decisions stay, time has gone on, memory changes once."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import combinator_plans as every
import durable_plans as plans
import pytest
import trio
from durable_plans import World, interrupted_at

from lambdacat_effects import (
    CallTool,
    Durable,
    Sleep,
    ambient,
    believe,
    forget,
    idempotency_key,
    observe,
    recall,
    remember,
    store_beliefs,
    store_memory,
)
from lambdacat_effects.errors import RunCancelled
from lambdacat_effects.storage import InMemoryStore, LmdbStore, Store
from lambdacat_effects.testing import simulate


def text_of(answer: object) -> str:
    return repr(answer).split(" at 0x")[0]


@pytest.mark.parametrize(
    ("make", "args", "calls"),
    [
        (plans.in_turn, (5,), 5),
        (plans.within_others, (), 8),
        (plans.flow, ({"text": "cats and dogs"},), 3),
        (plans.counting_together, (3,), 0),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_an_interruption_at_any_call_changes_nothing(
    store: Store, make: Any, args: Any, calls: int
) -> None:
    """The answer is that of a run that was not interrupted, and only the call in flight is repeated."""
    world, durable = World(store), Durable(store)
    answer = await durable.run("whole", make, *args, handlers=world.handlers)
    assert len(world.calls) == calls
    whole = world.texts
    for number in range(1, calls + 1):
        world = World(store)
        await interrupted_at(durable, world, number, f"at {number}", make, *args)
        assert text_of(await durable.resume(f"at {number}", handlers=world.handlers)) == text_of(answer)
        assert world.texts == [*whole[:number], *whole[number - 1 :]]
        assert [n for n in world.counts.values() if n > 1] in ([2], [])
        assert text_of(await durable.resume(f"at {number}", handlers=ambient)) == text_of(answer)


async def test_many_interruptions_of_one_run(store: Store) -> None:
    """At each call once, one after the other."""
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 1, "r", plans.in_turn, 5)
    for number in range(2, 6):
        with trio.CancelScope() as scope:
            world.stop_at, world.how = len(world.calls) + 2, scope.cancel
            await durable.resume("r", handlers=world.handlers)
        assert len(await durable.history("r")) == number - 1
    world.stop_at = None
    assert len(await durable.resume("r", handlers=world.handlers)) == 5
    assert sorted(world.counts.values()) == [2] * 5


async def test_what_every_runner_answers_differently_stays(store: Store) -> None:
    """Time, chance and ids; and notes are not written twice."""
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 1, "r", plans.ambient_ones)
    first = [step.outcome for step in await durable.history("r")]
    answer = await durable.resume("r", handlers=world.handlers)
    assert answer[:3] == first
    assert len({*first}) == 3


async def test_a_note_is_written_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    world, durable = World(store), Durable(store)
    caplog.set_level("INFO", "lambdacat_effects")
    await interrupted_at(durable, world, 1, "r", plans.noting)
    assert [record.message for record in caplog.records] == ["first", "second"]
    await durable.resume("r", handlers=world.handlers)
    assert [record.message for record in caplog.records].count("first") == 1
    assert caplog.records[-1].message == "third"


async def test_tools_of_every_kind_are_answered_once(store: Store) -> None:
    """A tool that is a plan is one entry; what it performs belongs to its answer. So is a call that was retried."""
    world, durable = World(store), Durable(store)
    attempts: list[str] = []

    def retried(call: Any) -> Generator[Any, Any, Any]:
        for _ in range(2):
            attempts.append(str(idempotency_key()))
            try:
                return (yield from call)
            except plans.Broken:
                yield from Sleep(0.001)
        return "gave up"

    await durable.run("r", plans.calling_tools, handlers=world.handlers.behind(retried))
    assert [(step.effect, step.outcome) for step in await durable.history("r")] == [
        ("twice(what='both')", "got both, got both"),
        ("fail_always(what='it')", "gave up"),
    ]
    # (The calls that a tool makes while it is answered have its key.)
    assert attempts == ["r:1.0:1", "r:1.0:1", "r:1.0:1", "r:1.0:2", "r:1.0:2"]
    assert world.counts["r:1.0:2", "fail_always('it')"] == 2


async def test_work_in_a_process_is_done_once(tmp_path: Path) -> None:
    """`isolate="process"`."""
    async with LmdbStore(tmp_path) as store:
        world, durable = World(store), Durable(store)
        await interrupted_at(durable, world, 1, "r", plans.in_process)
        assert [step.outcome for step in await durable.history("r")] == [1]
        assert await durable.resume("r", handlers=world.handlers) == [1, 2]


# Time


@pytest.fixture
def wall_clock(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock follows the virtual one, between runs, too."""
    monkeypatch.setattr(time, "time", lambda: 1.7e9 + autojump_clock.current_time())


async def test_a_sleep_sleeps_the_rest(autojump_clock: Any, wall_clock: None) -> None:
    """What has passed since, with or without the process, has passed."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    with trio.move_on_after(60):
        await durable.run("r", plans.sleeping, 100, handlers=world.handlers)
    await trio.sleep(15)
    began = trio.current_time()
    first, last = await durable.resume("r", handlers=world.handlers)
    assert trio.current_time() - began == pytest.approx(25, abs=1)
    assert last - first == pytest.approx(100, abs=1)
    assert world.texts == ["fetch('before')", "fetch('after')"]


async def test_a_sleep_that_is_over_sleeps_no_more(autojump_clock: Any, wall_clock: None) -> None:
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    with trio.move_on_after(60):
        await durable.run("r", plans.sleeping, 100, handlers=world.handlers)
    await trio.sleep(1000)
    began = trio.current_time()
    await durable.resume("r", handlers=world.handlers)
    assert trio.current_time() - began < 1


async def test_a_deadline_is_not_put_off(autojump_clock: Any, wall_clock: None) -> None:
    """The rest of it is left to a resumed run; none, if it has passed."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    for away, rest in ((15, 25), (1000, 0)):
        run_id = f"away {away}"
        with trio.move_on_after(60):
            await durable.run(run_id, plans.deadline, 100, handlers=world.handlers)
        await trio.sleep(away)
        began = trio.current_time()
        assert await durable.resume(run_id, handlers=world.handlers) == "got what is left"
        assert trio.current_time() - began == pytest.approx(rest, abs=1)


async def test_a_decision_stays(autojump_clock: Any) -> None:
    """Who won is known, whoever would be quicker now; the loser ends where it ended, and cleans up once."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 5, "r", plans.either_and_more, 50, 2)
    assert world.texts[-1] == "fetch('more')"
    before = len(world.calls)
    assert await durable.resume("r", handlers=world.handlers) == ["got quick", "got more"]
    assert world.texts[before:] == ["fetch('more')"]
    assert world.texts.count("undo('slow')") == 1


@pytest.mark.parametrize(
    "make", [every.side_by_side, every.racing, every.every_combinator], ids=lambda m: m.__name__
)
async def test_every_combinator_is_resumed(autojump_clock: Any, wall_clock: None, make: Any) -> None:
    """Interrupted at each of its calls, on Trio; in the end nothing is asked for any more."""
    tools = (every.fetch, every.refund, every.break_down)
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    world.tools = tools
    answer = await durable.run("whole", make, handlers=world.handlers)
    for number in range(1, len(world.calls) + 1):
        store = InMemoryStore()
        world, durable = World(store), Durable(store)
        world.tools = tools
        await interrupted_at(durable, world, number, "r", make)
        if (await durable.info("r")).status == "interrupted":
            assert await durable.resume("r", handlers=world.handlers) == answer
        assert max(world.counts.values()) <= 2
        assert len({key for key, _ in world.calls}) == len(world.counts)
        performances = len(world.calls)
        assert await durable.resume("r", handlers=ambient) == answer
        assert len(world.calls) == performances


# Cancellation from outside


async def test_cancelling_the_caller_leaves_the_run_interrupted(autojump_clock: Any) -> None:
    """Its plan's clean-up belongs to its end, and is not done: it goes on when it is resumed."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    with trio.move_on_after(10) as scope:
        await durable.run("r", plans.cleaning_up, handlers=world.handlers)
    assert scope.cancelled_caught
    assert world.texts == ["fetch('the lock')", "wait_for_ever('something')"]
    assert (await durable.info("r")).status == "interrupted"
    await durable.cancel("r")
    with pytest.raises(RunCancelled):
        await durable.resume("r", handlers=world.handlers)
    assert world.texts[2:] == ["undo('the lock')"]


def test_ctrl_c_leaves_the_run_interrupted() -> None:
    """And is raised as it is, alone."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    world.stop_at, world.how = 2, lambda: signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trio.run(lambda: durable.run("r", plans.cleaning_up, handlers=world.handlers))
    assert world.texts == ["fetch('the lock')", "wait_for_ever('something')"]
    assert trio.run(durable.info, "r").status == "interrupted"
    world.stop_at = None
    plan, handlers = durable.prepared("r", plans.cleaning_up, handlers=plans.pure(store))
    assert handlers.run_pure(plan) == "done for ever"


# Memory


async def test_memory_changes_with_its_entry(store: Store) -> None:
    """Exactly once, wherever the run is interrupted, and however often."""
    durable = Durable(store)
    for number in range(1, 6):
        world = World(store)
        await interrupted_at(durable, world, number, f"r{number}", plans.counting_calls, f"n{number}", 5)
        await durable.resume(f"r{number}", handlers=world.handlers)
        assert await store_memory(store).run(recall("count", f"n{number}", as_type=int)) == 5


async def test_memory_of_a_failed_effect_is_kept_with_its_failure(store: Store) -> None:
    """A handler that remembered something and then failed has done both, or neither."""
    durable = Durable(store)

    def handler(call: Any) -> Generator[Any, Any, Any]:
        yield from remember("tried", str(call), True)
        raise ValueError("after that")

    handlers = CallTool.by(handler) | store_memory(store)
    with pytest.raises(ValueError, match="after that"):
        await durable.run("r", plans.in_turn, 1, handlers=handlers)
    assert await store_memory(store).run(recall("tried", "fetch('item 0')", as_type=bool)) is True


def lost_updates(seeds: range, branches: int = 3) -> int:
    """How many of the simulated runs lose a change."""
    lost = 0
    for seed in seeds:
        store = InMemoryStore()
        durable = Durable(store)
        report = simulate(
            lambda: durable.prepared("r", plans.counting_together, branches, handlers=store_memory(store)),  # noqa: B023
            seed=seed,
        )
        lost += report.value != branches
    return lost


def test_branches_that_change_one_value_lose_nothing() -> None:
    """Recalled and remembered unless changed, in each of many interleavings."""
    assert lost_updates(range(300)) == 0


def test_a_journal_that_forgets_what_was_expected_loses_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant of that."""
    from lambdacat_effects.storage.transactions import Transaction

    original = Transaction.batch

    async def forgetting(self: Any, changes: Any) -> bool:
        done = await original(self, changes)
        self.expected.clear()
        return done

    monkeypatch.setattr(Transaction, "batch", forgetting)
    assert lost_updates(range(60)) > 0


def test_branches_that_observe_one_belief_lose_nothing() -> None:
    """Of each source, in each of many interleavings."""
    for seed in range(200):
        store = InMemoryStore()
        durable, handlers = Durable(store), store_beliefs(store)
        report = simulate(
            lambda: durable.prepared("r", plans.observing_together, 3, handlers=handlers),  # noqa: B023
            seed=seed,
        )
        assert report.value == 3.0, seed


async def test_beliefs_survive(store: Store) -> None:
    """Observed in a durable run, once, though it was interrupted afterwards."""
    world, durable = World(store), Durable(store)
    world.extra = store_beliefs(store)
    await interrupted_at(durable, world, 1, "r", plans.observing_and_more)
    assert await durable.resume("r", handlers=world.handlers) == 1.0
    assert await world.extra.run(believe("sun", 0.9)) is None
    assert await world.extra.run(observe("sun", 1.0, source="s")) is None


async def test_an_agents_state_is_saved_once(store: Store) -> None:
    """`with_state`: interrupted at each call, it counts each visit once."""
    for number in range(1, 6):
        await store_memory(store).run(forget("agents", "ann"))
        world, durable = World(store), Durable(store)
        await interrupted_at(durable, world, number, f"r{number}", plans.keeping_state)
        assert await durable.resume(f"r{number}", handlers=world.handlers) == 2
        assert await durable.run(f"s{number}", plans.keeping_state, handlers=world.handlers) == 4


async def test_what_a_plan_handles_itself_leaves_no_entry(store: Store) -> None:
    """It is answered anew in each process."""
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 1, "r", plans.handling_itself, "own")
    assert await durable.history("r") == []
    assert await durable.resume("r", handlers=world.handlers) == ["own item 0", "own item 1", "got outside"]
    assert [step.effect for step in await durable.history("r")] == ["fetch(what='outside')"]


# Keys


async def test_each_call_has_a_key_of_its_own(store: Store) -> None:
    """Different for different calls of one run, for runs, and for generations; equal for one that is repeated."""
    world, durable = World(store), Durable(store)
    await durable.run("a", plans.within_others, handlers=world.handlers)
    await durable.run("b", plans.within_others, handlers=world.handlers)
    await durable.run("c", plans.generations, 0, 2, handlers=world.handlers)
    keys = [key for key, _ in world.calls]
    assert len(keys) == len(set(keys)) == 8 + 8 + 3
    assert keys[:2] == ["a:1.0:2", "a:1.0:3"]
    assert keys[-3:] == ["c:3.0:3", "c:3.1:3", "c:3.2:3"]


async def test_a_tool_sees_its_key(store: Store) -> None:
    """An async one, and a plain one in a thread; interposers and the handler see the same."""
    seen: list[tuple[str, str | None]] = []

    async def handler(call: Any) -> str:
        seen.append(("handler", idempotency_key()))
        seen.append(("thread", await trio.to_thread.run_sync(idempotency_key)))
        return str(call)

    await Durable(store).run("r", plans.in_turn, 1, handlers=CallTool.by(handler))
    assert seen == [("handler", "r:1.0:1"), ("thread", "r:1.0:1")]
