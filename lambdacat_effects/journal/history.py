"""A journal for people to read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import attrs

from lambdacat_effects.journal.records import Kind, Record, place_text
from lambdacat_effects.journal.showing import error_text, shown
from lambdacat_effects.storage.exact.reading import read
from lambdacat_effects.storage.leaves import Misfit

__all__ = ["Step", "moment", "steps_of"]

_LONGEST: Final = 200

_SAYS: Final = {
    Kind.ANSWERED: "answered",
    Kind.FAILED: "failed",
    Kind.CANCELLED: "cancelled",
    Kind.STARTED: "began",
    Kind.CUT: "decided",
    Kind.DECIDED: "ended",
    Kind.PATCHED: "patched",
}
_FATES: Final = {
    "w": "won", "a": "answered", "f": "failed", "l": "failed late", "c": "cancelled", "n": "not begun",
    "b": "answered", "v": "won",
}  # fmt: skip
_SILENT: Final = ("Remember", "Forget", "Believe", "Observe", "Adopt", "Log", "Count")
_NOTHING: Final = {"Sleep": "over", **dict.fromkeys(_SILENT, "done")}
"""What is said of effects that never answer anything."""
_MOST_NAMED = 3
"""How many branches of one fate are named; of more it is said how many they are."""


@attrs.frozen
class Step:
    """One record of a run's journal."""

    number: int
    """Which one it is, counted from 1."""
    place: str
    """Where in the plan: the numbers of effects and branches, outermost first, as in `3.0.1`."""
    what: str
    """"answered", "failed", "cancelled", "began" (a sleep, or a combinator), "decided" (a combinator, which is about
    to cancel the rest), "ended" (a combinator that depended on time) or "patched"."""
    effect: str
    """What was asked for. Of long arguments the beginning."""
    outcome: Any
    """The answer, the error, when a sleep or a deadline is over (seconds since the Unix epoch; None without one), the
    fate of each branch, or whether the new code of a change is performed. Text, where a class in it cannot be
    imported."""
    plain: Any = attrs.field(repr=False)
    """The outcome as JSON, as the journal has it."""

    @property
    def until(self) -> float | None:
        """When a sleep or a deadline that began is over, in seconds since the Unix epoch."""
        return self.outcome if self.what == "began" else None

    def told(self) -> str:
        """What became of it, in words.

        >>> Step(1, "3", "answered", "search(query='cats')", ["Felix"], ["Felix"]).told()
        "['Felix']"
        >>> Step(2, "4", "ended", "race(branches=2)", ["won", "cancelled"], "wc").told()
        'branch 0 won; branch 1 was cancelled'
        """
        if self.what == "answered":
            nothing = _NOTHING.get(self.effect.partition("(")[0]) if self.plain is None else None
            return nothing or shown(self.plain)
        if self.what == "failed":
            return f"failed: {error_text(self.plain)}"
        if self.what == "began":
            return "began" if self.until is None else f"began, until {moment(self.until)}"
        if self.what == "patched":
            return "the new code" if self.outcome else "the old code"
        if self.effect.startswith("Timeout("):
            return "answered in time" if self.outcome == ["answered"] else "cancelled, out of time"
        if self.what == "decided":
            ended = [fate if fate in ("answered", "failed") else "" for fate in self.outcome]
            return f"{_branches(ended)}; the others are cancelled"
        fates = "" if self.outcome is None else _branches(self.outcome)
        return fates if self.what == "ended" else f"cancelled{fates and f' ({fates})'}"

    def __str__(self) -> str:
        """In one line."""
        told = " ".join(self.told().split())
        brief = told if len(told) <= _LONGEST else f"{told[:_LONGEST]}..."
        return f"{self.place:<12} {self.effect}: {brief}"


def moment(seconds: float) -> str:
    """A time, in seconds since the Unix epoch, as a local date and time."""
    try:
        return datetime.fromtimestamp(seconds).isoformat(sep=" ", timespec="seconds")
    except (ValueError, OverflowError, OSError):  # later than any calendar goes
        return f"{seconds:g} s after 1970"


def steps_of(records: Iterable[Record]) -> list[Step]:
    """The records as steps."""
    return [
        Step(number, place_text(r.place), _SAYS[r.kind], _effect(r), _outcome(r), r.data)
        for number, r in enumerate(records, 1)
    ]


def _outcome(record: Record) -> Any:
    if record.kind in (Kind.ANSWERED, Kind.FAILED):
        try:
            return read(record.data)
        except Misfit:
            return (shown if record.kind is Kind.ANSWERED else error_text)(record.data)
    if isinstance(record.data, str):
        return [_FATES.get(letter, letter) for letter in record.data]
    return record.data


def _branches(fates: list[str]) -> str:
    by_fate: dict[str, list[int]] = {fate: [] for fate in _FATES.values()}
    for index, fate in enumerate(fates):
        by_fate.setdefault(fate, []).append(index)
    return "; ".join([_fate(fate, branches) for fate, branches in by_fate.items() if fate and branches])


def _fate(fate: str, branches: list[int]) -> str:
    one = len(branches) == 1
    verb = {"cancelled": "was " if one else "were ", "not begun": "was " if one else "were "}.get(fate, "")
    if len(branches) > _MOST_NAMED:
        return f"{len(branches):,} branches {verb}{fate}"
    return f"branch{'' if one else 'es'} {', '.join(map(str, branches))} {verb}{fate}"


def _effect(record: Record) -> str:
    _, _, *text = json.loads(record.asked)
    return str(text[0]) if text else record.text()  # the former is what is left of a long one
