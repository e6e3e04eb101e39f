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
    Saga,
    Sleep,
    ask,
    believe,
    call_tools,
    continue_as_new,
    for_each,
    forget,
    observe,
    on_cancel,
    parallel,
    patched,
    race,
    recall,
    remember,
    saga,
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
from lambdacat_effects.testing import Swept, crash_sweep


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


def new_and_old(name: str) -> Plan[Any, str]:
    if (yield from patched("ask twice")):
        yield from plans.fetch(f"{name}, again")
    yield from plans.fetch(name)
    return "new" if (yield from patched("say so")) else "old"


def changed() -> Plan[Any, Any]:
    """Lines that were added since, at the top of a plan and in branches. (Timing, as a branch that comes to one in a
    life in which another has still to catch up takes it for a line that was not there.)"""
    yield from plans.fetch("before")
    if (yield from patched("from the beginning")):
        yield from plans.fetch("after")
    told = yield from parallel(new_and_old("left"), new_and_old("right"))
    if (yield from patched("ask twice")):
        yield from remember("results", "patched", list(told))
    return list(told)


def asking(name: str) -> Plan[Any, str]:
    yield from plans.fetch(name)
    answer = yield from ask("Which way?")
    return (yield from plans.fetch(f"{name} goes {answer}"))


def twins() -> Plan[Any, Any]:
    """The same question twice at the same time."""
    return list((yield from parallel(asking("one"), asking("the other"))))


def trip(steps: Saga) -> Plan[Any, Any]:
    yield from steps.step(plans.fetch("flight"), plans.refund)
    yield from parallel(
        steps.step(plans.fetch("hotel"), plans.refund),
        steps.step(remember("results", "museum", True), lambda _: forget("results", "museum")),
    )
    taxi = on_cancel(steps.step(plans.fetch("taxi"), plans.refund), plans.refund("perhaps a taxi"))
    yield from race(taxi, Sleep(3))
    return (yield from plans.break_down("the car"))


def travelling() -> Plan[Any, Any]:
    """A saga whose last step fails, so that each of the others is made up for."""
    try:
        yield from saga(trip)
    except ValueError as error:
        yield from remember("results", "trip", str(error))
    return (yield from recall("results", "trip", as_type=str))


def rounds(n: int) -> Plan[Any, Any]:
    """Continues as new with branches and a deadline in each round."""
    yield from parallel(plans.branch(f"a{n}", 1), plans.branch(f"b{n}", 2))
    yield from timeout(9, remember("rounds", str(n), n))
    if n < 2:
        yield from continue_as_new(rounds, n + 1)
    return n


def punctual() -> Plan[Any, Any]:
    """Deadlines that are met and deadlines that are not, whatever the schedule: work takes no time here."""
    found: list[Any] = [(yield from timeout(5, plans.branch("in time", 2)))]
    try:
        yield from timeout(4, plans.slow("late", 60))
    except TimeoutError:
        found.append("too late")
    both = yield from parallel(plans.branch("first", 2), plans.slow("never", 40), timeout=3, partial=True)
    yield from Sleep(2)
    yield from remember("results", "punctual", [*found, both[0]])
    return [*found, both[0]]


def one_of_many(n: int) -> Plan[Any, Any]:
    yield from plans.fetch(f"item {n}")
    if n % 2:
        yield from Sleep(n)
    return (yield from plans.fetch(f"item {n}, done"))


def many() -> Plan[Any, Any]:
    """A few at a time."""
    return list((yield from for_each(range(5), one_of_many, limit=2)))


APART = (0.0, 0.1, 2.0, 40.0, 3600.0)
"""Seconds between two lives, where that makes a difference."""


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
    Proof("branches that continue as new", rounds, (0,)),
    Proof("with_state", stateful),
    Proof("beliefs and memory", believing),
    Proof("ask", plans.approved, answers={"Send it?": True}),
    Proof("one question twice", twins, answers={"Which way?": "left"}),
    Proof("patched", changed, timing=True),
    Proof("saga", travelling, timing=True),
    Proof("deadlines", punctual),
    Proof("for_each", many),
    Proof("every combinator", plans.every_combinator, timing=True),
]


def sweep(proof: Proof, **options: Any) -> Swept:
    """The crash sweep of one of them."""
    return crash_sweep(
        proof.make,
        *proof.args,
        handlers=handlers,
        answers=proof.answers,
        timing=proof.timing,
        apart=APART if proof.timing else 0.0,
        **options,
    )
