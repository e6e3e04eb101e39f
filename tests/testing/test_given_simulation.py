"""`given_simulation`: Hypothesis draws the inputs and one seed, and a failure is told with both at their smallest."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, example, settings
from hypothesis import strategies as st

from lambdacat_effects import Effect, effect, parallel
from lambdacat_effects.errors import InvalidArgument, SimulationFailure
from lambdacat_effects.testing.simulation import Fault, Faults, simulate
from lambdacat_effects.testing.strategies import faults, given_simulation

quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
once = settings(deadline=None, max_examples=500, database=None, derandomize=True, report_multiple_bugs=False)


class Account:
    """An account whose keeper reads and writes in two steps."""

    def __init__(self) -> None:
        self.balance = 0


@effect
class Read(Effect[int]):
    pass


@effect
class Write(Effect[None]):
    balance: int


def add(amount: int) -> Any:
    balance = yield from Read()
    yield from Write(balance + amount)


def bank(amounts: list[int], deposit: Any = add) -> Any:
    account = Account()

    def write(effect: Write) -> None:
        account.balance = effect.balance

    def check(report: Any) -> None:
        if report.error is None:
            assert account.balance == sum(amounts)

    return parallel(*map(deposit, amounts)), Read.by(lambda _: account.balance) | Write.by(write), check


AMOUNTS = st.lists(st.integers(1, 9), max_size=4)


def broken(test: Any) -> SimulationFailure:
    # Without `explain`, whose notes are many lines.
    plain = settings(once, phases=[Phase.generate, Phase.shrink])
    with pytest.raises(SimulationFailure) as caught:
        plain(test)()
    return caught.value


def test_a_race_is_found_and_told_with_the_smallest_inputs() -> None:
    """Two deposits of 1, one switch between a read and a write."""

    @given_simulation(amounts=AMOUNTS)
    def test_deposits(amounts: list[int]) -> Any:
        return bank(amounts)

    failure = broken(test_deposits)
    assert "amounts=[1, 1]" in str(failure)
    assert 1 == len(failure.report.schedule)
    assert [] == failure.report.faults
    assert isinstance(failure.__cause__, AssertionError)


def test_the_line_of_a_failure_repeats_it() -> None:
    """It is an expression; the function is kept as `scenario`."""

    @given_simulation(amounts=AMOUNTS)
    def test_deposits(amounts: list[int]) -> Any:
        return bank(amounts)

    failure = broken(test_deposits)
    [line] = [line.strip() for line in str(failure).splitlines() if "simulate(" in line]
    names = {"simulate": simulate, "test_deposits": test_deposits, "Fault": Fault}
    with pytest.raises(AssertionError):
        eval(line, names)


def test_a_failure_that_needs_no_schedule_has_seed_0() -> None:
    """The plainest run is the simplest to Hypothesis, so inputs shrink under a schedule that stays."""

    @given_simulation(n=st.integers(0, 1000), faults=Faults(fail=0.5))
    def test_sum(n: int) -> Any:
        def check(report: Any) -> None:
            assert n < 10

        return (*bank([n])[:2], check)

    failure = broken(test_sum)
    assert "simulation_seed 0" in str(failure)
    assert "n=10" in str(failure)
    assert ({}, []) == (failure.report.schedule, failure.report.faults)


def test_a_lost_reply_is_found() -> None:
    """One fault is left of all that were injected."""

    def impatient(amount: int) -> Any:
        try:
            yield from Write(amount)
        except ConnectionError:
            yield from Write(2 * amount)

    @given_simulation(amount=st.integers(1, 9), faults=Faults(lost_reply=0.3, on=Write))
    def test_deposit(amount: int) -> Any:
        return bank([amount], impatient)

    failure = broken(test_deposit)
    assert ["lost_reply"] == [fault.kind for fault in failure.report.faults]
    assert "amount=1" in str(failure)


def test_faults_may_be_drawn() -> None:
    """By a strategy, which Hypothesis shrinks."""

    def fragile() -> Any:
        yield from Write(1)
        yield from Write(2)

    @given_simulation(faults=faults(kinds=["fail"], steps=5))
    def test_writes() -> Any:
        def check(report: Any) -> None:
            assert report.error is None

        return (fragile(), bank([])[1], check)

    failure = broken(test_writes)
    assert ["fail"] == [fault.kind for fault in failure.report.faults]


def test_correct_plans_pass_with_many_schedules() -> None:
    """What is right stays right under all of them; and they are many."""
    seen: Counter[Any] = Counter()

    @once
    @given_simulation(amounts=AMOUNTS, faults=Faults(delay=0.2))
    def test_deposits(amounts: list[int]) -> Any:
        plan, handlers, _ = bank(amounts)

        def check(report: Any) -> None:
            assert report.error is None
            seen[tuple(report.schedule.items())] += 1

        return plan, handlers, check

    test_deposits()
    assert len(seen) > 20


def test_two_failures_of_one_test_are_two() -> None:
    """Hypothesis tells them apart by what was raised where."""

    @settings(once, report_multiple_bugs=True)
    @given_simulation(n=st.integers(0, 100))
    def test_n(n: int) -> Any:
        def check(report: Any) -> None:
            assert n % 3 != 1
            if n % 3 == 2:
                raise LookupError(n)

        return (*bank([n])[:2], check)

    with pytest.raises(ExceptionGroup) as caught:
        test_n()
    assert {AssertionError, LookupError} == {type(e.__cause__) for e in caught.value.exceptions}


@pytest.fixture
def start() -> int:
    return 3


@pytest.mark.parametrize("factor", [1, 2])
@example(amount=5, simulation_seed=0)
@settings(quick, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given_simulation(amount=st.integers(1, 9))
def test_fixtures_parameters_and_examples_work_as_under_given(start: int, factor: int, amount: int) -> Any:
    """It is `given` that draws."""
    assert start == 3
    assert factor in (1, 2)
    return bank([amount * factor])


class TestInAClass:
    @quick
    @given_simulation(amount=st.integers(1, 9))
    def test_methods_too(self, amount: int) -> Any:
        """`self` is passed on."""
        return bank([amount])


@quick
@given_simulation(amount=st.integers(1, 9))
def test_assume_in_a_check(amount: int) -> Any:
    """An example that does not fit is no failure."""

    def check(report: Any) -> None:
        assume(amount > 2)
        assert amount > 2

    return (*bank([amount])[:2], check)


def test_what_cannot_be_decorated_is_told_at_once() -> None:
    """A plan in place of a scenario, an async function, an input that is no strategy."""

    def plan() -> Any:
        yield from Read()

    async def wait() -> None: ...

    with pytest.raises(InvalidArgument, match="generator"):
        given_simulation()(plan)
    with pytest.raises(InvalidArgument, match="async"):
        given_simulation()(wait)
    with pytest.raises(InvalidArgument, match="strategy"):
        given_simulation(amount=[1, 2])  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="faults="):
        given_simulation(faults="fail")  # type: ignore[arg-type]


def test_a_test_that_answers_no_scenario_is_told() -> None:
    """A forgotten `return` is the likeliest mistake."""

    @settings(quick, phases=[Phase.generate])
    @given_simulation(amount=st.integers(1, 9))
    def test_nothing(amount: int) -> Any:
        bank([amount])

    with pytest.raises(InvalidArgument, match=r"\(plan, handlers\)"):
        test_nothing()
