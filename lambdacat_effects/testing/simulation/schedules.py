"""Schedules: who goes on, wherever more than one could.

At each step the simulation numbers the choices: 0 is the task that ran last (or, if it cannot go on, the lowest
path), then come the others by path, and last the clock, if a timer is set. So the schedule of zeros is the plainest
run, and one is written down by its other choices alone: `{step: choice}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Protocol, cast

from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.runtime.events import Path

__all__ = ["Preemptions", "Priorities", "RandomWalk", "Schedule", "Written"]


class Schedule(Protocol):
    """Whoever makes the choices. One object makes those of one run."""

    def lets_go(self, step: int) -> bool:
        """Whether the task that runs is to stop before this step, so that `pick` is asked for another."""
        ...

    def pick(self, step: int, tasks: Sequence[Path], clock: bool, resumes: bool) -> int:
        """The number of the choice among `tasks` and, after them, the clock. Each task goes by the path it began
        at. `resumes` tells that the first is the one that ran last."""
        ...


class Written:
    """Written choices; 0 at all other steps. A choice beyond the last stands for the last."""

    def __init__(self, choices: Mapping[int, int] | None = None) -> None:
        if not isinstance(cast(object, choices or {}), Mapping):
            raise InvalidArgument(f"a schedule is {{step: choice}}; got {choices!r}")
        self._choices = dict(choices or {})
        for step, choice in self._choices.items():
            if not (type(step) is int and type(choice) is int and step >= 0 and choice >= 0):
                raise InvalidArgument(
                    f"a schedule is {{step: choice}}, numbers from 0; got {step!r}: {choice!r}"
                )

    def lets_go(self, step: int) -> bool:
        return self._choices.get(step, 0) != 0

    def pick(self, step: int, tasks: Sequence[Path], clock: bool, resumes: bool) -> int:  # noqa: ARG002
        return min(self._choices.get(step, 0), len(tasks) + clock - 1)


class RandomWalk:
    """At each step another task goes on with probability `switch`, and where nobody can go on, any of them.

    `hurry` is the probability that a timer is over before work that could go on.
    """

    def __init__(self, seed: int | str, *, switch: float = 0.5, hurry: float = 0.1) -> None:
        self._random = Random(f"walk {seed}")
        self._switch = switch
        self._hurry = hurry
        self._let_go = -1

    def lets_go(self, step: int) -> bool:
        lets_go = self._random.random() < self._switch
        if lets_go:
            self._let_go = step
        return lets_go

    def pick(self, step: int, tasks: Sequence[Path], clock: bool, resumes: bool) -> int:
        if clock and (not tasks or self._random.random() < self._hurry):
            return len(tasks)
        another = resumes and self._let_go == step and len(tasks) > 1
        return self._random.randrange(1 if another else 0, len(tasks))


class Priorities:
    """Probabilistic concurrency testing: the task with the highest priority runs, and at `changes` steps it loses it.

    It finds a bug that needs `changes` + 1 ordered events with a probability of at least 1/(n k^changes), for n tasks
    and k steps (Burckhardt, Kothari, Musuvathi and Nagarakatte, ASPLOS 2010). `steps` is about how many there are.
    """

    def __init__(self, seed: int | str, *, changes: int, steps: int) -> None:
        self._random = Random(f"priorities {seed}")
        self._changes = {self._random.randrange(max(1, steps)): -1.0 - i for i in range(changes)}
        self._priority: dict[Path, float] = {}

    def lets_go(self, step: int) -> bool:  # noqa: ARG002
        return True  # whoever has become able to go on may have a higher priority

    def pick(self, step: int, tasks: Sequence[Path], clock: bool, resumes: bool) -> int:
        for task in sorted(tasks):
            if task not in self._priority:
                self._priority[task] = self._random.random()
        if clock and () not in self._priority:
            self._priority[()] = self._random.random() - 0.5  # work mostly comes before timers
        if step in self._changes and resumes:
            self._priority[tasks[0]] = self._changes[step]
        choices = [*tasks, ()] if clock else list(tasks)
        return max(range(len(choices)), key=lambda i: self._priority[choices[i]])


class Preemptions:
    """The plainest run, but for other choices at `count` random steps of about `steps`."""

    def __init__(self, seed: int | str, *, count: int, steps: int) -> None:
        self._random = Random(f"preemptions {seed}")
        self._at = {self._random.randrange(max(1, steps)) for _ in range(count)}

    def lets_go(self, step: int) -> bool:
        return step in self._at

    def pick(self, step: int, tasks: Sequence[Path], clock: bool, resumes: bool) -> int:  # noqa: ARG002
        choices = len(tasks) + clock
        return self._random.randrange(1, choices) if step in self._at and choices > 1 else 0
