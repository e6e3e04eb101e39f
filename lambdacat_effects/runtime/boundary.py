"""The run's boundary: one place, outside every handler and interposer, that each effect of a plan passes once.

A recorder stands there, and a journal. A call that an interposer retried three times passes once; what
`h.handle(plan)` answers inside never arrives; what handlers and interposers perform themselves passes by. Effects of
the plan are met with their path. So are the *decisions* of combinators, who won a race and which deadline fired,
since these are what an answer may depend on besides the answers of effects.

A handler without a boundary pays nothing: the boundary is a table of its own, around the handler's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Literal, Protocol, TypeAlias, cast

import attrs

from lambdacat_effects.effects.concurrency import Concurrent, Each
from lambdacat_effects.effects.control import Control, Timeout
from lambdacat_effects.effects.effect import Effect, Performs, effect, performable, plan_name
from lambdacat_effects.runtime.events import Branch, Path
from lambdacat_effects.runtime.interpreter import drive, perform_step
from lambdacat_effects.runtime.run import Run, Scope
from lambdacat_effects.runtime.table import (
    CONTROL,
    GENERATOR,
    NOT_AN_EFFECT,
    OBSERVED,
    UNHANDLED,
    Chain,
    Entry,
    Key,
    Step,
    Table,
)

__all__ = ["Boundary", "Crossing", "Decision", "Fate", "bounded"]

Fate: TypeAlias = Literal["not begun", "answered", "failed", "failed late", "cancelled"]
"""How a branch of a combinator ended. One that was cancelled and failed instead of ending so "failed late"; one that
swallowed it and answered has answered."""


class Boundary(Protocol):
    """Who stands at the boundary of a run: meets each effect that the plan performs, and answers it."""

    def meets(self, effect_type: type[Effect[Any]], *, handled: bool) -> bool:
        """Whether it wants to see effects of this class, `handled` by somebody or not. Asked once, not for each."""
        ...

    async def effect(self, crossing: Crossing) -> Any:
        """Answer an effect: with `await crossing.forward()`, or in place of the handlers."""
        ...

    async def decision(self, decision: Decision) -> Any:
        """Answer a combinator that decides by time: with `await decision.forward()`, or as decided before."""
        ...

    async def behind(self, decision: Decision) -> Any:
        """Answer a combinator that a handler performs, with `await decision.forward()`: it is a part of the handler's
        answer, and only the tasks of its branches are of interest."""
        ...


# Within `forward`, effects go past these boundaries. A context variable and not a second set of tables, as it is also
# right where a handler runs a plan of its own under the same handlers: that one belongs to the answer of the first.
_passed: ContextVar[tuple[Boundary, ...]] = ContextVar("boundaries passed", default=())


class _past:
    __slots__ = ("_before", "_boundary")

    def __init__(self, boundary: Boundary) -> None:
        self._boundary = boundary

    def __enter__(self) -> None:
        self._before = _passed.get()
        _passed.set((*self._before, self._boundary))

    def __exit__(self, *exc_info: object) -> None:
        _passed.set(
            self._before
        )  # not `reset`, which would refuse when an abandoned run is closed from elsewhere


class Crossing:
    """An effect of the plan at the boundary."""

    __slots__ = ("_boundary", "_entry", "_key", "effect", "scope")

    def __init__(self, boundary: Boundary, key: Key, entry: Entry, effect: Any, scope: Scope) -> None:
        self._boundary = boundary
        self._key = key
        self._entry = entry
        self.effect: Any = effect
        """What the plan asks."""
        self.scope: Scope = scope
        """Where it asks: the table in force, the effect's path, the run."""

    @property
    def path(self) -> Path:
        """Where in the run the effect is performed."""
        return self.scope.path

    @property
    def run(self) -> Run:
        """The run it belongs to."""
        return self.scope.run

    async def forward(self) -> Any:
        """Ask the handlers: answers what they answer, raises what they raise."""
        with _past(self._boundary):
            return await _ask(self._entry, self._key, self.effect, self.scope)

    async def perform(self, plan: Performs[Any, Any]) -> Any:
        """Perform something else in this place, such as a `Sleep`. It goes past the boundary."""
        with _past(self._boundary):
            return await drive(performable(plan), *self.scope)


class Decision(Crossing):
    """A combinator of the plan at the boundary: `Timeout`, or `Concurrent` under any policy."""

    __slots__ = ("answers", "began", "ended", "ending", "fates", "swallowed")

    def __init__(self, boundary: Boundary, key: Key, entry: Entry, effect: Any, scope: Scope) -> None:
        super().__init__(boundary, key, entry, effect, scope)
        self.fates: list[Fate] = ["not begun"] * self.branches
        """How each branch ended, filled in by `forward`."""
        self.swallowed: set[int] = set()
        """Those that had been cancelled when they answered."""
        self.answers: dict[int, Any] = {}
        """The answers of those that answered, by branch."""
        self.began: Callable[[int], object] | None = None
        """Called when a branch begins."""
        self.ended: Callable[[int], object] | None = None
        """Called when a branch has ended, however."""
        self.ending: Callable[[int], Awaitable[None]] | None = None
        """Awaited when a branch has ended by itself, before anybody else knows."""

    @property
    def branches(self) -> int:
        """How many there are; the plan under a `Timeout` is one."""
        return 1 if self._is_timeout else len(self.effect.branches)

    async def forward(self, rest: float | None = None) -> Any:
        """Let the runtime perform and decide. The branches' effects meet the boundary, each on its own. `rest` is
        what is left of the deadline, in seconds."""
        _, fn, _ = self._entry
        watched = self._watched()
        return await fn(watched if rest is None else attrs.evolve(watched, rest=rest), self.scope)

    async def branch(self, index: int) -> Any:
        """Perform one branch here and now, in this task, without any deadline."""
        table, path, run = self.scope
        if self._is_timeout:
            return await drive(self.effect.plan, table, path, run)
        plan = self.effect.branches[index]
        here = (*path, index)
        return await run.tell(drive(plan, table, here, run), here, Branch(index, plan_name(plan)))

    def _watched(self) -> Any:
        asked = self.effect
        if self._is_timeout:
            return attrs.evolve(asked, plan=_Watched(asked.plan, 0, self))
        indices = range(self.branches)
        if isinstance(
            asked.branches, Each
        ):  # a plan is made when its turn comes, and messages say `for_each`
            return attrs.evolve(asked, branches=Each(indices, self._made))
        return attrs.evolve(asked, branches=tuple([self._made(i) for i in indices]))

    @property
    def _is_timeout(self) -> bool:
        return isinstance(self.effect, Timeout)

    def _made(self, index: int) -> _Watched:
        self.fates[index] = "failed"  # if no plan can be made
        plan = self.effect.branches[index]
        self.fates[index] = "not begun"
        return _Watched(plan, index, self)


@effect
class _Watched(Control[Any]):
    """A branch whose end is noted. An effect and not a generator around the plan: that would shift no path either,
    but it would stand for the plan in messages that name its file and line."""

    plan: Any
    index: int
    decision: Decision

    def title(self) -> str:
        return plan_name(self.plan)


async def _watch(watched: _Watched, scope: Scope) -> Any:
    index, decision = watched.index, watched.decision
    decision.fates[index] = "cancelled"  # unless it ends by itself
    if decision.began is not None:
        decision.began(index)
    try:
        answer = await drive(watched.plan, scope.table, scope.path[:-1], scope.run)
    except Exception:
        decision.fates[index] = "failed late" if scope.run.is_cancelled() else "failed"
        if decision.ending is not None:
            await decision.ending(index)
            if scope.run.is_cancelled():  # a deadline has passed meanwhile, and who cancels counts it as late
                decision.fates[index] = "failed late"
        raise
    else:
        decision.fates[index] = "answered"
        if scope.run.is_cancelled():
            decision.swallowed.add(index)
        decision.answers[index] = answer
        if decision.ending is not None:
            await decision.ending(index)
        return answer
    finally:
        if decision.ended is not None:
            decision.ended(index)


_DECIDE: Final = (Concurrent, Timeout)


class _Bounded(Table):
    """A boundary around a table: what it meets is answered by it, the rest as if it were not there."""

    __slots__ = ("_boundary",)

    def __init__(self, table: Table, boundary: Boundary) -> None:
        nothing: Mapping[Key, Chain] = {}
        super().__init__(nothing, table, observed=table.observed, adapt=table.adapt)
        self._boundary = boundary
        self.pinned[_Watched] = self[_Watched] = (CONTROL, _watch, None)  # and so no listener is told

    def _find(self, cls: type[Any], key: Key) -> Chain | None:
        assert self.outer is not None
        entry = self.outer[key]
        if entry[0] == OBSERVED:
            entry = cast(Entry, entry[1])
        if entry[0] == NOT_AN_EFFECT:
            return None
        if issubclass(cls, Control):
            if not issubclass(cls, _DECIDE):
                return None
            return (Step(CONTROL, partial(_decide, self._boundary, key, entry)),)
        if not self._boundary.meets(cls, handled=entry[0] != UNHANDLED):
            return None
        return (Step(CONTROL, partial(_cross, self._boundary, key, entry)),)

    def _entry(self, step: Step, after: Any, answers: bool) -> Entry:  # noqa: ARG002
        # Not adapted to the kind of run: the entries behind the boundary are.
        entry = (step.kind, step.fn, after)
        return (OBSERVED, entry, after) if self.observed else entry


def bounded(table: Table, boundary: Boundary) -> Table:
    """`table` behind `boundary`: plans performed over it meet the boundary first."""
    return _Bounded(table, boundary)


async def _cross(boundary: Boundary, key: Key, entry: Entry, effect: Any, scope: Scope) -> Any:
    if boundary in _passed.get():
        return await _ask(entry, key, effect, scope)
    return await boundary.effect(Crossing(boundary, key, entry, effect, scope))


async def _decide(boundary: Boundary, key: Key, entry: Entry, effect: Any, scope: Scope) -> Any:
    decision = Decision(boundary, key, entry, effect, scope)
    return await (boundary.behind(decision) if boundary in _passed.get() else boundary.decision(decision))


async def _ask(entry: Entry, key: Key, effect: Any, scope: Scope) -> Any:
    """Answer an effect as the interpreter would, had the boundary not been there."""
    kind, fn, after = entry
    if kind != GENERATOR:
        return await perform_step(kind, fn, effect, None, scope)
    table, path, run = scope
    return await drive(fn(effect), table.insides.get(key) or table.inside(key, after), path, run)
