"""Memory, beliefs and the journal of durable runs in one store: one place, one transaction, names apart."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import one_store_agent as agent
import pytest
import trio

from lambdacat_effects import (
    Await,
    Durable,
    Handler,
    Memory,
    Plan,
    Resource,
    ambient,
    ask,
    belief,
    held_beliefs,
    json_beliefs,
    json_memory,
    lmdb_beliefs,
    lmdb_memory,
    observe,
    recall,
    redis_beliefs,
    remember,
    search_memory,
    sqlite_beliefs,
    sqlite_memory,
    store_beliefs,
    store_memory,
)
from lambdacat_effects.errors import InvalidArgument, RunSuspended
from lambdacat_effects.storage import InMemoryStore, JsonStore, LmdbStore, SqliteStore, Store
from lambdacat_effects.testing import crash_sweep

ENGINES: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[[Path], Store]]] = {
    "lmdb": (lmdb_memory, lmdb_beliefs, LmdbStore),
    "sqlite": (sqlite_memory, sqlite_beliefs, SqliteStore),
    "json": (json_memory, json_beliefs, JsonStore),
}


# One place


def looking(store: Store, early: list[bool]) -> Handler[agent.Sight]:
    """Counts sightings, and looks each time whether the store has them before the effect is answered."""

    def sighted(sight: agent.Sight) -> Any:
        answer = yield from agent.sighted(sight)
        found = yield from Await(store.get, ("sightings", sight.place))
        early.append(found is not None and int(found) == answer)
        return answer

    return agent.Sight.by(sighted)


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_an_effect_changes_is_committed_with_its_journal_entry(
    engine: str, tmp_path: Path
) -> None:
    """Handlers that opened the place by its path share the transaction of a journal that was given a store."""
    memory, beliefs, make = ENGINES[engine]
    path, early = tmp_path / "state", list[bool]()
    async with make(path) as store:
        handlers = looking(store, early) | memory(path) | beliefs(path)
        assert await Durable(store).run("r", agent.watch, handlers=handlers) == [2, 2, 4.0]
        assert set(early) == {False}
        assert await store.get("sightings", "the sofa") == b"2"


async def test_in_another_store_it_is_committed_by_itself(tmp_path: Path) -> None:
    """The check above can fail."""
    early: list[bool] = []
    async with LmdbStore(tmp_path / "memory") as store:
        handlers = looking(store, early) | store_memory(store) | store_beliefs(store)
        await Durable(tmp_path / "journal").run("r", agent.watch, handlers=handlers)
        assert set(early) == {True}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
async def test_the_order_of_opening_and_the_spelling_of_the_path_do_not_matter(
    order: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By paths alone, one of them relative and one through a link."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("state")
    os.symlink("state", "link")
    memory, beliefs, durable = lmdb_memory("state"), lmdb_beliefs("link"), Durable(tmp_path / "state")
    async with AsyncExitStack() as stack:
        for which in order:
            await stack.enter_async_context((memory, beliefs, durable)[which])
        store, early = LmdbStore("state"), list[bool]()
        await stack.enter_async_context(store)
        await durable.run("r", agent.watch, handlers=looking(store, early) | memory | beliefs)
        assert set(early) == {False}
    assert (await lmdb_beliefs(tmp_path / "state").run(belief("there is a cat"))).log_odds == 4.0


# Exactly once


def test_changes_happen_once_wherever_a_simulated_process_dies() -> None:
    """Also a second time, while the run recovers; an effect that was performed twice would have counted twice."""

    def handlers(store: Store) -> Handler[Any]:
        return agent.counting | store_memory(store) | store_beliefs(store)

    assert crash_sweep(agent.watch, handlers=handlers, twice=True).deaths > 20


def lives(path: Path, memory: Path, when: str) -> tuple[int, str]:
    """Let the process die by `kill -9` at its first commit, then at the second of its next life, and so on, until
    the run has ended; answers how often it died, and what the run came to."""
    for deaths in range(60):
        command = [sys.executable, agent.__file__, str(path), str(memory), str(deaths + 1), when]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode != -9:
            assert (done.returncode, done.stderr) == (0, "")
            return deaths, done.stdout.strip()
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize("when", ["before", "after"])
def test_changes_happen_once_however_often_the_process_is_killed(when: str, tmp_path: Path) -> None:
    """At each of its lives it gets a little further."""
    deaths, answer = lives(tmp_path, tmp_path, when)
    assert deaths >= 3
    assert answer == "[2, 2, 4.0]"
    assert trio.run(lmdb_memory(tmp_path).run, recall("sightings", "the window", as_type=int)) == 2


def test_changes_to_another_store_may_happen_twice(tmp_path: Path) -> None:
    """The check above can fail."""
    (tmp_path / "memory").mkdir()
    deaths, answer = lives(tmp_path / "journal", tmp_path / "memory", "before")
    assert deaths >= 3
    assert answer != "[2, 2, 4.0]"


# Names apart

JOURNALS = ("runs", "j", "fences", "leases", "answers", "questions", "cancels", "numbers", "beliefs")


def remembering() -> Plan[Any, int]:
    """Memory under every name that a journal might have."""
    for name in JOURNALS:
        yield from remember(name, "r", [name])
        yield from remember(name, "runs", 7)
    yield from observe("it rains", 1.0, source="radar")
    answer: int = yield from ask("How many?", as_type=int)
    found = yield from search_memory("answers", as_type=object)
    return answer + len(found)


async def test_memory_takes_any_name_and_disturbs_neither_runs_nor_beliefs() -> None:
    store = InMemoryStore()
    durable, handlers = Durable(store), store_memory(store) | store_beliefs(store)
    with pytest.raises(RunSuspended):
        await durable.run("r", remembering, handlers=handlers)
    await durable.answer("r", 40)
    assert await durable.resume("r", handlers=handlers) == 42
    assert [info.status for info in await durable.runs()] == ["succeeded"]
    assert list(await handlers.run(held_beliefs())) == ["it rains"]
    await durable.forget("r")
    for name in JOURNALS:
        assert await handlers.run(search_memory(name, as_type=object)) == [("r", [name]), ("runs", 7)]


def test_names_of_the_library_are_refused() -> None:
    for wrong in (
        lambda: remember("_runs", "r", 1),
        lambda: recall("_beliefs", "it rains", as_type=int),
        lambda: search_memory("_", as_type=int),
        lambda: store_beliefs(InMemoryStore(), namespace="_runs"),
    ):
        with pytest.raises(InvalidArgument, match="does not begin with '_'"):
            wrong()


# What memory and beliefs are kept in


@pytest.mark.parametrize("engine", ENGINES)
async def test_beliefs_are_kept_at_a_path(engine: str, tmp_path: Path) -> None:
    _, beliefs, _ = ENGINES[engine]
    await beliefs(tmp_path / "state").run(observe("it rains", 2.0, source="radar"))
    assert (await beliefs(str(tmp_path / "state"), limit=1.5).run(belief("it rains"))).log_odds == 1.5
    other = beliefs(tmp_path / "state", namespace="another agent")
    assert (await other.run(belief("it rains"))).sources == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_path_is_what_names_a_place(engine: str) -> None:
    with pytest.raises(
        InvalidArgument, match=rf"{engine}_beliefs takes the path of a (directory|file); got ''"
    ):
        ENGINES[engine][1]("")


def test_a_server_is_named_by_its_address() -> None:
    with pytest.raises(InvalidArgument, match="redis_beliefs takes the address of a server"):
        redis_beliefs("localhost")


async def test_memory_opens_a_resource_of_a_store(tmp_path: Path) -> None:
    """As beliefs do; `run` opens and closes it."""
    shared = Resource("the store", lambda: LmdbStore(tmp_path))
    handlers: Handler[Memory | Any] = store_memory(shared) | store_beliefs(shared)
    await handlers.run(remember("cats", "lives", 9))
    assert await handlers.run(recall("cats", "lives", as_type=int)) == 9
    assert await ambient.run(lmdb_memory(tmp_path).handle(recall("cats", "lives", as_type=int))) == 9


# What the documentation says


def test_the_agent_of_the_documentation_is_killed_and_resumed(tmp_path: Path) -> None:
    """Its text is in docs/storage.md."""
    page = (Path(__file__).parents[2] / "docs" / "storage.md").read_text()
    [program] = [
        block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def watch(" in block
    ]
    (tmp_path / "watcher.py").write_text(program)
    command = [sys.executable, "watcher.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["looking at sofa\n", "looking at window\n"]
        process.kill()
    again = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    said = "looking at window\nlooking at roof\n2 cats, with probability 0.92\n"
    assert (again.stdout, again.stderr) == (said, "")
    assert said in page
