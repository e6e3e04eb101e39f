"""Runs whose code changes while they are under way: what goes on, what is refused, what `patched` lets through."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import changing_plans as changing
import pytest
import trio
from durable_plans import World, wait_for_ever

from lambdacat_effects import Durable, ambient, patched
from lambdacat_effects.errors import InvalidArgument, NondeterminismError
from lambdacat_effects.journal.records import ENTRIES
from lambdacat_effects.storage import InMemoryStore
from lambdacat_effects.testing import Crash, Fault, simulate


@pytest.fixture(autouse=True)
def deploying() -> Iterator[None]:
    """The old version is deployed before each test, and after it."""
    changing.deployed = "old"
    yield
    changing.deployed = "old"


class Deployment:
    """One run that is interrupted where its plan waits, by a deployment."""

    def __init__(self) -> None:
        self.store = InMemoryStore()
        self.world = World(self.store)
        self.durable = Durable(self.store)

    async def begun(self, kind: str, version: str = "old") -> Deployment:
        changing.deployed = version
        with trio.CancelScope() as scope:
            await self._performing(
                scope, lambda: self.durable.run("r", changing.changing, kind, handlers=self.handlers)
            )
        return self

    async def resumed(self, version: str, *, to_the_end: bool = False) -> Any:
        changing.deployed = version
        handlers = self.handlers
        if to_the_end:
            handlers |= changing.wait_for_ever_answers("deployed")
        with trio.CancelScope() as scope:
            return await self._performing(scope, lambda: self.durable.resume("r", handlers=handlers))

    async def _performing(self, scope: trio.CancelScope, run: Any) -> Any:
        async def interrupting() -> None:
            while "wait_for_ever('a deployment')" not in self.world.texts[self._before :]:
                await trio.sleep(1)
            scope.cancel()

        self._before = len(self.world.texts)
        answer: Any = None
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(interrupting)
            try:
                answer = await run()
            except Exception as error:
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return answer

    @property
    def handlers(self) -> Any:
        return self.world.handlers

    def since(self, count: int) -> list[str]:
        return self.world.texts[count:]


async def test_the_same_code_goes_on(autojump_clock: Any) -> None:
    """The control of what follows."""
    run = await Deployment().begun("same")
    assert await run.resumed("new", to_the_end=True) == ["got a", "got b", "deployed"]
    assert run.world.texts == ["fetch('a')", "fetch('b')", "wait_for_ever('a deployment')"]


DIFFERENCES = {
    "other arguments": ("2", "fetch(what='b')", "fetch(what='B')", "_other_arguments"),
    "other effect": ("2", "fetch(what='b')", "undo(what='b')", "_other_effect"),
    "more": ("2", "fetch(what='b')", "fetch(what='new')", "_more"),
    "fewer": ("2", "fetch(what='b')", "wait_for_ever(what='a deployment')", "stop"),
    "none": ("1", "fetch(what='a')", "nothing, and the plan has ended", "changing"),
    "ends early": ("2", "fetch(what='b')", "nothing, and the plan has ended", "changing"),
    "reordered branches": ("1.", "fetch(what='", "fetch(what='", "_branch"),
    "a branch more": ("1", "parallel(branches=2)", "parallel(branches=3)", "_a_branch_more"),
    "another policy": ("1", "parallel(branches=2)", "race(branches=2)", "_raced_instead"),
    "more in a branch": ("1.1.2", "nothing, and the plan went on", "fetch(what='and more')", "longer"),
    "other deadline": ("1", "Timeout(seconds=5)", "Timeout(seconds=50)", "_other_deadline"),
    "more in a shield": ("1.2", "nothing, and the plan went on", "fetch(what='and more')", "longer"),
    "slept longer": ("1", "Sleep(seconds=3)", "Sleep(seconds=4)", "_slept_longer"),
    "a race with more": ("1.0.2", "nothing, and the plan went on", "fetch(what='and more')", "longer"),
}


@pytest.mark.parametrize("kind", DIFFERENCES)
async def test_another_plan_is_refused(autojump_clock: Any, kind: str) -> None:
    """With what was recorded, what is asked now, where in the run and in which line of the plan. The run stays as it
    was: with the code that it began with it goes on."""
    run = await Deployment().begun(kind)
    before = run.store._namespaces[ENTRIES].copy()
    calls = len(run.world.calls)
    with pytest.raises(NondeterminismError) as caught:
        await run.resumed("new")
    place, recorded, asked, function = DIFFERENCES[kind]
    message = str(caught.value)
    assert message.startswith(f"the run 'r' cannot be resumed at {place}"), message
    assert f"recorded: {recorded}" in message, message
    assert f"asked:    {asked}" in message, message
    line = message.splitlines()[-1]
    source = inspect.getsourcefile(changing)
    assert line.startswith("  The plan: "), line
    assert f"{function} ({source}:" in line, line
    assert run.world.calls[calls:] == []
    assert run.store._namespaces[ENTRIES] == before
    assert (await run.durable.info("r")).status == "interrupted"
    answer = await run.resumed("old", to_the_end=True)
    assert answer[-1] == "deployed"


async def test_what_depends_on_chance_is_refused(autojump_clock: Any) -> None:
    """The same code, which asks for something else each time."""
    run = await Deployment().begun("chance")
    with pytest.raises(
        NondeterminismError, match=r"depends on something that is no effect \(a clock, chance, a global\)"
    ):
        await run.resumed("old")


async def test_a_plan_that_swallows_the_refusal_is_stopped_all_the_same(autojump_clock: Any) -> None:
    """`except Exception` in a plan does not let it go on as something else."""
    run = await Deployment().begun("swallowing")
    calls = len(run.world.calls)
    with pytest.raises(NondeterminismError):
        await run.resumed("new")
    assert run.world.calls[calls:] == []
    assert (await run.durable.info("r")).status == "interrupted"


# patched


OLD = {
    "patched": ["got a", None, "got b"],
    "patched twice": [False, "got a", False, "got b"],
    "patched loop": ["got round 0", "got round 1", "got round 2"],
    "patched branches": [[False, "got a", False], [False, "got b", False]],
    "patched race": [["got a", False]],
}
NEW = {
    "patched": ["got a", "got new", "got b"],
    "patched twice": ["got new", "got a", "got newer", "got b"],
    "patched loop": [f"got {word} {i}" for i in range(3) for word in ("new", "round")],
    "patched branches": [["got new a", "got a", "got last a"], ["got new b", "got b", "got last b"]],
    "patched race": [["got a", True]],
}


@pytest.mark.parametrize("kind", OLD)
async def test_a_run_that_went_by_before_keeps_the_old_code(autojump_clock: Any, kind: str) -> None:
    """Also when it is interrupted once more, and resumed again with the new code."""
    run = await Deployment().begun(kind)
    calls = len(run.world.calls)
    await run.resumed("new")
    assert run.since(calls) == ["wait_for_ever('a deployment')"]
    answer = await run.resumed("new", to_the_end=True)
    assert [None if part is False and kind == "patched" else part for part in answer[:-1]] == OLD[kind]
    assert len(run.world.calls) == calls + 1


@pytest.mark.parametrize("kind", NEW)
async def test_a_run_that_comes_by_afterwards_takes_the_new_code(autojump_clock: Any, kind: str) -> None:
    """And keeps it when it is resumed."""
    run = await Deployment().begun(kind, "new")
    calls = len(run.world.calls)
    answer = await run.resumed("new", to_the_end=True)
    assert answer[:-1] == NEW[kind]
    assert len(run.world.calls) == calls


@pytest.mark.parametrize("kind", ["patched", "patched loop", "patched branches"])
async def test_the_line_is_removed_later(autojump_clock: Any, kind: str) -> None:
    """Runs that answered True go on without it; those that answered False are refused, as they need the old code."""
    run = await Deployment().begun(kind, "new")
    calls = len(run.world.calls)
    answer = await run.resumed("removed", to_the_end=True)
    assert answer[:-1] == NEW[kind]
    assert len(run.world.calls) == calls
    run = await Deployment().begun(kind)
    with pytest.raises(NondeterminismError):
        await run.resumed("removed")


async def test_a_line_after_what_is_known_is_new(autojump_clock: Any) -> None:
    """A run that has not come so far yet takes the new code."""
    run = await Deployment().begun("patched later")
    assert await run.resumed("new", to_the_end=True) == ["got a", "got b", "deployed", "got new"]


async def test_a_run_decides_once_for_all_of_it(autojump_clock: Any) -> None:
    """A loop that is half done goes on with the old code to its end, rather than with some of each."""
    run = await Deployment().begun("patched under way")
    assert await run.resumed("new", to_the_end=True) == [
        "got round 0",
        "got round 1",
        "got round 2",
        "deployed",
    ]
    run = await Deployment().begun("patched under way", "new")
    answer = await run.resumed("new", to_the_end=True)
    assert answer == [*(f"got {word} {i}" for i in range(3) for word in ("new", "round")), "deployed"]


@pytest.mark.parametrize("seed", range(20))
def test_branches_agree(seed: int) -> None:
    """Whichever comes by first: one has old answers behind the line, and the other has not come to it."""
    store = InMemoryStore()
    world = World(store)

    def scenario() -> Any:
        return Durable(store).prepared("r", changing.changing, "patched unevenly", handlers=world.handlers)

    assert isinstance(simulate(scenario, seed=seed, faults=Fault("crash", on=wait_for_ever)).error, Crash)
    went_by = any(b"got a" in data for data in store._namespaces.get(ENTRIES, {}).values())
    changing.deployed = "new"
    again = simulate(
        lambda: Durable(store).prepared(
            "r",
            changing.changing,
            "patched unevenly",
            handlers=world.handlers | changing.wait_for_ever_answers("go on"),
        ),
        seed=seed,
    )
    assert again.value == ["got a", None, "deployed"]
    new = [] if went_by else ["fetch('new a')", "fetch('new b')"]
    assert new == sorted(text for text in world.texts if "new" in text)


@pytest.mark.parametrize("kind", ["patched where it gave up", "patched where it noted that it waits"])
@pytest.mark.parametrize("seed", range(20))
def test_what_was_cancelled_comes_after_the_line_too(seed: int, kind: str) -> None:
    """All that is left behind the line is a call that its plan gave up."""
    store = InMemoryStore()
    world = World(store)

    def scenario() -> Any:
        return Durable(store).prepared("r", changing.changing, kind, handlers=world.handlers)

    assert isinstance(
        simulate(scenario, seed=seed, faults=Fault("crash", on=wait_for_ever("a deployment"))).error, Crash
    )
    went_by = any(b"an answer" in data for data in store._namespaces.get(ENTRIES, {}).values())
    changing.deployed = "new"
    deployed = changing.wait_for_ever_answers("go on")
    again = simulate(
        lambda: Durable(store).prepared("r", changing.changing, kind, handlers=world.handlers | deployed),
        seed=seed,
    )
    new, waited = again.value
    assert waited == "go on"
    assert not (went_by and new)


async def test_the_line_has_no_number(autojump_clock: Any) -> None:
    """So that the calls after it keep their idempotency keys, whether it is there or not."""
    keys: list[list[str]] = []
    for version in ("old", "new"):
        run = await Deployment().begun("patched")
        await run.resumed(version, to_the_end=True)
        keys.append([key for key, _ in run.world.calls])
    assert keys[0] == keys[1] == ["r:1.0:1", "r:1.0:2", "r:1.0:3", "r:1.0:3"][: len(keys[0])]


async def test_what_was_decided_is_in_the_history(autojump_clock: Any) -> None:
    """So that one can see which runs still need the old code."""
    told: list[list[str]] = []
    for version in ("old", "new"):
        run = await Deployment().begun("patched", version)
        await run.resumed("new", to_the_end=True)
        steps = await run.durable.history("r")
        told.append([f"{step.effect} {step.outcome}" for step in steps if "Patched" in step.effect])
    assert told == [["Patched(name='more') False"], ["Patched(name='more') True"]]


async def test_every_line_is_new_without_a_journal() -> None:
    assert await ambient.run(patched("a change")) is True
    for wrong in ("", 3):
        with pytest.raises(InvalidArgument, match="patched takes the name of a change"):
            patched(wrong)  # type: ignore[arg-type]
