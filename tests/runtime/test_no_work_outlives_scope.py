"""When a run has returned, none of its work goes on, synchronous work included. In real time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import trio

from lambdacat_effects import (
    Effect,
    Sleep,
    ambient,
    attempt,
    awaiting,
    blocking,
    effect,
    for_each,
    isolated,
    parallel,
    race,
    timeout,
)
from lambdacat_effects.errors import PlanTimeout

SLOW = 0.25
SOON = 0.05


def write_slowly(log):
    """A synchronous action with a side effect at its end."""
    time.sleep(SLOW)
    log.append("landed")


def write_slowly_to(directory):
    """The same, in another process: it says who it is, works for long, and writes a file."""
    partly = Path(directory, "pid.part")
    partly.write_text(str(os.getpid()))
    partly.rename(Path(directory, "pid"))
    time.sleep(30)
    Path(directory, "landed").write_text("landed")


@effect
class Act(Effect[None]):
    """An action that a plain handler performs at once."""


def failing_after(seconds):
    """A plan that fails after some seconds."""
    yield from Sleep(seconds)
    raise KeyError("sibling")


async def begun(directory):
    """Wait until the worker process has begun its work."""
    while not Path(directory, "pid").exists():
        await trio.sleep(0.01)


def winning(directory):
    """A plan that answers once the worker has begun."""
    yield from awaiting(begun, directory)
    return "won"


def failing(directory):
    """A plan that fails once the worker has begun."""
    yield from winning(directory)
    raise KeyError("sibling")


def assert_gone(directory):
    """The worker process is no more, so its side effect can never land."""
    pid = int(Path(directory, "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not Path(directory, "landed").exists()


async def nothing_lands_later(log):
    """The log stays as it is."""
    before = list(log)
    await trio.sleep(SLOW + 0.1)
    assert before == log


class TestThreads:
    """A thread cannot be stopped, so it is waited for."""

    # Trio's `to_thread.run_sync` returns the answer of a thread although its scope was cancelled meanwhile.

    @pytest.mark.parametrize(
        "make",
        [
            lambda work: timeout(SOON, work),
            lambda work: parallel(work, timeout=SOON),
            lambda work: race(work, timeout=SOON),
            lambda work: for_each([work], lambda plan: plan, timeout=SOON),
        ],
        ids=["timeout", "parallel", "race", "for_each"],
    )
    async def test_timeout_comes_after_the_side_effect(self, make):
        """When `PlanTimeout` arrives the side effect has landed, and nothing lands later."""
        log = []
        with pytest.raises(PlanTimeout):
            await ambient.run(make(blocking(write_slowly, log)))
        assert ["landed"] == log
        await nothing_lands_later(log)

    async def test_no_second_action_begins_after_the_deadline(self):
        """What would have come next in the plan does not begin."""
        log = []

        def plan():
            yield from blocking(write_slowly, log)
            yield from blocking(log.append, "next")

        with pytest.raises(PlanTimeout):
            await ambient.run(timeout(SOON, plan()))
        assert ["landed"] == log
        await nothing_lands_later(log)

    async def test_plan_does_not_go_on_after_the_deadline(self):
        """Not even with effects that do not wait."""
        log = []

        def plan():
            yield from blocking(write_slowly, log)
            yield from Act()

        await Act.by(lambda _: log.append("acted")).run(attempt(timeout(SOON, plan())))
        assert ["landed"] == log

    async def test_sibling_s_failure_waits_for_the_side_effect(self):
        """The failure is raised when the thread has ended."""
        log = []
        with pytest.raises(ExceptionGroup) as caught:
            await ambient.run(parallel(blocking(write_slowly, log), failing_after(SOON)))
        assert ([KeyError], ["landed"]) == ([type(e) for e in caught.value.exceptions], log)
        await nothing_lands_later(log)

    async def test_cancellation_from_outside_waits_for_the_side_effect(self):
        """The scope that was cancelled ends when the thread has."""
        log = []
        with trio.move_on_after(SOON):
            await ambient.run(blocking(write_slowly, log))
        assert ["landed"] == log
        await nothing_lands_later(log)

    async def test_winner_waits_for_the_loser_s_side_effect(self):
        """A race is over when the loser's thread is; the loser does not win by it."""
        log = []

        def quick():
            yield from blocking(time.sleep, SOON)
            return "quick"

        assert "quick" == await ambient.run(race(blocking(write_slowly, log), quick()))
        assert ["landed"] == log

    async def test_items_in_threads_stop_at_the_deadline(self):
        """for_each begins no further item once its time is up."""
        log = []
        await ambient.run(
            attempt(for_each(range(8), lambda i: blocking(write_slowly, log), limit=2, timeout=SOON))
        )
        assert ["landed"] * 2 == log


class TestProcesses:
    """A process can be stopped, so it is killed with its scope."""

    async def test_timeout(self, tmp_path):
        """When `PlanTimeout` arrives the process is gone, and its side effect never lands."""
        began = time.perf_counter()
        with pytest.raises(PlanTimeout):
            await ambient.run(timeout(1.5, isolated(write_slowly_to, tmp_path)))
        assert time.perf_counter() - began < 10
        assert_gone(tmp_path)

    async def test_winner(self, tmp_path):
        """A loser is killed before the winner's answer arrives."""
        assert "won" == await ambient.run(race(isolated(write_slowly_to, tmp_path), winning(tmp_path)))
        assert_gone(tmp_path)

    async def test_sibling_s_failure(self, tmp_path):
        """A sibling's failure kills it."""
        with pytest.raises(ExceptionGroup) as caught:
            await ambient.run(parallel(isolated(write_slowly_to, tmp_path), failing(tmp_path)))
        assert [KeyError] == [type(e) for e in caught.value.exceptions]
        assert_gone(tmp_path)

    async def test_cancellation_from_outside(self, tmp_path):
        """So does the end of the scope around the run."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ambient.run, isolated(write_slowly_to, tmp_path))
            await begun(tmp_path)
            nursery.cancel_scope.cancel()
        assert_gone(tmp_path)
