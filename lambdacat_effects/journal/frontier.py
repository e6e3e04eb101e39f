"""Where what is known of a run ends, and something new begins."""

from __future__ import annotations

import math
from typing import NoReturn

from lambdacat_effects.effects.ambient import Sleep
from lambdacat_effects.journal.records import Kind, Place, Record, asked_text, told_apart
from lambdacat_effects.journal.regions import deadline_in_force
from lambdacat_effects.journal.session import Session, Slot
from lambdacat_effects.runtime.boundary import Crossing, Decision

__all__ = ["cancelled_again", "found", "go_by", "go_live"]


def found(session: Session, place: Place, asked: str) -> Slot | None:
    """What is known of this place. Stops if something else was asked there."""
    slot = session.slots.get(place)
    if slot is None:
        return None
    record = slot.final or slot.cut or slot.started
    if record is not None and record.asked != asked:
        raise session.mismatch(place, *told_apart(record.asked, asked))
    slot.used = True
    return slot


async def go_live(session: Session, crossing: Crossing, place: Place, asked: str) -> None:
    """Come to the end of what is known. Where the plan was cancelled, it is cancelled here."""
    session.arm(place)
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
            await cancelled_again(session, crossing, place)
        raise session.mismatch(place, "nothing, and the plan went on", asked_text(asked))
    await session.flush(crossing.scope)


async def go_by(session: Session, place: Place) -> None:
    """Come by something without a record. Where the plan was cancelled, and nothing that it did after this is known,
    it is cancelled here."""
    for region, concluded in session.around(place):
        if session.has_gone_on(place, region.depth):
            break
        if region.cancelled and not region.was_cut:
            await region.cut()
        elif concluded:
            break


async def cancelled_again(session: Session, crossing: Crossing, place: Place) -> NoReturn:
    """Be cancelled here, as before: by the region around, or by whoever will decide so again."""
    session.arm(place)
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
