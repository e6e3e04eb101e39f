"""Every row of the concurrency table under thousands of schedules and faults."""

from __future__ import annotations

from typing import Any

import pytest
from explored_checks import ALWAYS, CHECKS, Ran, Row
from explored_legs import (
    Log,
    asks,
    breaks,
    fetches,
    handlers,
    legs,
    messy,
    run_leg,
    sleeps,
    touches,
    twice,
    warnings_kept,
)

from lambdacat_effects import (
    Err,
    Ok,
    Sleep,
    attempt,
    for_each,
    hedge,
    n_best,
    parallel,
    quorum,
    race,
    settle,
    timeout,
)
from lambdacat_effects.testing.simulation import Faults, explore

FAULTS = Faults(fail=0.06, lost_reply=0.06, delay=0.1, seconds=2.0)


def observed(log: Log, plan: Any) -> Any:
    """Perform a combinator, keep how it ended, and stay a while, for whoever is left to be seen."""
    try:
        value = yield from plan
    except Exception as error:
        log.outcome = Err(error)
    else:
        log.outcome = Ok(value)
    log.note("plan", "has its answer")
    yield from Sleep(30)


def exploring(row: Row, late: list[str], checks: Any = CHECKS, around: Any = None) -> Any:
    """The scenario of a row."""

    def scenario() -> Any:
        log = Log()
        late.clear()

        def check(report: Any) -> None:
            report.unwrap()
            ran = Ran(row, log, late, report.events)
            for one in checks:
                one(ran)

        plan = row.make(log)
        return observed(log, plan if around is None else around(log, plan)), handlers(log), check

    return scenario


def for_each_leg(log: Log, *bodies: Any, **options: Any) -> Any:
    def make(leg: int) -> Any:
        body, *args = bodies[leg]
        return run_leg(log, leg, body, *args)

    return tuple((yield from for_each(range(len(bodies)), make, **options)))


def hedging(log: Log, body: Any, *args: Any, **options: Any) -> Any:
    numbers = iter(range(100))
    return hedge(lambda: run_leg(log, next(numbers), body, *args), **options)


def one(plan: Any) -> Any:
    return ((yield from plan),)


def attempted(plan: Any) -> Any:
    return ((yield from attempt(plan)),)


ROWS = {
    "parallel": Row(lambda log: parallel(*legs(log, sleeps, fetches, asks)), "all", 3),
    "parallel, one fails": Row(
        lambda log: parallel(*legs(log, (breaks, 0.5), (twice, 1.0), messy)), "all", 3
    ),
    "parallel, timeout": Row(
        lambda log: parallel(*legs(log, (sleeps, 0.5), (twice, 1.0), messy), timeout=1.25),
        "all",
        3,
        deadline=1.25,
    ),
    "parallel, partial": Row(
        lambda log: parallel(*legs(log, touches, (twice, 1.0), messy), timeout=1.0, partial=True),
        "all",
        3,
        deadline=1.0,
        partial=True,
    ),
    "race": Row(lambda log: race(*legs(log, sleeps, (twice, 1.0), (asks, 1.0))), "race", 3),
    "race, at once": Row(lambda log: race(*legs(log, touches, touches, messy)), "race", 3),
    "race, all fail": Row(
        lambda log: race(*legs(log, (breaks, 0.5), (breaks, 0.5)), timeout=1.0), "race", 2, deadline=1.0
    ),
    "n_best": Row(
        lambda log: n_best(
            *legs(log, sleeps, (asks, 1.0), (breaks, 0.5), messy), n=2, score=lambda i: i, timeout=2.0
        ),
        "n_best",
        4,
        n=2,
        deadline=2.0,
    ),
    "quorum": Row(
        lambda log: quorum(*legs(log, sleeps, (twice, 1.0), fetches, (breaks, 0.5)), n=2), "quorum", 4, n=2
    ),
    "quorum, out of reach": Row(
        lambda log: quorum(*legs(log, (breaks, 0.5), (breaks, 1.0), (twice, 3.0)), n=2, timeout=2.0),
        "quorum",
        3,
        n=2,
        deadline=2.0,
    ),
    "hedge": Row(
        lambda log: hedging(log, twice, 1.0, after=0.5, copies=3), "race", 3, after=0.5
    ),
    "for_each": Row(
        lambda log: for_each_leg(log, (sleeps,), (fetches,), (touches,), (asks,), limit=2), "all", 4, limit=2
    ),
    "for_each, one fails": Row(
        lambda log: for_each_leg(log, (sleeps,), (breaks, 0.5), (twice,), (messy,), limit=3, timeout=4.0),
        "all",
        4,
        limit=3,
        deadline=4.0,
    ),
    "timeout": Row(
        lambda log: one(timeout(1.5, legs(log, (twice, 2.0))[0])), "one", 1, deadline=1.5
    ),
    "settle": Row(lambda log: settle(*legs(log, sleeps, (breaks, 0.5), asks)), "settle", 3),
    "settle, timeout": Row(
        lambda log: settle(*legs(log, (twice, 1.0), (breaks, 0.5), messy), timeout=1.0),
        "settle",
        3,
        deadline=1.0,
    ),
    "attempt": Row(lambda log: attempted(legs(log, (breaks, 0.5))[0]), "settle", 1),
}
