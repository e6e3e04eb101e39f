"""What all parts of one run share: its clock, who listens, and how long since other tasks had their turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol, TypeVar

from lambdacat_effects.runtime.events import Answered, Cancelled, Failed, Listener, Path, Started
from lambdacat_effects.runtime.table import Table

__all__ = ["Clock", "Pace", "Run", "Scope"]

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

    __slots__ = (
        "cancelled",
        "clock",
        "first",
        "is_cancelled",
        "listen",
        "pace",
        "pass_checkpoint",
        "spares",
        "staged",
        "ticks",
    )

    def __init__(
        self,
        clock: Clock,
        listen: Listener | None,
        checkpoint: Callable[[bool], Awaitable[bool]] | None,
        cancelled: type[BaseException],
        is_cancelled: Callable[[], bool],
        ticks: Callable[[], Any] | None = None,
    ) -> None:
        self.clock: Clock = clock
        self.listen: Listener | None = listen
        self.cancelled: type[BaseException] = cancelled
        """What cancellation looks like."""
        self.is_cancelled: Callable[[], bool] = is_cancelled
        """Whether the current task is cancelled, by whomever."""
        self.ticks: Callable[[], Any] | None = ticks
        """Makes a counter of the scheduler's ticks, for those who ask who was first."""
        self.first: int = Pace.FIRST
        """After how many effects of a plan to look at its pace for the first time."""
        self.pace: Pace | None = None
        """What all plans share, instead of a pace of their own."""
        self.spares: Callable[[Path, object], bool] | None = None
        """Tells which effects a cancelled plan performs all the same: those that have been answered long ago, in a
        run that is resumed."""
        self.staged: bool = False
        """Whether somebody decides when each effect is performed, as in a simulation. Then also what is done on the
        plan's behalf, such as the writing of a journal, is performed as an effect."""
        self.pass_checkpoint: Callable[[bool], Awaitable[bool]] | None = checkpoint
        """What `checkpoint` does, None where there are no other tasks."""

    @property
    def alone(self) -> bool:
        """Whether there are no other tasks to let run."""
        return self.pass_checkpoint is None

    async def checkpoint(self, told: bool) -> bool:
        """Let other tasks run, and be cancelled if so asked. Answers whether the plan has been `told` so.

        A plan is told once. Else its clean-up would be refused by chance: synchronous effects, and those it shields,
        are answered in `finally`, whether or not a checkpoint happens to be due there.
        """
        return False if self.pass_checkpoint is None else await self.pass_checkpoint(told)

    async def before(self, path: Path, n: int, effect: object, told: bool) -> bool:
        """A checkpoint before the effect number `n` of the plan at `path`."""
        if self.spares is not None and self.spares((*path, n), effect):
            await self.checkpoint(True)
            return told
        return await self.checkpoint(told)

    def cut(self, nursery: Any, path: Path) -> None:  # noqa: ARG002
        """Cancel what is left in the nursery of the combinator at `path`, which has been decided."""
        # Branches that end in the tick of the decision tie with it: they were scheduled together, and only the order
        # of that batch, which Trio draws at random, set them apart. Cancelled at once they would be lost to it, even
        # a sleep that was over: its own scope cannot catch its end any more. A deadline that is now passes between
        # this tick and the next.
        nursery.cancel_scope.deadline = self.clock.monotonic()

    async def begin(self, path: Path) -> None:
        """A task of the run has begun, for the branch at `path`. A simulation decides when it goes on."""

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

    def tells_cancellation(self, error: BaseException) -> bool:
        """Whether an error is cancellation, alone or in a group with failures."""
        if isinstance(error, BaseExceptionGroup):
            return any(self.tells_cancellation(e) for e in error.exceptions)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType]
        return isinstance(error, self.cancelled)

    def _is_cancellation(self, error: BaseException) -> bool:
        if isinstance(error, BaseExceptionGroup):
            return all(self._is_cancellation(e) for e in error.exceptions)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType]
        return isinstance(error, (self.cancelled, GeneratorExit))


class Pace:
    """When a plan lets other tasks run.

    A checkpoint costs as much as ten effects or more, so there is none for each effect; but a plan of synchronous
    effects must not starve its neighbours, nor escape its own cancellation. So there is one after 1,000 effects or
    1 ms of the run's clock. Reading it costs too, and is done as often as the pace of the last effects asks for. A
    plan begins its task's turn, so its first few effects are not looked at: most branches of a large fan-out have no
    more.
    """

    __slots__ = ("_clock", "_effects", "_looked", "_since", "stride")

    FIRST = 2
    """After how many effects to look for the first time."""

    def __init__(self, run: Run) -> None:
        self._clock = run.clock
        self.stride: int = _STRIDE if run.alone else 1
        """After how many effects to ask `due` again."""
        self.rested()

    def rested(self) -> None:
        """A checkpoint has been passed."""
        self._since = self._looked = self._clock.monotonic()
        self._effects = 0

    def due(self) -> bool:
        """Whether a checkpoint is due, `stride` effects after the last question."""
        now = self._clock.monotonic()
        self._effects += self.stride
        left = self._since + _MOST_SECONDS - now
        each = (now - self._looked) / self.stride
        self._looked = now
        self.stride = max(1, min(_STRIDE, int(left / each))) if each > 0 else _STRIDE
        return self._effects > _MOST_EFFECTS - _STRIDE - self.FIRST or left <= 0


class Scope(NamedTuple):
    """Where a control effect is performed."""

    table: Table
    path: Path
    run: Run
