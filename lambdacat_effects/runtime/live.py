"""Plans on Trio: ambient effects answered by the real world, control effects by nurseries and cancel scopes."""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from typing import Any

import trio

from lambdacat_effects.effects.ambient import Await, Blocking, Count, Log, NewId, Now, Random, Sleep
from lambdacat_effects.effects.concurrency import Concurrent, Policy
from lambdacat_effects.effects.control import Call, Handled, Shielded, Span, Timeout
from lambdacat_effects.effects.effect import as_plan, plan_name
from lambdacat_effects.effects.failure import Fail
from lambdacat_effects.errors import Misuse, PlanTimeout
from lambdacat_effects.runtime.events import Branch, Listener
from lambdacat_effects.runtime.interpreter import drive
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

__all__ = ["LIVE", "LIVE_OBSERVED", "live_run", "raise_failure", "write_log"]

_logger = logging.getLogger("lambdacat_effects")


class _TrioClock:
    """Trio's clock, with the wall clock read once: so time stands still for nobody and never runs backwards."""

    def __init__(self) -> None:
        self._offset = time.time() - trio.current_time()

    def monotonic(self) -> float:
        return trio.current_time()

    def now(self) -> float:
        return trio.current_time() + self._offset


def live_run(listen: Listener | None) -> Run:
    """What a run on Trio shares. Called within `trio.run`."""
    return Run(_TrioClock(), listen, trio.lowlevel.checkpoint, trio.Cancelled)


async def _sleep(effect: Sleep) -> None:
    await trio.sleep(effect.seconds)


def _now(_effect: Now, scope: Scope) -> float:
    return scope.run.clock.now()


def _random(_effect: Random) -> float:
    return random.random()


def _new_id(_effect: NewId) -> str:
    return uuid.uuid4().hex


def write_log(effect: Log) -> None:
    """Answer `Log` with the standard library's logging."""
    level = logging.getLevelNamesMapping()[effect.level.upper()]
    if _logger.isEnabledFor(level):
        fields = " ".join(f"{k}={v!r}" for k, v in effect.fields.items())
        _logger.log(level, "%s", f"{effect.message} {fields}".rstrip())


def _count(_effect: Count) -> None:
    """Counters are read from the run's events."""


async def _blocking(effect: Blocking[Any]) -> Any:
    if effect.isolate == "process":
        from lambdacat_effects.runtime.worker_process import (
            run_in_process,
        )  # needs subprocess, which few runs do

        return await run_in_process(effect.fn, effect.args, effect.kwargs)
    # A thread is never abandoned: Trio waits for it even when cancelled, so no side effect lands after the scope.
    return await trio.to_thread.run_sync(
        partial(effect.fn, *effect.args, **effect.kwargs), abandon_on_cancel=False
    )


async def _await(effect: Await[Any]) -> Any:
    return await effect.fn(*effect.args, **effect.kwargs)


def raise_failure(effect: Fail[Exception]) -> None:
    """Answer `Fail` by raising its error where it was performed."""
    raise effect.error


async def _timeout(effect: Timeout[Any], scope: Scope) -> Any:
    with trio.move_on_after(effect.seconds):
        return await drive(as_plan(effect.plan), *scope)
    raise PlanTimeout(f"the plan had not ended after {effect.seconds:g} s", seconds=effect.seconds)


async def _shielded(effect: Shielded[Any], scope: Scope) -> Any:
    with trio.CancelScope(shield=True):
        return await drive(as_plan(effect.plan), *scope)


async def _opening(effect: Opening[Any], scope: Scope) -> Any:
    async with opened(effect.resources):
        return await drive(as_plan(effect.plan), *scope)


class _Branches:
    """The branches of one concurrent effect: what has ended, and the nursery to cancel when that is enough."""

    def __init__(self, asked: Concurrent[Any], scope: Scope) -> None:
        self.asked = asked
        self.table, self.path, self.run = scope
        self.total = len(asked.branches)
        self.ended = Ended([UNENDED] * self.total)
        self.succeeded = 0
        self.tick = 0
        self.tick_open = False
        self.decided = False
        self.late: list[int] = []  # failed after they were cancelled
        self.nursery: trio.Nursery
        self.ranked = asked.policy is Policy.FIRST_COMPLETED or asked.policy is Policy.QUORUM

    async def perform(self) -> Any:
        asked = self.asked
        failure: BaseException | None = None
        try:
            with nullcontext() if asked.timeout is None else trio.move_on_after(asked.timeout):
                async with trio.open_nursery() as self.nursery:
                    self.start()
        except BaseException as outer:
            failure = outer
        if failure is not None:
            raise self.with_failures(failure) from None
        verdict = conclude(asked, self.ended)
        if verdict.is_ok:
            self.tell_lost()
        return verdict.unwrap()

    def start(self) -> None:
        start_soon = self.nursery.start_soon
        name = f"{self.asked.policy.value} at {self.path}"
        if self.asked.limit is None or self.asked.limit >= self.total:
            for index in range(self.total):
                start_soon(self.branch, index, name=name)
            return
        indices = iter(range(self.total))
        for _ in range(self.asked.limit):
            start_soon(self.worker, indices, name=name)

    async def worker(self, indices: Iterator[int]) -> None:
        for index in indices:
            if self.decided:
                return
            await self.branch(index)

    async def branch(self, index: int) -> None:
        path = self.path + (index,)  # noqa: RUF005  (half the time of unpacking)
        run = self.run
        try:
            plan = self.asked.branches[index]
            if run.listen is None:
                answer = await drive(as_plan(plan), self.table, path, run)
            else:
                answer = await run.tell(
                    drive(as_plan(plan), self.table, path, run), path, Branch(index, plan_name(plan))
                )
        except Exception as error:
            self.ended.errors[index] = trimmed(error)  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
            if self.decided:
                self.late.append(index)
            self.decide(isinstance(error, Misuse))
        else:
            self.ended.answers[index] = answer
            self.succeeded += 1
            if self.ranked:
                self.rank(index)
                self.decide(False)

    def rank(self, index: int) -> None:
        self.ended.ticks[index] = self.tick
        if not self.tick_open:
            self.tick_open = True
            self.nursery.start_soon(self.next_tick)

    async def next_tick(self) -> None:
        # Runs in the tick after a success. Who succeeds until then succeeded in the same tick: they were scheduled
        # together, and only the order of that batch, which Trio draws at random, set them apart.
        self.tick += 1
        self.tick_open = False

    def decide(self, mistaken: bool) -> None:
        asked = self.asked
        if not self.decided and (
            mistaken or enough(asked.policy, asked.n, self.total, self.succeeded, len(self.ended.errors))
        ):
            self.decided = True
            self.nursery.cancel_scope.cancel()

    def with_failures(self, outer: BaseException) -> BaseException:
        """Cancelled from outside (or worse), while branches failed: as in Trio, both go on."""
        errors = [error for _, error in sorted(self.ended.errors.items())]
        if not errors or self.asked.policy is not Policy.ALL:
            self.tell_lost()
            return outer
        return BaseExceptionGroup(
            f"{self.asked.policy.value}: cancelled while branches failed", [outer, *errors]
        )

    def tell_lost(self) -> None:
        """A branch that failed after it was cancelled changes no answer, but it is not lost in silence."""
        for index in self.late:
            _logger.warning(
                "branch %s failed after it was cancelled: %r", (*self.path, index), self.ended.errors[index]
            )


async def _concurrent(effect: Concurrent[Any], scope: Scope) -> Any:
    return await _Branches(effect, scope).perform()


_BINDINGS: dict[Key, Chain] = {
    Call: (Step(CALL, as_plan),),
    Handled: (Step(HANDLED, as_plan),),
    Span: (Step(SPAN, as_plan),),
    Timeout: (Step(CONTROL, _timeout),),
    Shielded: (Step(CONTROL, _shielded),),
    Opening: (Step(CONTROL, _opening),),
    Concurrent: (Step(CONTROL, _concurrent),),
    Sleep: (Step(ASYNC, _sleep),),
    Now: (Step(LOCATED, _now),),
    Random: (Step(PLAIN, _random),),
    NewId: (Step(PLAIN, _new_id),),
    Log: (Step(PLAIN, write_log),),
    Count: (Step(PLAIN, _count),),
    Blocking: (Step(ASYNC, _blocking),),
    Await: (Step(ASYNC, _await),),
    Fail: (Step(PLAIN, raise_failure),),
}

LIVE = Table(_BINDINGS, None, observed=False, waiting=None)
"""What every run on Trio answers."""
LIVE_OBSERVED = Table(_BINDINGS, None, observed=True, waiting=None)
"""The same, telling a listener."""
