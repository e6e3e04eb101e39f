"""Commits in the event loop's own thread: only where that holds nobody up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb
import trio

from lambdacat_effects.storage import LmdbStore
from lambdacat_effects.storage.lmdb_environment import Environment
from lambdacat_effects.storage.lmdb_tempo import Tempo


class Task:
    """Stands for a task."""


def quick(tempo: Tempo, commits: int = 60) -> Tempo:
    for number in range(commits):
        tempo.took(0.0002)
        tempo.committed(number)
    return tempo


def test_one_task_that_writes_step_after_step_commits_at_once() -> None:
    """After its first steps, as soon as commits are known to be quick."""
    tempo, task = Tempo(), Task()
    assert not any(tempo.suits(task) for _ in range(5))
    quick(tempo)
    assert tempo.suits(task)


def test_tasks_in_turn_do_not() -> None:
    """Their changes are committed together."""
    tempo, tasks = quick(Tempo()), [Task(), Task()]
    assert not any(tempo.suits(task) for _ in range(5) for task in tasks)


def test_a_slow_commit_sends_the_next_ones_away() -> None:
    """For as long as it takes to trust the disk again."""
    tempo, task = quick(Tempo()), Task()
    assert [tempo.suits(task) for _ in range(3)] == [False, False, True]
    tempo.took(0.02)
    assert not tempo.suits(task)
    tempo.took(0.0002)
    assert not tempo.suits(task)
    quick(tempo)
    assert tempo.suits(task)


def test_so_does_another_process_that_writes() -> None:
    """Its transactions are missing among one's own."""
    tempo, task = quick(Tempo()), Task()
    assert [tempo.suits(task) for _ in range(3)][-1]
    tempo.committed(1000)
    assert not tempo.suits(task)


@contextmanager
def threads_that_commit(commit: Any = Environment.commit) -> Iterator[list[int]]:
    found: list[int] = []

    def watched(self: Environment, group: Any) -> None:
        found.append(threading.get_ident())
        commit(self, group)

    Environment.commit = watched  # type: ignore[method-assign]
    try:
        yield found
    finally:
        Environment.commit = commit  # type: ignore[method-assign]


async def test_the_store_does_as_told(tmp_path: Path) -> None:
    """At once for a task alone, in the thread for tasks that write together; and all of it is there."""
    with threads_that_commit() as threads:
        async with LmdbStore(tmp_path) as store:
            environment = store._open  # pyright: ignore[reportPrivateUsage]
            for n in range(5):
                quick(environment.tempo)  # whatever the disk has just been doing
                await store.put("alone", str(n), b"")
            assert threading.get_ident() in threads
            threads.clear()
            async with trio.open_nursery() as nursery:
                for n in range(50):
                    nursery.start_soon(store.put, "together", str(n), b"")
            assert threading.get_ident() not in threads
            assert len(threads) < 50
    async with LmdbStore(tmp_path) as store:
        assert (5, 50) == (len(await store.scan("alone")), len(await store.scan("together")))


async def test_another_writer_is_seen(tmp_path: Path) -> None:
    """Whoever it is: LMDB numbers the transactions of all."""
    async with LmdbStore(tmp_path) as store:
        environment = store._open  # pyright: ignore[reportPrivateUsage]
        await store.put("a", "a", b"")
        quick(environment.tempo, 60)
        environment.tempo._last_number = None  # pyright: ignore[reportPrivateUsage]
        await store.put("a", "b", b"")
        with environment._lmdb.begin(write=True) as txn:  # pyright: ignore[reportPrivateUsage]
            assert isinstance(txn, lmdb.Transaction)
            txn.put(b"\x7fforeign", b"")
        await store.put("a", "c", b"")
        task = trio.lowlevel.current_task()
        assert not any(environment.tempo.suits(task) for _ in range(5))
