"""Performing a plan before somebody's eyes: its progress, its answer, a report, and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import attrs
import trio

from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.cli.printing import print_answer, print_error, say
from lambdacat_effects.cli.running import Outcome, run_plan
from lambdacat_effects.errors import (
    CommandError,
    JournalUnreadable,
    LeaseLost,
    Misuse,
    RunCancelled,
    RunInUse,
    RunMismatch,
    StoreUnusable,
    UnknownRun,
)
from lambdacat_effects.observability import Progress, Tally, progress, report_table
from lambdacat_effects.runtime.events import Event, Listener

__all__ = ["FAILED", "OK", "WRONG", "Showing", "fail", "finish", "perform", "print_report", "status_of"]

OK: Final = 0
FAILED: Final = 1
"""The plan failed, or what it is kept in did."""
WRONG: Final = 2
"""The command line or the program is wrong."""

_WRONG_OF_THEM = (Misuse, CommandError, UnknownRun, RunInUse, RunMismatch)

_FOR_THE_USER = (*_WRONG_OF_THEM, StoreUnusable, JournalUnreadable, LeaseLost, RunCancelled)
"""Errors that say all there is to say; of others, where they were raised matters."""


@attrs.frozen
class Showing:
    """What is shown of a run while it goes on, and after it."""

    quiet: bool = False
    """Nothing."""
    report: bool = True
    """A table of what each node did."""


def perform(
    performing: Callable[[Listener], Awaitable[Any]], showing: Showing, *, stopping: str = "cancelling"
) -> tuple[Outcome, Tally | None]:
    """Perform a plan, as `performing` does, and show how it goes."""
    tally = Tally() if showing.report and not showing.quiet else None
    with _Silence(sys.stderr) if showing.quiet else progress() as shown:

        def listen(event: Event) -> None:
            if tally is not None:
                tally(event)
            shown(event)

        def note(text: str) -> None:
            shown.note(f"lambdacat: {text}")

        running = partial(run_plan, performing, listen=listen, say=note, stopping=stopping)
        return trio.run(running), tally


def print_report(outcome: Outcome, tally: Tally | None) -> None:
    """Print the plan's answer, if there is one, and the report."""
    if isinstance(outcome.answer, Ok):
        print_answer(outcome.answer.value)
    if tally is not None and (report := tally.report()).rows:
        from rich.console import Console

        Console(stderr=True).print(report_table(report))


def fail(error: Exception, *, briefly: bool = False) -> int:
    """Print an error, and answer the exit status."""
    if briefly or isinstance(error, _FOR_THE_USER):
        say(str(error))
    else:
        print_error(error)
    return status_of(error)


def status_of(error: Exception) -> int:
    """The exit status that an error means."""
    return WRONG if isinstance(error, _WRONG_OF_THEM) else FAILED


def finish(outcome: Outcome, tally: Tally | None) -> int:
    """Print how a run that is not kept anywhere ended, and answer the exit status."""
    print_report(outcome, tally)
    status = fail(outcome.answer.error) if isinstance(outcome.answer, Err) else OK
    if outcome.interrupted_by is not None:
        say(_farewell(outcome))
        status = 128 + outcome.interrupted_by
    return status


def _farewell(outcome: Outcome) -> str:
    answered = f"{outcome.effects} effect{'' if outcome.effects == 1 else 's'} had been answered"
    if outcome.answer is None:
        return f"cancelled; {answered}, clean-up finished"
    if isinstance(outcome.answer, Err):
        return f"cancelled; {answered}, and then the plan failed, see above"
    return f"cancelled too late: {answered}, and the plan's answer is printed"


class _Silence(Progress):
    """Shows nothing but notes."""

    def __call__(self, event: Event) -> None:
        """Show nothing."""
