"""Simulated power cuts: what a disk may have of a store's file when the machine dies, at any moment of a run.

A process performs a durable run on a real store, under a trace of its system calls. The order in which pages are
written, and where the disk is waited for, is read from that; nothing about it is assumed.

python proof_power.py STORE ACKNOWLEDGEMENTS PLAN [hasty]
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trio
from proof_images import Contents, contents, digest, opened
from proof_plans import PROOFS, Proof, handlers
from proof_trace import Acknowledged, Landed, Synced, Trace, Write, traced

from lambdacat_effects.errors import LambdacatError, RunSuspended
from lambdacat_effects.journal import Durable
from lambdacat_effects.journal.records import ENTRIES
from lambdacat_effects.storage import lmdb_files
from lambdacat_effects.storage.lmdb_store import LmdbStore
from lambdacat_effects.storage.port import Change, Put

PAGE = 4096
KINDS = ("nothing", "some pages", "some pages", "torn pages", "torn pages", "everything")


class Acknowledging(LmdbStore):
    """Tells what it has acknowledged."""

    def __init__(self, path: str, acknowledgements: str) -> None:
        super().__init__(path)
        self._told = os.open(acknowledgements, os.O_WRONLY | os.O_APPEND)

    async def batch(self, changes: Sequence[Change]) -> bool:
        made = await super().batch(changes)
        if made:
            puts = {(put.namespace, put.key): put.value for put in changes if isinstance(put, Put)}
            told = [[*where, value.hex()] for where, value in puts.items()]
            os.write(self._told, json.dumps(told).encode() + b"\n")
        return made


async def perform(proof: Proof, store: LmdbStore) -> Any:
    """Begin it or let it go on, and answer its questions, until it has ended."""
    async with store:
        durable = Durable(store)
        known = {info.run_id for info in await durable.runs()}
        while True:
            try:
                if "run" in known:
                    return await durable.resume("run", handlers=handlers(store))
                return await durable.run("run", proof.make, *proof.args, handlers=handlers(store))
            except LambdacatError as error:
                if not isinstance(error, RunSuspended):
                    raise
                known.add("run")
                for question in await durable.questions("run"):
                    await durable.answer("run", proof.answers[question.text], at=question.at)


def trace_of(proof: Proof, directory: str, *, hasty: bool = False) -> Trace:
    """The writes of a run. `hasty` is the mutant: LMDB does not wait for the disk."""
    path, acknowledgements = Path(directory, "traced"), Path(directory, "acknowledged")
    trio.run(_made, str(path))
    arguments = [str(path), str(acknowledgements), proof.name, *(["hasty"] if hasty else [])]
    return traced([sys.executable, __file__, *arguments], path / "data.mdb", acknowledgements, directory)


async def _made(path: str) -> None:
    async with LmdbStore(path):
        pass


class PowerCuts:
    """Images of a store's file after a power cut, each opened, and some of them resumed."""

    def __init__(self, proof: Proof, seed: int, *, hasty: bool = False) -> None:
        self.happened: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._proof = proof
        self._hasty = hasty
        self._chance = random.Random(seed)

    def run(self, images: int, *, resume_every: int = 10) -> None:
        """Make so many images, spread over the run."""
        with tempfile.TemporaryDirectory(prefix="power") as directory:
            self._trace = trace = trace_of(self._proof, directory, hasty=self._hasty)
            self._commits = [n for n, event in enumerate(trace.events, 1) if _is_meta(event)]
            self.happened["commits"] += len(self._commits)
            self.happened["waits for the disk"] += sum(isinstance(e, (Synced, Landed)) for e in trace.events)
            whole = [trace.before, *[trace.at(moment) for moment in self._commits]]
            self._states = _read(directory, whole)
            self._least = self._acknowledged()
            moments = [1 + number * len(trace.events) // images for number in range(images)]
            cuts = [(moment, self._chance.choice(KINDS)) for moment in moments]
            made = [trace.power_cut(moment, self._chance, kind) for moment, kind in cuts]
            for (moment, kind), image, said in zip(cuts, made, opened(made), strict=True):
                self.happened[kind] += 1
                if self._check(moment, kind, said) and self.happened["images"] % resume_every == 0:
                    self._resume(directory, image)
                self.happened["images"] += 1

    def _acknowledged(self) -> dict[int, int]:
        """By the place of each acknowledgement: the first state that has what it tells of."""
        least: dict[int, int] = {}
        for place, event in enumerate(self._trace.events):
            if isinstance(event, Acknowledged):
                told: list[list[str]] = json.loads(event.text)
                puts = {(space, key): bytes.fromhex(value) for space, key, value in told}
                least[place] = next(
                    number
                    for number, state in enumerate(self._states)
                    if all(state.get(where) == value for where, value in puts.items())
                )
        return least

    def _check(self, moment: int, kind: str, said: str) -> bool:
        begun = sum(commit <= moment for commit in self._commits)
        least = max([0, *[number for place, number in self._least.items() if place < moment]])
        fitting = [n for n in range(least, begun + 1) if digest(self._states[n]) == said]
        if not fitting:
            known = [n for n, state in enumerate(self._states) if digest(state) == said]
            found = f"state {known}" if known else said
            self.wrong.append(
                f"after {moment} events, with {kind} landed: {found}, where states {least} to {begun} were possible"
            )
            return False
        which = "with all commits that had begun" if begun in fitting else "without the commit under way"
        self.happened[which] += 1
        return True

    def _resume(self, directory: str, image: bytes) -> None:
        path = tempfile.mkdtemp(dir=directory)
        Path(path, "data.mdb").write_bytes(image)
        try:
            before = trio.run(contents, path)
            trio.run(perform, self._proof, LmdbStore(path))
            self.happened["resumed to the end"] += 1
            after = trio.run(contents, path)
            changed = [
                key for key in before if key[0] == ENTRIES and after.get(key, before[key]) != before[key]
            ]
            self.wrong += [f"{key} has changed" for key in changed]
        except LambdacatError as error:
            self.wrong.append(f"it cannot be resumed: {error}")
        finally:
            shutil.rmtree(path)


def _is_meta(event: object) -> bool:
    """Whether this makes a commit count: LMDB writes one of the first two pages."""
    return isinstance(event, Write) and event.offset < 2 * PAGE


def _read(directory: str, images: Sequence[bytes]) -> list[Contents]:
    states: list[Contents] = []
    for image in images:
        path = tempfile.mkdtemp(dir=directory)
        Path(path, "data.mdb").write_bytes(image)
        states.append(trio.run(contents, path))
        shutil.rmtree(path)
    return states


def cut_power(
    images: int, seed: int, proofs: Sequence[Proof] = PROOFS, *, hasty: bool = False
) -> tuple[Counter[str], list[str]]:
    """Cut the power so many times, shared among the plans. Answers what happened, and what was wrong."""
    happened: Counter[str] = Counter()
    wrong: list[str] = []
    for index, proof in enumerate(proofs):
        cuts = PowerCuts(proof, seed + index, hasty=hasty)
        cuts.run(images // len(proofs))
        happened += cuts.happened
        wrong += [f"{proof.name}: {what}" for what in cuts.wrong]
    return happened, wrong


def main() -> None:
    path, acknowledgements, name, *hasty = sys.argv[1:]
    if hasty:
        lmdb_files.FORMAT.update(sync=False, metasync=False)
    (proof,) = [proof for proof in PROOFS if proof.name == name]
    trio.run(perform, proof, Acknowledging(path, acknowledgements))


if __name__ == "__main__":
    main()
