"""The pytest plugin as users meet it: what it costs, what it warns of, and whom it gets on with."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from inner_pytest import ACCOUNT, ALONE, RECORDED

pytest_plugins = "pytester"


def test_loading_it_imports_nothing_of_ours(pytester: pytest.Pytester) -> None:
    """No Trio, no runtime, no Hypothesis: without use of it a project does not pay, and coverage sees all of it."""
    pytester.makepyfile(
        """
        import sys
        def test_modules():
            assert "_lambdacat_effects_pytest" in sys.modules
            assert {"lambdacat_effects", "trio", "hypothesis", "lambdacat_effects.testing"} & {*sys.modules} == set()
        """
    )
    pytester.runpytest_subprocess(*ALONE, "-p", "no:hypothesispytest").assert_outcomes(passed=1)


def test_it_can_be_turned_off(pytester: pytest.Pytester) -> None:
    """With `-p no:lambdacat_effects` nothing is left."""
    pytester.makepyfile("def test_it(simulated): ...")
    off = ("-p", "no:lambdacat_effects")
    result = pytester.runpytest_inprocess(*ALONE, *off)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'simulated' not found*"])
    assert "lambdacat" not in pytester.runpytest_inprocess(*off, "--help").stdout.str()
    assert "lambdacat" not in pytester.runpytest_inprocess(*off, "--markers").stdout.str()


def test_help_and_markers_explain(pytester: pytest.Pytester) -> None:
    """Every option, ini setting, marker and fixture has its line."""
    shown = pytester.runpytest_inprocess("--help").stdout.str()
    for name in ("--lambdacat-seed", "--lambdacat-runs", "--lambdacat-record", "lambdacat_async (bool)"):
        assert name in shown
    pytester.runpytest_inprocess("--markers").stdout.fnmatch_lines(["@pytest.mark.lambdacat: *"])
    fixtures = pytester.runpytest_inprocess("--fixtures").stdout
    fixtures.fnmatch_lines(["simulated -- *", "*many schedules*", "recording -- *", "*file named after*"])


FORGOTTEN = """
from lambdacat_effects import in_memory, recall, remember

def visit():
    remember("site", "visits", 1)
    yield from remember("site", "visitors", 1)

def test_it():
    in_memory().run_pure(visit())

async def test_on_trio():
    await in_memory().run(visit())
"""


def test_a_forgotten_yield_from_is_warned_of(run: Any) -> None:
    """At the line; where warnings are errors, the test fails."""
    result = run(FORGOTTEN, passed=2, warnings=2)
    result.stdout.fnmatch_lines(["*test_it.py:4: UnperformedWarning: *yield from remember(*"])
    result = run(FORGOTTEN, ini="filterwarnings = error", failed=2)
    result.stdout.fnmatch_lines(["`remember(*nobody performs*", "  at *test_it.py:4"])
    assert "unperformed.py" not in result.stdout.str()


def test_the_warning_can_be_turned_off(run: Any) -> None:
    """By the ini file."""
    run(FORGOTTEN, ini="lambdacat_warn_unperformed = false\nfilterwarnings = error", passed=2)


def test_performed_effects_are_not_warned_of(run: Any) -> None:
    """No false alarm, in plain tests, async ones, and under `given`."""
    run(
        ACCOUNT
        + """
from hypothesis import given, strategies as st

def test_plain(simulated):
    assert simulated(correct, runs=5).runs == 5

async def test_async():
    assert await in_memory().run(one()) == 3

@given(st.integers(0, 9))
def test_given(n):
    assert in_memory().run_pure(recall("a", str(n), as_type=int)) is None
    expected = [remember("a", "b", n)]
    assert remember("a", "b", n) == expected[0]
""",
        ini="filterwarnings = error",
        passed=3,
    )


def test_under_xdist(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options reach the workers; each test has its own recording."""
    monkeypatch.delenv("LAMBDACAT_RUNS", raising=False)
    pytester.makeini("[pytest]\nlambdacat_runs = 20")
    pytester.makepyfile(
        test_it=RECORDED
        + """
@pytest.mark.parametrize("n", range(6))
async def test_it(recording, n):
    assert await recording(Ask.by(live)).run(dialogue(str(n))) == str(n)

@pytest.mark.parametrize("n", range(3))
def test_seed(simulated, n):
    from lambdacat_effects import Sleep
    found = simulated(Sleep(1), ambient)
    assert (found.seed, found.runs) == (12, 20)

def test_fails(simulated):
    assert simulated(dialogue("tea?"), ambient)
"""
    )
    result = pytester.runpytest_subprocess("-n", "2", "--lambdacat-seed=12", *ALONE)
    result.assert_outcomes(passed=9, failed=1)
    assert 6 == len([*(pytester.path / "recordings" / "test_it").iterdir()])


def test_without_hypothesis(pytester: pytest.Pytester) -> None:
    """Async tests, simulations and recordings do without; strategies say what to install."""
    pytester.makeconftest("import sys\nsys.modules['hypothesis'] = None")
    pytester.makepyfile(
        test_it=RECORDED
        + """
async def test_async(recording):
    assert await recording(Ask.by(live)).run(dialogue("tea?")) == "TEA?"

def test_simulated(simulated):
    simulated(lambda: (dialogue("tea?"), Ask.by(live)), runs=5)

def test_strategies():
    pytest.importorskip("lambdacat_effects.testing.strategies")
"""
    )
    result = pytester.runpytest_subprocess(*ALONE, "-p", "no:hypothesispytest", "-rs")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["*which is not installed: pip install hypothesis*"])


def test_given_simulation_fails_as_a_test_does(run: Any) -> None:
    """The story, with the drawn inputs, and no frames of ours."""
    result = run(
        ACCOUNT
        + """
from hypothesis import given, settings, strategies as st
from lambdacat_effects.testing.strategies import given_simulation

@settings(database=None)
@given_simulation(amounts=st.lists(st.integers(1, 9), max_size=3))
def test_deposits(amounts):
    def plan():
        yield from parallel(*map(deposit, amounts))
        return (yield from recall("account", "balance", as_type=int)) or 0

    def check(report):
        assert report.value == sum(amounts)

    return plan(), in_memory(), check
""",
        failed=1,
    )
    result.stdout.fnmatch_lines(["*SimulationFailure*", "*test_deposits.scenario(amounts=[[]1, 1[]])*"])
    for ours in ("exploring.py", "running.py", "interpreter.py"):
        assert ours not in result.stdout.str()


def test_the_module_can_be_imported_without_pytest_running() -> None:
    """For whoever wants to type their fixtures: `Simulated`, `Recording`."""
    code = "from lambdacat_effects.testing.pytest_plugin import Recording, Simulated; print('ok')"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert "ok\n" == run.stdout
