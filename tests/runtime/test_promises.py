"""The interpreter's eight promises (and the ninth, on `run_pure`). Each test names the promise it holds."""

from __future__ import annotations

import gc
import sys
import time
import traceback
import tracemalloc
from collections.abc import Callable, Coroutine, Generator
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
import trio
import trio.testing

from lambdacat_effects import (
    Effect,
    Handler,
    Plan,
    Sleep,
    ambient,
    call,
    effect,
    parallel,
    race,
    shielded,
    span,
    timeout,
)
from lambdacat_effects.errors import PlanIgnoredClose, PlanReused
from lambdacat_effects.runtime.interpreter import drive
from lambdacat_effects.runtime.live import LIVE
from lambdacat_effects.runtime.pure import pure_run


@effect
class Ask(Effect[int]):
    key: str


@effect
class Note(Effect[None]):
    text: str


class Unlucky(Exception):
    pass


def failing(asked: Ask) -> int:
    raise Unlucky(asked.key)


async def failing_later(asked: Ask) -> int:
    await trio.lowlevel.checkpoint()
    raise Unlucky(asked.key)


def failing_plan(asked: Ask) -> Generator[Any, Any, int]:
    yield from Sleep(0)
    raise Unlucky(asked.key)


def performing(handlers: Handler[Any], plan: Plan[Any, Any]) -> Coroutine[Any, Any, Any]:
    """A run whose coroutine is in the test's hands."""
    return drive(plan, handlers.over(LIVE), ("plan",), pure_run(None))


def noting(log: list[str]) -> Handler[Note]:
    return Note.by(lambda note: log.append(note.text))


# Promise 1: a handler's exception is thrown into the plan at the `yield`.


@pytest.mark.parametrize("handler", [failing, failing_later, failing_plan])
async def test_a_handlers_exception_is_raised_at_the_yield(handler: Any) -> None:
    """`try`, `except` and `finally` in a plan just work, whatever kind of handler fails."""
    log: list[str] = []

    def plan() -> Plan[Ask, str]:
        try:
            yield from Ask("x")
        except Unlucky as error:
            log.append("except")
            return f"caught {error}"
        finally:
            log.append("finally")
        return "not reached"

    assert await Ask.by(handler).run(plan()) == "caught x"
    assert log == ["except", "finally"]


async def test_a_plan_goes_on_after_an_exception() -> None:
    """What was caught is over: the next effect is answered as usual."""

    def plan() -> Plan[Ask | Note, int]:
        for _ in range(3):
            try:
                yield from Ask("x")
            except Unlucky:
                yield from Note("caught")
        return 3

    log: list[str] = []
    assert await (Ask.by(failing) | noting(log)).run(plan()) == 3
    assert log == ["caught"] * 3


# Promise 2: `Cancelled` is thrown in, too.


async def test_a_trio_cancel_scope_inside_a_plan_works(autojump_clock: trio.testing.MockClock) -> None:
    """A plan may hold `with trio.move_on_after(...)` across its effects."""

    def plan() -> Plan[Sleep, str]:
        with trio.move_on_after(5) as scope:
            yield from Sleep(100)
        return f"cancelled: {scope.cancelled_caught} at {trio.current_time():g}"

    assert await ambient.run(plan()) == "cancelled: True at 5"


async def test_finally_runs_when_a_plan_is_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    """Cancellation from outside meets the plan at its `yield`, as Trio's own code would meet it."""
    log: list[str] = []

    def plan() -> Plan[Sleep, None]:
        try:
            yield from Sleep(100)
        except Exception:
            log.append("wrongly taken for a failure")
        finally:
            log.append("finally")

    with trio.move_on_after(1):
        await ambient.run(plan())
    assert log == ["finally"]


# Promise 3: an abandoned plan is closed before its cancel scope exits.


async def test_an_abandoned_plan_is_closed_before_its_scope_exits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Nothing is left to the garbage collector, even through sub-plans and handlers that are plans."""
    log: list[str] = []

    def inner() -> Plan[Sleep, None]:
        try:
            yield from Sleep(100)
        finally:
            log.append("inner closed")

    def answering(_asked: Ask) -> Generator[Any, Any, int]:
        try:
            yield from call(inner())
        finally:
            log.append("handler closed")
        return 0

    def plan() -> Plan[Ask, None]:
        try:
            yield from span("working", Ask("x"))
        finally:
            log.append("plan closed")

    gc.disable()
    try:
        with trio.move_on_after(1):
            await Ask.by(answering).run(plan())
        log.append("scope exited")
    finally:
        gc.enable()
    assert log == ["inner closed", "handler closed", "plan closed", "scope exited"]


def test_a_run_that_is_itself_abandoned_closes_its_plans() -> None:
    """When the coroutine of a run is closed, its plans are closed, innermost first."""
    log: list[str] = []

    def inner() -> Plan[Ask, None]:
        try:
            yield from Ask("x")
        finally:
            log.append("inner")

    def plan() -> Plan[Ask, None]:
        try:
            yield from call(inner())
        finally:
            log.append("outer")

    class Forever:
        def __await__(self) -> Generator[str, None, int]:
            yield "waiting"
            return 0

    async def waiting(_asked: Ask) -> int:
        return await Forever()

    running = performing(Ask.by(waiting), plan())
    assert running.send(None) == "waiting"
    running.close()
    assert log == ["inner", "outer"]


# Promise 4: effects in `finally` while cancelled need `shielded`.


async def test_effects_in_finally_while_cancelled_need_a_shield(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Unshielded, what would wait is refused; shielded, it is done before the scope exits."""
    log: list[str] = []

    def plan(cleaning: str) -> Plan[Sleep | Note, None]:
        try:
            yield from Sleep(100)
        finally:
            yield from Note(f"{cleaning} begins")  # answers at once, so it is not refused
            cleanup = Sleep(2) if cleaning == "bare" else shielded(Sleep(2))
            yield from cleanup
            yield from Note(f"{cleaning} done")

    for cleaning in ("bare", "shielded"):
        with trio.move_on_after(1):
            await noting(log).run(plan(cleaning))
        log.append(f"scope exited at {trio.current_time():g}")
    assert log == [
        "bare begins",
        "scope exited at 1",
        "shielded begins",
        "shielded done",
        "scope exited at 4",
    ]


async def test_clean_up_is_not_refused_by_chance() -> None:
    """However long the wait before: a checkpoint that is due delivers a cancellation once, and not in `finally`."""
    log: list[str] = []

    def plan() -> Plan[Sleep | Note, None]:
        try:
            yield from Sleep(60)
        finally:
            for _ in range(3_000):
                yield from Note("cleaning")
            yield from shielded(Sleep(0.001))
            yield from Note("done")

    with trio.move_on_after(0.01):  # real time, so that checkpoints are due
        await noting(log).run(plan())
    assert log == ["cleaning"] * 3_000 + ["done"]


# Promise 5: errors that name file and line of the plan.


def reusable() -> Plan[Ask, int]:
    return (yield from Ask("x"))


LINE = reusable.__code__.co_firstlineno


@pytest.mark.parametrize("how", ["finished", "running", "in another branch"])
async def test_a_plan_runs_once(how: str) -> None:
    """A plan object that was performed before is refused, naming its file and line."""
    one = Ask.by(lambda _: 1)
    plan = reusable()
    second: Any = plan
    if how == "finished":
        await one.run(plan)
    elif how == "running":
        next(plan)
    else:
        second = parallel(plan, plan)
    with pytest.raises(PlanReused, match=rf"reusable \(.*test_promises.py:{LINE}\)"):
        await one.run(second)


def test_a_plan_that_ignores_its_closing_is_named() -> None:
    """A plan that yields while it is closed is an error with its file and line."""

    def stubborn() -> Plan[Ask, None]:
        try:
            yield from Ask("x")
        except GeneratorExit:
            yield from Ask("again")

    class Forever:
        def __await__(self) -> Generator[str, None, int]:
            yield "waiting"
            return 0

    async def waiting(_asked: Ask) -> int:
        return await Forever()

    running = performing(Ask.by(waiting), stubborn())
    running.send(None)
    with pytest.raises(
        PlanIgnoredClose, match=rf"stubborn.*test_promises.py:{stubborn.__code__.co_firstlineno}"
    ):
        running.close()


def test_a_plan_driven_by_somebody_else_is_refused() -> None:
    """A second answer to one `yield` cannot happen unnoticed: a plan under way cannot be performed again."""
    plan = reusable()

    def meddling(_asked: Ask) -> int:
        return Ask.by(lambda _: 2).run_pure(plan)

    with pytest.raises(PlanReused, match=f"test_promises.py:{LINE}"):
        Ask.by(meddling).run_pure(plan)


# Promise 6: tracebacks show the plan's frames, not the interpreter's.


@pytest.mark.parametrize("run", ["run", "run_pure"])
def test_tracebacks_show_plans_and_handlers_only(run: str) -> None:
    """Between the call of `run` and the error there are only the frames of the user's own functions."""

    def inner() -> Plan[Ask, int]:
        return (yield from Ask("x"))

    def middle() -> Plan[Ask, int]:
        return (yield from call(inner()))

    def outer() -> Plan[Ask, int]:
        (n,) = yield from parallel(timeout(9, span("middle", middle())))
        return n

    handlers = Ask.by(failing)
    try:
        if run == "run":
            trio.run(handlers.run, outer())
        else:
            handlers.run_pure(outer())
    except ExceptionGroup as group:
        (error,) = group.exceptions
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        files = {frame.filename for frame in traceback.extract_tb(group.__traceback__)}
    assert names == ["middle", "inner", "failing"]
    assert not any("interpreter.py" in f or "live.py" in f or "pure.py" in f for f in files)


def test_tracebacks_inside_a_plan_are_clean_too() -> None:
    """What a plan catches shows its own frame and the handler's."""

    def plan() -> Plan[Ask, list[str]]:
        try:
            yield from Ask("x")
        except Unlucky as error:
            return [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        return []

    names = Ask.by(failing).run_pure(plan())
    assert [n for n in names if n != "__iter__"] == ["plan", "failing"]


# Promise 7: no checkpoint per effect, but fair and cancellable.


class Steps(trio.abc.Instrument):
    """Notes a reading at the end of each step of one task."""

    def __init__(self, task: trio.lowlevel.Task, reading: Callable[[], int]) -> None:
        self.task = task
        self.reading = reading
        self.seen: list[int] = []

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.seen.append(self.reading())


async def test_synchronous_effects_pass_no_checkpoint_each() -> None:
    """A hundred synchronous effects run in one step of their task (unless the machine stalls for a millisecond)."""

    def plan() -> Plan[Ask, None]:
        for _ in range(100):
            yield from Ask("x")

    steps = Steps(trio.lowlevel.current_task(), lambda: 0)
    trio.lowlevel.add_instrument(steps)
    taken = []
    for _ in range(20):
        before = len(steps.seen)
        await Ask.by(lambda _: 1).run(plan())
        taken.append(len(steps.seen) - before)
    trio.lowlevel.remove_instrument(steps)
    assert min(taken) == 0


async def test_a_plan_of_synchronous_effects_stays_fair() -> None:
    """Its task gives way at least every thousand effects."""
    performed = 0

    def count(_note: Note) -> None:
        nonlocal performed
        performed += 1

    def plan() -> Plan[Note, None]:
        for _ in range(20_000):
            yield from Note("x")

    steps = Steps(trio.lowlevel.current_task(), lambda: performed)
    trio.lowlevel.add_instrument(steps)
    await Note.by(count).run(plan())
    trio.lowlevel.remove_instrument(steps)
    gaps = [b - a for a, b in pairwise([0, *steps.seen])]
    assert max(gaps) <= 1_000
    assert len(gaps) >= 20


async def test_slow_synchronous_effects_stay_fair_by_time() -> None:
    """Where effects are slow the clock decides: neighbours wait for about a millisecond, not for 1,000 effects."""
    performed: list[int] = []
    turns = 0

    def busy(_note: Note) -> None:
        until = time.perf_counter() + 0.0005
        while time.perf_counter() < until:
            pass
        performed.append(1)

    def plan() -> Plan[Note, None]:
        for _ in range(200):
            yield from Note("x")

    async def neighbour() -> None:
        nonlocal turns
        while len(performed) < 200:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(neighbour)
        nursery.start_soon(Note.by(busy).run, plan())
    assert turns >= 50


async def test_an_endless_plan_of_synchronous_effects_can_be_cancelled() -> None:
    """A deadline reaches a plan that never waits."""
    log: list[str] = []

    def plan() -> Plan[Ask, None]:
        try:
            while True:
                yield from Ask("x")
        finally:
            log.append("closed")

    with trio.move_on_after(0.01):
        await Ask.by(lambda _: 1).run(plan())
    assert log == ["closed"]


# Promise 8: `call` is deep.


def deep(n: int) -> Plan[Ask, int]:
    if n == 0:
        return (yield from Ask("bottom"))
    return 1 + (yield from call(deep(n - 1)))


@pytest.mark.parametrize("run", ["run", "run_pure"])
def test_call_goes_100_000_deep(run: str) -> None:
    """`call` does not meet the recursion limit."""
    one = Ask.by(lambda _: 1)
    plan = deep(100_000)
    assert (trio.run(one.run, plan) if run == "run" else one.run_pure(plan)) == 100_001


def test_an_error_crosses_20_000_calls() -> None:
    """Errors come up the same way, at a cost that grows with the depth, not with its square."""
    with pytest.raises(Unlucky) as caught:
        Ask.by(failing).run_pure(deep(20_000))
    caught.value.__traceback__ = None  # pytest would walk it


def test_call_costs_the_same_at_any_depth() -> None:
    """Counted, not timed: an effect at depth 50 resumes one generator, where `yield from` resumes all of them."""

    def nest(n: int, how: Any) -> Plan[Ask, None]:
        if n == 0:
            for _ in range(10):
                yield from Ask("x")
        else:
            yield from how(nest(n - 1, how))

    def resumed(how: Any) -> int:
        count = 0

        def profile(frame: FrameType, event: str, _arg: object) -> None:
            nonlocal count
            count += event == "call" and frame.f_code is nest.__code__

        plan = nest(50, how)
        one = Ask.by(lambda _: 1)
        sys.setprofile(profile)
        try:
            one.run_pure(plan)
        finally:
            sys.setprofile(None)
        return count

    assert resumed(call) <= 2 * 51 + 10
    assert resumed(lambda plan: plan) >= 10 * 50


# Promise 9: branches under `run_pure`.


def test_pure_branches_run_in_declared_order() -> None:
    """One after the other, so that a test is deterministic without a scheduler."""
    log: list[str] = []

    def branch(name: str) -> Plan[Note | Sleep, str]:
        yield from Note(f"{name} 1")
        yield from Sleep(1)
        yield from Note(f"{name} 2")
        return name

    assert noting(log).run_pure(parallel(branch("a"), branch("b"))) == ("a", "b")
    assert log == ["a 1", "a 2", "b 1", "b 2"]


def test_a_pure_race_is_won_by_the_first_that_succeeds() -> None:
    """A failing branch is out of the race; the branches after the winner never start."""
    log: list[str] = []

    def branch(name: str, fails: bool) -> Plan[Note, str]:
        yield from Note(name)
        if fails:
            raise Unlucky(name)
        return name

    plan = race(branch("a", True), branch("b", False), branch("c", False))
    assert noting(log).run_pure(plan) == "b"
    assert log == ["a", "b"]


def test_a_long_plan_holds_no_more_memory_than_a_short_one() -> None:
    """Nothing is kept for an effect that was answered, whatever it was performed through."""

    def plan(n: int) -> Plan[Ask | Note, int]:
        noted = noting([])
        for _ in range(n):
            yield from span("asking", call(Ask("x")))
            yield from noted.handle(parallel(Ask("y")))
        return n

    def forwarding(asked: Ask) -> Generator[Any, Any, int]:
        return (yield from asked)

    def peak(n: int) -> int:
        gc.collect()
        tracemalloc.start()
        trio.run(Ask.by(lambda _: 1).behind(forwarding).run, plan(n))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)  # what is made once
    assert peak(4_000) < 1.5 * peak(400)
