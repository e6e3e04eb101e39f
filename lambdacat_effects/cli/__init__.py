"""The `lambdacat` command.

::

    loading.py     FILE:PLAN to a plan, and the handlers to run it with
    arguments.py   a plan's own arguments, as its annotations say
    running.py     signals, clean cancellation
    performing.py  progress, report, exit status
    printing.py    answers and errors
    targets.py     how a durable run finds its file again
    durably.py     runs that are kept: begun, resumed
    runs.py        the commands about them
    listing.py     runs and histories as tables, lines, JSON

The answer goes to standard output, and everything else to standard error, so that answers can be piped.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from types import FrameType
from typing import Annotated, Any, Never

from cyclopts import App, CycloptsError, Parameter

from lambdacat_effects.cli.arguments import bind, print_help
from lambdacat_effects.cli.durably import STORE, begin
from lambdacat_effects.cli.loading import find_plan, handlers_of, load, plans_in, split_target
from lambdacat_effects.cli.performing import OK, WRONG, Showing, fail, finish, perform
from lambdacat_effects.cli.printing import print_error, say
from lambdacat_effects.cli.runs import answer, cancel, compact, forget, history, resume, runs
from lambdacat_effects.cli.targets import Target, kept_call
from lambdacat_effects.effects.durable import Ask
from lambdacat_effects.errors import CommandError, LambdacatError, Misuse, UnhandledEffect
from lambdacat_effects.runtime.events import Listener
from lambdacat_effects.runtime.handler import Handler

__all__ = ["main"]

_NOBODY_READS = 128 + 13
"""The exit status of tools that SIGPIPE ends (which Windows has not, by its name)."""

_app = App(
    name="lambdacat",
    help="Run agent plans: typed generators of effects, interpreted by handlers.",
    version=lambda: version("lambdacat-effects"),
    suppress_keyboard_interrupt=False,  # which would end it without a word
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line says (`sys.argv` unless given) and answer the exit status.

    0: done. 1: the plan failed. 2: the command line or the program is wrong. 75: the run waits for an answer.
    130, 143: cancelled, or a durable run interrupted, by SIGINT, SIGTERM. 141: nobody reads what is printed.
    """
    stopped_by = [signal.SIGINT]
    try:
        with _stopping(stopped_by):
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
    except LambdacatError as error:
        return fail(error, briefly=True)
    except KeyboardInterrupt:
        say("stopped before the run began")
        return 128 + stopped_by[-1]
    except BrokenPipeError:
        # Whoever read the answer has had enough. Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NOBODY_READS
    return status if isinstance(status, int) else OK


@contextmanager
def _stopping(by: list[signal.Signals]) -> Generator[None, None, None]:
    """Within this, SIGTERM does what Ctrl-C does, also while nothing is being performed."""

    def stop(number: int, frame: FrameType | None) -> None:
        by.append(signal.Signals(number))
        interrupt = signal.getsignal(signal.SIGINT)  # Trio's, while it runs
        if not callable(interrupt):
            raise KeyboardInterrupt
        interrupt(number, frame)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# No help flags: with a plan, --help is about the plan.
@_app.command(name="run", help_flags=(), usage="Usage: lambdacat run FILE:PLAN [ARGS] [OPTIONS]")
def _run(
    target: Annotated[str | None, Parameter(name="FILE:PLAN", allow_leading_hyphen=True)] = None,
    /,
    *args: Annotated[str, Parameter(allow_leading_hyphen=True)],
    durable: str | None = None,
    store: str = STORE,
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
    durable
        Keep the run under this id, so that it goes on where it stopped, whatever becomes of the process:
        `lambdacat resume` lets it.
    store
        Where memory, and durable runs, are kept: a folder (LMDB), FILE.sqlite or FILE.db (SQLite), json:FOLDER, or
        redis://HOST:PORT/DATABASE.
    quiet
        No live progress and no report.
    report
        The table of what each node did.
    """
    if target in (None, "--help", "-h"):
        _app.help_print(["run"])
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
    bound = bind(plan, args, command)
    handlers = handlers_of(module, file, store)
    showing = Showing(quiet=quiet, report=report)
    if durable is not None:
        place = Target.of(file, name, module)
        return begin(durable, store, kept_call(plan, bound, place), handlers, place, showing)

    async def performing(listen: Listener) -> Any:
        made = plan(*bound.args, **bound.kwargs)
        return await (Handler.of({Ask: _only_durable}) | handlers).run(made, name=name, listen=listen)

    return finish(*perform(performing, showing))


def _list_plans(file: str, plans: list[str]) -> int:
    if not plans:
        raise CommandError(f"{file} defines no plan: write a generator function that yields effects")
    say(f"{file} has these plans; run one with `lambdacat run {file}:PLAN`")
    print(*plans, sep="\n")
    return OK


def _only_durable(asked: Ask[Any]) -> Never:
    raise UnhandledEffect(
        f"the plan asks {asked.question!r}, and only a run that is kept can wait for an answer: give it an id, "
        "`lambdacat run ... --durable ID`"
    )


for _command in (runs, resume, answer, history, cancel, forget, compact):
    _app.command(_command)


def _refuse(text: str) -> int:
    say(text)
    return WRONG
