"""The records of a run, read: all of them and in order, or an error that says which one is wrong."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from lambdacat_effects.errors import JournalUnreadable
from lambdacat_effects.journal.keys import entries_of, entry_key
from lambdacat_effects.journal.records import Header, Kind, Place, Record, place_text

__all__ = ["Entries", "read_entries"]

_LASTING = (Kind.STARTED, Kind.CUT)
"""A place has one of each, and one of all the others, which tell how it ended."""


@attrs.define
class Entries:
    """What lies in a store under a run's number."""

    records: list[Record] = attrs.field(factory=list[Record])
    """Those since it last continued as new, in the order of their numbers."""
    missing: list[int] = attrs.field(factory=list[int])
    """The numbers without a record: branches were writing them when the process died, and others were quicker."""
    outlived: list[str] = attrs.field(factory=list[str])
    """The keys of former generations."""


def read_entries(header: Header, found: Iterable[tuple[str, bytes]]) -> Entries:
    """The records of a run, of what was `found` under its number, by key.

    Raises `JournalUnreadable`, naming the record, if one is damaged, missing, or tells of a place a second time.
    """
    prefix = entries_of(header)
    entries = Entries()
    seen: set[tuple[Place, Kind | None]] = set()
    whole = number = 0
    """All records before `whole` have to be there."""
    for key, data in found:
        if not key.startswith(prefix):
            entries.outlived.append(_of_before(header, key))
            continue
        there = _number(header, prefix, key)
        entries.missing += range(number, there)
        number = there + 1
        record = _record(header, there, data)
        whole = max(whole, there if record.after is None else record.after)
        if record.kind is not Kind.PATCHED:
            told = (record.place, record.kind if record.kind in _LASTING else None)
            if told in seen:
                raise _unreadable(
                    header, f"record {there}", f"tells of {place_text(record.place)} a second time"
                )
            seen.add(told)
        entries.records.append(record)
    if entries.missing and entries.missing[0] < whole:
        raise _unreadable(header, f"record {entries.missing[0]}", "is missing")
    # Of a run that has ended they may have been removed since, from the last one on.
    if header.outcome is None and len(entries.records) < header.records:
        raise _unreadable(header, f"record {number}", f"is missing, of {header.records}")
    return entries


def _of_before(header: Header, key: str) -> str:
    try:
        if int(key.split(".")[1], 16) < header.generation:
            return key
    except (ValueError, IndexError):
        pass
    raise _unreadable(header, f"a record {key!r}", "is there, and the run has not come so far")


def _number(header: Header, prefix: str, key: str) -> int:
    try:
        number = int(key.removeprefix(prefix), 16)
    except ValueError:
        number = -1
    if key != entry_key(prefix, number):
        raise _unreadable(header, f"a record {key!r}", "is there, and that is no number")
    return number


def _record(header: Header, number: int, data: bytes) -> Record:
    try:
        return Record.decode(header.run_id, data)
    except (ValueError, RecursionError) as error:
        problem = f"cannot be read ({type(error).__name__}: {error})"
    raise _unreadable(header, f"record {number}", problem)


def _unreadable(header: Header, what: str, problem: str) -> JournalUnreadable:
    return JournalUnreadable(
        f"{what} of the run {header.run_id!r} {problem}: the journal is damaged. Nothing was changed; restore the "
        "store from a backup"
    )
