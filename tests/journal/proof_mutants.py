"""Journals with one fault each, which a proof of durability has to find."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

from lambdacat_effects.journal import frontier, idempotency, journal, opening
from lambdacat_effects.journal.numbering import Numbering
from lambdacat_effects.journal.records import RUNS, Kind, Record
from lambdacat_effects.journal.session import Session
from lambdacat_effects.storage.port import Put

Mutant = Callable[[], Any]

_append = Session.append
_commit = Session.commit
_place_text = idempotency.place_text


def writes_late() -> Any:
    """The plan goes on with an answer that is written with the next one."""

    async def append(self: Any, scope: Any, *records: Record, changes: Any = (), expected: Any = ()) -> bool:
        if not records or records[-1].kind is not Kind.ANSWERED or expected:
            return await _append(self, scope, *records, changes=changes, expected=expected)
        late, self.pending = [(records[-1], changes)], self.pending
        if self.pending:
            await _append(self, scope)
        self.pending += late
        return True

    async def flush(self: Any, scope: Any) -> None:
        """Nothing is written before the next effect."""

    async def commit(self: Any, scope: Any, changes: Any, **kwargs: Any) -> bool:
        if self.pending and any(isinstance(change, Put) and change.namespace == RUNS for change in changes):
            await _append(self, scope)
        return await _commit(self, scope, changes, **kwargs)

    return _all(
        patch.object(Session, "append", append),
        patch.object(Session, "flush", flush),
        patch.object(Session, "commit", commit),
    )


def forgets_decisions() -> Any:
    """Who won, and which deadline passed, is not written."""

    async def append(self: Any, scope: Any, *records: Record, changes: Any = (), expected: Any = ()) -> bool:
        kept = [record for record in records if record.kind not in (Kind.DECIDED, Kind.CUT)]
        if not (kept or self.pending):
            return True
        return await _append(self, scope, *kept, changes=changes, expected=expected)

    return patch.object(Session, "append", append)


def keeps_cancellations_to_itself() -> Any:
    """That an effect was cancelled is not written before the plan does something else."""

    async def flush(self: Any, scope: Any) -> None:
        self.pending.clear()

    async def append(self: Any, scope: Any, *records: Record, changes: Any = (), expected: Any = ()) -> bool:
        self.pending.clear()
        return await _append(self, scope, *records, changes=changes, expected=expected)

    return _all(patch.object(Session, "flush", flush), patch.object(Session, "append", append))


def commits_memory_apart() -> Any:
    """What is remembered is in the store before the journal tells of it."""
    return patch.object(journal, "enlisting", nullcontext)


def commits_memory_later() -> Any:
    """The journal tells of what is remembered in a transaction of its own, before it is in the store."""

    async def append(self: Any, scope: Any, *records: Record, changes: Any = (), expected: Any = ()) -> bool:
        if not await _append(self, scope, *records, expected=expected):
            return False
        return not changes or await self.commit(scope, [self.lease.stands, *changes])

    return patch.object(Session, "append", append)


def leaves_the_branch_out() -> Any:
    """The idempotency keys of two branches are the same."""
    return patch.object(idempotency, "place_text", lambda place: f"{place[0]}.{place[-1]}")


def draws_keys() -> Any:
    """A call that is repeated has another idempotency key."""
    drawn = iter(range(1 << 30))
    return patch.object(idempotency, "place_text", lambda place: f"{_place_text(place)}.{next(drawn)}")


def overwrites() -> Any:
    """A resumed journal is written from the beginning again."""

    async def load(*args: Any) -> Session:
        session = await _load(*args)
        session.numbering = Numbering()
        return session

    _load: Any = opening._load  # pyright: ignore[reportPrivateUsage]
    return patch.object(opening, "_load", load)


def forgets_failures() -> Any:
    """An error is raised into the plan, and not written."""

    async def append(self: Any, scope: Any, *records: Record, changes: Any = (), expected: Any = ()) -> bool:
        kept = [record for record in records if record.kind is not Kind.FAILED]
        if not (kept or self.pending):
            return True
        return await _append(self, scope, *kept, changes=changes, expected=expected)

    return patch.object(Session, "append", append)


def goes_on_too_soon() -> Any:
    """A plan does not wait until another branch has written that it was cancelled."""

    async def flush(self: Any, scope: Any) -> None:
        if self.pending:
            await self.append(scope)

    return patch.object(Session, "flush", flush)


def takes_the_cancelled_for_changed() -> Any:
    """A plan that was cancelled before it asked is taken for another plan, when it is resumed."""
    return patch.object(frontier, "deadline_in_force", lambda _run: False)


@contextmanager
def _all(*patches: Any) -> Generator[None, None, None]:
    with ExitStack() as stack:
        for one in patches:
            stack.enter_context(one)
        yield


MUTANTS: list[tuple[Mutant, str]] = [
    (writes_late, "sequence"),
    (forgets_decisions, "race"),
    (keeps_cancellations_to_itself, "calls cancelled on the way"),
    (commits_memory_apart, "with_state"),
    (commits_memory_apart, "beliefs and memory"),
    (commits_memory_later, "with_state"),
    (leaves_the_branch_out, "parallel"),
    (draws_keys, "sequence"),
    (overwrites, "sequence"),
    (forgets_failures, "race"),
]
"""Each, and a plan whose sweep finds it."""

RARE: list[Mutant] = [commits_memory_apart, goes_on_too_soon, takes_the_cancelled_for_changed]
"""Those that chance finds, within some hundred seeds of a few plans."""
