"""A store in an SQLite database: its thread, its neighbours, and what they may do to it."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from store_engines import in_another_process

from lambdacat_effects.errors import InvalidArgument, LimitExceeded, StoreUnusable
from lambdacat_effects.storage import Delete, Expect, Put, SqliteStore
from lambdacat_effects.storage.sqlite_connection import SqliteConnection
from lambdacat_effects.storage.sqlite_thread import Job


def commits(path: Path) -> int:
    """How many transactions have written to it since its log began."""
    log = Path(f"{path}-wal").read_bytes()
    page = int.from_bytes(log[8:12], "big")
    headers = [log[at : at + 24] for at in range(32, len(log) - 24 + 1, 24 + page)]
    salt = log[16:24]
    return sum(int.from_bytes(h[4:8], "big") > 0 for h in headers if h[8:16] == salt)


async def test_what_is_queued_meanwhile_is_one_transaction(tmp_path: Path) -> None:
    """While another process writes, ours queue up; then the disk is waited for once."""
    path = tmp_path / "store.db"
    async with SqliteStore(path) as store:
        await store.put("n", "first", b"")
        before = commits(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.put, "n", "waits", b"")
                await trio.testing.wait_all_tasks_blocked()
                for i in range(100):
                    nursery.start_soon(store.put, "n", str(i), b"x")
                await trio.testing.wait_all_tasks_blocked()
                other.execute("ROLLBACK")
        assert commits(path) - before <= 2
        assert len(await store.scan("n")) == 102


async def test_in_a_group_one_bad_item_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    found: dict[str, object] = {}

    async def put(store: SqliteStore, key: str, value: Any) -> None:
        try:
            await store.batch([Put("n", key, b"part"), Put("n", key, value)])
            found[key] = None
        except Exception as error:
            found[key] = type(error)

    async with SqliteStore(path, most_bytes=200_000) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(put, store, "waits", b"")
                await trio.testing.wait_all_tasks_blocked()
                for key, value in {
                    "a": b"1",
                    "large": bytes(300_000),
                    "b": b"2",
                    "odd": "text",
                    "c": b"",
                }.items():
                    nursery.start_soon(put, store, key, value)
                await trio.testing.wait_all_tasks_blocked()
                other.execute("ROLLBACK")
        assert found == {
            "waits": None, "a": None, "b": None, "c": None, "large": LimitExceeded, "odd": InvalidArgument
        }  # fmt: skip
        assert [key for key, _ in await store.scan("n")] == ["a", "b", "c", "waits"]


def test_what_ends_the_whole_transaction_fails_alone_too(tmp_path: Path) -> None:
    """One is more than the disk takes, which undoes the group: the others are made again, without it."""
    said = in_another_process(
        """
import resource, sqlite3, trio.testing
async def main():
    async with opened() as store:
        async def put(key, size):
            try:
                await store.put("n", key, os.urandom(size))
            except StoreUnusable:
                print("refused", key)
        await put("before", 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(put, "waits", 1)
            await trio.testing.wait_all_tasks_blocked()
            for key, size in {"a": 10, "large": 2 << 20, "b": 10}.items():
                nursery.start_soon(put, key, size)
            await trio.testing.wait_all_tasks_blocked()
            other.execute("ROLLBACK")
        other.close()
        print([key for key, _ in await store.scan("n")])
trio.run(main)
""",
        "sqlite",
        tmp_path / "store.db",
    )
    assert said.splitlines() == ["refused large", "['a', 'b', 'before', 'waits']"]


async def test_a_cancelled_writer_is_waited_for(tmp_path: Path) -> None:
    """Another process holds the lock. What has begun is made, and what has not is not."""
    path = tmp_path / "store.db"
    ended: list[str] = []
    async with SqliteStore(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:

                    @nursery.start_soon
                    async def write() -> None:
                        await store.put("n", "begun", b"")
                        ended.append("begun")
                        await store.put("n", "not begun", b"")

                    await trio.testing.wait_all_tasks_blocked()
                    scope.cancel()
                    with trio.CancelScope(shield=True):
                        await trio.testing.wait_all_tasks_blocked()
                        assert ended == []
                        other.execute("ROLLBACK")
            assert ended == ["begun"]
        assert await store.scan("n") == [("begun", b"")]


async def test_closing_does_first_what_is_queued(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with trio.open_nursery() as nursery:
            for i in range(5):
                nursery.start_soon(store.put, "n", str(i), b"")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(store.aclose)
            await trio.testing.wait_all_tasks_blocked()
            other.execute("ROLLBACK")
    async with SqliteStore(path) as again:
        assert len(await again.scan("n")) == 5


async def test_another_that_writes_for_too_long_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SqliteStore(path, wait=0.01) as store:
        await store.put("n", "k", b"1")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnusable, match=r"Another process wrote to it for 0\.01 s"):
                await store.put("n", "k", b"2")
            assert await store.get("n", "k") == b"1"  # readers do not wait for writers
        await store.put("n", "k", b"3")
        assert await store.get("n", "k") == b"3"


async def test_all_who_wait_for_another_are_told_at_once(tmp_path: Path) -> None:
    """Not one after the other, each after a time of its own."""
    path = tmp_path / "store.db"
    refused: list[str] = []
    async with SqliteStore(path, wait=0.5) as store:

        async def put(key: str) -> None:
            with pytest.raises(StoreUnusable, match="Another process wrote to it"):
                await store.put("n", key, b"")
            refused.append(key)

        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with trio.move_on_after(60) as soon:  # 100 s, if each waited for itself
                async with trio.open_nursery() as nursery:
                    for i in range(200):
                        nursery.start_soon(put, str(i))
        assert not soon.cancel_called
        assert len(refused) == 200
        await store.put("n", "k", b"")
        assert [key for key, _ in await store.scan("n")] == ["k"]


@pytest.mark.parametrize("wait", [-1, float("inf"), float("nan"), "1"])
def test_a_wait_is_a_number_of_seconds(tmp_path: Path, wait: Any) -> None:
    with pytest.raises(InvalidArgument, match="wait is a number of seconds"):
        SqliteStore(tmp_path / "store.db", wait=wait)


async def test_it_is_as_durable_as_it_says(tmp_path: Path) -> None:
    connection = SqliteConnection(str(tmp_path / "store.db"), wait=1, most_bytes=None)
    pragma = Job(lambda: [connection._number(name) for name in ("synchronous", "fullfsync")], writes=False)  # pyright: ignore
    connection.perform([pragma])
    assert pragma.outcome() == [2, 1]
    connection.close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_it_may_live_in_the_database_of_an_application(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as app:
        app.execute("CREATE TABLE cats (name TEXT)")
        app.execute("INSERT INTO cats VALUES ('Felix')")
        app.commit()
    async with SqliteStore(path) as store:
        await store.put("n", "é", b"1")
    with closing(sqlite3.connect(path)) as app:
        assert app.execute("SELECT name FROM cats").fetchall() == [("Felix",)]
        rows = app.execute("SELECT CAST(namespace AS TEXT), CAST(key AS TEXT), value FROM lambdacat_store_1")
        assert rows.fetchall() == [("n", "é", b"1")]


def test_a_table_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as app:
        app.execute("CREATE TABLE lambdacat_store_1 (name TEXT)")
    with pytest.raises(StoreUnusable, match="no such column"):
        SqliteStore(path)


def test_a_value_that_sqlite_does_not_take_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with SqliteStore(tmp_path / "store.db") as store:
            with pytest.raises(
                LimitExceeded, match=r"has 1,000,000,000 bytes, and SQLite takes 1,000,000,000"
            ):
                await store.put("n", "k", bytes(1_000_000_000))
            assert await store.scan("n") == []

    trio.run(main)


def test_a_file_that_is_empty_is_no_new_store(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    with pytest.raises(StoreUnusable, match="it does not begin as one"):
        SqliteStore(tmp_path / "store.db")
    assert (tmp_path / "store.db").read_bytes() == b""


def test_a_path_that_is_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "below"):
        with pytest.raises(StoreUnusable, match=f"the store '{path}' cannot be used"):
            SqliteStore(path)


def test_making_it_leaves_nothing_beside_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with SqliteStore(tmp_path / "some" / "store.db") as store:
            await store.put("n", "k", b"1")

    trio.run(main)
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["store.db"]


def test_a_log_that_is_lost_in_part_leaves_batches_whole(tmp_path: Path) -> None:
    """A crash leaves a log; whatever part of it the disk has kept, what is read is a prefix of what was written."""
    path = tmp_path / "store.db"
    in_another_process(
        """
async def main():
    store = opened()
    for i in range(6):
        await store.batch([Put("n", str(i), b"x" * 2000), Put("m", str(i), b"y" * 2000)])
    os._exit(0)
trio.run(main)
""",
        "sqlite",
        path,
    )
    log = Path(f"{path}-wal").read_bytes()
    assert len(log) > 20_000
    seen: set[int] = set()
    for size in [*range(0, len(log), len(log) // 60), len(log)]:
        copy = tmp_path / "copy"
        copy.mkdir()
        shutil.copy(path, copy / "store.db")
        (copy / "store.db-wal").write_bytes(log[:size])

        async def read(copy: Path = copy) -> int:
            async with SqliteStore(copy / "store.db") as store:
                n, m = await store.scan("n"), await store.scan("m")
                assert [key for key, _ in n] == [key for key, _ in m] == [str(i) for i in range(len(n))]
                return len(n)

        seen.add(trio.run(read))
        shutil.rmtree(copy)
    assert seen == set(range(7))


def test_a_forked_child_opens_its_own(tmp_path: Path) -> None:
    said = in_another_process(
        """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside a thread
store = opened()
trio.run(store.put, "n", "k", b"1")
child = os.fork()
if not child:
    for call in (lambda: trio.run(store.get, "n", "k"), lambda: trio.run(store.aclose)):
        try:
            call()
        except StoreUnusable as error:
            print(error, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert trio.run(store.get, "n", "k") == b"1"
trio.run(store.aclose)
""",
        "sqlite",
        tmp_path / "store.db",
    )
    assert "was opened before this process was forked" in said


def test_a_store_that_is_forgotten_ends_its_thread(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")

    def threads() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if path in thread.name]

    store = SqliteStore(path)
    trio.run(store.put, "n", "k", b"1")
    (thread,) = threads()
    del store
    gc.collect()
    thread.join(timeout=30)
    assert threads() == []


def test_a_crash_while_it_is_made_leaves_nothing_or_all(tmp_path: Path) -> None:
    """Its file appears under its name once it is whole: two who make it at once have one store."""
    path = tmp_path / "store.db"
    stores: Iterator[SqliteStore] = iter([SqliteStore(path), SqliteStore(path)])
    one, two = stores
    assert one.place == two.place

    async def main() -> None:
        async with one, two:
            assert await one.batch([Expect("n", "k", None), Put("n", "k", b"1")])
            assert not await two.batch([Expect("n", "k", None), Delete("n", "k")])

    trio.run(main)
    assert [name for name in os.listdir(tmp_path) if ".new-" in name] == []
    assert list(itertools.islice(tmp_path.iterdir(), 2)) == [path]
