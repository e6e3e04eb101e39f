"""Virtual time: it stands still until the simulation lets it move on to the next timer."""

from __future__ import annotations

import math

import trio

__all__ = ["VirtualClock"]


class VirtualClock(trio.abc.Clock):
    """A clock for `trio.run`, and for the plan, that shows 0.0 at the start.

    Not `trio.testing.MockClock`, which can only be told how far to jump, so that a sum of floats may stop just
    short of the timer. Trio says which timer is next whenever nothing can run, and `advance` goes exactly there.
    """

    def __init__(self) -> None:
        self.time: float = 0.0
        self.next: float = math.inf
        """When the next timer is due, as Trio last said."""
        self.broken = False
        """Whether to end the event loop, when nothing else does."""

    def start_clock(self) -> None:
        """Nothing has to be started."""

    def current_time(self) -> float:
        return self.time

    def deadline_to_sleep_time(self, deadline: float) -> float:
        if self.broken:
            raise RuntimeError("the simulation was given up")
        self.next = deadline
        return 0.0 if deadline <= self.time else math.inf

    def advance(self, time: float) -> None:
        """Move on."""
        self.time = time

    def monotonic(self) -> float:
        """Seconds since the start of the run."""
        return self.time

    def now(self) -> float:
        """The same: a simulation starts at the Unix epoch."""
        return self.time
