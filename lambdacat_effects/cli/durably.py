"""Runs that are kept: begun, resumed, and what is said of how they stand."""

from __future__ import annotations

import shlex
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import trio

from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.cli.loading import find_plan, handlers_of
from lambdacat_effects.cli.performing import FAILED, OK, Showing, fail, perform, print_report
from lambdacat_effects.cli.printing import print_answer, say
from lambdacat_effects.cli.running import Outcome
from lambdacat_effects.cli.targets import Target
from lambdacat_effects.errors import (
    CommandError,
    JournalUnreadable,
    LambdacatError,
    RecordedError,
    RunSuspended,
    UnknownRun,
)
from lambdacat_effects.journal import Durable, Question, RunInfo
from lambdacat_effects.journal.performing import outcome_of
from lambdacat_effects.journal.records import RUNS, Header
from lambdacat_effects.journal.showing import error_text, shown
from lambdacat_effects.observability import Tally
from lambdacat_effects.runtime.events import Listener
from lambdacat_effects.runtime.handler import Handler
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
]

T = TypeVar("T")

SUSPENDED: Final = 75
"""The exit status of a run that waits for an answer: EX_TEMPFAIL of sysexits.h."""

STORE: Final = Path(".lambdacat")
"""Where runs and memory are kept unless a command says otherwise."""


class Kept(NamedTuple):
    """A store of runs, open."""

    durable: Durable
    store: Store
    folder: Path

    async def info(self, run_id: str) -> RunInfo:
        """How a run stands. Raises `CommandError` if there is none."""
        try:
            return await self.durable.info(run_id)
        except UnknownRun:
            where = [] if self.folder == STORE else ["--store", str(self.folder)]
            raise CommandError(
                f"there is no run {run_id!r} in {self.folder}: `{shlex.join(['lambdacat', 'runs', *where])}` lists "
                "those there are"
            ) from None


@asynccontextmanager
async def opened(folder: Path, *, new: bool = False) -> AsyncGenerator[Kept, None]:
    """The runs in a folder. Raises `CommandError` if there is nothing, unless it may be `new`."""
    with suppress(PermissionError):  # which the store explains
        if not new and not (folder / "data.mdb").exists():
            raise CommandError(
                f"there is no store in {folder}: name the folder that was given to `lambdacat run --durable`, "
                "with --store DIR"
            )
    from lambdacat_effects.storage.lmdb_store import LmdbStore  # loads lmdb

    async with LmdbStore(folder) as store, Durable(store) as durable:
        yield Kept(durable, store, folder)


def look(folder: Path, asking: Callable[[Kept], Awaitable[T]]) -> T:
    """What `asking` finds in the store."""

    async def ask() -> T:
        async with opened(folder) as kept:
            return await asking(kept)

    return trio.run(ask)


def begin(
    run_id: str,
    folder: Path,
    call: tuple[Any, ...],
    handlers: Handler[Any],
    target: Target,
    showing: Showing,
) -> int:
    """Perform a plan as a new run, and answer the exit status."""

    async def performing(listen: Listener) -> Any:
        async with opened(folder, new=True) as kept:
            await _check_is_free(kept, run_id)
            return await kept.durable.run(run_id, *call, handlers=handlers, listen=listen, note=target.note())

    return _end(run_id, folder, *perform(performing, showing, stopping="interrupting"))


async def _check_is_free(kept: Kept, run_id: str) -> None:
    try:
        info = await kept.durable.info(run_id)
    except UnknownRun:
        return
    if info.ended:
        do = f"forget it (`{command_line('forget', run_id, kept.folder)}`)"
    elif info.questions:
        do = f"answer it (`{command_line('answer', run_id, kept.folder, value='VALUE')}`)"
    else:
        do = f"let it go on (`{command_line('resume', run_id, kept.folder)}`)"
    raise CommandError(
        f"there is a run {run_id!r} already, of {Target.kept_with(info)}, which {stands(info)}: {do}, or choose "
        "another id"
    )


def go_on(run_id: str, folder: Path, showing: Showing, *, moved_to: str | None = None) -> int:
    """Let a run go on where it stopped, or print how it ended. Answers the exit status."""
    info = look(folder, lambda kept: kept.info(run_id))
    if info.ended:
        return _print_outcome(info, folder, moved_to)
    handlers = handlers_for(info, folder, moved_to=moved_to)

    async def performing(listen: Listener) -> Any:
        async with opened(folder) as kept:
            return await kept.durable.resume(run_id, handlers=handlers, listen=listen)

    return _end(run_id, folder, *perform(performing, showing, stopping="interrupting"))


def _print_outcome(info: RunInfo, folder: Path, moved_to: str | None) -> int:
    """Print how a run has ended, for which its file is needed only if that defines the class of what it answered."""

    async def header_of(kept: Kept) -> Header:
        return Header.decode(info.run_id, await kept.store.get(RUNS, info.run_id) or b"")

    header = look(folder, header_of)
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


def handlers_for(info: RunInfo, folder: Path, *, moved_to: str | None = None) -> Handler[Any]:
    """The handlers that a run is performed with. Its file is loaded, so that its plan can be made. Raises
    `CommandError` if it is not there any more."""
    target = Target.kept_with(info)
    module = target.load(moved_to=moved_to)
    file = moved_to or target.file
    if not info.generation:
        find_plan(module, file, target.plan)
    return handlers_of(module, file, folder)


def stands(info: RunInfo) -> str:
    """What has become of a run, in words."""
    if info.ended:
        return "was cancelled" if info.status == "cancelled" else f"has {info.status}"
    if info.status == "suspended":
        return f"waits for an answer to {' and '.join(map(repr, info.questions))}"
    return f"is {info.status}"


def _end(run_id: str, folder: Path, outcome: Outcome, tally: Tally | None) -> int:
    """Print how a run ended, or what lets it go on, and answer the exit status."""
    print_report(outcome, tally)
    info = _info(run_id, folder)
    status = OK
    if isinstance(outcome.answer, Err):
        error = outcome.answer.error
        if isinstance(error, RunSuspended):
            say_what_it_asks(run_id, folder)
            status = SUSPENDED
        else:
            # Of a run that goes on when it is resumed, no plan has failed, and the message says it all.
            status = fail(error, briefly=not _has_ended(info) and isinstance(error, LambdacatError))
    if outcome.interrupted_by is not None:
        status = 128 + outcome.interrupted_by
    if info is not None and info.status == "interrupted" and info.questions:
        say_what_it_asks(run_id, folder)  # its answer did not fit, say
    elif info is not None and info.status == "interrupted":
        say(f"{run_id!r} is interrupted, and goes on with\n  {command_line('resume', run_id, folder)}")
    elif outcome.interrupted_by is not None:
        say("interrupted too late: the run had ended" if _has_ended(info) else "interrupted")
    return status


def _has_ended(info: RunInfo | None) -> bool:
    return info is not None and info.ended


def _info(run_id: str, folder: Path) -> RunInfo | None:
    try:
        return look(folder, lambda kept: kept.info(run_id))
    except LambdacatError:  # it was never begun, or the store is what went wrong
        return None


def questions_of(run_id: str, folder: Path) -> list[Question]:
    """What a run asks. Raises `CommandError`."""

    async def questions(kept: Kept) -> list[Question]:
        await kept.info(run_id)
        return await kept.durable.questions(run_id)

    return look(folder, questions)


def say_what_it_asks(run_id: str, folder: Path) -> None:
    """Say what a run asks, and how each question is answered."""
    questions = questions_of(run_id, folder)
    for question in questions:
        alike = [other.text for other in questions].count(question.text) > 1
        words = (
            ["--at", question.at] if alike else ["--question", question.text] if len(questions) > 1 else []
        )
        line = command_line("answer", run_id, folder, *words, value="VALUE")
        say(f"{run_id!r} asks: {question.text} ({_wanted(question.type)})\n  {line}")


def _wanted(kind: str) -> str:
    return {"str": "text", "bool": "yes or no"}.get(kind, f"{kind}, as JSON")


def command_line(command: str, run_id: str, folder: Path, *words: str, value: str = "") -> str:
    """A command about a run, to be typed."""
    where = [] if folder == STORE else ["--store", str(folder)]
    parts = [shlex.join(["lambdacat", command, run_id]), value, shlex.join([*words, *where])]
    return " ".join(filter(None, parts))
