"""What a review of durable runs found: races for a run, leftovers, and records that are damaged."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

import durable_plans as plans
import pytest
import trio
import trio.testing
from durable_plans import World, interrupted_at

from lambdacat_effects import Durable, Sleep, ambient, ask, continue_as_new, parallel
from lambdacat_effects.errors import InvalidArgument, JournalUnreadable, RunInUse, RunSuspended, UnknownRun
from lambdacat_effects.journal.leases import acquire
from lambdacat_effects.storage import Change, Expect, InMemoryStore, Put

SPACES = ("_runs", "_j", "_fences", "_leases", "_answers", "_questions", "_cancels")


class Late(InMemoryStore):
    """A store whose writes are answered some time after they were made."""

    async def batch(self, changes: Sequence[Change]) -> bool:
        made = await super().batch(changes)
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        return made


class Slow(Late):
    """One whose reads wait, too."""

    async def get(self, namespace: str, key: str) -> bytes | None:
        found = await super().get(namespace, key)
        for _ in range(5):
            await trio.lowlevel.checkpoint()
        return found

    async def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        found = await super().scan(namespace, prefix)
        await trio.lowlevel.checkpoint()
        return found


async def left(store: InMemoryStore) -> list[str]:
    return [space for space in SPACES if await store.scan(space)]


async def test_a_lease_is_held_from_the_moment_that_others_can_see_it() -> None:
    """Also by other tasks of the process, before its owner has gone on."""
    store = Late()
    won: list[str] = []
    lost: list[str] = []

    async def taking(name: str) -> None:
        try:
            await acquire(store, "r", 30, 0)
        except RunInUse:
            lost.append(name)
        else:
            won.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(taking, "one")
        while await store.get("_leases", "r") is None:
            await trio.lowlevel.checkpoint()
        nursery.start_soon(taking, "other")
    assert (won, lost) == (["one"], ["other"])


async def test_a_run_of_the_same_id_has_other_fences() -> None:
    """So that who performed the one that was forgotten, and was away, writes nothing into the new one."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    await durable.run("r", plans.in_turn, 1, handlers=world.handlers)
    before = await store.get("_fences", "r")
    assert before is not None
    await durable.forget("r")
    await durable.run("r", plans.in_turn, 1, handlers=world.handlers)
    assert not await store.batch([Expect("_fences", "r", before)])


DAMAGED = [b"", b"\xff", b"{}", b"[]", b"soon", b'{"owner": 1']


@pytest.mark.parametrize("data", DAMAGED)
async def test_a_damaged_lease_is_named(data: bytes) -> None:
    """As are a fence, a number and a question."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 1, "r", plans.in_turn, 2)
    await store.put("_leases", "r", data)
    with pytest.raises(JournalUnreadable, match="lease of the run 'r' cannot be read"):
        await durable.resume("r", handlers=world.handlers)
    with pytest.raises(JournalUnreadable, match="lease of the run 'r' cannot be read"):
        await durable.info("r")


@pytest.mark.parametrize("data", [b"\xff", b"{}", b"soon"])
async def test_a_damaged_number_is_named(data: bytes) -> None:
    """That of the last run, and that of those who performed one."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 1, "r", plans.in_turn, 2)
    await store.put("_fences", "r", data)
    with pytest.raises(JournalUnreadable, match="the fence of the run 'r' cannot be read"):
        await durable.resume("r", handlers=world.handlers)
    await store.put("_numbers", "runs", data)
    with pytest.raises(JournalUnreadable, match="the number of the last run of this store cannot be read"):
        await Durable(store).run("s", plans.in_turn, 2, handlers=world.handlers)
    assert await store.get("_numbers", "runs") == data


@pytest.mark.parametrize("data", DAMAGED)
async def test_a_damaged_question_is_named(data: bytes) -> None:
    """By whoever looks at it."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    with pytest.raises(RunSuspended):
        await durable.run("r", plans.approval, "it", handlers=world.handlers)
    [(key, _)] = await store.scan("_questions")
    await store.put("_questions", key, data)
    for asking in (durable.questions, partial(durable.answer, value=True)):
        with pytest.raises(JournalUnreadable, match="a question of the run 'r' cannot be read"):
            await asking("r")
    [info] = await durable.runs()
    assert "a question of the run 'r' cannot be read" in str(info.problem)
    with pytest.raises(RunSuspended):  # which asks it again, as it should be
        await durable.resume("r", handlers=world.handlers)
    await durable.answer("r", True)


async def test_a_question_is_answered_once() -> None:
    """Of two that answer at the same time the second is told, and changes nothing."""
    store = Slow()
    world, durable = World(store), Durable(store)
    with pytest.raises(RunSuspended):
        await durable.run("r", plans.approval, "it", handlers=world.handlers)
    told: list[bool] = []

    async def answering(value: bool) -> None:
        try:
            await durable.answer("r", value)
        except InvalidArgument:
            return
        told.append(value)

    for head_start in range(15):
        [(key, question)] = await store.scan("_questions")
        told.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answering, True)
            for _ in range(head_start):
                await trio.lowlevel.checkpoint()
            nursery.start_soon(answering, False)
        assert len(told) == 1
        [(_, kept)] = await store.scan("_answers")
        assert json.loads(kept)[0] is told[0]
        await InMemoryStore.batch(store, [Put("_questions", key, question)])
        await store.delete("_answers", key)


def two_and_a_sleep() -> Generator[Any, Any, Any]:
    """A plan that asks twice at the same time, and does not wait for answers alone."""
    return (yield from parallel(ask("Who?"), ask("What?"), Sleep(60)))


async def test_one_of_two_questions_is_answered_where_the_store_waits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """While the run looks for the answers of both."""
    assert autojump_clock.rate == 0
    store = Slow()
    durable = Durable(store)
    answers: list[Any] = []

    async def performing() -> None:
        answers.append(await durable.run("r", two_and_a_sleep, handlers=ambient))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(performing)
        await trio.sleep(1)
        await durable.answer("r", "felix", question="Who?")
        await trio.sleep(1)
        await durable.answer("r", "cats", question="What?")
    assert answers == [("felix", "cats", None)]


def asking_on(n: int) -> Generator[Any, Any, int]:
    """A plan that asks, and continues as new."""
    yield from ask(f"Question {n}?")
    return n if n == 3 else (yield from continue_as_new(asking_on, n + 1))


async def test_answers_do_not_pile_up() -> None:
    """A run without end keeps those of its present generation."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    with pytest.raises(RunSuspended):
        await durable.run("r", asking_on, 0, handlers=world.handlers)
    for _ in range(3):
        await durable.answer("r", "so")
        with pytest.raises(RunSuspended):
            await durable.resume("r", handlers=world.handlers)
        assert await store.scan("_answers") == []
    await durable.answer("r", "so")
    assert await durable.resume("r", handlers=world.handlers) == 3


async def test_a_journal_with_a_gap_is_removed() -> None:
    """There is one where an effect was repeated since somebody changed what it had looked at."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    await durable.run("r", plans.in_turn, 2, handlers=world.handlers)
    [*_, (key, data)] = await store.scan("_j")
    await store.put("_j", key[:-1] + "9", data)
    await durable.forget("r")
    assert await left(store) == []


async def test_a_run_that_ends_meanwhile_is_not_cancelled() -> None:
    """Nor is the next one of this id."""
    ended = InMemoryStore()
    await Durable(ended).run("r", plans.in_turn, 2, handlers=World(ended).handlers)
    [(_, header)] = await ended.scan("_runs")

    class Ending(InMemoryStore):
        async def batch(self, changes: Sequence[Change]) -> bool:
            if any(change.namespace == "_cancels" for change in changes):
                await super().batch([Put("_runs", "r", header)])
            return await super().batch(changes)

    store = Ending()
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 1, "r", plans.in_turn, 2)
    await durable.cancel("r")
    assert await store.scan("_cancels") == []


async def test_a_run_is_forgotten_by_force() -> None:
    """One that has not ended and cannot be resumed, with all that belongs to it."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    with pytest.raises(RunSuspended):
        await durable.run("r", plans.approval, "it", handlers=world.handlers)
    await durable.cancel("r")
    with pytest.raises(RunInUse, match="`force=True`"):
        await durable.forget("r")
    assert (await durable.info("r")).status == "suspended"
    await durable.forget("r", force=True)
    assert await left(store) == []
    with pytest.raises(UnknownRun):
        await durable.forget("r", force=True)


async def test_a_run_that_is_performed_is_not_forgotten() -> None:
    """Not even by force."""
    store = InMemoryStore()
    world, durable = World(store), Durable(store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: durable.run("r", plans.cleaning_up, handlers=world.handlers))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(RunInUse, match="performed by this process"):
            await durable.forget("r", force=True)
        nursery.cancel_scope.cancel()
    await durable.forget("r", force=True)
    assert await left(store) == []


async def test_whoever_dies_while_forgetting_leaves_no_run_to_be_resumed() -> None:
    """Of half a journal the rest would be done once more."""

    class Dying(InMemoryStore):
        dies = False

        async def batch(self, changes: Sequence[Change]) -> bool:
            if self.dies and any(change.namespace == "_j" for change in changes):
                raise OSError("died")
            return await super().batch(changes)

    store = Dying()
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 2, "r", plans.in_turn, 3)
    store.dies = True
    with pytest.raises(OSError, match="died"):
        await durable.forget("r", force=True)
    store.dies = False
    assert (await durable.info("r")).status == "cancelled"
    await durable.forget("r")
    assert await left(store) == []
