"""The gate: every task of a simulated run stops before each effect and after each wait, and one goes on at a time.

A task that has its turn keeps it as long as the schedule lets it, without any switch between tasks; that is what
makes a simulation fast. Otherwise it parks, and the gatekeeper, a task of its own, waits until all others are parked
or wait for something (`trio.testing.wait_all_tasks_blocked`), asks the schedule, and lets one go on, or the clock.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left, insort
from collections.abc import Coroutine, Generator
from contextlib import nullcontext
from operator import itemgetter
from types import coroutine
from typing import Any

import trio

from lambdacat_effects.effects.ambient import Sleep
from lambdacat_effects.effects.control import Control
from lambdacat_effects.errors import Deadlock, Endless
from lambdacat_effects.runtime.events import Path, path_text
from lambdacat_effects.runtime.live import is_cancelled
from lambdacat_effects.testing.simulation.clock import VirtualClock
from lambdacat_effects.testing.simulation.faults import Fault, Injector
from lambdacat_effects.testing.simulation.parking import Births, Decision, Parked, ParkingLot
from lambdacat_effects.testing.simulation.schedules import Schedule
from lambdacat_effects.testing.simulation.trace import Advanced, Decided, Resumed, Turn, plain_text

__all__ = ["Gate"]

_MORE_STEPS = 10_000


class _Ticks(nullcontext[None]):
    """The gate's ticks, for as long as a combinator counts them."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    @property
    def now(self) -> int:
        return self._gate.now


async def _for_ever() -> None:
    """What a task does that cannot be ended otherwise, until the event loop is."""
    await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)


class Gate:
    """Decides who goes on, and keeps the trace."""

    def __init__(
        self, schedule: Schedule, faults: Injector, clock: VirtualClock, seed: int | str, most_steps: int
    ) -> None:
        self.schedule = schedule
        self.faults = faults
        self.clock = clock
        self.seed = seed
        """What chance is drawn from."""
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
        self.now: int = 0
        """The tick, for those who ask who was first: that of a decision lasts until it has been carried out."""
        self._dead = False
        """Whether the event loop is being ended."""
        self._parked = ParkingLot()
        self._last_parked: Path | None = None
        """Where the task is parked that had the last turn."""
        self._releases = 0
        self._decisions: list[Decision] = []
        self._waiting: dict[Path, Any] = {}
        self._born: dict[trio.lowlevel.Task, Path] = {}
        self._holder: trio.lowlevel.Task | None = None
        self._last: trio.lowlevel.Task | None = None
        self._timer = math.inf
        self._advances = False
        """Whether the clock has been chosen to go on, as soon as nobody runs."""
        self._patience = 30
        self._refused = 0
        self._scope: trio.CancelScope | None = None

    async def turn(self, path: Path, what: Any) -> None:
        """Wait for the turn to go on with `what`: a task that begins, or one that has waited."""
        task = trio.lowlevel.current_task()
        if self._keeps_turn(task) and (self._alone() or not self.schedule.lets_go(len(self.trace))):
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
        if not self._keeps_turn(task):
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
            self._refused += 1
            if self._refused > _MORE_STEPS:  # whatever it is thrown, it catches
                self.error = self.error or self._endless()
                self._give_up()
                await _for_ever()
            raise self.crash.with_traceback(None)  # else those of all raisings would pile up on it
        if self._dead:
            await _for_ever()

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
            self._give_up()  # without a gatekeeper nobody would ever wake

    def forget(self) -> None:
        """Let go of all tasks."""
        self._holder = self._last = self._scope = None
        for kept in (self._parked, self._waiting, self._born, self.shields, self._decisions):
            kept.clear()

    def ticks(self) -> _Ticks:
        """A counter of the run's ticks."""
        return _Ticks(self)

    def cut(self, nursery: trio.Nursery, path: Path) -> None:
        """Have a combinator cancel what is left of it, once the tick is over in which it was decided."""
        self._decisions.append(Decision(path, nursery, self._releases))

    def _goes_on(self) -> bool:
        """Let somebody go on, or the clock. Answers whether anybody could."""
        self._holder = None
        self._timer = self.clock.next
        if not self._advances and not self._choose():
            return False
        if self._advances:
            self._advances = False
            next_timer = min(self._timer, self._parked.next_due())
            if next_timer < math.inf:  # else whoever slept has been stopped since
                self.clock.advance(next_timer)
                self._parked.wake(next_timer, self._releases)
            self.trace[-1].effect = Advanced(self.clock.time)
        return True

    async def _stop_or_give_up(self) -> None:
        if self.error is None and self.open:
            self._stop(self._deadlock())
        elif any(shield.shield for shield in self.shields):
            for shield in self.shields:
                shield.shield = False
        elif self._patience:
            # A resource is being opened or closed, perhaps by a thread. Or the run was told to stop, and does not: it
            # may wait for a thread, which no cancellation ends.
            self._patience -= 1
            await trio.to_thread.run_sync(time.sleep, 0.01)
        else:
            self.error = self.error or Deadlock("a resource of the handlers does not get opened, or closed")
            self._give_up()  # somebody shields a wait for ever, say

    def _choose(self) -> bool:
        """Let a parked task go on, or have the clock do so. Answers whether there was anything to choose."""
        if self._decisions and self._decide():
            return True
        ready = self._parked.ready
        first = self._last_parked
        if first is not None:  # in front of the others
            del ready[bisect_left(ready, first)]
            ready.insert(0, first)
        try:
            clock = self._timer < math.inf or self._parked.next_due() < math.inf
            choices = len(ready) + clock
            if not choices:
                return False
            choice = self._picked(ready, clock, first is not None)
            instead = ready[0] if choice else None
            chosen = ready[choice] if choice < len(ready) else None
        finally:
            if first is not None:
                del ready[0]
                insort(ready, first)
        if chosen is not None:
            self._release(chosen, choices, choice, instead)
        else:
            self._advances = True
            self._releases += 1
            # Those whose time has come are equals: the lowest goes first.
            self._last = self._last_parked = None
            self._append(Turn(len(self.trace), (), Advanced(self.clock.time), None, choices, choice, instead))
        return True

    def _picked(self, paths: list[Path], clock: bool, resumes: bool) -> int:
        """The schedule's choice, which is kept."""
        if len(paths) + clock < 2:
            return 0
        step = len(self.trace)
        choice = self.schedule.pick(step, Births(paths, self._parked, self._born), clock, resumes)
        if choice:
            self.chosen[step] = choice
        return choice

    def _decide(self) -> bool:
        """End the tick, so that decided combinators cancel what is left; or let one go on that may still end in it.

        That may be whoever could go on when the first was decided. Answers whether there was a decision to take.
        """
        self._decisions = [d for d in self._decisions if d.nursery.child_tasks]
        if not self._decisions:
            return False
        first = self._decisions[0]
        ties = [path for path in self._parked.ready if self._parked[path].since <= first.at]
        choice = self._picked([first.path, *ties], False, False)
        if choice:
            self._release(ties[choice - 1], len(ties) + 1, choice, first.path)
            return True
        self._releases += 1
        for decision in self._decisions:
            decision.nursery.cancel_scope.deadline = self.clock.time
            self._append(Turn(len(self.trace), decision.path, Decided(), None, len(ties) + 1))
        self._decisions.clear()
        return True

    def _release(self, path: Path, choices: int, choice: int, instead: Path | None) -> None:
        parked = self._parked[path]
        self._append(Turn(len(self.trace), path, parked.what, None, choices, choice, instead))
        self._releases += 1
        if not self._decisions:
            self.now = self._releases
        self._holder = self._last = parked.task
        if parked.task is not trio.lowlevel.current_task():
            trio.lowlevel.reschedule(parked.task)

    def _keeps_turn(self, task: trio.lowlevel.Task) -> bool:
        """Whether the task may go on: not while a decision is to be carried out, which somebody has to choose."""
        return self._holder is task and not self._decisions

    def _has_turn(self, task: trio.lowlevel.Task) -> bool:
        return self._holder is task

    def _alone(self) -> bool:
        return not self._parked and self.clock.next == math.inf

    async def _park(self, task: trio.lowlevel.Task, path: Path, what: Any, *, due: float = -math.inf) -> bool:
        """Wait until it is this task's turn. Answers whether another had its turn meanwhile."""
        if self._dead:
            await _for_ever()
        had_turn = self._has_turn(task)
        self._born.setdefault(task, path)
        assert path not in self._parked, f"two tasks at {path}"
        parked = self._parked.park(path, Parked(task, what, due), self.clock.time, self._releases)
        if parked.is_ready and task is self._last:
            self._last_parked = path
        before = self._releases
        try:
            if had_turn:
                self._holder = None
                # Without the gatekeeper, where nobody else is about to run: that takes a third of the time.
                now = trio.lowlevel.current_statistics()
                if now.tasks_runnable == 0:
                    # All that is asked of the timer now is whether there is one.
                    self._timer = now.seconds_to_next_deadline
                    self._choose()
            if not self._has_turn(task):
                await trio.lowlevel.wait_task_rescheduled(parked.cancelled)
        finally:
            self._parked.leave(path)
            if self._last_parked == path:
                self._last_parked = None
        return not had_turn or self._releases > before + 1

    def _append(self, turn: Turn) -> None:
        self.trace.append(turn)
        if turn.step < self._most_steps:
            return
        if self.error is None:
            self._stop(self._endless())
        elif turn.step >= self._most_steps + _MORE_STEPS:
            self._give_up()

    def _give_up(self) -> None:
        """End the event loop, as nothing else ends the run."""
        self._dead = self.clock.broken = True

    def _endless(self) -> Endless:
        turn = self.trace[-1]
        return Endless(
            f"the run had not ended after {turn.step} steps, at {turn.where}: {turn.text()}. "
            "If it is meant to be so long, raise the limit, as in most_steps=1_000_000"
        )

    def _deadlock(self) -> Deadlock:
        asleep = {path: parked.what.effect for path, parked in self._parked.items()}  # for ever, all of them
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
