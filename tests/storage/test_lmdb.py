"""What the LMDB engine promises besides what every store does: groups, threads, processes, and accidents."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import lmdb
import pytest
import trio
import trio.testing

from lambdacat_effects.errors import InvalidArgument, LimitExceeded, Misuse, ResourceNotOpen, StoreUnusable
from lambdacat_effects.storage import LmdbStore
from lambdacat_effects.storage.port import Delete, Expect, Put

MIB = 1 << 20

PREAMBLE = """
import os, signal, sys, trio, warnings
from lambdacat_effects.errors import LambdacatError
from lambdacat_effects.storage import LmdbStore

def run(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
"""


def script(code: str, *args: object) -> list[str]:
    return [sys.executable, "-W", "error", "-c", PREAMBLE + code, *map(str, args)]


def in_another_process(code: str, *args: object) -> str:
    done = subprocess.run(script(code, *args), capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout.strip()


async def meanwhile(code: str, *args: object) -> str:
    return await trio.to_thread.run_sync(in_another_process, code, *args)


async def at_once(functions: list[Callable[[], Any]]) -> None:
    async with trio.open_nursery() as nursery:
        for function in functions:
            nursery.start_soon(function)


def transactions(path: Path) -> int:
    return int(
        in_another_process(
            "import lmdb; print(lmdb.open(sys.argv[1], readonly=True, max_dbs=16).info()['last_txnid'])", path
        )
    )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LmdbStore]:
    async with LmdbStore(tmp_path) as store:
        yield store


def putting(store: LmdbStore, number: int, size: int = 8) -> list[Callable[[], Any]]:
    def one(i: int) -> Callable[[], Any]:
        return lambda: store.put("n", f"{i:05}", bytes(size))

    return [one(i) for i in range(number)]


# Groups


async def test_changes_that_come_together_wait_for_the_disk_together(store: LmdbStore) -> None:
    before = transactions(Path(store.path))
    await at_once(putting(store, 300))
    assert transactions(Path(store.path)) - before < 150
    assert len(await store.scan("n")) == 300


async def test_of_many_that_come_together_one_that_does_not_fit_fails_alone(tmp_path: Path) -> None:
    """Whether it is known before, or LMDB runs into it."""
    async with LmdbStore(tmp_path, map_size=4 * MIB) as store, LmdbStore(tmp_path, most_bytes=MIB) as small:
        refused = []

        async def too_large(through: LmdbStore, size: int) -> None:
            with pytest.raises(LimitExceeded) as caught:
                await through.put("n", "large", bytes(size))
            refused.append(str(caught.value))

        others = putting(store, 100)
        await at_once(
            [
                *others[:50],
                lambda: too_large(store, 8 * MIB),
                lambda: too_large(small, 2 * MIB),
                *others[50:],
            ]
        )
        assert len(await store.scan("n")) == 100
        assert sorted("most_bytes" in said for said in refused) == [False, True]


async def test_of_many_that_come_together_each_expects_by_itself(store: LmdbStore) -> None:
    """Those that meet another's change see it, in the order in which they came."""
    answers: list[bool] = []

    async def first_wins(i: int) -> None:
        answers.append(
            await store.batch([Expect("n", "k", None), Put("n", "k", b"%d" % i), Put("o", str(i), b"")])
        )

    await at_once([lambda i=i: first_wins(i) for i in range(40)])
    assert sum(answers) == 1
    winner = await store.get("n", "k")
    assert winner is not None
    assert await store.scan("o") == [(winner.decode(), b"")]


async def test_an_answer_tells_what_one_s_own_change_met(store: LmdbStore) -> None:
    await at_once(putting(store, 40))
    found: list[bool] = []

    async def delete(i: int) -> None:
        found.append(await store.delete("n", f"{i % 40:05}"))

    await at_once([lambda i=i: delete(i) for i in range(80)])
    assert (found.count(True), found.count(False)) == (40, 40)
    assert await store.scan("n") == []


SIZES = [0, 8, 95, 96, 97, 500, 1400, 2010, 2016, 2017, 5000, 70_000]
KEYS = ["", "k", "k\0", "kk", "é", "k" * 470, "k" * 478, "k" * 479, "k" * 600, "k" * 601]


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_comes_together_is_as_if_it_had_come_in_turn(tmp_path: Path, seed: int) -> None:
    """Records of every size, replaced by others of every size, in groups of every size."""
    chance = random.Random(seed)
    model: dict[tuple[str, str], bytes] = {}
    namespaces = ["", "n", "m" * 200]

    async def change(store: LmdbStore, namespace: str, key: str) -> None:
        place = (namespace, key)
        what = chance.random()
        value = chance.randbytes(1) * chance.choice(SIZES)
        if what < 0.25:
            expected = model.pop(place, None) is not None
            assert await store.delete(namespace, key) is expected
        elif what < 0.5:
            before = model.get(place) if chance.random() < 0.7 else b"something else"
            met = before == model.get(place)
            if met:
                model[place] = value
            assert await store.compare_and_swap(namespace, key, before, value) is met
        else:
            model[place] = value
            await store.put(namespace, key, value)

    async def check(store: LmdbStore) -> None:
        for namespace in namespaces:
            expected = sorted((key, value) for (of, key), value in model.items() if of == namespace)
            assert await store.scan(namespace) == expected
            for prefix in ("k", "k" * 479, "é"):
                assert await store.scan(namespace, prefix) == [i for i in expected if i[0].startswith(prefix)]
            for key in KEYS:
                assert await store.get(namespace, key) == model.get((namespace, key))

    places = [(namespace, key + tail) for namespace in namespaces for key in KEYS for tail in ("", "x", "yy")]
    store = LmdbStore(tmp_path)
    for _ in range(25):
        chosen = chance.sample(places, chance.choice([1, 2, 20, 60]))
        await at_once([lambda store=store, place=place: change(store, *place) for place in chosen])
        await check(store)
        event = chance.random()
        if event < 0.1:
            await store.compact()
            await check(store)
        elif event < 0.3:
            await store.aclose()
            store = LmdbStore(tmp_path)
            await check(store)
    await store.aclose()


async def test_another_process_sees_what_a_group_brought_and_may_add_to_it(store: LmdbStore) -> None:
    for round in range(3):
        await at_once(putting(store, 50))
        assert (
            await meanwhile(
                """
async def main():
    async with LmdbStore(sys.argv[1]) as store:
        assert len(await store.scan("n")) == 50
        await store.put("n", "00007", b"theirs")
        async with trio.open_nursery() as nursery:
            for i in range(10, 40):
                nursery.start_soon(store.delete, "n", f"{i:05}")
        print(len(await store.scan("n")))
trio.run(main)
""",
                store.path,
            )
            == "20"
        )
        assert len(await store.scan("n")) == 20, round
        assert await store.get("n", "00007") == b"theirs"
        assert await store.get("n", "00010") is None


async def test_what_was_kept_as_it_came_is_put_in_its_place(tmp_path: Path) -> None:
    """After some groups at the latest, and when the store is closed."""
    code = """
import lmdb
environment = lmdb.open(sys.argv[1], readonly=True, max_dbs=16)
with environment.begin() as txn:
    print(*[txn.stat(environment.open_db(name, txn=txn, create=False))["entries"] for name in (b"recent", b"store")])
"""
    async with LmdbStore(tmp_path) as store:
        for round in range(20):
            await at_once([lambda n=str(round), i=i: store.put(n, str(i), b"1") for i in range(100)])
        groups, placed = map(int, (await meanwhile(code, tmp_path)).split())
        assert 0 <= groups <= 16
        assert placed > 100
    assert (await meanwhile(code, tmp_path)).split() == ["0", "2000"]


# Threads and event loops


def test_event_loops_in_several_threads_share_a_store(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    async def main(name: str) -> None:
        async with LmdbStore(tmp_path) as store:
            await at_once([lambda i=i: store.put(name, str(i), b"1") for i in range(100)])
            assert len(await store.scan(name)) == 100

    def run(name: str) -> None:
        try:
            trio.run(main, name)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert (
        in_another_process(
            "store = LmdbStore(sys.argv[1]); print(*[len(run(store.scan(n))) for n in 'abcd'])", tmp_path
        )
        == "100 100 100 100"
    )


async def test_the_thread_ends_with_the_last_store(tmp_path: Path) -> None:
    def writers() -> list[str]:
        return [thread.name for thread in threading.enumerate() if str(tmp_path) in thread.name]

    first, second = LmdbStore(tmp_path), LmdbStore(tmp_path)
    assert writers() == []
    await first.put("n", "k", b"1")
    assert len(writers()) == 1
    await first.aclose()
    await second.put("n", "k", b"2")
    assert len(writers()) == 1
    await second.aclose()
    assert writers() == []


async def test_a_change_that_has_begun_is_waited_for_and_answers(store: LmdbStore) -> None:
    answered = []

    async def put() -> None:
        await store.put("n", "k", b"1")
        answered.append(True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(put)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert await store.get("n", "k") == b"1"
    assert answered == [True]


async def test_a_change_that_has_not_begun_when_it_is_cancelled_is_not_made(store: LmdbStore) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.put("n", "k", b"1")
    assert scope.cancelled_caught
    assert await store.get("n", "k") is None


async def test_closing_waits_for_what_is_queued(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path)
    async with trio.open_nursery() as nursery:
        for put in putting(store, 100):
            nursery.start_soon(put)
        await trio.testing.wait_all_tasks_blocked()
        await store.aclose()
        async with LmdbStore(tmp_path) as again:
            assert len(await again.scan("n")) == 100
    with pytest.raises(ResourceNotOpen, match=r"open it again with LmdbStore"):
        await store.put("n", "k", b"1")


async def test_a_change_that_somebody_else_steps_is_made_before_it_is_left(store: LmdbStore) -> None:
    """As `run_pure` within an event loop, which refuses to wait."""
    putting = store.put("n", "k", b"1")
    putting.send(None)  # type: ignore[attr-defined]
    putting.close()  # type: ignore[attr-defined]
    assert await store.get("n", "k") == b"1"
    await at_once([lambda: trio.lowlevel.checkpoint()] * 3)
    await store.put("n", "k", b"2")
    assert await store.get("n", "k") == b"2"


def test_without_an_event_loop_a_change_is_made_at_once(tmp_path: Path) -> None:
    def run(coroutine: Any) -> Any:
        with pytest.raises(StopIteration) as stop:
            coroutine.send(None)
        return stop.value.value

    store = LmdbStore(tmp_path)
    run(store.put("n", "k", b"1"))
    assert run(store.get("n", "k")) == b"1"
    assert run(store.batch([Expect("n", "k", b"2"), Delete("n", "k")])) is False
    with pytest.raises(LimitExceeded):
        run(LmdbStore(tmp_path, most_bytes=1).put("n", "l", b"1"))
    run(store.compact())
    assert run(store.scan("n")) == [("k", b"1")]
    run(store.aclose())


def test_under_another_event_loop_it_says_where_it_belongs(tmp_path: Path) -> None:
    async def main() -> None:
        store = LmdbStore(tmp_path)
        with pytest.raises(Misuse, match=r"under asyncio.*use it in `trio\.run`"):
            await store.put("n", "k", b"1")
        assert await store.get("n", "k") is None
        await store.aclose()

    asyncio.run(main())


# Processes


def test_a_process_may_end_without_closing_it(tmp_path: Path) -> None:
    in_another_process(
        """
async def main():
    await LmdbStore(sys.argv[1]).put("n", "k", b"kept")
trio.run(main)
""",
        tmp_path,
    )
    assert in_another_process("print(run(LmdbStore(sys.argv[1]).get('n', 'k')))", tmp_path) == "b'kept'"


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    """The store is made by whoever comes first."""
    code = """
async def add(store):
    while True:
        n = await store.get("n", "sum")
        if await store.compare_and_swap("n", "sum", n, b"%d" % (int(n or 0) + 1)):
            return
async def main():
    async with LmdbStore(sys.argv[1]) as store:
        async with trio.open_nursery() as nursery:
            for i in range(40):
                nursery.start_soon(add, store)
                nursery.start_soon(store.put, "n", sys.argv[2] + str(i), b"")
trio.run(main)
"""
    running = [subprocess.Popen(script(code, tmp_path, name)) for name in "abc"]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert (
        in_another_process(
            "s = LmdbStore(sys.argv[1]); print(run(s.get('n', 'sum')), len(run(s.scan('n'))))", tmp_path
        )
        == "b'120' 121"
    )


KILLED = """
async def one(store, i):
    for q in range(100_000):
        await store.put("n", f"{i}.{q}", bytes(q % 1500))
        os.write(1, f"{i}.{q}\\n".encode())
async def main():
    async with LmdbStore(sys.argv[1]) as store, trio.open_nursery() as nursery:
        for i in range(40):
            nursery.start_soon(one, store, i)
trio.run(main)
"""


@pytest.mark.parametrize("acknowledged", [1, 50, 700, 3000])
async def test_a_process_that_is_killed_loses_nothing_that_it_was_answered(
    tmp_path: Path, acknowledged: int
) -> None:
    with subprocess.Popen(script(KILLED, tmp_path), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = b"".join(process.stdout.readline() for _ in range(acknowledged))
        process.kill()
        said += process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    keys = [line for line in said.decode().split("\n")[:-1] if line]
    assert len(keys) >= acknowledged
    async with LmdbStore(tmp_path) as store:
        kept = dict(await store.scan("n"))
        assert [key for key in keys if kept.get(key) != bytes(int(key.split(".")[1]) % 1500)] == []
        await store.put("n", "more", b"1")


async def test_what_a_killed_reader_pinned_is_used_again(tmp_path: Path) -> None:
    """LMDB keeps every page that a reader may look at, also when that was killed."""
    async with LmdbStore(tmp_path, map_size=2 * MIB) as store:
        await store.put("n", "k", b"x" * 100_000)
        process = subprocess.Popen(
            script(
                "import lmdb, time\n"
                "environment = lmdb.open(sys.argv[1], max_dbs=16, map_size=1 << 21, max_readers=1024)\n"
                "txn = environment.begin()\n"
                "print('reading', flush=True)\n"
                "time.sleep(60)",
                tmp_path,
            ),
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"reading\n"
        process.kill()
        process.communicate()
        for i in range(60):
            await store.put("n", "k", bytes([i]) * 100_000)
        assert await store.size() < 2 * MIB


def test_a_forked_child_opens_its_own(tmp_path: Path) -> None:
    """LMDB does not bear to be used on both sides of a fork."""
    said = in_another_process(
        """
async def main():
    store = LmdbStore(sys.argv[1])
    await store.put("n", "k", b"1")
    with warnings.catch_warnings(action="ignore"):  # that there are threads
        child = os.fork()
    if not child:
        for use in (store.get("n", "k"), store.put("n", "k", b"2"), store.size(), store.compact()):
            try:
                await use
            except LambdacatError as error:
                print("before this process was forked" in str(error), flush=True)
        await store.aclose()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    await store.put("n", "l", b"1")
    await store.aclose()
trio.run(main)
""",
        tmp_path,
    )
    assert said.split() == ["True"] * 4
    assert in_another_process("print(len(run(LmdbStore(sys.argv[1]).scan('n'))))", tmp_path) == "2"


async def test_what_another_process_writes_is_seen_even_past_our_own_map(tmp_path: Path) -> None:
    async with LmdbStore(tmp_path, map_size=MIB) as store:
        for first in ("reading", "writing"):
            await meanwhile(
                "run(LmdbStore(sys.argv[1], map_size=64 << 20).put('n', sys.argv[2], bytes(4_000_000)))",
                tmp_path,
                first,
            )
            if first == "writing":
                await store.put("n", "a", b"1")
            assert len(await store.get("n", first) or b"") == 4_000_000


# Limits


@pytest.mark.parametrize("together", [1, 30])
async def test_a_full_store_keeps_what_it_has_and_may_be_emptied(tmp_path: Path, together: int) -> None:
    """Whether changes come by themselves or in groups."""
    async with LmdbStore(tmp_path, map_size=MIB) as store:
        kept: list[str] = []
        said: list[str] = []

        async def put(key: str) -> None:
            try:
                await store.put("n", key, bytes(2000))
                kept.append(key)
            except LimitExceeded as error:
                said.append(str(error))

        async def delete(key: str) -> None:
            assert await store.delete("n", key)

        number = 0
        while not said:
            await at_once([lambda i=i: put(f"{i:06}") for i in range(number, number + together)])
            number += together
        assert "map_size" in said[0]
        assert "nothing was written" in said[0]
        assert "larger map_size=" in said[0]
        assert [key for key, _ in await store.scan("n")] == sorted(kept)
        assert len(kept) > 150
        for first in range(0, len(kept), together):
            await at_once([lambda key=key: delete(key) for key in kept[first : first + together]])
        await store.put("n", "again", bytes(100_000))
        assert await store.scan("n") == [("again", bytes(100_000))]


async def test_a_store_keeps_no_more_than_it_may(tmp_path: Path) -> None:
    async with LmdbStore(tmp_path, most_bytes=200_000) as store:
        await store.put("n", "k", bytes(150_000))
        await store.put("n", "k", b"1" * 150_000)
        with pytest.raises(
            LimitExceeded, match=r"would grow to \d+ bytes, and by its most_bytes it may have 200000: noth"
        ):
            await store.put("n", "l", bytes(100_000))
        assert await store.scan("n") == [("k", b"1" * 150_000)]
        assert await store.batch([Delete("n", "k"), Put("n", "l", bytes(180_000))])
        refused = []

        async def put(i: int) -> None:
            try:
                await store.put("n", str(i), bytes(1000))
            except LimitExceeded:
                refused.append(i)

        await at_once([lambda i=i: put(i) for i in range(200)])
        kept = [key for key, _ in await store.scan("n")]
        assert sorted([*kept, *map(str, refused)]) == sorted([*map(str, range(200)), "l"])
        assert 1 < len(kept) < 20


@pytest.mark.parametrize("given", [{"map_size": 0}, {"most_bytes": 0}])
def test_limits_are_positive_numbers(tmp_path: Path, given: dict[str, int]) -> None:
    with pytest.raises(InvalidArgument, match=r"is a number of bytes, at least 1.*; got 0"):
        LmdbStore(tmp_path, **given)


# Compaction


async def test_compacting_gives_back_what_was_deleted(tmp_path: Path) -> None:
    async with LmdbStore(tmp_path) as store, LmdbStore(tmp_path) as other:
        await at_once(putting(store, 1000, size=1000))
        await at_once([lambda i=i: store.delete("n", f"{i:05}") for i in range(1000) if i % 10])
        before = await store.size()
        reading = await store.scan("n")
        await at_once([store.compact, lambda: other.put("n", "meanwhile", b"1")])
        assert await store.size() < before / 5
        assert await other.scan("n") == [*reading, ("meanwhile", b"1")]
        assert store.place == other.place
        await other.put("n", "after", b"1")
        assert sorted(os.listdir(tmp_path)) == ["data.mdb", "lock.mdb"]
    async with LmdbStore(tmp_path) as again:
        assert len(await again.scan("n")) == 102


async def test_a_store_that_another_process_has_open_is_not_compacted(tmp_path: Path) -> None:
    """Not even one that knows nothing of this package. What it then writes is there."""
    process = subprocess.Popen(
        script(
            "import lmdb\n"
            "environment = lmdb.open(sys.argv[1], max_dbs=16)\n"
            "print('open', flush=True)\n"
            "sys.stdin.read()",
            tmp_path,
        ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    async with LmdbStore(tmp_path / "none") as none:
        await none.compact()
        assert await none.scan("n") == []
    async with LmdbStore(tmp_path) as store:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        await store.put("n", "k", b"1")
        with pytest.raises(StoreUnusable, match=r"while another process has it open.*Nothing was changed"):
            await store.compact()
        assert await store.get("n", "k") == b"1"
        process.communicate()
        await store.compact()
        assert await store.get("n", "k") == b"1"


async def test_what_others_write_while_it_is_being_compacted_is_there(tmp_path: Path) -> None:
    """They open it and close it all the time; a compaction finds it free, or refuses."""
    code = """
async def main():
    for i in range(60):
        async with LmdbStore(sys.argv[1]) as store:
            assert len(await store.scan(sys.argv[2])) == i
            await store.put(sys.argv[2], str(i), bytes(500))
trio.run(main)
"""
    store = LmdbStore(tmp_path)
    compacted = 0
    running = [subprocess.Popen(script(code, tmp_path, name)) for name in "abc"]
    while any(process.poll() is None for process in running):
        await store.put("n", "k", bytes(500))
        try:
            await store.compact()
            compacted += 1
        except StoreUnusable:
            await trio.lowlevel.checkpoint()
        await store.aclose()
        store = LmdbStore(tmp_path)
    assert [process.returncode for process in running] == [0, 0, 0]
    assert [len(await store.scan(name)) for name in "nabc"] == [1, 60, 60, 60]
    assert compacted > 0
    await store.aclose()


async def test_what_a_killed_compaction_left_is_removed(tmp_path: Path) -> None:
    async with LmdbStore(tmp_path) as store:
        await store.put("n", "k", b"1")
    (tmp_path / "compact-0123").write_bytes(bytes(1000))
    async with LmdbStore(tmp_path) as store:
        assert sorted(os.listdir(tmp_path)) == ["data.mdb", "lock.mdb"]
        assert await store.get("n", "k") == b"1"


async def test_a_directory_that_was_replaced_is_not_compacted(tmp_path: Path) -> None:
    async with LmdbStore(tmp_path / "s") as old:
        await old.put("n", "k", b"old")
        shutil.rmtree(tmp_path / "s")
        async with LmdbStore(tmp_path / "s") as new:
            await new.put("n", "k", b"new")
            with pytest.raises(StoreUnusable, match=r"removed or replaced while it was open"):
                await old.compact()
            await new.compact()
            assert (await old.get("n", "k"), await new.get("n", "k")) == (b"old", b"new")


# Damage


def test_a_store_cut_short_anywhere_is_named(tmp_path: Path) -> None:
    """In a process of its own: reading past the end of a mapped file would kill it."""
    said = in_another_process(
        """
import shutil
async def main():
    async with LmdbStore(sys.argv[1] + "/whole") as store:
        for i in range(30):
            await store.put("n", str(i), bytes(i * 1000))
    size = os.path.getsize(sys.argv[1] + "/whole/data.mdb")
    cuts = sorted({c for page in range(0, size + 1, 4096) for c in (page - 1, page, page + 1, page + 100)})
    named = 0
    cuts = [cut for cut in cuts if 0 <= cut < size]
    for cut in cuts:
        place = f"{sys.argv[1]}/{cut}"
        shutil.copytree(sys.argv[1] + "/whole", place)
        os.truncate(place + "/data.mdb", cut)
        try:
            LmdbStore(place)
        except LambdacatError as error:
            assert "is damaged" in str(error) and "backup" in str(error), error
            assert os.path.getsize(place + "/data.mdb") == cut
            named += 1
        shutil.rmtree(place)
    print(named == len(cuts), named > 40)
trio.run(main)
""",
        tmp_path,
    )
    assert said == "True True"


async def test_a_file_whose_last_pages_are_free_need_not_have_them(tmp_path: Path) -> None:
    """LMDB counts pages that it never wrote."""
    with lmdb.open(str(tmp_path), max_dbs=16, lib_version=0) as environment:
        places = environment.open_db(b"store")
        for large in (0, 0, 0, 100_000):
            with environment.begin(write=True, db=places) as txn:
                if large:
                    txn.put(b"\x01nl", bytes(large))
                    txn.delete(b"\x01nl")
                txn.put(b"\x01nk", b"1")
        counted = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    assert os.path.getsize(tmp_path / "data.mdb") < counted
    async with LmdbStore(tmp_path) as store:
        assert await store.scan("n") == [("k", b"1")]
    os.truncate(tmp_path / "data.mdb", 3 * 4096)
    with pytest.raises(
        StoreUnusable, match=r"is damaged: data\.mdb has only 12288 bytes, and more are in use"
    ):
        LmdbStore(tmp_path)


async def test_a_store_of_before_there_was_a_heap_is_read_and_compacted(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path), max_dbs=16, lib_version=0) as environment:
        places = environment.open_db(b"store")
        with environment.begin(write=True, db=places) as txn:
            for key in (b"a", b"ab", b"abc", b"b"):
                txn.put(b"\x01n" + key, key * 200)
    expected = [(key, key.encode() * 200) for key in ("a", "ab", "abc", "b")]
    async with LmdbStore(tmp_path) as store:
        assert await store.scan("n") == expected
        await store.compact()
        assert await store.scan("n") == expected
        await store.put("n", "ab", b"1")
        assert await store.delete("n", "a")
        assert await store.scan("n") == [("ab", b"1"), *expected[2:]]


async def test_a_record_that_is_listed_and_not_there(tmp_path: Path) -> None:
    """The file is damaged, and that is said."""
    async with LmdbStore(tmp_path) as store:
        await store.put("n", "k", bytes(200))
    with lmdb.open(str(tmp_path), max_dbs=4) as environment:
        heap = environment.open_db(b"heap")
        with environment.begin(db=heap, write=True) as txn:
            assert txn.delete((1).to_bytes(8, "big"))
    async with LmdbStore(tmp_path) as store:
        for doing in (store.get("n", "k"), store.scan("n"), store.compact()):
            with pytest.raises(StoreUnusable, match=r"data\.mdb' is damaged.*restore it from a backup"):
                await doing
