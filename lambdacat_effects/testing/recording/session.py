"""A recording while it is open: which run of the plan is which recorded run, and where in it a replay has come to."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NoReturn

import attrs

from lambdacat_effects.errors import RecordingMismatch, Unrecordable
from lambdacat_effects.journal.asked import Asked, describe, differences, nearest
from lambdacat_effects.journal.regions import Region
from lambdacat_effects.runtime.boundary import Crossing
from lambdacat_effects.runtime.run import Run
from lambdacat_effects.storage.exact.redaction import Redaction, Redactor
from lambdacat_effects.storage.exact.writing import Writer
from lambdacat_effects.storage.leaves import Misfit
from lambdacat_effects.testing.recording.tape import Entry, Place, RecordedRun, Tape

__all__ = ["Performed", "Session"]


class Session:
    """An open recording."""

    def __init__(self, tape: Tape, redaction: Redaction, *, replays: bool, records: bool) -> None:
        self.tape: Tape = tape
        self.replays: bool = replays
        """Whether what is on the tape is replayed."""
        self.records: bool = records
        """Whether what is not is recorded."""
        self.redactor: Redactor = Redactor(redaction)
        self.broken: Unrecordable | None = None
        """Why nothing is to be written."""
        self.closed: bool = False
        """Whether it is too late to record anything."""
        self.changed: bool = not replays
        """Whether there is something new to write."""
        self._describing = Writer(self.redactor, exactly=False)
        self._writing = Writer(self.redactor, exactly=True)
        self._runs: dict[Run, Performed] = {}

    def asked(self, effect: Any) -> Asked:
        """What an effect asks."""
        return describe(effect, self._describing)

    def performed(self, crossing: Crossing, asked: Asked) -> Performed:
        """The run that an effect belongs to."""
        performed = self._runs.get(crossing.run)
        if performed is None:
            name = str(crossing.path[0])
            recorded = self.tape.claim(name, _place(crossing), asked) if self.replays else None
            if recorded is None and not self.records:
                self._no_such_run(crossing, asked)
            performed = self._runs[crossing.run] = Performed(self, recorded or self.tape.begun(name))
        return performed

    def _no_such_run(self, crossing: Crossing, asked: Asked) -> NoReturn:
        runs = [run.title for run in self.tape.runs]
        raise RecordingMismatch(
            f"{_text(crossing, asked)} is the first effect of a run that the recording {self.tape.file!r} has not: "
            f"it has {', '.join(runs) or 'no run at all'}, each of which is replayed once. Run the plan as often as "
            "it was recorded, under the same name, or record anew with " + _MODES
        )

    def written(self, value: Any, where: str) -> Any:
        """An answer or an error as JSON. Raises `Unrecordable`, and then the file is not touched."""
        try:
            if isinstance(value, BaseException):
                return self._writing.error(value)
            return self._writing.write(value)
        except Misfit as misfit:
            self.broken = Unrecordable(
                f"the answer of {where} cannot be recorded: answer{misfit.place} {misfit.problem}. The recording "
                f"{self.tape.file!r} was not written"
            )
        except RecursionError:
            self.broken = Unrecordable(f"the answer of {where} cannot be recorded: it is nested too deeply")
        raise self.broken


_MODES = 'mode="all", or with mode="new" to keep the rest'


@attrs.define(eq=False)
class Performed:
    """A run that is being recorded or replayed."""

    session: Session
    recorded: RecordedRun
    regions: dict[Place, Region] = attrs.field(factory=dict[Place, Region])
    """What can be cut where the replay is now."""

    def found(self, crossing: Crossing, asked: Asked) -> Entry | None:
        """The recorded effect in this place, or None if none is to be replayed."""
        if not self.session.replays:
            return None
        entry = self.recorded.entries.get(_place(crossing))
        if entry is None or (self.session.records and entry.unfinished and self.region(crossing) is None):
            return None  # unfinished: a run that was interrupted is finished by recording the rest
        if entry.asked != asked:
            if self.session.records:
                return None
            self.mismatch(crossing, asked)
        entry.used = True
        return entry

    def begin(self, crossing: Crossing, asked: Asked) -> Entry:
        """An effect that is about to be performed."""
        self.session.changed = True
        entry = self.recorded.entries[_place(crossing)] = Entry(_place(crossing), asked)
        return entry

    def drop(self, entry: Entry) -> None:
        """Forget an effect: it met a mistake in the program."""
        self.recorded.entries.pop(entry.place, None)

    def region(self, crossing: Crossing) -> Region | None:
        """The innermost region around an effect."""
        place = _place(crossing)
        for length in range(len(place) - 1, 0, -1):
            region = self.regions.get(place[:length])
            if region is not None:
                return region
        return None

    @contextmanager
    def within(self, place: Place, region: Region) -> Generator[Region, None, None]:
        """Perform a branch in a region of its own."""
        self.regions[place] = region
        try:
            with region:
                yield region
        finally:
            del self.regions[place]

    def where(self, entry: Entry) -> str:
        """An effect for messages."""
        return f"{entry.asked.text()} at {self.recorded.title}/{entry.where}"

    def mismatch(self, crossing: Crossing, asked: Asked) -> NoReturn:
        """Report an effect that was not recorded."""
        near = self.recorded.entries.get(_place(crossing))
        found = "nothing"
        if near is not None:
            found = near.asked.text()
        else:
            entries = list(self.recorded.entries.values())
            unused = [entry for entry in entries if not entry.used and entry.asked.effect == asked.effect]
            number = nearest(asked, [entry.asked for entry in unused or entries])
            if number is not None:
                near = (unused or entries)[number]
                found = f"nothing. The nearest is {self.where(near)}"
        changed = [] if near is None else differences(near.asked, asked)
        raise RecordingMismatch(
            f"{_text(crossing, asked)} was not recorded. {self.session.tape.file!r} has there: {found}"
            + "".join(f"\n  {line}" for line in changed)
            + "\nThe plan, or what it was given, has changed since: undo that, or record anew with "
            + _MODES
        )


def _place(crossing: Crossing) -> Place:
    return tuple([int(step) for step in crossing.path[1:]])


def _text(crossing: Crossing, asked: Asked) -> str:
    return f"{asked.text()} at {'/'.join(map(str, crossing.path))}"
