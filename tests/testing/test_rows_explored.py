"""Every row of the concurrency table keeps its promises under thousands of schedules and faults."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path

import pytest
from explored_checks import CHECKS
from explored_legs import Log, handlers, legs, sleeps, warnings_kept
from explored_rows import FAULTS, ROWS, exploring

from lambdacat_effects import race
from lambdacat_effects.testing.simulation import explore, simulate

SHAPES = Counter(name.split(",")[0] for name in ROWS)
"""Some rows are explored in several shapes, which share the runs of the row."""


@pytest.mark.parametrize(("runs", "faults"), [(1000, None), (2000, FAULTS)], ids=["no faults", "faults"])
@pytest.mark.parametrize("name", ROWS)
def test_keeps_its_promises(name, runs, faults):
    """No schedule and no fault makes a row break any promise."""
    with warnings_kept() as late:
        share = math.ceil(runs / SHAPES[name.split(",")[0]])
        explore(exploring(ROWS[name], late), runs=share, seed=20, faults=faults)


def test_every_row_of_the_table_is_there():
    """All that the documentation lists."""
    table = (Path(__file__).parents[2] / "docs" / "concurrency.md").read_text()
    assert {*re.findall(r"^\| `(\w+)\(", table, re.MULTILINE)} == {*SHAPES}


def test_each_check_has_a_name_of_its_own():
    """What fails says what it was."""
    assert len(CHECKS) == len({check.__name__ for check in CHECKS})


def three_alike():
    """Three branches that are through in the same time."""
    log = Log()
    return race(*legs(log, sleeps, sleeps, sleeps)), handlers(log)


def test_the_plainest_run_of_a_tie_goes_to_the_first():
    """Where nothing sets branches apart, the lowest index wins."""
    assert 0 == simulate(three_alike, schedule={}).value


def test_every_branch_of_a_tie_wins_under_some_schedule():
    """A simulation explores the other orders, too."""
    winners = {simulate(three_alike, seed=seed).value for seed in range(40)}
    assert {0, 1, 2} == winners
