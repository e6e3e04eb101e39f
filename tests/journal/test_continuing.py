"""Runs without end: each generation begins with an empty journal."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import durable_plans as plans
import pytest
import trio
from durable_plans import World, interrupted_at, pure

from lambdacat_effects import Durable, ambient, call_tools, continue_as_new, recall, store_memory
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.storage import InMemoryStore, LmdbStore
from lambdacat_effects.testing import Crash, Fault, Report, simulate


async def test_a_run_goes_on_as_another_plan() -> None:
    """Its answer is the last one's; its history that of the last generation."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    assert await durable.run("r", plans.generations, 0, 4, handlers=world.handlers) == 4
    info = await durable.info("r")
    assert (info.generation, info.status, info.plan) == (4, "succeeded", "durable_plans:generations")
    assert world.texts == [f"fetch('round {n}')" for n in range(5)]
    assert len(await durable.history("r")) == 3
    assert await durable.resume("r", handlers=ambient) == 4


async def test_a_generation_is_resumed() -> None:
    """The one that was interrupted, at each call of the run: memory changes once for each."""
    for number in range(1, 5):
        store = InMemoryStore()
        world, durable = World(store), Durable(store)
        await interrupted_at(durable, world, number, "r", plans.generations, 0, 3)
        assert (await durable.info("r")).generation == number - 1
        assert await durable.resume("r", handlers=world.handlers) == 3
        assert await store_memory(store).run(recall("seen", "n", as_type=int)) == 4
        assert sorted(world.counts.values()) == [1, 1, 1, 2]


def _records(store: InMemoryStore) -> int:
    return len(store._namespaces["_j"])


def _peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _run_pure(store: InMemoryStore, generations: int) -> None:
    plan, handlers = Durable(store).prepared("r", plans.generations, 1, generations, handlers=pure(store))
    assert handlers.run_pure(plan) == generations


def test_journal_and_memory_stay_bounded() -> None:
    """Ten times the generations, thousands of effects, take no more of either."""
    few, many = InMemoryStore(), InMemoryStore()
    _run_pure(InMemoryStore(), 10)
    peak_of_few = _peak(lambda: _run_pure(few, 150))
    peak_of_many = _peak(lambda: _run_pure(many, 1500))
    assert _records(many) == _records(few) == 3
    assert trio.run(many.size) - trio.run(few.size) < 50
    assert peak_of_many < 1.5 * peak_of_few + 100_000


def test_a_journal_that_keeps_generations_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant of that."""
    import lambdacat_effects.journal.session as session

    monkeypatch.setattr(session, "deleted", lambda _prefix, _count: iter(()))
    store = InMemoryStore()
    _run_pure(store, 150)
    assert _records(store) > 300


async def test_the_file_stays_bounded(tmp_path: Path) -> None:
    """In LMDB the room of a generation is used again by the next ones."""
    sizes: list[int] = []
    for most in (30, 300):
        async with LmdbStore(tmp_path / str(most)) as store:
            await Durable(store).run("r", plans.generations, 1, most, handlers=World(store).handlers)
            sizes.append(await store.size())
    assert sizes[1] <= 2 * sizes[0] + (1 << 16)


@pytest.mark.parametrize("make", [plans.continuing_in_a_branch, plans.continuing_in_a_tool])
async def test_only_the_runs_own_plan_continues(make: Any) -> None:
    """What runs beside it would be lost: this is a mistake, and no outcome."""
    store = InMemoryStore()
    durable = Durable(store)
    handlers = World(store).handlers | call_tools(plans.continuing)
    with pytest.raises(InvalidArgument, match="only the run's own plan can be continued"):
        await durable.run("r", make, handlers=handlers)
    assert (await durable.info("r")).status == "interrupted"


async def test_a_plan_that_cannot_be_named_is_no_successor() -> None:
    """The run stays in the generation it was."""
    store = InMemoryStore()
    durable = Durable(store)
    with pytest.raises(InvalidArgument, match="define it with `def` at the top of a module"):
        await durable.run("r", plans.continuing_locally, handlers=World(store).handlers)
    info = await durable.info("r")
    assert (info.status, info.generation) == ("interrupted", 0)


def test_continuing_dies_at_any_point() -> None:
    """A simulated crash at each step, the deletion of the old generation among them."""
    steps = len(_simulated(InMemoryStore()).trace)
    crashed = 0
    for step in range(steps):
        store = InMemoryStore()
        if isinstance(_simulated(store, Fault("crash", step=step)).error, Crash):
            crashed += 1
            assert _simulated(store).value == 2, step
            assert trio.run(store_memory(store).run, recall("seen", "n", as_type=int)) == 3
            assert _records(store) == 3
    assert crashed > 20


def _simulated(store: InMemoryStore, *faults: Fault) -> Report:
    durable = Durable(store)
    return simulate(
        lambda: durable.prepared("r", plans.generations, 0, 2, handlers=pure(store)), faults=list(faults)
    )


@pytest.mark.parametrize("make", [3, None, plans.in_turn(1)])
def test_a_successor_is_a_function(make: Any) -> None:
    with pytest.raises(InvalidArgument, match="continue_as_new takes a function that makes a plan"):
        continue_as_new(make)
