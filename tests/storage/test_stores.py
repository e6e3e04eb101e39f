"""One suite for every Store: the laws that users can check on theirs, and what needs more than one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from store_engines import LASTING, MAKES, ON_DISK, command, files_of, fresh_path, in_another_process, valkey

from lambdacat_effects.errors import InvalidArgument, LimitExceeded, ResourceNotOpen, StoreUnusable
from lambdacat_effects.storage import Delete, Expect, InMemoryStore, Put, Store
from lambdacat_effects.testing import laws

MIB = 1 << 20
LAWS = [
    pytest.param(law, id=f"{name}-{law}")
    for name, make in MAKES.items()
    for law in laws.store_laws(make, lasting=name in LASTING)
]
engines = pytest.mark.parametrize("engine", MAKES)
lasting = pytest.mark.parametrize("engine", LASTING)
on_disk = pytest.mark.parametrize("engine", ON_DISK)


@pytest.mark.parametrize("law", LAWS)
def test_every_engine_obeys_every_law(law: laws.Law) -> None:
    law.check()


# Hypothesis

names = st.one_of(
    st.text(max_size=4),
    st.text("ab", max_size=3).map(lambda tail: "a" * 478 + tail),
    st.text("ab", max_size=2).map(lambda tail: "é" * 300 + tail),
)
places = st.tuples(st.sampled_from(["", "n", "m" * 200]), names)
values = st.one_of(
    st.binary(max_size=20), st.sampled_from([b'{"a": [1]}', b'"\xc3\xa9"', b"1e400", b"[[[[]]]]"])
)
changes = st.one_of(
    st.builds(lambda p, v: Put(*p, v), places, values),
    st.builds(lambda p: Delete(*p), places),
    st.builds(lambda p, v: Expect(*p, v), places, st.none() | values),
)


class AMapping(RuleBasedStateMachine):
    """A store next to a dictionary."""

    engine: str

    @initialize()
    def open(self) -> None:
        self._path = fresh_path()
        self.path = self._path.__enter__()
        self.model: dict[tuple[str, str], bytes] = {}
        self.store = MAKES[self.engine](self.path)

    def do(self, method: str, *args: Any) -> Any:
        async def call() -> Any:
            return await getattr(self.store, method)(*args)

        return trio.run(call)

    @rule(place=places, value=values)
    def put(self, place: tuple[str, str], value: bytes) -> None:
        self.do("put", *place, value)
        self.model[place] = value

    @rule(place=places)
    def delete(self, place: tuple[str, str]) -> None:
        assert self.do("delete", *place) is (self.model.pop(place, None) is not None)

    @rule(place=places, expected=st.none() | values, value=st.none() | values)
    def swap(self, place: tuple[str, str], expected: bytes | None, value: bytes | None) -> None:
        met = self.model.get(place) == expected
        assert self.do("compare_and_swap", *place, expected, value) is met
        if met:
            self.model.pop(place, None)
            self.model.update({} if value is None else {place: value})

    @rule(batch=st.lists(changes, max_size=5))
    def make(self, batch: list[Put | Delete | Expect]) -> None:
        met = all(self.model.get(c[:2]) == c.value for c in batch if isinstance(c, Expect))
        assert self.do("batch", batch) is met
        for change in batch if met else ():
            if isinstance(change, Put):
                self.model[change[:2]] = change.value
            elif isinstance(change, Delete):
                self.model.pop(change[:2], None)

    @rule()
    def compact(self) -> None:
        self.do("compact")

    @rule()
    def reopen(self) -> None:
        if self.engine in LASTING:
            self.do("aclose")
            self.store = MAKES[self.engine](self.path)

    @rule(prefix=names)
    def scan(self, prefix: str) -> None:
        found = [i for i in self.of("n") if i[0].startswith(prefix)]
        assert self.do("scan", "n", prefix) == found

    @invariant()
    def same(self) -> None:
        for namespace in ("", "n", "m" * 200):
            assert self.do("scan", namespace) == self.of(namespace)

    def of(self, namespace: str) -> list[tuple[str, bytes]]:
        return sorted((k, v) for (n, k), v in self.model.items() if n == namespace)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.do("aclose")
            self._path.__exit__(None, None, None)


@engines
def test_a_store_is_a_mapping_from_places_to_values(engine: str) -> None:
    """Whatever is done to it, in whatever order, closed and opened again in between."""
    machine = type("AMapping", (AMapping,), {"engine": engine})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )


# Tasks


@engines
async def test_a_value_may_be_large(engine: str) -> None:
    large = os.urandom(MIB) * 6
    text = b'{"a":"' + b"x" * 3 * MIB + b'"}'
    with fresh_path() as path:
        async with MAKES[engine](path) as store:
            assert await store.batch([Put("n", "k" * 600, large), Put("n", "k", text)])
            assert await store.get("n", "k" * 600) == large
            assert [value == large for _, value in await store.scan("n")] == [False, True]
            assert await store.get("n", "k") == text
            assert await store.size() >= 9 * MIB
            before = await store.size()
            await store.delete("n", "k" * 600)
            await store.compact()
            assert await store.size() <= before - 5 * MIB
            assert await store.get("n", "k") == text


@engines
async def test_many_tasks_write_at_once_and_read_what_they_wrote(engine: str) -> None:
    with fresh_path() as path:
        async with MAKES[engine](path) as store:

            async def write(i: int) -> None:
                for step in range(3):
                    await store.put("n", str(i), b"%d" % step)
                    assert await store.get("n", str(i)) == b"%d" % step
                    assert (str(i), b"%d" % step) in await store.scan("n", str(i))

            async with trio.open_nursery() as nursery:
                for i in range(20):
                    nursery.start_soon(write, i)
            assert len(await store.scan("n")) == 20


@engines
async def test_nobody_sees_half_a_batch(engine: str) -> None:
    """Neither by one scan, nor by reading one key after the other in the order in which they are changed."""
    keys = [f"{i:02}" for i in range(40)]
    with fresh_path() as path:
        async with MAKES[engine](path) as store:
            await store.batch([Put("n", key, b"0") for key in keys])
            done = trio.Event()

            async def write() -> None:
                for i in range(1, 13):
                    await store.batch([Put("n", key, b"%d" % i) for key in keys])
                done.set()

            seen: list[int] = []

            async def read() -> None:
                while not done.is_set():
                    (found,) = {value for _, value in await store.scan("n")}
                    seen.append(int(found))
                    last = int(await store.get("n", keys[-1]) or 0)
                    assert int(await store.get("n", keys[0]) or 0) >= last
                    await trio.lowlevel.checkpoint()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                nursery.start_soon(write)
            assert seen == sorted(seen)


@lasting
async def test_one_may_open_a_store_and_another_task_close_it(engine: str) -> None:
    with fresh_path() as path:
        store = MAKES[engine](path)

        async def use() -> None:
            await store.__aenter__()
            await store.put("n", "k", b"1")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(use)
        assert await store.get("n", "k") == b"1"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.aclose)
        with pytest.raises(ResourceNotOpen, match="has been closed: open it again"):
            await store.get("n", "k")


@lasting
async def test_what_is_closed_while_cancelled_is_closed(engine: str) -> None:
    with fresh_path() as path:
        store = MAKES[engine](path)
        with trio.CancelScope() as scope:
            async with store:
                await store.put("n", "k", b"1")
                scope.cancel()
        async with MAKES[engine](path) as again:
            assert await again.get("n", "k") == b"1"


@lasting
def test_a_store_serves_event_loops_in_several_threads(engine: str) -> None:
    with fresh_path() as path:
        store = MAKES[engine](path)

        async def add() -> None:
            for _ in range(20):
                while True:
                    before = await store.get("n", "count")
                    after = b"%d" % (int(before or 0) + 1)
                    if await store.compare_and_swap("n", "count", before, after):
                        break

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(trio.to_thread.run_sync, trio.run, add)
            assert await store.get("n", "count") == b"60"
            await store.aclose()

        trio.run(main)


@on_disk
def test_without_an_event_loop_a_store_on_disk_blocks(engine: str) -> None:
    """As under `run_pure`: its methods end without having waited."""
    with fresh_path() as path:
        store = MAKES[engine](path)

        def finish(coroutine: Any) -> Any:
            with pytest.raises(StopIteration) as stop:
                coroutine.send(None)
            return stop.value.value

        finish(store.put("n", "k", b"1"))
        assert finish(store.get("n", "k")) == b"1"
        assert finish(store.scan("n")) == [("k", b"1")]
        assert finish(store.batch([Expect("n", "k", b"2"), Delete("n", "k")])) is False
        assert finish(store.delete("n", "k")) is True
        finish(store.aclose())


# Limits


@pytest.mark.parametrize("engine", ["lmdb", "json", "sqlite", "redis"])
async def test_a_store_does_not_outgrow_its_limit(engine: str) -> None:
    """What would, is refused whole; what makes it smaller, or no larger, is not."""
    with fresh_path() as path:
        async with MAKES[engine](path, most_bytes=400_000) as store:
            await store.put("n", "kept", b"x" * 100_000)
            with pytest.raises(LimitExceeded, match=r"would grow to .*most_bytes="):
                await store.batch([Put("n", "small", b"1"), Put("n", "large", b"x" * 600_000)])
            assert [key for key, _ in await store.scan("n")] == ["kept"]
            for _ in range(10):
                await store.put("n", "kept", os.urandom(50_000) * 2)
            await store.put("n", "kept", b"")
            assert await store.delete("n", "kept")
            await store.put("n", "other", b"x" * 100_000)


@pytest.mark.parametrize("engine", ["json", "sqlite", "redis"])
async def test_in_a_full_store_a_value_makes_way_for_one_that_is_no_larger(engine: str) -> None:
    with fresh_path() as path:
        async with MAKES[engine](path, most_bytes=100_000) as store:
            with suppress(LimitExceeded):
                for i in range(200):
                    await store.put("n", str(i), b"x" * 1_000)
            with pytest.raises(LimitExceeded):
                await store.put("n", "new", b"x" * 1_000)
            await store.put("n", "0", b"y" * 1_000)
            await store.put("n", "1", b"y" * 900)
            assert await store.get("n", "0") == b"y" * 1_000


@pytest.mark.parametrize("value", ["text", 5, None])
@pytest.mark.parametrize("engine", ["memory", "json", "lmdb", "sqlite", "redis"])
async def test_a_store_keeps_bytes_and_nothing_else(engine: str, value: Any) -> None:
    """Five zeros, say, where 5 was meant."""
    with fresh_path() as path:
        async with MAKES[engine](path) as store:
            with pytest.raises(InvalidArgument, match=r"a store keeps bytes; got .* for \('n', 'k'\)"):
                await store.batch([Put("n", "other", b"1"), Put("n", "k", value)])
            assert await store.scan("n") == []


@pytest.mark.parametrize("limit", [0, -1])
@pytest.mark.parametrize("engine", ["lmdb", "json", "sqlite", "redis"])
def test_a_limit_is_a_number_of_bytes(engine: str, limit: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"most_bytes is a number of bytes"):
        MAKES[engine](tmp_path / "store", most_bytes=limit)


# Processes


@lasting
def test_two_processes_at_once_lose_nothing(engine: str) -> None:
    """Each adds 1 fifty times, by compare-and-swap."""
    script = """
async def main():
    async with opened() as store:
        print("ready", flush=True)
        sys.stdin.readline()
        for i in range(50):
            await store.put("mine", f"{sys.argv[4]} {i}", b"")
            while True:
                before = await store.get("n", "count")
                if await store.compare_and_swap("n", "count", before, b"%d" % (int(before or 0) + 1)):
                    break
trio.run(main)
"""
    with fresh_path() as path:
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        both = [subprocess.Popen(command(script, engine, path, i), **pipes) for i in range(2)]
        for process in both:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        for process in both:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        assert [process.communicate()[1] for process in both] == [b"", b""]

        async def main() -> None:
            async with MAKES[engine](path) as store:
                assert await store.get("n", "count") == b"100"
                assert len(await store.scan("mine")) == 100

        trio.run(main)


@on_disk
def test_what_was_acknowledged_outlives_the_process_that_was_killed(engine: str) -> None:
    """Killed at some moment in the midst of writing: every key on the pipe is there, batches whole."""
    script = """
async def main():
    store = opened()
    i = 0
    while True:
        await store.batch([Put("a", str(i), b"x" * 3000), Put("b", str(i), b"y")])
        os.write(1, b"%d\\n" % i)
        i += 1
trio.run(main)
"""
    with fresh_path() as path:
        for lines in (1, 7, 20):
            with subprocess.Popen(command(script, engine, path), stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                read = [process.stdout.readline() for _ in range(lines)]
                process.send_signal(signal.SIGKILL)
                acknowledged = [int(line) for line in read + process.stdout.read().splitlines()]

            async def check(acknowledged: list[int] = acknowledged) -> None:
                async with MAKES[engine](path) as store:
                    a, b = dict(await store.scan("a")), dict(await store.scan("b"))
                    assert set(a) == set(b)
                    assert {str(i) for i in acknowledged} <= set(a)

            trio.run(check)


@on_disk
def test_a_store_that_nobody_closed_does_not_keep_a_process_from_ending(engine: str) -> None:
    with fresh_path() as path:
        said = in_another_process(
            """
async def main():
    global store
    store = opened()
    await store.put("n", "k", b"kept")
    print("end")
trio.run(main)
""",
            engine,
            path,
        )
        assert said == "end"
        store = MAKES[engine](path)
        assert trio.run(store.get, "n", "k") == b"kept"
        trio.run(store.aclose)


# Disks


@on_disk
def test_a_disk_that_takes_no_more_is_named_and_nothing_is_lost(engine: str) -> None:
    """No file may grow beyond a megabyte: for SQLite and LMDB as if the disk were full."""
    with fresh_path() as path:
        said = in_another_process(
            """
import resource
async def main():
    async with opened() as store:
        await store.put("n", "k", b"kept")
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        try:
            await store.batch([Put("n", "k", b"lost"), Put("n", "large", os.urandom(2 << 20))])
        except StoreUnusable as error:
            print(error)
        assert await store.get("n", "k") == b"kept"
        assert await store.get("n", "large") is None
        await store.put("n", "small", b"fits")
        assert await store.scan("n") == [("k", b"kept"), ("small", b"fits")]
trio.run(main)
""",
            engine,
            path,
        )
        assert str(path) in said
        assert "What was acknowledged is still there" in said

        async def check() -> None:
            async with MAKES[engine](path) as store:
                assert await store.scan("n") == [("k", b"kept"), ("small", b"fits")]

        trio.run(check)


@on_disk
def test_a_place_without_the_right_to_write_is_named(engine: str) -> None:
    """Also when the tests themselves run as one who may write anywhere: they give that up."""
    with fresh_path() as path:
        path.parent.chmod(0o555)
        said = in_another_process(
            """
import json, lmdb, sqlite3
from lambdacat_effects.storage import json_store, lmdb_store, sqlite_store
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
try:
    opened()
except StoreUnusable as error:
    print(error)
""",
            engine,
            path,
        )
        path.parent.chmod(0o755)
        assert repr(str(path)) in said
        assert "ive this user the right to write" in said
        assert not path.exists()


@pytest.mark.parametrize("engine", ["lmdb", "json"])
def test_a_path_that_is_no_directory_is_named(engine: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreUnusable, match=r"is a file: give another path") as caught:
            MAKES[engine](path)
        assert repr(str(path)) in str(caught.value)
    assert (tmp_path / "file").read_text() == "a file"


@on_disk
def test_a_damaged_store_is_named_and_left_alone(engine: str) -> None:
    async def fill(store: Store) -> None:
        async with store:
            await store.put("n", "k", b"1")

    async def read(store: Store) -> None:
        async with store:
            await store.get("n", "k")

    for content in (b"no store of ours", os.urandom(9000), b"\0" * 8192):
        with fresh_path() as path:
            trio.run(fill, MAKES[engine](path))
            (file,) = files_of(engine, path)
            file.write_bytes(content)
            with pytest.raises(StoreUnusable, match=r"[Rr]estore (it|the file) from a backup"):
                trio.run(read, MAKES[engine](path))
            assert file.read_bytes() == content


@on_disk
def test_a_store_cut_short_is_named_or_whole(engine: str) -> None:
    """At whatever offset: never less than was acknowledged, without a word, and never a crash."""

    async def fill(store: Store) -> None:
        async with store:
            for i in range(5):
                await store.put("n", str(i), b"x" * 5000)

    async def read(store: Store) -> None:
        async with store:
            assert [(k, len(v)) for k, v in await store.scan("n")] == [(str(i), 5000) for i in range(5)]

    with fresh_path() as path:
        trio.run(fill, MAKES[engine](path))
        file = files_of(engine, path)[-1]
        whole = file.read_bytes()
        refused = 0
        step = max(1, len(whole) // 150)
        for size in {*range(0, len(whole), step), *range(20), len(whole) - 1}:
            file.write_bytes(whole[:size])
            try:
                trio.run(read, MAKES[engine](path))
            except StoreUnusable:
                refused += 1
            assert file.read_bytes() == whole[:size]
        assert refused > 100
        file.write_bytes(whole)
        trio.run(read, MAKES[engine](path))


def test_an_engine_that_is_not_there_is_no_attribute() -> None:
    import lambdacat_effects.storage as storage

    with pytest.raises(AttributeError, match="has no attribute 'MongoStore'"):
        storage.MongoStore
    assert {name for name in storage.__all__ if getattr(storage, name) is None} == set()


def test_importing_stores_loads_no_engine() -> None:
    code = (
        "import sys, lambdacat_effects.storage\n"
        "print([m for m in ('lmdb', 'sqlite3', 'coredis', 'cattrs') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


async def test_memory_that_was_closed_is_gone() -> None:
    store = InMemoryStore()
    await store.aclose()
    with pytest.raises(ResourceNotOpen, match="what it kept is gone: make another"):
        await store.get("n", "k")


def test_the_server_of_the_tests_ends_with_them() -> None:
    """Also when they are killed: its input ends with them."""
    script = """
import os, signal
from store_engines import valkey
print(valkey().url, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert done.returncode == -signal.SIGKILL
    socket = Path(done.stdout.strip().removeprefix("unix://"))
    # `run` has read the output to its end, which the server's starter holds as well.
    assert not socket.exists()
    assert valkey().url != done.stdout.strip()
