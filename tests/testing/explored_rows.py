"""The rows of the concurrency table as scenarios."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from explored_checks import CHECKS, Ran, Row
from explored_legs import (
    Leg,
    Log,
    Stopped,
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
from lambdacat_effects.testing.simulation import Advanced, Faults

FAULTS = Faults(fail=0.06, lost_reply=0.06, delay=0.1, seconds=2.0)


def observed(log: Log, plan: Any) -> Leg:
    """Perform a combinator and keep how it ended."""
    try:
        log.outcome = Ok((yield from plan))
    except Exception as error:
        log.outcome = Err(error)
        raise
    except BaseException as error:
        log.outcome = Stopped(error)
        raise
    finally:
        log.note("plan", "has its answer")


def staying(plan: Any) -> Leg:
    """Perform a plan and go on for a while: so whoever is left behind is seen."""
    yield from attempt(plan)
    yield from Sleep(30)


def exploring(
    row: Row,
    late: list[str],
    *,
    checks: Sequence[Callable[[Ran], None]] = CHECKS,
    around: Callable[[Any], Any] = lambda plan: plan,
) -> Callable[[], Any]:
    """The scenario of a row, or of a row within something else."""

    def scenario() -> Any:
        log = Log()
        late.clear()

        def check(report: Any) -> None:
            report.unwrap()
            hurried = any(turn.choice and isinstance(turn.effect, Advanced) for turn in report.trace)
            delays = sum(fault.seconds for fault in report.faults if fault.kind == "delay")
            ran = Ran(row, log, late, report.events, math.inf if hurried else delays)
            for one in checks:
                one(ran)

        return staying(around(observed(log, row.make(log)))), handlers(log), check

    return scenario


def for_each_leg(log: Log, *bodies: Any, **options: Any) -> Leg:
    def make(leg: int) -> Leg:
        body, *args = bodies[leg]
        return run_leg(log, leg, body, *args)

    return tuple((yield from for_each(range(len(bodies)), make, **options)))


def hedging(log: Log, body: Any, *args: Any, **options: Any) -> Any:
    numbers = iter(range(100))
    return hedge(lambda: run_leg(log, next(numbers), body, *args), **options)


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
        lambda log: race(*legs(log, (breaks, 0.5), (breaks, 0.5)), timeout=2.0), "race", 2, deadline=2.0
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
    "hedge": Row(lambda log: hedging(log, twice, 1.0, after=0.5, copies=3), "race", 3, after=0.5),
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
        lambda log: parallel(
            *[attempt(timeout(1.5, leg)) for leg in legs(log, (twice, 2.0), (breaks, 1.5), sleeps)]
        ),
        "each",
        3,
        deadline=1.5,
        attempted=True,
    ),
    "settle": Row(lambda log: settle(*legs(log, sleeps, (breaks, 0.5), asks)), "settle", 3),
    "settle, timeout": Row(
        lambda log: settle(*legs(log, (twice, 3.0), (breaks, 0.5), messy), timeout=1.0),
        "settle",
        3,
        deadline=1.0,
    ),
    "attempt": Row(
        lambda log: parallel(*[attempt(leg) for leg in legs(log, sleeps, (breaks, 0.5), fetches)]),
        "each",
        3,
        attempted=True,
    ),
}
