"""How runs stand, as somebody who does not perform them sees it."""

from __future__ import annotations

import time

import attrs

from lambdacat_effects.errors import JournalUnreadable
from lambdacat_effects.journal.leases import is_held
from lambdacat_effects.journal.questions import open_questions
from lambdacat_effects.journal.records import CANCELS, RUNS, Header
from lambdacat_effects.journal.sound import is_there, sound_part
from lambdacat_effects.storage.port import Store

__all__ = ["RunInfo", "all_infos", "info_of"]


@attrs.frozen
class RunInfo:
    """How a run stands."""

    run_id: str
    plan: str
    """The function that makes its plan, as "module:function"."""
    status: str
    """"running" (somebody performs it), "interrupted" (nobody does: resume it), "suspended" (it waits for an answer),
    "succeeded", "failed", "cancelled", or "unreadable" (what is kept of it is damaged, or of a newer format)."""
    created: float
    """Seconds since the Unix epoch."""
    changed: float
    """When its status changed last, in seconds since the Unix epoch. (A process that is killed does not write down
    when: of its runs it is when it began to perform them.)"""
    generation: int
    """How often it has continued as new."""
    questions: tuple[str, ...] = ()
    """What it asks, and nobody has answered: the texts. `Durable.questions` tells more of them."""
    note: str | None = None
    cancelling: bool = False
    """Whether somebody has asked it to end, and it has not ended yet: it does where it is performed, or when it is
    resumed."""
    problem: str | None = None
    """What cannot be read of it. If its status is "unreadable", nothing else is known but its id."""

    @property
    def ended(self) -> bool:
        """Whether it has an outcome."""
        return self.status in ("succeeded", "failed", "cancelled")


async def all_infos(store: Store) -> list[RunInfo]:
    """How all runs stand, the oldest first, and those that cannot be read at the end."""
    headers: list[Header] = []
    unreadable: list[RunInfo] = []
    found, damaged = await sound_part(store, RUNS)
    for run_id, data in found:
        try:
            headers.append(Header.decode(run_id, data))
        except JournalUnreadable as error:
            unreadable.append(_unreadable(run_id, str(error)))
    unreadable += [_unreadable(run_id, problem) for run_id, problem in damaged.items()]
    headers.sort(key=lambda header: header.number)
    return [*[await _or_unreadable(store, header) for header in headers], *unreadable]


async def info_of(store: Store, header: Header) -> RunInfo:
    """How a run stands. Raises `JournalUnreadable` if its lease is damaged."""
    questions: list[str] = []
    status: str = header.status
    cancelling = False
    problem: str | None = None
    if header.outcome is None:
        try:
            questions = [question.text for question in await open_questions(store, header.run_id)]
        except JournalUnreadable as error:
            problem = str(error)
        cancelling = await is_there(store, CANCELS, header.run_id)
        if await is_held(store, header.run_id, time.time()):
            status = "running"
        elif status == "running" or not questions:
            status = "interrupted"
    return RunInfo(
        header.run_id,
        header.plan,
        status,
        header.created,
        header.changed,
        header.generation,
        tuple(questions),
        header.note,
        cancelling,
        problem,
    )


async def _or_unreadable(store: Store, header: Header) -> RunInfo:
    try:
        return await info_of(store, header)
    except JournalUnreadable as error:
        return _unreadable(header.run_id, str(error))


def _unreadable(run_id: str, problem: str) -> RunInfo:
    return RunInfo(run_id, "", "unreadable", 0.0, 0.0, 0, problem=problem)
