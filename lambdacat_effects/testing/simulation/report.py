"""What a simulated run amounts to."""

from __future__ import annotations

from typing import Any

import attrs

from lambdacat_effects.runtime.events import Event
from lambdacat_effects.testing.simulation.faults import Fault, is_injected
from lambdacat_effects.testing.simulation.trace import Turn

__all__ = ["Report"]


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
    _value: Any = None
    _error: BaseException | None = None
    _injected: tuple[BaseException, ...] = ()
    looked: bool = False
    """Whether somebody has asked how it ended."""

    @property
    def value(self) -> Any:
        """The plan's answer. Raises its error, if it failed."""
        self.looked = True
        if self._error is not None:
            raise self._error
        return self._value

    @property
    def error(self) -> BaseException | None:
        """What the plan raised, if it failed."""
        self.looked = True
        return self._error

    def unwrap(self) -> Any:
        """The plan's answer. Raises its error, if it failed."""
        return self.value

    @property
    def unexpected(self) -> BaseException | None:
        """What the plan raised, unless it is nothing but injected faults, or was raised `from` one."""
        return None if is_injected(self._error, self._injected) else self._error

    @property
    def switches(self) -> int:
        """How often the schedule departs from the plainest run."""
        return len(self.schedule)

    def __repr__(self) -> str:
        ended = f"raised {self._error!r}" if self._error is not None else f"answered {self._value!r}"
        return (
            f"<simulation of {self.plan}: {ended} after {len(self.trace)} steps, {self.time:g} virtual seconds, "
            f"{len(self.schedule)} switches, {len(self.faults)} faults>"
        )
