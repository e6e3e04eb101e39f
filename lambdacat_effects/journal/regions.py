"""Parts of a replayed run that end where they were cancelled before."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any, Final, cast

import trio

from lambdacat_effects.runtime.pure import VirtualCancelled
from lambdacat_effects.runtime.run import Run

__all__ = ["Region", "deadline_in_force"]


class Region:
    """A branch of a combinator, or the plan under a `timeout`, in a replay.

    Entered around the branch, it catches its own cancellation and nobody else's: Trio's on Trio, `run_pure`'s there.
    """

    def __init__(self, run: Run, *, cancelled: bool) -> None:
        self.cancelled: Final = cancelled
        """Whether the branch was cancelled when it was performed before, rather than that it ended by itself."""
        self.was_cut: bool = False
        """Whether it has been cancelled now."""
        self.depth: int = 0
        """How many steps its place in the run has."""
        self._scope = trio.CancelScope() if run.cancelled is trio.Cancelled else None
        # Of `run_pure`: a shield hides the deadlines around it, and so a region among them.
        self._clock: Any = None if self._scope is not None else cast(Any, run.clock)

    def __enter__(self) -> Region:
        if self._scope is not None:
            self._scope.__enter__()
        else:
            self._clock.deadlines.append((math.inf, self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self._scope is not None:
            return bool(self._scope.__exit__(kind, error, trace))
        self._clock.deadlines.remove((math.inf, self))
        if not isinstance(error, BaseExceptionGroup):
            return error is not None and self._is_mine(error)
        # Branches of a combinator within failed while it was cancelled. Their failures go on, as on Trio.
        _, failures = cast("BaseExceptionGroup[BaseException]", error).split(lambda e: self._is_mine(e))
        if failures is not None and failures is not error:
            raise failures
        return failures is None

    def _is_mine(self, error: BaseException) -> bool:
        return isinstance(error, VirtualCancelled) and error.deadline is self

    def shield(self) -> None:
        """Let nothing from outside cancel what is done within: to the end that it had, whatever becomes of the rest.

        (Under `run_pure` that happens in waits only, and what was known does not wait.)
        """
        if self._scope is not None:
            self._scope.shield = True

    async def cut(self) -> None:
        """Be cancelled here and now. Nothing is raised out of a shield within the region."""
        self.was_cut = True
        if self._scope is None:
            if any(token is self for _, token in self._clock.deadlines):
                raise VirtualCancelled(self)
            return
        self._scope.cancel()
        await trio.lowlevel.checkpoint_if_cancelled()

    def cut_soon(self) -> None:
        """Be cancelled wherever it waits next. On Trio only."""
        self.was_cut = True
        if self._scope is not None:
            self._scope.cancel()


def deadline_in_force(run: Run) -> bool:
    """Whether a cancel scope of Trio will end what waits here: one of the plan itself, or of whoever runs it."""
    return run.cancelled is trio.Cancelled and trio.current_effective_deadline() < math.inf
