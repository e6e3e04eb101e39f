"""Random plans over a small set of actions, and the same plans written by hand as generators.

`by_hand` is the reference: it walks the plan while it runs, delegates with `yield from`, and uses the combinators
that anybody would. It shares nothing with the compiler but the merge, which has laws and tests of its own.
"""

from collections.abc import Callable
from typing import Any

from lambdacat_effects import (
    ALL,
    FIRST_COMPLETED,
    N_BEST,
    QUORUM,
    Await,
    Blocking,
    Branch,
    Concurrent,
    Err,
    Log,
    Ok,
    Sleep,
    Span,
    attempt,
    awaiting,
    blocking,
    fail,
    n_best,
    quorum,
    race,
    settle,
    span,
)
from lambdacat_effects import parallel as concurrently
from lambdacat_effects.algebra import key
from lambdacat_effects.errors import NoneSucceeded
from lambdacat_effects.plan import (
    Actions,
    Choose,
    FailWith,
    Focus,
    LoopWhile,
    Named,
    ParallelSpec,
    Sequence,
    Task,
    three_way_merge,
)
from lambdacat_effects.testing.strategies import dsl_plans

State = dict[str, Any]
START: State = {"a": 0, "b": 0, "sub": {"a": 1, "b": 1}}

# Actions of every kind.


def inc_a(state: State) -> State:
    return {**state, "a": state["a"] + 1}


def double_b(state: State, ctx: Any = None) -> State:
    return {**state, "b": 2 * state["b"] + (ctx or 0)}


async def swap(state: State, ctx: Any) -> State:
    return {**state, "a": state["b"] + ctx, "b": state["a"]}


def note(state: State) -> Any:
    yield from Log(f"a is {state['a']}")
    return {**state, "noted": True}


def pause(state: State, ctx: Any) -> Any:
    yield from Sleep(ctx)
    return {**state, "b": state["b"] + 1}


def boom(state: State) -> State:
    raise ValueError("boom")


def only_even(state: State) -> State:
    if state["a"] % 2:
        raise ArithmeticError("odd")
    return {**state, "even": True}


CTX = 2

ACTIONS = (
    Actions.empty()
    .register("inc_a", inc_a, inline=True)
    .register("double_b", double_b)
    .register("swap", swap)
    .register("note", note)
    .register("pause", pause)
    .register("boom", boom, inline=True)
    .register("only_even", only_even)
)

PLAIN = Actions.of({"inc_a": inc_a, "double_b": double_b, "boom": boom, "only_even": only_even})
"""Those that a monad can call."""


def _inline(fn: Callable[[State], State], state: State) -> Any:
    return fn(state)
    yield


HAND: dict[str, Callable[[State], Any]] = {
    "inc_a": lambda s: _inline(inc_a, s),
    "double_b": lambda s: blocking(double_b, s, CTX),
    "swap": lambda s: awaiting(swap, s, CTX),
    "note": note,
    "pause": lambda s: pause(s, CTX),
    "boom": lambda s: _inline(boom, s),
    "only_even": lambda s: blocking(only_even, s),
}


# Rules.


def total(state: State) -> float:
    return float(state["a"] + state["b"])


def small(state: State) -> bool:
    return bool(state["a"] + state["b"] < 3)


def last(results: list[State]) -> int:
    return len(results) - 1


def sum_a(results: list[State], state: State) -> State:
    return {**state, "a": sum(r["a"] for r in results)}


def plans(names: Any, *, failing: bool = True, policies: Any = (ALL, FIRST_COMPLETED, N_BEST, QUORUM)) -> Any:
    """Plans over actions of these names; without `failing`, those in which only alternatives of a choice fail."""
    return dsl_plans(
        names,
        errors=[KeyError("no")],
        failing=failing,
        policies=policies,
        combines=[None, sum_a] if failing else [sum_a],
        scores=[total],
        choosers=[last],
        predicates=[small],
        lenses=[key("sub")] if failing else [],
    )


# The reference.


def by_hand(plan: Any, state: State) -> Any:
    match plan:
        case Task():
            return (yield from span(plan.name, HAND[plan.name](state)))
        case Sequence():
            for item in plan.items:
                state = yield from by_hand(item, state)
            return state
        case ParallelSpec():
            return (yield from parallel_by_hand(plan, state))
        case Choose():
            return (yield from choice_by_hand(plan, state))
        case Focus():
            part = yield from by_hand(plan.inner, plan.lens.get(state))
            return plan.lens.set(state, part)
        case LoopWhile():
            for _ in range(plan.max_iterations if plan.max_iterations is not None else 10**9):
                if not plan.predicate(state):
                    break
                state = yield from by_hand(plan.body, state)
            return state
        case FailWith():
            return (yield from fail(plan.error))
        case Named():
            return (yield from span(plan.name, by_hand(plan.inner, state)))


def parallel_by_hand(plan: ParallelSpec, state: State) -> Any:
    branches = [by_hand(branch, state) for branch in plan.branches]
    if plan.policy is FIRST_COMPLETED:
        return (yield from race(*branches))
    if plan.policy is N_BEST:
        results = yield from n_best(*branches, n=plan.n_best or 1, score=plan.score or total)
    elif plan.policy is QUORUM:
        results = yield from quorum(*branches, n=plan.n or 1)
    else:
        results = yield from concurrently(*branches)
    return sum_a(list(results), state) if plan.combine else three_way_merge(state, results)


def choice_by_hand(plan: Choose, state: State) -> Any:
    if plan.by is None and plan.choose_fn is None:
        outcomes: Any = []
        for item in plan.items:
            outcome = yield from attempt(by_hand(item, state))
            if isinstance(outcome, Ok):
                return outcome.value
            outcomes.append(outcome)
    else:
        outcomes = yield from settle(*[by_hand(item, state) for item in plan.items])
    results = [outcome.value for outcome in outcomes if isinstance(outcome, Ok)]
    if not results:
        raise NoneSucceeded("none", [outcome.error for outcome in outcomes if isinstance(outcome, Err)])
    return max(results, key=plan.by) if plan.by else results[-1]


# What is compared.


def shape(error: BaseException) -> Any:
    """An error without its message; a choice inside a choice is one choice."""
    if not isinstance(error, BaseExceptionGroup):
        return type(error).__name__
    inner: list[Any] = []
    for e in error.exceptions:
        part = shape(e)
        nested = isinstance(error, NoneSucceeded) and isinstance(e, NoneSucceeded)
        inner.extend(part[1] if nested else [part])
    return type(error).__name__, inner


def what(event: Any) -> Any:
    """An event without what differs between two plans that do the same: counters, generators, names of branches."""
    effect = event.what
    match effect:
        case Span():
            text = effect.name
        case Blocking() | Await():
            text = effect.fn.__name__
        case Concurrent():
            text = effect.policy.value
        case Branch():
            text = str(effect.index)
        case _:
            text = repr(effect)
    return type(event).__name__, type(effect).__name__, text


def branch_of(path: Any) -> Any:
    """In which branch of which branch: the path without its name and its counters of effects."""
    return tuple(path[2::2])


class Trace:
    """The events of a run, but for the run's own."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def __call__(self, event: Any) -> None:
        if len(event.path) > 1:
            self.events.append((branch_of(event.path), what(event)))

    def by_branch(self) -> Any:
        """On Trio branches interleave as they like; within one the order is the plan's."""
        branches: dict[Any, list[Any]] = {}
        for branch, event in self.events:
            branches.setdefault(branch, []).append(event)
        return branches
