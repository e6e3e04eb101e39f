"""What a command line may get wrong: each error names what was given, and says what to do. The status is 2."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lambdacat_effects.cli import main

Command = Callable[..., "subprocess.CompletedProcess[str]"]

WRONG = [
    ("no such file", ["plan.py:welcome"], ["no file plan.py", "did you mean plans.py?"]),
    ("no such file there", ["else/plans.py:welcome"], ["no file else/plans.py"]),
    ("no such module", ["some.plans:welcome"], ["no file and no module some.plans"]),
    ("a folder", [".:welcome"], [". is a folder"]),
    (
        "no such plan",
        ["plans.py:welcom"],
        ["plans.py has no plan 'welcom'", "did you mean welcome?", "table"],
    ),
    ("a number", ["plans.py:number"], ["number in plans.py is no plan but a int", "welcome"]),
    (
        "a missing argument",
        ["plans.py:welcome"],
        ["the argument NAME is missing", "Usage:", "NAME [--times INT]"],
    ),
    (
        "an argument of another type",
        ["plans.py:welcome", "Tom", "--times", "two"],
        ["--times", '"two"', "int", "Usage:"],
    ),
    ("an option without its value", ["plans.py:welcome", "Tom", "--times"], ["--times requires an argument"]),
    ("an unknown option", ["plans.py:welcome", "Tom", "--tims", "2"], ["--tims", "Did you mean --times?"]),
    ("too many arguments", ["plans.py:welcome", "Tom", "Felix"], ["Felix", "Usage:", "--help"]),
    (
        "arguments for a plan that takes none",
        ["plans.py:table", "1"],
        ["1", "Usage: lambdacat run plans.py:table"],
    ),
    (
        "an unknown action",
        ["plans.py:misspelt", "1"],
        ["plans.py", "'incremnt'", "did you mean 'increment'?"],
    ),
    ("a function that answers a value", ["plans.py:no_plan"], ["5 is not a plan"]),
    ("a coroutine function", ["plans.py:coroutine"], ["the coroutine coroutine is not a plan"]),
    (
        "an effect that nobody handles",
        ["plans.py:asking"],
        ["no handler answers Ask(question='why?')", "asking"],
    ),
    ("a store that is a file", ["plans.py:welcome", "Tom", "--store", "plans.py/x"], ["plans.py/x"]),
]


@pytest.mark.parametrize(("arguments", "said"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_the_error_says_what_and_what_to_do(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: list[str]
) -> None:
    """One message and no traceback."""
    status = main(["run", *arguments])
    printed = capsys.readouterr()
    assert status == (1 if "--store" in arguments else 2)
    assert printed.out == ""
    assert "Traceback" not in printed.err
    for part in said:
        assert part in printed.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rum"], 'Did you mean "run"?'),
        (["run", "plans.py:welcome", "--store"], "--store requires an argument"),
    ],
)
def test_a_wrong_command_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1", "defines no plan"),
        ("def plan(:", "SyntaxError"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("import sys; sys.exit(3)", 'under `if __name__ == "__main__":`'),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], source: str, said: str
) -> None:
    """With the lines of the file that are to blame, and no others."""
    (here / "broken.py").write_text(source)
    assert main(["run", "broken.py"]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "broken.py" in shown
    assert "lambdacat_effects" not in shown


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("handlers = 5", "`handlers` in plans.py is 5"),
        ("def handlers(): ...", "def handlers(store: Path)"),
        ("def handlers(store): ...", "`handlers` in plans.py is None"),
        ("twice = sequence('increment'); del actions", "define `actions = "),
    ],
)
def test_what_a_file_defines_is_checked(
    here: Path, capsys: pytest.CaptureFixture[str], source: str, said: str
) -> None:
    with (here / "plans.py").open("a") as file:
        file.write(f"\n{source}\n")
    assert main(["run", "plans.py:twice", "1"]) == 2
    assert said in capsys.readouterr().err


def test_annotations_must_exist_at_run_time(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They say how arguments are read."""
    (here / "typed.py").write_text("def plan(a: 'Nowhere'): yield")
    assert main(["run", "typed.py:plan", "1"]) == 2
    assert "annotations of plan cannot be read: name 'Nowhere'" in capsys.readouterr().err


def test_a_plan_that_fails_shows_its_own_frames(command: Command) -> None:
    """And not those of what runs it. The status is 1."""
    done = command("run", "plans.py:failing")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ValueError: the milk is sour" in done.stderr
    assert "in failing" in done.stderr
    assert "in inner" in done.stderr
    assert "lambdacat_effects/" not in done.stderr
    assert [line.split()[:3] for line in done.stderr.splitlines() if line.startswith("  drink")] == [
        ["drink", "1", "1"]
    ]


def test_failed_branches_show_their_frames_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a group of what failed."""
    assert main(["run", "plans.py:failing_branches", "--quiet"]) == 1
    shown = capsys.readouterr().err
    assert "ExceptionGroup: parallel: 1 of 2 branches failed" in shown
    assert "in inner" in shown
    assert "lambdacat_effects/" not in shown


def test_a_file_may_have_the_name_of_a_library(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It does not take the library's place."""
    (here / "trio.py").write_text((here / "plans.py").read_text())
    assert main(["run", "trio.py:noisy", "--quiet"]) == 0
    assert "answer" in capsys.readouterr().out
