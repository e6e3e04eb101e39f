"""Failures made shorter: the same failure with fewer switches, fewer faults, and smaller values."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, TypeAlias, cast

import attrs

import lambdacat_effects
from lambdacat_effects.testing.simulation.faults import Fault
from lambdacat_effects.testing.simulation.report import Report
from lambdacat_effects.testing.simulation.running import Scenario, perform_once, verdict
from lambdacat_effects.testing.simulation.schedules import Preemptions, Schedule, Written

__all__ = ["Failing", "raised_at", "shrunk", "sign"]

_MOST_RUNS = 1200
_MOST_SECONDS = 30.0  # of a slow scenario
_FEW = 2
_TRIES = 150
_MOVES = (0, 1, -1, 2, -2, 3, -3, 4, -4)

_PACKAGE = os.path.dirname(lambdacat_effects.__file__) + os.sep

# A switch, as (step, choice), or a fault.
_Item: TypeAlias = "tuple[int, int] | Fault"


@attrs.frozen
class Failing:
    """A run that went wrong, and how."""

    report: Report
    error: BaseException

    def items(self) -> list[_Item]:
        """What the run departs by from the plainest one."""
        return [*sorted(self.report.schedule.items()), *self.report.faults]


def shrunk(scenario: Scenario, failing: Failing, most_steps: int) -> Failing:
    """The shortest run found that fails in the same way: by an error of the same type, raised at the same line."""
    return _Shrinking(scenario, failing, most_steps).least()


class _Shrinking:
    def __init__(self, scenario: Scenario, failing: Failing, most_steps: int) -> None:
        self.scenario = scenario
        self.best = failing
        self.sign = sign(failing.error)
        self.most_steps = most_steps
        self.left = _MOST_RUNS
        self.until = time.monotonic() + _MOST_SECONDS

    def least(self) -> Failing:
        self.delete()
        self.look_for_fewer()
        self.do_without_faults()
        while self.left and self.simplify():
            self.delete()
        return self.best

    def delete(self) -> None:
        """Delta debugging (Zeller and Hildebrandt, 2002): leave out halves, quarters, ... down to single items."""
        size = max(1, len(self.best.items()))
        while size:
            at = 0
            while at < len(items := self.best.items()) and self.left:
                if not self.keeps_failing(items[:at] + items[at + size :]):
                    at += size
            size //= 2

    def look_for_fewer(self) -> None:
        """A long schedule may fail by something that a few preemptions of the plainest run do, too."""
        for count in range(1, _FEW + 2):
            for number in range(_TRIES):
                if len(self.best.report.schedule) <= count:
                    return
                steps = len(self.best.report.trace)
                if self.runs(Preemptions(number, count=count, steps=steps), self.best.report.faults):
                    self.delete()

    def do_without_faults(self) -> None:
        """What several faults do together, fewer may do with other preemptions."""
        for fault in self.best.report.faults:
            left = [f for f in self.best.report.faults if f != fault]
            if left and any(self.runs(schedule, left) for schedule in self.other_schedules()):
                self.delete()

    def other_schedules(self) -> Iterator[Schedule]:
        """Those with as few switches as the best: first the same ones a few steps earlier or later, since a fault
        adds steps (to mend what it did) and takes some away."""
        chosen = self.best.report.schedule
        for moved in product(_MOVES, repeat=len(chosen)) if len(chosen) <= _FEW else zip(_MOVES, strict=True):
            shifts = moved * len(chosen) if len(moved) == 1 else moved
            yield Written({max(0, step + by): chosen[step] for step, by in zip(chosen, shifts, strict=True)})
        count, steps = max(1, len(chosen)), len(self.best.report.trace)
        for number in range(_TRIES):
            yield Preemptions(number, count=count, steps=steps)

    def simplify(self) -> bool:
        """Smaller values in place. Answers whether any was found."""
        items = self.best.items()
        for index, item in enumerate(items):
            for simpler in _simpler(item):
                if self.keeps_failing([*items[:index], simpler, *items[index + 1 :]]):
                    return True
        return False

    def keeps_failing(self, items: Sequence[_Item]) -> bool:
        choices = {item[0]: item[1] for item in items if not isinstance(item, Fault)}
        return self.runs(Written(choices), [item for item in items if isinstance(item, Fault)])

    def runs(self, schedule: Schedule, faults: Sequence[Fault]) -> bool:
        """Whether it fails in the same way, by less than the best until now."""
        if time.monotonic() > self.until:
            self.left = 0
        if not self.left:
            return False
        self.left -= 1
        report, check = perform_once(
            self.scenario, schedule, tuple(faults), self.best.report.seed, self.most_steps
        )
        error = verdict(report, check)
        if error is None or sign(error) != self.sign:
            return False
        found = Failing(report, error)
        if _size(found) >= _size(self.best):
            return False
        self.best = found
        return True


def _size(failing: Failing) -> tuple[float, ...]:
    faults, schedule = failing.report.faults, failing.report.schedule
    return (
        len(schedule) + len(faults),
        sum(schedule.values()),
        sum(fault.seconds for fault in faults if fault.kind == "delay"),
        len(failing.report.trace),
    )


def _simpler(item: _Item) -> Iterator[_Item]:
    if isinstance(item, Fault):
        if item.kind == "delay":
            for seconds in (0.0, 1.0, 10.0, float(round(item.seconds))):
                if seconds < item.seconds:
                    yield attrs.evolve(item, seconds=seconds)
        return
    step, choice = item
    for smaller in range(1, choice):
        yield step, smaller


def sign(error: BaseException) -> Any:
    """What makes two failures the same: the type, and the line of the user's that raised it."""
    if isinstance(error, BaseExceptionGroup):
        members = cast("BaseExceptionGroup[BaseException]", error).exceptions
        return ("group", frozenset([sign(member) for member in members]))
    where = raised_at(error)
    return (type(error), where and (where.filename, where.lineno))


def raised_at(error: BaseException) -> traceback.FrameSummary | None:
    """The last line outside of this package that an error came by."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame for frame in reversed(frames) if not frame.filename.startswith(_PACKAGE)), None)
