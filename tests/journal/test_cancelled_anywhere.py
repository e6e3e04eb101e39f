"""A run that is cancelled while it is performed, at any moment: its clean-up is done once, and it replays so.

(While its process is dead: `test_proof_sweep.py`.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import trio

from lambdacat_effects import (
    Durable,
    Plan,
    Saga,
    ambient,
    call_tools,
    on_cancel,
    parallel,
    saga,
    timeout,
    tool,
)
from lambdacat_effects.errors import RunCancelled
from lambdacat_effects.journal.records import CANCELS, RUNS, Header
from lambdacat_effects.storage import InMemoryStore, Put
from lambdacat_effects.storage.port import Change

_done: list[str] = []


@tool
async def book(what: str) -> str:
    await trio.sleep(1)
    _done.append(what)
    return what


@tool
async def undo(what: str) -> None:
    await trio.sleep(1)
    _done.append(f"undo {what}")


def trip(steps: Saga) -> Plan[Any, str]:
    yield from steps.step(book("flight"), undo)
    yield from parallel(
        steps.step(book("hotel"), undo),
        timeout(9, steps.step(book("museum"), undo)),
        on_cancel(steps.step(book("taxi"), undo), undo("a taxi that may come")),
    )
    yield from steps.step(book("ticket"), undo)
    return "booked"


def travelling() -> Plan[Any, str]:
    return (yield from saga(trip))


class Cancelling(InMemoryStore):
    """Has the run cancelled from outside when it has been written to so many times."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.writes = 0
        self._at = at

    async def batch(self, changes: Sequence[Change]) -> bool:
        made = await super().batch(changes)
        self.writes += 1
        if self.writes == self._at and self._found(RUNS, "r") is not None:
            await Durable(self).cancel("r")
        return made


async def ended(durable: Durable) -> str:
    try:
        return await durable.run("r", travelling, handlers=call_tools(book, undo))
    except RunCancelled:
        return "cancelled"


async def test_what_was_done_is_undone_wherever_a_run_is_cancelled(autojump_clock: Any) -> None:
    """Each step once, the last one first; and resumed from the journal alone it is cancelled in the same place."""
    whole = Cancelling(at=-1)
    assert await ended(Durable(whole)) == "booked"
    cancelled = 0
    for at in range(1, whole.writes + 1):
        _done.clear()
        store = Cancelling(at)
        durable = Durable(store)
        outcome = await ended(durable)
        if outcome == "booked":
            continue
        cancelled += 1
        steps = await durable.history("r")
        booked = [
            step.outcome for step in steps if step.what == "answered" and step.effect.startswith("book")
        ]
        undone = [text.removeprefix("undo ") for text in _done if text.startswith("undo ")]
        assert sorted(undone) == sorted(set(undone))
        assert set(undone) - {"a taxi that may come"} == set(booked)
        await replayed(store)
    assert cancelled > 4


async def replayed(store: Cancelling) -> None:
    """Perform it once more, as after a crash before its end was written."""
    data = await store.get(RUNS, "r")
    assert data is not None
    header = attrs.evolve(Header.decode("r", data), status="running", outcome=None)
    await store.batch([Put(RUNS, "r", header.encode()), Put(CANCELS, "r", b"{}")])
    before = list(_done)
    with pytest.raises(RunCancelled):
        await Durable(store).resume("r", handlers=ambient)
    assert before == _done
