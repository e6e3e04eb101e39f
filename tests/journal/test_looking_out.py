"""What a run that is performed sees of the world outside, and how long it keeps its lease."""

from __future__ import annotations

import json
import time
from typing import Any

import trio

from lambdacat_effects import Ambient, Ask, CallTool, Durable, Handler, Plan, Sleep, Tools, ambient, ask, tool
from lambdacat_effects.errors import InvalidArgument, RunCancelled
from lambdacat_effects.journal.lookout import EVERY
from lambdacat_effects.storage import InMemoryStore


@tool
async def announce(text: str) -> None:
    """Tell that a question is about to be asked."""


def asking_often(times: int) -> Plan[Tools | Ambient | Ask[Any], int]:
    for i in range(times):
        yield from Sleep(5)
        yield from announce(f"question {i}")
        yield from ask(f"question {i}", as_type=int)
    return times


async def test_a_lease_is_renewed_however_often_the_run_is_woken(autojump_clock: Any) -> None:
    """A run that comes to wait more often than its lease is renewed, and goes on at once, keeps it all the same."""
    store = InMemoryStore()
    durable = Durable(store, lease=30)
    left: list[float] = []

    async def answered_at_once(call: CallTool[Any]) -> None:
        until = json.loads(await store.get("_leases", "r") or b"")["until"]
        left.append(until - offset - trio.current_time())
        nursery.start_soon(answering)

    async def answering() -> None:
        while True:
            try:
                return await durable.answer("r", 1)
            except InvalidArgument:  # not asked yet
                await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        answering_calls: Handler[CallTool[Any]] = CallTool[Any].by(answered_at_once)
        offset = time.time() - trio.current_time()
        assert await durable.run("r", asking_often, 20, handlers=answering_calls) == 20
    assert min(left) > 30 - 10 - 5.5


def sleeping(seconds: float) -> Plan[Ambient, None]:
    yield from Sleep(seconds)


class Counting(InMemoryStore):
    """Counts the looks at what has been cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[str] = []

    async def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        self.looks.append(namespace)
        return await super().scan(namespace, prefix)


async def test_one_run_looks_out_for_all(autojump_clock: Any) -> None:
    """However many there are, the store is asked four times a second; and when that one ends, another does."""
    store = Counting()

    async def performing(seconds: float) -> None:
        await Durable(store).run(str(seconds), sleeping, seconds, handlers=ambient)

    async with trio.open_nursery() as nursery:
        for seconds in range(1, 21):
            nursery.start_soon(performing, float(seconds))
    looks = store.looks.count("_cancels")
    assert 0.9 * 20 / EVERY <= looks <= 1.1 * 20 / EVERY


async def test_a_cancellation_is_seen_by_whoever_it_is_for(autojump_clock: Any) -> None:
    """Within a quarter of a second, also when the run that looked out for all has just ended."""
    store = InMemoryStore()
    seen: dict[str, float] = {}

    async def performing(run_id: str, seconds: float) -> None:
        try:
            await Durable(store).run(run_id, sleeping, seconds, handlers=ambient)
        except RunCancelled:
            seen[run_id] = trio.current_time()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(performing, "first", 1.0)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(performing, "second", 100.0)
        nursery.start_soon(performing, "third", 3.0)
        await trio.sleep(1.1)
        await Durable(store).cancel("second")
        cancelled_at = trio.current_time()
    assert list(seen) == ["second"]
    assert seen["second"] - cancelled_at <= EVERY + 0.01
