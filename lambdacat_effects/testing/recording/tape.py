"""What a recording holds: runs, and in each, by its path, every effect with how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import attrs

from lambdacat_effects.journal.asked import Asked
from lambdacat_effects.runtime.boundary import Fate
from lambdacat_effects.runtime.events import path_text

__all__ = ["Entry", "Place", "RecordedRun", "Tape"]

Place: TypeAlias = tuple[int, ...]
"""Where in a run an effect was performed: its path without the name of the run."""


@attrs.define(eq=False)
class Entry:
    """One recorded effect.

    >>> entry = Entry((2, 0, 1), Asked("Now", {}), answer=[0.0])
    >>> entry.where, entry.unfinished
    ('2/0/1', False)
    """

    place: Place
    asked: Asked
    answer: list[Any] | None = None
    """The answer as JSON, in a list of its own."""
    error: Any = None
    """The error as JSON."""
    stream: str | None = None
    """Of an answer in chunks, the kind of iterator: "plain" or "async"."""
    chunks: list[Any] = attrs.field(factory=list[Any])
    """Its chunks as JSON, as far as they were consumed."""
    ended: bool = False
    """Whether they were consumed to the end."""
    branches: list[Fate | str] | None = None
    """Of a combinator, how each branch ended: a `Fate`, or "won"."""
    cancelled: bool = False
    """Of a combinator, whether it was cancelled itself."""
    used: bool = True
    """Whether the effect was asked for since the recording was opened."""

    @property
    def where(self) -> str:
        """The place as text."""
        return path_text(self.place)

    @property
    def unfinished(self) -> bool:
        """Whether it had not ended when the run did: it was cancelled, or interrupted."""
        if self.branches is not None:
            return self.cancelled
        return self.answer is None and self.error is None and self.stream is None


@attrs.define(eq=False)
class RecordedRun:
    """One run: the plan's name, which run of that name it was, and its effects."""

    name: str
    number: int
    entries: dict[Place, Entry] = attrs.field(factory=dict[Place, Entry])
    claimed: bool = False
    """Whether a run has been performed as this one since the recording was opened."""

    @property
    def title(self) -> str:
        """How messages call it."""
        return self.name if self.number == 1 else f"{self.name} (run {self.number})"


@attrs.define(eq=False)
class Tape:
    """The runs of one recording, open or as it was when it was closed.

    >>> tape = Tape("file.json")
    >>> tape.begun("research").title, tape.begun("research").title
    ('research', 'research (run 2)')
    """

    file: str
    """Where it is kept."""
    runs: list[RecordedRun] = attrs.field(factory=list[RecordedRun])

    def begun(self, name: str) -> RecordedRun:
        """A new run of this name."""
        number = 1 + max([run.number for run in self.runs if run.name == name], default=0)
        run = RecordedRun(name, number, claimed=True)
        self.runs.append(run)
        return run

    def claim(self, name: str, place: Place, asked: Asked) -> RecordedRun | None:
        """The recorded run as which one is to be replayed that first asks this: the first of its name, not replayed
        yet, that asked the same there, or else the first."""
        free = [run for run in self.runs if run.name == name and not run.claimed]
        same = [run for run in free if (entry := run.entries.get(place)) is not None and entry.asked == asked]
        for run in (same or free)[:1]:
            run.claimed = True
            return run
        return None

    @property
    def unused(self) -> tuple[str, ...]:
        """The effects that were recorded and that nobody has asked for, as "run/place  effect", in order."""
        return tuple([f"{run.title}/{e.where}  {e.asked.text()}" for run, e in self._entries() if not e.used])

    @property
    def effects(self) -> tuple[str, ...]:
        """All recorded effects, as "run/place  effect", in order."""
        return tuple([f"{run.title}/{e.where}  {e.asked.text()}" for run, e in self._entries()])

    def _entries(self) -> Iterator[tuple[RecordedRun, Entry]]:
        for run in sorted(self.runs, key=lambda run: (run.name, run.number)):
            for _, entry in sorted(run.entries.items()):
                yield run, entry
