"""A journal for people to read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from lambdacat_effects.journal.records import Kind, Record, place_text
from lambdacat_effects.storage.exact.reading import read
from lambdacat_effects.storage.leaves import Misfit

__all__ = ["Step", "steps_of"]

_LONGEST = 200

_SAYS = {
    Kind.ANSWERED: "answered",
    Kind.FAILED: "failed",
    Kind.CANCELLED: "cancelled",
    Kind.STARTED: "started",
    Kind.CUT: "decided",
    Kind.DECIDED: "ended",
}
_FATES = {"n": "not begun", "a": "answered", "f": "failed", "l": "failed late", "c": "cancelled", "w": "won"}


@attrs.frozen
class Step:
    """One record of a run's journal."""

    place: str
    """Where in the plan: the numbers of effects and branches, outermost first, as in `3.0.1`."""
    what: str
    """"answered", "failed", "cancelled", "started" (a sleep or a deadline), "decided" (a combinator is about to
    cancel the rest) or "ended" (a combinator)."""
    effect: str
    outcome: Any
    """The answer, the error, when it is over (seconds since the Unix epoch), or the fate of each branch. Text, where
    the answer's class cannot be imported."""

    def __str__(self) -> str:
        outcome = repr(self.outcome)
        shown = outcome if len(outcome) <= _LONGEST else outcome[:_LONGEST] + "..."
        return f"{self.place:<12} {self.effect} {self.what}" + (
            "" if self.outcome is None and self.what != "answered" else f": {shown}"
        )


def steps_of(records: Iterable[Record]) -> list[Step]:
    """The records as steps."""
    return [Step(place_text(r.place), _SAYS[r.kind], r.text(), _outcome(r)) for r in records]


def _outcome(record: Record) -> Any:
    if record.kind in (Kind.ANSWERED, Kind.FAILED):
        try:
            return read(record.data)
        except Misfit:
            return str(record.data)
    if isinstance(record.data, str):
        return [_FATES[letter] for letter in record.data]
    return record.data
