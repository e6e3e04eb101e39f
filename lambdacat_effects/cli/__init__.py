"""The `lambdacat` command.

::

    loading.py     FILE:PLAN to a plan, and the handlers to run it with
    arguments.py   a plan's own arguments, as its annotations say
    running.py     signals, clean cancellation
    printing.py    answers and errors

The answer goes to standard output, and everything else to standard error, so that answers can be piped.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import trio
from cyclopts import App, CycloptsError, Parameter

from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.cli.arguments import bind, print_help
from lambdacat_effects.cli.loading import find_plan, handlers_of, load, plans_in, split_target
from lambdacat_effects.cli.printing import print_answer, print_error, say
from lambdacat_effects.cli.running import Outcome, run_plan
from lambdacat_effects.errors import CommandError, Misuse, StoreUnusable
from lambdacat_effects.observability import Progress, Tally, progress, report_table
from lambdacat_effects.runtime.events import Event

__all__ = ["main"]

_OK, _FAILED, _WRONG = 0, 1, 2

_FOR_THE_USER = (Misuse, StoreUnusable)
"""Errors that say all there is to say; of others, where they were raised matters."""

_app = App(
    name="lambdacat",
    help="Run agent plans: typed generators of effects, interpreted by handlers.",
    version=lambda: version("lambdacat-effects"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line says (`sys.argv` unless given) and answer the exit status.

    0: done. 1: the plan failed. 2: the command line or the program is wrong. 130, 143: cancelled by SIGINT, SIGTERM.
    """
    try:
        status = _app(
            None if arguments is None else list(arguments),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        sys.stdout.flush()
    except CycloptsError as error:
        error.verbose = False
        return _refuse(f"{error}\nlambdacat --help says more")
    except (CommandError, Misuse) as error:
        if error.__cause__ is not None:
            print_error(error.__cause__)
        return _refuse(str(error))
    except KeyboardInterrupt:
        say("cancelled before the run began")
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever read the answer has had enough. Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    return status if isinstance(status, int) else _OK


# No help flags: with a plan, --help is about the plan.
@_app.command(name="run", help_flags=(), usage="Usage: lambdacat run FILE:PLAN [ARGS] [OPTIONS]")
def _run(
    target: Annotated[str | None, Parameter(name="FILE:PLAN", allow_leading_hyphen=True)] = None,
    /,
    *args: Annotated[str, Parameter(allow_leading_hyphen=True)],
    store: Path = Path(".lambdacat"),
    quiet: Annotated[bool, Parameter(negative="")] = False,
    report: bool = True,
) -> int:
    """Run a plan, live, and print its answer.

    Effects mean what the file's `handlers` say (a Handler, or a function from the store's path to one). Without it,
    the file's tools are called, and memory is kept in the store.

    Parameters
    ----------
    target
        A Python file (or dotted module) and a plan in it: a function that makes one, or a DSL plan. Without PLAN the
        plans in the file are listed.
    args
        The plan's own arguments: `lambdacat run FILE:PLAN --help` shows them. After `--` come arguments of the plan
        alone, even those that are called like an option of `run`.
    store
        The folder that memory is kept in.
    quiet
        No live progress and no report.
    report
        The table of what each node did.
    """
    if target in (None, "--help", "-h"):
        _app.help_print(["run"])
        return _OK
    file, name = split_target(target)
    module = load(file)
    if name is None:
        return _list_plans(file, plans_in(module))
    plan = find_plan(module, file, name)
    command = f"lambdacat run {target}"
    if "--help" in args or "-h" in args:
        print_help(plan, command)
        return _OK
    make = bind(plan, args, command)
    handlers = handlers_of(module, file, store)
    tally = Tally() if report and not quiet else None
    return _finish(_perform(handlers, make, name, tally, quiet=quiet), tally)


def _list_plans(file: str, plans: list[str]) -> int:
    if not plans:
        raise CommandError(f"{file} defines no plan: write a generator function that yields effects")
    say(f"{file} has these plans; run one with `lambdacat run {file}:PLAN`")
    print(*plans, sep="\n")
    return _OK


def _perform(
    handlers: Any, make: Callable[[], Any], name: str, tally: Tally | None, *, quiet: bool
) -> Outcome:
    with _Silence(sys.stderr) if quiet else progress() as shown:

        def listen(event: Event) -> None:
            if tally is not None:
                tally(event)
            shown(event)

        def note(text: str) -> None:
            shown.note(f"lambdacat: {text}")

        return trio.run(partial(run_plan, handlers, make, name=name, listen=listen, say=note))


def _finish(outcome: Outcome, tally: Tally | None) -> int:
    """Print how it ended and answer the exit status."""
    answer, status = outcome.answer, _OK
    if isinstance(answer, Ok):
        print_answer(answer.value)
    if tally is not None and (report := tally.report()).rows:
        from rich.console import Console

        Console(stderr=True).print(report_table(report))
    if isinstance(answer, Err):
        if isinstance(answer.error, _FOR_THE_USER):
            say(str(answer.error))
        else:
            print_error(answer.error)
        status = _WRONG if isinstance(answer.error, Misuse) else _FAILED
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


def _refuse(text: str) -> int:
    say(text)
    return _WRONG
