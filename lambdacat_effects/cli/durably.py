"""Runs that are kept: begun, resumed, and what is said of how they stand."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple, TypeVar

import trio

from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.cli.loading import find_plan, handlers_of
from lambdacat_effects.cli.performing import FAILED, OK, Showing, fail, perform, print_report
from lambdacat_effects.cli.printing import print_answer, say
from lambdacat_effects.cli.running import Outcome
from lambdacat_effects.cli.targets import Target, plan_of
from lambdacat_effects.errors import (
    CommandError,
    JournalUnreadable,
    LambdacatError,
    NondeterminismError,
    RecordedError,
    RunInUse,
    RunSuspended,
    UnknownRun,
)
from lambdacat_effects.journal import Durable, Question, RunInfo
from lambdacat_effects.journal.keeping import beginning
from lambdacat_effects.journal.naming import called
from lambdacat_effects.journal.performing import outcome_of
from lambdacat_effects.journal.records import RUNS, Header
from lambdacat_effects.journal.showing import error_text, shown
from lambdacat_effects.observability import Tally
from lambdacat_effects.runtime.events import Listener
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.storage.places import FORMS, open_store, place_shown, there_may_be
from lambdacat_effects.storage.port import Store

__all__ = [
    "STORE",
    "SUSPENDED",
    "Kept",
    "begin",
    "command_line",
    "go_on",
    "handlers_for",
    "look",
    "opened",
    "questions_of",
    "say_what_it_asks",
    "stands",
    "store_option",
]

T = TypeVar("T")

SUSPENDED: Final = 75
"""The exit status of a run that waits for an answer: EX_TEMPFAIL of sysexits.h."""

STORE: Final = ".lambdacat"
"""Where runs and memory are kept unless a command says otherwise: a place, as `open_store` takes it."""


class Kept(NamedTuple):
    """A store of runs, open."""

    durable: Durable
    store: Store
    place: str

    async def info(self, run_id: str) -> RunInfo:
        """How a run stands. Raises `CommandError` if there is none."""
        try:
            return await self.durable.info(run_id)
        except UnknownRun:
            listing = shlex.join(["lambdacat", "runs", *store_option(self.place)])
            raise CommandError(
                f"there is no run {run_id!r} in {place_shown(self.place)}: `{listing}` lists those there are"
            ) from None


@asynccontextmanager
async def opened(place: str, *, new: bool = False) -> AsyncGenerator[Kept, None]:
    """The runs in a store. Raises `CommandError` if there is nothing, unless it may be `new`."""
    if not new and not there_may_be(place):
        raise CommandError(
            f"there is no store in {place}: name the one that was given to `lambdacat run --durable`, with "
            f"--store: {FORMS}"
        )
    async with open_store(place) as store, Durable(store) as durable:
        yield Kept(durable, store, place)


def look(place: str, asking: Callable[[Kept], Awaitable[T]]) -> T:
    """What `asking` finds in the store."""

    async def ask() -> T:
        async with opened(place) as kept:
            return await asking(kept)

    return trio.run(ask)


def begin(
    run_id: str,
    place: str,
    call: tuple[Any, ...],
    handlers: Handler[Any],
    target: Target,
    showing: Showing,
) -> int:
    """Perform a plan as a run, and answer the exit status. A run that was begun with the same before goes on, or its
    outcome is printed. Raises `RunMismatch` if it was begun with something else."""
    new = beginning(run_id, call[0], call[1:], None)

    async def found(kept: Kept) -> RunInfo | None:
        header = await kept.store.get(RUNS, run_id)
        if header is None:
            return None
        new.check_is(Header.decode(run_id, header))
        return await kept.durable.info(run_id)

    info = look(place, found) if there_may_be(place) else None
    if info is not None and info.ended:
        return _print_outcome(info, place, None)
    if info is not None and info.status != "running":
        say(f"{run_id!r} of {Target.kept_with(info)} was begun before: it goes on, and is not begun again")

    async def performing(listen: Listener) -> Any:
        async with opened(place, new=True) as kept:
            return await kept.durable.run_or_resume(
                run_id, *call, handlers=handlers, listen=listen, note=target.note()
            )

    return _end(run_id, place, *perform(performing, showing, stopping="interrupting"))


def go_on(
    run_id: str, place: str, showing: Showing, *, moved_to: str | None = None, renamed: str | None = None
) -> int:
    """Let a run go on where it stopped, or print how it ended. Answers the exit status.

    `moved_to` is the file that its plan is in now, and `renamed` what the plan is called there now.
    """
    info = look(place, lambda kept: kept.info(run_id))
    if info.ended:
        return _print_outcome(info, place, moved_to)
    handlers = handlers_for(info, place, moved_to=moved_to, renamed=renamed)
    make = None if renamed is None else _made_by(info, moved_to, renamed)

    async def performing(listen: Listener) -> Any:
        async with opened(place) as kept:
            return await kept.durable.resume(run_id, handlers=handlers, make=make, listen=listen)

    return _end(run_id, place, *perform(performing, showing, stopping="interrupting"), file=moved_to)


def _made_by(info: RunInfo, moved_to: str | None, renamed: str) -> Callable[..., Any]:
    """The function that makes the plan of a run, by its new name."""
    if info.generation:
        raise CommandError(
            f"the run {info.run_id!r} has continued as new, and its plan is made by {info.plan} now: --plan names "
            "the plan that a run began with. Give that function its old name again"
        )
    target = Target.kept_with(info)
    plan = find_plan(target.load(moved_to=moved_to), moved_to or target.file, renamed)
    if info.plan != called(plan_of):
        return plan

    def remade(module: str, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        del module, name  # as they were
        return plan(*args, **kwargs)

    return remade


def _print_outcome(info: RunInfo, place: str, moved_to: str | None) -> int:
    """Print how a run has ended, for which its file is needed only if that defines the class of what it answered."""

    async def header_of(kept: Kept) -> Header:
        return Header.decode(info.run_id, await kept.store.get(RUNS, info.run_id) or b"")

    header = look(place, header_of)
    say(f"{info.run_id!r} {stands(info)} before; this is its outcome")
    answer = _outcome_of(header)
    if isinstance(answer, Err) and isinstance(answer.error, (JournalUnreadable, RecordedError)):
        with suppress(CommandError):
            Target.kept_with(info).load(moved_to=moved_to)
            answer = _outcome_of(header)
    if isinstance(answer, Ok):
        print_answer(answer.value)
        return OK
    if isinstance(answer.error, (JournalUnreadable, RecordedError)):
        return _print_as_kept(header, answer.error)
    # Where it was raised, in a former process, is not known any more.
    return fail(answer.error.with_traceback(None))


def _print_as_kept(header: Header, problem: Exception) -> int:
    [plain] = header.outcome
    if header.status != "succeeded":
        print(error_text(plain), file=sys.stderr)
        return FAILED
    print(shown(plain))
    say(f"the answer is shown as it is kept: {problem}")
    return OK


def _outcome_of(header: Header) -> Ok[Any] | Err[Exception]:
    try:
        return Ok(outcome_of(header))
    except Exception as error:
        return Err(error)


def handlers_for(
    info: RunInfo, place: str, *, moved_to: str | None = None, renamed: str | None = None
) -> Handler[Any]:
    """The handlers that a run is performed with. Its file is loaded, so that its plan can be made. Raises
    `CommandError`, which says what to type, if it is not there any more."""
    target = Target.kept_with(info)
    file = moved_to or target.file
    if moved_to is None and os.path.isabs(file) and not os.path.isfile(file):
        raise CommandError(
            f"the run's plan was in {file}, and there is no such file any more. If it was moved, say where it is "
            f"now: `{command_line('resume', info.run_id, place, value='--file FILE')}`"
        )
    module = target.load(moved_to=moved_to)
    if not info.generation:
        try:
            find_plan(module, file, renamed or target.plan)
        except CommandError as error:
            moved = f"--file {shlex.quote(moved_to)} " if moved_to is not None else ""
            line = command_line("resume", info.run_id, place, value=f"{moved}--plan NAME")
            raise CommandError(f"{error}. If it was renamed, say what it is called now: `{line}`") from None
    return handlers_of(module, file, place)


def stands(info: RunInfo) -> str:
    """What has become of a run, in words."""
    if info.ended:
        return "was cancelled" if info.status == "cancelled" else f"has {info.status}"
    if info.status == "suspended":
        words = f"waits for an answer to {' and '.join(map(repr, info.questions))}"
    else:
        words = f"is {info.status}"
    if not info.cancelling:
        return words
    return f"{words}, and is {'being' if info.status == 'running' else 'to be'} cancelled"


def _end(run_id: str, place: str, outcome: Outcome, tally: Tally | None, *, file: str | None = None) -> int:
    """Print how a run ended, or what lets it go on, and answer the exit status."""
    print_report(outcome, tally)
    info = _info(run_id, place)
    error = outcome.answer.error if isinstance(outcome.answer, Err) else None
    status = OK
    if isinstance(error, RunSuspended):
        say_what_it_asks(run_id, place)
        status = SUSPENDED
    elif error is not None:
        # Of a run that goes on when it is resumed, no plan has failed, and the message says it all.
        status = fail(error, briefly=not _has_ended(info) and isinstance(error, LambdacatError))
    if outcome.interrupted_by is not None:
        status = 128 + outcome.interrupted_by
    if info is None:
        return status
    if info.status in ("interrupted", "suspended", "unreadable") and error is not None:
        _say_what_helps(info, place, error, file)
    elif info.status == "interrupted":
        say(f"{run_id!r} is interrupted, and goes on with\n  {_resuming(info, place, file)}")
    elif outcome.interrupted_by is not None:
        say("interrupted too late: the run had ended" if _has_ended(info) else "interrupted")
    return status


def _say_what_helps(info: RunInfo, place: str, error: Exception, file: str | None) -> None:
    """Say what lets a run go on that an error has stopped."""
    run_id = info.run_id
    resuming = _resuming(info, place, file)
    if isinstance(error, NondeterminismError):
        say(
            f"{run_id!r} is as it was. It goes on with the code that it was performed with, or once what is new is "
            f"guarded by `patched`:\n  {resuming}"
        )
    elif isinstance(error, (JournalUnreadable, RecordedError)):
        say(
            f"{run_id!r} is as it was. It goes on once what is kept of it can be read again: with the classes that "
            f"it was written with, or a backup of the store:\n  {resuming}\nTo give it up, without its clean-up:\n"
            f"  {command_line('forget', run_id, place, '--force')}"
        )
    elif isinstance(error, (RunSuspended, RunInUse, UnknownRun)):
        return
    elif info.questions:
        say_what_it_asks(run_id, place)  # its answer did not fit, say
    else:
        say(f"{run_id!r} is interrupted, and goes on with\n  {resuming}")


def _resuming(info: RunInfo, place: str, file: str | None) -> str:
    """The command that lets a run go on."""
    moved = [] if file is None else ["--file", file]
    return command_line("resume", info.run_id, place, *moved)


def _has_ended(info: RunInfo | None) -> bool:
    return info is not None and info.ended


def _info(run_id: str, place: str) -> RunInfo | None:
    try:
        return look(place, lambda kept: kept.info(run_id))
    except LambdacatError:  # it was never begun, or the store is what went wrong
        return None


def questions_of(run_id: str, place: str) -> list[Question]:
    """What a run asks. Raises `CommandError`."""

    async def questions(kept: Kept) -> list[Question]:
        await kept.info(run_id)
        return await kept.durable.questions(run_id)

    return look(place, questions)


def say_what_it_asks(run_id: str, place: str) -> None:
    """Say what a run asks, and how each question is answered."""
    questions = questions_of(run_id, place)
    for question in questions:
        alike = [other.text for other in questions].count(question.text) > 1
        words = (
            ["--at", question.at] if alike else ["--question", question.text] if len(questions) > 1 else []
        )
        line = command_line("answer", run_id, place, *words, value="VALUE")
        say(f"{run_id!r} asks: {question.text} ({_wanted(question.type)})\n  {line}")


def _wanted(kind: str) -> str:
    return {"str": "text", "bool": "yes or no"}.get(kind, f"{kind}, as JSON")


def command_line(command: str, run_id: str, place: str, *words: str, value: str = "") -> str:
    """A command about a run, to be typed."""
    parts = [shlex.join(["lambdacat", command, run_id]), value, shlex.join([*words, *store_option(place)])]
    return " ".join(filter(None, parts))


def store_option(place: str) -> list[str]:
    """What names the store in a command."""
    return [] if place == STORE else ["--store", place_shown(place)]
