"""What all parts of one run share: its clock, who listens, and how long since other tasks had their turn."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol, TypeVar

from lambdacat_effects.runtime.events import Answered, Cancelled, Failed, Listener, Path, Started
from lambdacat_effects.runtime.table import Table

__all__ = ["Clock", "Run", "Scope"]

A = TypeVar("A")

_MOST_SECONDS = 0.001
_MOST_EFFECTS = 1000
_STRIDE = 16


class Clock(Protocol):
    """The time of a run: virtual or real."""

    def monotonic(self) -> float:
        """Seconds since some moment, never going backwards."""
        ...

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        ...


class Run:
    """One run of a plan."""

    __slots__ = ("_checkpoint", "_effects", "_looked", "_since", "cancelled", "clock", "listen", "stride")

    def __init__(
        self,
        clock: Clock,
        listen: Listener | None,
        checkpoint: Callable[[bool], Awaitable[bool]] | None,
        cancelled: type[BaseException],
    ) -> None:
        self.clock: Clock = clock
        self.listen: Listener | None = listen
        self.cancelled: type[BaseException] = cancelled
        """What cancellation looks like."""
        self._checkpoint = checkpoint
        self._since = self._looked = -math.inf
        self._effects = 0
        self.stride: int = 1
        """After how many effects to ask `due` again."""

    # A checkpoint costs as much as ten effects or more, so there is none for each effect; but a plan of synchronous
    # effects must not starve its neighbours, nor escape its own cancellation. So there is one after 1,000 effects or
    # 1 ms of the run's clock. Reading it costs too, and is done as often as the pace of the last effects asks for.

    def due(self, effects: int) -> bool:
        """Whether a checkpoint is due, when `effects` were performed since the last question."""
        if self._checkpoint is None:
            self.stride = _STRIDE
            return False
        now = self.clock.monotonic()
        if self._since == -math.inf:  # the first look
            self._since = self._looked = now
            return False
        self._effects += effects
        left = self._since + _MOST_SECONDS - now
        pace = (now - self._looked) / effects
        self._looked = now
        self.stride = max(1, min(_STRIDE, int(left / pace))) if pace > 0 else _STRIDE
        return self._effects > _MOST_EFFECTS - _STRIDE or left <= 0

    async def checkpoint(self, told: bool) -> bool:
        """Let other tasks run, and be cancelled if so asked. Answers whether the plan has been `told` so.

        A plan is told once. Else its clean-up would be refused by chance: synchronous effects, and those it shields,
        are answered in `finally`, whether or not a checkpoint happens to be due there.
        """
        if self._checkpoint is not None:
            told = await self._checkpoint(told)
        self._effects = 0
        self._since = self._looked = self.clock.monotonic()
        return told

    def started(self, path: Path, what: object) -> None:
        """Tell that `what` begins."""
        if self.listen is not None:
            self.listen(Started(path, what, self.clock.monotonic()))

    def ended(self, path: Path, what: object, answer: object, error: BaseException | None) -> None:
        """Tell how `what` ended."""
        if self.listen is None:
            return
        at = self.clock.monotonic()
        if error is None:
            self.listen(Answered(path, what, at, answer))
        elif self._is_cancellation(error):
            self.listen(Cancelled(path, what, at))
        else:
            self.listen(Failed(path, what, at, error))

    async def tell(self, performing: Awaitable[A], path: Path, what: object) -> A:
        """Await `performing`, and tell how it began and ended."""
        self.started(path, what)
        try:
            answer = await performing
        except BaseException as exc:
            self.ended(path, what, None, exc)
            raise
        self.ended(path, what, answer, None)
        return answer

    def _is_cancellation(self, error: BaseException) -> bool:
        if isinstance(error, BaseExceptionGroup):
            return all(self._is_cancellation(e) for e in error.exceptions)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType]
        return isinstance(error, (self.cancelled, GeneratorExit))


class Scope(NamedTuple):
    """Where a control effect is performed."""

    table: Table
    path: Path
    run: Run
