"""Bugs as agents really have them: each is found, shrunk to a few lines, repeated by its line, and then mended."""

from __future__ import annotations

import re

import pytest
from planted_bugs import BUGS, Bug, Planted

from lambdacat_effects.errors import SimulationFailure
from lambdacat_effects.testing.simulation import Fault, explore, simulate

EVERY = pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    monkeypatch.delenv("LAMBDACAT_RUNS", raising=False)
    monkeypatch.delenv("LAMBDACAT_SEED", raising=False)


def found(bug: Planted, seed: int) -> SimulationFailure:
    with pytest.raises(SimulationFailure, match=bug.error) as caught:
        explore(bug.scenario, runs=2000, seed=seed, faults=bug.faults)
    return caught.value


@EVERY
@pytest.mark.parametrize("seed", [1, 2])
def test_found_and_shortened(bug, seed):
    """To as few switches and faults as it takes, and with nothing but the same failure left."""
    failure = found(bug, seed)
    assert (bug.switches, bug.injected) == (failure.report.switches, len(failure.report.faults))
    assert {} == failure.report.schedule or max(failure.report.schedule) < len(failure.report.trace)


@EVERY
def test_the_line_repeats_it(bug):
    """What the failure says to paste fails in the same way, and takes as many steps."""
    failure = found(bug, 1)
    line = re.search(r"^ +(simulate\(.*?\))(\.unwrap\(\))?$", str(failure), re.MULTILINE)
    assert line is not None
    names = {"simulate": simulate, "Fault": Fault, bug.scenario.__name__: bug.scenario}
    cause = failure.__cause__
    if isinstance(cause, Bug):
        with pytest.raises(Bug, match=re.escape(str(cause))):
            eval(line.group(1), names)
    else:
        report = eval(line.group(1), names)
        assert (type(cause), str(cause)) == (type(report.error), str(report.error))
        assert failure.report.trace == report.trace


@EVERY
def test_the_plainest_run_hides_it(bug):
    """One run without faults, the only one that most tests do, shows nothing."""
    assert simulate(bug.scenario, schedule={}).error is None


@EVERY
def test_mended(bug):
    """The same plan without the bug passes the same exploration."""
    assert 500 == explore(bug.mended, runs=500, seed=1, faults=bug.faults).runs
