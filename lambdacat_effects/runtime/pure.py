"""Plans without an event loop: time is virtual, chance is seeded, branches run one after the other.

A plan whose answer does not depend on timing gives the same answer here as on Trio. Deadlines are kept in virtual
time: a `Sleep` past one moves the clock to the deadline and cancels, so that timeouts can be tested in microseconds.
Each branch starts at the time its siblings start at.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from random import Random as Seeded
from typing import Any, NoReturn, TypeVar, cast

from lambdacat_effects.effects.ambient import Await, Blocking, Count, Log, NewId, Now, Random, Sleep
from lambdacat_effects.effects.compensation import Compensable
from lambdacat_effects.effects.concurrency import Concurrent
from lambdacat_effects.effects.control import Call, Handled, Shielded, Span, Timeout
from lambdacat_effects.effects.durable import ContinueAsNew, Patched
from lambdacat_effects.effects.effect import plan_name
from lambdacat_effects.effects.failure import Fail
from lambdacat_effects.errors import Misuse, NotPure, PlanTimeout
from lambdacat_effects.runtime.compensating import compensable
from lambdacat_effects.runtime.continuing import always_patched, continued
from lambdacat_effects.runtime.events import Branch, Listener
from lambdacat_effects.runtime.interpreter import drive
from lambdacat_effects.runtime.live import answer_of, raise_failure, write_log
from lambdacat_effects.runtime.policies import UNENDED, Ended, conclude, enough
from lambdacat_effects.runtime.resource import opened
from lambdacat_effects.runtime.run import Run, Scope
from lambdacat_effects.runtime.scopes import Opening
from lambdacat_effects.runtime.table import (
    ASYNC,
    CALL,
    CONTROL,
    HANDLED,
    LOCATED,
    PLAIN,
    SPAN,
    Chain,
    Key,
    Step,
    Table,
)
from lambdacat_effects.runtime.tracebacks import trimmed

__all__ = [
    "PURE",
    "PURE_OBSERVED",
    "VirtualCancelled",
    "at_once_if_it_can",
    "finish",
    "located_id",
    "located_random",
    "pure_run",
]

F = TypeVar("F", bound=Callable[..., Any])


class VirtualCancelled(BaseException):
    """A virtual deadline passed. As Trio's `Cancelled`: clean up and let it pass."""

    def __init__(self, deadline: object) -> None:
        self.deadline = deadline


class _VirtualClock:
    def __init__(self) -> None:
        self.time = 0.0
        self.deadlines: list[tuple[float, object]] = []

    def monotonic(self) -> float:
        return self.time

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move on by `seconds`, or to the nearest deadline in force, and be cancelled there."""
        until = self.time + seconds
        deadline, token = min(self.deadlines, key=lambda d: d[0], default=(math.inf, None))
        if token is not None and until >= deadline:
            self.time = max(self.time, deadline)
            raise VirtualCancelled(token)
        if until == math.inf:
            raise NotPure("a plan that sleeps for ever, with no deadline, never ends")
        self.time = until

    @contextmanager
    def limit(self, seconds: float | None) -> Generator[object, None, None]:
        """A deadline `seconds` from now. It catches its own cancellation only."""
        token = object()
        if seconds is not None:
            self.deadlines.append((self.time + seconds, token))
        try:
            yield token
        except VirtualCancelled as cancelled:
            if cancelled.deadline is not token:
                raise
        except BaseExceptionGroup as group:  # with what failed in the clean-up, which goes on, as on Trio
            mine, rest = group.split(lambda e: isinstance(e, VirtualCancelled) and e.deadline is token)
            if mine is None:
                raise
            if rest is not None:
                raise rest from None
        finally:
            if seconds is not None:
                self.deadlines.pop()


class _PureRun(Run):
    __slots__ = ("time",)
    time: _VirtualClock


def pure_run(listen: Listener | None) -> Run:
    """What a run without an event loop shares."""
    clock = _VirtualClock()
    run = _PureRun(clock, listen, None, VirtualCancelled, lambda: False)
    run.time = clock
    return run


def _clock(scope: Scope) -> _VirtualClock:
    assert isinstance(scope.run, _PureRun)
    return scope.run.time


def finish(running: Coroutine[Any, Any, Any], what: str) -> Any:
    """Run a coroutine that does not wait to its end. Raises `NotPure`, naming `what`, if it does."""
    try:
        running.send(None)
    except StopIteration as stop:
        return stop.value
    running.close()
    raise NotPure(
        f"{what} waited, and there is no event loop under `run_pure`: use an in-memory handler, or `run`"
    )


def at_once_if_it_can(fn: F) -> F:
    """Mark an async handler function that need not wait, depending on what it works with: `run_pure` tries it."""
    cast(Any, fn).is_tried_by_run_pure = True
    return fn


def _not_pure(step: Step, _answers: bool) -> Step:
    if step.kind != ASYNC:
        return step
    fn = step.fn
    name = getattr(fn, "__qualname__", repr(fn))
    if getattr(fn, "is_tried_by_run_pure", False):

        def attempt(effect: object) -> Any:
            return finish(fn(effect), f"the async handler {name}")

        return Step(PLAIN, attempt)
    module = getattr(fn, "__module__", "?")

    def refuse(effect: object) -> NoReturn:
        raise NotPure(
            f"{effect!r} is answered by the async handler {name} ({module}), which would have to wait: "
            "use an in-memory handler with `run_pure`, or `trio.run(handlers.run, plan)`"
        )

    return Step(PLAIN, refuse)


def _sleep(effect: Sleep, scope: Scope) -> None:
    _clock(scope).sleep(effect.seconds)


def _now(_effect: Now, scope: Scope) -> float:
    return scope.run.clock.now()


def located_random(seed: int | str, scope: Scope) -> float:
    """A number from [0, 1) that depends on the seed and the place in the plan, never on timing."""
    return Seeded(f"{seed}{scope.path}").random()


def located_id(seed: int | str, scope: Scope) -> str:
    """An identifier of 32 hexadecimal digits that depends on the seed and the place in the plan, never on timing."""
    return f"{Seeded(f'id{seed}{scope.path}').getrandbits(128):032x}"


def _random(_effect: Random, scope: Scope) -> float:
    return located_random(0, scope)


def _new_id(_effect: NewId, scope: Scope) -> str:
    return located_id(0, scope)


def _count(_effect: Count) -> None:
    """Counters are read from the run's events."""


def _blocking(effect: Blocking[Any], _scope: Scope) -> Any:
    return answer_of(effect)


def _await(effect: Await[Any]) -> Any:
    async def waiting() -> Any:
        return await effect.fn(*effect.args, **effect.kwargs)

    return finish(waiting(), f"the async function {getattr(effect.fn, '__qualname__', effect.fn)!s}")


async def _timeout(effect: Timeout[Any], scope: Scope) -> Any:
    with _clock(scope).limit(effect.left):
        return await drive(effect.plan, *scope)
    raise PlanTimeout(f"the plan had not ended after {effect.seconds:g} s", seconds=effect.seconds)


async def _shielded(effect: Shielded[Any], scope: Scope) -> Any:
    clock = _clock(scope)
    outer, clock.deadlines = clock.deadlines, []
    try:
        return await drive(effect.plan, *scope)
    finally:
        clock.deadlines = outer


async def _opening(effect: Opening[Any], scope: Scope) -> Any:
    async with opened(effect.resources):
        return await drive(effect.plan, *scope)


async def _concurrent(effect: Concurrent[Any], scope: Scope) -> Any:
    clock = _clock(scope)
    total = len(effect.branches)
    began = clock.time
    free = [began] * min(effect.limit or total, total)  # when each of `limit` workers is free: a heap
    ended = Ended([UNENDED] * total)
    for index in range(total):
        clock.time = heapq.heappop(free)
        with clock.limit(None if effect.left is None else began + effect.left - clock.time):
            await _branch(effect, index, scope, ended)
        heapq.heappush(free, clock.time)
        succeeded = len(ended.ticks)
        mistaken = isinstance(ended.errors.get(index), Misuse)
        if mistaken or enough(effect.policy, effect.n, total, succeeded, len(ended.errors)):
            break
    clock.time = max(free, default=began)
    try:
        return conclude(effect, ended).unwrap()
    finally:
        ended.errors.clear()  # their tracebacks lead back to this frame


async def _branch(effect: Concurrent[Any], index: int, scope: Scope, ended: Ended) -> None:
    path = (*scope.path, index)
    try:
        plan = effect.branches[index]
        performing = drive(plan, scope.table, path, scope.run)
        ended.answers[index] = await scope.run.tell(performing, path, Branch(index, plan_name(plan)))
        ended.ticks[index] = index
    except Exception as error:
        ended.errors[index] = error
        trimmed(error)


_BINDINGS: dict[Key, Chain] = {
    Call: (Step(CALL, drive),),
    Handled: (Step(HANDLED, drive),),
    Span: (Step(SPAN, drive),),
    Timeout: (Step(CONTROL, _timeout),),
    Shielded: (Step(CONTROL, _shielded),),
    Opening: (Step(CONTROL, _opening),),
    Compensable: (Step(CONTROL, compensable),),
    Concurrent: (Step(CONTROL, _concurrent),),
    Sleep: (Step(LOCATED, _sleep),),
    Now: (Step(LOCATED, _now),),
    Random: (Step(LOCATED, _random),),
    NewId: (Step(LOCATED, _new_id),),
    Log: (Step(PLAIN, write_log),),
    Count: (Step(PLAIN, _count),),
    Blocking: (Step(LOCATED, _blocking),),
    Await: (Step(PLAIN, _await),),
    Patched: (Step(PLAIN, always_patched),),
    ContinueAsNew: (Step(LOCATED, continued),),
    Fail: (Step(PLAIN, raise_failure),),
}

PURE = Table(_BINDINGS, None, observed=False, adapt=_not_pure)
"""What every run without an event loop answers."""
PURE_OBSERVED = Table(_BINDINGS, None, observed=True, adapt=_not_pure)
"""The same, telling a listener."""
