"""Ties go to the lowest index, an earlier tick beats a lower index, and combinators nest.

Trio runs the tasks of one tick in an order that it draws at random, so statements about ties are made of 200 runs.
"""

from __future__ import annotations

from collections import Counter

import pytest
import trio
from timed_plans import after, failing

from lambdacat_effects import (
    Sleep,
    ambient,
    attempt,
    awaiting,
    for_each,
    parallel,
    quorum,
    race,
    settle,
    shielded,
    timeout,
)
from lambdacat_effects.errors import PlanTimeout

RUNS = 200


def immediate(answer):
    """A plan that answers without waiting."""
    return answer
    yield


def passing(ticks, answer):
    """A plan that answers some ticks after all that start with it have slept for a second."""
    yield from awaiting(pass_ticks, ticks)
    return answer


def failing_later(ticks, error):
    """A plan that fails where `passing` answers."""
    yield from passing(ticks, None)
    raise error


async def pass_ticks(ticks):
    # All in one effect: between effects the interpreter may take a tick for fairness, by the real clock.
    await trio.sleep(1)
    for _ in range(ticks):
        await trio.lowlevel.checkpoint()


def awoken(event, answer):
    """A plan that answers when an event is set."""
    yield from awaiting(event.wait)
    return answer


def setting(event, answer):
    """A plan that sets an event and answers, in one tick: who waits for the event answers one tick later."""
    yield from Sleep(1)
    event.set()
    return answer


def shielded_note(log, entry):
    """A plan that waits out of reach of cancellation, then notes something."""
    yield from shielded(awaiting(trio.lowlevel.checkpoint))
    log.append(entry)


async def outcomes(make):
    """How often each answer came, in many runs."""
    return Counter([str(await ambient.run(make())) for _ in range(RUNS)])


class TestTies:
    async def test_immediate_answers(self, autojump_clock):
        """Branches that do not wait at all tie."""
        assert {"0": RUNS} == await outcomes(lambda: race(*(immediate(i) for i in range(4))))

    async def test_answers_at_the_same_event(self, autojump_clock):
        """Branches that one event wakes tie."""

        def make():
            event = trio.Event()
            return race(*(awoken(event, i) for i in range(3)), race(setting(event, 3), after(0, 4)))

        def lowest():
            event = trio.Event()
            waker = parallel(setting(event, None), Sleep(9))
            return race(*(awoken(event, i) for i in range(4)), waker)

        assert {"4": RUNS} == await outcomes(make)
        assert {"0": RUNS} == await outcomes(lowest)

    async def test_a_failure_in_the_tick_does_not_matter(self, autojump_clock):
        """Of those that *succeed* in the tick, the lowest index wins."""

        def make():
            event = trio.Event()

            def failing_then():
                yield from awoken(event, None)
                raise ValueError

            waker = parallel(setting(event, None), Sleep(9))
            return race(failing_then(), awoken(event, 1), awoken(event, 2), waker)

        assert {"1": RUNS} == await outcomes(make)

    # The next five: were the rest cancelled in the very tick of the first success (or failure), a task of the same
    # batch that is about to come out of a sleep or checkpoint would be cancelled instead of tying.

    async def test_sleeps_that_end_together(self, autojump_clock):
        """Branches whose sleeps end at the same moment tie."""
        assert {"0": RUNS} == await outcomes(lambda: race(*(after(1, i) for i in range(3))))

    async def test_checkpoints_in_the_same_tick(self, autojump_clock):
        """Branches that pass equally many ticks tie."""
        assert {"0": RUNS} == await outcomes(lambda: race(*(passing(3, i) for i in range(3))))

    async def test_quorum_of_a_tie(self, autojump_clock):
        """Of four that succeed together, the first two make a quorum of two."""
        assert {"[0, 1]": RUNS} == await outcomes(lambda: quorum(*(after(1, i) for i in range(4)), n=2))

    async def test_quorum_of_an_earlier_one_and_a_tie(self, autojump_clock):
        """Who was earlier is in; the tie fills the places left, from the lowest index."""
        assert {"[0, 3]": RUNS} == await outcomes(
            lambda: quorum(*(after(2, i) for i in range(3)), after(1, 3), after(2, 4), n=2)
        )

    async def test_failures_in_the_same_tick_are_all_told(self, autojump_clock):
        """Which failures a group holds does not depend on Trio's order."""

        def make():
            return attempt(parallel(*(failing(1, KeyError(i)) for i in range(3))))

        told = Counter([str((await ambient.run(make())).error.exceptions) for _ in range(RUNS)])
        assert {"(KeyError(0), KeyError(1), KeyError(2))": RUNS} == told


class TestEarlierTicks:
    async def test_of_equal_time(self, autojump_clock):
        """An earlier tick at the same virtual time beats a lower index."""
        assert {"2": RUNS} == await outcomes(lambda: race(passing(3, 0), passing(2, 1), passing(1, 2)))

    async def test_of_an_earlier_time(self, autojump_clock):
        """So does an earlier moment."""
        assert {"1": RUNS} == await outcomes(lambda: race(after(1.001, 0), after(1, 1)))

    # The next three: a task that marks the next tick runs *somewhere* in it. Who succeeds in that tick before the
    # task runs would be taken for a tie with the tick before, and might win by its index.

    async def test_the_next_tick_is_too_late(self, autojump_clock):
        """Branch 1 wakes branch 0 and answers: branch 0 answers one tick later, and has lost."""

        def make():
            event = trio.Event()
            return race(awoken(event, 0), setting(event, 1))

        assert {"1": RUNS} == await outcomes(make)

    async def test_the_next_tick_is_too_late_for_a_quorum(self, autojump_clock):
        """The same, for the last place of a quorum."""

        def make():
            event = trio.Event()
            return quorum(awoken(event, 0), immediate(1), setting(event, 2), n=2)

        assert {"[1, 2]": RUNS} == await outcomes(make)

    async def test_a_loser_that_swallows_its_cancellation_has_lost(self, autojump_clock):
        """An answer in spite of the cancellation is later than the success that caused it."""

        def stubborn():
            try:
                yield from Sleep(9)
            except trio.Cancelled:
                return "stubborn"

        assert {"winner": RUNS} == await outcomes(lambda: race(stubborn(), after(1, "winner")))

    async def test_a_failure_in_the_next_tick_does_not_happen(self, autojump_clock):
        """Who is one tick behind the first failure is cancelled before it fails, always."""
        # A task that cancels would run *somewhere* in the next batch.

        def make():
            return attempt(parallel(failing_later(1, KeyError(0)), failing_later(2, KeyError(1))))

        told = Counter([str((await ambient.run(make())).error.exceptions) for _ in range(RUNS)])
        assert {"(KeyError(0),)": RUNS} == told


class TestNesting:
    async def test_race_won_by_a_race(self, autojump_clock):
        """A sub-race competes with its own winner."""
        assert "b" == await ambient.run(race(race(after(3, "a"), after(1, "b")), after(2, "c")))
        assert 1.0 == trio.current_time()

    async def test_race_lost_by_a_race(self, autojump_clock):
        """The losers of a losing sub-race are gone, too."""
        log = []

        def cleaning(name):
            try:
                yield from Sleep(9)
            finally:
                yield from shielded_note(log, name)

        assert "c" == await ambient.run(race(race(cleaning("a"), cleaning("b")), after(2, "c")))
        assert ["a", "b"] == sorted(log)

    async def test_race_in_parallel_in_race(self, autojump_clock):
        """Three levels: the parallel wins when the inner race and its sibling have ended."""
        inner = parallel(race(after(1, "x"), after(5, "z")), after(2, "y"))
        assert ("x", "y") == await ambient.run(race(inner, after(3, "late")))
        assert 2.0 == trio.current_time()

    async def test_sub_race_that_fails(self, autojump_clock):
        """A sub-race that all its branches lost is one failed branch."""
        error = KeyError("k")
        assert "b" == await ambient.run(race(race(failing(1, error)), after(2, "b")))
        with pytest.raises(ExceptionGroup) as caught:
            await ambient.run(race(race(failing(1, error)), failing(2, error)))
        assert (error,) == caught.value.exceptions[0].exceptions
        assert error is caught.value.exceptions[1]

    async def test_timeouts_in_a_race(self, autojump_clock):
        """A branch that runs out of its own time is out of the race."""
        assert "b" == await ambient.run(race(timeout(1, Sleep(9)), after(2, "b")))
        assert 2.0 == trio.current_time()

    async def test_race_in_a_timeout_in_parallel(self, autojump_clock):
        """A deadline in one branch fails all."""
        with pytest.raises(ExceptionGroup) as caught:
            await ambient.run(parallel(timeout(1, race(Sleep(5), Sleep(6))), after(3, "b")))
        assert [PlanTimeout] == [type(e) for e in caught.value.exceptions]
        assert 1.0 == trio.current_time()

    async def test_for_each_in_for_each(self, autojump_clock):
        """Limits are each for_each's own."""
        rows = for_each(range(3), lambda i: for_each(range(4), lambda j: after(1, i * j), limit=2), limit=1)
        assert [[i * j for j in range(4)] for i in range(3)] == await ambient.run(rows)
        assert 6.0 == trio.current_time()

    @pytest.mark.parametrize("levels", [1, 50])
    async def test_deep(self, levels, autojump_clock):
        """50 levels of one branch each answer as many tuples."""

        def nested(level):
            return after(1, "core") if level == 0 else parallel(nested(level - 1))

        answer = await ambient.run(nested(levels))
        for _ in range(levels):
            (answer,) = answer
        assert ("core", 1.0) == (answer, trio.current_time())

    async def test_deep_cancellation(self, autojump_clock):
        """A cancellation reaches the innermost of 50 levels, of every kind, and comes back."""
        log = []

        def core():
            try:
                yield from Sleep(99)
            finally:
                yield from shielded_note(log, trio.current_time())

        def nested(level):
            wrap = [parallel, race, settle, lambda plan: timeout(90, plan), attempt][level % 5]
            return core() if level == 0 else wrap(nested(level - 1))

        with pytest.raises(PlanTimeout):
            await ambient.run(timeout(7, nested(50)))
        assert ([7.0], 7.0) == (log, trio.current_time())


class TestMany:
    async def test_a_thousand_in_parallel(self, autojump_clock):
        """A thousand answers in declared order, in the time of the slowest."""
        assert tuple(range(1000)) == await ambient.run(parallel(*(after(i % 7, i) for i in range(1000))))
        assert 6.0 == trio.current_time()

    async def test_a_thousand_in_a_race(self, autojump_clock):
        """One winner, 999 losers that are gone."""
        gone = []

        def loser(i):
            try:
                yield from Sleep(2 + i)
            finally:
                gone.append(i)

        assert "won" == await ambient.run(race(*(loser(i) for i in range(999)), after(1, "won")))
        assert list(range(999)) == sorted(gone)

    async def test_a_thousand_items_a_hundred_at_once(self, autojump_clock):
        """The time is that of ten rounds."""
        assert list(range(1000)) == await ambient.run(for_each(range(1000), lambda i: after(1, i), limit=100))
        assert 10.0 == trio.current_time()
