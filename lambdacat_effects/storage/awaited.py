"""What a store's own thread does, and who waits for it: a task of Trio, or another thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import trio

__all__ = ["Awaited", "not_before_it_is_done", "wake"]


class Awaited:
    """Something to be done, and who waits for it: `task` in its `loop`, or whoever waits for `done`."""

    # Defaults of the class, and no slots: one is made for each change, and most of them need none of these but two.
    loop: trio.lowlevel.TrioToken | None = None
    task: trio.lowlevel.Task | None = None
    done: threading.Event | None = None


def not_before_it_is_done(_raise_cancel: Any) -> trio.lowlevel.Abort:
    """For `wait_task_rescheduled`: what has begun is waited for, also when cancelled."""
    return trio.lowlevel.Abort.FAILED


def wake(group: Iterable[Awaited]) -> None:
    """Wake all who wait: those of one loop together, as each call into it costs as much as a small commit."""
    loops: dict[trio.lowlevel.TrioToken, list[Awaited]] = {}
    for one in group:
        if one.done is not None:
            one.done.set()
        elif one.loop is not None:
            loops.setdefault(one.loop, []).append(one)
    for loop, waiting in loops.items():
        try:
            loop.run_sync_soon(_reschedule, waiting)
        except trio.RunFinishedError:  # it crashed: nobody waits any more
            continue


def _reschedule(waiting: list[Awaited]) -> None:
    for one in waiting:
        if one.task is not None:
            trio.lowlevel.reschedule(one.task)
