"""On a real store: `kill -9` at random instants, power cuts, and files and records that end too early.

`python -m bench.durability` does the same at length.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import proof_mutants
import pytest
from proof_kills import kill
from proof_ledger import Ledger
from proof_plans import PROOFS, Proof
from proof_power import PAGE, cut_power, trace_of
from proof_trace import Landed, Synced, Write, available
from proof_truncation import a_store, cut_file, cut_records

BY_NAME = {proof.name: proof for proof in PROOFS}
# On a disk in real time, those that sleep would take it.
QUICK = [
    BY_NAME[name] for name in ("sequence", "parallel", "race", "with_state", "beliefs and memory", "ask")
]

traces = pytest.mark.skipif(not available(), reason="there is no strace, or it may not be used")


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


def test_a_ledger_that_dies_is_noticed(tmp_path: Path) -> None:
    """It would prove nothing."""
    ledger = Ledger(str(tmp_path))

    def let_it_die() -> None:
        with ledger.open() as process:
            process.kill()
            process.wait()

    with pytest.raises(AssertionError, match="the ledger's process"):
        let_it_die()


@traces
def test_power_cuts_lose_nothing_that_was_acknowledged() -> None:
    """Whatever has landed of what was not waited for, and in whatever order; and the run goes on from there."""
    happened, wrong = cut_power(240, seed=1, proofs=QUICK)
    assert wrong == []
    assert min(happened["torn pages"], happened["some pages"], happened["nothing"]) > 20
    assert happened["without the commit under way"] > 5
    assert happened["resumed to the end"] >= 20


@traces
def test_power_cuts_find_a_store_that_does_not_wait() -> None:
    """LMDB with `sync=False`: what was acknowledged is lost, and the file is damaged."""
    _, wrong = cut_power(60, seed=1, proofs=[BY_NAME["with_state"]], hasty=True)
    assert any("were possible" in what and "state [" in what for what in wrong)
    assert any("refused" in what or "the process ended" in what for what in wrong)


@traces
def test_the_disk_is_waited_for_before_a_commit_counts_and_before_it_is_acknowledged() -> None:
    """By a trace of its system calls: pages, `fdatasync`, the meta page through `O_DSYNC`, and then the answer."""
    with tempfile.TemporaryDirectory() as directory:
        events = trace_of(BY_NAME["sequence"], directory).events
    on_the_way: list[Write] = []
    metas = acknowledged = 0
    for event in events:
        if isinstance(event, Write):
            if event.offset < 2 * PAGE:
                metas += 1
                assert on_the_way == [], "the meta page before what it counts on"
                assert event.offset // 512 == (event.offset + len(event.data) - 1) // 512, "two sectors"
            on_the_way.append(event)
        elif isinstance(event, Synced):
            on_the_way.clear()
        elif isinstance(event, Landed):
            on_the_way.remove(event.write)
        else:
            acknowledged += 1
            assert on_the_way == [], "an answer before it is on the disk"
    assert min(metas, acknowledged) >= 5


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
