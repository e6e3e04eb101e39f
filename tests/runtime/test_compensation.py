"""Compensation: what is done is made up for, in reverse order, once, whatever ends the plan."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from lambdacat_effects import (
    CallTool,
    Plan,
    Random,
    Saga,
    Sleep,
    Tools,
    ambient,
    answer_tools,
    attempt,
    call,
    call_tools,
    continue_as_new,
    on_cancel,
    parallel,
    race,
    saga,
    timeout,
    tool,
)
from lambdacat_effects.effects import compensation
from lambdacat_effects.errors import InvalidArgument, NotAPlan, PlanTimeout, UnhandledEffect
from lambdacat_effects.testing import SimulationFailure, explore, simulate


@tool
async def book(what: str) -> str:
    """A call that can be made up for."""
    return f"{what} ticket"


@tool
async def give_back(ticket: str) -> str:
    """Makes up for it."""
    await trio.sleep(1)
    return ticket


class Office:
    """Books and gives back, and knows the order; `stubborn` tickets are not taken back."""

    def __init__(self, *stubborn: str) -> None:
        self.log: list[str] = []
        self.stubborn = stubborn

    def _answer(self, asked: Any) -> Any:
        [what] = asked.args
        self.log.append(f"{asked.tool.name} {what}")
        if asked.tool is give_back and what in self.stubborn:
            raise ValueError(f"{what} is not taken back")
        return f"{what} ticket"

    @property
    def handlers(self) -> Any:
        return CallTool.by(self._answer)

    @property
    def booked(self) -> list[str]:
        return [line.removeprefix("book ") for line in self.log if line.startswith("book")]

    @property
    def given_back(self) -> list[str]:
        return [
            line.removeprefix("give_back ").removesuffix(" ticket") for line in self.log if "give" in line
        ]


class Trouble(Exception):
    """A later step fails."""


def trip(steps: Saga, *names: str, fails: bool = True) -> Plan[Any, list[str]]:
    tickets: list[str] = []
    for name in names:
        tickets.append((yield from steps.step(book(name), give_back)))
    if fails:
        raise Trouble("no car")
    return tickets


RUNNERS: dict[str, Callable[[Any, Any], Any]] = {
    "pure": lambda handlers, plan: handlers.run_pure(plan),
    "trio": lambda handlers, plan: trio.run(handlers.run, plan),
    "simulated": lambda handlers, plan: _simulated(handlers, plan),
}


def _simulated(handlers: Any, plan: Any) -> Any:
    report = simulate(lambda: (plan, handlers))
    if report.error is not None:
        raise report.error
    return report.value


@pytest.fixture(params=RUNNERS)
def run(request: pytest.FixtureRequest) -> Any:
    return RUNNERS[request.param]


def test_steps_are_compensated_in_reverse_order(run: Any) -> None:
    """When a later step fails; and what failed is raised, as it was."""
    office = Office()
    with pytest.raises(Trouble, match="no car"):
        run(office.handlers, saga(lambda steps: trip(steps, "flight", "hotel", "museum")))
    assert office.booked == ["flight", "hotel", "museum"]
    assert office.given_back == ["museum", "hotel", "flight"]


def test_nothing_is_compensated_after_success(run: Any) -> None:
    office = Office()
    answer = run(office.handlers, saga(lambda steps: trip(steps, "flight", "hotel", fails=False)))
    assert answer == ["flight ticket", "hotel ticket"]
    assert office.given_back == []


@given(st.lists(st.text(min_size=1), max_size=6), st.integers(0, 6))
def test_what_was_done_is_undone_once(names: list[str], failing: int) -> None:
    """law: given back = reverse(booked), whichever step fails."""
    office = Office()

    def plan(steps: Saga) -> Plan[Any, None]:
        for number, name in enumerate(names):
            if number == failing:
                raise Trouble
            yield from steps.step(book(f"{number} {name}"), lambda _, n=f"{number} {name}": give_back(n))
        raise Trouble

    with pytest.raises(Trouble):
        office.handlers.run_pure(saga(plan))
    assert office.given_back == office.booked[::-1]
    assert len(office.booked) == min(failing, len(names))


def test_a_step_that_fails_is_not_compensated(run: Any) -> None:
    """It had no effect, or made up for it itself."""
    office = Office()

    def broken() -> Plan[Any, str]:
        yield from book("half")
        raise Trouble("the step")

    def plan(steps: Saga) -> Plan[Any, str]:
        yield from steps.step(book("flight"), give_back)
        return (yield from steps.step(broken(), give_back))

    with pytest.raises(Trouble, match="the step"):
        run(office.handlers, saga(plan))
    assert office.given_back == ["flight"]


def test_compensations_that_fail_are_told_and_the_others_done(run: Any) -> None:
    """In a group with what ended the saga, each with a note of the step."""
    office = Office("hotel ticket", "museum ticket")
    with pytest.raises(ExceptionGroup, match="not all of it could be compensated") as caught:
        run(office.handlers, saga(lambda steps: trip(steps, "flight", "hotel", "museum")))
    assert [str(error) for error in caught.value.exceptions] == [
        "no car",
        "museum ticket is not taken back",
        "hotel ticket is not taken back",
    ]
    assert [getattr(error, "__notes__", []) for error in caught.value.exceptions[1:]] == [
        ["raised while book was compensated"]
    ] * 2
    assert office.given_back == ["museum", "hotel", "flight"]


def test_a_mistake_in_a_compensation_is_no_outcome() -> None:
    """It is raised alone, after the others were done."""
    given_back: list[str] = []

    def plan(steps: Saga) -> Plan[Any, None]:
        yield from steps.step(book("flight"), give_back)
        yield from steps.step(book("hotel"), lambda _: 3)  # type: ignore[arg-type, return-value]
        raise Trouble

    handlers = answer_tools({book: "ticket", give_back: given_back.append})
    with pytest.raises(NotAPlan) as caught:
        handlers.run_pure(attempt(saga(plan)))
    assert isinstance(caught.value.__context__, Trouble)
    assert given_back == ["ticket"]


def test_a_mistake_in_the_plan_is_made_up_for_too() -> None:
    """The tool of a later step has no handler."""
    office = Office()

    def plan(steps: Saga) -> Plan[Any, None]:
        yield from steps.step(book("flight"), give_back)
        yield from give_back("hotel")

    handlers = answer_tools({book: "flight ticket"}) | Sleep.by(lambda _: None)
    with pytest.raises(UnhandledEffect):
        handlers.run_pure(saga(plan))
    del office


def test_steps_in_branches_are_compensated_in_reverse_of_their_order_in_the_plan(run: Any) -> None:
    """Not of the order in which they ended, which another run would not repeat."""
    office = Office()

    def branch(steps: Saga, name: str, seconds: float) -> Plan[Any, None]:
        yield from Sleep(seconds)
        yield from steps.step(book(f"{name} 1"), give_back)
        yield from steps.step(book(f"{name} 2"), give_back)

    def plan(steps: Saga) -> Plan[Any, None]:
        yield from steps.step(book("first"), give_back)
        yield from parallel(branch(steps, "a", 0.02), branch(steps, "b", 0.01))
        yield from call(steps.step(book("last"), give_back))
        raise Trouble

    with pytest.raises(Trouble):
        run(office.handlers, saga(plan))
    assert office.given_back == ["last", "b 2", "b 1", "a 2", "a 1", "first"]


async def test_a_cancelled_saga_is_compensated(autojump_clock: Any) -> None:
    """Shielded: compensations may wait, and have ended when the deadline is told of."""
    log: list[str] = []

    async def waiting(asked: Any) -> str:
        await trio.sleep(1)
        log.append(str(asked))
        return f"{asked.args[0]} ticket"

    def plan(steps: Saga) -> Plan[Any, None]:
        yield from steps.step(book("flight"), give_back)
        yield from steps.step(book("hotel"), give_back)
        yield from Sleep(1000)

    with pytest.raises(PlanTimeout):
        await CallTool.by(waiting).run(timeout(10, saga(plan)))
    assert log == [
        "book('flight')",
        "book('hotel')",
        "give_back('hotel ticket')",
        "give_back('flight ticket')",
    ]
    assert trio.current_time() == pytest.approx(12)


def test_the_loser_of_a_race_is_compensated(run: Any) -> None:
    """The winner is not."""
    office = Office()

    def bidder(name: str, seconds: float) -> Callable[[Saga], Plan[Any, str]]:
        def plan(steps: Saga) -> Plan[Any, str]:
            yield from steps.step(book(name), give_back)
            yield from Sleep(seconds)
            return name

        return plan

    assert run(office.handlers, race(saga(bidder("quick", 0.01)), saga(bidder("slow", math.inf)))) == "quick"
    assert office.given_back in (["slow"], [])  # `run_pure` never begins it
    assert ("slow" in office.booked) == (office.given_back == ["slow"])


def test_continuing_as_new_is_no_failure() -> None:
    """The run goes on: nothing is compensated."""
    office = Office()

    def ending() -> Plan[Any, str]:
        return (yield from book("ending"))

    def plan(steps: Saga) -> Plan[Any, str]:
        yield from steps.step(book("flight"), give_back)
        return (yield from on_cancel(continue_as_new(ending), give_back("flight")))

    assert office.handlers.run_pure(saga(plan)) == "ending ticket"
    assert office.given_back == []


# on_cancel


def _waiting(seconds: float) -> Plan[Any, str]:
    yield from Sleep(seconds)
    return "done"


def test_on_cancel_undoes_what_was_cancelled(run: Any) -> None:
    """Neither what answered, nor what failed."""
    office = Office()

    def failing() -> Plan[Any, str]:
        yield from Sleep(0)
        raise Trouble

    assert run(office.handlers, on_cancel(_waiting(0.001), give_back("a"))) == "done"
    with pytest.raises(Trouble):
        run(office.handlers, on_cancel(failing(), give_back("b")))
    with pytest.raises(PlanTimeout):
        run(office.handlers, timeout(0.01, on_cancel(_waiting(5), give_back("c"))))
    assert office.given_back == ["c"]


def test_an_undo_that_fails_is_told_with_the_cancellation() -> None:
    """The cancellation goes on, and so does the failure."""
    office = Office("c")
    with pytest.raises(ExceptionGroup) as caught:
        office.handlers.run_pure(timeout(1, on_cancel(_waiting(5), give_back("c"))))
    assert [str(error) for error in caught.value.exceptions] == ["c is not taken back"]

    async def on_trio() -> None:
        with trio.move_on_after(0.01):
            await office.handlers.run(on_cancel(_waiting(5), give_back("c")))

    with pytest.raises(ExceptionGroup) as caught:
        trio.run(on_trio)
    assert [str(error) for error in caught.value.exceptions] == ["c is not taken back"]


def test_undoing_is_nested() -> None:
    """The innermost first."""
    office = Office()
    plan = on_cancel(on_cancel(_waiting(5), give_back("inner")), give_back("outer"))
    with pytest.raises(PlanTimeout):
        office.handlers.run_pure(timeout(1, plan))
    assert office.given_back == ["inner", "outer"]


def test_every_interleaving_gives_back_what_was_booked() -> None:
    """law: a saga that failed, or was cancelled, has given back what it booked, once; one that answered has not."""

    def scenario() -> Any:
        office = Office()

        def branch(steps: Saga, name: str) -> Plan[Any, None]:
            for number in range(2):
                yield from steps.step(book(f"{name} {number}"), give_back)
                yield from Sleep(1)

        def failing() -> Plan[Any, None]:
            yield from Sleep(1)
            if (yield from Random()) < 0.5:
                raise Trouble

        def plan(steps: Saga) -> Plan[Any, None]:
            yield from parallel(branch(steps, "a"), branch(steps, "b"), failing())

        def check(report: Any) -> None:
            expected = [] if report.value.is_ok else office.booked
            assert sorted(office.given_back) == sorted(expected)

        return attempt(timeout(2, saga(plan))), office.handlers, check

    explore(scenario, runs=200, seed=1)


# Bad input and mutants


def test_arguments_are_checked_at_once() -> None:
    with pytest.raises(InvalidArgument, match="saga takes a function from the steps to a plan"):
        saga(_waiting(1))  # type: ignore[arg-type]
    with pytest.raises(NotAPlan):
        on_cancel(book, give_back("x"))  # type: ignore[arg-type]
    with pytest.raises(NotAPlan):
        on_cancel(_waiting(1), give_back)  # type: ignore[arg-type]

    def plan(steps: Saga) -> Plan[Any, Any]:
        return (yield from steps.step(book("x"), give_back("x")))  # type: ignore[arg-type]

    with pytest.raises(InvalidArgument, match="compensate takes a function from the step's answer to a plan"):
        ambient.run_pure(saga(plan))


@pytest.mark.parametrize(
    ("change", "test"),
    [
        ("in order", test_steps_are_compensated_in_reverse_order),
        ("not shielded", test_on_cancel_undoes_what_was_cancelled),
    ],
)
def test_mutants_are_found(monkeypatch: pytest.MonkeyPatch, change: str, test: Any) -> None:
    """The tests above can fail."""
    if change == "in order":
        monkeypatch.setattr(compensation, "sorted", lambda done, **_: done, raising=False)
    else:
        monkeypatch.setattr(compensation, "Shielded", lambda plan: call(_lost(plan)))
    with pytest.raises(AssertionError):
        test(RUNNERS["pure"])


def _lost(_plan: Any) -> Plan[Tools, None]:
    yield from ()


def test_call_tools_takes_part() -> None:
    """With real tools, on Trio."""
    returned = trio.run(call_tools(book, give_back).run, attempt(saga(lambda steps: trip(steps))))
    assert isinstance(returned.error, Trouble)


def test_a_saga_that_forgets_steps_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant of the law of interleavings."""
    monkeypatch.setattr(compensation, "sorted", lambda done, **_: done[1:], raising=False)
    with pytest.raises(SimulationFailure):
        test_every_interleaving_gives_back_what_was_booked()
