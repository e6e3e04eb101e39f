"""The gate: every task of a simulated run stops before each effect and after each wait, and one goes on at a time.

A task that has its turn keeps it as long as the schedule lets it, without any switch between tasks; that is what
makes a simulation fast. Otherwise it parks, and the gatekeeper, a task of its own, waits until all others are parked
or wait for something (`trio.testing.wait_all_tasks_blocked`), asks the schedule, and lets one go on, or the clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Coroutine, Generator
from operator import itemgetter
from types import coroutine
from typing import Any

import attrs
import trio

from lambdacat_effects.effects.ambient import Sleep
from lambdacat_effects.effects.control import Control
from lambdacat_effects.errors import Deadlock, Endless
from lambdacat_effects.runtime.events import Path
from lambdacat_effects.runtime.live import is_cancelled
from lambdacat_effects.testing.simulation.clock import VirtualClock
from lambdacat_effects.testing.simulation.faults import Fault, Injector
from lambdacat_effects.testing.simulation.schedules import Schedule
from lambdacat_effects.testing.simulation.trace import Advanced, Resumed, Turn, path_text, plain_text

__all__ = ["Gate"]

_MORE_STEPS = 10_000


class _Stopped(BaseException):
    """Ends a plan that goes on, step after step, after it was told to stop."""


@attrs.define(eq=False)
class _Parked:
    task: trio.lowlevel.Task
    what: Any
    passed_over: bool
    due: float = -math.inf
    """When it may go on."""


class Gate:
    """Decides who goes on, and keeps the trace."""

    def __init__(self, schedule: Schedule, faults: Injector, clock: VirtualClock, most_steps: int) -> None:
        self.schedule = schedule
        self.faults = faults
        self.clock = clock
        self.trace: list[Turn] = []
        self.chosen: dict[int, int] = {}
        """The choices that were not 0, by step."""
        self.error: Exception | None = None
        """Why the run was stopped from outside."""
        self.crash: BaseException | None = None
        """What every effect raises, now that the process has died."""
        self.open = False
        """Whether a plan is being performed."""
        self.shields: list[trio.CancelScope] = []
        """What is to be undone when the run is stopped, and its clean-up does not end."""
        self._most_steps = most_steps
        self._parked: dict[Path, _Parked] = {}
        self._waiting: dict[Path, Any] = {}
        self._born: dict[trio.lowlevel.Task, Path] = {}
        self._holder: trio.lowlevel.Task | None = None
        self._last: trio.lowlevel.Task | None = None
        self._timer = math.inf
        self._advances = False
        """Whether the clock has been chosen to go on, as soon as nobody runs."""
        self._patience = 20
        self._scope: trio.CancelScope | None = None

    async def turn(self, path: Path, what: Any) -> None:
        """Wait for the turn to go on with `what`: a task that begins, or one that has waited."""
        task = trio.lowlevel.current_task()
        if self._holder is task and (self._alone() or not self.schedule.lets_go(len(self.trace))):
            self._append(Turn(len(self.trace), path, what))
        else:
            await self._park(task, path, what)

    async def before(self, path: Path, effect: Any, told: bool) -> None:
        """Wait for the turn to perform `effect`. Raises `trio.Cancelled` where a run on Trio might.

        There, a cancelled plan performs synchronous effects until it next waits or passes a checkpoint. So here it
        learns of it, once, where it loses its turn to another, or where the schedule says so.
        """
        task = trio.lowlevel.current_task()
        step = len(self.trace)
        tell = False
        if self._holder is not task:
            tell = await self._park(task, path, effect)
        elif self._alone() and math.isinf(deadline := trio.current_effective_deadline()):
            if deadline < 0 and not told and self.schedule.lets_go(step):
                self.chosen[step] = 1
                tell = True
            self._append(Turn(step, path, effect))
        elif self.schedule.lets_go(step):
            tell = await self._park(task, path, effect)
        else:
            self._append(Turn(step, path, effect))
        if tell and not told and is_cancelled():
            self.trace[-1].cancelled = True
            try:
                await trio.lowlevel.checkpoint_if_cancelled()
            finally:
                self._holder = task  # nobody else could run meanwhile
        if self.crash is not None:
            raise self.crash

    def fault(self, path: Path, effect: Any) -> Fault | None:
        """What happens to the effect whose turn it is."""
        turn = self.trace[-1]
        turn.fault = self.faults.at(turn.step, path, effect)
        return turn.fault

    def blocks(self, path: Path, effect: Any) -> None:
        """The task that has the turn is about to wait, for `effect`."""
        self._holder = None
        self._waiting[path] = effect

    async def resume(self, path: Path, effect: Any) -> None:
        """Wait for the turn to go on after `effect`."""
        self._waiting.pop(path, None)
        await self.turn(path, Resumed(effect))

    @coroutine
    def waiting(self, handler: Coroutine[Any, Any, Any], path: Path, effect: Any) -> Generator[Any, Any, Any]:
        """Await an async handler, taking a turn whenever it goes on after a wait.

        So what handlers share is as deterministic as what plans share, and is interleaved as that is.
        """
        step: Any = handler.send
        value: Any = None
        while True:
            try:
                trap: Any = step(value)
            except StopIteration as stop:
                return stop.value
            self.blocks(path, effect)
            try:
                value = yield trap
                step = handler.send
            except GeneratorExit:
                handler.close()
                raise
            except BaseException as exc:
                value, step = exc, handler.throw
            yield from self.resume(path, effect).__await__()
            if self.crash is not None:
                value, step = self.crash, handler.throw  # the process has died meanwhile

    async def sleep(self, path: Path, effect: Sleep) -> None:
        """Wait in virtual time."""
        # As `waiting(trio.sleep(...))` would, but the task is parked here at once, at a third of the cost.
        task = trio.lowlevel.current_task()
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            await self._park(task, path, Resumed(effect), due=self.clock.time + effect.seconds)
        except trio.Cancelled:
            await self.turn(path, Resumed(effect))
            raise

    async def keep(self, scope: trio.CancelScope) -> None:
        """Let one go on at a time, until cancelled: the gatekeeper. `scope` stops the run."""
        from trio.testing import wait_all_tasks_blocked  # loads pytest, where it is installed

        self._scope = scope
        try:
            while True:
                await wait_all_tasks_blocked()
                if not self._goes_on():
                    await self._stop_or_give_up()
        except Exception as error:
            self.error = error
            self.clock.broken = True  # without a gatekeeper nobody would ever wake

    def forget(self) -> None:
        """Let go of all tasks."""
        self._holder = self._last = self._scope = None
        for kept in (self._parked, self._waiting, self._born, self.shields):
            kept.clear()

    def _goes_on(self) -> bool:
        """Let somebody go on, or the clock. Answers whether anybody could."""
        self._holder = None
        self._timer = self.clock.next
        if not self._advances and not self._choose():
            return False
        if self._advances:
            self._advances = False
            next_timer = min(self._timer, self._next_due())
            if next_timer < math.inf:  # else whoever slept has been stopped since
                self.clock.advance(next_timer)
            self.trace[-1].effect = Advanced(self.clock.time)
        return True

    async def _stop_or_give_up(self) -> None:
        if self.error is None:
            if self.open:  # else resources are being opened or closed, which is no part of the plan
                self._stop(self._deadlock())
        elif any(shield.shield for shield in self.shields):
            for shield in self.shields:
                shield.shield = False
        elif self._patience:
            # It was told to stop, and does not. It may wait for a thread, which no cancellation ends.
            self._patience -= 1
            await trio.to_thread.run_sync(time.sleep, 0.01)
        else:
            self.clock.broken = True  # somebody shields a wait for ever: only ending the event loop ends that

    def _choose(self) -> bool:
        """Let a parked task go on, or have the clock do so. Answers whether there was anything to choose."""
        now, last = self.clock.time, self._last
        order: list[Path] = []
        first: Path | None = None
        clock = self._timer < math.inf
        for path, parked in self._parked.items():
            if parked.due > now:
                clock = clock or parked.due < math.inf
            elif parked.task is last:
                first = path
            else:
                order.append(path)
        order.sort()
        if first is not None:
            order.insert(0, first)
        choices = len(order) + clock
        if not choices:
            return False
        step = len(self.trace)
        choice = 0
        if choices > 1:
            born = [self._born[self._parked[path].task] for path in order]
            choice = self.schedule.pick(step, born, clock, first is not None)
            if choice:
                self.chosen[step] = choice
        instead = order[0] if choice else None
        if choice == len(order):
            self._advances = True
            self._last = None  # those whose time has come are equals: the lowest goes first
            self._append(Turn(step, (), Advanced(self.clock.time), None, choices, choice, instead))
            chosen = None
        else:
            chosen = self._parked[order[choice]]
            self._append(Turn(step, order[choice], chosen.what, None, choices, choice, instead))
            self._holder = self._last = chosen.task
            if chosen.task is not trio.lowlevel.current_task():
                trio.lowlevel.reschedule(chosen.task)
        for path in order:
            if self._parked[path] is not chosen:
                self._parked[path].passed_over = True
        return True

    def _next_due(self) -> float:
        return min((p.due for p in self._parked.values() if p.due > self.clock.time), default=math.inf)

    def _has_turn(self, task: trio.lowlevel.Task) -> bool:
        return self._holder is task

    def _alone(self) -> bool:
        return not self._parked and self.clock.next == math.inf

    async def _park(self, task: trio.lowlevel.Task, path: Path, what: Any, *, due: float = -math.inf) -> bool:
        """Wait until it is this task's turn. Answers whether another had its turn meanwhile."""
        had_turn = self._has_turn(task)
        self._born.setdefault(task, path)
        assert path not in self._parked, f"two tasks at {path}"
        parked = self._parked[path] = _Parked(task, what, not had_turn, due)
        if had_turn:
            self._holder = None
            # Without the gatekeeper, where nobody else is about to run: waking it would take three times as long.
            now = trio.lowlevel.current_statistics()
            if now.tasks_runnable == 0:
                self._timer = now.seconds_to_next_deadline  # all that is asked now is whether there is one
                self._choose()
                if self._has_turn(task):
                    del self._parked[path]
                    return parked.passed_over

        def cancelled(_raise: object) -> trio.lowlevel.Abort:
            # When a task goes on is for the schedule to say, unless it sleeps.
            return (
                trio.lowlevel.Abort.SUCCEEDED if parked.due > self.clock.time else trio.lowlevel.Abort.FAILED
            )

        try:
            await trio.lowlevel.wait_task_rescheduled(cancelled)
        finally:
            del self._parked[path]
        return parked.passed_over

    def _append(self, turn: Turn) -> None:
        self.trace.append(turn)
        if turn.step < self._most_steps:
            return
        if self.error is None:
            self._stop(
                Endless(
                    f"the run had not ended after {self._most_steps} steps, at {path_text(turn.path)}: "
                    f"{turn.text()}. If it is meant to be so long, raise the limit, as in most_steps=1_000_000"
                )
            )
        elif turn.step >= self._most_steps + _MORE_STEPS:
            self.crash = self.crash or _Stopped()

    def _deadlock(self) -> Deadlock:
        asleep = {path: parked.what.effect for path, parked in self._parked.items()}  # for ever
        waiting = "\n".join(
            f"  {path_text(path)} waits for {plain_text(what)}"
            for path, what in sorted({**self._waiting, **asleep}.items(), key=itemgetter(0))
            if not isinstance(what, Control)
        )
        return Deadlock(
            f"nobody can go on, and no timer is set:\n{waiting}\n"
            "Either they wait for one another, or a handler waits for the world (a thread, a socket, a process), "
            "which a simulation does not have: give in-memory handlers"
        )

    def _stop(self, error: Exception) -> None:
        self.error = error
        assert self._scope is not None
        self._scope.cancel()
