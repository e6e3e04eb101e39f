"""The commands about runs that are kept: list, resume, answer, cancel, and clear away."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
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
    stands,
)
from lambdacat_effects.cli.listing import print_history, print_outcomes, print_runs
from lambdacat_effects.cli.performing import OK, Showing, perform, status_of
from lambdacat_effects.cli.printing import say
from lambdacat_effects.errors import CommandError, RunSuspended
from lambdacat_effects.journal import RunInfo
from lambdacat_effects.journal.asking import Open
from lambdacat_effects.runtime.events import Listener
from lambdacat_effects.runtime.handler import Handler

__all__ = ["answer", "cancel", "compact", "forget", "history", "resume", "runs"]

_RunId = Annotated[str, Parameter(name="ID", allow_leading_hyphen=True)]
_Flag = Annotated[bool, Parameter(negative="")]
_Json = Annotated[bool, Parameter(name="--json", negative="")]
_File = Annotated[str | None, Parameter(name="--file")]


def runs(*, store: Path = STORE, as_json: _Json = False) -> int:
    """List the runs that are kept, the oldest first.

    In a pipe there is a line for each, of its id, status, plan, beginning and questions, with tabs between them.

    Parameters
    ----------
    store
        The folder that they are kept in.
    as_json
        As a JSON array.
    """
    found = look(store, lambda kept: kept.durable.runs())
    print_runs(found, as_json=as_json)
    if not found:
        say(f"there are no runs in {store}: begin one with `lambdacat run FILE:PLAN ARGS --durable ID`")
    return OK


def history(run_id: _RunId, /, *, store: Path = STORE, as_json: _Json = False) -> int:
    """Show what a run has done, in order.

    Parameters
    ----------
    run_id
        The run.
    store
        The folder that it is kept in.
    as_json
        As a JSON array.
    """

    async def asking(kept: Kept) -> tuple[RunInfo, list[Any]]:
        return await kept.info(run_id), await kept.durable.history(run_id)

    info, steps = look(store, asking)
    print_history(steps, as_json=as_json)
    if not steps:
        what = "its journal has been removed" if info.ended else "it has done nothing that is kept"
        say(f"{run_id!r} {stands(info)}; {what}")
    return OK


def resume(
    run_id: Annotated[str | None, Parameter(name="ID", allow_leading_hyphen=True)] = None,
    /,
    *,
    all_of_them: Annotated[bool, Parameter(name="--all", negative="")] = False,
    file: _File = None,
    store: Path = STORE,
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
    store
        The folder that it is kept in.
    quiet
        No live progress and no report.
    report
        The table of what each node did.
    """
    if (run_id is None) != all_of_them:
        raise CommandError("name one run, `lambdacat resume ID`, or all of them, `lambdacat resume --all`")
    showing = Showing(quiet=quiet, report=report)
    if run_id is not None:
        return go_on(run_id, store, showing, moved_to=file)
    if file is not None:
        raise CommandError("--file says where the file of one run is: name the run")
    return _resume_all(store, showing)


def _resume_all(store: Path, showing: Showing) -> int:
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
        say("interrupted: what has not ended goes on with `lambdacat resume --all`")
        return 128 + outcome.interrupted_by
    outcomes: dict[str, Ok[Any] | Err[Exception]] = {} if outcome.answer is None else outcome.answer.value
    infos = {info.run_id: info for info in look(store, lambda kept: kept.durable.runs())}
    print_outcomes({infos[run_id]: one for run_id, one in outcomes.items()})
    waiting = [info for info in infos.values() if info.questions]
    for info in waiting:
        say(f"{info.run_id!r} waits for an answer to: {'; '.join(info.questions)}")
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
    go: Annotated[bool, Parameter(name="--resume")] = True,
    file: _File = None,
    store: Path = STORE,
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
    go
        Resume the run, unless it is being performed elsewhere, where it then goes on.
    file
        Where the run's file is now, if it was moved.
    store
        The folder that it is kept in.
    quiet
        No live progress and no report.
    report
        The table of what each node did.
    """
    asked = [q for q in questions_of(run_id, store) if question in (None, q.text)]
    given = _read(value, asked[0]) if len(asked) == 1 else value

    async def answering(kept: Kept) -> RunInfo:
        await kept.durable.answer(run_id, given, question=question)
        return await kept.info(run_id)

    info = look(store, answering)
    if info.status == "running":
        say("answered; the run goes on where it is being performed")
    elif not go:
        say(f"answered; the run goes on with\n  {command_line('resume', run_id, store)}")
    else:
        return go_on(run_id, store, Showing(quiet=quiet, report=report), moved_to=file)
    return OK


_BOOLS = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}


def _read(text: str, question: Open) -> Any:
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
        if kind in ("int", "float", "list", "dict"):
            raise CommandError(
                f"{question.text!r} is to be answered with JSON of type {kind}; got {text!r}"
            ) from None
        return text  # the member of an enumeration, say


def cancel(
    run_id: _RunId,
    /,
    *,
    go: Annotated[bool, Parameter(name="--resume")] = True,
    file: _File = None,
    store: Path = STORE,
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
        The folder that it is kept in.
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
        raise CommandError(f"the run {run_id!r} {stands(info)} before")
    if info.status == "running":
        say("the run is being performed elsewhere, and is cancelled there")
    elif not go:
        say(f"the run is cancelled, with its clean-up, by\n  {command_line('resume', run_id, store)}")
    else:
        status = go_on(run_id, store, Showing(quiet=quiet, report=report), moved_to=file)
        info = look(store, lambda kept: kept.info(run_id))
        return OK if info.status == "cancelled" else status
    return OK


def forget(run_id: _RunId, /, *, force: _Flag = False, store: Path = STORE) -> int:
    """Remove a run that has ended, altogether. Its id is free again.

    Parameters
    ----------
    run_id
        The run.
    force
        Also one that has not ended, such as one whose code is gone. Its clean-up is not done.
    store
        The folder that it is kept in.
    """

    async def forgetting(kept: Kept) -> RunInfo:
        info = await kept.info(run_id)
        if info.ended or force:
            await kept.durable.forget(run_id, force=force)
        return info

    info = look(store, forgetting)
    if not info.ended and not force:
        raise CommandError(
            f"the run {run_id!r} has not ended ({info.status}): end it with "
            f"`{command_line('cancel', run_id, store)}`, and forget it then; or, if its code "
            f"is gone, without its clean-up: `{command_line('forget', run_id, store, '--force')}`"
        )
    return OK


def compact(run_id: Annotated[str | None, Parameter(name="ID")] = None, /, *, store: Path = STORE) -> int:
    """Remove the journals of runs that have ended, and give their room back. Their outcomes stay.

    Parameters
    ----------
    run_id
        One run; all of them unless given.
    store
        The folder that they are kept in.
    """

    async def compacting(kept: Kept) -> tuple[int, int, int]:
        if run_id is not None and not (info := await kept.info(run_id)).ended:
            raise CommandError(f"the run {run_id!r} {stands(info)}: its journal is needed")
        before = await kept.store.size()
        removed = await kept.durable.compact(run_id)
        await kept.store.compact()
        return removed, before, await kept.store.size()

    removed, before, after = look(store, compacting)
    say(
        f"{removed:,} record{'' if removed == 1 else 's'} removed; {store} had {before:,} bytes and has {after:,}"
    )
    return OK
