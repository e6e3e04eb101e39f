"""The plans of the golden journals. They never change: journals that were written long ago are of these."""

from __future__ import annotations

from typing import Any

import attrs
import trio

from lambdacat_effects import (
    AgentState,
    Handler,
    Plan,
    Sleep,
    ask,
    attempt,
    call_tools,
    continue_as_new,
    for_each,
    observe,
    parallel,
    patched,
    race,
    recall,
    remember,
    shielded,
    store_beliefs,
    store_memory,
    timeout,
    tool,
    with_state,
)
from lambdacat_effects.cognition import data_lens
from lambdacat_effects.storage.port import Store


@attrs.frozen
class Found:
    """An answer of a class of its own."""

    title: str
    score: float


@tool
async def look_up(what: str) -> Found:
    """A call to the world."""
    return Found(f"all about {what}", len(what) / 2)


@tool
async def dawdle(what: str) -> str:
    """A call that takes its time."""
    await trio.sleep(50)
    return what


@tool
async def undo(what: str) -> str:
    """Takes a call back."""
    return f"undid {what}"


@tool
async def refuse(what: str) -> str:
    """Fails every time."""
    raise ValueError(f"no {what}")


def handlers(store: Store) -> Handler[Any]:
    return call_tools(look_up, dawdle, undo, refuse) | store_memory(store) | store_beliefs(store)


def sequence(topics: list[str]) -> Plan[Any, Any]:
    found: list[Found] = []
    for topic in topics:
        found.append((yield from look_up(topic)))
    yield from remember("found", "best", max(found, key=lambda one: one.score))
    failed = yield from attempt(refuse("bananas"))
    return [found, failed, (yield from recall("found", "best", as_type=Found))]


def impatient(what: str) -> Plan[Any, str]:
    try:
        return (yield from dawdle(what))
    except BaseException:
        yield from shielded(undo(what))
        raise


def races() -> Plan[Any, Any]:
    first = yield from race(impatient("slow"), look_up("quick"), refuse("anything"))
    try:
        late = yield from timeout(5, impatient("late"))
    except TimeoutError:
        late = "too late"
    some = yield from parallel(look_up("in time"), impatient("half"), timeout=3, partial=True)
    each = yield from for_each(["a", "bb", "ccc"], look_up, limit=2)
    return [first, late, str(some[1]), each]


def approval() -> Plan[Any, Any]:
    draft = yield from look_up("a draft")
    sure = yield from ask("Send it?", as_type=bool)
    yield from Sleep(10)
    yield from undo("the draft") if not sure else look_up("sent")
    return [draft, sure]


def visit(state: AgentState[dict[str, int]]) -> Plan[Any, Any]:
    yield from look_up("the weather")
    yield from observe("it rains", 1.5, source="window")
    return data_lens.modify(state, lambda data: {"visits": data.get("visits", 0) + 1})


def stateful() -> Plan[Any, Any]:
    state = yield from with_state("agents", "ada", visit)
    new = yield from patched("ask the barometer, too")
    if new:
        yield from observe("it rains", 0.5, source="barometer")
    yield from with_state("agents", "ada", visit)
    return [state.data["visits"], new]


def rounds(n: int) -> Plan[Any, Any]:
    yield from remember("rounds", str(n), n)
    yield from look_up(f"round {n}")
    if n < 3:
        yield from continue_as_new(rounds, n + 1)
    return n


GOLDEN: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "sequence": (sequence, (["cats", "tigers", "owls"],)),
    "races": (races, ()),
    "approval": (approval, ()),
    "stateful": (stateful, ()),
    "rounds": (rounds, (0,)),
}
