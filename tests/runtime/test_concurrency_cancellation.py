"""Who is cancelled is awaited and cleans up before anybody goes on."""

from __future__ import annotations

import time

import pytest
import trio
from timed_plans import after, cleaning, failing

from lambdacat_effects import (
    Effect,
    Sleep,
    ambient,
    attempt,
    call,
    effect,
    for_each,
    hedge,
    n_best,
    parallel,
    quorum,
    race,
    settle,
    shielded,
    span,
    timeout,
)


@effect
class Ask(Effect[object]):
    """Something for a handler to answer."""


# How to have one plan cancelled after one second, and what the run then comes to.
ENDERS = {
    "race": lambda plan: race(plan, after(1, "answer")),
    "quorum": lambda plan: quorum(plan, after(1, "answer"), n=1),
    "hedge": lambda plan: hedge(iter([plan, after(0, "answer")]).__next__, after=1),
    "parallel": lambda plan: attempt(parallel(plan, failing(1, ValueError()))),
    "quorum out of reach": lambda plan: attempt(quorum(plan, failing(1, ValueError()), n=2)),
    "for_each": lambda plan: attempt(
        for_each([lambda: plan, lambda: failing(1, ValueError())], lambda make: make())
    ),
    "timeout": lambda plan: attempt(timeout(1, plan)),
    "parallel, late": lambda plan: attempt(parallel(plan, timeout=1)),
    "parallel, partial": lambda plan: parallel(plan, timeout=1, partial=True),
    "race, late": lambda plan: attempt(race(plan, timeout=1)),
    "quorum, late": lambda plan: attempt(quorum(plan, n=1, timeout=1)),
    "for_each, late": lambda plan: attempt(for_each([plan], lambda plan: plan, timeout=1)),
    "n_best": lambda plan: n_best(plan, n=1, score=abs, timeout=1),
    "settle": lambda plan: settle(plan, timeout=1),
}

ender = pytest.mark.parametrize("end", ENDERS.values(), ids=ENDERS.keys())


class TestCleanUp:
    @ender
    async def test_has_finished_when_the_answer_arrives(self, end, autojump_clock):
        """Clean-up of 5 s delays the answer by 5 s, and is over when the plan goes on."""
        log = []

        def plan():
            yield from end(cleaning(log, 5.0))
            log.append(("went on", trio.current_time()))

        await ambient.run(plan())
        assert [("cleaned", 6.0), ("went on", 6.0)] == log

    @ender
    async def test_in_every_frame_of_the_plan(self, end, autojump_clock):
        """Plans that wait for plans below them clean up too, innermost first."""
        log = []

        def layer(name, plan):
            try:
                yield from plan
            finally:
                yield from shielded(Sleep(1))
                log.append(name)

        asking = Ask.by(lambda ask: (yield from layer("handler", Sleep(100))))
        await asking.run(end(layer("outer", call(layer("called", span("s", layer("span", Ask())))))))
        assert ["handler", "span", "called", "outer"] == log
        assert 5.0 == trio.current_time()

    @ender
    async def test_effects_that_do_not_wait_are_answered(self, end, autojump_clock):
        """A handler that answers at once needs no shield, however long the plan has run by the real clock."""
        log = []

        def plan():
            try:
                yield from Sleep(100)
            finally:
                for _ in range(20):
                    time.sleep(0.0005)
                    log.append((yield from Ask()))

        await Ask.by(lambda ask: "answered").run(end(plan()))
        assert ["answered"] * 20 == log

    @pytest.mark.parametrize("effects", [0, 1, 2, 15, 16, 17, 31, 32, 33, 1000])
    @pytest.mark.parametrize(
        "wait",
        [
            lambda: Sleep(100),
            # A nursery raises its cancellation in a BaseExceptionGroup.
            lambda: parallel(Sleep(100), Sleep(100)),
            lambda: race(Sleep(100), Sleep(100)),
            lambda: for_each([100], Sleep),
            lambda: timeout(90, parallel(Sleep(100))),
        ],
        ids=["sleep", "parallel", "race", "for_each", "parallel in a timeout"],
    )
    async def test_is_not_refused_for_fairness(self, effects, wait):
        """In real time, too, a shield and effects that do not wait are enough, however much the plan has done."""
        # The interpreter's own checkpoint (after 1 ms, or 1,000 effects) would raise Cancelled at any effect.
        log = []

        def plan():
            for _ in range(effects):
                yield from Ask()
            scope.deadline = trio.current_time() + 0.01  # no sooner, however slow the machine is
            try:
                yield from wait()
            finally:
                yield from Ask()
                yield from shielded(Sleep(0.002))
                log.append((yield from Ask()))

        with trio.CancelScope() as scope:
            await Ask.by(lambda ask: "answered").run(plan())
        assert ["answered"] == log

    @ender
    async def test_effects_that_wait_are_refused_without_a_shield(self, end, autojump_clock):
        """A wait in the clean-up is cancelled again, at once."""
        log = []

        def plan():
            try:
                yield from Sleep(100)
            finally:
                try:
                    yield from Sleep(5)
                except BaseException as error:
                    log.append((type(error), trio.current_time()))
                    raise

        await ambient.run(end(plan()))
        assert [(trio.Cancelled, 1.0)] == log

    async def test_concurrent_clean_up(self, autojump_clock):
        """Clean-up may itself be concurrent, when shielded."""
        log = []

        def plan():
            try:
                yield from Sleep(100)
            finally:
                log.append((yield from shielded(parallel(after(2, "a"), race(after(1, "b"), Sleep(9))))))

        assert "won" == await ambient.run(race(plan(), after(1, "won")))
        assert ([("a", "b")], 3.0) == (log, trio.current_time())

    async def test_slowest_clean_up_counts(self, autojump_clock):
        """Losers clean up at the same time, each in its own."""
        log = []
        assert "won" == await ambient.run(race(*(cleaning(log, s) for s in (3.0, 1.0, 2.0)), after(1, "won")))
        assert [("cleaned", t) for t in (2.0, 3.0, 4.0)] == log
        assert 4.0 == trio.current_time()
