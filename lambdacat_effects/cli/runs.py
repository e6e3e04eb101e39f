"""The commands about runs that are kept: list, resume, answer, cancel, and clear away."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import nullcontext, suppress
from typing import Annotated, Any

from cyclopts import Parameter

from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.cli.durably import (
    STORE,
    SUSPENDED,
    Kept,
    command_line,
    go_on,
    handlers_for,
    look,
    opened,
    questions_of,
    say_what_it_asks,
    stands,
    store_option,
)
from lambdacat_effects.cli.listing import print_history, print_outcomes, print_runs
from lambdacat_effects.cli.loading import split_target
from lambdacat_effects.cli.performing import FAILED, OK, Showing, perform, status_of
from lambdacat_effects.cli.printing import say
from lambdacat_effects.cli.targets import Target
from lambdacat_effects.errors import CommandError, JournalUnreadable, RunSuspended
from lambdacat_effects.journal import Question, RunInfo, Step
from lambdacat_effects.runtime.events import Listener
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.storage.places import place_shown

__all__ = ["answer", "cancel", "compact", "forget", "history", "resume", "runs"]

_RunId = Annotated[str, Parameter(name="ID", allow_leading_hyphen=True)]
_Flag = Annotated[bool, Parameter(negative="")]
_Json = Annotated[bool, Parameter(name="--json", negative="")]
_File = Annotated[str | None, Parameter(name="--file")]


def runs(*, store: str = STORE, as_json: _Json = False) -> int:
    """List the runs that are kept, the oldest first.

    In a pipe there is a line for each, with tabs between its id, its status, its plan, when it began, when its status
    changed last, and what it asks.

    Parameters
    ----------
    store
        Where they are kept: a folder, FILE.sqlite, json:FOLDER, or redis://HOST:PORT/DATABASE.
    as_json
        As a JSON array.
    """
    found = look(store, lambda kept: kept.durable.runs())
    print_runs(found, as_json=as_json)
    unreadable = [info for info in found if info.problem is not None]
    for info in unreadable:
        say(str(info.problem))
    if not found:
        say(
            f"there are no runs in {place_shown(store)}: begin one with `lambdacat run FILE:PLAN ARGS --durable ID`"
        )
    return FAILED if unreadable else OK


def history(run_id: _RunId, /, *, full: _Flag = False, store: str = STORE, as_json: _Json = False) -> int:
    """Show what a run has done, in order: a line for each record of its journal.

    A line has its number, the place in the plan (`3.0.1` is the first effect of branch 0 of the third), what was
    asked for, and what became of it; in a pipe with tabs between them.

    Parameters
    ----------
    run_id
        The run.
    full
        Also what is longer than 200 characters, in full.
    store
        Where it is kept.
    as_json
        As a JSON array, always in full.
    """

    async def asking(kept: Kept) -> tuple[RunInfo, list[Step], list[Question]]:
        info = await kept.info(run_id)
        return info, await kept.durable.history(run_id), await kept.durable.questions(run_id)

    info, steps, questions = look(store, asking)
    print_history(info, steps, asks_at=[one.at for one in questions], as_json=as_json, in_full=full)
    sys.stdout.flush()
    again = f", and has continued as new {_times(info.generation)}" if info.generation else ""
    say(
        f"{run_id!r} of {Target.kept_with(info)} {stands(info)}{again}{'' if steps else _without_steps(info)}"
    )
    return OK


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _without_steps(info: RunInfo) -> str:
    if info.ended:
        return "; its journal has been removed, or it never had one"
    return "; it has done nothing yet"


def resume(
    run_id: Annotated[str | None, Parameter(name="ID", allow_leading_hyphen=True)] = None,
    /,
    *,
    all_of_them: Annotated[bool, Parameter(name="--all", negative="")] = False,
    file: _File = None,
    plan: str | None = None,
    store: str = STORE,
    quiet: _Flag = False,
    report: bool = True,
) -> int:
    """Let a run go on where it stopped, and print its answer.

    What was answered is not done again. Of a run that has ended, the outcome is printed once more.

    Parameters
    ----------
    run_id
        The run.
    all_of_them
        Instead of one: every run that nobody performs and that waits for no answer, all at the same time.
    file
        Where the run's file is now, if it was moved.
    plan
        What the run's plan is called now, if it was renamed: NAME, or FILE:NAME.
    store
        Where it is kept.
    quiet
        No live progress and no report.
    report
        The table of what each node did.
    """
    if (run_id is None) != all_of_them:
        raise CommandError("name one run, `lambdacat resume ID`, or all of them, `lambdacat resume --all`")
    showing = Showing(quiet=quiet, report=report)
    if plan is not None and ":" in plan:
        if file is not None:
            raise CommandError(
                "--plan FILE:NAME says where the file is: leave --file out, or give --plan NAME"
            )
        file, plan = split_target(plan)
    if run_id is not None:
        return go_on(run_id, store, showing, moved_to=file, renamed=plan)
    if file is not None or plan is not None:
        raise CommandError("--file and --plan say where the plan of one run is: name the run")
    return _resume_all(store, showing)


def _resume_all(store: str, showing: Showing) -> int:
    loaded: dict[str, Handler[Any] | CommandError] = {}

    def handlers(info: RunInfo) -> Handler[Any]:
        if info.run_id not in loaded:
            try:
                loaded[info.run_id] = handlers_for(info, store)
            except CommandError as error:
                loaded[info.run_id] = error
        found = loaded[info.run_id]
        if isinstance(found, CommandError):
            raise found
        return found

    # Files are loaded before Trio runs, as they may use it; those of runs that come about meanwhile have to bear it.
    for info in look(store, lambda kept: kept.durable.runs()):
        if info.status in ("interrupted", "suspended"):
            with suppress(CommandError):
                handlers(info)

    async def performing(listen: Listener) -> dict[str, Ok[Any] | Err[Exception]]:
        async with opened(store) as kept:
            return await kept.durable.resume_all(handlers=handlers, listen=listen)

    outcome, _ = perform(performing, showing, stopping="interrupting")
    if isinstance(outcome.answer, Err):
        raise outcome.answer.error
    if outcome.interrupted_by is not None:
        line = shlex.join(["lambdacat", "resume", "--all", *store_option(store)])
        say(f"interrupted: what has not ended goes on with `{line}`")
        return 128 + outcome.interrupted_by
    outcomes: dict[str, Ok[Any] | Err[Exception]] = {} if outcome.answer is None else outcome.answer.value
    infos = {info.run_id: info for info in look(store, lambda kept: kept.durable.runs())}
    print_outcomes({infos[run_id]: one for run_id, one in outcomes.items() if run_id in infos})
    waiting = [info for info in infos.values() if info.questions]
    for info in waiting:
        say_what_it_asks(info.run_id, store)
    if not outcomes and not waiting:
        say("there is nothing to resume")
    errors = [result.error for result in outcomes.values() if isinstance(result, Err)]
    failed = [status_of(error) for error in errors if not isinstance(error, RunSuspended)]
    return min(failed, default=SUSPENDED if errors else OK)


def answer(
    run_id: _RunId,
    value: Annotated[str, Parameter(name="VALUE", allow_leading_hyphen=True)],
    /,
    *,
    question: str | None = None,
    at: str | None = None,
    go: Annotated[bool, Parameter(name="--resume")] = True,
    file: _File = None,
    store: str = STORE,
    quiet: _Flag = False,
    report: bool = True,
) -> int:
    """Answer what a run asks, and let it go on.

    Parameters
    ----------
    run_id
        The run.
    value
        Text if the question wants text, yes or no (true, false) if it wants a bool, else JSON.
    question
        The question's text, if the run asks several.
    at
        Where in the plan it is asked, as `lambdacat history` has it, if the run asks the same more than once.
    go
        Resume the run, unless it is being performed elsewhere, where it then goes on.
    file
        Where the run's file is now, if it was moved.
    store
        Where it is kept.
    quiet
        No live progress and no report.
    report
        The table of what each node did.
    """
    given = _read(value, _asked(run_id, store, question, at))
    with suppress(CommandError):  # so that the answer can be held against a class of the program's
        Target.kept_with(look(store, lambda kept: kept.info(run_id))).load(moved_to=file)

    async def answering(kept: Kept) -> RunInfo:
        await kept.durable.answer(run_id, given, question=question, at=at)
        return await kept.info(run_id)

    info = look(store, answering)
    if info.cancelling:
        say(
            f"answered; but somebody has asked the run {run_id!r} to end: whatever the answer, it is cancelled "
            f"{'where it is being performed' if info.status == 'running' else 'when it is resumed'}"
        )
    if info.status == "running":
        if not info.cancelling:
            say("answered; the run goes on where it is being performed")
    elif not go:
        what = "it" if info.cancelling else "answered; the run"
        say(f"{what} goes on with\n  {command_line('resume', run_id, store)}")
    else:
        try:
            return go_on(run_id, store, Showing(quiet=quiet, report=report), moved_to=file)
        except CommandError as error:
            raise CommandError(f"answered; but the run cannot go on here: {error}") from error.__cause__
    return OK


def _asked(run_id: str, store: str, text: str | None, at: str | None) -> Question:
    """The one question that is answered. Raises `CommandError`."""
    asked = questions_of(run_id, store)
    fitting = [one for one in asked if text in (None, one.text) and at in (None, one.at)]
    if len(fitting) == 1:
        return fitting[0]
    if not asked:
        info = look(store, lambda kept: kept.info(run_id))
        raise CommandError(f"the run {run_id!r} asks nothing: it {stands(info)}")
    questions = " and ".join([f"{one.text!r} (at {one.at})" for one in asked])
    if at is not None:
        raise CommandError(f"the run {run_id!r} does not ask that at {at}: it asks {questions}")
    if text is None and len({one.text for one in asked}) == len(asked):
        raise CommandError(
            f"the run {run_id!r} asks {questions}: name the one that is answered, --question TEXT"
        )
    if fitting:
        raise CommandError(
            f"the run {run_id!r} asks {questions}: say where in the plan the one is that is answered, --at PLACE"
        )
    raise CommandError(f"the run {run_id!r} does not ask {text!r}, but {questions}")


_SUCH_AS = {"int": "3", "float": "2.5", "list": '["a", "b"]', "dict": '{"a": 1}'}
_BOOLS = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}


def _read(text: str, question: Question) -> Any:
    kind = question.type
    if kind == "str":
        return text
    if kind == "bool":
        if text.strip().lower() not in _BOOLS:
            raise CommandError(f"{question.text!r} is to be answered with yes or no; got {text!r}")
        return _BOOLS[text.strip().lower()]
    try:
        return json.loads(text)
    except ValueError:
        if kind in _SUCH_AS:
            raise CommandError(
                f"{question.text!r} is to be answered with JSON of type {kind}, such as {_SUCH_AS[kind]}; "
                f"got {text!r}"
            ) from None
        return text  # the member of an enumeration, say


def cancel(
    run_id: _RunId,
    /,
    *,
    go: Annotated[bool, Parameter(name="--resume")] = True,
    file: _File = None,
    store: str = STORE,
    quiet: _Flag = False,
    report: bool = True,
) -> int:
    """End a run: it is cancelled where it is, and its clean-up is done.

    Parameters
    ----------
    run_id
        The run.
    go
        Do the clean-up here, unless the run is being performed elsewhere. Else it is done when the run is resumed.
    file
        Where the run's file is now, if it was moved.
    store
        Where it is kept.
    quiet
        No live progress and no report.
    report
        The table of what each node did.
    """

    async def cancelling(kept: Kept) -> RunInfo:
        info = await kept.info(run_id)
        await kept.durable.cancel(run_id)
        return info

    info = look(store, cancelling)
    if info.ended:
        raise CommandError(f"the run {run_id!r} {stands(info)} before: there is nothing to cancel")
    if info.status == "running":
        say("the run is being performed elsewhere, and is cancelled there")
    elif not go:
        say(f"the run is cancelled, with its clean-up, by\n  {command_line('resume', run_id, store)}")
    else:
        status = go_on(run_id, store, Showing(quiet=quiet, report=report), moved_to=file)
        info = look(store, lambda kept: kept.info(run_id))
        return OK if info.status == "cancelled" else status
    return OK


def forget(run_id: _RunId, /, *, force: _Flag = False, store: str = STORE) -> int:
    """Remove a run that has ended, altogether. Its id is free again.

    Parameters
    ----------
    run_id
        The run.
    force
        Also one that has not ended, such as one whose code is gone, or that cannot be read. Its clean-up is not
        done.
    store
        Where it is kept.
    """

    async def forgetting(kept: Kept) -> RunInfo | None:
        # What cannot be read can be forgotten all the same.
        with suppress(JournalUnreadable) if force else nullcontext():
            info = await kept.info(run_id)
            if not info.ended and not force:
                return info
        await kept.durable.forget(run_id, force=force)
        return None

    info = look(store, forgetting)
    if info is not None:
        raise CommandError(
            f"the run {run_id!r} {stands(info)}: end it with "
            f"`{command_line('cancel', run_id, store)}`, and forget it then; or, if its code "
            f"is gone, without its clean-up: `{command_line('forget', run_id, store, '--force')}`"
        )
    return OK


def compact(run_id: Annotated[str | None, Parameter(name="ID")] = None, /, *, store: str = STORE) -> int:
    """Remove the journals of runs that have ended, and give their room back. Their outcomes stay.

    Parameters
    ----------
    run_id
        One run; all of them unless given.
    store
        Where they are kept: a folder, FILE.sqlite, json:FOLDER, or redis://HOST:PORT/DATABASE.
    """

    async def compacting(kept: Kept) -> tuple[int, int, int]:
        if run_id is not None and not (info := await kept.info(run_id)).ended:
            raise CommandError(f"the run {run_id!r} {stands(info)}: its journal is needed")
        before = await kept.store.size()
        removed = await kept.durable.compact(run_id)
        await kept.store.compact()
        return removed, before, await kept.store.size()

    removed, before, after = look(store, compacting)
    records = f"{removed:,} record{'' if removed == 1 else 's'}"
    say(f"{records} removed; {place_shown(store)} had {before:,} bytes and has {after:,}")
    return OK
