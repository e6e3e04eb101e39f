"""Runs in a store: looked up, begun, compared with what is asked for, and removed."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import attrs

from lambdacat_effects.errors import (
    InvalidArgument,
    JournalUnreadable,
    RunCancelled,
    RunInUse,
    RunMismatch,
    UnknownRun,
)
from lambdacat_effects.journal.clearing import removed
from lambdacat_effects.journal.keys import entries_of_all, run_number
from lambdacat_effects.journal.leases import acquire, check_free
from lambdacat_effects.journal.naming import arguments_of, call_text, name_of, same_call
from lambdacat_effects.journal.questions import without_questions
from lambdacat_effects.journal.records import CANCELS, ENTRIES, FENCES, LEASES, RUNS, Header
from lambdacat_effects.journal.sound import all_keys, got, sound_part
from lambdacat_effects.storage.exact.writing import exactly
from lambdacat_effects.storage.port import Delete, Expect, Put, Store

__all__ = ["Beginning", "beginning", "cleared", "forgotten", "known", "readable", "taken"]


@attrs.frozen
class Beginning:
    """What a run is begun with."""

    run_id: str
    plan: str
    """The function that makes its plan, as "module:function"."""
    arguments: Any
    """As JSON."""
    note: str | None

    def header(self, number: int, now: float) -> Header:
        """The header of the run, if it is begun now, in seconds since the Unix epoch."""
        return Header(
            self.run_id, number, self.plan, self.arguments, "running", now, changed=now, note=self.note
        )

    def check_is(self, header: Header) -> None:
        """Raise `RunMismatch` if the run that is there was begun with something else."""
        if not same_call([self.plan, self.arguments], header.call):
            raise RunMismatch(
                f"there is a run {self.run_id!r} already, and it is another one:\n"
                f"  begun:     {call_text(*header.call)}\n"
                f"  asked for: {call_text(self.plan, self.arguments)}\n"
                "Choose another id, or give what it was begun with"
            )


def beginning(run_id: object, make: Any, args: tuple[Any, ...], note: str | None) -> Beginning:
    """What a run is to be begun with. Raises `InvalidArgument`, `NotSerialisable`."""
    if not isinstance(run_id, str) or not run_id or "\0" in run_id:
        raise InvalidArgument(f"a run id is a non-empty text without NUL; got {run_id!r}")
    name = name_of(make)
    return Beginning(run_id, name, arguments_of(name, args, {}), note)


async def known(store: Store, run_id: str) -> Header:
    """The header of a run. Raises `UnknownRun`, `JournalUnreadable`."""
    data = await got(store, RUNS, run_id)
    if data is None:
        raise UnknownRun(
            f"there is no run {run_id!r} in this store: see `Durable.runs()` for those there are"
        )
    return Header.decode(run_id, data)


async def readable(store: Store) -> list[Header]:
    """The headers of all runs that can be read."""
    headers: list[Header] = []
    found, _ = await sound_part(store, RUNS)
    for run_id, data in found:
        with suppress(JournalUnreadable):
            headers.append(Header.decode(run_id, data))
    return headers


def taken(header: Header) -> RunInUse:
    """The error of whoever wants to begin a run of this id."""
    ended = header.outcome is not None
    what = f"has {header.status}" if ended else "has not ended"
    do = "`forget` it" if ended else "`resume` it"
    return RunInUse(
        f"there is a run {header.run_id!r} already, of {header.plan}, which {what}: {do}, or choose another id"
    )


async def cleared(store: Store, header: Header) -> int:
    """Remove the journal of a run that has ended. Answers how many records it had."""
    # Those of former generations, too, if a process died before it had removed them.
    entries = await all_keys(store, ENTRIES, entries_of_all(header))
    for batch in removed(entries[::-1]):
        await store.batch(batch)
    await store.batch(await without_questions(store, header.run_id))
    return len(entries)


async def forgotten(store: Store, run_id: str, seconds: float, *, force: bool) -> None:
    """Remove a run altogether; with `force` one that has not ended, too, or that cannot be read. `seconds` is how
    long a lease lasts.

    Raises `UnknownRun`, `RunInUse`, `JournalUnreadable`.
    """
    try:
        await _forgotten(store, run_id, seconds, force=force)
    except JournalUnreadable:
        if not force:
            raise
        with suppress(JournalUnreadable):
            await check_free(store, run_id, time.time())
        await _removed_unread(store, run_id)


async def _forgotten(store: Store, run_id: str, seconds: float, *, force: bool) -> None:
    header = await known(store, run_id)
    if header.outcome is None:
        if not force:
            raise RunInUse(
                f"the run {run_id!r} has not ended: cancel it first, and resume it; or, if its code is gone, "
                "`forget` it with `force=True`, without its clean-up"
            )
        header = await _ended(store, run_id, seconds)
    await cleared(store, header)
    data = await store.get(RUNS, run_id)
    if data is not None and Header.decode(run_id, data).number == header.number:
        # Else another process has forgotten it, too, and perhaps begun a new one.
        await store.batch([Expect(RUNS, run_id, data), *_all_of(run_id)])


async def _removed_unread(store: Store, run_id: str) -> None:
    """Remove a run that cannot be read. Whoever performs it all the same writes nothing any more."""
    questions = await without_questions(store, run_id)
    unchanged: list[Expect] = []
    with suppress(JournalUnreadable):  # bytes that the store cannot read, it cannot compare either
        unchanged.append(Expect(RUNS, run_id, await got(store, RUNS, run_id)))
    if not await store.batch([*unchanged, *questions, *_all_of(run_id)]):
        return  # somebody else has removed it, and perhaps begun another
    # Its number is not known, so its records are those that belong to no other run. First the records, then the
    # headers: a run that begins meanwhile has its header before any record.
    keys = await all_keys(store, ENTRIES)
    numbers: set[str] = set()
    others, damaged = await sound_part(store, RUNS)
    if damaged:
        return
    for other, theirs in others:
        try:
            numbers.add(run_number(entries_of_all(Header.decode(other, theirs))))
        except JournalUnreadable:
            return  # and any of them may be this one's: the last one that is removed takes all
    for batch in removed([key for key in keys if run_number(key) not in numbers]):
        await store.batch(batch)


def _all_of(run_id: str) -> list[Delete]:
    return [Delete(space, run_id) for space in (RUNS, FENCES, LEASES, CANCELS)]


async def _ended(store: Store, run_id: str, seconds: float) -> Header:
    """End a run that nobody performs, where it is. It has an outcome before its journal goes: what is left of that is
    never taken for the whole."""
    lease = await acquire(store, run_id, seconds, time.time())
    try:
        header = await known(store, run_id)
        if header.outcome is None:
            error = RunCancelled(f"the run {run_id!r} was forgotten before it had ended")
            header.status, header.outcome = "cancelled", [exactly().write(error)]
            await store.batch([lease.stands, Put(RUNS, run_id, header.encode())])
        return header
    finally:
        lease.forget()
        await store.batch(lease.released())
