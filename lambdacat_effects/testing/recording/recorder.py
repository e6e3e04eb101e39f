"""The boundary that records a run, or replays it without asking anybody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from lambdacat_effects.effects.ambient import Count, Log
from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.effects.failure import Fail
from lambdacat_effects.effects.needs import Need
from lambdacat_effects.errors import Misuse, RecordingUnreadable, Unrecordable
from lambdacat_effects.journal.in_turn import winners
from lambdacat_effects.runtime.boundary import Crossing, Decision
from lambdacat_effects.storage.exact.reading import read, read_error
from lambdacat_effects.storage.leaves import Misfit
from lambdacat_effects.testing.recording.deciding import decide_again, wait_as_recorded
from lambdacat_effects.testing.recording.session import Performed, Session
from lambdacat_effects.testing.recording.streams import AsyncChunks, Chunks, Replayed, is_stream
from lambdacat_effects.testing.recording.tape import Entry

__all__ = ["Recorder"]

# What asks nothing of the world: needs are met with things of this process, errors are the plan's own, and notes and
# counts only tell.
_NOT_RECORDED = (Need, Fail, Log, Count)


class Recorder:
    """Stands at the boundary of runs, with an open recording."""

    def __init__(self, session: Callable[[], Session], *, alone: bool) -> None:
        self._session = session
        self._alone = alone

    def meets(self, effect_type: type[Effect[Any]], *, handled: bool) -> bool:
        """Effects that ask something of the world; alone, also those that nobody handles."""
        return (handled or self._alone) and not issubclass(effect_type, _NOT_RECORDED)

    async def effect(self, crossing: Crossing) -> Any:
        """Replay an effect, or perform and record it."""
        session = self._session()
        asked = session.asked(crossing.effect)
        run = session.performed(crossing, asked)
        entry = run.found(crossing, asked)
        if entry is not None and not entry.unfinished:
            return _replayed(run, entry)
        region = run.region(crossing)
        if entry is not None or (region is not None and region.cancelled):
            return await wait_as_recorded(crossing, run)  # cancelled here, or before it came to ask this
        if not session.records:
            run.mismatch(crossing, asked)
        entry = run.begin(crossing, asked)
        try:
            answer = await crossing.forward()
        except Misuse:
            run.drop(entry)
            raise
        except Exception as error:
            entry.error = session.written(error, run.where(entry))
            raise
        if is_stream(answer):
            return _recorded_stream(run, entry, answer)
        entry.answer = [session.written(answer, run.where(entry))]
        return answer

    async def behind(self, decision: Decision) -> Any:
        """Let a combinator of a handler be performed: it belongs to what that answers."""
        return await decision.forward()

    async def decision(self, decision: Decision) -> Any:
        """Replay how a combinator ended, or perform it and record that."""
        session = self._session()
        asked = session.asked(decision.effect)
        run = session.performed(decision, asked)
        entry = run.found(decision, asked)
        if entry is not None:
            return await decide_again(decision, run, entry)
        region = run.region(decision)
        if region is not None and region.cancelled:
            return await wait_as_recorded(decision, run)
        if not session.records:
            run.mismatch(decision, asked)
        entry = run.begin(decision, asked)
        entry.branches = []
        entry.cancelled = True  # unless it ends by itself
        try:
            answer = await decision.forward()
        except Misuse:
            run.drop(entry)
            raise
        except Exception:
            entry.cancelled = False
            raise
        finally:
            entry.branches[:] = decision.fates
        entry.cancelled = False
        for index in winners(decision, answer):
            entry.branches[index] = "won"
        return answer


def _replayed(run: Performed, entry: Entry) -> Any:
    """What an effect answered, made anew for each replay."""
    try:
        if entry.stream is not None:
            chunks = [read(chunk) for chunk in entry.chunks]
            error = None if entry.error is None else read_error(entry.error)
            source = Replayed(chunks, error, entry.ended, run.where(entry))
            return AsyncChunks(source) if entry.stream == "async" else Chunks(source)
        if entry.answer is not None:
            return read(entry.answer[0])
        error = read_error(entry.error)
    except Misfit as misfit:
        raise RecordingUnreadable(
            f"the recording {run.session.tape.file!r} cannot be read: {run.where(entry)}: answer{misfit.place} "
            f'{misfit.problem}. The file was left as it is: restore it, or record anew (mode="all")'
        ) from None
    raise error


class _Track:
    """Writes the chunks of a stream to its entry."""

    def __init__(self, run: Performed, entry: Entry) -> None:
        self._run = run
        self._entry = entry

    def chunk(self, value: Any) -> None:
        if self._run.session.closed:
            raise Unrecordable(
                f"the stream that answered {self._run.where(self._entry)} is consumed after its recording was "
                "written: consume it in the plan, or keep the recording open, `async with recorded:`"
            )
        self._entry.chunks.append(self._run.session.written(value, self._run.where(self._entry)))

    def end(self, error: Exception | None) -> None:
        self._entry.ended = error is None
        if error is not None and not isinstance(error, Misuse):
            self._entry.error = self._run.session.written(error, self._run.where(self._entry))


def _recorded_stream(run: Performed, entry: Entry, answer: Any) -> Any:
    track = _Track(run, entry)
    if isinstance(answer, AsyncIterator):
        entry.stream = "async"
        return AsyncChunks(cast(Any, answer), track)
    entry.stream = "plain"
    return Chunks(answer, track)
