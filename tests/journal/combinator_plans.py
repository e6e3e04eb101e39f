"""Plans at the top of a module, as durable runs need them, and tools that count how often they are called."""

from __future__ import annotations

from typing import Any

from lambdacat_effects import (
    Plan,
    Sleep,
    Tools,
    attempt,
    call,
    for_each,
    hedge,
    n_best,
    parallel,
    quorum,
    race,
    recall,
    remember,
    settle,
    shielded,
    span,
    timeout,
    tool,
)
from lambdacat_effects.effects.durable import ask, continue_as_new


@tool
async def fetch(what: str) -> str:
    """A call to the world."""
    return f"got {what}"


@tool
async def refund(what: str) -> str:
    """Takes back what was called."""
    return f"refunded {what}"


def in_turn(n: int) -> Plan[Tools, list[str]]:
    answers: list[str] = []
    for i in range(n):
        answers.append((yield from fetch(f"item {i}")))
    return answers


def branch(name: str, n: int) -> Plan[Any, str]:
    for i in range(n):
        yield from fetch(f"{name} {i}")
    return name


def side_by_side() -> Plan[Any, Any]:
    both = yield from parallel(branch("a", 3), branch("b", 2))
    yield from remember("results", "both", list(both))
    return both


def slow(name: str, seconds: float) -> Plan[Any, str]:
    try:
        yield from Sleep(seconds)
        return (yield from fetch(name))
    except BaseException:
        yield from shielded(refund(name))
        raise


def racing() -> Plan[Any, Any]:
    first = yield from race(slow("x", 3), slow("y", 2), branch("z", 2))
    try:
        late = yield from timeout(5, slow("late", 60))
    except TimeoutError:
        late = "too late"
    yield from remember("results", "race", [first, late])
    kept = yield from recall("results", "race", as_type=list[str])
    return [first, late, kept]


@tool
async def break_down(what: str) -> str:
    """Fails every time."""
    raise ValueError(f"{what} is broken")


def failing(name: str) -> Plan[Any, str]:
    yield from fetch(name)
    return (yield from break_down(name))


def every_combinator() -> Plan[Any, Any]:
    """One of each, with something of each that fails, is late, or is cancelled."""
    found: list[Any] = []
    found.append((yield from quorum(branch("q0", 1), branch("q1", 3), slow("q2", 1), failing("q3"), n=2)))
    found.append(
        (yield from n_best(branch("n0", 1), slow("n1", 50), branch("n22", 2), n=1, score=len, timeout=2))
    )
    found.append((yield from settle(branch("s0", 2), failing("s1"), slow("s2", 50), timeout=3)))
    found.append((yield from hedge(hedged, after=1.5, copies=2)))
    found.append((yield from for_each(range(5), each_item, limit=2)))
    found.append((yield from attempt(failing("attempted"))))
    try:
        yield from parallel(failing("sibling"), slow("cancelled sibling", 30), branch("quick sibling", 1))
    except* ValueError as group:
        found.append(len(group.exceptions))
    found.append((yield from parallel(slow("late", 40), branch("in time", 1), timeout=4, partial=True))[1])
    try:
        yield from timeout(9, race(slow("inner 1", 70), timeout(5, slow("inner 2", 80))))
    except (TimeoutError, ExceptionGroup):
        found.append("none in time")
    found.append((yield from span("part", call(branch("part", 1)))))
    return [str(one).split(" at 0x")[0] for one in found]


def hedged() -> Plan[Any, str]:
    yield from Sleep(2)
    return (yield from fetch("hedged"))


def each_item(n: int) -> Plan[Any, str]:
    yield from Sleep(n % 2)
    return (yield from fetch(f"each {n}"))


def counting_up(n: int) -> Plan[Any, int]:
    seen = (yield from recall("count", "n", as_type=int)) or 0
    yield from remember("count", "n", seen + 1)
    yield from fetch(f"round {n}")
    if n < 3:
        yield from continue_as_new(counting_up, n + 1)
    return (yield from recall("count", "n", as_type=int)) or 0


def approved() -> Plan[Any, Any]:
    draft = yield from fetch("a draft")
    both = yield from parallel(ask("Send it?", as_type=bool), branch("meanwhile", 2))
    if both[0]:
        yield from fetch("sent")
    return [draft, *both]
