"""`lambdacat run FILE:PLAN`: answers on standard output, everything else on standard error."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from lambdacat_effects.cli import main

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_it_prints_the_answer_and_a_table_of_nodes(command: Command) -> None:
    """The answer alone goes to standard output."""
    done = command("run", "plans.py:welcome", "Felix", "--times", "2")
    assert (done.returncode, done.stdout) == (0, "Hello, Felix!\nHello, Felix!\n")
    nodes = [
        line.split()[0] for line in done.stderr.partition("wall time")[2].splitlines()[2:] if line.strip()
    ]
    assert nodes[:4] == ["Recall", "politely", "greet", "Remember"]


def test_a_second_run_recalls_what_the_first_remembered(command: Command, folder: Path) -> None:
    """Memory is kept in the store, `.lambdacat` unless given."""
    first = command("run", "plans.py:welcome", "Felix", "--store", "memory")
    second = command("run", "plans.py:welcome", "Felix", "--store", "memory")
    assert first.stdout == second.stdout == "Hello, Felix!\n"
    assert ("greet" in first.stderr, "greet" in second.stderr.replace("greetings", "")) == (True, False)
    assert (folder / "memory").is_dir()
    assert not (folder / ".lambdacat").exists()


def test_an_option_of_a_plan_is_the_plans(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Options of `run` may stand before, between and after."""
    assert main(["run", "--quiet", "plans.py:welcome", "--times=3", "--store", "m", "Tom"]) == 0
    assert capsys.readouterr().out == "Hello, Tom!\n" * 3


def test_after_two_dashes_all_arguments_are_the_plans(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Even those that look like an option of `run`."""
    assert main(["run", "plans.py:welcome", "--quiet", "--", "Tom", "--times", "2"]) == 0
    assert capsys.readouterr().out == "Hello, Tom!\n" * 2


def test_quiet_says_nothing_but_the_answer(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "plans.py:welcome", "Felix", "--quiet"]) == 0
    assert capsys.readouterr() == ("Hello, Felix!\n", "")


def test_no_report_leaves_the_progress(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "plans.py:welcome", "Felix", "--no-report"]) == 0
    shown = capsys.readouterr().err
    assert "started    politely" in shown
    assert "wall time" not in shown


@pytest.mark.parametrize(
    ("plan", "printed"),
    [
        ("noisy", "printed by the plan\nanswer\n"),
        ("nothing", ""),
        (
            "table",
            "{\n"
            "    'name': 'Felix',\n"
            "    'lives': 9,\n"
            f"    'notes': [\n        '{'x' * 40}',\n        '{'y' * 40}'\n    ]\n"
            "}\n",
        ),
    ],
)
def test_an_answer_is_printed_as_it_wants_to_be(
    here: Path, capsys: pytest.CaptureFixture[str], plan: str, printed: str
) -> None:
    """Text as it is, other values so that they can be read, None not at all."""
    assert main(["run", f"plans.py:{plan}", "--quiet"]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(("plan", "answer"), [("compiled", "42\n"), ("twice", "42\n")])
def test_a_dsl_plan_takes_its_state_as_json_or_text(
    here: Path, capsys: pytest.CaptureFixture[str], plan: str, answer: str
) -> None:
    """Compiled, or as nodes, which are compiled with the file's `actions`."""
    assert main(["run", f"plans.py:{plan}", "40", "--quiet"]) == 0
    assert capsys.readouterr().out == answer


def test_a_tool_runs_as_a_plan_of_its_own(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A call is an effect, and an effect can be performed."""
    assert main(["run", "plans.py:greet", "Tom", "--quiet"]) == 0
    assert capsys.readouterr().out == "Hello, Tom!\n"


def test_a_module_may_be_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its dotted name, from the working directory."""
    assert main(["run", "plans:noisy", "--quiet"]) == 0
    assert "answer" in capsys.readouterr().out


def test_worker_processes_can_import_the_file(command: Command) -> None:
    """Its folder is on their path, wherever `lambdacat` was called."""
    assert command("run", "plans.py:where", "--quiet").stdout == "True\n"


def test_the_file_says_what_effects_mean(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`handlers` is a Handler, or a function from the store's path to one."""
    text = (here / "plans.py").read_text()
    (here / "fixed.py").write_text(text + "\nhandlers = Ask.by(lambda ask: 42)\n")
    (here / "made.py").write_text(
        text + "\ndef handlers(store):\n    return Ask.by(lambda ask: len(store.name))\n"
    )
    assert main(["run", "fixed.py:asking", "--quiet"]) == 0
    assert main(["run", "made.py:asking", "--quiet", "--store", "12345"]) == 0
    assert capsys.readouterr().out == "42\n5\n"


def test_without_a_plan_the_plans_are_listed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their names on standard output, what to do on standard error."""
    assert main(["run", "plans.py"]) == 0
    printed = capsys.readouterr()
    assert printed.out.split()[:4] == ["welcome", "table", "nothing", "noisy"]
    assert {"twice", "compiled"} <= set(printed.out.split())
    assert "number" not in printed.out
    assert "lambdacat run plans.py:PLAN" in printed.err


def test_help_shows_the_plans_own_arguments(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its documentation."""
    assert main(["run", "plans.py:welcome", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "lambdacat run plans.py:welcome NAME [--times INT]" in shown
    assert "Greet somebody" in shown
    assert "Whom to greet." in shown


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == main(["--help"]) == main(["run", "--help"]) == 0
    shown = capsys.readouterr().out
    assert version("lambdacat-effects") in shown
    assert "lambdacat run FILE:PLAN [ARGS]" in shown


def test_a_reader_that_has_had_enough_is_no_error(folder: Path) -> None:
    """As in `lambdacat run ... | head -0`: it ends as what SIGPIPE ends does, without a word."""
    words = [sys.executable, "-m", "lambdacat_effects.cli", "run", "plans.py:greet", "Tom", "--quiet"]
    with subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141
