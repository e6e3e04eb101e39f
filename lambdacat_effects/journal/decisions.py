"""Combinators at the boundary of a durable run: who won, who was cancelled, which deadline has passed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import trio

from lambdacat_effects.effects.concurrency import Concurrent, Policy
from lambdacat_effects.effects.control import Timeout
from lambdacat_effects.errors import Misuse, PlanTimeout
from lambdacat_effects.journal.frontier import cancelled_again, found, go_live
from lambdacat_effects.journal.in_turn import InTurn, out_of_time, perform_in_turn, winners
from lambdacat_effects.journal.records import Kind, Place, Record
from lambdacat_effects.journal.regions import Region
from lambdacat_effects.journal.session import Session, Slot
from lambdacat_effects.runtime.boundary import Decision
from lambdacat_effects.runtime.policies import enough

__all__ = ["SHORT", "decided"]

SHORT: Final = 1.0
"""Sleeps and deadlines under a second begin anew when a run is resumed: to write down when they end would take as
long as it saves."""

_LETTERS: Final = {
    "not begun": "n", "answered": "a", "failed": "f", "failed late": "l", "cancelled": "c", "won": "w",
    "answered all the same": "b", "won all the same": "v",
}  # fmt: skip
_DECIDES: Final = frozenset(
    {
        (Policy.ALL, "failed"),
        (Policy.FIRST_COMPLETED, "answered"),
        (Policy.QUORUM, "answered"),
        (Policy.QUORUM, "failed"),
    }
)
"""When the end of one branch may be the end of the others. (To count all of them at each would take long.)"""
_FATES: Final = {letter: fate for fate, letter in _LETTERS.items()}


async def decided(session: Session, decision: Decision) -> Any:
    """Let a combinator end as it did before, or perform it and write down how it ended."""
    asked = session.asked(decision.effect)
    place = session.place(decision.path)
    slot = found(session, place, asked) or Slot()
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


async def _rest(session: Session, decision: Decision, place: Place, asked: str, slot: Slot) -> float | None:
    """What is left of a combinator's deadline; None if it begins now, or there is none."""
    effect = decision.effect
    seconds = effect.seconds if isinstance(effect, Timeout) else effect.timeout
    if seconds is None or not SHORT <= seconds < math.inf:
        return None
    now = decision.run.clock.now()
    if slot.started is not None:
        return None if slot.started.data is None else float(min(seconds, slot.started.data - now))
    await go_live(session, decision, place, asked)
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
                region = Region(self.decision.run, cancelled=fates[0] not in ("answered", "failed"))
                with self.session.within(self.place, region, concluded=True):
                    answer = await self.decision.branch(0)
                    if fates[0] not in ("cancelled", "failed late"):
                        return answer
            if not cancelled:
                raise out_of_time(self.decision)
            await cancelled_again(self.session, self.decision, self.place)
        turns = await perform_in_turn(self.decision, fates, self._within(concluded=True))
        if not cancelled or turns.outer is not None:
            return turns.conclude()
        try:
            await cancelled_again(self.session, self.decision, self.place)
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


def _letters(session: Session, decision: Decision, place: Place, fates: Sequence[str]) -> str:
    return "".join([_LETTERS[_told(session, decision, (*place, i), fate)] for i, fate in enumerate(fates)])


def _told(session: Session, decision: Decision, place: Place, fate: str) -> str:
    if fate == "not begun" and session.has_begun(place):
        return "cancelled"  # it had begun in a former life, and this one was too late for it
    return f"{fate} all the same" if place[-1] in decision.swallowed and fate in ("answered", "won") else fate


async def _write(
    session: Session, decision: Decision, place: Place, asked: str, fates: Sequence[str]
) -> None:
    session.end(place)
    letters = _letters(session, decision, place, fates)
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
        if isinstance(decision.effect, Concurrent):
            decision.ending = self._ending
        try:
            with session.branching(decision):
                answer = await decision.forward(self._deadline(rest))
        except Misuse as error:
            session.fail(error)
            raise
        except Exception as error:
            if not session.stopped and self._depended_on_time(error):
                await self._write(list(decision.fates))
            raise
        except BaseException as error:
            if session.was_cancelled(decision.run, error):
                letters = _letters(session, decision, self.place, decision.fates)
                session.pending.append((Record(Kind.CANCELLED, self.place, self.asked, letters), ()))
            raise
        finally:
            session.deadlines.pop(self.place, None)
            session.end(self.place)
        won = winners(decision, answer)
        if won or decision.swallowed or any(fate not in ("answered", "failed") for fate in decision.fates):
            await self._write([("won" if i in won else fate) for i, fate in enumerate(decision.fates)])
        return answer

    def _deadline(self, rest: float | None) -> Any:
        """In a run that is resumed, one that counts only when what is known has been performed again: until then it
        is known to have been in time."""
        effect = self.decision.effect
        seconds = (
            rest if rest is not None else effect.seconds if isinstance(effect, Timeout) else effect.timeout
        )
        known = self.session.has_begun(self.place)
        if seconds is None or not known or self.decision.run.cancelled is not trio.Cancelled:
            return rest
        scope = trio.CancelScope()
        self.session.deadlines[self.place] = scope, trio.current_time() + seconds
        return scope

    def _depended_on_time(self, error: Exception) -> bool:
        fates = self.decision.fates
        if isinstance(self.decision.effect, Timeout):
            return fates == ["failed late"] or (isinstance(error, PlanTimeout) and fates != ["failed"])
        return any(fate not in ("answered", "failed") for fate in fates)

    async def _ending(self, index: int) -> None:
        """A branch has ended by itself. If that decides, it is written down before the rest is cancelled."""
        asked, fates = self.decision.effect, self.decision.fates
        if self.has_cut or self.session.stopped or (asked.policy, fates[index]) not in _DECIDES:
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
