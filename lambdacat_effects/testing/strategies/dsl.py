"""Random plans of the DSL, and actions for them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

from hypothesis import strategies as st

from lambdacat_effects.effects import ALL, FIRST_COMPLETED, N_BEST, QUORUM, Log, Plan, Policy, Sleep
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.plan import (
    Actions,
    PlanNode,
    Task,
    choose,
    fail_with,
    focus,
    loop_while,
    named,
    parallel,
    sequence,
)

__all__ = ["DICT_ACTIONS", "dsl_plans"]

_State: TypeAlias = dict[str, Any]
_Nodes: TypeAlias = st.SearchStrategy[PlanNode]


def _mark(state: _State) -> _State:
    return {**state, "marked": True}


def _count(state: _State) -> _State:
    count = state.get("count")
    return {**state, "count": count + 1 if isinstance(count, int) else 1}


def _drop(state: _State) -> _State:
    return {key: value for key, value in state.items() if key != "marked"}


async def _size(state: _State) -> _State:
    return {**state, "size": len(state)}


def _note(state: _State) -> Plan[Log, _State]:
    yield from Log(f"{len(state)} keys")
    return state


def _pause(state: _State) -> Plan[Sleep, _State]:
    yield from Sleep(1)
    return {**state, "paused": True}


def _refuse_marked(state: _State) -> _State:
    if state.get("marked"):
        raise ValueError("the state is marked")
    return state


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "mark": _mark,
    "count": _count,
    "drop": _drop,
    "size": _size,
    "note": _note,
    "pause": _pause,
    "refuse_marked": _refuse_marked,
}

DICT_ACTIONS: Actions = functools.reduce(
    lambda actions, item: actions.register(item[0], item[1], inline=True), _FUNCTIONS.items(), Actions.empty()
)
"""Actions of every kind that needs no thread, over any state that is a mapping: for `dsl_plans`."""


def dsl_plans(
    actions: Actions | Collection[str] = DICT_ACTIONS,
    *,
    errors: Sequence[Exception] = (),
    failing: bool = True,
    policies: Collection[Policy] = (ALL, FIRST_COMPLETED, N_BEST, QUORUM),
    combines: Sequence[Any] = (None,),
    scores: Sequence[Callable[[Any], Any]] = (),
    choosers: Sequence[Callable[[list[Any]], int]] = (),
    predicates: Sequence[Callable[[Any], Any]] = (),
    lenses: Sequence[Any] = (),
    timeouts: Sequence[float] = (),
    max_leaves: int = 8,
) -> st.SearchStrategy[PlanNode]:
    """Random plans of the DSL over `actions`, a registry or the names in one.

    Nodes that need something of yours are drawn if it is given:

    - `errors` for `fail_with`; without `failing` only as the first alternative of a choice, so that the choice
      goes on to the next.
    - `combines` for `parallel` (None is the three-way merge), `timeouts` (seconds) for its deadlines, `scores` for
      `N_BEST` and for `choose(by=)`, `choosers` for `choose(choose_fn=)`.
    - `predicates` for `loop_while`, at most three times, and `lenses` for `focus`.

    Counter-examples shrink towards one action. Raises `InvalidArgument` for no actions.

    >>> from hypothesis import find
    >>> from lambdacat_effects.plan import describe
    >>> print(describe(find(dsl_plans(), lambda plan: len(getattr(plan, "branches", ())) == 2)))
    parallel
      count
      count
    """
    names = sorted(actions.names if isinstance(actions, Actions) else actions)
    if isinstance(actions, str) or not names:
        raise InvalidArgument(f"dsl_plans() needs actions, or a collection of their names; got {actions!r}")
    fails: _Nodes = st.sampled_from([*errors]).map(fail_with) if errors else st.nothing()
    leaves: _Nodes = st.sampled_from(names).map(Task)
    if failing:
        leaves |= fails

    policies = [policy for policy in Policy if policy in policies and (scores or policy is not N_BEST)]
    rules = [{}, *[{"by": score} for score in scores], *[{"choose_fn": chooser} for chooser in choosers]]
    kinds = ["sequence", "named", "choose"]
    kinds += ["parallel"] * bool(policies) + ["focus"] * bool(lenses) + ["loop_while"] * bool(predicates)

    def extend(inner: _Nodes) -> _Nodes:
        some = st.lists(inner, min_size=1, max_size=3)

        @st.composite
        def node(draw: st.DrawFn) -> PlanNode:
            match draw(st.sampled_from(kinds)):
                case "named":
                    return named("part", draw(inner))
                case "choose":
                    doomed = [fail_with(draw(st.sampled_from(errors)))] if errors and not failing else []
                    return choose(*doomed, *draw(some), **draw(st.sampled_from(rules)))
                case "parallel":
                    chances = {"combine": combines, "score": scores, "timeout_s": [None, *timeouts]}
                    return _parallel(draw, draw(st.sampled_from(policies)), draw(some), chances)
                case "focus":
                    return focus(draw(st.sampled_from(lenses)), draw(inner))
                case "loop_while":
                    return loop_while(draw(st.sampled_from(predicates)), draw(inner), draw(st.integers(0, 3)))
                case _:
                    return sequence(*draw(st.lists(inner, max_size=4)))

        return node()

    return st.recursive(leaves, extend, max_leaves=max_leaves)


def _parallel(
    draw: st.DrawFn, policy: Policy, branches: list[PlanNode], chances: dict[str, Sequence[Any]]
) -> PlanNode:
    given: dict[str, Any] = {"policy": policy, "timeout_s": draw(st.sampled_from(chances["timeout_s"]))}
    if policy is not FIRST_COMPLETED:
        given["combine"] = draw(st.sampled_from(chances["combine"]))
    match policy:
        case Policy.N_BEST:
            given["n_best"] = draw(st.integers(1, len(branches)))
            given["score"] = draw(st.sampled_from(chances["score"]))
        case Policy.QUORUM:
            given["n"] = draw(st.integers(1, len(branches)))
        case Policy.ALL if given["timeout_s"] is not None:
            given["partial"] = draw(st.booleans())
        case _:
            pass
    return parallel(*branches, **given)
