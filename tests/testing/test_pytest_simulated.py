"""The fixture `simulated`: a race found in a test, told without our frames, and found again by its seed."""

from __future__ import annotations

import os
from typing import Any

import pytest
from inner_pytest import ACCOUNT

pytest_plugins = "pytester"


def test_simulated_finds_a_race_and_tells_it(run: Any) -> None:
    """A failure, not an error, with the story, the line to paste, the user's assertion, and none of our frames."""
    result = run(
        ACCOUNT
        + """
def test_race(simulated):
    simulated(racing)

def test_correct(simulated):
    assert simulated(correct).runs == 500
""",
        failed=1,
        passed=1,
    )
    shown = result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            ">       assert report.value == 3",
            ">       simulated(racing)",
            "*SimulationFailure: AssertionError*",
            "*>*branch 1 begins*instead of*",
            "*simulate(racing, schedule={*})",
            "*pytest --lambdacat-seed=*",
        ]
    )
    assert pytest.ExitCode.TESTS_FAILED == result.ret
    for ours in (
        "exploring.py",
        "running.py",
        "pytest_plugin.py",
        "_lambdacat_effects_pytest.py",
        "interpreter.py",
    ):
        assert ours not in shown


def test_explore_in_a_test_hides_our_frames_too(run: Any) -> None:
    """It need not be the fixture."""
    result = run(
        ACCOUNT
        + """
def test_race():
    from lambdacat_effects.testing.simulation import explore
    explore(racing)
""",
        failed=1,
    )
    result.stdout.fnmatch_lines(["*SimulationFailure*"])
    assert "exploring.py" not in result.stdout.str()


def test_simulated_takes_a_plan_and_handlers(run: Any) -> None:
    """A function that makes the plan; handlers, or a function that makes them if they keep state."""
    result = run(
        ACCOUNT
        + """
def test_pass(simulated):
    simulated(one, in_memory, is_three)
    simulated(recall("account", "balance", as_type=int), in_memory())

def test_race(simulated):
    simulated(two, in_memory, is_three)

def test_a_plan_that_has_begun(simulated):
    simulated(two(), in_memory)

def test_a_check_without_handlers(simulated):
    simulated(racing, check=is_three)

async def test_in_an_event_loop(simulated):
    simulated(racing)
""",
        failed=4,
        passed=1,
    )
    result.stdout.fnmatch_lines(["*simulate(lambda: (two(), handlers(), check), schedule={*"])
    result.stdout.fnmatch_lines(["*InvalidArgument: a plan runs once*give the function that makes it*"])
    result.stdout.fnmatch_lines(["*InvalidArgument: *without handlers*"])
    result.stdout.fnmatch_lines(["*InvalidArgument: a simulation runs an event loop of its own*"])


def test_simulated_once(run: Any) -> None:
    """One run, with the seed in force; its story is told when the check fails."""
    result = run(
        ACCOUNT
        + """
def test_once(simulated):
    assert simulated.once(correct).value == 3
    assert simulated.once(one, in_memory(), is_three, seed=4).value == 3

def test_wrong(simulated):
    for seed in range(100):
        simulated.once(racing, seed=seed)

def test_wrong_by_schedule(simulated):
    simulated.once(racing, schedule={3: 1})
""",
        passed=1,
        failed=2,
    )
    result.stdout.fnmatch_lines(["*Simulated with seed=*", "*simulate(racing, schedule=*"])
    result.stdout.fnmatch_lines(["*Simulated with schedule={3: 1}*"])
    assert "running.py" not in result.stdout.str()


SEEDS = (
    ACCOUNT
    + """
def test_seed(simulated):
    from lambdacat_effects.testing.simulation import explore
    seen = [simulated(correct, runs=3), simulated(correct, seed=1, runs=4), explore(correct, seed=2, runs=5)]
    print("seeds", *[x.seed for x in seen], "runs", *[x.runs for x in seen])
"""
)


def test_the_option_wins_over_everything(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Option, environment, argument, ini file, in this order; `explore` itself obeys the first two."""
    ini = "lambdacat_seed = 77\nlambdacat_runs = 7"
    result = run(SEEDS, "-s", ini=ini, passed=1)
    result.stdout.fnmatch_lines(
        ["*ambdacat_effects: seed 77 (ini file), runs 7 (ini file)", "*seeds 77 1 2 runs 3 4 5"]
    )
    monkeypatch.setenv("LAMBDACAT_SEED", "88")
    monkeypatch.setenv("LAMBDACAT_RUNS", "8")
    result = run(SEEDS, "-s", ini=ini, passed=1)
    result.stdout.fnmatch_lines(
        ["*: seed 88 (LAMBDACAT_SEED), runs 8 (LAMBDACAT_RUNS)", "*seeds 88 88 88 runs 8 8 8"]
    )
    result = run(SEEDS, "-s", "--lambdacat-seed=99", "--lambdacat-runs=9", ini=ini, passed=1)
    result.stdout.fnmatch_lines(
        ["*: seed 99 (--lambdacat-seed), runs 9 (--lambdacat-runs)", "*seeds 99 99 99 runs 9 9 9"]
    )
    monkeypatch.delenv("LAMBDACAT_SEED")
    result = run(SEEDS, "-s", "--lambdacat-seed=word", passed=1)
    result.stdout.fnmatch_lines(["*seeds word word word*"])


def test_options_leave_the_environment_as_it_was(run: Any) -> None:
    """They reach `explore` through it, for the time of the run."""
    run(SEEDS, "--lambdacat-seed=99", passed=1)
    assert "LAMBDACAT_SEED" not in os.environ


def test_without_settings_the_header_says_nothing(run: Any) -> None:
    """There is no seed in force then."""
    assert "lambdacat_effects:" not in run(SEEDS, passed=1).stdout.str()


def test_the_seed_of_a_failure_repeats_it(run: Any) -> None:
    """The same seed, the same message."""

    def story(result: pytest.RunResult) -> list[str]:
        return [line for line in result.outlines if line.startswith("E ")]

    source = ACCOUNT + "\ndef test_race(simulated):\n    simulated(racing)\n"
    first = run(source, "--lambdacat-seed=5", failed=1)
    assert story(first) == story(run(source, "--lambdacat-seed=5", failed=1))
    assert story(first) != story(run(source, "--lambdacat-seed=6", failed=1))


@pytest.mark.parametrize(
    ("options", "ini"),
    [
        (["--lambdacat-runs=0"], ""),
        (["--lambdacat-runs=many"], ""),
        ([], "lambdacat_runs = -1"),
        ([], "lambdacat_record = sometimes"),
        (["--lambdacat-record=sometimes"], ""),
    ],
)
def test_wrong_settings_are_told_before_any_test(run: Any, options: list[str], ini: str) -> None:
    """A usage error, which names what was given."""
    result = run("def test_it(): ...", *options, ini=ini)
    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines([f"*{(options or [ini])[0].split('=')[1].strip()}*"])
