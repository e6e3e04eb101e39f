"""Journals that end too early: a record, a header or the store's file cut off at any byte."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import trio
from proof_images import Contents, contents, digest, opened
from proof_plans import PROOFS, Proof, handlers
from proof_power import perform

from lambdacat_effects.errors import JournalUnreadable
from lambdacat_effects.journal import Durable
from lambdacat_effects.journal.records import ENTRIES, RUNS
from lambdacat_effects.storage.lmdb_store import LmdbStore
from lambdacat_effects.testing import CrashPoint
from lambdacat_effects.testing.lives import RUN_ID, Lives
from lambdacat_effects.testing.mortal import Disk


def interrupted(proof: Proof) -> dict[str, dict[str, bytes]]:
    """What the store has of a run whose process died when three quarters had been written."""

    def lives() -> Lives:
        return Lives(proof.make, proof.args, handlers, answers=proof.answers)

    whole, cut = lives(), lives()
    whole.live(0)
    assert cut.live(0, CrashPoint("before write", len(whole.writes) * 3 // 4))
    return cut.disk.contents()


def cut_records(proof: Proof) -> tuple[Counter[str], list[str]]:
    """Cut off each record of a journal, and its header, at every byte. Answers what happened, and what was wrong."""
    whole = interrupted(proof)
    happened: Counter[str] = Counter()
    wrong: list[str] = []
    for space in (ENTRIES, RUNS):
        for key, data in whole.get(space, {}).items():
            for length in range(len(data)):
                cut = {name: dict(values) for name, values in whole.items()}
                cut[space][key] = data[:length]
                disk = Disk.of(cut)
                try:
                    trio.run(_resume, disk, proof)
                    wrong.append(f"{space} {key} cut at {length}: the run goes on")
                except JournalUnreadable as error:
                    happened["refused"] += 1
                    if RUN_ID not in str(error):
                        wrong.append(
                            f"{space} {key} cut at {length}: the message does not name the run: {error}"
                        )
                except Exception as error:
                    wrong.append(f"{space} {key} cut at {length}: {error!r}")
                now = disk.contents()
                if {n: now.get(n) for n in (ENTRIES, RUNS)} != {n: cut.get(n) for n in (ENTRIES, RUNS)}:
                    wrong.append(f"{space} {key} cut at {length}: the journal was changed")
    return happened, wrong


async def _resume(disk: Disk, proof: Proof) -> None:
    await Durable(disk).resume(RUN_ID, handlers=handlers(disk))


def cut_file(image: bytes, expected: Contents, offsets: list[int]) -> tuple[Counter[str], list[str]]:
    """Cut off a store's file at these offsets, and open each."""
    happened: Counter[str] = Counter()
    wrong: list[str] = []
    whole = digest(expected)
    for offset, said in zip(offsets, opened([image[:offset] for offset in offsets]), strict=True):
        happened[said if said == "refused" else "whole"] += 1
        if said not in ("refused", whole):
            wrong.append(f"cut at {offset}: it opens, and something is missing: {said}")
    return happened, wrong


def a_store() -> tuple[bytes, Contents]:
    """The file of a store with an ended run, and what is in it."""
    with tempfile.TemporaryDirectory(prefix="store") as directory:
        proof = next(proof for proof in PROOFS if proof.name == "beliefs and memory")
        trio.run(perform, proof, LmdbStore(directory))
        return Path(directory, "data.mdb").read_bytes(), trio.run(contents, directory)
