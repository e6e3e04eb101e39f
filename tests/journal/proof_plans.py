"""The plans that the proofs of durability run, each with the handlers of one life of its process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import combinator_plans as plans
import trio

from lambdacat_effects import (
    AgentState,
    Handler,
    Plan,
    believe,
    call_tools,
    forget,
    observe,
    parallel,
    race,
    recall,
    remember,
    save_state,
    shielded,
    store_beliefs,
    store_memory,
    timeout,
    tool,
    with_state,
)
from lambdacat_effects.cognition import data_lens
from lambdacat_effects.storage.port import Store


def handlers(store: Store) -> Handler[Any]:
    """Tools of the world outside, and memory and beliefs in the journal's store."""
    tools = call_tools(plans.fetch, plans.refund, plans.break_down, dawdle)
    return tools | store_memory(store) | store_beliefs(store)


def visit(state: AgentState[dict[str, int]]) -> Plan[Any, Any]:
    for _ in range(2):
        yield from plans.fetch(f"visit {state.data.get('visits', 0)}")
        state = data_lens.modify(state, lambda data: {"visits": data.get("visits", 0) + 1})
        state = yield from save_state(state)
    yield from plans.fetch("a last thing")
    return "visited", data_lens.modify(state, lambda data: {**data, "done": 1})


def stateful() -> Plan[Any, Any]:
    """A state that is saved on the way and at the end, twice over."""
    first = yield from with_state("agents", "ada", visit)
    second = yield from with_state("agents", "ada", visit)
    return [first, second]


def witness(name: str, weight: float) -> Plan[Any, bool]:
    yield from plans.fetch(f"what {name} saw")
    yield from observe("it rains", weight, source=name)
    yield from remember("witnesses", name, weight)
    return (yield from forget("waiting", name))


def believing() -> Plan[Any, Any]:
    """Branches that change one belief, and each something of its own: all of it as often as it says."""
    yield from believe("it rains", 0.25)
    for name in ("radar", "gauge", "cat"):
        yield from remember("waiting", name, True)
    told = yield from parallel(witness("radar", 1.0), witness("gauge", 2.0), witness("cat", -0.5))
    return list(told)


def hasty(name: str, calls: int) -> Plan[Any, str]:
    try:
        for i in range(calls):
            yield from plans.fetch(f"{name} {i}")
    finally:
        yield from remember("ended", name, True)
    return name


def contest() -> Plan[Any, Any]:
    """Who wins is written down in memory, and told to the world: it has to be the same one ever after."""
    won = yield from race(hasty("tortoise", 2), hasty("hare", 2), plans.failing("snail"))
    yield from remember("results", "winner", won)
    yield from plans.fetch(f"a prize for {won}")
    return [won, (yield from recall("results", "winner", as_type=str))]


@tool
async def dawdle(what: str) -> str:
    """A call that takes its time."""
    await trio.sleep(50)
    return f"got {what} at last"


def impatient(what: str) -> Plan[Any, str]:
    try:
        return (yield from dawdle(what))
    except BaseException:
        yield from shielded(refund_twice(what))
        raise


def refund_twice(what: str) -> Plan[Any, None]:
    yield from plans.refund(what)
    yield from plans.refund(f"{what}, once more")


def late() -> Plan[Any, Any]:
    """Calls that are cancelled on the way, and compensated."""
    found: list[str] = []
    for seconds in (5, 0.5):
        try:
            both = parallel(impatient(f"{seconds} s"), impatient(f"another {seconds} s"))
            found.append((yield from timeout(seconds, both))[0])
        except TimeoutError:
            found.append("too late")
        found.append((yield from race(impatient(f"beside {seconds} s"), hasty(f"quick {seconds}", 1))))
    yield from remember("results", "late", found)
    return found


def within() -> Plan[Any, Any]:
    try:
        return (yield from parallel(plans.branch("one", 1), plans.branch("two", 1)))
    except BaseException:
        yield from shielded(plans.refund("within"))
        raise


def nested() -> Plan[Any, Any]:
    """Combinators in one another, of which some fail and others end in spite of that."""
    found: list[Any] = []
    try:
        found.append((yield from parallel(plans.failing("first"), within())))
    except* ValueError as group:
        found.append(len(group.exceptions))
    found.append((yield from race(within(), plans.branch("beside", 2))))
    try:
        found.append((yield from timeout(3, parallel(within(), impatient("in time?")))))
    except TimeoutError:
        found.append("too late")
    yield from remember("results", "nested", found)
    return found


@attrs.frozen
class Proof:
    """A plan to be proved."""

    name: str
    make: Callable[..., Any]
    args: tuple[Any, ...] = ()
    timing: bool = False
    """Whether its answer depends on who is first."""
    answers: dict[str, object] = attrs.field(factory=dict[str, object])


PROOFS = [
    Proof("sequence", plans.in_turn, (4,)),
    Proof("parallel", plans.side_by_side),
    Proof("race", contest, timing=True),
    Proof("races with deadlines and compensation", plans.racing, timing=True),
    Proof("calls cancelled on the way", late, timing=True),
    Proof("nested", nested, timing=True),
    Proof("loop that continues as new", plans.counting_up, (0,)),
    Proof("with_state", stateful),
    Proof("beliefs and memory", believing),
    Proof("ask", plans.approved, answers={"Send it?": True}),
    Proof("every combinator", plans.every_combinator, timing=True),
]
