"""A run told to people: its steps, with what departs from the plainest run marked."""

from __future__ import annotations

from collections.abc import Sequence

from lambdacat_effects.effects.ambient import NewId, Random
from lambdacat_effects.runtime.events import path_text
from lambdacat_effects.testing.simulation.report import MOST_STEPS, Report
from lambdacat_effects.testing.simulation.trace import Turn

__all__ = ["by_chance", "called", "line", "story"]

_MOST_LINES = 60
_AROUND = 3


def story(report: Report) -> str:
    """One line for each step: the number, the path, what happens.

    Where another goes on than would have by itself, the line begins with `>`; where something goes wrong, with `!`.
    Of a long run, what lies far from these is left out.
    """
    trace = report.trace
    width = min(40, max([len(turn.where) for turn in trace], default=0))
    lines: list[str] = []
    skipped = 0
    shown = _shown(trace)
    for turn in trace:
        if turn.step not in shown:
            skipped += 1
            continue
        if skipped:
            lines.append(f"        ... {skipped} more steps")
            skipped = 0
        lines.append(_told(turn, width))
    return "\n".join(lines)


def called(scenario: object) -> str:
    """How a line to paste names a scenario."""
    name = str(getattr(scenario, "__name__", "scenario"))
    return "scenario" if name == "<lambda>" else name


def by_chance(report: Report) -> bool:
    """Whether the run depends on its seed, apart from schedule and faults."""
    return any(isinstance(turn.effect, (Random, NewId)) for turn in report.trace)


def line(report: Report, scenario: str, *, checked: bool = True) -> str:
    """The expression that makes this run again, and raises what was wrong with it. That is the plan's own error,
    unless the check raised."""
    given = [scenario]
    if by_chance(report):
        given.append(f"seed={report.seed!r}")
    given.append(f"schedule={report.schedule!r}")
    if report.faults:
        given.append(f"faults={report.faults!r}")
    if report.most_steps != MOST_STEPS:
        given.append(f"most_steps={report.most_steps}")
    return f"simulate({', '.join(given)})" + ("" if checked else ".unwrap()")


def _shown(trace: Sequence[Turn]) -> set[int]:
    if len(trace) <= _MOST_LINES:
        return {turn.step for turn in trace}
    marked = [turn.step for turn in trace if turn.choice or turn.fault or turn.cancelled]
    near = {
        step for mark in [0, *marked, len(trace) - 1] for step in range(mark - _AROUND, mark + _AROUND + 1)
    }
    return set(sorted(near)[: 4 * _MOST_LINES])


def _told(turn: Turn, width: int) -> str:
    mark = "!" if turn.fault else ">" if turn.choice or turn.cancelled else " "
    said = f"{mark} {turn.step:5}  {turn.where:{width}}  {turn.text()}"
    return f"{said}   <- instead of {path_text(turn.instead)}" if turn.instead is not None else said
