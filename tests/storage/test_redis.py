"""A store in a server: what a network, a restart and a refusal do to it. The server is a real Valkey."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from store_engines import Valkey, valkey

from lambdacat_effects import lmdb_memory, recall, redis_memory, remember
from lambdacat_effects.errors import InvalidArgument, LimitExceeded, NotPure, StoreUnusable
from lambdacat_effects.storage import Delete, Expect, Put, RedisStore

# coredis does not close two of its own queues for each connection that it could not make.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Unclosed <MemoryObject:ResourceWarning"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in.*MemoryObject:pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Here, and not in some test where these are no longer ignored."""
    yield
    gc.collect()


@pytest.fixture
def server() -> Iterator[Valkey]:
    """One that a test may stop."""
    with tempfile.TemporaryDirectory(prefix="valkey-") as directory:
        own = Valkey(Path(directory))
        yield own
        own.stop()


def prefix(test: pytest.FixtureRequest) -> str:
    return f"{test.node.name}-{id(test)}".replace("[", "-").replace("]", "")


async def test_a_server_that_was_stopped_is_named_and_used_again_when_it_is_back(server: Valkey) -> None:
    """What was acknowledged is there again, as the server writes it down before it answers."""
    async with RedisStore(server.url) as store:
        await store.batch([Put("n", "k", b"kept"), Put("n", "l", b"kept")])
        await trio.to_thread.run_sync(server.stop)
        with pytest.raises(StoreUnusable, match=r"cannot be reached .*See that it is running") as caught:
            await store.get("n", "k")
        assert "known" not in str(caught.value)
        with pytest.raises(StoreUnusable, match="Whether the change was made is not known: look before"):
            await store.put("n", "k", b"lost")
        await trio.to_thread.run_sync(server.start)
        assert await store.scan("n") == [("k", b"kept"), ("l", b"kept")]
        await store.put("n", "k", b"new")
        assert await store.get("n", "k") == b"new"


async def test_a_connection_that_lay_idle_while_the_server_was_restarted_is_made_anew(server: Valkey) -> None:
    async with RedisStore(server.url) as store:
        await store.put("n", "k", b"kept")
        await trio.to_thread.run_sync(server.stop)
        await trio.to_thread.run_sync(server.start)
        assert await store.get("n", "k") == b"kept"


async def test_many_tasks_meet_a_restart_and_nothing_acknowledged_is_lost(server: Valkey) -> None:
    acknowledged: set[str] = set()
    async with RedisStore(server.url) as store:

        async def write(i: int) -> None:
            for step in range(30):
                try:
                    await store.batch([Put("n", f"{i}-{step}", b""), Put("m", f"{i}-{step}", b"")])
                except StoreUnusable:
                    continue
                acknowledged.add(f"{i}-{step}")

        async with trio.open_nursery() as nursery:
            for i in range(8):
                nursery.start_soon(write, i)
            while len(acknowledged) < 20:
                await trio.lowlevel.checkpoint()
            await trio.to_thread.run_sync(server.stop)
            await trio.to_thread.run_sync(server.start)
        n, m = dict(await store.scan("n")), dict(await store.scan("m"))
        assert set(n) == set(m)
        assert acknowledged <= set(n)


async def test_a_server_that_does_not_answer_in_time_is_named(request: pytest.FixtureRequest) -> None:
    listener = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener[0].socket.getsockname()[1]

    async def silent(stream: trio.SocketStream) -> None:
        async with stream:
            async for _ in stream:
                continue

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, silent, listener)
        store = RedisStore(f"redis://127.0.0.1:{port}", seconds=0.05)
        with pytest.raises(
            StoreUnusable, match=rf"redis://127\.0\.0\.1:{port}/0 cannot be used: it has not answered"
        ):
            await store.__aenter__()
        nursery.cancel_scope.cancel()


class Between:
    """Stands between a store and the server: passes on what is said, loses an answer, or is silent."""

    def __init__(self) -> None:
        self.silent = False
        self.loses_an_answer = False
        self.lost = 0

    async def listen(self, task_status: trio.TaskStatus[str]) -> None:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        task_status.started(f"redis://127.0.0.1:{listener.socket.getsockname()[1]}")
        await trio.serve_listeners(self._serve, [listener])

    async def _serve(self, store: trio.SocketStream) -> None:
        if self.silent:
            async with store:
                async for _ in store:
                    continue
            return
        async with store, await trio.open_unix_socket(valkey().url.removeprefix("unix://")) as server:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._pass_on, server, store, nursery.cancel_scope)
                    async for said in store:
                        self.losing = self.loses_an_answer and b"EVALSHA" in said
                        await server.send_all(said)
                    nursery.cancel_scope.cancel()

    async def _pass_on(
        self, server: trio.SocketStream, store: trio.SocketStream, scope: trio.CancelScope
    ) -> None:
        async for said in server:
            if self.losing:
                self.loses_an_answer = self.losing = False
                self.lost += 1
                scope.cancel()
            await store.send_all(said)

    losing = False


@pytest.fixture
async def between(nursery: trio.Nursery) -> tuple[Between, str]:
    someone = Between()
    return someone, await nursery.start(someone.listen)


async def test_a_change_whose_answer_is_lost_is_not_made_twice(
    between: tuple[Between, str], request: pytest.FixtureRequest
) -> None:
    """It was made, which nobody can know: made again, this one would answer that somebody else had been faster."""
    someone, url = between
    async with RedisStore(url, prefix=prefix(request)) as store:
        await store.put("n", "other", b"")
        someone.loses_an_answer = True
        with pytest.raises(StoreUnusable, match="Whether the change was made is not known"):
            await store.compare_and_swap("n", "k", None, b"1")
        assert await store.get("n", "k") == b"1"
        assert someone.lost == 1


async def test_what_was_read_and_lost_is_read_again(
    between: tuple[Between, str], request: pytest.FixtureRequest
) -> None:
    someone, url = between
    async with RedisStore(url, prefix=prefix(request)) as store:
        await store.put("n", "k", b"1")
        assert await store.get("n", "k") == b"1"
        someone.loses_an_answer = True
        assert await store.get("n", "k") == b"1"
        assert someone.lost == 1


async def test_a_server_that_was_silent_for_long_is_used_again(between: tuple[Between, str]) -> None:
    """After more calls were given up than there are connections."""
    someone, url = between
    store = RedisStore(url, seconds=0.05)
    someone.silent = True
    for _ in range(10):
        with pytest.raises(StoreUnusable, match=r"has not answered within 0\.05 s"):
            await store.put("n", "k", b"1")
    someone.silent = False
    patient = RedisStore(url)
    await patient.put("n", "patient", b"1")
    await patient.aclose()
    store._client._seconds = 30
    assert await store.get("n", "patient") == b"1"
    await store.delete("n", "patient")
    await store.aclose()


async def test_a_cancelled_change_that_was_sent_is_waited_for(request: pytest.FixtureRequest) -> None:
    """The server holds changes back for a while: the task ends once its change is made."""
    ended: list[str] = []
    async with RedisStore(valkey().url, prefix=prefix(request)) as store:
        await store.put("n", "before", b"1")
        server = await trio.open_unix_socket(valkey().url.removeprefix("unix://"))
        async with server:
            await server.send_all(b"CLIENT PAUSE 60000 WRITE\r\n")
            assert await server.receive_some() == b"+OK\r\n"
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def write() -> None:
                    await store.put("n", "k", b"1")
                    ended.append("made")

                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await trio.testing.wait_all_tasks_blocked()
                    assert ended == []
                    await server.send_all(b"CLIENT UNPAUSE\r\n")
                    assert await server.receive_some() == b"+OK\r\n"
        assert ended == ["made"]
        assert await store.get("n", "k") == b"1"


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/3", "unix:///no/such/socket"])
async def test_a_server_that_is_not_there_fails_at_opening(url: str) -> None:
    with pytest.raises(StoreUnusable, match="cannot be reached"):
        async with RedisStore(url):
            raise AssertionError("it was opened")


async def test_what_the_server_refuses_is_told_and_passwords_are_not() -> None:
    url = valkey().url.replace("unix://", "unix://somebody:secret@")
    with pytest.raises(StoreUnusable) as caught:
        async with RedisStore(url):
            raise AssertionError("it was opened")
    assert "secret" not in str(caught.value)
    assert RedisStore("redis://somebody:secret@host/2").place == ("redis", "redis://host:6379/2", "lambdacat")


@pytest.mark.parametrize(
    "url", ["", "localhost", "http://host", "redis://", "redis://host:x", "redis://host/a", None, 3]
)
def test_an_address_is_of_a_server(url: Any) -> None:
    with pytest.raises(InvalidArgument, match="an address is 'redis://host:6379/0'"):
        RedisStore(url)


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"prefix": ""}, "a prefix has letters"),
        ({"prefix": "a:b"}, "a prefix has letters"),
        ({"seconds": 0}, "seconds is a positive number"),
        ({"seconds": float("inf")}, "seconds is a positive number"),
    ],
)
def test_options_are_checked(option: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        RedisStore("redis://host", **option)


async def test_prefixes_are_apart(request: pytest.FixtureRequest) -> None:
    name = prefix(request)
    async with (
        RedisStore(valkey().url, prefix=name) as one,
        RedisStore(valkey().url, prefix=name + "b") as two,
    ):
        await one.put("n", "k", b"1")
        assert await two.get("n", "k") is None
        assert one.place != two.place
        assert (await one.size(), await two.size()) == (2, 0)


async def test_its_size_is_exact(request: pytest.FixtureRequest) -> None:
    """However keys come and go within a batch."""
    async with RedisStore(valkey().url, prefix=prefix(request)) as store:
        await store.batch(
            [Put("n", "kk", b"123"), Put("n", "kk", b"1"), Put("n", "l", b""), Delete("n", "l")]
        )
        assert await store.size() == 3
        await store.batch([Delete("n", "kk"), Delete("n", "kk"), Put("é", "é", b"1"), Delete("é", "none")])
        assert await store.size() == 3
        assert not await store.batch([Expect("é", "é", b"2"), Delete("é", "é")])
        await store.delete("é", "é")
        assert await store.size() == 0


async def test_a_value_that_is_too_large_is_refused_before_it_is_sent() -> None:
    store = RedisStore("redis://127.0.0.1:1")
    with pytest.raises(LimitExceeded, match=r"has 536,870,913 bytes, and Redis takes 536,870,912"):
        await store.put("n", "k", bytes((512 << 20) + 1))


async def test_cancelled_again_and_again_it_goes_on(request: pytest.FixtureRequest) -> None:
    """Nothing keeps its place in the pool, and nobody gets another's answer."""
    async with RedisStore(valkey().url, prefix=prefix(request)) as store:
        for i in range(60):
            async with trio.open_nursery() as nursery:
                for j in range(10):
                    nursery.start_soon(store.put, "n", f"{i}-{j}", b"%d-%d" % (i, j))
                for _ in range(i % 6):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
        assert {key: value.decode() for key, value in await store.scan("n")} == {
            key: key for key, _ in await store.scan("n")
        }
        await store.put("n", "last", b"1")
        assert await store.get("n", "last") == b"1"


async def test_it_works_under_the_memory_of_plans(request: pytest.FixtureRequest) -> None:
    memory = redis_memory(valkey().url)
    key = prefix(request)
    await memory.run(remember("cats", key, {"lives": 9}))
    assert await memory.run(recall("cats", key, as_type=dict[str, int])) == {"lives": 9}


def test_without_an_event_loop_there_is_no_network() -> None:
    with pytest.raises(NotPure, match="is across a network"):
        redis_memory(valkey().url).run_pure(recall("n", "k", as_type=int))


@pytest.mark.parametrize("url", [None, "", "localhost"])
def test_redis_memory_takes_an_address(url: Any) -> None:
    with pytest.raises(InvalidArgument, match="redis_memory takes the address of a server"):
        redis_memory(url)


def test_without_coredis_the_rest_goes_on(tmp_path: Path) -> None:
    script = f"""
import sys
sys.modules["coredis"] = None
import trio
from lambdacat_effects import lmdb_memory, redis_memory, remember
trio.run(lmdb_memory({str(tmp_path)!r}).run, remember("n", "k", 1))
try:
    trio.run(redis_memory("redis://localhost").run, remember("n", "k", 1))
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert "pip install lambdacat-effects[redis]" in done.stdout
    assert lmdb_memory(tmp_path).run_pure(recall("n", "k", as_type=int)) == 1
