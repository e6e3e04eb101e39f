"""Tasks that wait for their turn, and decisions that wait to be carried out."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import Any

import attrs
import trio

from lambdacat_effects.runtime.events import Path

__all__ = ["Births", "Decision", "Parked", "ParkingLot"]


@attrs.define(eq=False)
class Parked:
    """A task that waits for its turn."""

    task: trio.lowlevel.Task
    what: Any
    due: float
    """When it may go on, if it sleeps."""
    is_ready: bool = False
    since: int = 0
    """After how many turns it could go on."""

    def cancelled(self, _raise: object) -> trio.lowlevel.Abort:
        """When a task goes on is for the schedule to say, unless it sleeps."""
        return trio.lowlevel.Abort.FAILED if self.is_ready else trio.lowlevel.Abort.SUCCEEDED


@attrs.frozen(eq=False)
class Decision:
    """What was decided about a combinator, and cancels the rest of it when its tick is over."""

    path: Path
    nursery: trio.Nursery
    at: int
    """After how many turns it was taken."""


class ParkingLot(dict[Path, Parked]):
    """Those that wait for their turn: some could have it, some sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.ready: list[Path] = []
        """Who could go on, in order."""
        self._asleep: list[tuple[float, Path]] = []
        """Who sleeps until when: a heap. Some may have left."""

    def park(self, path: Path, parked: Parked, now: float, turns: int) -> Parked:
        """Have it wait, at the time `now` and after so many turns."""
        self[path] = parked
        if parked.due <= now:
            self._put(path, parked, turns)
        elif parked.due < math.inf:
            heappush(self._asleep, (parked.due, path))
        return parked

    def leave(self, path: Path) -> None:
        """It waits no more."""
        if self.pop(path).is_ready:
            del self.ready[bisect_left(self.ready, path)]

    def wake(self, now: float, turns: int) -> None:
        """Those that slept until now can go on."""
        while self.next_due() <= now:
            _, path = heappop(self._asleep)
            self._put(path, self[path], turns)

    def next_due(self) -> float:
        """When the next sleeper is due."""
        while self._asleep:
            due, path = self._asleep[0]
            parked = self.get(path)
            if parked is not None and parked.due == due and not parked.is_ready:
                return due
            heappop(self._asleep)  # it was cancelled
        return math.inf

    def _put(self, path: Path, parked: Parked, turns: int) -> None:
        parked.is_ready = True
        parked.since = turns
        insort(self.ready, path)


class Births(Sequence[Path]):
    """The paths at which parked tasks began, found where they are asked for."""

    def __init__(
        self, paths: list[Path], parked: Mapping[Path, Parked], born: Mapping[trio.lowlevel.Task, Path]
    ) -> None:
        self._paths = paths
        self._parked = parked
        self._born = born

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        path = self._paths[int(index)]
        parked = self._parked.get(path)  # a decision is not parked
        return path if parked is None else self._born[parked.task]
