"""Every row of the concurrency table repeats exactly, in this process and in others, and stops where a crash says."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from explored_legs import Ask, Fetch, Log, Release, Touch, handlers, warnings_kept
from explored_rows import FAULTS, ROWS, observed, staying

from lambdacat_effects.runtime.events import Answered
from lambdacat_effects.testing.simulation import Crash, Faults, explore, simulate

_IN_ANOTHER = """
import sys
sys.path.insert(0, sys.argv[1])
from test_rows_repeatable import digest
print(digest())
"""


def told(name: str, seed: int) -> list[Any]:
    """A row's trace, faults and outcome, and everything its legs noted."""
    row = ROWS[name]
    made: list[Log] = []

    def scenario() -> Any:
        log = Log()
        made.append(log)
        return staying(observed(log, row.make(log))), handlers(log)

    report = simulate(scenario, seed=seed, faults=FAULTS)
    notes = [(note.leg, note.what, note.at, repr(note.error), note.late) for note in made[0].notes]
    return [*[turn.key() for turn in report.trace], report.faults, repr(made[0].outcome), notes]


def digest() -> str:
    """Of some runs of all rows."""
    with warnings_kept():
        runs = [told(name, seed) for name in ROWS for seed in range(5)]
    return hashlib.sha256(repr(runs).encode()).hexdigest()


@pytest.mark.parametrize("name", ROWS)
def test_the_same_seed_gives_the_same_run(name):
    """Not one step, note or fault differs."""
    with warnings_kept():
        for seed in range(3):
            first = told(name, seed)
            assert [first] * 12 == [told(name, seed) for _ in range(12)]


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_the_same_seed_gives_the_same_run_in_another_process(hash_seed):
    """The order of sets of strings, which differs between processes, decides nothing."""
    here = Path(__file__).parent
    env = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(here.parent.parent), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", _IN_ANOTHER, str(here)]
    other = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert digest() == other.stdout.strip()


def test_most_seeds_differ():
    """A seed decides the order; few of them decide for the same."""
    with warnings_kept():
        traces = {repr(told("quorum", seed)) for seed in range(200)}
    assert len(traces) >= 150


def crashing(name: str) -> Any:
    """The scenario of a row whose process may die."""

    def scenario() -> Any:
        log = Log()

        def check(report: Any) -> None:
            if all(fault.kind != "crash" for fault in report.faults):
                report.unwrap()
                return
            assert isinstance(report.error, Crash)
            deaths = [i for i, e in enumerate(report.events) if isinstance(getattr(e, "error", None), Crash)]
            after = [e.what for e in report.events[deaths[0] :] if isinstance(e, Answered)]
            assert not [what for what in after if isinstance(what, (Touch, Fetch, Ask, Release))]

        return staying(observed(log, ROWS[name].make(log))), handlers(log), check

    return scenario


@pytest.mark.parametrize("name", ["parallel", "race", "quorum", "settle", "for_each", "hedge"])
def test_nothing_happens_after_a_crash(name):
    """Neither in another branch nor in anybody's clean-up, wherever the process dies."""
    with warnings_kept():
        explore(crashing(name), runs=150, seed=40, faults=Faults(crash=0.1))
