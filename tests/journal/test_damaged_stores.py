"""Stores of which a part cannot be read or was lost: no run takes over another, and the rest goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import durable_plans as plans
import pytest
import trio
from durable_plans import World, interrupted_at

from lambdacat_effects import Durable, Err
from lambdacat_effects.errors import JournalUnreadable, RunCancelled, RunSuspended
from lambdacat_effects.journal.keys import run_number
from lambdacat_effects.storage import InMemoryStore, JsonStore


async def suspended(durable: Durable, world: World, run_id: str) -> None:
    with pytest.raises(RunSuspended):
        await durable.run(run_id, plans.approval, run_id, handlers=world.handlers)


# The counter of runs


@pytest.mark.parametrize("lost", ["the counter", "the counter and a header"])
async def test_without_the_counter_no_run_takes_over_a_journal(lost: str) -> None:
    """A new run is asked for its approval itself, and the other one keeps the answer that it got."""
    store = InMemoryStore()
    durable, world = Durable(store), World(store)
    await suspended(durable, world, "r")
    before = dict(await store.scan("_j"))
    await store.delete("_numbers", "runs")
    if lost == "the counter and a header":
        await store.delete("_runs", "r")
    await suspended(durable, world, "s")
    after = dict(await store.scan("_j"))
    assert before.items() <= after.items()
    assert len({run_number(key) for key in after}) == 2


async def test_without_the_counter_numbers_that_were_taken_are_left_out() -> None:
    """A process takes several at once, and begins their runs later."""
    store = InMemoryStore()
    durable, world = Durable(store), World(store)
    for run_id in "abcd":
        await suspended(durable, world, run_id)
    await store.delete("_numbers", "runs")
    await suspended(Durable(store), world, "e")
    for run_id in "fghijklm":
        await suspended(durable, world, run_id)
    assert len({run_number(key) for key, _ in await store.scan("_j")}) == 13


async def test_a_store_without_runs_begins_with_the_first_number() -> None:
    """Nothing was lost there."""
    store = InMemoryStore()
    await suspended(Durable(store), World(store), "r")
    assert [run_number(key) for key, _ in await store.scan("_j")] == ["1"]


# Parts of another run


@pytest.mark.parametrize("space", ["_j", "_questions", "_answers"])
async def test_what_another_run_has_written_is_refused(space: str) -> None:
    """A record, a question and an answer are of one run."""
    store = InMemoryStore()
    durable, world = Durable(store), World(store)
    for run_id in ("r", "s"):
        await suspended(durable, world, run_id)
    if space == "_answers":
        for run_id in ("r", "s"):
            await durable.answer(run_id, True)
    (_, theirs), (key, _) = await store.scan(space)
    await store.put(space, key, theirs)
    resume = partial(durable.resume, "s", handlers=world.handlers)
    answer = partial(durable.answer, "s", True)
    with pytest.raises(JournalUnreadable, match=r"of the run 's' cannot be read .*checksum"):
        await (answer if space == "_questions" else resume)()


# Files of a JSON store that were cut off


FILES: dict[str, Callable[[Path], Path]] = {
    "the header": lambda folder: folder / "_runs" / "r.json",
    "a question": lambda folder: next((folder / "_questions").glob("r*.json")),
    "a record": lambda folder: min((folder / "_j").glob("1.*.json")),
    "the lease": lambda folder: folder / "_leases" / "r.json",
    "the fence": lambda folder: folder / "_fences" / "r.json",
}


@pytest.fixture
async def cut_off(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """A store with a file of the run "r" that is cut off, and another run that was interrupted."""
    store = JsonStore(tmp_path)
    durable, world = Durable(store), World(store)
    await suspended(durable, world, "r")
    await interrupted_at(durable, world, 2, "other", plans.in_turn, 2)
    if request.param == "the lease":
        await store.put("_leases", "r", b"{}")
    os.truncate(FILES[request.param](tmp_path), 20)
    return durable, world


@pytest.mark.parametrize("cut_off", FILES, indirect=True)
async def test_a_file_that_is_cut_off_concerns_one_run(cut_off: Any, tmp_path: Path) -> None:
    """The others are listed and resumed; this one is listed, tells why it cannot go on, and can be forgotten."""
    durable, world = cut_off
    infos = {info.run_id: info for info in await durable.runs()}
    assert infos.keys() == {"r", "other"}
    assert infos["other"].status == "interrupted"
    with pytest.raises(JournalUnreadable, match=r"cannot be read.*from a backup"):
        await durable.resume("r", handlers=world.handlers)
    outcomes = await durable.resume_all(handlers=world.handlers)
    assert outcomes["other"].unwrap() == ["got item 0", "got item 1"]
    if "r" in outcomes:
        assert isinstance(outcomes["r"], Err)
        assert isinstance(outcomes["r"].error, JournalUnreadable)
    await durable.forget("r", force=True)
    assert [*tmp_path.glob("_*/r%*.json"), *tmp_path.glob("_*/r.json"), *tmp_path.glob("_j/1.*")] == []
    assert [info.run_id for info in await durable.runs()] == ["other"]
    assert await durable.compact() == 2


@pytest.mark.parametrize("cut_off", ["the header", "the lease"], indirect=True)
async def test_a_header_or_a_lease_that_is_cut_off_is_listed(cut_off: Any) -> None:
    """As unreadable, with the file that is damaged."""
    durable, _ = cut_off
    [info] = [info for info in await durable.runs() if info.run_id == "r"]
    assert info.status == "unreadable"
    assert "r.json' cannot be read" in str(info.problem)


async def test_an_answer_that_is_cut_off_does_not_end_its_run(tmp_path: Path) -> None:
    """Nor is it the answer of the effect: the run goes on once the file is back."""
    store = JsonStore(tmp_path)
    durable, world = Durable(store), World(store)
    await suspended(durable, world, "r")
    await durable.answer("r", True)
    [file] = (tmp_path / "_answers").iterdir()
    whole = file.read_bytes()
    os.truncate(file, 10)
    with pytest.raises(JournalUnreadable, match=r"_answers.*cannot be read"):
        await durable.resume("r", handlers=world.handlers)
    assert (await durable.info("r")).status == "interrupted"
    file.write_bytes(whole)
    await durable.resume("r", handlers=world.handlers)
    assert (await durable.info("r")).status == "succeeded"


async def test_a_wish_to_cancel_that_is_cut_off_is_one(tmp_path: Path) -> None:
    """That it is there says all."""
    store = JsonStore(tmp_path)
    durable, world = Durable(store), World(store)
    await suspended(durable, world, "r")
    await durable.cancel("r")
    os.truncate(tmp_path / "_cancels" / "r.json", 10)
    assert len(await durable.runs()) == 1
    with pytest.raises(RunCancelled):
        await durable.resume("r", handlers=world.handlers)


async def test_nobody_is_told_to_remove_what_was_answered(tmp_path: Path) -> None:
    """Without the file of a record its effect would be performed again."""
    store = JsonStore(tmp_path)
    durable, world = Durable(store), World(store)
    with trio.CancelScope() as scope:
        world.stop_at, world.how = 2, scope.cancel
        await durable.run("r", plans.in_turn, 2, handlers=world.handlers)
    os.truncate(min((tmp_path / "_j").glob("*.json")), 20)
    with pytest.raises(JournalUnreadable, match=r"Do not remove it.*forget\(id, force=True\)"):
        await durable.resume("r", handlers=world.handlers)
