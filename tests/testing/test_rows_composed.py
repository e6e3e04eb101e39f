"""Rows of the concurrency table within one another, cancelled from outside, in handlers, and from the DSL."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
from explored_checks import (
    OneOf,
    Ran,
    Row,
    Wrong,
    everybody_ended,
    leaves,
    no_failure_is_lost,
    nothing_after_the_answer,
    ties,
    unsure,
)
from explored_legs import (
    Broken,
    Leg,
    Log,
    fetches,
    handlers,
    messy,
    run_leg,
    sleeps,
    touches,
    twice,
    warnings_kept,
)
from explored_rows import FAULTS, ROWS, exploring, observed, staying

from lambdacat_effects import (
    FIRST_COMPLETED,
    Effect,
    Ok,
    Sleep,
    ambient,
    call,
    effect,
    for_each,
    parallel,
    race,
    span,
    timeout,
)
from lambdacat_effects.errors import FaultInjected, PlanTimeout, SimulationFailure
from lambdacat_effects.plan import Actions, choose, compile_plan, loop_while, sequence
from lambdacat_effects.plan import parallel as branches
from lambdacat_effects.runtime import live, policies
from lambdacat_effects.testing.simulation import Faults, explore

OUTSIDE = 0.75


@effect
class Consult(Effect[Any]):
    """Answered by a race."""

    leg: int


AROUND = {
    "out of time": lambda plan: timeout(OUTSIDE, plan),
    "a loser": lambda plan: race(span("loser", call(plan)), Sleep(OUTSIDE)),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", ROWS)
def test_cancelled_from_outside(name, around):
    """Whenever a row is cancelled, its branches have cleaned up before, and their failures are told."""
    row = attrs.evolve(ROWS[name], outside=OUTSIDE)
    with warnings_kept() as late:
        explore(exploring(row, late, around=AROUND[around]), runs=100, seed=30, faults=FAULTS)


def test_a_row_that_loses_failures_when_cancelled_is_found(monkeypatch):
    """Of branches that failed while the whole was cancelled, none may vanish."""
    monkeypatch.setattr(live._Branches, "cancelled", lambda self, outer: outer)
    row = attrs.evolve(ROWS["parallel, one fails"], outside=OUTSIDE)
    with warnings_kept() as late:
        scenario = exploring(row, late, checks=[no_failure_is_lost], around=AROUND["out of time"])
        with pytest.raises(SimulationFailure, match="no_failure_is_lost"):
            explore(scenario, runs=400, seed=1)


@pytest.mark.parametrize("name", ["parallel", "race", "quorum", "for_each"])
def test_answered_by_handle(name):
    """A row is the same row when its effects are answered by `h.handle(plan)`."""

    def scenario() -> Any:
        plan, known, check = inner()
        return known.handle(plan), ambient, check

    with warnings_kept() as late:
        inner = exploring(ROWS[name], late)
        explore(scenario, runs=200, seed=31, faults=FAULTS)


def winners(log: Log, names: Any) -> list[Any]:
    """Those of the legs that answered, the winner first: of those that tied, the lowest."""
    ends = [note for note in log.ends() if note.leg in names]
    order = list(names)
    if not any(note.what == "answered" for note in ends):
        return []
    tied = sorted(ties(ends, 0), key=order.index)
    if unsure(ends, 0):
        return [OneOf(tied)]
    return [*tied, *[n.leg for n in ends if n.what == "answered" and n.leg not in tied]]


def check_ends(log: Log, report: Any) -> None:
    ran = Ran(Row(race, "nested", 0), log, [], report.events, 0.0)
    nothing_after_the_answer(ran)
    everybody_ended(ran)


def nested() -> Any:
    """Two races inside a parallel inside a timeout."""
    log = Log()
    bodies = {"a": (sleeps,), "b": (twice, 1.0), "c": (fetches,), "d": (touches,), "e": (messy, 3.0)}
    a, b, c, d, e = [run_leg(log, name, *body) for name, body in bodies.items()]
    plan = timeout(3.0, parallel(race(a, b), race(race(c, e), d)))

    def check(report: Any) -> None:
        report.unwrap()
        check_ends(log, report)
        if isinstance(log.outcome, Ok):
            # `c` and `e` race for a place in the race with `d`, which takes a turn to come about.
            one, other = log.outcome.value
            if one != winners(log, "ab")[0] or other not in {
                winners(log, "ce")[:1] == [other] and other,
                "d",
            }:
                raise Wrong(f"{log.outcome} of {winners(log, 'abcde')}")
        elif not all(
            isinstance(leaf, (PlanTimeout, FaultInjected, Broken)) for leaf in leaves(log.outcome.error)
        ):
            raise Wrong(f"{log.outcome}")

    return staying(observed(log, plan)), handlers(log), check


def consulting() -> Any:
    """Three branches whose effect is answered by a handler that performs a race."""
    log = Log()

    def consult(asked: Consult) -> Leg:
        legs = [run_leg(log, (asked.leg, i), body) for i, body in enumerate([sleeps, twice, messy])]
        return (yield from race(*legs))

    plan = parallel(*[Consult(leg) for leg in range(3)])

    def check(report: Any) -> None:
        report.unwrap()
        check_ends(log, report)
        if isinstance(log.outcome, Ok):
            first = [winners(log, [(leg, i) for i in range(3)])[0] for leg in range(3)]
            if log.outcome.value != tuple(first):
                raise Wrong(f"{log.outcome.value} in place of {first}")
        elif not all(isinstance(leaf, (FaultInjected, Broken)) for leaf in leaves(log.outcome.error)):
            raise Wrong(f"{log.outcome}")

    return staying(observed(log, plan)), handlers(log) | Consult.by(consult), check


def from_the_dsl() -> Any:
    """Choice, parallel branches, a race and a loop, compiled; actions of all kinds."""
    log = Log()

    async def broken(state: Any) -> Any:
        await trio.sleep(0.5)
        raise Broken("the first choice")

    async def steady(state: Any) -> Any:
        await trio.sleep(0.5)
        return {**state, "by": "steady"}

    def plain(state: Any) -> Any:
        return {**state, "plain": 1}

    def one(state: Any) -> Any:
        yield from run_leg(log, "one", sleeps)
        return {**state, "leg": "one"}

    def other(state: Any) -> Any:
        yield from run_leg(log, "other", fetches)
        return {**state, "leg": "other"}

    def more(state: Any) -> Any:
        yield from Sleep(0.25)
        return {**state, "n": state["n"] + 1}

    known = Actions.empty()
    for action in (broken, steady, plain, one, other, more):
        known = known.register(action.__name__, action)
    plan = sequence(
        choose("broken", "steady"),
        branches("plain", sequence("more", loop_while(lambda state: state["n"] < 3, "more"))),
        branches("one", "other", policy=FIRST_COMPLETED),
    )

    def check(report: Any) -> None:
        report.unwrap()
        check_ends(log, report)
        if isinstance(log.outcome, Ok):
            expected = {"n": 3, "by": "steady", "plain": 1, "leg": winners(log, ("one", "other"))[0]}
            if log.outcome.value != expected:
                raise Wrong(f"{log.outcome.value} in place of {expected}")
        elif not all(isinstance(leaf, (FaultInjected, Broken)) for leaf in leaves(log.outcome.error)):
            raise Wrong(f"{log.outcome}")

    return staying(observed(log, compile_plan(plan, known)({"n": 0}))), handlers(log), check


COMPOSED = [nested, consulting, from_the_dsl]


@pytest.mark.parametrize("faults", [None, Faults(fail=0.05, lost_reply=0.05, delay=0.1)], ids=["no", "yes"])
@pytest.mark.parametrize("scenario", COMPOSED)
def test_composed(scenario, faults):
    """Combinators within combinators answer what each of them promises."""
    with warnings_kept():
        explore(scenario, runs=250, seed=32, faults=faults)


@pytest.mark.parametrize("scenario", COMPOSED)
def test_a_wrong_winner_within_is_found(scenario, monkeypatch):
    """A race that answers with its last is found, however deep it is."""

    def latest(ended: Any) -> list[int]:
        return [index for _, index in sorted(((tick, i) for i, tick in ended.ticks.items()), reverse=True)]

    monkeypatch.setattr(policies, "_earliest", latest)
    with warnings_kept(), pytest.raises(SimulationFailure) as caught:
        explore(scenario, runs=400, seed=1)
    assert isinstance(caught.value.__cause__, Wrong)


async def test_for_each_cancelled_before_it_begins_is_cancelled():
    """Also where no worker has begun anything: what was found by the explorations above, on Trio."""
    with trio.CancelScope() as scope:
        scope.cancel()
        await ambient.run(for_each(range(4), lambda item: Sleep(1), limit=2))
    assert scope.cancelled_caught
