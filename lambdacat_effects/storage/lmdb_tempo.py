"""When it is better to commit in the event loop's own thread than to hand it over.

To hand a commit to another thread and to be woken by it takes some 100 us. On a fast disk that is half of what the
commit takes; and for a plan that goes on only when its step is on the disk, nothing is gained by it. So where commits
are quick, one task writes step after step, and no other process does, they are made where they are asked for: the
event loop is held up for less than the millisecond that any plan may take. Everything else goes to the writer's
thread, which also commits what comes together as one.
"""

from __future__ import annotations

import weakref
from time import monotonic
from typing import Any, Final

__all__ = ["Tempo"]

_QUICK: Final = 0.0005
"""Seconds that a commit usually takes, at most, to be made in the event loop."""
_SLOW: Final = 0.002
"""One that took longer is remembered at once, and forgotten slowly."""
_QUIET: Final = 1.0
"""Seconds for which another process is expected to go on writing: to wait for it would hold up the event loop."""
_STEPS: Final = 2
"""How many changes one task has to make after one another before it counts as alone."""


class Tempo:
    """How long commits take, and who makes them."""

    __slots__ = ("_alone_from", "_last_number", "_steps", "_task", "_usual")

    def __init__(self) -> None:
        self._usual = 1.0
        self._last_number: int | None = None
        self._alone_from = 0.0
        self._task: Any = _nobody
        self._steps = 0

    def suits(self, task: Any) -> bool:
        """Whether a change that `task` asks for is better made at once."""
        if self._task() is task:
            self._steps += 1
        else:
            self._task = weakref.ref(task)
            self._steps = 0
        return self._steps >= _STEPS and self._usual < _QUICK and monotonic() >= self._alone_from

    def took(self, seconds: float) -> None:
        """A commit took so long."""
        self._usual = seconds if seconds > _SLOW else 0.8 * self._usual + 0.2 * seconds

    def committed(self, number: int) -> None:
        """The number of the transaction: LMDB counts those of all processes."""
        if self._last_number is not None and number > self._last_number + 1:
            self._alone_from = monotonic() + _QUIET
        self._last_number = number


def _nobody() -> None:
    return None
