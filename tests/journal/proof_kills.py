"""Real `kill -9`, at random instants, of a durable run on a real store.

Three processes: the one that performs the run and is killed, the one that keeps a ledger of what it does, and this
one, which kills the first.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import trio
from proof_ledger import Ledger
from proof_worker import RUN_ID

from lambdacat_effects.journal.records import ENTRIES, Kind, Record, place_text
from lambdacat_effects.storage.lmdb_store import LmdbStore

BRANCHES, CALLS = 20, 5
_HERE = Path(__file__).parent


class Killed:
    """One durable run, killed until it has ended."""

    def __init__(self, directory: str, mutant: str | None = None) -> None:
        self.store = f"{directory}/store"
        self.ledger = Ledger(directory)
        self.happened: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._mutant = [mutant] if mutant else []
        self._journal: dict[str, bytes] = {}

    def run(self, chance: random.Random, most_kills: int) -> None:
        """Let it run to its end, killing it now and then."""
        with self.ledger.open():
            for _ in range(most_kills):
                if self._live(chance):
                    break
            else:
                self._live(None)
        self._check_calls()
        self.happened["runs"] += 1

    def _live(self, chance: random.Random | None) -> bool:
        """One process. Answers whether the run has ended."""
        first = len(self.ledger.entries)
        arguments = [
            str(_HERE / "proof_worker.py"),
            self.store,
            self.ledger.address,
            str(BRANCHES),
            str(CALLS),
        ]
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments, *self._mutant], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if chance is not None:
            if chance.random() < 0.2:  # at any time: while it imports, opens, reads the journal, or works
                seconds = chance.uniform(0, 2)
                while time.perf_counter() - began < seconds and process.poll() is None:
                    time.sleep(0.001)
            else:
                self.ledger.wait_for(first + chance.randint(1, 40), process)
                time.sleep(chance.uniform(0, 0.005))
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        ended = process.returncode == 0
        self.happened["processes"] += 1
        if process.returncode == -signal.SIGKILL:
            self.happened["kills"] += 1
            self.happened["kills before the first call of a process"] += len(self.ledger.entries) == first
        elif not ended:
            self.wrong.append(f"a process failed: {output.decode()[-2000:]}")
        self._check_journal(self.ledger.entries[first:])
        return ended or bool(self.wrong)

    def _check_journal(self, calls: list[tuple[str, str]]) -> None:
        before, self._journal = self._journal, trio.run(_scan, self.store, ENTRIES)
        self.happened["lost"] += sum(self._journal.get(key) != data for key, data in before.items())
        self.wrong += [f"record {key} is gone" for key in before if self._journal.get(key) != before[key]]
        answered = _answered(before)
        again = [call for call in calls if call[0] in answered]
        self.happened["repeated that were acknowledged"] += len(again)
        self.wrong += [f"{what} ({key}) was acknowledged, and is called again" for key, what in again]
        known = {key for key, _ in self.ledger.entries}
        unknown = sorted(_answered(self._journal) - known)
        self.wrong += [f"{key} is in the journal, and did not happen" for key in unknown]

    def _check_calls(self) -> None:
        calls = Counter(self.ledger.entries)
        self.happened["calls"] += len(calls)
        self.happened["repeated in flight"] += sum(calls.values()) - len(calls)
        gone_on: set[str] = set()
        for key, what in self.ledger.entries:
            if key in gone_on:
                self.wrong.append(f"{what} ({key}) is called again, though its branch had gone on")
            branch, _, number = key.rpartition(".")
            if ":" not in number:
                gone_on |= {f"{branch}.{n}" for n in range(int(number))}
        expected = {f"branch {i} {n}" for i in range(BRANCHES) for n in range(CALLS)} | {"the end"}
        if len({key for key, _ in calls}) != len(calls):
            self.wrong.append("one key stands for two calls")
        if sorted(expected) != sorted(what for _, what in calls):
            self.wrong.append("calls are missing, or were made under two keys")

    def left_behind(self) -> Any:
        """Memory and beliefs, without the times of the observations."""
        memory = trio.run(_scan, self.store, "done")
        beliefs = {key: json.loads(data) for key, data in trio.run(_scan, self.store, "_beliefs").items()}
        return memory, _without_times(beliefs)


async def _scan(path: str, namespace: str) -> dict[str, bytes]:
    async with LmdbStore(path) as store:
        return dict(await store.scan(namespace))


def _answered(journal: dict[str, bytes]) -> set[str]:
    """The idempotency keys of the calls that were answered."""
    records = [(key, Record.decode(RUN_ID, data)) for key, data in journal.items()]
    return {
        f"{RUN_ID}:{key[: key.rindex('.')]}:{place_text(record.place)}"
        for key, record in records
        if record.kind is Kind.ANSWERED and "record" in str(record.asked) and "CallTool" in str(record.asked)
    }


def _without_times(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {key: _without_times(value) for key, value in thing.items() if key != "time"}
    return [_without_times(each) for each in thing] if isinstance(thing, list) else thing


def kill(kills: int, seed: int, mutant: str | None = None) -> tuple[Counter[str], list[str]]:
    """Kill runs so many times. Answers what happened, and what was wrong."""
    chance = random.Random(seed)
    happened: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="uninterrupted") as directory:
        undisturbed = Killed(directory)
        undisturbed.run(chance, 0)
        wrong += undisturbed.wrong
        expected = undisturbed.left_behind()
    while happened["kills"] < kills and not wrong:
        with tempfile.TemporaryDirectory(prefix="killed") as directory:
            run = Killed(directory, mutant)
            run.run(chance, kills - happened["kills"])
            if not run.wrong and run.left_behind() != expected:
                run.wrong.append("memory or beliefs differ from those of an uninterrupted run")
            happened += run.happened
            wrong += run.wrong
    return happened, wrong
