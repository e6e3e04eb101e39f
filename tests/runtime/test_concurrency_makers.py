"""Plans that a combinator makes when their turn comes: `hedge` and `for_each`."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from timed_plans import after, failing, raised, timed, watched

from lambdacat_effects import (
    NewId,
    Sleep,
    ambient,
    for_each,
    hedge,
)


class TestHedge:
    async def test_copy_k_starts_after_k_delays(self, autojump_clock):
        """Copies start at 0, after, 2 x after, ..., each a plan of its own."""
        starts = []

        def copy():
            starts.append(trio.current_time())
            yield from failing(10, ValueError())

        await raised(ExceptionGroup, hedge(copy, after=1, copies=4))
        assert [0.0, 1.0, 2.0, 3.0] == starts

    async def test_a_fast_first_copy_stays_alone(self, autojump_clock):
        """When the first copy answers in time, no other is ever made."""
        made = []

        def copy():
            made.append(trio.current_time())
            return after(1, "answer")

        assert ("answer", 1.0) == await timed(hedge(copy, after=2, copies=3))
        assert [0.0] == made

    async def test_the_second_copy_may_win(self, autojump_clock):
        """A slow first copy is cancelled when the second answers."""
        ends, seconds = [], iter([9, 1])
        plan = hedge(lambda: watched(ends, "copy", after(next(seconds), "answer")), after=2)
        assert ("answer", 3.0) == await timed(plan)
        assert [("copy", "Cancelled", 3.0), ("copy", "answered", 3.0)] == sorted(ends)

    async def test_all_fail(self, autojump_clock):
        """The failures of all copies, in the order they were started."""
        errors = [ValueError(0), ValueError(1), ValueError(2)]
        made = iter([failing(9, errors[0]), failing(1, errors[1]), failing(1, errors[2])])
        group, seconds = await raised(ExceptionGroup, hedge(lambda: next(made), after=1, copies=3))
        assert (9.0, tuple(errors)) == (seconds, group.exceptions)

    async def test_of_one_copy(self, autojump_clock):
        """One copy is the plan itself."""
        assert ("a", 5.0) == await timed(hedge(partial(after, 5, "a"), after=1, copies=1))

    async def test_takes_a_function_that_makes_an_effect(self, autojump_clock):
        """What is made may be an effect, such as an effect class without fields."""
        identifier = await ambient.run(hedge(NewId, after=1))
        assert str is type(identifier)


class TestForEach:
    async def test_answers_a_list_in_the_order_of_the_items(self, autojump_clock):
        """Order is kept, whoever finishes first."""
        assert ([6, 2, 4], 3.0) == await timed(for_each([3, 1, 2], lambda i: after(i, 2 * i)))

    async def test_of_nothing(self, autojump_clock):
        """Nothing is made for no items."""
        assert ([], 0.0) == await timed(for_each((), lambda i: pytest.fail("made")))
        assert ([], 0.0) == await timed(for_each((), lambda i: pytest.fail("made"), limit=3))

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 10, 11, None])
    async def test_limit_is_never_exceeded_and_is_used(self, limit, autojump_clock):
        """The most that run together is the limit (or all), and items start in order."""
        running, most, order = 0, 0, []

        def one(i):
            nonlocal running, most
            running += 1
            most = max(most, running)
            order.append(i)
            yield from Sleep(1 + i % 3)
            running -= 1
            return i

        assert list(range(10)) == await ambient.run(for_each(range(10), one, limit=limit))
        assert min(limit or 10, 10) == most
        assert list(range(10)) == sorted(order)
        assert limit in (None, 10, 11) or list(range(10)) == order

    async def test_an_item_starts_when_a_place_is_free(self, autojump_clock):
        """A plan is made when its turn comes, in the order of the items."""
        starts = []

        def one(seconds):
            starts.append((seconds, trio.current_time()))
            return Sleep(seconds)

        await ambient.run(for_each([1, 4, 2, 3.5, 5], one, limit=2))
        assert [(2, 1.0), (3.5, 3.0), (5, 4.0)] == starts[2:]
        assert [(1, 0.0), (4, 0.0)] == sorted(starts[:2])

    async def test_first_failure_cancels_and_nothing_more_is_made(self, autojump_clock):
        """Items whose turn has not come are never made."""
        made, error = [], ValueError()

        def one(i):
            made.append(i)
            return failing(1, error) if i == 1 else after(9, i)

        group, seconds = await raised(ExceptionGroup, for_each(range(6), one, limit=3))
        assert (1.0, (error,), [0, 1, 2]) == (seconds, group.exceptions, sorted(made))

    async def test_failure_while_making_is_the_branch_s_failure(self, autojump_clock):
        """What `make` raises is the failure of that item."""
        error = ValueError()

        def make(i):
            if i == 1:
                raise error
            return after(1, i)

        group, _ = await raised(ExceptionGroup, for_each(range(3), make))
        assert (error,) == group.exceptions

    async def test_plan_may_be_performed_only_once_but_items_may_repeat(self, autojump_clock):
        """Equal items get plans of their own."""
        assert ([1, 1, 1], 1.0) == await timed(for_each([1] * 3, lambda i: after(i, i)))
