"""The `lambdacat` command.

::

    loading.py     FILE:PLAN to a plan, and the handlers to run it with
    arguments.py   a plan's own arguments, as its annotations say
    running.py     signals, clean cancellation

The answer goes to standard output, and everything else to standard error, so that answers can be piped.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeGuard

import trio
from cyclopts import App, CycloptsError, Parameter

from lambdacat_effects.cli.arguments import bind, print_help
from lambdacat_effects.cli.loading import find_plan, handlers_of, load, plans_in, split_target
from lambdacat_effects.cli.running import Outcome, run_plan
from lambdacat_effects.errors import CommandError, LambdacatError, Misuse, StoreUnusable
from lambdacat_effects.observability import Progress, Recorder, progress, report_table
from lambdacat_effects.runtime.events import Event

__all__ = ["main"]

OK, FAILED, WRONG = 0, 1, 2

app = App(
    name="lambdacat",
    help="Run agent plans: typed generators of effects, interpreted by handlers.",
    version=lambda: version("lambdacat-effects"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line says (`sys.argv` unless given) and answer the exit status.

    0: done. 1: the plan failed. 2: the command line or the program is wrong. 130, 143: cancelled by SIGINT, SIGTERM.
    """
    try:
        status = app(
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
            traceback.print_exception(error.__cause__)
        return _refuse(str(error))
    except KeyboardInterrupt:
        _say("cancelled before the run began")
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever read the answer has had enough. Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return status if isinstance(status, int) else OK


@app.command(help_flags=())  # its --help is about the plan
def run(
    target: Annotated[str | None, Parameter(name="FILE:PLAN", allow_leading_hyphen=True)] = None,
    /,
    *args: Annotated[str, Parameter(allow_leading_hyphen=True)],
    store: Path = Path(".lambdacat"),
    quiet: Annotated[bool, Parameter(negative="")] = False,
    report: bool = True,
) -> int:
    """Run a plan, live, and print its answer.

    Effects mean what the file's `handlers` say (a Handler, or a function from the store's path to one). Without it, the
    file's tools are called, and memory is kept in the store.

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
        app.help_print(["run"])
        return OK
    file, name = split_target(target)
    module = load(file)
    if name is None:
        return _list_plans(file, plans_in(module))
    plan = find_plan(module, file, name)
    command = f"lambdacat run {target}"
    if "--help" in args or "-h" in args:
        print_help(plan, command)
        return OK
    make = bind(plan, args, command)
    handlers = handlers_of(module, file, store)
    recorder = Recorder() if report and not quiet else None
    return _finish(_perform(handlers, make, name, recorder, quiet=quiet), recorder)


def _list_plans(file: str, plans: list[str]) -> int:
    if not plans:
        raise CommandError(f"{file} defines no plan: write a generator function that yields effects")
    _say(f"{file} has these plans; run one with `lambdacat run {file}:PLAN`")
    print(*plans, sep="\n")
    return OK


def _perform(
    handlers: Any, make: Callable[[], Any], name: str, recorder: Recorder | None, *, quiet: bool
) -> Outcome:
    with _Silence(sys.stderr) if quiet else progress() as shown:

        def listen(event: Event) -> None:
            if recorder is not None:
                recorder(event)
            shown(event)

        say = partial(_said_by, shown.note)
        return trio.run(partial(run_plan, handlers, make, name=name, listen=listen, say=say))


def _finish(outcome: Outcome, recorder: Recorder | None) -> int:
    """Print how it ended and answer the exit status."""
    error = outcome.error
    if outcome.cancelled_by is None and error is None:
        _print_answer(outcome.answer)
    if recorder is not None and recorder.events:
        from rich.console import Console

        Console(stderr=True).print(report_table(recorder.report()))
    if error is not None:
        if isinstance(error, LambdacatError) and isinstance(error, (Misuse, CommandError, StoreUnusable)):
            _say(str(error))
        else:
            traceback.print_exception(error)
    if outcome.cancelled_by is not None:
        clean_up = "clean-up finished" if error is None else "and clean-up failed"
        _say(f"cancelled; {outcome.effects} effects had been answered, {clean_up}")
        return 128 + outcome.cancelled_by
    if error is None:
        return OK
    return WRONG if isinstance(error, (Misuse, CommandError)) else FAILED


def _print_answer(answer: Any) -> None:
    if answer is None:
        return
    if isinstance(answer, str):
        print(answer)
    elif hasattr(type(answer), "__rich__"):
        from rich.console import Console

        Console().print(answer)
    elif type(answer).__str__ is not object.__str__:
        print(answer)
    else:
        from rich.pretty import pretty_repr

        print(pretty_repr(answer))


class _Silence(Progress):
    """Shows nothing but notes."""

    def __call__(self, event: Event) -> None:
        """Show nothing."""


def _said_by(note: Callable[[str], None], text: str) -> None:
    note(f"lambdacat: {text}")


def _say(text: str) -> None:
    print(f"lambdacat: {text}", file=sys.stderr, flush=True)


def _refuse(text: str) -> int:
    _say(text)
    return WRONG
