"""Runs and their histories, printed: tables on a terminal, plain lines in a pipe, JSON where it is asked for."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.cli.targets import Target
from lambdacat_effects.errors import RunCancelled, RunSuspended
from lambdacat_effects.journal import RunInfo, Step
from lambdacat_effects.journal.history import moment

__all__ = ["ago", "print_history", "print_outcomes", "print_runs"]

_STYLES: Final = {
    "running": "cyan",
    "interrupted": "yellow",
    "suspended": "magenta",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "dim",
    "unreadable": "red",
}
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_LONGEST: Final = 200
"""How many characters of an effect or an outcome are printed, unless all are asked for."""


def print_runs(runs: Sequence[RunInfo], *, as_json: bool) -> None:
    """Print how runs stand."""
    if as_json:
        print(json.dumps([_run_as_json(run) for run in runs], indent=2))
        return
    if not sys.stdout.isatty():
        for run in runs:
            plan, created, changed = _known(run, moment, moment)
            _print_line(run.run_id, _status(run), plan, created, changed, "; ".join(run.questions))
        return
    now = time.time()
    rows: list[tuple[str, ...]] = []
    for run in runs:
        plan, created, changed = _known(run, lambda at: moment(at)[:16], lambda at: ago(at, now))
        rows.append((run.run_id, _status(run), changed, plan, created, "; ".join(run.questions)))
    asking = [len(rows[0]) - 1] if rows and not any(row[-1] for row in rows) else []
    _print_table(("run", "status", "since", "plan", "begun", "asks"), rows, left_out=asking)


def _known(
    run: RunInfo, created: Callable[[float], str], changed: Callable[[float], str]
) -> tuple[str, str, str]:
    """The plan of a run, and its times, as text; nothing of a run that cannot be read."""
    if run.status == "unreadable":
        return "", "", ""
    return str(Target.kept_with(run)), created(run.created), changed(run.changed)


def _status(run: RunInfo) -> str:
    return f"{run.status}, cancelling" if run.cancelling else run.status


def _run_as_json(run: RunInfo) -> dict[str, Any]:
    note = None if Target.noted(run.note) else run.note
    plan = None if run.status == "unreadable" else str(Target.kept_with(run))
    return {**attrs.asdict(run), "plan": plan, "note": note}


def print_history(
    run: RunInfo, steps: Sequence[Step], *, asks_at: Sequence[str], as_json: bool, in_full: bool
) -> None:
    """Print what a run has done. It has come to the places that it `asks_at`, too."""
    if as_json:
        print(json.dumps([_step_as_json(step) for step in steps], indent=2))
        return
    now = time.time()
    open_ones = set[int]() if run.ended else _open_ones(steps, asks_at)
    rows: list[tuple[str, ...]] = []
    for step in steps:
        told = step.told()
        if step.until is not None and step.number in open_ones:
            told += f" ({ago(step.until, now)})"
        rows.append((str(step.number), step.place, _brief(step.effect, in_full), _brief(told, in_full)))
    if sys.stdout.isatty():
        _print_table(("", "place", "effect", "outcome"), rows)
    else:
        for row in rows:
            _print_line(*row)


def _step_as_json(step: Step) -> dict[str, Any]:
    # Values as the journal has them, with the classes of what is no plain JSON.
    outcome = step.plain if step.what in ("answered", "failed") else step.outcome
    return {**attrs.asdict(step, recurse=False, filter=_is_no_outcome), "outcome": outcome}


def _is_no_outcome(attribute: attrs.Attribute[Any], _value: object) -> bool:
    return attribute.name not in ("outcome", "plain")


def _open_ones(steps: Sequence[Step], asks_at: Sequence[str]) -> set[int]:
    """The steps whose plan has not gone on after them, by number."""
    places = {step.number: _numbers(step.place) for step in steps}
    over = {places[step.number] for step in steps if step.what in ("answered", "cancelled", "ended")}
    forks = {
        places[step.number]
        for step in steps
        if step.what == "began" and not step.effect.startswith(("Sleep(", "Timeout("))
    }
    last: dict[tuple[int, ...], int] = {}
    for place in [*places.values(), *map(_numbers, asks_at)]:
        for i, n in enumerate(place):
            last[place[:i]] = max(n, last.get(place[:i], 0))
    return {
        number
        for number, place in places.items()
        if place not in over
        # (The branches of a combinator do not follow one another.)
        and all(place[:i] in forks or last[place[:i]] <= n for i, n in enumerate(place))
    }


def _numbers(place: str) -> tuple[int, ...]:
    return tuple(map(int, place.split(".")))


def print_outcomes(outcomes: Mapping[RunInfo, Ok[Any] | Err[Exception]]) -> None:
    """Print how several runs stand, and why."""
    rows = [(run.run_id, run.status, _outcome(run, outcome)) for run, outcome in outcomes.items()]
    if sys.stdout.isatty():
        _print_table(("run", "status", "outcome"), rows)
    else:
        for row in rows:
            _print_line(*row)


def _outcome(run: RunInfo, outcome: Ok[Any] | Err[Exception]) -> str:
    if isinstance(outcome, Ok):
        return "" if outcome.value is None else str(outcome.value)
    if isinstance(outcome.error, (RunSuspended, RunCancelled)):
        return "; ".join(run.questions)
    return f"{type(outcome.error).__name__}: {outcome.error}"


def ago(seconds: float, now: float) -> str:
    """A time as it is said at the time `now`; both in seconds since the Unix epoch.

    >>> ago(1000.0, 1090.0), ago(90_000.0, 0.0), ago(5.0, 5.0)
    ('1 min ago', 'in 1 d', '0 s ago')
    """
    passed = now - seconds
    name, length = next((unit for unit in _UNITS if abs(passed) >= unit[1]), _UNITS[-1])
    count = f"{int(abs(passed) / length):,} {name}"
    return f"in {count}" if passed < 0 else f"{count} ago"


def _print_line(*cells: str) -> None:
    # As many columns in every line: an empty cell is one, too.
    print("\t".join(map(_line, cells)))


def _print_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, left_out: Sequence[int] = ()
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    shown = [i for i in range(len(titles)) if i not in left_out]
    for i in shown:
        # What is to be read as a whole, or to be copied, is not cut where the others can be.
        whole = titles[i] in ("", "place", "status", "since", "begun")
        table.add_column(titles[i], overflow="fold", no_wrap=whole, justify="left" if titles[i] else "right")
    for row in rows:
        styles = [_STYLES.get(row[i].partition(",")[0], "") if titles[i] == "status" else "" for i in shown]
        table.add_row(*(Text(_line(row[i]), style=style) for i, style in zip(shown, styles, strict=True)))
    if table.row_count:
        Console().print(table)


def _line(text: str) -> str:
    return " ".join(text.split())


def _brief(text: str, in_full: bool) -> str:
    text = _line(text)
    return text if in_full or len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
