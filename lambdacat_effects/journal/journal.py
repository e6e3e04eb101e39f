"""The boundary of a durable run: answers what has been answered before, and writes down what is answered now."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, Final

from lambdacat_effects.effects.ambient import Count, Log, Sleep
from lambdacat_effects.effects.durable import ContinueAsNew, Patched
from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.effects.failure import Fail
from lambdacat_effects.effects.needs import Need
from lambdacat_effects.effects.tools import CallTool
from lambdacat_effects.errors import JournalUnreadable, Misuse
from lambdacat_effects.journal.committing import Commit, Settle
from lambdacat_effects.journal.decisions import SHORT, decided
from lambdacat_effects.journal.frontier import cancelled_again, found, go_by, go_live
from lambdacat_effects.journal.idempotency import in_flight
from lambdacat_effects.journal.records import Kind, Place, Record, place_text
from lambdacat_effects.journal.session import Session, Slot, Stopped
from lambdacat_effects.runtime.boundary import Crossing, Decision
from lambdacat_effects.storage.exact.reading import read, read_error
from lambdacat_effects.storage.leaves import Misfit
from lambdacat_effects.storage.transactions import Transaction, enlisting

__all__ = ["Journal"]

# Needs are met with things of this process, errors are the plan's own, a run that continues as new ends here, and a
# commit is the journal's own hand.
_NOT_MET: Final = (Need, Fail, ContinueAsNew, Commit, Settle)


class Journal:
    """Stands at the boundary of a run, with the run's session."""

    def __init__(self) -> None:
        self.session: Session | None = None
        """The journal of the run that is being performed."""

    def meets(self, effect_type: type[Effect[Any]], *, handled: bool) -> bool:  # noqa: ARG002
        """All that asks something of the world; also what nobody handles any more, as it may have been answered."""
        return not issubclass(effect_type, _NOT_MET)

    async def effect(self, crossing: Crossing) -> Any:
        """Answer an effect as it was answered before, or for the first time."""
        session = self._in_use(crossing)
        if isinstance(crossing.effect, Patched):
            return await _patched(session, crossing)
        place = session.place(crossing.path)
        if isinstance(crossing.effect, (Log, Count)):
            # To tell of what was told before would tell it twice.
            await go_by(session, place)
            return None if session.is_past(place) else await crossing.forward()
        asked = session.asked(crossing.effect)
        slot = found(session, place, asked)
        if slot is not None and slot.final is not None:
            return await _again(session, crossing, place, slot.final)
        await go_live(session, crossing, place, asked)
        if isinstance(crossing.effect, Sleep):
            return await _sleep(session, crossing, place, asked, slot)
        return await _answer(session, crossing, place, asked)

    async def decision(self, decision: Decision) -> Any:
        """Let a combinator end as it did before, or perform it and write down how it ended."""
        return await decided(self._in_use(decision), decision)

    async def behind(self, decision: Decision) -> Any:
        """Let a combinator of a handler be performed, which may ask somebody outside in one branch, and not in
        another."""
        with self._in_use(decision).branching(decision):
            return await decision.forward()

    def _in_use(self, crossing: Crossing) -> Session:
        session = self.session
        assert session is not None
        if session.stopped:
            raise Stopped
        if crossing.run.spares is None:
            crossing.run.spares = session.knows
        return session


async def _patched(session: Session, crossing: Crossing) -> bool:
    """Whether the run performs the new code of a change: decided where it first comes by, for all of it."""
    place = session.place(crossing.path)
    session.leave_out(crossing.path)
    asked = session.asked(crossing.effect)
    if asked not in session.patches:
        await go_by(session, place)
        answer = not session.is_replaying(place) and bool(await crossing.forward())
        answer = session.deciding.setdefault(asked, answer)  # another branch may have been quicker
        await session.append(crossing.scope, Record(Kind.PATCHED, place, asked, answer))
    return session.patches[asked]


async def _again(session: Session, crossing: Crossing, place: Place, record: Record) -> Any:
    """What an effect was answered before, made anew."""
    if record.kind is Kind.CANCELLED:
        return await cancelled_again(session, crossing, place)
    try:
        if record.kind is Kind.ANSWERED:
            return read(record.data)
        error = read_error(record.data)
    except Misfit as misfit:
        raise session.fail(
            JournalUnreadable(
                f"the run {session.header.run_id!r} cannot be resumed: the answer of {record.text()} at "
                f"{place_text(place)} cannot be read: answer{misfit.place} {misfit.problem}. Resume it with the code "
                "it began with, or restore the store from a backup"
            )
        ) from None
    raise error


async def _answer(session: Session, crossing: Crossing, place: Place, asked: str) -> Any:
    """Ask the handlers, and write down what they answer before the plan goes on."""
    made = await _attempt(session, crossing, place, asked)
    if made is None:
        # Somebody changed what the handlers had looked at, so they are asked again, as after a crash. Branches that
        # change the same thing do so one after the other from then on, or each would have to ask as often as there
        # are others. (A tool may wait for another branch, which it must not keep from going on.)
        in_turn = nullcontext() if isinstance(crossing.effect, CallTool) else session.in_turn(crossing.scope)
        async with in_turn:
            while made is None:
                made = await _attempt(session, crossing, place, asked)
    answer, failure = made
    if failure is not None:
        raise failure
    return answer


async def _attempt(
    session: Session, crossing: Crossing, place: Place, asked: str
) -> tuple[Any, Exception | None] | None:
    """What the handlers answer or raise, in the journal; None if what they had looked at has changed meanwhile."""
    transaction = Transaction(session.store)
    answer, failure = await _asked(session, crossing, place, asked, transaction)
    kind = Kind.ANSWERED if failure is None else Kind.FAILED
    data = session.written(answer if failure is None else failure, crossing.effect)
    record = Record(kind, place, asked, data)
    written = await session.append(
        crossing.scope, record, changes=transaction.changes, expected=transaction.expected
    )
    return (answer, failure) if written else None


async def _asked(
    session: Session, crossing: Crossing, place: Place, asked: str, transaction: Transaction
) -> tuple[Any, Exception | None]:
    """What the handlers answer, or raise."""
    try:
        with enlisting(transaction), in_flight(session.header, place):
            return await crossing.forward(), None
    except Misuse as error:
        session.fail(error)  # to be mended and resumed: it is no outcome
        raise
    except Exception as error:
        if session.stopped:
            raise
        return None, error
    except BaseException as error:
        if session.was_cancelled(crossing.run, error):
            # What was to be committed on a condition is left out: it was cancelled before that.
            changes = session.withdrawn(place) if transaction.expected else transaction.changes
            session.pending.append((Record(Kind.CANCELLED, place, asked), changes))
        raise


async def _sleep(session: Session, crossing: Crossing, place: Place, asked: str, slot: Slot | None) -> None:
    seconds = crossing.effect.seconds
    if slot is not None and slot.started is not None:
        rest = min(seconds, max(0.0, slot.started.data - crossing.run.clock.now()))
        sleeping: Callable[[], Awaitable[Any]] = partial(crossing.perform, Sleep(rest))
    else:
        if SHORT <= seconds < math.inf:
            until = crossing.run.clock.now() + seconds
            await session.append(crossing.scope, Record(Kind.STARTED, place, asked, until))
        sleeping = crossing.forward
    try:
        await sleeping()
    except Exception:
        raise
    except BaseException as error:
        if session.was_cancelled(crossing.run, error):
            session.pending.append((Record(Kind.CANCELLED, place, asked), ()))
        raise
    await session.append(crossing.scope, Record(Kind.ANSWERED, place, asked))
