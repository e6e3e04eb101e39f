"""One call for a service that may be restarted at any moment: begin a run, go on with it, or answer its outcome."""

from __future__ import annotations

from typing import Any

import durable_plans as plans
import pytest
import trio
import trio.testing
from durable_plans import Broken, Cat, World, interrupted_at

from lambdacat_effects import CallTool, Durable, ambient
from lambdacat_effects.errors import InvalidArgument, RunInUse, RunMismatch, RunSuspended
from lambdacat_effects.storage import InMemoryStore


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore()


async def test_a_run_is_begun(store: InMemoryStore) -> None:
    """As `run` does it, with its note."""
    world, durable = World(store), Durable(store)
    answer = await durable.run_or_resume("r", plans.in_turn, 2, handlers=world.handlers, note="from Ann")
    assert answer == ["got item 0", "got item 1"]
    info = await durable.info("r")
    assert (info.status, info.note) == ("succeeded", "from Ann")


async def test_a_run_that_was_interrupted_goes_on(store: InMemoryStore) -> None:
    """Where it stopped: nothing that was answered is repeated."""
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 2, "r", plans.in_turn, 3)
    answer = await durable.run_or_resume("r", plans.in_turn, 3, handlers=world.handlers)
    assert answer == ["got item 0", "got item 1", "got item 2"]
    assert world.texts.count("fetch('item 0')") == 1


async def test_a_run_that_has_ended_answers_its_outcome(store: InMemoryStore) -> None:
    """And performs nothing, whether it succeeded or failed."""
    world, durable = World(store), Durable(store)
    first = await durable.run("r", plans.in_turn, 2, handlers=world.handlers)
    with pytest.raises(Broken):
        await durable.run("s", plans.failing_at_once, handlers=world.handlers)
    called = list(world.calls)
    assert await durable.run_or_resume("r", plans.in_turn, 2, handlers=world.handlers) == first
    with pytest.raises(Broken, match="at once"):
        await durable.run_or_resume("s", plans.failing_at_once, handlers=world.handlers)
    assert world.calls == called


async def test_a_run_that_asks(store: InMemoryStore) -> None:
    """Is suspended, as often as it is called, until somebody has answered."""
    world, durable = World(store), Durable(store)
    for _ in range(2):
        with pytest.raises(RunSuspended):
            await durable.run_or_resume("r", plans.approval, "it", handlers=world.handlers)
    await durable.answer("r", True)
    assert await durable.run_or_resume("r", plans.approval, "it", handlers=world.handlers) == "got sent"


async def test_a_run_that_has_continued_as_new(store: InMemoryStore) -> None:
    """Is the one that it began as, whatever it performs now."""
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 3, "r", plans.generations, 1, 4)
    assert (await durable.info("r")).generation == 2
    with pytest.raises(
        RunMismatch, match=r"begun: .*generations\(n=1, most=4\)\n.*asked for: .*generations\(n=3, most=4\)"
    ):
        await durable.run_or_resume("r", plans.generations, 3, 4, handlers=world.handlers)
    assert await durable.run_or_resume("r", plans.generations, 1, 4, handlers=world.handlers) == 4


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize(
    ("make", "args", "asked"),
    [
        (plans.in_turn, (3,), r"durable_plans:in_turn\(n=3\)"),
        (plans.in_turn, (True,), r"durable_plans:in_turn\(n=True\)"),
        (plans.in_turn, (2.0,), r"durable_plans:in_turn\(n=2.0\)"),
        (plans.either, (2, 3), r"durable_plans:either\(slow=2, quick=3\)"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
async def test_another_run_of_that_id(
    store: InMemoryStore, ended: bool, make: Any, args: tuple[Any, ...], asked: str
) -> None:
    """Is not taken for it: the error shows both. Nothing is performed."""
    world, durable = World(store), Durable(store)
    if ended:
        await durable.run("r", plans.in_turn, 2, handlers=world.handlers)
    else:
        await interrupted_at(durable, world, 1, "r", plans.in_turn, 2)
    called = list(world.calls)
    with pytest.raises(RunMismatch, match=rf"begun:     durable_plans:in_turn\(n=2\)\n  asked for: {asked}"):
        await durable.run_or_resume("r", make, *args, handlers=world.handlers)
    assert world.calls == called


async def test_equal_arguments_are_the_same(store: InMemoryStore) -> None:
    """Also those that are made anew, and whose order is not that of the other process."""
    durable = Durable(store)
    for names in ({"a", "b", "c"}, {"c", "b", "a"}):
        given = {"cat": Cat("Felix"), "names": names, "size": float("nan")}
        answer = await durable.run_or_resume("r", plans.echoed, given, handlers=ambient)
        assert answer == "3 names"


async def test_of_callers_at_the_same_time_one_performs_it(store: InMemoryStore) -> None:
    """The others are told, and it is begun once."""
    calls: list[Any] = []
    told: list[str] = []
    open_for_business = trio.Event()

    async def fetched(call: Any) -> str:
        calls.append(call)
        await open_for_business.wait()
        return f"got {call.args[0]}"

    async def calling() -> None:
        try:
            await Durable(store).run_or_resume("r", plans.in_turn, 3, handlers=CallTool.by(fetched))
            told.append("answered")
        except RunInUse:
            told.append("in use")

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(calling)
        await trio.testing.wait_all_tasks_blocked()
        assert told == ["in use"] * 4
        open_for_business.set()
    assert sorted(told) == ["answered", *["in use"] * 4]
    assert len(calls) == 3
    assert await Durable(store).run_or_resume("r", plans.in_turn, 3, handlers=ambient) == [
        "got item 0",
        "got item 1",
        "got item 2",
    ]


async def test_arguments_are_checked_before_anything_is_done(store: InMemoryStore) -> None:
    for run_id, make in (("", plans.in_turn), ("r", lambda: plans.in_turn(1)), ("r", plans.in_turn(1))):
        with pytest.raises(InvalidArgument):
            await Durable(store).run_or_resume(run_id, make, handlers=ambient)  # type: ignore[arg-type]
    assert store._namespaces == {}
