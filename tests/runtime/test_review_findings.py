"""What an independent reading of the runtime found, kept found."""

from __future__ import annotations

import gc
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

from lambdacat_effects import (
    Effect,
    Handler,
    Log,
    Need,
    Plan,
    Resource,
    Sleep,
    ambient,
    attempt,
    blocking,
    call,
    call_tools,
    catch,
    effect,
    for_each,
    parallel,
    race,
    settle,
    shielded,
    timeout,
    tool,
)
from lambdacat_effects.errors import InvalidArgument, PlanTimeout, UnhandledEffect
from lambdacat_effects.plan import choose, compile_plan, three_way_merge
from lambdacat_effects.runtime.events import Failed
from lambdacat_effects.runtime.interpreter import drive
from lambdacat_effects.runtime.live import LIVE
from lambdacat_effects.runtime.pure import pure_run


@effect
class Tick(Effect[None]):
    pass


ticking = Tick.by(lambda _: None)


@tool
def plain(x: int) -> int:
    return x


@tool
async def waiting(x: int) -> int:
    return x


@tool
def planned(x: int) -> Generator[Any, Any, int]:
    yield from Log("planned")
    return x


@pytest.mark.parametrize("called", [plain, waiting, planned])
async def test_wrong_arguments_of_a_tool_can_be_caught(called: Any) -> None:
    """They are raised at the `yield`, and the plan goes on to its own answer."""
    events: list[Any] = []

    def plan() -> Plan[Any, int]:
        try:
            yield from called(1, 2, 3)
        except TypeError:
            yield from Log("caught")
        return 5

    tools = call_tools(called)
    assert await tools.run(plan()) == 5
    assert await tools.run(plan(), listen=events.append) == 5
    assert [type(e.error) for e in events if isinstance(e, Failed) and e.path == ("plan", 1)] == [TypeError]


def inner_scope() -> Plan[Sleep, None]:
    with trio.move_on_after(0.01):
        yield from Sleep(1)


def failing_branches() -> Plan[Any, None]:
    def bad() -> Plan[Tick, None]:
        yield from Tick()
        raise ValueError("bad")

    try:
        yield from parallel(bad(), Tick())
    except* ValueError:
        pass


@pytest.mark.parametrize("before", [inner_scope, failing_branches])
async def test_what_a_plan_caught_before_does_not_make_it_immune(before: Any) -> None:
    """Not a cancellation of a scope within it, nor a group of failures; a shield delays, no more."""
    performed = 0

    def count(_tick: Tick) -> None:
        nonlocal performed
        performed += 1
        assert performed < 1_000_000, "not cancelled"

    def plan() -> Plan[Any, None]:
        yield from before()
        yield from shielded(Sleep(0.1))
        while True:
            yield from Tick()

    with pytest.raises(PlanTimeout):
        await Tick.by(count).run(timeout(0.05, plan()))


async def test_many_short_branches_in_few_tasks_are_fair() -> None:
    """`for_each` with a limit drives plan after plan in one task: deadlines reach it, and neighbours have turns."""
    turns = 0

    async def neighbour() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(neighbour)
        with pytest.raises(PlanTimeout):
            await ticking.run(timeout(0.2, for_each(range(1_000_000), lambda _: Tick(), limit=2)))
        nursery.cancel_scope.cancel()
    assert turns >= 5  # where nobody looks at the clock, it is none or one


def test_handle_may_be_nested_deeply() -> None:
    """Looking a handler up through 5,000 scopes meets no recursion limit."""

    def deep(n: int) -> Plan[Any, int]:
        if n == 0:
            yield from Log("bottom")
            return 0
        return 1 + (yield from call(ticking.handle(deep(n - 1))))

    assert ambient.run_pure(deep(5_000)) == 5_000


async def test_one_handler_serves_event_loops_in_several_threads() -> None:
    """Each opens the resource for itself, and a worker thread of one finds it."""
    opened: list[int] = []

    @asynccontextmanager
    async def opening() -> AsyncGenerator[int, None]:
        opened.append(threading.get_ident())
        await trio.sleep(0.01)
        yield threading.get_ident()
        await trio.sleep(0.01)

    resource = Resource("database", opening)

    @effect
    class Where(Effect[int]):
        pass

    handlers = Where.by(lambda _: resource.value).using(resource)

    def in_a_thread() -> Any:
        return [trio.run(handlers.run, Where()) == threading.get_ident() for _ in range(5)]

    answers = await ambient.run(parallel(*[blocking(in_a_thread) for _ in range(4)]))
    assert answers == ([True] * 5,) * 4
    assert len(opened) == 20
    assert resource._uses == {}


async def test_all_resources_are_closed_whatever_fails() -> None:
    """And every failure is told."""
    log: list[str] = []

    def failing(name: str) -> Resource[str]:
        @asynccontextmanager
        async def opening() -> AsyncGenerator[str, None]:
            yield name
            log.append(name)
            raise OSError(name)

        return Resource(name, opening)

    handlers = ticking.using(failing("a"), failing("b"))
    with pytest.raises(BaseExceptionGroup) as caught:
        await handlers.run(Tick())
    assert [str(e) for e in caught.value.exceptions] == ["b", "a"]
    with pytest.raises(BaseExceptionGroup):
        async with handlers:
            log.append("open")
    assert log == ["b", "a", "open", "b", "a"]


def test_every_plan_of_an_abandoned_run_is_closed() -> None:
    """Also those around one whose clean-up fails."""
    log: list[str] = []

    class Forever:
        def __await__(self) -> Generator[str, None, None]:
            yield "waiting"

    async def for_ever(_tick: Tick) -> None:
        await Forever()

    def inner() -> Plan[Tick, None]:
        try:
            yield from Tick()
        finally:
            log.append("inner")
            raise OSError("clean-up")

    def outer(inside: Plan[Tick, None]) -> Plan[Tick, None]:
        try:
            yield from call(inside)
        finally:
            log.append("outer")

    plans = [inner()]
    plans.append(outer(plans[0]))  # held here, so that the garbage collector does not close them for us
    plans.append(outer(plans[1]))
    running = drive(plans[2], Tick.by(for_ever).over(LIVE), ("plan",), pure_run(None))
    running.send(None)
    with pytest.raises(OSError, match="clean-up"):
        running.close()
    assert log == ["inner", "outer", "outer"]


def bad() -> Plan[Sleep, None]:
    yield from Sleep(0)
    raise ValueError("bad")


def no(_state: Any) -> Any:
    raise ValueError("no")


@pytest.mark.parametrize(
    "make",
    [
        lambda: attempt(parallel(bad(), bad())),
        lambda: attempt(race(bad(), bad())),
        lambda: settle(bad(), bad()),
        lambda: attempt(bad()),
        lambda: catch(ValueError)(bad()),
        lambda: attempt(compile_plan(choose(no, no), inline_actions())(0)),
    ],
    ids=["parallel", "race", "settle", "attempt", "catch", "choose"],
)
@pytest.mark.parametrize("run", ["run", "run_pure"])
def test_a_caught_failure_leaves_no_garbage(make: Any, run: str) -> None:
    """What failed is freed at once, not by the garbage collector."""

    def plan() -> Plan[Any, int]:
        found = 0
        for i in range(12):
            if i == 2:
                gc.collect()  # whatever the first rounds built once
            yield from make()
            if i >= 2:
                found = max(found, gc.collect())
        return found

    gc.disable()
    try:
        found = ambient.run_pure(plan()) if run == "run_pure" else trio.run(ambient.run, plan())
    finally:
        gc.enable()
    baseline = 0 if run == "run_pure" else raw_nursery_garbage()
    assert found <= baseline


def inline_actions() -> Any:
    from lambdacat_effects.plan import Actions

    return Actions.of({"no": no}, inline=True)


def raw_nursery_garbage() -> int:
    """What a Trio nursery itself leaves behind for a failure in two tasks."""

    async def failing() -> None:
        await trio.lowlevel.checkpoint()
        raise ValueError("bad")

    async def rounds() -> int:
        found = 0
        for i in range(6):
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(failing)
                    nursery.start_soon(failing)
            except* ValueError:
                pass
            found = max(found, gc.collect()) if i else gc.collect() * 0
        return found

    return trio.run(rounds)


async def test_for_each_makes_no_more_plans_once_making_one_failed() -> None:
    """With and without a listener."""
    for listen in (None, lambda _event: None):
        made: list[int] = []

        def make(i: int, made: list[int] = made) -> Plan[Any, None]:
            made.append(i)
            if i == 1:
                raise KeyError(i)
            return (yield from Sleep(0))

        def failing(i: int, make: Any = make) -> Any:
            if i == 1:
                raise KeyError(i)
            return make(i)

        result = await ambient.run(attempt(for_each(range(5), failing)), listen=listen)
        assert [type(e) for e in result.error.exceptions] == [KeyError]  # type: ignore[union-attr]
        assert 2 not in made


def test_a_change_that_equality_does_not_see_is_a_change() -> None:
    """A merge compares fields and items, and their types."""

    @attrs.frozen
    class State:
        x: int = 0
        hidden: int = attrs.field(default=0, eq=False)

    assert three_way_merge(State(), [State(0, 5)]).hidden == 5
    assert three_way_merge([1], [[True]])[0] is True


def test_odd_arguments_have_errors_of_ours() -> None:
    """A need of None, and a level that there is not."""
    with pytest.raises(UnhandledEffect, match="Need"):
        ambient.run_pure(Need(None))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="loud"):
        ambient.run_pure(Log("x", level="loud"))  # type: ignore[arg-type]


def test_what_is_no_plan_is_refused_before_resources_are_opened() -> None:
    """Nothing is opened for a mistake."""

    @asynccontextmanager
    async def opening() -> AsyncGenerator[None, None]:
        pytest.fail("opened")
        yield

    handlers: Handler[Any] = ticking.using(Resource("x", opening))
    for wrong in (bad, 3):
        with pytest.raises(TypeError, match="not a plan"):
            handlers.run_pure(wrong)  # type: ignore[arg-type]
