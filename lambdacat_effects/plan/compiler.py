"""Compiling plans: from nodes to functions from a state to a generator, which every runtime can perform.

Each node becomes a function that asks for its effect: a task for a span, everything else for a `call`. All decisions
that depend on the plan alone (which node, which kind of action, which rule) are made here, once; a run only calls
those functions. A `call` delegates through the interpreter's stack, so that nesting costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

import attrs

from lambdacat_effects.algebra.lens import Lens
from lambdacat_effects.algebra.monoid import Monoid
from lambdacat_effects.algebra.result import MISSING, Err, Missing, Ok
from lambdacat_effects.effects.ambient import Await, Blocking
from lambdacat_effects.effects.concurrency import ALL, FIRST_COMPLETED, QUORUM, SETTLE, Concurrent
from lambdacat_effects.effects.control import Call, Span
from lambdacat_effects.effects.effect import EMPTY, Effect, Performs
from lambdacat_effects.effects.failure import Fail
from lambdacat_effects.errors import InvalidArgument, Misuse, PlanTimeout
from lambdacat_effects.plan.actions import Action, Actions, as_actions
from lambdacat_effects.plan.functions import Running, performing, state_of
from lambdacat_effects.plan.merging import Combiner, all_failed, chooser_of, chosen, combiner_of
from lambdacat_effects.plan.nodes import (
    Arrow,
    Choose,
    CustomNode,
    FailWith,
    Focus,
    LoopWhile,
    Named,
    ParallelSpec,
    PlanLike,
    PlanNode,
    Sequence,
    Task,
)
from lambdacat_effects.plan.traversal import fold

__all__ = ["Outcome", "arguments_in_order", "compile_plan"]

Ask: TypeAlias = Callable[[Any], Effect[Any]]
"""From a state to the effect that performs a node on it."""
Outcome: TypeAlias = Ok[Any] | Err[Exception] | Missing
"""How a branch ended."""


def compile_plan(
    plan: PlanLike | Actions | Mapping[str, Callable[..., Any]],
    actions: Actions | Mapping[str, Callable[..., Any]] | PlanLike | None = None,
    ctx: object = None,
    *,
    choose_fn: Callable[[list[Any]], Any] | None = None,
    aggregate_fn: Callable[..., Any] | Monoid[Any] | None = None,
) -> Arrow:
    """Compile a plan to a function `State -> Plan[E, State]`: a Kleisli arrow, which can be called many times.

    - `actions`: the registry, or a mapping of names to functions. The first two arguments may change places.
    - `ctx`: given to the actions that take a context.
    - `choose_fn`, `aggregate_fn`: the rule of every `choose` and `parallel` that has none of its own.

    Raises `UnknownAction` for a name that is not registered, and `InvalidArgument` for what is no plan.

    >>> from lambdacat_effects.plan import sequence
    >>> from lambdacat_effects.runtime import ambient
    >>> program = compile_plan(sequence("trim", "shout"), {"trim": str.strip, "shout": str.upper})
    >>> ambient.run_pure(program(" cat "))
    'CAT'
    """
    nodes, registry = arguments_in_order(plan, actions)
    return _Compiler(registry, (ctx,), choose_fn, aggregate_fn).arrow(nodes)


def arguments_in_order(plan: Any, actions: Any) -> tuple[Any, Actions]:
    """The plan and the registry, whichever came first: LambdaCat's `compile_plan` takes the implementation first."""
    if isinstance(plan, (Actions, Mapping)):
        plan, actions = actions, cast(Any, plan)
    return plan, as_actions(actions)


@attrs.frozen
class _Part:
    """A compiled node."""

    label: str
    ask: Ask
    steps: tuple[_Part, ...] | None = None
    """Of a sequence, so that one inside another becomes one flat loop."""


class _Compiler:
    def __init__(self, actions: Actions, ctx: tuple[Any], choose_fn: Any, aggregate_fn: Any) -> None:
        self.actions = actions
        self.ctx = ctx
        self.choose_fn = choose_fn
        self.aggregate_fn = aggregate_fn

    def arrow(self, plan: PlanLike) -> Arrow:
        return _named_arrow(fold(plan, self.build))

    def build(self, node: PlanNode, inner: list[_Part]) -> _Part:
        match node:
            case Task():
                return _task(self.actions.resolve(node), self.ctx)
            case Sequence():
                return _sequence(inner)
            case ParallelSpec():
                labels = [part.label for part in inner]
                return _parallel(node, inner, combiner_of(node, labels, self.aggregate_fn))
            case Choose():
                chooser = chooser_of(node, self.choose_fn)
                return _ordered_choice(inner) if chooser is None else _choice(inner, chooser)
            case Focus():
                return _calling("focus", _focus(node.lens, inner[0].ask))
            case LoopWhile():
                return _calling("loop", _loop(performing(node.predicate), inner[0].ask, node.max_iterations))
            case FailWith():
                return _fail(node.error)
            case Named():
                return _spanned(node.name, inner[0].ask)
            case _:
                return self._custom(node)

    def _custom(self, node: CustomNode) -> _Part:
        label = str(getattr(node, "label", None) or type(node).__name__)
        arrow = cast(object, node.compile(self.arrow))
        if not callable(arrow):
            raise InvalidArgument(
                f"the node {label} compiled to {arrow!r}: its method compile(compile_inner) has to answer a "
                "function from a state to a plan"
            )
        return _calling(label, cast(Arrow, arrow))


def _calling(label: str, arrow: Callable[[Any], Any], steps: tuple[_Part, ...] | None = None) -> _Part:
    return _Part(label, lambda state: Call(arrow(state)), steps)


def _named_arrow(part: _Part) -> Arrow:
    """The generator function of a part. Runs and branches are called by the name of the generator they perform."""
    ask = part.ask

    def arrow(state: Any) -> Running:
        return (yield ask(state))

    arrow.__name__ = arrow.__qualname__ = part.label
    return arrow


def _spanned(name: str, ask: Callable[[Any], Performs[Any, Any]]) -> _Part:
    return _Part(name, lambda state: Span(name, ask(state)))


def _fail(error: Exception) -> _Part:
    # Without the traceback of the run before, to which every further one would be added.
    return _Part("fail", lambda _: Fail(error.with_traceback(None)))


# Tasks.


def _task(action: Action, ctx: tuple[Any]) -> _Part:
    if action.monadic:
        raise InvalidArgument(
            f"the action {action.name!r} answers with a step of a monad: compile it with compile_to_kleisli, or "
            "register one that answers with the state"
        )
    name, fn, more = action.name, action.fn, ctx if action.takes_ctx else ()
    if action.kind == "plan":
        return _spanned(name, lambda state: fn(state, *more))
    if action.kind == "async":
        return _spanned(name, lambda state: Await(fn, (state, *more)))
    if action.kind == "inline":
        inline = performing(fn)
        return _spanned(name, lambda state: inline(state, *more))
    isolate = action.isolate

    def blocking(state: Any) -> Running:
        return state_of(fn, (yield Blocking(fn, (state, *more), EMPTY, isolate)))

    return _spanned(name, blocking)


# Composition.


def _sequence(inner: list[_Part]) -> _Part:
    steps = tuple([step for part in inner for step in ((part,) if part.steps is None else part.steps)])
    if len(steps) == 1:
        return steps[0]
    asks = tuple([step.ask for step in steps])

    def run(state: Any) -> Running:
        for ask in asks:
            state = yield ask(state)
        return state

    return _calling("sequence", run, steps)


def _focus(lens: Lens[Any, Any], ask: Ask) -> Arrow:
    def run(state: Any) -> Running:
        part = yield ask(lens.get(state))
        return lens.set(state, part)

    return run


def _loop(holds: Callable[..., Any], ask: Ask, most: int | None) -> Arrow:
    def run(state: Any) -> Running:
        rounds = 0
        while rounds != most and (yield from holds(state)):
            state = yield ask(state)
            rounds += 1
        return state

    return run


# Branches.


def _parallel(node: ParallelSpec, inner: list[_Part], combiner: Combiner) -> _Part:
    arrows = tuple(map(_named_arrow, inner))
    policy, seconds, partial = node.policy, node.timeout_s, node.partial
    combine, given = performing(combiner[0]), combiner[1]
    if policy is FIRST_COMPLETED:

        def racing(state: Any) -> Running:
            return (yield Concurrent(tuple([arrow(state) for arrow in arrows]), policy, timeout=seconds))

        return _calling("parallel", racing)
    if policy is ALL:

        def run_all(state: Any) -> Running:
            branches = tuple([arrow(state) for arrow in arrows])
            answers = yield Concurrent(branches, policy, timeout=seconds, partial=partial)
            finished = [(i, answer) for i, answer in enumerate(answers) if answer is not MISSING]
            return (yield from combine(*given(finished, state)))

        return _calling("parallel", run_all)
    # N_BEST and QUORUM answer with some of the results. Each carries its number, so that a conflict can be laid at
    # the right door.
    numbered = tuple([_numbered(i, part) for i, part in enumerate(inner)])
    n, score = (node.n, None) if policy is QUORUM else (node.n_best or 1, _of_result(node.score))

    def run_some(state: Any) -> Running:
        results = yield Concurrent(tuple([arrow(state) for arrow in numbered]), policy, n, score, seconds)
        if not results:
            raise PlanTimeout(
                f"{policy.combinator}: no branch had ended after {seconds:g} s", seconds=seconds or 0.0
            )
        return (yield from combine(*given(results, state)))

    return _calling("parallel", run_some)


def _numbered(number: int, part: _Part) -> Arrow:
    ask = part.ask

    def arrow(state: Any) -> Running:
        return number, (yield ask(state))

    arrow.__name__ = arrow.__qualname__ = part.label
    return arrow


def _of_result(score: Any) -> Callable[[tuple[int, Any]], Any]:
    return lambda result: score(result[1])


# Alternatives.


def _ordered_choice(inner: list[_Part]) -> _Part:
    asks = tuple([part.ask for part in inner])

    def run(state: Any) -> Running:
        failures: list[Exception] = []
        try:
            for ask in asks:
                try:
                    return (yield ask(state))
                except Misuse:
                    raise
                except Exception as error:
                    failures.append(error)
            raise all_failed(failures)
        finally:
            failures = []  # their tracebacks hold this frame

    return _calling("choose", run)


def _choice(inner: list[_Part], chooser: Callable[[list[Any]], Any]) -> _Part:
    arrows = tuple(map(_named_arrow, inner))
    choose = performing(chooser)

    def run(state: Any) -> Running:
        outcomes: list[Outcome] = yield Concurrent(tuple([arrow(state) for arrow in arrows]), SETTLE)
        results = [outcome.value for outcome in outcomes if isinstance(outcome, Ok)]
        if not results:
            raise all_failed([outcome.error for outcome in outcomes if isinstance(outcome, Err)])
        return chosen(results, (yield from choose(results)))

    return _calling("choose", run)
