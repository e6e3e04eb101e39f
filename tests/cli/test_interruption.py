"""Ctrl-C and SIGTERM: the run is cancelled, its clean-up runs, and the command says what it does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer

import pytest


class Running:
    """A command that is running: what it says is read line by line, so that nothing here has to guess at times."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []

    def until(self, part: str) -> str:
        """Wait for a line that has `part` in it."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if part in line:
                return line
        raise AssertionError(f"{part!r} was never said, but: {''.join(self.said)}")

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Its exit status, and all that it has said."""
        assert self.process.stderr is not None
        self.said += self.process.stderr.readlines()
        return self.process.wait(30), "".join(self.said)


@contextmanager
def running(folder: Path, plan: str, *options: str) -> Iterator[Running]:
    words = [sys.executable, "-m", "lambdacat_effects.cli", "run", f"plans.py:{plan}", *options]
    with subprocess.Popen(
        words, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        watchdog = Timer(30, process.kill)  # then what is waited for is not said, and the test fails
        watchdog.start()
        try:
            yield Running(process)
        finally:
            watchdog.cancel()
            process.kill()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_before_the_run_begins_ends_the_command(
    folder: Path, number: signal.Signals, status: int
) -> None:
    """While the file is loaded, say: in a line, and not with a traceback."""
    with (folder / "plans.py").open("a") as file:
        file.write("\nimport sys\nprint('loading', file=sys.stderr, flush=True)\ntime.sleep(30)\n")
    with running(folder, "sleeping") as run:
        run.until("loading")
        run.interrupt(number)
        assert run.end() == (status, "loading\nlambdacat: stopped before the run began\n")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_run(folder: Path, number: signal.Signals, status: int) -> None:
    """The plan's `finally` runs, effects under `shielded` included."""
    with running(folder, "sleeping") as run:
        run.until("started    Sleep(seconds=60)")
        run.interrupt(number)
        code, said = run.end()
    assert code == status
    assert "cancelled  Sleep(seconds=60)" in said
    assert said.endswith("lambdacat: cancelled; 2 effects had been answered, clean-up finished\n")
    assert "Traceback" not in said
    assert (folder / "cleaned").exists()


def test_it_says_that_it_waits_for_a_thread(folder: Path) -> None:
    """And on a second Ctrl-C, that threads cannot be stopped."""
    with running(folder, "in_a_thread", "--no-report") as run:
        run.until("started    wait_for_file")
        run.interrupt()
        assert "SIGINT: cancelling" in run.until("lambdacat:")
        assert "waiting for wait_for_file: threads cannot be stopped" in run.until("lambdacat:")
        run.interrupt()
        assert f"kill -9 {run.process.pid}" in run.until(
            "still waiting for wait_for_file: threads cannot be stopped"
        )
        (folder / "go on").touch()
        code, said = run.end()
    assert code == 130
    assert said.endswith("lambdacat: cancelled; 0 effects had been answered, clean-up finished\n")


def test_a_plan_that_answers_all_the_same_keeps_its_answer(folder: Path) -> None:
    """It was not cancelled after all, and says something."""
    with running(folder, "stubborn", "--no-report") as run:
        run.until("started    Sleep")
        run.interrupt()
        code, said = run.end()
        assert run.process.stdout is not None
        assert run.process.stdout.read() == "done all the same\n"
    assert code == 130
    assert "cancelled too late" in said


def test_clean_up_that_fails_is_shown(folder: Path) -> None:
    """With the plan's frames."""
    with running(folder, "failing_to_clean") as run:
        run.until("started    Sleep")
        run.interrupt()
        code, said = run.end()
    assert code == 130
    assert "RuntimeError: the mop is broken" in said
    assert "and then the plan failed" in said


def test_the_third_signal_gets_through_to_a_busy_plan(folder: Path) -> None:
    """Code that never lets Trio have its turn hears neither the first nor the second."""
    with running(folder, "busy", "--no-report") as run:
        run.until("done       Sleep")
        while not (folder / "busy").exists():
            pass
        ended = False
        while not ended:
            run.interrupt()
            with suppress(subprocess.TimeoutExpired):
                ended = run.process.wait(0.7) is not None
        code, said = run.end()
    assert code == 130
    assert "cancelled; 1 effect had been answered" in said
