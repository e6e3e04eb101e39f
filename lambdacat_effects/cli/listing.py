"""Runs and their histories, printed: tables on a terminal, plain lines in a pipe, JSON where it is asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.cli.targets import Target
from lambdacat_effects.errors import RunCancelled, RunSuspended
from lambdacat_effects.journal import RunInfo, Step
from lambdacat_effects.journal.session import exactly

__all__ = ["print_history", "print_outcomes", "print_runs"]

_STYLES: Final = {
    "running": "cyan",
    "interrupted": "yellow",
    "suspended": "magenta",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "dim",
}


def print_runs(runs: Sequence[RunInfo], *, as_json: bool) -> None:
    """Print how runs stand."""
    if as_json:
        print(json.dumps([_run_as_json(run) for run in runs], indent=2))
        return
    rows = [
        (run.run_id, run.status, str(Target.kept_with(run)), _moment(run.created), "; ".join(run.questions))
        for run in runs
    ]
    _print_rows(("run", "status", "plan", "begun", "asks"), rows)


def _run_as_json(run: RunInfo) -> dict[str, Any]:
    note = None if Target.is_note(run.note) else run.note
    return {**attrs.asdict(run), "plan": str(Target.kept_with(run)), "note": note}


def print_history(steps: Sequence[Step], *, as_json: bool) -> None:
    """Print what a run has done."""
    if as_json:
        # Outcomes as the journal has them, with the classes of what is no plain JSON.
        plain = [attrs.evolve(step, outcome=exactly().write(step.outcome)) for step in steps]
        print(json.dumps([attrs.asdict(step, recurse=False) for step in plain], indent=2))
    elif sys.stdout.isatty():
        _print_rows(
            ("place", "effect", "", "outcome"),
            [(step.place, step.effect, step.what, _brief(step.outcome)) for step in steps],
        )
    else:
        print(*(_line(str(step)) for step in steps), sep="\n", end="\n" if steps else "")


def print_outcomes(outcomes: Mapping[RunInfo, Ok[Any] | Err[Exception]]) -> None:
    """Print how several runs stand, and why."""
    rows = [(run.run_id, run.status, _outcome(run, outcome)) for run, outcome in outcomes.items()]
    _print_rows(("run", "status", "outcome"), rows)


def _outcome(run: RunInfo, outcome: Ok[Any] | Err[Exception]) -> str:
    if isinstance(outcome, Ok):
        return "" if outcome.value is None else str(outcome.value)
    if isinstance(outcome.error, (RunSuspended, RunCancelled)):
        return "; ".join(run.questions)
    return f"{type(outcome.error).__name__}: {outcome.error}"


def _print_rows(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(map(_line, row)).rstrip("\t"))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    if table.row_count:
        Console().print(table)


def _line(text: str) -> str:
    return " ".join(text.split())


def _brief(outcome: Any) -> str:
    text = "" if outcome is None else _line(repr(outcome))
    return text if len(text) <= 200 else f"{text[:196]} ..."


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).isoformat(sep=" ", timespec="seconds")
