"""Wrong arguments are refused where they are given, before anything runs; mistakes in the program are no outcomes."""

from __future__ import annotations

import math
from functools import partial

import pytest
import trio
from timed_plans import after

from lambdacat_effects import (
    ALL,
    Effect,
    Now,
    Sleep,
    ambient,
    attempt,
    awaiting,
    blocking,
    call,
    catch,
    effect,
    for_each,
    hedge,
    isolated,
    n_best,
    parallel,
    quorum,
    race,
    settle,
    shielded,
    span,
    timeout,
)
from lambdacat_effects.effects.concurrency import concurrent
from lambdacat_effects.errors import InvalidArgument, Misuse, NotAPlan, PlanReused, UnhandledEffect


@effect
class Nobody(Effect[int]):
    """An effect that nobody answers."""


def mistaken(seconds):
    """A plan that performs an effect nobody answers."""
    yield from Sleep(seconds)
    yield from Nobody()


NOT_SECONDS = [-1, -0.001, math.nan, -math.inf, True, False, "2", [], 1j]

TIMED = {
    "timeout": lambda s: timeout(s, Now()),
    "parallel": lambda s: parallel(Now(), timeout=s),
    "parallel, partial": lambda s: parallel(Now(), timeout=s, partial=True),
    "race": lambda s: race(Now(), timeout=s),
    "n_best": lambda s: n_best(Now(), n=1, score=abs, timeout=s),
    "quorum": lambda s: quorum(Now(), n=1, timeout=s),
    "for_each": lambda s: for_each([1], Sleep, timeout=s),
    "settle": lambda s: settle(Now(), timeout=s),
    "hedge": lambda s: hedge(Now, after=s),
    "Sleep": lambda s: Sleep(s),
}

TAKERS = {
    "parallel": parallel,
    "race": race,
    "settle": settle,
    "n_best": lambda p: n_best(p, n=1, score=abs),
    "quorum": lambda p: quorum(p, n=1),
    "timeout": lambda p: timeout(1, p),
    "attempt": attempt,
    "shielded": shielded,
    "call": call,
    "span": lambda p: span("s", p),
    "catch": catch(KeyError),
    "the second of parallel": lambda p: parallel(Now(), p),
}


class TestInvalidArguments:
    @pytest.mark.parametrize("seconds", NOT_SECONDS, ids=repr)
    @pytest.mark.parametrize("make", TIMED.values(), ids=TIMED.keys())
    def test_seconds(self, make, seconds):
        """Seconds are a number that is not negative, not a truth value; the message shows what was given."""
        with pytest.raises(InvalidArgument) as caught:
            make(seconds)
        assert f"got {seconds!r}" in str(caught.value)
        assert isinstance(caught.value, ValueError)

    @pytest.mark.parametrize("name", ["timeout", "hedge", "Sleep"])
    def test_missing_seconds(self, name):
        """Where there is no default, None is no number of seconds."""
        with pytest.raises(InvalidArgument):
            TIMED[name](None)

    @pytest.mark.parametrize("n", [0, -1, 3, 1.5, "1", None], ids=repr)
    @pytest.mark.parametrize("name", ["n_best", "quorum"])
    def test_n(self, name, n):
        """n is between 1 and the number of plans; the message has both."""
        combinator = {"quorum": quorum, "n_best": partial(n_best, score=abs)}[name]
        with pytest.raises(InvalidArgument) as caught:
            combinator(Now(), Now(), n=n)
        assert f"{name} needs n between 1 and the number of plans, 2; got n={n!r}" == str(caught.value)

    @pytest.mark.parametrize(
        ("wrong", "given"),
        [
            (lambda: hedge(Now, after=1, copies=0), "got 0"),
            (lambda: hedge(Now, after=1, copies=-2), "got -2"),
            (lambda: hedge(Now, after=1, copies=1.5), "got 1.5"),
            (lambda: hedge(after(1, 2), after=1), "got <generator object after"),
            (lambda: for_each([1], Sleep, limit=0), "got 0"),
            (lambda: for_each([1], Sleep, limit=-1), "got -1"),
            (lambda: for_each([1], Sleep, limit=2.0), "got 2.0"),
            (lambda: for_each([1], after(1, 2)), "got <generator object after"),
            (lambda: n_best(Now(), n=1, score=None), "got None"),
            (lambda: n_best(Now(), n=1, score="length"), "got 'length'"),
            (lambda: timeout(None, Now()), "without a limit, perform the plan itself"),
            (lambda: parallel(Now(), partial=True), "needs timeout="),
            (race, "race of no plans"),
            (lambda: quorum(n=1), "the number of plans, 0"),
            (lambda: n_best(n=1, score=abs), "the number of plans, 0"),
            (lambda: concurrent((), ALL), "parallel of no plans"),
            (lambda: span("", Now()), "got ''"),
            (lambda: blocking(3), "got 3"),
            (lambda: isolated(None), "got None"),
            (lambda: awaiting("f"), "got 'f'"),
        ],
    )
    def test_others(self, wrong, given):
        """Each says what was given, or what is missing."""
        with pytest.raises(InvalidArgument) as caught:
            wrong()
        assert given in str(caught.value)

    @pytest.mark.parametrize(
        "wrong",
        [
            lambda: quorum(Now(), n=True),
            lambda: n_best(Now(), n=True, score=abs),
            lambda: for_each([1], Sleep, limit=True),
            lambda: hedge(Now, after=1, copies=True),
        ],
        ids=["quorum", "n_best", "for_each", "hedge"],
    )
    def test_truth_values_are_no_counts(self, wrong):
        """True is not 1."""
        with pytest.raises(InvalidArgument):
            wrong()

    @pytest.mark.parametrize("items", [5, None], ids=repr)
    def test_items(self, items):
        """for_each says itself that it needs a sequence."""
        with pytest.raises(InvalidArgument):
            for_each(items, Sleep)

    @pytest.mark.parametrize("wrong", [-1, math.nan, "2"], ids=repr)
    async def test_nothing_has_run(self, wrong, autojump_clock):
        """The plans given along with a wrong argument have not begun."""
        ran = []

        def plan():
            ran.append("ran")
            yield from Now()

        given = plan()
        with pytest.raises(InvalidArgument):
            parallel(given, timeout=wrong)
        with pytest.raises(NotAPlan):
            parallel(given, after)
        assert [] == ran
        await ambient.run(given)
        assert ["ran"] == ran


class TestNotAPlan:
    @pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS.keys())
    @pytest.mark.parametrize(
        ("thing", "says"),
        [
            (after, "the function after is not a plan: call it, after(...)"),
            (Now, "the class Now is not a plan: give an instance, Now(...)"),
            (3, "3 is not a plan"),
            (None, "None is not a plan"),
            ([], "[] is not a plan"),
            (iter("ab"), "is not a plan"),
            (lambda: Now(), "<lambda> is not a plan: call it"),
        ],
        ids=["function", "class", "number", "None", "list", "iterator", "lambda"],
    )
    def test_is_refused_at_the_call(self, take, thing, says):
        """The message says what to give instead."""
        with pytest.raises(NotAPlan) as caught:
            take(thing)
        assert says in str(caught.value)
        assert isinstance(caught.value, TypeError)

    @pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS.keys())
    def test_coroutines_are_closed(self, take):
        """A coroutine is refused, and leaves no "was never awaited" behind."""

        async def fetch():
            pass

        with pytest.raises(NotAPlan, match=r"the coroutine .*fetch is not a plan"):
            take(fetch())

    @pytest.mark.parametrize(
        "combinator", [lambda f: for_each([1], f), lambda f: hedge(f, after=0)], ids=["for_each", "hedge"]
    )
    async def test_made_when_its_turn_came(self, combinator, autojump_clock):
        """What a maker makes is checked when it is made, and is a mistake, not a failure."""
        with pytest.raises(NotAPlan):
            await ambient.run(combinator(lambda *_: after))


class TestPlanReused:
    @pytest.mark.parametrize(
        "combinator",
        [parallel, race, settle, lambda *p: quorum(*p, n=1), lambda *p: n_best(*p, n=1, score=abs)],
        ids=["parallel", "race", "settle", "quorum", "n_best"],
    )
    @pytest.mark.parametrize("seconds", [0, 1])
    async def test_one_plan_in_two_branches(self, combinator, seconds, autojump_clock):
        """A plan runs once; the error names it and its file."""
        plan = after(seconds, "a")
        with pytest.raises(PlanReused, match=r"the plan after \(.*timed_plans.py"):
            await ambient.run(combinator(plan, plan))

    async def test_one_plan_for_all_items(self, autojump_clock):
        """`make` has to make."""
        plan = after(1, "a")
        with pytest.raises(PlanReused):
            await ambient.run(for_each(range(2), lambda _: plan))

    async def test_one_plan_for_all_copies(self, autojump_clock):
        """So does a hedge's."""
        # With `yield from make()` the second copy would *continue* the first one's plan.
        plan = after(3, "a")
        with pytest.raises(PlanReused):
            await ambient.run(hedge(lambda: plan, after=1))

    async def test_an_effect_is_a_value(self, autojump_clock):
        """One effect in many branches is fine."""
        nap = Sleep(1)
        assert (None, None) == await ambient.run(parallel(nap, nap))

    async def test_a_combinator_is_a_plan(self, autojump_clock):
        """A combinator's plan runs once, too."""
        both = parallel(Sleep(1), Sleep(1))
        await ambient.run(both)
        with pytest.raises(PlanReused):
            await ambient.run(both)


MISTAKEN = {
    "parallel": lambda *p: parallel(*p),
    "race": lambda *p: race(*p),
    "settle": lambda *p: settle(*p),
    "quorum": lambda *p: quorum(*p, n=1),
    "n_best": lambda *p: n_best(*p, n=1, score=abs, timeout=20),
    "hedge": lambda *p: hedge(iter(p).__next__, after=0, copies=len(p)),
    "for_each": lambda *p: for_each(p, lambda plan: plan),
    "parallel of attempts": lambda *p: parallel(*map(attempt, p)),
    "race of races": lambda *p: race(*map(race, p)),
    "race of timeouts": lambda *p: race(*(timeout(50, plan) for plan in p)),
    "settle of parallels": lambda *p: settle(parallel(p[0]), parallel(*p[1:])),
}
mistaken_in = pytest.mark.parametrize("combinator", MISTAKEN.values(), ids=MISTAKEN.keys())


class TestMisuseIsNoOutcome:
    @mistaken_in
    async def test_passes_unwrapped_and_cancels_the_siblings(self, combinator, autojump_clock):
        """Nobody takes an unhandled effect for a failed branch: it comes out bare, at once, after clean-up."""
        cleaned = []

        def sibling():
            try:
                yield from Sleep(9)
            finally:
                yield from shielded(Sleep(1))
                cleaned.append(trio.current_time())

        with pytest.raises(UnhandledEffect, match=r"no handler answers Nobody\(\)"):
            await ambient.run(combinator(sibling(), mistaken(1)))
        assert ([2.0], 2.0) == (cleaned, trio.current_time())

    @mistaken_in
    async def test_beats_failures(self, combinator, autojump_clock):
        """Beside failures in the same tick it is still the mistake that is raised."""

        def failing():
            yield from Sleep(9)
            raise KeyError

        def late_mistake():
            try:
                yield from Sleep(9)
            finally:
                raise Misuse("in clean-up")

        with pytest.raises(Misuse):
            await ambient.run(combinator(failing(), late_mistake(), mistaken(1)))

    async def test_passes_attempt(self, autojump_clock):
        """`attempt` does not answer it."""
        with pytest.raises(UnhandledEffect):
            await ambient.run(attempt(mistaken(1)))

    async def test_passes_timeout_and_partial(self, autojump_clock):
        """Nor does a partial answer swallow it."""
        with pytest.raises(UnhandledEffect):
            await ambient.run(parallel(Sleep(9), mistaken(1), timeout=5, partial=True))

    async def test_of_a_loser_in_its_clean_up(self, autojump_clock):
        """A mistake in a loser's clean-up is raised in place of the answer: it has to be mended."""

        def loser():
            try:
                yield from Sleep(9)
            finally:
                yield from Nobody()

        with pytest.raises(UnhandledEffect):
            await ambient.run(race(loser(), after(1, "answer")))
