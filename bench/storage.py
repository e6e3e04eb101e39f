"""What keeping things costs: the embedded store and durable runs, against a bare file, bare LMDB, SQLite and peers.

    make bench                      # or: python -m bench.storage [--quick] [--no-peers]

Every figure is on a real disk, synchronised: the directory is made next to the package, since /tmp may be in memory.
Baseline and candidate take turns. Peers run in an environment of their own (.bench-venv), which is made on first use.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Protocol

import lmdb
import trio

from bench.figures import Figure, pinned, turns, write
from bench.runtime import PEER_PACKAGES as RUNTIME_PEERS
from bench.runtime import PEERS, PEERS_PYTHON, ROOT
from lambdacat_effects import Durable, Effect, Handler, Plan, effect
from lambdacat_effects.storage import LmdbStore

PEER_PACKAGES = [*RUNTIME_PEERS, "dbos==3.4.0", "langgraph-checkpoint-sqlite==3.1.2"]

WRITERS, EACH = 256, 100
ENTRY = os.urandom(75)

Entry = tuple[int, int, bytes]
"""A run's number, the entry's number in it, and the entry."""


class Log(Protocol):
    """Where the baselines write: all of the entries are on the disk when it returns."""

    def commit(self, entries: list[Entry]) -> None: ...
    def close(self) -> None: ...


class RawFile:
    """Appends to a file, with checksums, and `fdatasync`: the least that a log can do."""

    def __init__(self, directory: str) -> None:
        self.file = os.open(f"{directory}/raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def commit(self, entries: list[Entry]) -> None:
        data = bytearray()
        for run, number, entry in entries:
            head = struct.pack(">QQI", run, number, len(entry))
            data += head + entry + struct.pack(">I", zlib.crc32(head + entry))
        os.write(self.file, data)
        os.fdatasync(self.file)

    def close(self) -> None:
        os.close(self.file)


class Sqlite:
    """SQLite in WAL mode with `synchronous=FULL`: what else one would embed."""

    def __init__(self, directory: str) -> None:
        self.connection = sqlite3.connect(
            f"{directory}/log.sqlite", check_same_thread=False, isolation_level=None
        )
        self.connection.execute("pragma journal_mode=wal")
        self.connection.execute("pragma synchronous=full")
        self.connection.execute(
            "create table log(run integer, number integer, entry blob, primary key(run, number)) without rowid"
        )

    def commit(self, entries: list[Entry]) -> None:
        self.connection.execute("begin immediate")
        self.connection.executemany("insert into log values(?, ?, ?)", entries)
        self.connection.execute("commit")

    def close(self) -> None:
        self.connection.close()


class BareLmdb:
    """One put per transaction, on the thread that asks: what LMDB takes by itself."""

    def __init__(self, directory: str) -> None:
        self.environment = lmdb.open(directory, map_size=1 << 36, max_dbs=2, lib_version=0)
        self.database = self.environment.open_db(b"log")

    def commit(self, entries: list[Entry]) -> None:
        with self.environment.begin(db=self.database, write=True) as txn:
            for run, number, entry in entries:
                txn.put(b"\x01j%x.%08x" % (run, number), entry)

    def close(self) -> None:
        self.environment.close()


class Grouping:
    """The store's design around any log: one thread that commits together what is queued, and wakes all at once."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.queue: queue.SimpleQueue[tuple[Entry, trio.lowlevel.Task] | None] = queue.SimpleQueue()
        self.token = trio.lowlevel.current_trio_token()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    async def append(self, run: int, number: int) -> None:
        self.queue.put(((run, number, ENTRY), trio.lowlevel.current_task()))
        await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)

    def run(self) -> None:
        item = self.queue.get()
        while item is not None:
            group = []
            while item is not None:
                group.append(item)
                try:
                    item = self.queue.get_nowait()
                except queue.Empty:
                    break
            self.log.commit([entry for entry, _ in group])
            self.token.run_sync_soon(self.wake, [task for _, task in group])
            if item is not None:
                item = self.queue.get()

    @staticmethod
    def wake(tasks: list[trio.lowlevel.Task]) -> None:
        for task in tasks:
            trio.lowlevel.reschedule(task)

    def close(self) -> None:
        self.queue.put(None)
        self.thread.join()
        self.log.close()


class Directories:
    """New directories on the disk that this package is on."""

    def __init__(self, within: str) -> None:
        self.within = within

    def new(self) -> str:
        return tempfile.mkdtemp(dir=self.within)


async def crowd(append: Callable[[int, int], Awaitable[None]]) -> None:
    """Many writers at once, each of its own run."""

    async def writer(run: int) -> None:
        for number in range(EACH):
            await append(run, number)

    async with trio.open_nursery() as nursery:
        for run in range(WRITERS):
            nursery.start_soon(writer, run)


def appender(store: LmdbStore) -> Callable[[int, int], Awaitable[None]]:
    return lambda run, number: store.put("j", f"{run:x}.{number:08x}", ENTRY)


def together(rounds: int, directories: Directories) -> list[Figure]:
    """Concurrent appends, committed in groups."""

    async def ours() -> None:
        async with LmdbStore(directories.new()) as store:
            await crowd(appender(store))

    async def grouped(log: Log) -> None:
        with closing(Grouping(log)) as grouping:
            await crowd(grouping.append)

    store, raw, sqlite = turns(
        rounds,
        lambda: trio.run(ours),
        lambda: trio.run(grouped, RawFile(directories.new())),
        lambda: trio.run(grouped, Sqlite(directories.new())),
    )
    name = f"{WRITERS} concurrent writers of one small entry each, `LmdbStore`"
    each = WRITERS * EACH / 1e3
    return [
        Figure(
            name,
            "k entries/s",
            each / store,
            "append + `fdatasync`",
            each / raw,
            ">= 0.35 x",
            raw >= 0.35 * store,
        ),
        Figure(
            name,
            "k entries/s",
            each / store,
            "SQLite WAL FULL",
            each / sqlite,
            ">= 1.5 x",
            sqlite >= 1.5 * store,
        ),
    ]


async def slices(rounds: int, *candidates: Callable[[], Awaitable[None]]) -> list[float]:
    """As `turns`, within an event loop and with everything open: the best time in seconds of each."""
    best = [float("inf")] * len(candidates)
    for _ in range(rounds):
        for i, candidate in enumerate(candidates):
            began = time.perf_counter()
            await candidate()
            best[i] = min(best[i], time.perf_counter() - began)
    return best


async def in_turn(rounds: int, directories: Directories) -> Figure:
    """One append after the other."""
    number = 50
    with closing(BareLmdb(directories.new())) as log:
        async with LmdbStore(directories.new()) as store:
            runs = iter(range(10_000))

            async def ours() -> None:
                run = next(runs)
                for i in range(number):
                    await store.put("j", f"{run:x}.{i:08x}", ENTRY)

            async def bare() -> None:
                run = next(runs)
                for i in range(number):
                    log.commit([(run, i, ENTRY)])

            took, least = await slices(2 * rounds, ours, bare)
    return Figure(
        "one append after the other, `LmdbStore`", "us", took / number * 1e6, "bare LMDB commit",
        least / number * 1e6, "<= 1.5 x", took <= 1.5 * least,
    )  # fmt: skip


@effect
class Step(Effect[object]):
    """What a step of a durable run asks the world for."""

    number: int


def stepping(number: int) -> Plan[Step, int]:
    for i in range(number):
        yield from Step(i)
    return number


numbering = Step.by(lambda step: step.number)


async def durable_run(directory: str, number: int, handlers: Handler[Step]) -> None:
    assert await Durable(directory).run("bench", stepping, number, handlers=handlers) == number


async def durable_crowd(directory: str, number: int, handlers: Handler[Step]) -> None:
    async with Durable(directory) as durable, trio.open_nursery() as nursery:
        for run in range(WRITERS):
            nursery.start_soon(perform, durable, str(run), number, handlers)


async def perform(durable: Durable, run: str, number: int, handlers: Handler[Step]) -> None:
    await durable.run(run, stepping, number, handlers=handlers)


async def durable_steps(rounds: int, directories: Directories, peers: Peers | None) -> list[Figure]:
    """A step of a durable run, everything included: from the start of the run to its answer."""
    number = 200
    if peers is not None:
        peers.set_up()
    with closing(BareLmdb(directories.new())) as log:
        async with Durable(directories.new()) as durable:
            runs = iter(range(10_000))

            async def run() -> None:
                await perform(durable, str(next(runs)), number, numbering)

            async def least() -> None:
                run = next(runs)
                for i in range(number):
                    log.commit([(run, i, ENTRY)])

            ours = bare = float("inf")
            for _ in range(3):
                if peers is not None:
                    peers.round()
                took = await slices(rounds, run, least)
                ours, bare = min(ours, took[0]), min(bare, took[1])
    step = ours / number * 1e6
    rows = [
        Figure("durable step, one after the other", "us", step, "bare LMDB commit", bare / number * 1e6, "<= 1.5 x",
               ours <= 1.5 * bare),
    ]  # fmt: skip
    for name, called, factor in (
        ("dbos", "DBOS on SQLite", 5.0),
        ("langgraph", "LangGraph, AsyncSqliteSaver", 2.5),
    ):
        if peers is not None and f"{name} 0" in peers.found:
            theirs = peers.found[f"{name} 0"]["seconds_per_step"] * 1e6
            rows.append(
                Figure("durable step, one after the other", "us", step, called, theirs, f"{factor:g} x faster",
                       theirs >= factor * step)
            )  # fmt: skip
    return rows


def durable_runs(rounds: int, directories: Directories) -> list[Figure]:
    """Many durable runs at once, against as many writers of the bare logs."""
    each = 20

    async def grouped(log: Log) -> None:
        with closing(Grouping(log)) as grouping:
            await crowd(grouping.append)

    ours, raw, sqlite = turns(
        max(3, rounds // 3),
        lambda: trio.run(durable_crowd, directories.new(), each, numbering),
        lambda: trio.run(grouped, RawFile(directories.new())),
        lambda: trio.run(grouped, Sqlite(directories.new())),
    )
    step, entry = ours / (WRITERS * each), WRITERS * EACH
    name = f"{WRITERS} concurrent durable runs"
    return [
        Figure(name, "k steps/s", 1e-3 / step, "append + `fdatasync`", entry / raw / 1e3, ">= 0.35 x",
               raw / entry >= 0.35 * step),
        Figure(name, "k steps/s", 1e-3 / step, "SQLite WAL FULL", entry / sqlite / 1e3, ">= 1.5 x",
               sqlite / entry >= 1.5 * step),
    ]  # fmt: skip


def sizes(directories: Directories, number: int, peers: Peers | None) -> list[Figure]:
    """Bytes on disk per step of one durable run, and of one ten times as long."""
    rows = []
    for answer, most in ((0, 200), (1024, 1536)):
        handlers = numbering if not answer else Step.by(lambda _: os.urandom(512).hex())
        short, long = (taken(directories, n, handlers) / n for n in (number, 10 * number))
        name = "disk per step, " + (f"an answer of {answer} bytes" if answer else "a trivial answer")
        rows.append(
            Figure(f"{name}, {10 * number:,} steps", "bytes", long, f"{number:,} steps", short,
                   f"<= {most} bytes, linear", long <= most and long <= 1.1 * short)
        )  # fmt: skip
        for peer, called in (("dbos", "DBOS on SQLite"), ("langgraph", "LangGraph, AsyncSqliteSaver")):
            theirs = peers.found.get(f"{peer} {answer}") if peers is not None else None
            if theirs:
                rows.append(
                    Figure(f"{name}, {number:,} steps", "bytes", short, f"{called}, 200 steps",
                           theirs["bytes_per_step"], "-", True)
                )  # fmt: skip
    return rows


def taken(directories: Directories, number: int, handlers: Handler[Step]) -> int:
    directory = directories.new()
    trio.run(durable_run, directory, number, handlers)
    return os.path.getsize(f"{directory}/data.mdb")


class Peers:
    """Seconds and bytes per step of each peer, the best of its rounds; with answers of 1 KB, too."""

    def __init__(self, directories: Directories) -> None:
        self.directories = directories
        self.found: dict[str, dict[str, float]] = {}

    def set_up(self) -> None:
        if not PEERS_PYTHON.exists():
            subprocess.run([sys.executable, "-m", "venv", str(PEERS_PYTHON.parents[1])], check=True)
        probe = [str(PEERS_PYTHON), "-c", "import burr, dbos, langgraph.checkpoint.sqlite"]
        if subprocess.run(probe, capture_output=True).returncode:
            subprocess.run([str(PEERS_PYTHON), "-m", "pip", "install", "--quiet", *PEER_PACKAGES], check=True)

    def round(self) -> None:
        for name in ("dbos", "langgraph"):
            for answer in (0, 1024):
                told = run_peer(name, answer, self.directories.new())
                key = f"{name} {answer}"
                if told and (
                    key not in self.found or told["seconds_per_step"] < self.found[key]["seconds_per_step"]
                ):
                    self.found[key] = told


def run_peer(name: str, answer: int, directory: str) -> dict[str, float] | None:
    out = subprocess.run(
        [str(PEERS_PYTHON), str(PEERS / f"{name}_steps.py"), "200", str(answer), directory],
        capture_output=True,
        text=True,
    )
    if out.returncode:
        print(f"{name}: not measured\n{out.stderr}", file=sys.stderr)
        return None
    told: dict[str, float] = json.loads(out.stdout.splitlines()[-1])
    return told


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--quick", action="store_true", help="fewer rounds")
    arguments.add_argument("--no-peers", action="store_true", help="only this package and the baselines")
    given = arguments.parse_args()
    rounds = 3 if given.quick else 15
    pinned()
    with tempfile.TemporaryDirectory(prefix=".bench-store-", dir=ROOT) as within:
        directories = Directories(within)
        peers = None if given.no_peers else Peers(directories)
        figures = [
            *together(rounds, directories),
            trio.run(in_turn, rounds, directories),
            *trio.run(durable_steps, rounds // 3, directories, peers),
            *durable_runs(rounds, directories),
            *sizes(directories, 100 if given.quick else 1000, peers),
        ]
    write("storage", figures)


if __name__ == "__main__":
    main()
