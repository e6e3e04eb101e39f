"""Memory in stores of every kind: one behaviour, and what only a disk can promise."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import lmdb
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects import (
    Forget,
    Handler,
    Memory,
    Ok,
    Plan,
    Remember,
    attempt,
    forget,
    in_memory,
    json_memory,
    lmdb_memory,
    parallel,
    recall,
    redis_memory,
    remember,
    sqlite_memory,
    store_beliefs,
    store_memory,
)
from lambdacat_effects.errors import (
    InvalidArgument,
    LimitExceeded,
    NotPure,
    NotSerialisable,
    ResourceNotOpen,
    SimulationFailure,
    StoredValueMismatch,
    StoreUnusable,
)
from lambdacat_effects.storage import Change, Delete, InMemoryStore, Put, Store
from lambdacat_effects.storage.transactions import Transaction, enlisting
from lambdacat_effects.testing import explore


@attrs.define
class Note:
    text: str
    tags: set[str]
    at: dt.datetime | None = None


MEMORIES: dict[str, Callable[[Path], Handler[Memory]]] = {
    "in memory": lambda path: in_memory(),
    "lmdb": lmdb_memory,
    "json": json_memory,
    "sqlite": sqlite_memory,
    "a store": lambda path: store_memory(InMemoryStore()),
    "a store that waits": lambda path: store_memory(Waits()),
}
ON_DISK: dict[str, Callable[[Any], Handler[Memory]]] = {
    "lmdb_memory": lmdb_memory,
    "json_memory": json_memory,
    "sqlite_memory": sqlite_memory,
}
on_disk = pytest.mark.parametrize("named", ON_DISK)


class Waits(InMemoryStore):
    """As across a network."""

    async def get(self, namespace: str, key: str) -> bytes | None:
        await trio.lowlevel.checkpoint()
        return await super().get(namespace, key)

    async def batch(self, changes: Sequence[Change]) -> bool:
        await trio.lowlevel.checkpoint()
        return await super().batch(changes)


@pytest.fixture(params=MEMORIES)
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Handler[Memory]:
    return MEMORIES[request.param](tmp_path / "state")


async def test_what_is_remembered_is_recalled_as_its_type_until_forgotten(memory: Handler[Memory]) -> None:
    note = Note("a", {"x", "y"}, dt.datetime(2026, 1, 2, tzinfo=dt.UTC))

    def plan() -> Plan[Memory, list[Any]]:
        before = yield from recall("notes", "1", as_type=Note)
        yield from remember("notes", "1", note)
        kept = yield from recall("notes", "1", as_type=Note)
        found = yield from forget("notes", "1")
        again = yield from forget("notes", "1")
        return [before, kept, found, again, (yield from recall("notes", "1", as_type=Note))]

    assert await memory.run(plan()) == [None, note, True, False, None]


async def test_memory_outlives_the_run(memory: Handler[Memory]) -> None:
    await memory.run(remember("n", "k", [1]))
    assert await memory.run(recall("n", "k", as_type=list[int])) == [1]


async def test_nothing_is_shared_with_the_plan(memory: Handler[Memory]) -> None:
    """What the plan does to a value after remembering it, or to a recalled one, is its own affair."""

    def plan() -> Plan[Memory, tuple[Any, Any]]:
        value = [1]
        yield from remember("n", "k", value)
        value.append(2)
        first = yield from recall("n", "k", as_type=list[int])
        assert first is not None
        first.append(3)
        return first, (yield from recall("n", "k", as_type=list[int]))

    assert await memory.run(plan()) == ([1, 3], [1])


async def test_what_cannot_be_stored_replaces_nothing(memory: Handler[Memory]) -> None:
    await memory.run(remember("n", "k", 1))
    with pytest.raises(
        NotSerialisable, match=r"^\('n', 'k'\) cannot be remembered: value\['f'\] is of type builtin_function"
    ):
        await memory.run(remember("n", "k", {"f": print}))
    assert await memory.run(recall("n", "k", as_type=int)) == 1


async def test_another_type_is_a_mismatch_and_changes_nothing(memory: Handler[Memory]) -> None:
    await memory.run(remember("n", "k", {"a": ["x"]}))
    with pytest.raises(
        StoredValueMismatch,
        match=r"^\('n', 'k'\) cannot be recalled: what is stored does not read as dict\[str, list\[int\]\]: "
        r"value\['a'\]\[0\]: expected int, found text",
    ):
        await memory.run(recall("n", "k", as_type=dict[str, list[int]]))
    assert await memory.run(recall("n", "k", as_type=dict)) == {"a": ["x"]}


async def test_none_is_recalled_as_none_whatever_the_type(memory: Handler[Memory]) -> None:
    await memory.run(remember("n", "k", None))
    assert await memory.run(recall("n", "k", as_type=Note)) is None
    assert await memory.run(forget("n", "k")) is True


async def test_branches_remember_at_the_same_time(memory: Handler[Memory]) -> None:
    def plan() -> Plan[Memory, list[int | None]]:
        yield from parallel(*[remember("n", str(i), i) for i in range(20)])
        return list((yield from parallel(*[recall("n", str(i), as_type=int) for i in range(20)])))

    assert await memory.run(plan()) == list(range(20))


names = st.sampled_from(["a", "b", "\0", "é" * 300])
values = st.one_of(
    st.integers(), st.text(), st.lists(st.floats(allow_nan=False)), st.builds(Note, st.text(), st.sets(st.text())),
    st.just({1: (2, None)}), st.just(print), st.just([{"deep": object()}]),
)  # fmt: skip
types = st.sampled_from(
    [int, str, list[float], list[int], Note, dict[int, tuple[int, None]], object, int | str]
)
steps = st.one_of(
    st.builds(Remember, names, names, values),
    st.builds(lambda n, k, t: recall(n, k, as_type=t), names, names, types),
    st.builds(Forget, names, names),
)


def outcomes(program: list[Any]) -> Plan[Memory, list[Any]]:
    found: list[Any] = []
    for step in program:
        outcome = yield from attempt(step)
        found.append(outcome if isinstance(outcome, Ok) else (type(outcome.error), str(outcome.error)))
    return found


@pytest.mark.parametrize("name", list(MEMORIES)[1:])
@settings(max_examples=30, deadline=None)
@given(program=st.lists(steps, max_size=12))
def test_all_memories_agree_in_everything(name: str, program: list[Any]) -> None:
    """Any program has the same answers and the same errors in a dictionary and elsewhere."""
    with tempfile.TemporaryDirectory() as directory:
        elsewhere = trio.run(MEMORIES[name](Path(directory) / "state").run, outcomes(program))
    assert elsewhere == in_memory().run_pure(outcomes(program))


async def test_of_two_who_forget_one_is_told_that_there_was_something(memory: Handler[Memory]) -> None:
    def plan() -> Plan[Memory, int]:
        yield from remember("n", "k", 1)
        return sum((yield from parallel(*[forget("n", "k") for _ in range(5)])))

    assert await memory.run(plan()) == 1


# Limits

LIMITED: dict[str, Callable[..., Handler[Memory]]] = {
    "in memory": lambda path, **limit: in_memory(**limit),
    "lmdb": lmdb_memory,
    "json": json_memory,
    "sqlite": sqlite_memory,
    "redis": lambda path, **limit: redis_memory("redis://host", **limit),
    "a store": lambda path, **limit: store_memory(InMemoryStore(), **limit),
}


@pytest.mark.parametrize("name", [name for name in LIMITED if name != "redis"])
async def test_a_value_that_is_too_large_replaces_nothing(name: str, tmp_path: Path) -> None:
    memory = LIMITED[name](tmp_path / "state", most_bytes=1000)
    async with memory:
        await memory.run(remember("n", "k", "x" * 998))
        with pytest.raises(
            LimitExceeded,
            match=r"^\('n', 'k'\) cannot be remembered: encoded it has 1,001 bytes, and this memory takes at most "
            r"1,000 for a value: remember less, or raise most_bytes=$",
        ):
            await memory.run(remember("n", "k", "x" * 999))
        assert await memory.run(recall("n", "k", as_type=str)) == "x" * 998


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "1"])
@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_is_a_number_of_bytes(name: str, limit: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="most_bytes is a number of bytes, at least 1, or None"):
        LIMITED[name](tmp_path / "state", most_bytes=limit)


def test_what_is_there_at_the_start_is_not_too_large() -> None:
    with pytest.raises(LimitExceeded, match=r"\('n', 'k'\) cannot be remembered"):
        in_memory({("n", "k"): "x" * 100}, most_bytes=100)


# Together with something else


@pytest.mark.parametrize("store", ["state", None])
def test_a_path_is_no_store(store: Any) -> None:
    """As `Durable` takes one, it is easily given."""
    for make in (store_memory, store_beliefs):
        with pytest.raises(InvalidArgument, match=r"takes a store.* got .*path"):
            make(store)


@pytest.mark.parametrize("name", ["a store", "a store that waits"])
async def test_within_a_transaction_changes_wait_to_be_committed_with_it(name: str) -> None:
    """They are read as if they had been made, and are lost with it."""
    store: Store = InMemoryStore() if name == "a store" else Waits()
    memory = store_memory(store)
    await memory.run(remember("n", "old", 1))

    def plan() -> Plan[Memory, list[Any]]:
        yield from remember("n", "new", 2)
        found = [(yield from recall("n", "new", as_type=int)), (yield from forget("n", "old"))]
        return [*found, (yield from forget("n", "old")), (yield from recall("n", "old", as_type=int))]

    with enlisting(Transaction(store)) as transaction:
        assert await memory.run(plan()) == [2, True, False, None]
    assert await memory.run(recall("n", "old", as_type=int)) == 1
    assert transaction.changes == [Put("n", "new", b"2"), Delete("n", "old")]
    assert await store.batch(transaction.changes)
    assert await store.scan("n") == [("new", b"2")]


async def test_another_store_is_not_part_of_a_transaction() -> None:
    memory = in_memory()
    with enlisting(Transaction(InMemoryStore())) as transaction:
        await memory.run(remember("n", "k", 1))
    assert transaction.changes == []
    assert await memory.run(recall("n", "k", as_type=int)) == 1


@pytest.mark.parametrize("make", [InMemoryStore, Waits])
def test_simulated_branches_on_any_store_interleave(make: Callable[[], Store]) -> None:
    """Two that read, add and write lose an update under some schedule, and two that share no key never do."""

    def adding(key: str) -> Plan[Memory, None]:
        count = yield from recall("n", key, as_type=int)
        yield from remember("n", key, (count or 0) + 1)

    def both(*keys: str) -> Plan[Memory, None]:
        yield from parallel(*[adding(key) for key in keys])
        found = yield from parallel(*[recall("n", key, as_type=int) for key in sorted(set(keys))])
        assert sum(count or 0 for count in found) == 2

    explore(lambda: (both("a", "b"), store_memory(make())), runs=50)
    with pytest.raises(SimulationFailure):
        explore(lambda: (both("a", "a"), store_memory(make())), runs=50)


# In memory


def test_memory_in_a_dictionary_needs_no_event_loop_and_is_its_own() -> None:
    one, two = in_memory(), in_memory()
    one.run_pure(remember("n", "k", 1))
    assert one.run_pure(recall("n", "k", as_type=int)) == 1
    assert two.run_pure(recall("n", "k", as_type=int)) is None


def test_memory_may_start_with_something() -> None:
    note = Note("a", set())
    memory = in_memory({("n", "k"): note})
    note.text = "changed"
    assert memory.run_pure(recall("n", "k", as_type=Note)) == Note("a", set())


@pytest.mark.parametrize("name", ["nk", ("n",), ("n", ""), ("", "k"), ("n", 1), ("n", "k", "x")])
def test_what_is_there_at_the_start_has_names_that_remember_takes(name: Any) -> None:
    with pytest.raises(InvalidArgument):
        in_memory({name: 1})


def test_what_is_there_at_the_start_can_be_stored() -> None:
    with pytest.raises(NotSerialisable, match=r"\('n', 'k'\) cannot be remembered: value is of type"):
        in_memory({("n", "k"): print})


def test_any_store_will_do() -> None:
    store = InMemoryStore()
    store_memory(store).run_pure(remember("n", "k", {"b": 1, "a": 2}))
    assert trio.run(store.get, "n", "k") == b'{"a":2,"b":1}'


def test_a_store_that_waits_needs_an_event_loop() -> None:
    with pytest.raises(NotPure, match=r"the async handler _Keeper\.remember waited"):
        store_memory(Waits()).run_pure(remember("n", "k", 1))


# On disk


async def test_the_directory_is_made_and_closed_after_the_run(tmp_path: Path) -> None:
    memory = lmdb_memory(tmp_path / "some" / "state")
    assert not (tmp_path / "some").exists()
    await memory.run(remember("n", "k", 1))
    lmdb.open(str(tmp_path / "some" / "state")).close()  # refused while the process has it open


@on_disk
async def test_handlers_and_runs_share_a_place(named: str, tmp_path: Path) -> None:
    one, two = ON_DISK[named](tmp_path / "state"), ON_DISK[named](str(tmp_path / "state"))
    async with one:
        await one.run(remember("n", "k", 1))
        assert await two.run(recall("n", "k", as_type=int)) == 1
        await (one | two).run(remember("n", "k", 2))
        assert await one.run(recall("n", "k", as_type=int)) == 2


def test_a_relative_path_means_where_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    memory = lmdb_memory("state")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    trio.run(memory.run, remember("n", "k", 1))
    assert (tmp_path / "state" / "data.mdb").exists()


@pytest.mark.parametrize("path", [None, 3, "", b"state"])
@on_disk
def test_a_path_is_what_names_a_place(named: str, path: Any) -> None:
    with pytest.raises(InvalidArgument, match=rf"{named} takes the path of a (directory|file); got"):
        ON_DISK[named](path)


@on_disk
async def test_a_place_that_cannot_be_used_fails_the_run_at_its_start(named: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    started = []

    def plan() -> Plan[Memory, None]:
        started.append(True)
        yield from remember("n", "k", 1)

    with pytest.raises(StoreUnusable, match=rf"{tmp_path}/file"):
        await ON_DISK[named](tmp_path / "file").run(plan())
    assert started == []


@on_disk
async def test_a_memory_that_is_not_open_says_so(named: str, tmp_path: Path) -> None:
    closed = Handler[Memory](ON_DISK[named](tmp_path).bindings)  # without what it owns
    for plan in (recall("n", "k", as_type=int), remember("n", "k", 1), forget("n", "k")):
        with pytest.raises(ResourceNotOpen, match=rf"the memory in '{tmp_path}' is not open"):
            await closed.run(plan)


@on_disk
def test_a_memory_on_disk_needs_no_event_loop(named: str, tmp_path: Path) -> None:
    """Where there is none, nobody else has to wait when it blocks."""
    memory = ON_DISK[named](tmp_path / "state")
    memory.run_pure(remember("n", "k", 1))
    assert trio.run(memory.run, recall("n", "k", as_type=int)) == 1
    trio.run(memory.run, remember("n", "k", 2))
    assert memory.run_pure(recall("n", "k", as_type=int)) == 2
    assert memory.run_pure(forget("n", "k")) is True


HOLDER = """
import sys
import lmdb
with lmdb.open(sys.argv[1], map_size=64 << 30, max_dbs=16).begin(write=True):
    print("held", flush=True)
    sys.stdin.readline()
"""


async def test_a_cancelled_run_waits_for_its_write(tmp_path: Path) -> None:
    """Another process holds the store's lock; the run, cancelled, ends only once its write is on the disk, and no
    plan goes on."""
    memory = lmdb_memory(tmp_path)
    went_on: list[str] = []

    def remembering(key: str) -> Plan[Memory, None]:
        yield from remember("n", key, 1)
        went_on.append(key)

    async with memory:
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as holder:
            assert holder.stdin is not None
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            ended = trio.Event()
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:

                    @nursery.start_soon
                    async def write() -> None:
                        try:
                            await memory.run(parallel(remembering("first"), remembering("second")))
                        finally:
                            ended.set()

                    await trio.testing.wait_all_tasks_blocked()
                    scope.cancel()
                    with trio.CancelScope(shield=True):
                        await trio.testing.wait_all_tasks_blocked()
                        assert not ended.is_set()
                        holder.stdin.close()
                        await ended.wait()
        assert scope.cancelled_caught
        # Both had begun, and were waited for.
        kept = [await memory.run(recall("n", key, as_type=int)) for key in ("first", "second")]
        assert kept == [1, 1]
        assert went_on == []


@on_disk
def test_what_was_acknowledged_outlives_the_process_that_was_killed(named: str, tmp_path: Path) -> None:
    """Each line on the pipe is a write that `remember` has answered."""
    script = f"""
import os, signal, sys
import trio
from lambdacat_effects import {named} as memory, remember
def plan():
    for i in range(10):
        yield from remember("n", str(i), i)
        os.write(1, b"%d\\n" % i)
    os.kill(os.getpid(), signal.SIGKILL)
trio.run(memory(sys.argv[1]).run, plan())
"""
    path = str(tmp_path / "state")
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, timeout=60)
    assert done.returncode == -9
    acknowledged = [int(line) for line in done.stdout.split()]
    assert acknowledged == list(range(10))
    recalled = [ON_DISK[named](path).run_pure(recall("n", str(i), as_type=int)) for i in acknowledged]
    assert recalled == acknowledged


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes of this kind")
def test_importing_the_package_loads_no_engine() -> None:
    script = (
        "import sys, lambdacat_effects, lambdacat_effects.handlers, lambdacat_effects.storage\n"
        "lambdacat_effects.in_memory()\n"
        "for memory in 'lmdb_memory', 'json_memory', 'sqlite_memory':\n"
        "    getattr(lambdacat_effects, memory)('state')\n"
        "lambdacat_effects.redis_memory('redis://localhost')\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('lmdb', 'sqlite3', 'coredis', 'cattrs')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=os.sep
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
