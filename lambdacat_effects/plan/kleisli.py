"""Plans in a monad: the same plan as a Kleisli arrow of pure values, without effects and without a runtime.

Where the handlers' interpretation raises, `RESULT` has an `Err` and `OPTION` has `NOTHING`; branches run one after
the other, as under `run_pure`. So a plan of plain actions can be checked against its own pure meaning.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from collections.abc import Sequence as SequenceOf
from typing import Any, TypeAlias, cast

from lambdacat_effects.algebra.kleisli import Kleisli, Monad
from lambdacat_effects.algebra.lens import Lens
from lambdacat_effects.algebra.monoid import Monoid
from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.effects.concurrency import ALL, FIRST_COMPLETED, N_BEST, QUORUM
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.plan.actions import Action, Actions
from lambdacat_effects.plan.compiler import arguments_in_order
from lambdacat_effects.plan.functions import function_name, kind_of
from lambdacat_effects.plan.merging import Combiner, all_failed, chooser_of, chosen, combiner_of
from lambdacat_effects.plan.nodes import (
    Choose,
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

__all__ = ["compile_to_kleisli"]

Arrow: TypeAlias = "Kleisli[Any, Any]"
Outcomes: TypeAlias = "tuple[Ok[Any] | Err[Any], ...]"


def compile_to_kleisli(
    plan: PlanLike | Actions | Mapping[str, Callable[..., Any]],
    actions: Actions | Mapping[str, Callable[..., Any]] | PlanLike | None,
    monad: Monad,
    ctx: object = None,
    *,
    choose_fn: Callable[[list[Any]], Any] | None = None,
    aggregate_fn: Callable[..., Any] | Monoid[Any] | None = None,
) -> Arrow:
    """Compile a plan to an arrow `State -> M[State]` of a monad. The other arguments are those of `compile_plan`.

    - Actions are plain functions, called in place, whatever `isolate` says. What they raise is a failure of the
      monad, or passes if the monad has none; one registered with `monadic=True` answers with a step of the monad.
    - `sequence` is Kleisli composition; a `parallel` runs its branches in declared order, under its policy, and
      combines; `choose` takes the first success; deadlines never pass, since nothing waits.
    - Failures are those of `compile_plan`: a failed `parallel` is an `ExceptionGroup`, a failed `choose` is
      `NoneSucceeded`. `Misuse` is raised, and never a value.

    Sequences of any length and loops run without recursion; nested nodes take a few Python frames a level.
    Raises `InvalidArgument` for what can only be performed: async and generator functions, and custom nodes.

    >>> from lambdacat_effects.algebra import RESULT
    >>> from lambdacat_effects.plan import sequence
    >>> arrow = compile_to_kleisli(sequence(int, abs), None, RESULT)
    >>> arrow.run("-3")
    Ok(value=3)
    >>> arrow.run("x")
    Err(error=ValueError("invalid literal for int() with base 10: 'x'"))
    """
    nodes, registry = arguments_in_order(plan, actions)
    compiler = _Compiler(Kleisli.identity(monad), registry, (ctx,), choose_fn, aggregate_fn)
    return fold(nodes, compiler.build)


class _Compiler:
    def __init__(
        self, identity: Arrow, actions: Actions, ctx: tuple[Any], choose_fn: Any, aggregate_fn: Any
    ) -> None:
        self.identity = identity
        self.monad = identity.monad
        self.actions = actions
        self.ctx = ctx
        self.choose_fn = choose_fn
        self.aggregate_fn = aggregate_fn

    def build(self, node: PlanNode, inner: list[Arrow]) -> Arrow:
        return (
            Kleisli(self.monad, self.run(node, inner))
            if not isinstance(node, Sequence)
            else self.sequence(inner)
        )

    def sequence(self, inner: list[Arrow]) -> Arrow:
        return functools.reduce(Kleisli[Any, Any].then, inner) if inner else self.identity

    def run(self, node: PlanNode, inner: list[Arrow]) -> Callable[[Any], Any]:
        monad, runs = self.monad, [arrow.run for arrow in inner]
        match node:
            case Task():
                return _task(monad, self.actions.resolve(node), self.ctx)
            case ParallelSpec():
                labels = [f"branch {i}" for i in range(len(inner))]
                combiner = combiner_of(node, labels, self.aggregate_fn)
                _plain("combine", combiner[0])
                return _parallel(monad, node, runs, combiner)
            case Choose():
                return _choice(monad, runs, chooser_of(node, self.choose_fn))
            case Focus():
                return _focus(monad, node.lens, runs[0])
            case LoopWhile():
                _plain("predicate", node.predicate)
                return _loop(monad, node.predicate, runs[0], node.max_iterations)
            case FailWith():
                error = node.error.with_traceback(None)
                return lambda _: _failed(monad, error)
            case Named():
                return runs[0]
            case _:
                raise InvalidArgument(
                    f"the node {node!r} compiles to a plan, not to a step of {monad!r}: use compile_plan"
                )


def _plain(role: str, fn: Callable[..., Any]) -> None:
    if kind_of(fn) in ("async", "plan"):
        raise InvalidArgument(
            f"the {role} {function_name(fn)} has to be performed, and a monad only calls plain functions: "
            "use compile_plan"
        )


def _task(monad: Monad, action: Action, ctx: tuple[Any]) -> Callable[[Any], Any]:
    _plain("action", action.fn)
    fn, more = action.fn, ctx if action.takes_ctx else ()
    if action.monadic:
        return lambda state: monad.bind(monad.attempt(lambda: fn(state, *more)), lambda step: step)
    return lambda state: monad.attempt(lambda: fn(state, *more))


def _focus(monad: Monad, lens: Lens[Any, Any], run: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def focused(state: Any) -> Any:
        changed = monad.bind(monad.attempt(lambda: lens.get(state)), run)
        return monad.bind(changed, lambda part: monad.attempt(lambda: lens.set(state, part)))

    return focused


class _Turn:
    """One round of a loop. A strict monad calls what it is bound to at once; a lazy one (`STATE`) when it is run."""

    def __init__(self) -> None:
        self.strict = True
        self.again = False


def _loop(
    monad: Monad, predicate: Callable[[Any], Any], run: Callable[[Any], Any], most: int | None
) -> Callable[[Any], Any]:
    # Neither kind of monad recurses: a strict one is iterated here; in a lazy one the rest of the loop is the
    # continuation, and `State` runs chains of those without recursion.
    def loop(state: Any, rounds: int) -> Any:
        m = monad.pure(state)
        while rounds != most:
            turn = _Turn()
            m = monad.bind(m, functools.partial(body, rounds + 1, turn))
            turn.strict = False
            if not turn.again:
                break
            rounds += 1
        return m

    def body(rounds: int, turn: _Turn, state: Any) -> Any:
        def go(holds: Any) -> Any:
            if not holds:
                return monad.pure(state)
            turn.again = True
            return run(state) if turn.strict else monad.bind(run(state), lambda after: loop(after, rounds))

        return monad.bind(monad.attempt(lambda: predicate(state)), go)

    return lambda state: loop(state, 0)


def _outcomes(
    monad: Monad, runs: SequenceOf[Callable[[Any], Any]], state: Any, enough: Callable[[Outcomes], bool]
) -> Any:
    """`M[Outcomes]`: how the branches end, one after the other, until that is enough."""

    def next_branch(run: Callable[[Any], Any]) -> Callable[[Outcomes], Any]:
        def step(so_far: Outcomes) -> Any:
            if enough(so_far):
                return monad.pure(so_far)
            return monad.bind(_settled(monad, run(state)), lambda outcome: monad.pure((*so_far, outcome)))

        return step

    return functools.reduce(lambda m, run: monad.bind(m, next_branch(run)), runs, monad.pure(()))


def _settled(monad: Monad, m: Any) -> Any:
    """`M[A] -> M[Ok[A] | Err]`, which does not fail. A monad that keeps no errors has a blank one."""
    if isinstance(m, Err):
        return monad.pure(cast("Err[Exception]", m))
    return monad.or_else(
        monad.bind(m, lambda value: monad.pure(Ok(value))), lambda: monad.pure(Err(Exception("no value")))
    )


def _failed(monad: Monad, error: Exception) -> Any:
    return monad.attempt(lambda: Err(error).unwrap())


def _choice(
    monad: Monad, runs: SequenceOf[Callable[[Any], Any]], chooser: Callable[[list[Any]], Any] | None
) -> Callable[[Any], Any]:
    pick: Any = chooser
    if chooser is not None:
        _plain("choose_fn", chooser)

    def enough(so_far: Outcomes) -> bool:
        return chooser is None and any(outcome.is_ok for outcome in so_far)

    def conclude(outcomes: Outcomes) -> Any:
        results = [outcome.value for outcome in outcomes if isinstance(outcome, Ok)]
        if not results:
            return _failed(
                monad, all_failed([outcome.error for outcome in outcomes if isinstance(outcome, Err)])
            )
        if chooser is None:
            return monad.pure(results[0])
        return monad.attempt(lambda: chosen(results, pick(results)))

    return lambda state: monad.bind(_outcomes(monad, runs, state, enough), conclude)


def _parallel(
    monad: Monad, node: ParallelSpec, runs: SequenceOf[Callable[[Any], Any]], combiner: Combiner
) -> Callable[[Any], Any]:
    policy, total = node.policy, len(runs)
    wanted = total if policy is ALL else 1 if policy is FIRST_COMPLETED else node.n or 1
    combine, given = combiner

    def enough(so_far: Outcomes) -> bool:
        succeeded = sum(outcome.is_ok for outcome in so_far)
        if policy is N_BEST:
            return False
        return succeeded == wanted or total - (len(so_far) - succeeded) < wanted

    def concluded(outcomes: Outcomes, state: Any) -> Any:
        results = [(i, outcome.value) for i, outcome in enumerate(outcomes) if isinstance(outcome, Ok)]
        failures = [outcome.error for outcome in outcomes if isinstance(outcome, Err)]
        if (not results and failures) or (policy in (ALL, QUORUM) and len(results) < wanted):
            raise ExceptionGroup(f"{policy.combinator}: {len(failures)} of {total} branches failed", failures)
        if policy is FIRST_COMPLETED:
            return results[0][1]
        if policy is N_BEST:
            score: Any = node.score
            results = sorted(results, key=lambda r: score(r[1]), reverse=True)[: node.n_best or 1]
        return combine(*given(results, state))

    return lambda state: monad.bind(
        _outcomes(monad, runs, state, enough),
        lambda outcomes: monad.attempt(lambda: concluded(outcomes, state)),
    )
