"""What a simulated run amounts to."""

from __future__ import annotations

from typing import Any

import attrs

from lambdacat_effects.runtime.events import Event
from lambdacat_effects.testing.simulation.faults import Fault, is_injected
from lambdacat_effects.testing.simulation.trace import Turn

__all__ = ["MOST_STEPS", "Report"]

MOST_STEPS = 100_000
"""How many steps a run may take, unless told otherwise."""


@attrs.define(eq=False)
class Report:
    """One simulated run: how it ended, and every step on the way there."""

    plan: str
    """The plan's name, and the first element of every path."""
    fingerprint: str
    """Changes when the plan's code does: 12 hexadecimal digits."""
    time: float
    """Virtual seconds from begin to end."""
    trace: list[Turn]
    """(step, path, effect, fault) for each step."""
    schedule: dict[int, int]
    """The choices that differ from the plainest run: `simulate(..., schedule=...)` makes them again."""
    faults: list[Fault]
    """What was injected: `simulate(..., faults=...)` injects it again."""
    events: list[Event]
    """What the run told, for `performed` and for reports."""
    seed: int | str = 0
    """What chance was drawn from."""
    most_steps: int = MOST_STEPS
    """How many steps it might have taken."""
    outcome: tuple[Any, BaseException | None] = (None, None)
    """The plan's answer and its error. To look at either this way does not count as looking."""
    injected: tuple[BaseException, ...] = ()
    """What was raised for faults."""
    looked: bool = False
    """Whether somebody has asked how it ended, by `value` or `error`."""

    @property
    def value(self) -> Any:
        """The plan's answer. Raises its error, if it failed."""
        self.looked = True
        if self.outcome[1] is not None:
            raise self.outcome[1]
        return self.outcome[0]

    @property
    def error(self) -> BaseException | None:
        """What the plan raised, if it failed."""
        self.looked = True
        return self.outcome[1]

    def unwrap(self) -> Any:
        """The plan's answer. Raises what is `unexpected`; what failed by injected faults alone answers None."""
        if self.unexpected is not None:
            raise self.unexpected
        return self.outcome[0]

    @property
    def unexpected(self) -> BaseException | None:
        """What the plan raised, unless it is nothing but injected faults, or was raised `from` one."""
        error = self.outcome[1]
        return None if is_injected(error, self.injected) else error

    @property
    def switches(self) -> int:
        """How often the schedule departs from the plainest run."""
        return len(self.schedule)

    def __repr__(self) -> str:
        value, error = self.outcome
        ended = f"answered {value!r}" if error is None else f"raised {error!r}"
        return (
            f"<simulation of {self.plan}: {ended} after {len(self.trace)} steps, {self.time:g} virtual seconds, "
            f"{len(self.schedule)} switches, {len(self.faults)} faults>"
        )
