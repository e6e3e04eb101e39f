"""Simulated power cuts: what a disk may have of the journal's file when the machine dies during a commit.

LMDB writes a commit's new pages, waits for the disk (`fdatasync`), and then writes one meta page, which makes them
count, through a descriptor that waits, too. So a power cut in a commit leaves any subset of its pages, whole or torn
between sectors, and the meta page only if all of them are there.
"""

from __future__ import annotations

import random
import shutil
import struct
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import attrs
import trio
from proof_plans import PROOFS, Proof, handlers

from lambdacat_effects.errors import LambdacatError
from lambdacat_effects.journal import Durable
from lambdacat_effects.journal.records import ANSWERS, ENTRIES, FENCES, LEASES, NUMBERS, QUESTIONS, RUNS
from lambdacat_effects.storage import lmdb_environment
from lambdacat_effects.storage.lmdb_store import LmdbStore

PAGE, SECTOR = 4096, 512
METAS = (0, 1)
_NUMBER_OF_TRANSACTION = 16 + 128
SPACES = (
    RUNS,
    ENTRIES,
    FENCES,
    LEASES,
    NUMBERS,
    QUESTIONS,
    ANSWERS,
    "results",
    "agents",
    "witnesses",
    "beliefs",
)

Contents = dict[tuple[str, str], bytes]


@attrs.frozen
class Commit:
    """One transaction: the file before and after it."""

    before: bytes
    after: bytes

    @property
    def pages(self) -> list[int]:
        """Those that it has written, but for the meta page."""
        count = max(len(self.before), len(self.after)) // PAGE
        return [n for n in range(count) if n not in METAS and _page(self.before, n) != _page(self.after, n)]

    @property
    def metas(self) -> list[int]:
        """The meta page that it has written."""
        return [n for n in METAS if _page(self.before, n) != _page(self.after, n)]

    def image(self, landed: Sequence[int], torn: int | None = None, sectors: Sequence[int] = ()) -> bytes:
        """The file, if these pages have landed, and of one more these sectors only."""
        length = max(
            [len(self.before), *[(n + 1) * PAGE for n in [*landed, *([] if torn is None else [torn])]]]
        )
        file = bytearray(self.before.ljust(length, b"\0"))
        for n in landed:
            file[n * PAGE : (n + 1) * PAGE] = _page(self.after, n)
        for sector in sectors if torn is not None else ():
            start = (torn or 0) * PAGE + sector * SECTOR
            file[start : start + SECTOR] = self.after[start : start + SECTOR].ljust(SECTOR, b"\0")
        return bytes(file)


def _page(file: bytes, number: int) -> bytes:
    return file[number * PAGE : (number + 1) * PAGE].ljust(PAGE, b"\0")


def traced(proof: Proof, directory: str) -> list[Commit]:
    """The commits of a run on a real store, one transaction each."""
    path = f"{directory}/traced"
    data = Path(path, "data.mdb")
    commits: list[Commit] = []
    transaction = lmdb_environment.Environment._transaction

    def watched(self: Any, group: Any, begin: int) -> int:
        before = data.read_bytes()
        done = transaction(self, group, begin)
        commits.append(Commit(before, data.read_bytes()))
        return done

    with patch.object(lmdb_environment.Environment, "_transaction", watched):
        trio.run(perform, proof, path)
    return [commit for commit in commits if commit.metas]


async def perform(proof: Proof, path: str) -> Any:
    """Begin it or let it go on, and answer its questions, until it has ended."""
    async with LmdbStore(path) as store:
        durable = Durable(store)
        known = {info.run_id for info in await durable.runs()}
        while True:
            try:
                if "run" in known:
                    return await durable.resume("run", handlers=handlers(store))
                return await durable.run("run", proof.make, *proof.args, handlers=handlers(store))
            except LambdacatError as error:
                questions = getattr(error, "questions", None)
                if not questions:
                    raise
                known.add("run")
                for question in questions:
                    await durable.answer("run", proof.answers[question], question=question)


async def contents(path: str) -> Contents:
    """What is in a store."""
    async with LmdbStore(path) as store:
        return {(space, key): data for space in SPACES for key, data in await store.scan(space)}


class PowerCuts:
    """Images of a store's file after a power cut, each opened and resumed."""

    def __init__(self, proof: Proof, seed: int) -> None:
        self.happened: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._proof = proof
        self._chance = random.Random(seed)
        self._directory = tempfile.mkdtemp(prefix="power")

    def run(self, images: int, *, resume_every: int = 10) -> None:
        """Make so many images, spread over the commits."""
        try:
            commits = traced(self._proof, self._directory)
            self.happened["commits"] += len(commits)
            for number in range(images):
                commit = commits[number * len(commits) // images]
                resumes = number % resume_every == 0
                self._check(commit, self._image(commit), resumes=resumes)
        finally:
            shutil.rmtree(self._directory)

    def _image(self, commit: Commit) -> bytes:
        pages = commit.pages
        kind = self._chance.choice(
            ["some pages", "a torn page", "all pages", "a torn meta page", "everything"]
        )
        self.happened[kind] += 1
        sectors = [n for n in range(PAGE // SECTOR) if self._chance.random() < 0.5]
        some = [n for n in pages if self._chance.random() < 0.5]
        if kind == "some pages":
            return commit.image(some)
        if kind == "a torn page" and pages:
            return commit.image(some, self._chance.choice(pages), sectors)
        if kind == "a torn meta page":
            # All that it has is in its first sector, which a disk writes as one.
            return commit.image(pages, commit.metas[0], sectors)
        return commit.image(pages if kind == "all pages" else [*pages, *commit.metas])

    def _check(self, commit: Commit, image: bytes, *, resumes: bool) -> None:
        before, after = self._contents(commit.before), self._contents(commit.after)
        path = self._stored(image)
        try:
            found = trio.run(contents, path)
            if found == before:
                self.happened["as before the commit"] += 1
            elif found == after:
                self.happened["as after the commit"] += 1
            else:
                self.wrong.append(f"neither as before the commit nor as after it: {sorted(found)}")
                return
            if resumes:
                trio.run(perform, self._proof, path)
                self.happened["resumed to the end"] += 1
                again = trio.run(contents, path)
                lost = [
                    key for key in found if key[0] == ENTRIES and again.get(key, found[key]) != found[key]
                ]
                self.wrong += [f"{key} has changed" for key in lost]
        except LambdacatError as error:
            self.wrong.append(f"it cannot be opened or resumed: {error}")
        finally:
            shutil.rmtree(path)

    def _contents(self, image: bytes) -> Contents:
        path = self._stored(image)
        try:
            return trio.run(contents, path)
        finally:
            shutil.rmtree(path)

    def _stored(self, image: bytes) -> str:
        path = tempfile.mkdtemp(dir=self._directory)
        Path(path, "data.mdb").write_bytes(image)
        return path


def without_barrier(commit: Commit, chance: random.Random) -> bytes:
    """What a disk may have that does not wait: the meta page, and not all of what it counts on."""
    return commit.image([*[n for n in commit.pages if chance.random() < 0.5], *commit.metas])


def last_transaction(image: bytes) -> int:
    """The number of the last transaction that counts."""
    return max(struct.unpack_from("=Q", image, n * PAGE + _NUMBER_OF_TRANSACTION)[0] for n in METAS)


def cut_power(images: int, seed: int, proofs: Sequence[Proof] = PROOFS) -> tuple[Counter[str], list[str]]:
    """Cut the power so many times, shared among the plans. Answers what happened, and what was wrong."""
    happened: Counter[str] = Counter()
    wrong: list[str] = []
    for index, proof in enumerate(proofs):
        cuts = PowerCuts(proof, seed + index)
        cuts.run(images // len(proofs))
        happened += cuts.happened
        wrong += [f"{proof.name}: {what}" for what in cuts.wrong]
    return happened, wrong
