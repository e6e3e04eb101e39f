"""Who performs a run: one process at a time, and the others are told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import durable_plans as plans
import pytest
import trio
from durable_plans import Died, World, die, interrupted_at

from lambdacat_effects import CallTool, Durable, RunInfo, ambient
from lambdacat_effects.errors import LeaseLost, RunInUse
from lambdacat_effects.storage import Expect, InMemoryStore, LmdbStore, Put, Store

CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
import durable_plans as plans, trio
from lambdacat_effects import Durable
from lambdacat_effects.storage import LmdbStore

async def main():
    async with LmdbStore(sys.argv[2]) as store:
        world = plans.World(store, stop_at=1, how=lambda: print("performing", flush=True))
        await Durable(store).resume("r", handlers=world.handlers)

trio.run(main)
"""


async def test_another_process_is_told(tmp_path: Path) -> None:
    """Of two that resume one run one wins, and the other says which process it is. A process that is killed keeps
    nobody waiting."""
    async with LmdbStore(tmp_path) as store:
        world, durable = World(store), Durable(store)
        await interrupted_at(durable, world, 2, "r", plans.in_turn, 3)
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert child.stdout is not None
            assert (await trio.to_thread.run_sync(child.stdout.readline)).strip() == "performing"
            with pytest.raises(
                RunInUse, match=f"performed by process {child.pid} of this machine: wait until it has"
            ):
                await durable.resume("r", handlers=world.handlers)
            assert (await durable.info("r")).status == "running"
            assert await durable.resume_all(handlers=world.handlers) == {}
        finally:
            child.send_signal(signal.SIGKILL)
            await trio.to_thread.run_sync(child.wait)
            assert child.stdout is not None
            child.stdout.close()
        assert (await durable.info("r")).status == "interrupted"
        assert len(await durable.resume("r", handlers=world.handlers)) == 3
        assert world.counts["r:1.0:2", "fetch('item 1')"] == 2


async def test_the_same_process_is_told() -> None:
    """By another task, and another `Durable`."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: durable.run("r", plans.cleaning_up, handlers=world.handlers))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(RunInUse, match="performed by this process"):
            await Durable(store).resume("r", handlers=world.handlers)
        nursery.cancel_scope.cancel()
    assert await store.scan("_leases") == []


async def test_two_that_resume_at_the_same_time() -> None:
    """One performs it; nothing is done twice."""
    store = InMemoryStore()
    world = World(store)
    await interrupted_at(Durable(store), world, 1, "r", plans.in_turn, 3)
    outcomes: list[Any] = []

    async def resuming() -> None:
        try:
            outcomes.append(await Durable(store).resume("r", handlers=world.handlers))
        except RunInUse:
            outcomes.append("in use")

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(resuming)
    assert next(outcome for outcome in outcomes if outcome != "in use") == [
        "got item 0",
        "got item 1",
        "got item 2",
    ]
    assert len(world.calls) == 1 + 3


async def elsewhere(store: Store, run_id: str, until: float) -> None:
    """Let the lease of a run be that of a process on another machine, which ends then."""
    data = await store.get("_leases", run_id)
    assert data is not None
    lease = {**json.loads(data), "host": "other-machine/boot/ns", "until": until}
    await store.put("_leases", run_id, json.dumps(lease).encode())


async def test_another_machine_is_waited_for() -> None:
    """Until its lease has ended, as nobody can tell whether it is still there."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    world.stop_at, world.how = 2, die
    with pytest.raises(Died):
        await durable.run("r", plans.in_turn, 3, handlers=world.handlers)
    world.stop_at = None
    await elsewhere(store, "r", time.time() + 100)
    with pytest.raises(
        RunInUse, match=r"on 'other-machine', process \d+; if that is gone, it can be resumed in 100 s"
    ):
        await durable.resume("r", handlers=world.handlers)
    await elsewhere(store, "r", time.time() - 1)
    assert len(await durable.resume("r", handlers=world.handlers)) == 3


async def test_a_lease_is_renewed_while_the_run_is_performed(autojump_clock: Any) -> None:
    """Every third of its time, however long an effect takes."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store, lease=30)
    ends: list[float] = []

    async def looking() -> None:
        for _ in range(5):
            await trio.sleep(20)
            ends.append(json.loads(await store.get("_leases", "r") or b"")["until"] - trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: durable.run("r", plans.sleeping, 200, handlers=world.handlers))
        await looking()
        nursery.cancel_scope.cancel()
    assert max(ends) - min(ends) < 11


@pytest.mark.parametrize("busy", [False, True])
async def test_who_has_lost_the_lease_writes_nothing_more(autojump_clock: Any, busy: bool) -> None:
    """A process that was away too long finds its run taken over: when it writes, or when it renews the lease."""
    store = InMemoryStore()
    first, second, durable = World(store), World(store), Durable(store, lease=3)
    lost: list[Exception] = []
    goes_on = trio.Event()

    async def taken_over(call: Any) -> str:
        if busy or len(first.calls) < 2:
            await (trio.sleep_forever() if busy else goes_on.wait())
        return "too late"

    async def performing() -> None:
        try:
            await durable.run("r", plans.in_turn, 3, handlers=CallTool.by(taken_over))
        except LeaseLost as error:
            lost.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(performing)
        await trio.testing.wait_all_tasks_blocked(0.01)
        # The renewal is expected to stand on the lease, so nothing but the fence has to change.
        await elsewhere(store, "r", 0)
        answer = await Durable(store).resume("r", handlers=second.handlers)
        journal = store._namespaces["_j"].copy()
        goes_on.set()
    assert answer == ["got item 0", "got item 1", "got item 2"]
    assert "taken over, by another process or another task of this one, as its lease of 3 s was not" in str(
        lost[0]
    )
    assert store._namespaces["_j"] == journal
    assert (await durable.info("r")).status == "succeeded"


async def test_the_fence_counts_those_who_performed_a_run() -> None:
    """All that is written expects the writer's own."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 1, "r", plans.in_turn, 2)
    first = await store.get("_fences", "r")
    assert first is not None
    await durable.resume("r", handlers=world.handlers)
    assert await store.get("_fences", "r") == b"%d" % (int(first) + 1)
    assert await store.batch([Expect("_fences", "r", first), Put("_j", "x", b"")]) is False


async def test_info_tells_who_is_there() -> None:
    """ "interrupted" as soon as nobody performs the run."""
    store = InMemoryStore()
    durable, world = Durable(store), World(store)
    infos: list[RunInfo] = []
    world.stop_at = 1

    def look() -> None:
        raise Died

    world.how = look
    with pytest.raises(Died):
        await durable.run("r", plans.in_turn, 1, handlers=world.handlers)
    infos.append(await durable.info("r"))
    assert [info.status for info in infos] == ["interrupted"]
    world.stop_at = None
    await durable.resume("r", handlers=world.handlers)
    assert await durable.resume("r", handlers=ambient) == ["got item 0"]
