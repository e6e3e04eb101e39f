"""What each concurrent combinator answers, when it answers, and how it fails: the table of the design, row by row.

Deadlines, cancellation and clean-up, ties and nesting, wrong arguments, and events have files of their own:
`test_concurrency_*.py`.
"""

from __future__ import annotations

import pytest
import trio
from timed_plans import after, failing, raised, timed, watched

from lambdacat_effects import (
    Effect,
    Err,
    Now,
    Ok,
    Sleep,
    ambient,
    attempt,
    effect,
    fail,
    for_each,
    n_best,
    parallel,
    quorum,
    race,
    settle,
    timeout,
)
from lambdacat_effects.errors import PlanTimeout


class TestParallel:
    async def test_answers_a_tuple_in_declared_order(self, autojump_clock):
        """The tuple has the answers where their plans were declared, whoever finished first."""
        assert (("a", "b", "c"), 3.0) == await timed(parallel(after(3, "a"), after(1, "b"), after(2, "c")))

    async def test_of_nothing_answers_at_once(self, autojump_clock):
        """No plans, no answers."""
        assert ((), 0.0) == await timed(parallel())

    async def test_of_one_is_a_tuple_of_one(self, autojump_clock):
        """One plan answers as the only element."""
        assert (("a",), 1.0) == await timed(parallel(after(1, "a")))

    async def test_takes_effects_and_plans(self, autojump_clock):
        """A bare effect is a branch like any other."""
        assert ((None, "a"), 2.0) == await timed(parallel(Sleep(2), after(1, "a")))

    async def test_every_branch_starts_at_once(self, autojump_clock):
        """No branch waits for another to start."""
        starts = []

        def started(i):
            starts.append((i, trio.current_time()))
            yield from Sleep(i)

        await ambient.run(parallel(*(started(i) for i in range(5))))
        assert [(i, 0.0) for i in range(5)] == sorted(starts)

    async def test_first_failure_cancels_the_siblings(self, autojump_clock):
        """At the first failure the others are cancelled; who finished before keeps its end."""
        ends, error = [], ValueError("b")
        group, seconds = await raised(
            ExceptionGroup,
            parallel(
                watched(ends, "a", after(5, "a")),
                watched(ends, "b", failing(2, error)),
                watched(ends, "c", after(1, "c")),
            ),
        )
        assert (2.0, (error,)) == (seconds, group.exceptions)
        assert [("a", "Cancelled", 2.0), ("b", "ValueError", 2.0), ("c", "answered", 1.0)] == sorted(ends)

    async def test_failures_at_the_same_moment_are_all_told_in_declared_order(self, autojump_clock):
        """Who fails in the same tick is in the group, too, by index, whatever order Trio drew."""
        for _ in range(50):
            errors = [ValueError(i) for i in range(6)]
            group, _ = await raised(ExceptionGroup, parallel(*(failing(1, e) for e in errors)))
            assert tuple(errors) == group.exceptions

    async def test_failures_of_clean_up_join_the_group(self, autojump_clock):
        """A sibling that fails while it is being cancelled is in the group, at its index."""
        first, second = ValueError("clean-up"), ValueError("cause")

        def messy():
            try:
                yield from Sleep(9)
            finally:
                raise first

        group, _ = await raised(ExceptionGroup, parallel(messy(), failing(1, second)))
        assert (first, second) == group.exceptions

    async def test_group_says_how_many_failed(self, autojump_clock):
        """The group's message has the policy and the numbers."""
        group, _ = await raised(ExceptionGroup, parallel(failing(1, ValueError()), after(2, 0)))
        assert "parallel: 1 of 2 branches failed" == group.message

    async def test_failure_is_caught_in_the_plan(self, autojump_clock):
        """`except*` in the plan around a combinator works, and the plan goes on."""

        def plan():
            try:
                yield from parallel(fail(KeyError("k")), after(1, "a"))
            except* KeyError:
                yield from Sleep(1)
            return "went on"

        assert ("went on", 1.0) == await timed(plan())


class TestRace:
    async def test_first_success_answers(self, autojump_clock):
        """The bare answer of the fastest, at its time; the rest is cancelled then."""
        ends = []
        plan = race(watched(ends, "slow", after(3, "slow")), watched(ends, "fast", after(1, "fast")))
        assert ("fast", 1.0) == await timed(plan)
        assert [("fast", "answered", 1.0), ("slow", "Cancelled", 1.0)] == sorted(ends)

    async def test_failed_branch_is_out(self, autojump_clock):
        """A failure is no result: the race goes on without it."""
        assert ("b", 3.0) == await timed(race(failing(1, ValueError()), after(3, "b")))

    async def test_failure_as_a_result_is_an_attempt(self, autojump_clock):
        """Who wants a failure to win wraps the branch in `attempt`."""
        error = ValueError()
        assert (Err(error), 1.0) == await timed(race(attempt(failing(1, error)), attempt(after(3, "b"))))

    async def test_all_fail(self, autojump_clock):
        """When the last has failed, the failures are raised in declared order."""
        errors = [ValueError(i) for i in range(3)]
        plan = race(failing(2, errors[0]), failing(3, errors[1]), failing(1, errors[2]))
        group, seconds = await raised(ExceptionGroup, plan)
        assert (3.0, tuple(errors)) == (seconds, group.exceptions)

    @pytest.mark.parametrize("answer", [None, False, 0, (), ValueError("as a value")])
    async def test_any_value_wins(self, answer, autojump_clock):
        """An answer that is false, or an exception as a value, is an answer."""
        assert (answer, 1.0) == await timed(race(after(1, answer), after(2, "late")))

    async def test_of_one(self, autojump_clock):
        """One plan wins its own race."""
        assert ("a", 1.0) == await timed(race(after(1, "a")))


class TestNBest:
    async def test_best_first_when_all_have_ended(self, autojump_clock):
        """The n highest scores, best first, in a list, after everybody has ended."""
        plan = n_best(after(1, "aa"), after(4, "a"), after(2, "aaaa"), after(3, "aaa"), n=2, score=len)
        assert (["aaaa", "aaa"], 4.0) == await timed(plan)

    async def test_equal_scores_keep_declared_order(self, autojump_clock):
        """Equals are ranked as they were declared, not as they finished."""
        plan = n_best(after(3, "b"), after(1, "a"), after(2, "cc"), n=3, score=len)
        assert (["cc", "b", "a"], 3.0) == await timed(plan)

    async def test_failed_do_not_take_part(self, autojump_clock):
        """A failure cancels nobody; the list is shorter when fewer than n succeeded."""
        plan = n_best(failing(1, ValueError()), after(2, 5), failing(3, KeyError()), n=2, score=abs)
        assert ([5], 3.0) == await timed(plan)

    async def test_all_fail(self, autojump_clock):
        """No success at all raises the failures in declared order."""
        errors = [ValueError(0), KeyError(1)]
        plan = n_best(failing(2, errors[0]), failing(1, errors[1]), n=1, score=abs)
        group, seconds = await raised(ExceptionGroup, plan)
        assert (2.0, tuple(errors)) == (seconds, group.exceptions)

    async def test_failing_score_is_raised_where_it_was_asked(self, autojump_clock):
        """An error of `score` is the plan's to catch."""
        error, seconds = await raised(TypeError, n_best(after(1, "a"), after(2, 3), n=1, score=len))
        assert (2.0, "object of type 'int' has no len()") == (seconds, str(error))


class TestQuorum:
    async def test_answers_when_n_have_succeeded(self, autojump_clock):
        """n answers in declared order, in a list, at the time of the n-th; the rest is cancelled."""
        ends = []
        plans = [watched(ends, name, after(s, name)) for name, s in [("a", 3), ("b", 9), ("c", 1), ("d", 2)]]
        assert (["a", "c", "d"], 3.0) == await timed(quorum(*plans, n=3))
        assert [("b", "Cancelled", 3.0)] == [end for end in ends if end[0] == "b"]

    async def test_failures_that_leave_n_possible_do_not_matter(self, autojump_clock):
        """One of three may fail when two are wanted."""
        plan = quorum(failing(1, ValueError()), after(2, "b"), after(3, "c"), n=2)
        assert (["b", "c"], 3.0) == await timed(plan)

    async def test_ends_as_soon_as_n_is_out_of_reach(self, autojump_clock):
        """With two of three failed, two successes are impossible: the third is cancelled at once."""
        ends, errors = [], [ValueError(0), ValueError(1)]
        group, seconds = await raised(
            ExceptionGroup,
            quorum(failing(2, errors[0]), failing(1, errors[1]), watched(ends, "c", after(9, "c")), n=2),
        )
        assert (2.0, tuple(errors)) == (seconds, group.exceptions)
        assert [("c", "Cancelled", 2.0)] == ends

    async def test_of_all_is_still_a_list(self, autojump_clock):
        """n may be the number of plans."""
        assert (["a", "b"], 2.0) == await timed(quorum(after(2, "a"), after(1, "b"), n=2))


class TestSettle:
    async def test_answers_how_each_ended(self, autojump_clock):
        """`Ok` or `Err` in declared order, in a tuple, when the last has ended; nobody is cancelled."""
        error = ValueError()
        plan = settle(after(3, "a"), failing(1, error), after(2, None))
        assert ((Ok("a"), Err(error), Ok(None)), 3.0) == await timed(plan)

    async def test_of_nothing(self, autojump_clock):
        """No plans, no ends."""
        assert ((), 0.0) == await timed(settle())

    async def test_all_fail(self, autojump_clock):
        """Failures of all are still an answer."""
        errors = ValueError(), KeyError()
        assert (Err(errors[0]), Err(errors[1])) == await ambient.run(
            settle(failing(2, errors[0]), failing(1, errors[1]))
        )


class TestAttempt:
    async def test_success(self, autojump_clock):
        """An answer comes as `Ok`."""
        assert (Ok("a"), 1.0) == await timed(attempt(after(1, "a")))

    async def test_failure(self, autojump_clock):
        """The very error comes in an `Err`."""
        error = ValueError()
        assert (Err(error), 1.0) == await timed(attempt(failing(1, error)))

    async def test_group_and_timeout_are_failures(self, autojump_clock):
        """Failures of combinators are failures."""
        group, late = await ambient.run(
            parallel(attempt(parallel(failing(0, KeyError()))), attempt(timeout(1, Sleep(2))))
        )
        assert (ExceptionGroup, PlanTimeout) == (type(group.error), type(late.error))


@effect
class Both(Effect[tuple]):
    """Ask for two things, which its handler gets in parallel."""

    seconds: float


async def test_parallel_in_a_generator_handler(autojump_clock):
    """A handler that is a plan may use every combinator; its branches' effects go outward."""
    handler = Both.by(lambda both: (yield from parallel(after(both.seconds, "a"), after(1, "b"))))
    assert (("a", "b"), ("a", "b")) == await handler.run(parallel(Both(3), Both(2)))
    assert 3.0 == trio.current_time()


async def test_time_moves_as_trio_s(autojump_clock):
    """`Now` inside branches shows the run's one clock."""
    began = await ambient.run(Now())
    times = await ambient.run(for_each(range(3), lambda i: race(after(i, 0), Sleep(9)), limit=1))
    assert [0, 0, 0] == times
    assert pytest.approx(began + 3) == await ambient.run(Now())
