"""Plans that change between two deployments: each of its kinds as it was, and as it is now."""

from __future__ import annotations

from typing import Any

import trio
from durable_plans import fetch, undo, wait_for_ever

from lambdacat_effects import (
    Plan,
    Sleep,
    Tools,
    answer_tools,
    log,
    parallel,
    patched,
    race,
    shielded,
    timeout,
)

deployed = "old"


def changing(kind: str) -> Plan[Any, Any]:
    """The plan of this kind, in the version that is deployed."""
    return (yield from PLANS[kind][deployed]())


def stop() -> Plan[Tools, str]:
    """Where runs are interrupted."""
    return (yield from wait_for_ever("a deployment"))


def _two() -> Plan[Any, Any]:
    a = yield from fetch("a")
    b = yield from fetch("b")
    return [a, b, (yield from stop())]


def _other_arguments() -> Plan[Any, Any]:
    a = yield from fetch("a")
    b = yield from fetch("B")
    return [a, b, (yield from stop())]


def _other_effect() -> Plan[Any, Any]:
    a = yield from fetch("a")
    b = yield from undo("b")
    return [a, b, (yield from stop())]


def _more() -> Plan[Any, Any]:
    a = yield from fetch("a")
    yield from fetch("new")
    b = yield from fetch("b")
    return [a, b, (yield from stop())]


def _fewer() -> Plan[Any, Any]:
    a = yield from fetch("a")
    return [a, (yield from stop())]


def _none() -> Plan[Any, Any]:
    yield from ()
    return []


def _ends_early() -> Plan[Any, Any]:
    return [(yield from fetch("a"))]


def _branch(name: str) -> Plan[Any, Any]:
    return (yield from fetch(name))


def _branches() -> Plan[Any, Any]:
    both = yield from parallel(_branch("a"), _branch("b"))
    yield from fetch("both")
    return [*both, (yield from stop())]


def _reordered() -> Plan[Any, Any]:
    both = yield from parallel(_branch("b"), _branch("a"))
    yield from fetch("both")
    return [*both, (yield from stop())]


def _a_branch_more() -> Plan[Any, Any]:
    some = yield from parallel(_branch("a"), _branch("b"), _branch("c"))
    yield from fetch("both")
    return [*some, (yield from stop())]


def _more_in_a_branch() -> Plan[Any, Any]:
    def longer() -> Plan[Any, Any]:
        yield from fetch("b")
        return (yield from fetch("and more"))

    both = yield from parallel(_branch("a"), longer())
    yield from fetch("both")
    return [*both, (yield from stop())]


def _raced() -> Plan[Any, Any]:
    def waiting() -> Plan[Any, Any]:
        yield from fetch("b")
        return (yield from wait_for_ever("b"))

    first = yield from race(_branch("a"), waiting())
    return [first, (yield from stop())]


def _race_with_more() -> Plan[Any, Any]:
    def longer() -> Plan[Any, Any]:
        yield from fetch("a")
        return (yield from fetch("and more"))

    def waiting() -> Plan[Any, Any]:
        yield from fetch("b")
        return (yield from wait_for_ever("b"))

    first = yield from race(longer(), waiting())
    return [first, (yield from stop())]


def _within_a_deadline() -> Plan[Any, Any]:
    b = yield from timeout(5, _branch("b"))
    return [b, (yield from stop())]


def _other_deadline() -> Plan[Any, Any]:
    b = yield from timeout(50, _branch("b"))
    return [b, (yield from stop())]


def _within_a_shield() -> Plan[Any, Any]:
    b = yield from shielded(_branch("b"))
    yield from fetch("more")
    return [b, (yield from stop())]


def _more_within_a_shield() -> Plan[Any, Any]:
    def longer() -> Plan[Any, Any]:
        yield from fetch("b")
        return (yield from fetch("and more"))

    b = yield from shielded(longer())
    yield from fetch("more")
    return [b, (yield from stop())]


def _slept() -> Plan[Any, Any]:
    yield from Sleep(3)
    return [(yield from stop())]


def _slept_longer() -> Plan[Any, Any]:
    yield from Sleep(4)
    return [(yield from stop())]


def _patched() -> Plan[Any, Any]:
    a = yield from fetch("a")
    new = None
    if (yield from patched("more")):
        new = yield from fetch("new")
    b = yield from fetch("b")
    return [a, new, b, (yield from stop())]


def _patch_removed() -> Plan[Any, Any]:
    a = yield from fetch("a")
    new = yield from fetch("new")
    b = yield from fetch("b")
    return [a, new, b, (yield from stop())]


def _patched_twice() -> Plan[Any, Any]:
    first = (yield from patched("first")) and (yield from fetch("new"))
    a = yield from fetch("a")
    second = (yield from patched("second")) and (yield from fetch("newer"))
    b = yield from fetch("b")
    return [first, a, second, b, (yield from stop())]


def _patched_later() -> Plan[Any, Any]:
    a = yield from fetch("a")
    b = yield from fetch("b")
    last = yield from stop()
    new = (yield from patched("at the end")) and (yield from fetch("new"))
    return [a, b, last, new]


def _loop() -> Plan[Any, Any]:
    found: list[str] = []
    for i in range(3):
        found.append((yield from fetch(f"round {i}")))
    return [*found, (yield from stop())]


def _patched_loop() -> Plan[Any, Any]:
    found: list[Any] = []
    for i in range(3):
        if (yield from patched("in a loop")):
            found.append((yield from fetch(f"new {i}")))
        found.append((yield from fetch(f"round {i}")))
    return [*found, (yield from stop())]


def _patched_loop_removed() -> Plan[Any, Any]:
    found: list[Any] = []
    for i in range(3):
        found.append((yield from fetch(f"new {i}")))
        found.append((yield from fetch(f"round {i}")))
    return [*found, (yield from stop())]


def _loop_under_way() -> Plan[Any, Any]:
    found: list[Any] = []
    for i in range(3):
        found.append((yield from fetch(f"round {i}")))
        if i == 1:
            yield from stop()
    return [*found, "deployed"]


def _patched_loop_under_way() -> Plan[Any, Any]:
    found: list[Any] = []
    for i in range(3):
        if (yield from patched("in a loop")):
            found.append((yield from fetch(f"new {i}")))
        found.append((yield from fetch(f"round {i}")))
        if i == 1:
            yield from stop()
    return [*found, "deployed"]


def _raced_instead() -> Plan[Any, Any]:
    first = yield from race(_branch("a"), _branch("b"))
    yield from fetch("both")
    return [first, (yield from stop())]


def _uneven(patch: bool) -> Plan[Any, Any]:
    def branch(name: str, last: Any) -> Plan[Any, Any]:
        if patch and (yield from patched("in a branch")):
            yield from fetch(f"new {name}")
        return [(yield from fetch(name)), (yield from last())]

    def nothing() -> Plan[Any, Any]:
        yield from ()

    def late() -> Plan[Any, Any]:
        waited = yield from stop()
        return [*(yield from branch("b", nothing)), waited]

    early, _ = yield from parallel(branch("a", nothing), late())
    return [*early, "deployed"]


def _gave_up(patch: bool, *, noted: bool = False) -> Plan[Any, Any]:
    def impatient() -> Plan[Any, Any]:
        new = patch and (yield from patched("in a branch"))
        if new:
            yield from fetch("new")
        if noted:
            yield from log("waiting")
        with trio.move_on_after(1):
            yield from wait_for_ever("an answer")
        return new

    def patient() -> Plan[Any, Any]:
        yield from Sleep(5)
        return (yield from stop())

    return (yield from parallel(impatient(), patient()))


def _patched_branches() -> Plan[Any, Any]:
    def branch(name: str) -> Plan[Any, Any]:
        new = (yield from patched("in a branch")) and (yield from fetch(f"new {name}"))
        old = yield from fetch(name)
        last = (yield from patched("at its end")) and (yield from fetch(f"last {name}"))
        return [new, old, last]

    both = yield from parallel(branch("a"), branch("b"))
    yield from fetch("both")
    return [*both, (yield from stop())]


def _patched_branches_removed() -> Plan[Any, Any]:
    def branch(name: str) -> Plan[Any, Any]:
        new = yield from fetch(f"new {name}")
        old = yield from fetch(name)
        last = yield from fetch(f"last {name}")
        return [new, old, last]

    both = yield from parallel(branch("a"), branch("b"))
    yield from fetch("both")
    return [*both, (yield from stop())]


def _patched_race() -> Plan[Any, Any]:
    def quick() -> Plan[Any, Any]:
        a = yield from fetch("a")
        return [a, (yield from patched("at the winner's end"))]

    def waiting() -> Plan[Any, Any]:
        yield from fetch("b")
        return (yield from wait_for_ever("b"))

    first = yield from race(quick(), waiting())
    return [first, (yield from stop())]


def _by_chance() -> Plan[Any, Any]:
    return [(yield from fetch(f"{id(object())} {len(_seen)}")), _seen.append(1), (yield from stop())]


_seen: list[int] = []


def _swallowing(what: str) -> Plan[Any, Any]:
    try:
        a = yield from fetch(what)
    except Exception:
        a = yield from fetch("something else")
    return [a, (yield from stop())]


PLANS: dict[str, dict[str, Any]] = {
    "same": {"old": _two, "new": _two},
    "other arguments": {"old": _two, "new": _other_arguments},
    "other effect": {"old": _two, "new": _other_effect},
    "more": {"old": _two, "new": _more},
    "fewer": {"old": _two, "new": _fewer},
    "none": {"old": _two, "new": _none},
    "ends early": {"old": _two, "new": _ends_early},
    "reordered branches": {"old": _branches, "new": _reordered},
    "a branch more": {"old": _branches, "new": _a_branch_more},
    "more in a branch": {"old": _branches, "new": _more_in_a_branch},
    "a race with more": {"old": _raced, "new": _race_with_more},
    "other deadline": {"old": _within_a_deadline, "new": _other_deadline},
    "more in a shield": {"old": _within_a_shield, "new": _more_within_a_shield},
    "another policy": {"old": _branches, "new": _raced_instead},
    "slept longer": {"old": _slept, "new": _slept_longer},
    "chance": {"old": _by_chance, "new": _by_chance},
    "swallowing": {"old": lambda: _swallowing("a"), "new": lambda: _swallowing("b")},
    "patched race": {"old": _raced, "new": _patched_race},
    "patched": {"old": _two, "new": _patched, "removed": _patch_removed},
    "patched twice": {"old": _two, "new": _patched_twice},
    "patched later": {"old": _two, "new": _patched_later},
    "patched loop": {"old": _loop, "new": _patched_loop, "removed": _patched_loop_removed},
    "patched under way": {"old": _loop_under_way, "new": _patched_loop_under_way},
    "patched unevenly": {"old": lambda: _uneven(False), "new": lambda: _uneven(True)},
    "patched where it gave up": {"old": lambda: _gave_up(False), "new": lambda: _gave_up(True)},
    "patched where it noted that it waits": {
        "old": lambda: _gave_up(False, noted=True),
        "new": lambda: _gave_up(True, noted=True),
    },
    "patched branches": {"old": _branches, "new": _patched_branches, "removed": _patched_branches_removed},
}


def wait_for_ever_answers(answer: str) -> Any:
    """A handler by which the deployment is over."""
    return answer_tools({wait_for_ever: answer})
