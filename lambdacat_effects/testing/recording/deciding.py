"""Combinators in a replay: the branches one after the other, in one task, and the decision that was recorded.

What the effects answered does not depend on timing any more; who won, who was cancelled, and which deadline passed is
recorded as the combinator's own. So the same replay runs on Trio, under `run_pure` and in a simulation, and needs
neither nursery nor clock.
"""

from __future__ import annotations

import logging
import math
import warnings
from typing import Any

from lambdacat_effects.effects.ambient import Sleep
from lambdacat_effects.effects.concurrency import Policy
from lambdacat_effects.effects.control import Timeout
from lambdacat_effects.errors import InterruptedRecording, Misuse, PlanTimeout, RecordingMismatch
from lambdacat_effects.runtime.boundary import Crossing, Decision
from lambdacat_effects.runtime.events import path_text
from lambdacat_effects.runtime.policies import UNENDED, Ended, conclude
from lambdacat_effects.testing.recording.regions import Region, deadline_in_force
from lambdacat_effects.testing.recording.session import Performed
from lambdacat_effects.testing.recording.tape import Entry

__all__ = ["decide_again", "wait_as_recorded"]

_logger = logging.getLogger("lambdacat_effects")


async def decide_again(decision: Decision, run: Performed, entry: Entry) -> Any:
    """Perform the branches of a combinator, and let it end as it ended when it was recorded."""
    assert entry.branches is not None
    if isinstance(decision.effect, Timeout):
        return await _time_out_again(decision, run, entry, entry.branches)
    ended = Ended([UNENDED] * len(entry.branches))
    late: dict[int, Exception] = {}
    for index, fate in enumerate(entry.branches):
        if fate == "not begun":
            continue
        region = Region(decision.run, cancelled=fate == "cancelled")
        try:
            with run.within((*entry.place, index), region):
                answer = await decision.branch(index)
                if not region.cancelled:
                    ended.answers[index] = answer
                    ended.ticks[index] = 0 if fate == "won" else 1
        except Misuse:
            raise
        except Exception as error:
            (late if fate in ("failed late", "cancelled") else ended.errors)[index] = error
    if decision.effect.policy is Policy.ALL and (ended.errors or entry.cancelled):
        ended.errors.update(late)
    else:
        for index, failure in late.items():
            _logger.warning("branch %s failed after it was cancelled: %r", (*decision.path, index), failure)
    try:
        if entry.cancelled:
            return await _be_cancelled_again(decision, run, ended)
        return conclude(decision.effect, ended).unwrap()
    finally:
        ended.errors.clear()  # their tracebacks lead back to this frame
        late.clear()


async def _time_out_again(decision: Decision, run: Performed, entry: Entry, fates: list[Any]) -> Any:
    if fates != ["not begun"]:
        region = Region(decision.run, cancelled=fates == ["cancelled"])
        with run.within(entry.place, region):
            answer = await decision.branch(0)
            if not region.cancelled:
                return answer
    if entry.cancelled:
        return await wait_as_recorded(decision, run)
    seconds = decision.effect.seconds
    raise PlanTimeout(f"the plan had not ended after {seconds:g} s", seconds=seconds)


async def _be_cancelled_again(decision: Decision, run: Performed, ended: Ended) -> Any:
    try:
        return await wait_as_recorded(decision, run)
    except BaseException as outer:
        if decision.effect.policy is not Policy.ALL or not ended.errors:
            raise
        errors = [failure for _, failure in sorted(ended.errors.items())]
        what = f"{decision.effect.combinator}: cancelled while branches failed"
        raise BaseExceptionGroup(what, [outer, *errors]) from None


async def wait_as_recorded(crossing: Crossing, run: Performed) -> Any:
    """Be cancelled where the recorded run was: by the combinator around it, as it decided then, or from outside."""
    here = path_text(crossing.path)
    region = run.region(crossing)
    waits = deadline_in_force(crossing.run)
    # A branch that ended by itself was cancelled within, by a scope of Trio that its plan opened: it will pass, too.
    if region is not None and (region.cancelled or region.was_cut or not waits):
        await region.cut()
        raise RecordingMismatch(
            f"the recorded run was cancelled at {here}, and is shielded there now: record it anew with "
            'mode="all"'
        )
    if not waits:
        warnings.warn(
            InterruptedRecording(
                f"the recorded run was interrupted at {here}, and the replay waits there to be interrupted, too: to "
                'record the rest, use mode="new"'
            ),
            stacklevel=2,
        )
    return await crossing.perform(Sleep(math.inf))
