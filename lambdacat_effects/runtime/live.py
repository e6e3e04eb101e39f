"""Plans on Trio: ambient effects answered by the real world, control effects by nurseries and cancel scopes."""

from __future__ import annotations

import inspect
import logging
import math
import random
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Self, cast

import trio

from lambdacat_effects.effects.ambient import Await, Blocking, Count, Log, NewId, Now, Random, Sleep
from lambdacat_effects.effects.compensation import Compensable
from lambdacat_effects.effects.concurrency import Concurrent, Policy
from lambdacat_effects.effects.control import Call, Handled, Shielded, Span, Timeout
from lambdacat_effects.effects.durable import ContinueAsNew, Patched
from lambdacat_effects.effects.effect import plan_name
from lambdacat_effects.effects.failure import Fail
from lambdacat_effects.errors import InvalidArgument, Misuse, PlanTimeout, WrongHandlerKind
from lambdacat_effects.runtime.compensating import compensable
from lambdacat_effects.runtime.continuing import always_patched, continued
from lambdacat_effects.runtime.events import Branch, Listener
from lambdacat_effects.runtime.interpreter import drive
from lambdacat_effects.runtime.policies import UNENDED, Ended, conclude, enough
from lambdacat_effects.runtime.resource import opened
from lambdacat_effects.runtime.run import Pace, Run, Scope
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
    "LIVE",
    "LIVE_OBSERVED",
    "answer_of",
    "concurrent",
    "is_cancelled",
    "live_run",
    "raise_failure",
    "waiting_often",
    "write_log",
]

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
    return Run(_TrioClock(), listen, _checkpoint, trio.Cancelled, is_cancelled, _ticks_of_run)


async def _checkpoint(told: bool) -> bool:
    if told:
        # A deadline may pass in here, and what is spared is not told of that either.
        await trio.lowlevel.cancel_shielded_checkpoint()
        return is_cancelled()
    await trio.lowlevel.checkpoint()
    return False


async def _sleep(effect: Sleep) -> None:
    await trio.sleep(effect.seconds)


def _now(_effect: Now, scope: Scope) -> float:
    return scope.run.clock.now()


def _random(_effect: Random) -> float:
    return random.random()


def _new_id(_effect: NewId) -> str:
    from uuid import uuid4  # few plans need it, and all would wait for it

    return uuid4().hex


def write_log(effect: Log) -> None:
    """Answer `Log` with the standard library's logging."""
    level = logging.getLevelNamesMapping().get(effect.level.upper())
    if level is None:
        raise InvalidArgument(f"{effect!r}: a level is debug, info, warning, error or critical")
    if _logger.isEnabledFor(level):
        fields = " ".join(f"{k}={v!r}" for k, v in effect.fields.items())
        _logger.log(level, "%s", f"{effect.message} {fields}".rstrip())


def _count(_effect: Count) -> None:
    """Counters are read from the run's events."""


async def _blocking(effect: Blocking[Any]) -> Any:
    if effect.isolate == "process":
        # Here, since it imports subprocess, which few runs need.
        from lambdacat_effects.runtime.worker_process import run_in_process

        return await run_in_process(effect.fn, effect.args, effect.kwargs)
    # A thread is never abandoned: Trio waits for it even when cancelled, so no side effect lands after the scope.
    answer = await trio.to_thread.run_sync(answer_of, effect, abandon_on_cancel=False)
    # It was waited for; but when its time was up meanwhile, its plan does not go on.
    await trio.lowlevel.checkpoint_if_cancelled()
    return answer


def answer_of(effect: Blocking[Any]) -> Any:
    """Call the function here and now. Raises `WrongHandlerKind` if it was no plain one after all."""
    answer = effect.fn(*effect.args, **effect.kwargs)
    if inspect.iscoroutine(answer) or inspect.isgenerator(answer):
        answer.close()
        what = "a coroutine" if inspect.iscoroutine(answer) else "a generator"
        raise WrongHandlerKind(
            f"{effect!r} answered with {what}, not with a value: it is no plain function. "
            "Perform an async function with `awaiting(...)`, and a generator function as a plan"
        )
    return answer


async def _await(effect: Await[Any]) -> Any:
    return await effect.fn(*effect.args, **effect.kwargs)


def raise_failure(effect: Fail[Exception]) -> None:
    """Answer `Fail` by raising its error where it was performed."""
    if not isinstance(cast(object, effect.error), Exception):
        raise InvalidArgument(
            f"{effect!r}: a plan fails with an exception, such as ValueError({effect.error!r})"
        )
    raise effect.error


def _limit(left: float | trio.CancelScope) -> trio.CancelScope:
    return left if isinstance(left, trio.CancelScope) else trio.move_on_after(left)


async def _timeout(effect: Timeout[Any], scope: Scope) -> Any:
    with _limit(effect.left):
        return await drive(effect.plan, *scope)
    raise PlanTimeout(f"the plan had not ended after {effect.seconds:g} s", seconds=effect.seconds)


async def _shielded(effect: Shielded[Any], scope: Scope) -> Any:
    with trio.CancelScope(shield=True):
        return await drive(effect.plan, *scope)


async def _opening(effect: Opening[Any], scope: Scope) -> Any:
    async with opened(effect.resources):
        return await drive(effect.plan, *scope)


class _Ticks(trio.abc.Instrument):
    """Counts the scheduler's ticks while some concurrent effect asks who was first."""

    def __init__(self) -> None:
        self.now = 0
        self.users = 0

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002
        self.now += 1

    def __enter__(self) -> Self:
        if self.users == 0:
            trio.lowlevel.add_instrument(self)
        self.users += 1
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.users -= 1
        if self.users == 0:
            trio.lowlevel.remove_instrument(self)


_ticks: trio.lowlevel.RunVar[_Ticks] = trio.lowlevel.RunVar("lambdacat ticks")


def _ticks_of_run() -> _Ticks:
    try:
        return _ticks.get()
    except LookupError:
        ticks = _Ticks()
        _ticks.set(ticks)
        return ticks


@contextmanager
def waiting_often(run: Run) -> Generator[None, None, None]:
    """Let `run`, whose effects wait for something themselves, pass a checkpoint only if it has not waited since.

    A durable run waits for its journal at each effect, mostly for longer than the millisecond after which a plan has
    to let others have their turn: a checkpoint besides took 12 % of what 256 such runs at once do.
    """
    ticks, passing, last = _ticks_of_run(), run.pass_checkpoint, -1

    async def passed(told: bool) -> bool:
        nonlocal last
        # In another tick than last time, all other tasks have had their turn; cancellation, no wait has told of.
        waited, last = ticks.now != last, ticks.now
        if waited and not told:
            await trio.lowlevel.checkpoint_if_cancelled()
            return False
        told = await _checkpoint(told)
        last = ticks.now
        return told

    run.pass_checkpoint = passed
    try:
        with ticks:
            yield
    finally:
        run.pass_checkpoint = passing


class _Branches:
    """The branches of one concurrent effect: what has ended, and the nursery to cancel when that is enough."""

    def __init__(self, asked: Concurrent[Any], scope: Scope) -> None:
        self.asked = asked
        self.table, self.path, self.run = scope
        self.total = len(asked.branches)
        self.ended = Ended([UNENDED] * self.total)
        self.late: dict[int, Exception] = {}
        """Failures of branches that had been cancelled."""
        self.succeeded = 0
        self.decided = False
        self.nursery: trio.Nursery
        ranked = asked.policy is Policy.FIRST_COMPLETED or asked.policy is Policy.QUORUM
        self.ticks = self.run.ticks() if ranked and self.run.ticks is not None else None

    async def perform(self) -> Any:
        asked = self.asked
        outer: BaseException | None = None
        try:
            with (
                self.ticks or nullcontext(),
                nullcontext() if asked.left is None else _limit(asked.left),
            ):
                async with trio.open_nursery() as self.nursery:
                    self.start()
            if self.late:  # perhaps all that was cancelled, from outside, failed instead of ending so
                await trio.lowlevel.checkpoint_if_cancelled()
        except BaseException as exc:
            outer = exc
        if outer is not None:
            raise self.cancelled(outer) from None
        if asked.policy is Policy.ALL and self.ended.errors:
            self.ended.errors.update(self.late)
        else:
            self.tell_late()
        try:
            return conclude(asked, self.ended).unwrap()
        finally:
            self.ended.errors.clear()  # their tracebacks lead back to this frame
            self.late.clear()

    def start(self) -> None:
        start_soon = self.nursery.start_soon
        name = f"{self.asked.combinator} at {self.path}"
        if self.asked.limit is not None and self.asked.limit < self.total:
            indices = iter(range(self.total))
            for number in range(self.asked.limit):
                start_soon(self.worker, number, indices, name=name)
            return
        table, path, run = self.table, self.path, self.run
        for index in range(self.total):
            try:
                plan = self.asked.branches[index]
            except Exception as error:  # from the function that makes it
                self.fail(index, error)
                return
            if run.listen is None:
                here = path + (index,)  # noqa: RUF005  (half the time of unpacking)
                start_soon(drive, plan, table, here, run, self, index, name=name)
            else:
                start_soon(self.begin, plan, index, name=name)

    async def begin(self, plan: Any, index: int) -> None:
        await self.run.begin((*self.path, index))
        await self.branch(plan, index)

    async def worker(self, number: int, indices: Iterator[int]) -> None:
        await self.run.begin((*self.path, number))
        pace = Pace(self.run)  # of this task: each of its branches may be too short to look at the clock
        for index in indices:
            if self.decided:
                return
            # Not a plain return: without a branch that was cancelled, nobody would tell cancellation from outside.
            await trio.lowlevel.checkpoint_if_cancelled()
            try:
                plan = self.asked.branches[index]
            except Exception as error:  # from the function that makes it
                self.fail(index, error)
                return
            await self.branch(plan, index)
            if pace.due():
                await self.run.checkpoint(False)
                pace.rested()

    async def branch(self, plan: Any, index: int) -> None:
        path = (*self.path, index)
        performing = drive(plan, self.table, path, self.run)
        try:
            answer = await self.run.tell(performing, path, Branch(index, plan_name(plan)))
        except BaseException as error:
            self.end(index, None, error)
        else:
            self.end(index, answer, None)

    def end(self, index: int, answer: Any, error: BaseException | None) -> None:
        if error is None:
            self.ended.answers[index] = answer
            self.succeeded += 1
            if self.ticks is not None:
                self.ended.ticks[index] = self.ticks.now
                self.decide()
        elif isinstance(error, Exception):
            self.fail(index, error)
        elif isinstance(error, BaseExceptionGroup):
            # A combinator inside was cancelled while branches of its own failed: each half goes its own way.
            cancelled, failure = cast("BaseExceptionGroup[BaseException]", error).split(trio.Cancelled)
            if cancelled is None or not isinstance(failure, Exception):
                raise error
            self.fail(index, failure)
            raise cancelled from None
        else:
            raise error

    def fail(self, index: int, error: Exception) -> None:
        trimmed(error)
        mistake = isinstance(error, Misuse)
        if is_cancelled() and not mistake:
            self.late[index] = error
        else:
            self.ended.errors[index] = error
            self.decide(mistake)

    def decide(self, mistake: bool = False) -> None:
        asked = self.asked
        if not self.decided and (
            mistake or enough(asked.policy, asked.n, self.total, self.succeeded, len(self.ended.errors))
        ):
            self.decided = True
            self.run.cut(self.nursery, self.path)

    def cancelled(self, outer: BaseException) -> BaseException:
        """Cancelled from outside (or worse), perhaps while branches failed: as in Trio, both go on."""
        if self.asked.policy is not Policy.ALL:
            self.tell_late()
            return outer
        errors = [error for _, error in sorted({**self.ended.errors, **self.late}.items())]
        if not errors:
            return outer
        return BaseExceptionGroup(
            f"{self.asked.combinator}: cancelled while branches failed", [outer, *errors]
        )

    def tell_late(self) -> None:
        """A branch that failed after it was cancelled changes no answer, but it is not lost in silence."""
        for index, error in sorted(self.late.items()):
            _logger.warning("branch %s failed after it was cancelled: %r", (*self.path, index), error)


def is_cancelled() -> bool:
    """Whether this task is, by whomever."""
    return trio.current_effective_deadline() == -math.inf


async def concurrent(effect: Concurrent[Any], scope: Scope) -> Any:
    """Answer `Concurrent` with a nursery."""
    return await _Branches(effect, scope).perform()


_BINDINGS: dict[Key, Chain] = {
    Call: (Step(CALL, drive),),
    Handled: (Step(HANDLED, drive),),
    Span: (Step(SPAN, drive),),
    Timeout: (Step(CONTROL, _timeout),),
    Shielded: (Step(CONTROL, _shielded),),
    Opening: (Step(CONTROL, _opening),),
    Compensable: (Step(CONTROL, compensable),),
    Concurrent: (Step(CONTROL, concurrent),),
    Sleep: (Step(ASYNC, _sleep),),
    Now: (Step(LOCATED, _now),),
    Random: (Step(PLAIN, _random),),
    NewId: (Step(PLAIN, _new_id),),
    Log: (Step(PLAIN, write_log),),
    Count: (Step(PLAIN, _count),),
    Blocking: (Step(ASYNC, _blocking),),
    Await: (Step(ASYNC, _await),),
    Patched: (Step(PLAIN, always_patched),),
    ContinueAsNew: (Step(LOCATED, continued),),
    Fail: (Step(PLAIN, raise_failure),),
}

LIVE = Table(_BINDINGS, None, observed=False, adapt=None)
"""What every run on Trio answers."""
LIVE_OBSERVED = Table(_BINDINGS, None, observed=True, adapt=None)
"""The same, telling a listener."""
