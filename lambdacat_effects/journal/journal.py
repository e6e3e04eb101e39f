"""The boundary of a durable run: answers what has been answered before, and writes down what is answered now."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final, NoReturn

from lambdacat_effects.effects.ambient import Count, Log, Sleep
from lambdacat_effects.effects.concurrency import Concurrent
from lambdacat_effects.effects.control import Timeout
from lambdacat_effects.effects.durable import ContinueAsNew, Patched
from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.effects.failure import Fail
from lambdacat_effects.effects.needs import Need
from lambdacat_effects.errors import JournalUnreadable, Misuse, PlanTimeout
from lambdacat_effects.journal.committing import Commit, Settle
from lambdacat_effects.journal.deciding import InTurn, out_of_time, perform_in_turn, winners
from lambdacat_effects.journal.idempotency import in_flight
from lambdacat_effects.journal.records import Kind, Place, Record, asked_text, place_text, told_apart
from lambdacat_effects.journal.regions import Region, deadline_in_force
from lambdacat_effects.journal.session import Session, Slot, Stopped
from lambdacat_effects.runtime.boundary import Crossing, Decision
from lambdacat_effects.runtime.policies import enough
from lambdacat_effects.storage.exact.reading import read, read_error
from lambdacat_effects.storage.leaves import Misfit
from lambdacat_effects.storage.transactions import Transaction, enlisting

__all__ = ["Journal"]

# Needs are met with things of this process, errors are the plan's own, a run that continues as new ends here, and a
# commit is the journal's own hand.
_NOT_MET: Final = (Need, Fail, ContinueAsNew, Commit, Settle)

_SHORT: Final = 1.0
"""Sleeps and deadlines under a second begin anew when a run is resumed: to write down when they end would take as
long as it saves."""

_LETTERS: Final = {
    "not begun": "n", "answered": "a", "failed": "f", "failed late": "l", "cancelled": "c", "won": "w",
}  # fmt: skip
_FATES: Final = {letter: fate for fate, letter in _LETTERS.items()}


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
            return None if session.is_past(place) else await crossing.forward()
        asked = session.asked(crossing.effect)
        slot = _found(session, place, asked)
        if slot is not None and slot.final is not None:
            return await _again(session, crossing, place, slot.final)
        await _go_live(session, crossing, place, asked)
        if isinstance(crossing.effect, Sleep):
            return await _sleep(session, crossing, place, asked, slot)
        return await _answer(session, crossing, place, asked)

    async def decision(self, decision: Decision) -> Any:
        """Let a combinator end as it did before, or perform it and write down how it ended."""
        session = self._in_use(decision)
        asked = session.asked(decision.effect)
        place = session.place(decision.path)
        slot = _found(session, place, asked) or Slot()
        if isinstance(decision.effect, Concurrent):
            session.forks.add(place)
        again = _Again(session, decision, place, asked)
        if slot.final is not None:
            return await again.ended(slot.final)
        if slot.cut is not None:
            return await again.cut(slot.cut)
        if slot.started is not None and session.is_past(place):
            # It ended by itself, so that there was nothing to be written down. Neither may anything cancel it now.
            return await again.ended(Record(Kind.DECIDED, place, asked, "a" * decision.branches))
        rest = await _rest(session, decision, place, asked, slot)
        if rest is not None and rest <= 0:
            return await again.late()
        return await _Deciding(session, decision, place, asked).perform(rest)

    def _in_use(self, crossing: Crossing) -> Session:
        session = self.session
        assert session is not None
        if session.stopped:
            raise Stopped
        if crossing.run.spares is None:
            crossing.run.spares = session.knows
        return session


def _found(session: Session, place: Place, asked: str) -> Slot | None:
    """What is known of this place. Stops if something else was asked there."""
    slot = session.slots.get(place)
    if slot is None:
        return None
    record = slot.final or slot.cut or slot.started
    if record is not None and record.asked != asked:
        raise session.mismatch(place, *told_apart(record.asked, asked))
    slot.used = True
    return slot


async def _patched(session: Session, crossing: Crossing) -> bool:
    """Whether the run performs the new code of a change: decided where it first comes by, for all of it."""
    place = session.place(crossing.path)
    session.leave_out(crossing.path)
    asked = session.asked(crossing.effect)
    if asked not in session.patches:
        answer = not session.is_replaying(place) and bool(await crossing.forward())
        answer = session.deciding.setdefault(asked, answer)  # another branch may have been quicker
        await session.append(crossing.scope, Record(Kind.PATCHED, place, asked, answer))
    return session.patches[asked]


async def _go_live(session: Session, crossing: Crossing, place: Place, asked: str) -> None:
    """Come to the end of what is known. Where the plan was cancelled, it is cancelled here."""
    for region, concluded in session.around(place):
        if concluded and not region.cancelled:
            break
        if concluded or (region.cancelled and not region.was_cut):
            try:
                await region.cut()
            except BaseException as error:
                if not concluded and session.was_cancelled(crossing.run, error):
                    # It may have been in flight when the process died, and is not to be asked again after this.
                    fates = "n" * crossing.branches if isinstance(crossing, Decision) else None
                    record = Record(Kind.CANCELLED, place, asked, fates)
                    session.pending.append((record, session.withdrawn(place)))
                raise
    if session.is_past(place):
        # It was cancelled before it came to ask, and will be so again; unless there is nobody who would.
        around = session.around(place)
        if any(region.cancelled for region, _ in around) or deadline_in_force(crossing.run):
            await _cancelled_again(session, crossing, place)
        raise session.mismatch(place, "nothing, and the plan went on", asked_text(asked))
    await session.flush(crossing.scope)


async def _again(session: Session, crossing: Crossing, place: Place, record: Record) -> Any:
    """What an effect was answered before, made anew."""
    if record.kind is Kind.CANCELLED:
        return await _cancelled_again(session, crossing, place)
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


async def _cancelled_again(session: Session, crossing: Crossing, place: Place) -> NoReturn:
    """Be cancelled here, as before: by the region around, or by whoever will decide so again."""
    has_cut = False
    for region, _ in session.around(place):
        # A branch that ended by itself was cancelled within, by a scope of Trio that its plan opened: it will pass.
        if region.cancelled or region.was_cut or not deadline_in_force(crossing.run):
            has_cut = True
            await region.cut()
    if has_cut and not deadline_in_force(crossing.run):
        # Within a shield, which the region does not reach: it would wait for ever.
        asked = asked_text(session.asked(crossing.effect))
        raise session.mismatch(place, "nothing that could be cancelled in this clean-up", asked)
    await crossing.perform(Sleep(math.inf))
    raise AssertionError("a sleep for ever has ended")


async def _answer(session: Session, crossing: Crossing, place: Place, asked: str) -> Any:
    """Ask the handlers, and write down what they answer before the plan goes on."""
    while True:
        transaction = Transaction(session.store)
        answer, failure = await _asked(session, crossing, place, asked, transaction)
        kind = Kind.ANSWERED if failure is None else Kind.FAILED
        data = session.written(answer if failure is None else failure, crossing.effect)
        record = Record(kind, place, asked, data)
        if await session.append(
            crossing.scope, record, changes=transaction.changes, expected=transaction.expected
        ):
            break
        # Somebody changed what the handlers had looked at, so they are asked again, as after a crash.
    if failure is not None:
        raise failure
    return answer


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
        if _SHORT <= seconds < math.inf:
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


async def _rest(session: Session, decision: Decision, place: Place, asked: str, slot: Slot) -> float | None:
    """What is left of a combinator's deadline; None if it begins now, or there is none."""
    effect = decision.effect
    seconds = effect.seconds if isinstance(effect, Timeout) else effect.timeout
    if seconds is None or not _SHORT <= seconds < math.inf:
        return None
    now = decision.run.clock.now()
    if slot.started is not None:
        return None if slot.started.data is None else float(min(seconds, slot.started.data - now))
    await _go_live(session, decision, place, asked)
    await session.append(decision.scope, Record(Kind.STARTED, place, asked, now + seconds))
    return None


class _Again:
    """A combinator that was performed before, at least in part."""

    def __init__(self, session: Session, decision: Decision, place: Place, asked: str) -> None:
        self.session = session
        self.decision = decision
        self.place = place
        self.asked = asked

    async def ended(self, record: Record) -> Any:
        """It ended, or was cancelled: nothing is left to be done in it."""
        fates = [_FATES[letter] for letter in record.data]
        cancelled = record.kind is Kind.CANCELLED
        if isinstance(self.decision.effect, Timeout):
            if fates != ["not begun"]:
                region = Region(self.decision.run, cancelled=fates[0] in ("cancelled", "failed late"))
                with self.session.within(self.place, region, concluded=True):
                    answer = await self.decision.branch(0)
                    if not region.cancelled:
                        return answer
            if not cancelled:
                raise out_of_time(self.decision)
            await _cancelled_again(self.session, self.decision, self.place)
        turns = await perform_in_turn(self.decision, fates, self._within(concluded=True))
        if not cancelled or turns.outer is not None:
            return turns.conclude()
        try:
            await _cancelled_again(self.session, self.decision, self.place)
        except BaseException as outer:
            turns.cancelled(outer)

    async def cut(self, record: Record) -> Any:
        """It had decided, and the rest was being cancelled when the process died."""
        fates = [_FATES[letter] for letter in record.data]
        ended = ["won" if fate == "answered" else fate for fate in fates]
        known = [fate if fate in ("won", "failed") else "cancelled" for fate in ended]
        return await self._conclude(
            await perform_in_turn(self.decision, known, self._within(concluded=False))
        )

    async def late(self) -> Any:
        """Its deadline has passed since: what can still end by itself has ended before, and the rest is cut."""
        if not isinstance(self.decision.effect, Timeout):
            fates = [None] * self.decision.branches
            return await self._conclude(
                await perform_in_turn(self.decision, fates, self._within(concluded=False))
            )
        region = Region(self.decision.run, cancelled=True)
        try:
            with self.session.within(self.place, region, concluded=False):
                return await self.decision.branch(0)
        except Exception:
            raise
        except BaseException as error:
            # From outside, too, and that goes first.
            if self.session.was_cancelled(self.decision.run, error):
                self.session.pending.append((Record(Kind.CANCELLED, self.place, self.asked, "c"), ()))
            raise
        await self._write(["cancelled"])
        raise out_of_time(self.decision)

    def _within(self, *, concluded: bool) -> Callable[[int, Region], AbstractContextManager[Region]]:
        """The regions of branches: those of a combinator that has ended, or of one that is to be ended now."""

        def within(index: int, region: Region) -> AbstractContextManager[Region]:
            # A branch that ended by itself has done all that it will ever do.
            nothing_left = concluded or not region.cancelled
            return self.session.within((*self.place, index), region, concluded=nothing_left)

        return within

    async def _conclude(self, turns: InTurn) -> Any:
        if turns.outer is None:
            await self._write(turns.fates)
        elif self.session.was_cancelled(self.decision.run, turns.outer):
            letters = "".join([_LETTERS[fate] for fate in turns.fates])
            self.session.pending.append((Record(Kind.CANCELLED, self.place, self.asked, letters), ()))
        return turns.conclude()

    async def _write(self, fates: Sequence[str]) -> None:
        await _write(self.session, self.decision, self.place, self.asked, fates)


async def _write(
    session: Session, decision: Decision, place: Place, asked: str, fates: Sequence[str]
) -> None:
    session.end(place)
    letters = "".join([_LETTERS[fate] for fate in fates])
    await session.append(decision.scope, Record(Kind.DECIDED, place, asked, letters))


class _Deciding:
    """A combinator that is performed for the first time, or was under way when the process died."""

    def __init__(self, session: Session, decision: Decision, place: Place, asked: str) -> None:
        self.session = session
        self.decision = decision
        self.place = place
        self.asked = asked
        self.has_cut = False

    async def perform(self, rest: float | None) -> Any:
        """Perform it, and write down how it ended where that depended on time."""
        session, decision = self.session, self.decision
        session.begin(self.place, self.asked)
        decision.began, decision.ended = session.branch_began, session.branch_ended
        if isinstance(decision.effect, Concurrent):
            decision.ending = self._ending
        session.leaves -= 1  # this task waits for its branches
        try:
            answer = await decision.forward(rest)
        except Misuse as error:
            session.fail(error)
            raise
        except Exception as error:
            if not session.stopped and self._depended_on_time(error):
                await self._write(list(decision.fates))
            raise
        except BaseException as error:
            if session.was_cancelled(decision.run, error):
                letters = "".join([_LETTERS[fate] for fate in decision.fates])
                session.pending.append((Record(Kind.CANCELLED, self.place, self.asked, letters), ()))
            raise
        finally:
            session.leaves += 1
            session.end(self.place)
        won = winners(decision, answer)
        if won or any(fate not in ("answered", "failed") for fate in decision.fates):
            await self._write([("won" if i in won else fate) for i, fate in enumerate(decision.fates)])
        return answer

    def _depended_on_time(self, error: Exception) -> bool:
        fates = self.decision.fates
        if isinstance(self.decision.effect, Timeout):
            return fates == ["failed late"] or (isinstance(error, PlanTimeout) and fates != ["failed"])
        return any(fate not in ("answered", "failed") for fate in fates)

    async def _ending(self, index: int) -> None:
        """A branch has ended by itself. If that decides, it is written down before the rest is cancelled."""
        asked, fates = self.decision.effect, self.decision.fates
        if self.has_cut or self.session.stopped or fates[index] == "failed late":
            return
        succeeded, failed = fates.count("answered"), fates.count("failed")
        alone = succeeded + failed == len(fates)
        if not alone and enough(asked.policy, asked.n, len(fates), succeeded, failed):
            self.has_cut = True
            self.session.end(self.place)
            letters = "".join([_LETTERS[fate] for fate in fates])
            await self.session.append(self.decision.scope, Record(Kind.CUT, self.place, self.asked, letters))

    async def _write(self, fates: Sequence[str]) -> None:
        await _write(self.session, self.decision, self.place, self.asked, fates)
