"""Combinators in a replay, and the places where the recorded run was cancelled."""

from __future__ import annotations

import math
import warnings
from typing import Any

from lambdacat_effects.effects.ambient import Sleep
from lambdacat_effects.effects.control import Timeout
from lambdacat_effects.errors import InterruptedRecording, RecordingMismatch
from lambdacat_effects.journal.in_turn import out_of_time, perform_in_turn
from lambdacat_effects.journal.regions import Region, deadline_in_force
from lambdacat_effects.runtime.boundary import Crossing, Decision
from lambdacat_effects.runtime.events import path_text
from lambdacat_effects.testing.recording.session import Performed
from lambdacat_effects.testing.recording.tape import Entry

__all__ = ["decide_again", "wait_as_recorded"]


async def decide_again(decision: Decision, run: Performed, entry: Entry) -> Any:
    """Perform the branches of a combinator, and let it end as it ended when it was recorded."""
    assert entry.branches is not None
    if isinstance(decision.effect, Timeout):
        return await _time_out_again(decision, run, entry, entry.branches)
    turns = await perform_in_turn(
        decision, entry.branches, lambda index, region: run.within((*entry.place, index), region)
    )
    if not entry.cancelled:
        return turns.conclude()
    try:
        return await wait_as_recorded(decision, run)
    except BaseException as outer:
        turns.cancelled(outer)


async def _time_out_again(decision: Decision, run: Performed, entry: Entry, fates: list[Any]) -> Any:
    if fates != ["not begun"]:
        region = Region(decision.run, cancelled=fates == ["cancelled"])
        with run.within(entry.place, region):
            answer = await decision.branch(0)
            if not region.cancelled:
                return answer
    if entry.cancelled:
        return await wait_as_recorded(decision, run)
    raise out_of_time(decision)


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
