"""On a real store: `kill -9` at random instants, power cuts, and files and records that end too early.

`python -m bench.durability` does the same at length.
"""

from __future__ import annotations

import random
import tempfile

import proof_mutants
import pytest
from proof_kills import kill
from proof_plans import PROOFS, Proof
from proof_power import cut_power, last_transaction, traced, without_barrier
from proof_truncation import a_store, cut_file, cut_records

BY_NAME = {proof.name: proof for proof in PROOFS}
# On a disk in real time, those that sleep would take it.
QUICK = [
    BY_NAME[name] for name in ("sequence", "parallel", "race", "with_state", "beliefs and memory", "ask")
]


def test_kills_lose_nothing_and_repeat_only_what_was_in_flight() -> None:
    """20 branches, whose calls a ledger outside has recorded; memory and beliefs as of an uninterrupted run."""
    happened, wrong = kill(10, seed=1)
    assert wrong == []
    assert happened["kills"] == 10
    assert happened["repeated that were acknowledged"] == happened["lost"] == 0
    assert happened["repeated in flight"] <= 20 * happened["kills"]


@pytest.mark.parametrize(
    "mutant", [proof_mutants.draws_keys, proof_mutants.overwrites], ids=lambda m: m.__name__
)
def test_kills_find_a_journal_that_breaks_the_guarantee(mutant: object) -> None:
    """One that repeats calls under other keys, one that loses records."""
    _, wrong = kill(12, seed=2, mutant=mutant.__name__)  # type: ignore[attr-defined]
    assert wrong


def test_power_cuts_leave_the_last_commit_whole_or_undone() -> None:
    """Whatever pages have landed, and in whatever order; and the run goes on from there."""
    happened, wrong = cut_power(240, seed=1, proofs=QUICK)
    assert wrong == []
    assert min(happened["as before the commit"], happened["as after the commit"]) > 40
    assert happened["resumed to the end"] >= 24


def test_a_disk_that_does_not_wait_is_found_out() -> None:
    """Power cuts are told from no power cuts: the meta page without what it counts on is no store."""
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as directory:
        commits = [commit for commit in traced(BY_NAME["with_state"], directory) if len(commit.pages) > 1]
    broken = 0
    for commit in commits[:8]:
        image = without_barrier(commit, chance)
        assert last_transaction(image) == last_transaction(commit.after) > last_transaction(commit.before)
        _, wrong = cut_file(image, {}, [len(image)])
        broken += bool(wrong)
    assert broken > 0


@pytest.mark.parametrize("proof", [BY_NAME["parallel"], BY_NAME["with_state"]], ids=lambda p: p.name)
def test_a_record_that_ends_too_early_is_refused(proof: Proof) -> None:
    """At any byte, by an error that names the run; and nothing is changed."""
    happened, wrong = cut_records(proof)
    assert wrong == []
    assert happened["refused"] > 200


def test_a_file_that_ends_too_early_is_refused_or_whole() -> None:
    """At any sector, and at any byte of its beginning: nothing is missing in silence, and no process dies of it."""
    image, found = a_store()
    offsets = sorted({*range(0, len(image) + 1, 512), *range(200), len(image) - 1, len(image)})
    happened, wrong = cut_file(image, found, offsets)
    assert wrong == []
    assert happened["refused"] > 200
    assert happened["whole"] > 0
