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
from lambdacat_effects.runtime.events import Branch, Listener, Path
from lambdacat_effects.runtime.interpreter import drive
from lambdacat_effects.runtime.policies import Ended, conclude, enough
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
        self.ended: list[Ended] = []
        self.failed = 0
        self.tick = 0
        self.tick_open = False
        self.decided = 0  # how many had ended when the rest was cancelled
        self.nursery: trio.Nursery
        self.ties = asked.policy is Policy.FIRST_COMPLETED or asked.policy is Policy.QUORUM

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
        self.tell_lost(verdict.is_ok)
        return verdict.unwrap()

    def start(self) -> None:
        total = len(self.asked.branches)
        start_soon = self.nursery.start_soon
        if self.asked.limit is None or self.asked.limit >= total:
            for index in range(total):
                start_soon(self.branch, index)
            return
        indices = iter(range(total))
        for _ in range(self.asked.limit):
            start_soon(self.worker, indices)

    async def worker(self, indices: Iterator[int]) -> None:
        for index in indices:
            if self.decided:
                return
            await self.branch(index)

    async def branch(self, index: int) -> None:
        path = (*self.path, index)
        run = self.run
        what = None
        answer = None
        error: Exception | None = None
        try:
            plan = self.asked.branches[index]
            if run.listen is not None:
                what = Branch(index, plan_name(plan))
                run.started(path, what)
            answer = await drive(as_plan(plan), self.table, path, run)
        except Exception as exc:
            error = exc
            trimmed(exc)
        except BaseException as exc:
            if what is not None:
                run.ended(path, what, None, exc)
            raise
        if what is not None:
            run.ended(path, what, answer, error)
        self.end(index, answer, error)

    def end(self, index: int, answer: Any, error: Exception | None) -> None:
        self.ended.append(Ended(index, self.tick, answer, error))
        if error is not None:
            self.failed += 1
        elif self.ties and not self.tick_open:
            self.tick_open = True
            self.nursery.start_soon(self.next_tick)
        if self.decided:
            return
        asked = self.asked
        if isinstance(error, Misuse) or enough(
            asked.policy, asked.n, len(asked.branches), len(self.ended) - self.failed, self.failed
        ):
            self.decided = len(self.ended)
            self.nursery.cancel_scope.cancel()

    async def next_tick(self) -> None:
        # Runs in the tick after the first success. Who succeeds until then succeeded in the same tick: they were
        # scheduled together, and only the order of that batch, which Trio draws at random, set them apart.
        self.tick += 1
        self.tick_open = False

    def with_failures(self, outer: BaseException) -> BaseException:
        """Cancelled from outside (or worse), while branches failed: as in Trio, both go on."""
        failures = [e.error for e in sorted(self.ended) if e.error is not None]
        if not failures or self.asked.policy is not Policy.ALL:
            self.tell_lost(True)
            return outer
        return BaseExceptionGroup(
            f"{self.asked.policy.value}: cancelled while branches failed", [outer, *failures]
        )

    def tell_lost(self, answered: bool) -> None:
        """A branch that failed after it was cancelled changes no answer, but it is not lost in silence."""
        if answered and self.decided and self.asked.policy is not Policy.ALL:
            for e in self.ended[self.decided :]:
                if e.error is not None:
                    _logger.warning(
                        "branch %s failed after it was cancelled: %r", (*self.path, e.index), e.error
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
