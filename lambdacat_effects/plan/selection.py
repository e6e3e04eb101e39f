"""Choosing between whole plans by what they achieve."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import attrs

from lambdacat_effects.algebra.result import MISSING, Err, Ok
from lambdacat_effects.effects.concurrency import SETTLE, Concurrent
from lambdacat_effects.effects.control import check_seconds
from lambdacat_effects.effects.effect import Plan
from lambdacat_effects.errors import InvalidArgument, NoneSucceeded, PlanTimeout
from lambdacat_effects.plan.actions import Actions
from lambdacat_effects.plan.compiler import Outcome, compile_plan
from lambdacat_effects.plan.functions import Running, performing
from lambdacat_effects.plan.merging import best_index
from lambdacat_effects.plan.nodes import Arrow, PlanLike

__all__ = ["Best", "choose_best"]

S = TypeVar("S")


@attrs.frozen
class Best(Generic[S]):
    """The plan that did best.

    >>> Best("web", {"hits": 3}, 3, 0).score
    3
    """

    plan: Any
    """The candidate, as it was given."""
    state: S
    """The state it answered."""
    score: Any
    """What the evaluator made of that."""
    index: int
    """Its number among the candidates."""


def choose_best(
    candidates: Sequence[PlanLike],
    evaluator: Callable[[Any], Any],
    *,
    actions: Actions | Mapping[str, Callable[..., Any]] | None = None,
    ctx: object = None,
    timeout_s: float | None = None,
) -> Callable[[Any], Plan[Any, Best[Any]]]:
    """A function from a state to the plan that performs all candidates on it and answers with the `Best`.

    Candidates run at the same time, each with its evaluation. `evaluator` maps a state to anything ordered, higher is
    better; it is a plain function, called in place, or an async or generator function, which may ask the world. Of
    equal scores the first candidate's counts.

    A candidate that fails, or whose evaluation fails, does not take part; nor does one that has not ended after
    `timeout_s` seconds. When all fail, `NoneSucceeded` is raised; when none has succeeded by the deadline,
    `PlanTimeout`, caused by the failures so far. Raises `InvalidArgument` for no candidates.

    >>> from lambdacat_effects.runtime import ambient
    >>> select = choose_best([str.lower, str.title], lambda text: sum(map(str.isupper, text)))
    >>> ambient.run_pure(select("felis catus")).state
    'Felis Catus'
    """
    if not candidates:
        raise InvalidArgument("choose_best() of no plans has no answer: give at least one")
    if not callable(evaluator):
        raise InvalidArgument(f"choose_best() needs a function from a state to a score; got {evaluator!r}")
    check_seconds("timeout_s", timeout_s)
    given = tuple(candidates)
    score = performing(evaluator)
    branches = tuple([_evaluated(compile_plan(plan, actions, ctx), score) for plan in given])

    def select(state: Any) -> Generator[Any, Any, Best[Any]]:
        started = tuple([branch(state) for branch in branches])
        outcomes: list[Outcome] = yield Concurrent(started, SETTLE, timeout=timeout_s)
        done: list[tuple[int, Any, Any]] = [
            (i, *outcome.value) for i, outcome in enumerate(outcomes) if isinstance(outcome, Ok)
        ]
        if not done:
            raise _none(outcomes, timeout_s)
        index, reached, points = done[best_index([scored[2] for scored in done])]
        return Best(given[index], reached, points, index)

    return select


def _evaluated(arrow: Arrow, score: Callable[[Any], Any]) -> Arrow:
    def branch(state: Any) -> Running:
        reached = yield from arrow(state)
        return reached, (yield from score(reached))

    branch.__name__ = branch.__qualname__ = arrow.__name__
    return branch


def _none(outcomes: Sequence[Outcome], seconds: float | None) -> Exception:
    failures = [outcome.error for outcome in outcomes if isinstance(outcome, Err)]
    late = sum(outcome is MISSING for outcome in outcomes)
    message = f"choose_best: {len(failures)} of {len(outcomes)} plans failed"
    if not late:
        return NoneSucceeded(message, failures)
    error = PlanTimeout(f"{message}, and {late} had not ended after {seconds:g} s", seconds=seconds or 0.0)
    if failures:
        error.__cause__ = NoneSucceeded(message, failures)
    return error
