"""The boundary of a run: what meets it, what passes by, and that a boundary which only forwards is invisible."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, Phase, given, settings
from trio.testing import MockClock

from lambdacat_effects import (
    CallTool,
    Effect,
    Handler,
    Log,
    Need,
    NewId,
    Now,
    Plan,
    Random,
    Resource,
    Sleep,
    ambient,
    attempt,
    call,
    effect,
    for_each,
    parallel,
    race,
    span,
    supply,
    timeout,
    tool,
)
from lambdacat_effects.errors import NotAnEffect, PlanReused, UnhandledEffect, WrongHandlerKind
from lambdacat_effects.plan import compile_plan
from lambdacat_effects.runtime.boundary import Crossing, Decision
from lambdacat_effects.runtime.pure import PURE
from lambdacat_effects.runtime.table import Table

sys.path.append(str(Path(__file__).parents[1] / "plan"))

from random_plans import ACTIONS, CTX, START, Trace, plans, shape


@effect
class Ask(Effect[str]):
    key: str


@effect
class Other(Effect[str]):
    pass


class Noting:
    """A boundary that notes what it meets, and forwards it."""

    def __init__(self) -> None:
        self.met: list[tuple[Any, Any]] = []
        self.fates: list[Any] = []

    def meets(self, effect_type: type[Effect[Any]], *, handled: bool) -> bool:
        return handled

    async def effect(self, crossing: Crossing) -> Any:
        self.met.append((crossing.path[1:], crossing.effect))
        return await crossing.forward()

    async def behind(self, decision: Decision) -> Any:
        return await decision.forward()

    async def decision(self, decision: Decision) -> Any:
        try:
            return await decision.forward()
        finally:
            self.fates.append((decision.path[1:], list(decision.fates)))


def noted(handlers: Handler[Any], boundary: Any) -> Handler[Any]:
    return Handler(handlers.bindings, handlers.resources, [boundary])


def answer(asked: Ask) -> str:
    return asked.key.upper()


def test_each_effect_meets_it_once_with_its_path() -> None:
    """Wherever in the plan it is performed: in a span, a call, a branch, under a deadline."""
    boundary = Noting()

    def plan() -> Plan[Any, Any]:
        yield from Ask("a")
        yield from span("part", Ask("b"))
        yield from call(Ask("c"))
        yield from parallel(Ask("d"), timeout(1, Ask("e")))

    noted(Ask.by(answer), boundary).run_pure(plan())
    assert boundary.met == [
        ((1,), Ask("a")),
        ((3,), Ask("b")),
        ((5,), Ask("c")),
        ((6, 0, 1), Ask("d")),
        ((6, 1, 1, 1), Ask("e")),
    ]


def test_a_call_that_an_interposer_repeats_meets_it_once() -> None:
    """It stands outside of every interposer, and what those perform passes by."""
    boundary = Noting()
    tries: list[Ask] = []

    def flaky(asked: Ask) -> str:
        tries.append(asked)
        if len(tries) < 3:
            raise ConnectionError
        return "tea"

    def retry(asked: Ask) -> Generator[Any, Any, str]:
        while True:
            try:
                return (yield from asked)
            except ConnectionError:
                yield from Sleep((yield from Random()))

    assert noted(Ask.by(flaky).behind(retry), boundary).run_pure(Ask("k")) == "tea"
    assert (3, [((1,), Ask("k"))]) == (len(tries), boundary.met)


def test_what_a_plan_handles_itself_never_arrives() -> None:
    """What its handlers ask outward does."""
    boundary = Noting()

    @Ask.by
    def asking_outward(asked: Ask) -> Generator[Any, Any, str]:
        yield from Other()
        return (yield from asked) + "!"

    handlers = noted(Ask.by(answer) | Other.by(lambda _: "o"), boundary)
    assert handlers.run_pure(asking_outward.handle(Ask("a"))) == "A!"
    assert boundary.met == [((2, 1), Other()), ((2, 2), Ask("a"))]


def test_what_a_handler_decides_passes_by() -> None:
    """The races and deadlines of handlers and interposers are theirs."""
    boundary = Noting()

    @Ask.by
    def racing(asked: Ask) -> Generator[Any, Any, Any]:
        return (yield from race(timeout(1, Now()), Now()))

    assert noted(racing, boundary).run_pure(Ask("a")) == 0.0
    assert ([((1,), Ask("a"))], []) == (boundary.met, boundary.fates)


def test_what_is_no_effect_is_refused_as_without() -> None:
    """The boundary is not asked."""

    def plan() -> Any:
        yield 3

    with pytest.raises(NotAnEffect):
        noted(ambient, Noting()).run_pure(plan())


def test_a_handler_finds_the_same_handlers_as_without() -> None:
    """Also those in force where the effect was performed."""

    @Ask.by
    def asking(asked: Ask) -> Generator[Any, Any, str]:
        return (yield from Other())

    handlers = asking | Other.by(lambda _: "outer")

    def plan() -> Any:
        return Other.by(lambda _: "inner").handle(Ask("a"))

    assert handlers.run_pure(plan()) == noted(handlers, Noting()).run_pure(plan())


def test_a_run_within_an_answer_belongs_to_the_answer() -> None:
    """A handler that runs a plan under the same handlers: its effects do not meet the boundary again."""
    boundary = Noting()
    handlers: Handler[Any]

    def running(_asked: Other) -> str:
        return handlers.run_pure(Ask("within"))

    handlers = noted(Ask.by(answer) | Other.by(running), boundary)
    assert handlers.run_pure(Other()) == "WITHIN"
    assert boundary.met == [((1,), Other())]


async def test_branches_on_trio_meet_it_too() -> None:
    """Their handlers may wait, side by side."""
    boundary = Noting()

    @Ask.by
    async def later(asked: Ask) -> str:
        await trio.lowlevel.checkpoint()
        return asked.key.upper()

    assert await noted(later, boundary).run(parallel(Ask("a"), Ask("b"))) == ("A", "B")
    assert sorted(boundary.met, key=repr) == [((1, 0, 1), Ask("a")), ((1, 1, 1), Ask("b"))]


def test_decisions_are_met_with_how_each_branch_ended() -> None:
    """Who answered, who failed, who was cancelled, who never began."""
    boundary = Noting()

    def leg(seconds: float) -> Plan[Any, float]:
        yield from Sleep(seconds)
        if seconds == 2:
            raise ValueError("no")
        return seconds

    def plan() -> Plan[Any, Any]:
        yield from race(leg(3), leg(2), leg(5))
        yield from attempt(timeout(1, leg(3)))
        yield from attempt(for_each([1, 2, 3], leg, limit=1))

    def run() -> None:
        trio.run(noted(ambient, boundary).run, plan(), clock=MockClock(autojump_threshold=0))

    run()
    assert boundary.fates == [
        ((1,), ["answered", "failed", "cancelled"]),
        ((3,), ["cancelled"]),
        ((5,), ["answered", "failed", "not begun"]),
    ]


def test_it_may_answer_what_nobody_handles() -> None:
    """If it says that it wants to."""

    class Answering(Noting):
        def meets(self, effect_type: type[Effect[Any]], *, handled: bool) -> bool:
            return not handled

        async def effect(self, crossing: Crossing) -> Any:
            return "answered"

    assert noted(ambient, Answering()).run_pure(Ask("a")) == "answered"
    with pytest.raises(UnhandledEffect):
        noted(ambient, Noting()).run_pure(Ask("a"))


def test_it_may_perform_something_in_place() -> None:
    """As a handler's own effects, that does not meet the boundary."""

    class Sleeping(Noting):
        async def effect(self, crossing: Crossing) -> Any:
            if isinstance(crossing.effect, Now):
                return await crossing.forward()
            await crossing.perform(Sleep(5))
            return "late"

    def plan() -> Plan[Any, Any]:
        return (yield from Ask("a")), (yield from Now())

    assert noted(Ask.by(answer), Sleeping()).run_pure(plan()) == ("late", 5.0)


def test_tools_and_needs_are_met_one_by_one() -> None:
    """Dispatch is as without."""
    boundary = Noting()

    @tool
    def one() -> int:
        return 1

    @tool
    def two() -> int:
        return 2

    def plan() -> Plan[Any, Any]:
        return (yield from one()), (yield from two()), (yield from Need(str))

    handlers = Handler.of({(CallTool, one): lambda _: 10, (CallTool, two): lambda _: 20}) | supply(str, "s")
    assert noted(handlers, boundary).run_pure(plan()) == (10, 20, "s")
    assert [one(), two(), Need(str)] == [what for _, what in boundary.met]


def test_composition_keeps_boundaries_and_the_left_one_is_met_first() -> None:
    """`|`, `behind` and `using` lose none, and none is met twice."""
    met: list[str] = []

    class Named(Noting):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        async def effect(self, crossing: Crossing) -> Any:
            met.append(self.name)
            return await crossing.forward()

    @asynccontextmanager
    async def opening() -> Any:
        yield

    left = noted(Ask.by(answer), Named("left"))

    def politely(asked: Ask) -> Generator[Any, Any, str]:
        return (yield from asked) + ", please"

    both = left.behind(politely).using(Resource("r", opening)) | noted(
        Other.by(lambda _: "o"), Named("right")
    )
    assert (both | noted(ambient, left.boundaries[0])).run_pure(Ask("tea")) == "TEA, please"
    assert met == ["left", "right"]


def test_a_mistaken_plain_handler_is_refused_as_without() -> None:
    """The interpreter's checks hold behind a boundary."""

    async def late() -> str:
        return "late"

    with pytest.raises(WrongHandlerKind, match="answered Ask"):
        noted(Ask.by(lambda _asked: late()), Noting()).run_pure(Ask("a"))


def test_a_plan_that_is_used_twice_is_refused_as_without() -> None:
    """The message names the plan, not what watches it."""

    def plan() -> Plan[Any, None]:
        yield from Now()

    once = plan()
    with pytest.raises(PlanReused, match=r"plan \(.*test_boundary"):
        noted(ambient, Noting()).run_pure(parallel(once, once))


def test_without_a_boundary_there_is_nothing_in_the_way() -> None:
    """The table of a handler is what it was."""
    assert type(Ask.by(answer).over(PURE)) is Table


# A boundary that only forwards is invisible, in answer and events.

thorough = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow])


def observed(handlers: Handler[Any], plan: Any) -> Any:
    trace = Trace()
    try:
        return handlers.run_pure(plan, listen=trace), trace.events
    except Exception as error:
        return shape(error), trace.events


def check_invisible(boundary: Any, plan: Any) -> None:
    program = compile_plan(plan, ACTIONS, CTX)
    assert observed(ambient, program(START)) == observed(noted(ambient, boundary), program(START))


@given(plans(ACTIONS.names))
@thorough
def test_one_that_forwards_is_invisible(plan: Any) -> None:
    """The same answer or error, and the same events, each once."""
    check_invisible(Noting(), plan)


@given(plans({"inc_a", "swap", "note", "pause"}, failing=False))
@settings(thorough, max_examples=60)
def test_on_trio_too(plan: Any) -> None:
    """In every branch the same events in the same order."""

    def on_trio(handlers: Handler[Any]) -> Any:
        trace = Trace()

        async def running() -> Any:
            return await handlers.run(compile_plan(plan, ACTIONS, CTX)(START), listen=trace)

        return trio.run(running, clock=MockClock(autojump_threshold=0)), trace.by_branch()

    assert on_trio(ambient) == on_trio(noted(ambient, Noting()))


class Nothing(Noting):
    async def effect(self, crossing: Crossing) -> Any:
        return None


class Swallowing(Noting):
    async def effect(self, crossing: Crossing) -> Any:
        try:
            return await crossing.forward()
        except Exception:
            return START


class Hasty(Noting):
    async def behind(self, decision: Decision) -> Any:
        return await decision.forward()

    async def decision(self, decision: Decision) -> Any:
        return (await decision.branch(0),)


class Elsewhere(Noting):
    async def effect(self, crossing: Crossing) -> Any:
        await crossing.perform(Log("somewhere"))
        return await crossing.forward()


@pytest.mark.parametrize("mutant", [Nothing, Swallowing, Hasty, Elsewhere])
def test_one_that_does_more_or_less_is_found_out(mutant: Any) -> None:
    """A check that accepted it would say nothing about ours."""

    @given(plans(ACTIONS.names))
    @settings(
        deadline=None,
        max_examples=1000,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    def check(plan: Any) -> None:
        check_invisible(mutant(), plan)

    with pytest.raises(AssertionError):
        check()


def test_located_answers_are_those_of_the_same_place() -> None:
    """Chance and names depend on the path, which a boundary does not change."""

    def plan() -> Plan[Any, Any]:
        return (yield from parallel(Random(), NewId(), timeout(1, Random())))

    assert ambient.run_pure(plan()) == noted(ambient, Noting()).run_pure(plan())
