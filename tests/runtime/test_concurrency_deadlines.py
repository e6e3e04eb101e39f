"""What a deadline does to each concurrent combinator, and to a plan under `timeout`."""

from __future__ import annotations

import logging

import pytest
import trio
from timed_plans import after, failing, messy, timed

from lambdacat_effects import (
    MISSING,
    Err,
    Ok,
    Sleep,
    ambient,
    attempt,
    for_each,
    n_best,
    parallel,
    quorum,
    race,
    settle,
    shielded,
    timeout,
)
from lambdacat_effects.errors import PlanTimeout


async def late(plan):
    """The `PlanTimeout` of a plan, and the virtual seconds it took."""
    began = trio.current_time()
    with pytest.raises(PlanTimeout) as caught:
        await ambient.run(plan)
    return caught.value, trio.current_time() - began


async def attempted(plan):
    return await ambient.run(attempt(plan))


def logged(caplog):
    """What was logged as a warning by the package."""
    records = caplog.get_records("call")
    return "\n".join(
        r.getMessage() for r in records if (r.name, r.levelno) == ("lambdacat_effects", logging.WARNING)
    )


class TestTimeout:
    async def test_plan_in_time(self, autojump_clock):
        """A plan that ends in time answers when it ends."""
        assert ("a", 1.0) == await timed(timeout(2, after(1, "a")))

    async def test_plan_out_of_time(self, autojump_clock):
        """`PlanTimeout` comes at the deadline and says what was allowed."""
        error, seconds = await late(timeout(1.5, after(9, "a")))
        assert (1.5, 1.5, "the plan had not ended after 1.5 s") == (seconds, error.seconds, str(error))
        assert isinstance(error, TimeoutError)

    async def test_plan_sees_its_cancellation_not_the_timeout(self, autojump_clock):
        """Inside, the deadline is a cancellation; `PlanTimeout` is raised outside of it."""
        seen = []

        def plan():
            try:
                yield from Sleep(9)
            except BaseException as error:
                seen.append(type(error))
                raise

        await late(timeout(1, plan()))
        assert [trio.Cancelled] == seen

    async def test_failure_passes(self, autojump_clock):
        """A failure in time is that failure."""
        with pytest.raises(KeyError):
            await ambient.run(timeout(2, failing(1, KeyError())))

    async def test_own_timeout_error_is_no_plan_timeout(self, autojump_clock):
        """A `TimeoutError` that the plan raises itself passes unchanged."""
        error = TimeoutError("theirs")
        assert Err(error) == await ambient.run(attempt(timeout(2, failing(1, error))))

    async def test_inner_deadline_first(self, autojump_clock):
        """The inner deadline is raised in the outer plan, which may go on until its own."""

        def plan():
            try:
                yield from timeout(1, Sleep(9))
            except PlanTimeout as error:
                inner.append((error.seconds, trio.current_time()))
            yield from Sleep(9)

        inner = []
        error, seconds = await late(timeout(3, plan()))
        assert (3, 3.0, [(1, 1.0)]) == (error.seconds, seconds, inner)

    async def test_outer_deadline_first(self, autojump_clock):
        """Inside, only the outer one is felt, as a cancellation."""
        seen = []

        def plan():
            try:
                yield from timeout(3, Sleep(9))
            except BaseException as error:
                seen.append(type(error))
                raise

        error, seconds = await late(timeout(1, plan()))
        assert (1, 1.0, [trio.Cancelled]) == (error.seconds, seconds, seen)

    async def test_equal_deadlines_are_the_outer_one_s(self, autojump_clock):
        """With both at the same moment, the outer scope is the one that ends."""
        seen = []

        def plan():
            seen.append((yield from attempt(timeout(2, Sleep(9)))))

        error, seconds = await late(timeout(2, plan()))
        assert (2, 2.0, []) == (error.seconds, seconds, seen)

    async def test_shielded_plan_ends_first(self, autojump_clock):
        """A deadline waits for what is shielded, and strikes at the next wait."""
        done = []

        def plan():
            yield from shielded(Sleep(5))
            done.append(trio.current_time())
            yield from Sleep(1)

        error, seconds = await late(timeout(1, plan()))
        assert (1, 5.0, [5.0]) == (error.seconds, seconds, done)

    async def test_deadline_inside_a_shield_works(self, autojump_clock):
        """A shield keeps out what comes from outside only."""
        error, seconds = await late(shielded(timeout(1, Sleep(5))))
        assert (1, 1.0) == (error.seconds, seconds)

    async def test_clean_up_ends_before_the_timeout_is_raised(self, autojump_clock):
        """Clean-up that takes time has finished when `PlanTimeout` arrives."""
        log = []

        def plan():
            try:
                yield from Sleep(9)
            finally:
                yield from shielded(Sleep(2))
                log.append(trio.current_time())

        _, seconds = await late(timeout(1, plan()))
        assert ([3.0], 3.0) == (log, seconds)

    async def test_deadline_of_zero_lets_an_immediate_plan_answer(self, autojump_clock):
        """What does not wait needs no time."""

        def immediate():
            return "a"
            yield

        assert "a" == await ambient.run(timeout(0, immediate()))
        await late(timeout(0, Sleep(0.001)))

    async def test_deadline_at_infinity_never_passes(self, autojump_clock):
        """`math.inf` is a number of seconds."""
        assert ("a", 1e6) == await timed(timeout(float("inf"), after(1e6, "a")))


class TestDeadlines:
    """`timeout=` of each combinator, where somebody has not ended."""

    @pytest.mark.parametrize(
        ("make", "unfinished"),
        [
            (lambda *p: parallel(*p, timeout=2), "(0, 2)"),
            (lambda *p: quorum(*p, n=3, timeout=2), "(0, 2)"),
            (lambda *p: quorum(*p, n=2, timeout=2), "(0, 2)"),
            (lambda *p: race(p[0], p[2], timeout=2), "(0, 1)"),
            (lambda *p: for_each(p, lambda plan: plan, timeout=2), "(0, 2)"),
            (lambda *p: for_each(p, lambda plan: plan, limit=2, timeout=2), "(0, 2)"),
        ],
    )
    async def test_timeout_names_the_unfinished(self, make, unfinished, autojump_clock):
        """At the deadline the unfinished are cancelled and named by index."""
        error, seconds = await late(make(after(9, "a"), after(1, "b"), after(9, "c")))
        assert (2.0, 2) == (seconds, error.seconds)
        assert f"branches {unfinished} had not ended after 2 s" in str(error)

    async def test_long_lists_are_cut(self, autojump_clock):
        """The message stays short for a thousand branches."""
        error, _ = await late(parallel(*(after(9, i) for i in range(1000)), timeout=1))
        named = "(0, 1, 2, 3, 4, 5, 6, 7, ...)"
        assert f"parallel: 1000 of 1000 branches {named} had not ended after 1 s" == str(error)

    async def test_partial_parallel_answers_what_finished(self, autojump_clock):
        """With `partial=True` the finished answer, and `MISSING` stands for the rest."""
        plan = parallel(after(9, "a"), after(1, None), after(9, "c"), timeout=2, partial=True)
        assert ((MISSING, None, MISSING), 2.0) == await timed(plan)

    async def test_partial_parallel_in_time_misses_nobody(self, autojump_clock):
        """When all end in time, the answer does not wait for the deadline."""
        assert (("a",), 1.0) == await timed(parallel(after(1, "a"), timeout=2, partial=True))

    @pytest.mark.parametrize("partial", [False, True])
    async def test_failure_before_the_deadline_is_the_failure(self, partial, autojump_clock):
        """Partial answers are about time: a failure still fails."""
        with pytest.raises(ExceptionGroup):
            await ambient.run(parallel(failing(1, ValueError()), after(9, 0), timeout=2, partial=partial))
        assert 1.0 == trio.current_time()

    async def test_race_that_lost_some_says_why(self, autojump_clock):
        """The failures so far are the cause of the timeout."""
        error = ValueError()
        timed_out, _ = await late(race(failing(1, error), after(9, 0), timeout=2))
        assert (error,) == timed_out.__cause__.exceptions
        assert "1 of 2 branches (1)" in str(timed_out)

    async def test_quorum_that_lost_some_says_why(self, autojump_clock):
        """The failures so far are the cause of the timeout."""
        error = ValueError()
        timed_out, _ = await late(quorum(failing(1, error), after(9, 0), after(1, 1), n=2, timeout=2))
        assert (error,) == timed_out.__cause__.exceptions

    async def test_n_best_answers_what_finished(self, autojump_clock):
        """The best of those that finished."""
        plan = n_best(after(1, 1), after(9, 9), after(2, 2), after(1, 0), n=2, score=abs, timeout=3)
        assert ([2, 1], 3.0) == await timed(plan)

    async def test_n_best_of_nothing_finished(self, autojump_clock):
        """Nothing finished, nothing answered."""
        assert ([], 1.0) == await timed(n_best(after(9, 9), n=1, score=abs, timeout=1))

    async def test_n_best_with_failures_only(self, autojump_clock):
        """When all who ended by the deadline failed, their failures are raised."""
        with pytest.raises(ExceptionGroup):
            await ambient.run(n_best(failing(1, ValueError()), after(9, 9), n=1, score=abs, timeout=2))

    async def test_settle_answers_missing_for_the_unfinished(self, autojump_clock):
        """`MISSING` is neither `Ok` nor `Err`."""
        error = ValueError()
        plan = settle(after(9, "a"), failing(1, error), after(1, "c"), timeout=2)
        assert ((MISSING, Err(error), Ok("c")), 2.0) == await timed(plan)

    async def test_nobody_is_started_after_the_deadline(self, autojump_clock):
        """`for_each` starts no item once its time is up."""
        made = []

        def one(i):
            made.append(i)
            return Sleep(3)

        await late(for_each(range(6), one, limit=2, timeout=5))
        assert [0, 1, 2, 3] == sorted(made)

    async def test_nobody_is_started_after_the_deadline_though_one_ends_well_after_it(self, autojump_clock):
        """A shielded item (or one in a thread) that ends after the deadline is not followed by another."""
        starts = []

        def one(i):
            starts.append((i, trio.current_time()))
            yield from shielded(Sleep(2))

        await attempted(for_each(range(4), one, limit=1, timeout=1))
        assert [(0, 0.0)] == starts


class TestCleanUpThatFailsAtTheDeadline:
    """A branch that fails after the deadline cancelled it is told, but does not replace the verdict."""

    async def test_race(self, autojump_clock, caplog):
        """The timeout is raised; the failure is told with it, or logged."""
        timed_out, _ = await late(race(messy(ValueError("clean-up")), after(9, 0), timeout=1))
        assert "ValueError('clean-up')" in repr(timed_out.__cause__) + logged(caplog)

    async def test_settle(self, autojump_clock, caplog):
        """The other ends are told as they were; the failure is told with them, or logged."""
        ends = await ambient.run(settle(messy(ValueError("clean-up")), after(9, 0), after(0, 1), timeout=1))
        assert (MISSING, Ok(1)) == ends[1:]
        assert "ValueError('clean-up')" in repr(ends[0]) + logged(caplog)

    async def test_parallel(self, autojump_clock):
        """The timeout is raised, not the failures of those it cancelled."""
        with pytest.raises((PlanTimeout, ExceptionGroup)) as caught:
            await ambient.run(parallel(messy(ValueError()), after(9, 0), timeout=1))
        assert PlanTimeout is type(caught.value)

    async def test_quorum(self, autojump_clock):
        """A quorum that time ended was not out of reach."""
        with pytest.raises((PlanTimeout, ExceptionGroup)) as caught:
            await ambient.run(quorum(messy(ValueError()), after(9, 0), n=2, timeout=1))
        assert PlanTimeout is type(caught.value)

    async def test_partial_parallel(self, autojump_clock, caplog):
        """The finished answer; the failure is logged."""
        plan = parallel(after(0, "a"), messy(ValueError("clean-up")), timeout=1, partial=True)
        assert Ok(("a", MISSING)) == await attempted(plan)
        assert "ValueError('clean-up')" in logged(caplog)

    async def test_n_best(self, autojump_clock, caplog):
        """The best of the finished; the failure is logged."""
        plan = n_best(after(0, 3), messy(ValueError("clean-up")), n=1, score=abs, timeout=1)
        assert Ok([3]) == await attempted(plan)
        assert "ValueError('clean-up')" in logged(caplog)
