"""The functions that plans are written with. Each takes names of actions, functions, and plans alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from lambdacat_effects.algebra.monoid import Monoid
from lambdacat_effects.effects.concurrency import ALL, Policy
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.plan.functions import function_name
from lambdacat_effects.plan.nodes import (
    Choose,
    FailWith,
    Focus,
    LoopWhile,
    Named,
    ParallelSpec,
    PlanLike,
    Sequence,
    Task,
    as_node,
)

__all__ = ["choose", "fail_with", "focus", "loop_while", "named", "parallel", "sequence", "task"]


def task(action: str | Callable[..., Any], *, name: str | None = None) -> Task:
    """One action, by the name it is registered under, or as a function, registered or not.

    `name` is what reports call a function; its own name unless given. Raises `InvalidArgument`.

    >>> task("parse")
    Task(name='parse', fn=None)
    """
    if isinstance(action, str):
        if name is not None:
            raise InvalidArgument(f"task({action!r}) has a name; to show it as {name!r}, write named(...)")
        return Task(action)
    if not callable(cast(object, action)):
        raise InvalidArgument(f"task takes the name of an action, or a function; got {action!r}")
    return Task(function_name(action) if name is None else name, action)


def sequence(*plans: PlanLike) -> Sequence:
    """One plan after the other, each given the state that the one before answered.

    Associative, and `sequence()` is its identity, which changes nothing.

    >>> from lambdacat_effects.plan import compile_plan
    >>> from lambdacat_effects.runtime import ambient
    >>> ambient.run_pure(compile_plan(sequence(str.strip, str.upper))(" cat "))
    'CAT'
    """
    return Sequence(plans)


def parallel(
    *branches: PlanLike,
    policy: Policy = ALL,
    n: int | None = None,
    n_best: int | None = None,
    score: Callable[[Any], Any] | None = None,
    timeout_s: float | None = None,
    partial: bool = False,
    combine: Callable[..., Any] | Monoid[Any] | None = None,
) -> ParallelSpec:
    """Plans at the same time, all given the same state; their results become one state.

    - `policy`: `ALL` (every branch must succeed), `FIRST_COMPLETED` (the first to succeed answers), `N_BEST` (all run
      to their end, the `n_best` with the highest `score` count), `QUORUM` (`n` must succeed, the rest is cancelled).
    - `timeout_s`: a deadline in seconds. It raises `PlanTimeout`; under `ALL` with `partial=True` the plan goes on
      with the branches that have finished, and under `N_BEST` with those, if there are any.
    - `combine`: a function of the list of results, or of that list and the state that the branches were given, or a
      `Monoid`; it may be a generator function that performs effects. Results are in declared order, under `N_BEST`
      best first. Unless given, `three_way_merge` decides, and raises `MergeConflict` where branches disagree.

    No branches under `ALL` are the identity: nothing was changed, so the merge is the input.
    Failures are raised as an `ExceptionGroup`, as by `lambdacat_effects.parallel`. Raises `InvalidArgument`.

    >>> from lambdacat_effects.plan import compile_plan
    >>> from lambdacat_effects.runtime import ambient
    >>> both = parallel(lambda s: {**s, "a": 1}, lambda s: {**s, "b": 2})
    >>> ambient.run_pure(compile_plan(both)({"c": 3}))
    {'c': 3, 'a': 1, 'b': 2}
    """
    return ParallelSpec(
        branches, policy, n_best, timeout_s, n=n, score=score, partial=partial, combine=combine
    )


def choose(
    *plans: PlanLike,
    choose_fn: Callable[[list[Any]], Any] | None = None,
    by: Callable[[Any], Any] | None = None,
) -> Choose:
    """Ordered choice: the first plan that succeeds. The others are not begun.

    Associative; `fail_with(error)` adds nothing but its error. When all fail, `NoneSucceeded` is raised with their
    failures; `Misuse` passes at once, since the next alternative would only hide it.

    With a chooser all plans are performed at the same time, and one of the results is picked. A plan that failed has
    no result and does not take part.

    - `by`: result -> score. The highest wins, the first of equals.
    - `choose_fn`: list of results, in declared order -> index. `first()` and `argmax(by)` make such functions.

    Raises `InvalidArgument` for no plans.

    >>> from lambdacat_effects.plan import compile_plan
    >>> from lambdacat_effects.runtime import ambient
    >>> ambient.run_pure(compile_plan(choose(int, float))("1.5"))
    1.5
    """
    return Choose(plans, choose_fn, by)


def fail_with(error: Exception) -> FailWith:
    """Fail with `error`: the identity of `choose`, and the last alternative that says what is wrong.

    >>> fail_with(ValueError("no source answered"))
    FailWith(error=ValueError('no source answered'))
    """
    return FailWith(error)


def focus(lens: object, plan: PlanLike) -> Focus:
    """`plan` on the part of the state that `lens` looks at; the rest of the state stays as it is.

    `lens` is a `Lens`, or any object with functions `get(state)` and `set(state, part)`. A lens that does not fit the
    state raises `LensMismatch` when the plan runs. Raises `InvalidArgument` for something that is no lens.

    >>> from lambdacat_effects.algebra import key
    >>> from lambdacat_effects.plan import compile_plan
    >>> from lambdacat_effects.runtime import ambient
    >>> ambient.run_pure(compile_plan(focus(key("n"), lambda n: n + 1))({"n": 1, "m": 5}))
    {'n': 2, 'm': 5}
    """
    return Focus(lens, as_node(plan))


def loop_while(
    predicate: Callable[[Any], Any], body: PlanLike, max_iterations: int | None = None
) -> LoopWhile:
    """`body` again and again, while `predicate(state)` holds.

    `predicate` is a plain function, called in place, or an async or generator function, which may ask the world.
    After `max_iterations` the loop ends, and answers the state it has reached.

    >>> from lambdacat_effects.plan import compile_plan
    >>> from lambdacat_effects.runtime import ambient
    >>> ambient.run_pure(compile_plan(loop_while(lambda n: n < 100, lambda n: n * 2))(3))
    192
    """
    return LoopWhile(predicate, body, max_iterations)


def named(name: str, plan: PlanLike) -> Named:
    """`plan` as a part of the run that reports and rendered plans show under `name`.

    >>> named("gather", parallel("web", "papers")).name
    'gather'
    """
    return Named(name, plan)
