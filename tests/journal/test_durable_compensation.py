"""Sagas in durable runs: a process that dies repeats no compensation that was answered, and forgets none."""

from __future__ import annotations

from typing import Any

import durable_plans as plans
import pytest
import trio
from durable_plans import Broken, World, interrupted_at

from lambdacat_effects import Durable, ambient
from lambdacat_effects.effects import compensation
from lambdacat_effects.errors import NondeterminismError, RunCancelled
from lambdacat_effects.storage import InMemoryStore
from lambdacat_effects.testing import Crash, Fault, Report, simulate

IN_REVERSE = ["car", "museum", "hotel", "flight"]


def to_undo(store: InMemoryStore) -> list[str]:
    """The compensations of what was done, by the journal."""
    done = [step.outcome for step in trio.run(Durable(store).history, "r") if step.what == "answered"]
    return [f"undo('got {name}')" for name in IN_REVERSE if f"got {name}" in done]


def performed(store: InMemoryStore, world: World, make: Any, seed: int, *faults: Fault) -> Report:
    durable = Durable(store)
    return simulate(
        lambda: durable.prepared("r", make, handlers=world.handlers), seed=seed, faults=list(faults)
    )


def sweep(make: Any, seeds: range) -> int:
    """Die at each step, go on under another interleaving, and check; answers how often it died."""
    died = 0
    for seed in seeds:
        store = InMemoryStore()
        whole = performed(store, World(store), make, seed)
        for step in range(len(whole.trace)):
            store = InMemoryStore()
            world = World(store)
            first = performed(store, world, make, seed, Fault("crash", step=step))
            if not isinstance(first.error, Crash):
                continue
            died += 1
            report = performed(store, world, make, seed + 1000)
            assert repr(report.error) == repr(whole.error), (seed, step)
            assert report.error is not None or report.value == whole.value, (seed, step)
            undone = list(dict.fromkeys(text for text in world.texts if text.startswith("undo")))
            assert undone == to_undo(store), (seed, step)
            repeated = [call for call, times in world.counts.items() if times > 1]
            assert len(repeated) <= 2, (seed, step, repeated)  # one in each branch at most
            assert max(world.counts.values()) <= 2, (seed, step)
            assert len({key for key, _ in world.calls}) == len(world.counts), (seed, step)
    return died


@pytest.mark.parametrize("make", [plans.trip, plans.late_trip], ids=lambda make: make.__name__)
def test_each_step_is_compensated_once_wherever_the_process_dies(make: Any) -> None:
    """Repeated is only what was in flight, with its key; the order is that of a run that did not die."""
    assert sweep(make, range(3)) > 30


def test_compensating_by_time_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: branches end in another order when they are replayed."""
    monkeypatch.setattr(compensation, "sorted", lambda done, **_: done[::-1], raising=False)
    with pytest.raises((NondeterminismError, AssertionError)):
        sweep(plans.trip, range(3))


async def test_a_cancelled_run_compensates(autojump_clock: Any) -> None:
    """Where it is resumed, after the process was interrupted: what was in flight is undone, and what was done."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 2, "r", plans.waiting_trip)
    assert world.texts == ["fetch('flight')", "wait_for_ever('a taxi')"]
    await durable.cancel("r")
    with pytest.raises(RunCancelled):
        await durable.resume("r", handlers=world.handlers)
    assert world.texts[2:] == ["undo('the taxi')", "undo('got flight')"]
    assert [str(step.what) for step in await durable.history("r")] == [
        "answered",
        "cancelled",
        "answered",
        "answered",
    ]


async def test_an_interrupted_saga_is_not_compensated(autojump_clock: Any) -> None:
    """It has not failed: it goes on when it is resumed."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    with trio.move_on_after(50):
        await durable.run("r", plans.waiting_trip, handlers=world.handlers)
    assert world.texts == ["fetch('flight')", "wait_for_ever('a taxi')"]
    with pytest.raises(Broken):
        await durable.run("s", plans.trip, handlers=world.handlers)
    assert world.texts[-4:] == [f"undo('got {name}')" for name in IN_REVERSE]
    with pytest.raises(Broken):
        await durable.resume("s", handlers=ambient)
