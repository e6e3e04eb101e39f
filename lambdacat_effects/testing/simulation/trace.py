"""What a simulation did, step by step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs

from lambdacat_effects.effects.control import Control
from lambdacat_effects.runtime.events import Branch, Path, Root, path_text
from lambdacat_effects.testing.simulation.faults import Fault

__all__ = ["Advanced", "Decided", "Resumed", "Turn", "plain_text"]

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def plain_text(thing: object) -> str:
    """Its `repr` without addresses, so that two runs, and two processes, say the same."""
    return _ADDRESS.sub("", repr(thing))


@attrs.frozen
class Resumed:
    """The plan goes on with the answer of an effect that waited."""

    effect: Any


@attrs.frozen
class Advanced:
    """The clock moves on to the next timer."""

    to: float
    """Seconds since the start."""


@attrs.frozen
class Decided:
    """A combinator, which was decided, cancels what is left of it."""


@attrs.define(eq=False)
class Turn:
    """One step: a task goes on, until it asks for its next effect or waits. Unpacks to its first four fields."""

    step: int
    path: Path
    """Of the effect, or of the branch that begins; empty for the clock."""
    effect: Any
    """The effect that is performed; or `Resumed`, `Decided`, `Advanced`, `Branch` or `Root`."""
    fault: Fault | None = None
    """What went wrong with it."""
    choices: int = 1
    """How many could have gone on, as far as it was counted."""
    choice: int = 0
    """Which of them did: 0 is the task that ran last, or the lowest path."""
    instead: Path | None = None
    """Where the run would have gone on, had the choice been 0."""
    cancelled: bool = False
    """Whether the task was told here that it is cancelled, in place of the effect."""

    def __iter__(self) -> Iterator[Any]:
        return iter((self.step, self.path, self.effect, self.fault))

    def __eq__(self, other: object) -> bool:
        """Turns are equal when they read the same: a lambda, say, made anew for each run is the same lambda."""
        return isinstance(other, Turn) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash((self.step, self.path))

    def key(self) -> tuple[object, ...]:
        """What is compared."""
        return (self.step, self.path, self.text(), self.fault, self.cancelled)

    @property
    def where(self) -> str:
        """The path for people; `-` for the clock."""
        return path_text(self.path) or "-"

    def text(self) -> str:
        """What happened, for people."""
        what = self.effect
        if isinstance(what, Resumed):
            said = f"goes on after {_named(what.effect)}"
        elif isinstance(what, Advanced):
            said = f"the clock moves on to {what.to:g} s"
        elif isinstance(what, Decided):
            said = "is decided, and cancels the rest"
        elif isinstance(what, Branch):
            said = f"branch {what.index} begins"
        elif isinstance(what, Root):
            said = "begins"
        else:
            said = _named(what)
        if self.cancelled:
            said += "  (cancelled here)"
        return said if self.fault is None else f"{said}  ({self.fault.kind})"


def _named(effect: Any) -> str:
    return str(effect.title()) if isinstance(effect, Control) else plain_text(effect)
