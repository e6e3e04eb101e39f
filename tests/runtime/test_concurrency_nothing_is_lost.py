"""Cancellation from outside, clean-up that fails, and what is no `Exception`: nothing is lost."""

from __future__ import annotations

import pytest
import trio
from timed_plans import after, cleaning, failing, leaves, logged, messy

from lambdacat_effects import (
    Now,
    Ok,
    Sleep,
    ambient,
    attempt,
    call,
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
from lambdacat_effects.errors import PlanTimeout

# Combinators under which a plan goes on until it is cancelled from outside.
HOLDERS = {
    "alone": lambda plan: plan,
    "call": call,
    "span": lambda plan: span("s", plan),
    "timeout": lambda plan: timeout(50, plan),
    "attempt": attempt,
    "parallel": lambda plan: parallel(plan, Sleep(50)),
    "for_each": lambda plan: for_each([plan], lambda plan: plan, limit=1),
    "race": lambda plan: race(plan, Sleep(50)),
    "quorum": lambda plan: quorum(plan, Sleep(50), n=1),
    "n_best": lambda plan: n_best(plan, Sleep(50), n=1, score=abs),
    "settle": lambda plan: settle(plan, Sleep(50)),
    "hedge": lambda plan: hedge(lambda: plan, after=50),
}
holder = pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS.keys())


class TestFailureAfterCancellation:
    """A branch that fails while it is being cancelled changes no answer, but is not lost in silence."""

    @pytest.mark.parametrize(
        "combinator",
        [race, lambda *p: quorum(*p, n=1), lambda *p: hedge(iter(p).__next__, after=0.5)],
        ids=["race", "quorum", "hedge"],
    )
    async def test_is_logged_and_the_answer_stands(self, combinator, autojump_clock, caplog):
        """The log says which branch, and what."""
        plan = combinator(messy(ValueError("clean-up")), after(1, "answer"))
        answer = await ambient.run(plan, name="run")
        assert answer in ("answer", ["answer"])
        (message,) = logged(caplog)
        assert message.startswith("branch ('run', ")
        assert message.endswith("0) failed after it was cancelled: ValueError('clean-up')")

    async def test_success_logs_nothing(self, autojump_clock, caplog):
        """Losers that clean up well are no news, nor are branches that failed before."""
        await ambient.run(race(failing(0.5, ValueError()), cleaning([], 1.0), after(1, "answer")))
        assert [] == logged(caplog)

    async def test_late_answer_is_no_answer(self, autojump_clock):
        """A loser that answers after all, from its clean-up, loses all the same."""

        def stubborn():
            try:
                yield from Sleep(100)
            finally:
                yield from shielded(Sleep(1))
                return "late"  # noqa: B012

        assert "answer" == await ambient.run(race(stubborn(), after(1, "answer")))

    @pytest.mark.parametrize("name", ["parallel", "for_each", "settle", "race", "quorum", "n_best"])
    async def test_of_a_loser_s_own_branch(self, name, autojump_clock, caplog):
        """It makes no difference when the clean-up that failed is in a combinator within the loser."""
        # A parallel (or for_each) that loses raises a BaseExceptionGroup of Cancelled and the failure.
        loser = HOLDERS[name](messy(ValueError("clean-up")))
        assert Ok("answer") == await ambient.run(attempt(race(loser, after(1, "answer"))))

    @pytest.mark.parametrize("name", ["parallel", "for_each", "settle", "race", "quorum", "n_best", "hedge"])
    async def test_of_a_loser_s_own_branch_is_logged(self, name, autojump_clock, caplog):
        """Nor is it lost there."""
        loser = HOLDERS[name](messy(ValueError("clean-up")))
        await ambient.run(attempt(race(loser, after(1, "answer"))))
        assert "ValueError('clean-up')" in "\n".join(logged(caplog))


class TestCancellationFromOutside:
    @holder
    async def test_by_a_cancel_scope(self, hold, autojump_clock):
        """The run ends when its clean-up has, and raises nothing that the scope does not catch."""
        log = []
        with trio.move_on_after(1) as scope:
            await ambient.run(hold(cleaning(log, 2.0)))
        assert scope.cancelled_caught
        assert ([("cleaned", 3.0)], 3.0) == (log, trio.current_time())

    @holder
    async def test_by_a_nursery(self, hold, autojump_clock):
        """The same in a task of a nursery that is cancelled."""
        log = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ambient.run, hold(cleaning(log, 2.0)))
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        assert ([("cleaned", 3.0)], 3.0) == (log, trio.current_time())

    @holder
    async def test_before_it_began(self, hold, autojump_clock):
        """A run in a cancelled scope gets no further than its first wait."""
        log = []

        def plan():
            yield from Sleep(0)
            log.append("waited")

        with trio.move_on_after(0) as scope:
            await ambient.run(hold(plan()))
        assert scope.cancelled_caught
        assert [] == log

    @holder
    async def test_is_no_outcome(self, hold, autojump_clock):
        """The plan around a combinator does not go on, and `except Exception` does not catch it."""
        seen = []

        def plan():
            try:
                yield from hold(Sleep(50))
            except Exception as error:
                seen.append(error)
            seen.append("went on")

        with trio.move_on_after(1):
            await ambient.run(plan())
        assert [] == seen

    async def test_of_a_plan_without_waits(self, autojump_clock):
        """A plan of effects that never wait is cancelled in time, too."""

        def busy():
            while True:
                yield from Now()

        with trio.move_on_after(0) as scope:
            await ambient.run(parallel(busy(), busy()))
        assert scope.cancelled_caught

    async def test_of_a_plan_that_was_cancelled_before(self, autojump_clock):
        """A cancellation that a scope within the plan caught does not make it immune to the next."""

        def plan():
            with trio.move_on_after(1):
                yield from Sleep(9)
            for effects in range(20_000):
                if effects == 5_000:
                    scope.cancel()
                yield from Now()
            pytest.fail("not cancelled")

        with trio.CancelScope() as scope:
            await ambient.run(plan())
        assert (True, 1.0) == (scope.cancelled_caught, trio.current_time())

    async def test_by_a_cancel_scope_within_the_plan(self, autojump_clock):
        """`trio.move_on_after` works inside a plan."""

        def plan():
            with trio.move_on_after(2):
                yield from parallel(Sleep(9), Sleep(8))
            return trio.current_time()

        assert 2.0 == await ambient.run(plan())


class TestFailingCleanUpWhileCancelledFromOutside:
    @pytest.mark.parametrize("name", ["alone", "call", "span", "timeout", "attempt"])
    async def test_sequential(self, name, autojump_clock):
        """As in Trio the failure takes the place of the cancellation, which is its context."""
        seen, error = [], ValueError("clean-up")
        with trio.move_on_after(1):
            try:
                seen.append(await ambient.run(HOLDERS[name](messy(error))))
            except ValueError as caught:
                seen.append(caught)
        assert [error] == [getattr(end, "error", end) for end in seen]
        assert isinstance(error.__context__, trio.Cancelled)

    @pytest.mark.parametrize("combinator", [parallel, lambda *p: for_each(p, lambda plan: plan)])
    async def test_both_go_on(self, combinator, autojump_clock):
        """As from a Trio nursery, cancellation and failure go on in one group; the scope takes its own part."""
        error, seen = ValueError("clean-up"), []

        async def cancelled_run():
            with trio.move_on_after(1):
                try:
                    await ambient.run(combinator(messy(error), Sleep(50)))
                except BaseExceptionGroup as group:
                    seen.extend(leaves(group))
                    raise

        with pytest.raises(ExceptionGroup) as outside:
            await cancelled_run()
        assert {trio.Cancelled, ValueError} == {type(e) for e in seen}
        assert [error] == leaves(outside.value)

    @pytest.mark.parametrize("name", ["parallel", "for_each", "race", "quorum", "n_best", "settle", "hedge"])
    async def test_is_not_lost(self, name, autojump_clock, caplog):
        """The failure is raised or logged."""
        raised = []
        try:
            with trio.move_on_after(1):
                await ambient.run(HOLDERS[name](messy(ValueError("clean-up"))))
        except BaseExceptionGroup as group:
            raised.append(repr(group))
        assert "ValueError('clean-up')" in "\n".join([*raised, *logged(caplog)])

    async def test_under_a_timeout(self, autojump_clock):
        """A deadline takes its cancellation out of the group, and the failure goes on."""
        error = ValueError("clean-up")
        with pytest.raises((PlanTimeout, ExceptionGroup)) as caught:
            await ambient.run(timeout(1, parallel(messy(error), Sleep(50))))
        assert (error,) == caught.value.exceptions


class Stop(BaseException):
    """Not an `Exception`."""


class TestBaseException:
    @holder
    @pytest.mark.parametrize("kind", [Stop, KeyboardInterrupt, SystemExit])
    async def test_in_a_branch_ends_the_run(self, hold, kind, autojump_clock):
        """What is no `Exception` is nobody's outcome: it goes through every combinator."""
        error = kind("stop")
        with pytest.raises((BaseExceptionGroup, kind)) as caught:
            await ambient.run(hold(failing(1, error)))
        assert [error] == leaves(caught.value)
        assert 1.0 == trio.current_time()

    @pytest.mark.parametrize("combinator", [parallel, race, settle], ids=lambda c: c.__name__)
    async def test_in_a_branch_cancels_the_siblings(self, combinator, autojump_clock):
        """And they clean up first."""
        log = []
        with pytest.raises(BaseExceptionGroup):
            await ambient.run(combinator(cleaning(log, 2.0), failing(1, Stop())))
        assert [("cleaned", 3.0)] == log

    async def test_beside_a_failure(self, autojump_clock):
        """A failure that was there before is not lost for it."""
        stop, error = Stop(), ValueError()

        def plan():
            try:
                yield from Sleep(100)
            finally:
                raise stop

        with pytest.raises(BaseExceptionGroup) as caught:
            await ambient.run(parallel(plan(), failing(1, error)))
        assert {stop, error} == set(leaves(caught.value))
