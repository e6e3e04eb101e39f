"""The nodes of a plan: frozen values that say what is to be done.

A plan is a tree of these nodes. Each stands for a function `State -> State` that may perform effects. Nodes check
their arguments when they are made; whether an action's name is known is found out when the plan is compiled, since
only then is there a registry.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any, ClassVar, Protocol, TypeAlias, cast, runtime_checkable

import attrs

from lambdacat_effects.algebra.lens import Lens, as_lens
from lambdacat_effects.algebra.monoid import Monoid
from lambdacat_effects.effects.concurrency import ALL, FIRST_COMPLETED, N_BEST, QUORUM, SETTLE, Policy
from lambdacat_effects.effects.control import check_seconds
from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.plan.functions import function_name

__all__ = [
    "Arrow",
    "Choose",
    "CustomNode",
    "FailWith",
    "Focus",
    "ForeignNode",
    "LoopWhile",
    "Named",
    "ParallelSpec",
    "PlanLike",
    "PlanNode",
    "Sequence",
    "Task",
    "as_node",
    "native",
]

Arrow: TypeAlias = Callable[[Any], Generator[Any, Any, Any]]
"""`State -> Plan[E, State]`: what a plan compiles to, a Kleisli arrow."""


@runtime_checkable
class CustomNode(Protocol):
    """A node of your own, accepted wherever a plan is.

    `compile` is called once for each `compile_plan`. `compile_inner` compiles the plans inside, under the same
    actions; the answer is a function from a state to something that can be performed. For rendering a node may have
    a `label` (a string) and `children` (plans).

    >>> from lambdacat_effects.plan import compile_plan
    >>> from lambdacat_effects.runtime import ambient
    >>> class Twice:
    ...     def __init__(self, plan):
    ...         self.children = (plan,)
    ...     def compile(self, compile_inner):
    ...         inner = compile_inner(self.children[0])
    ...         def run(state):
    ...             state = yield from inner(state)
    ...             return (yield from inner(state))
    ...         return run
    >>> ambient.run_pure(compile_plan(Twice("double"), {"double": lambda n: n * 2})(1))
    4
    """

    def compile(self, compile_inner: Callable[[Any], Arrow]) -> Callable[[Any], Any]: ...


class ForeignNode(Protocol):
    """A node from LambdaCat's own module: a dataclass `Task(name)`, `Sequence(items)`, `Parallel(items)`,
    `Choose(items)`, `Focus(lens, inner)` or `LoopWhile(predicate, body)`, known by its name and fields."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


PlanNode: TypeAlias = (
    "Task | Sequence | ParallelSpec | Choose | Focus | LoopWhile | FailWith | Named | CustomNode"
)
"""A node of a plan."""

PlanLike: TypeAlias = "PlanNode | ForeignNode | Callable[..., Any] | str"
"""Whatever builders take for a plan: a node, an action's name, or a function."""


def _nodes(plans: Iterable[PlanLike]) -> tuple[PlanNode, ...]:
    return tuple([as_node(plan) for plan in plans])


def _node(plan: PlanLike) -> PlanNode:
    return as_node(plan)


@attrs.frozen
class Task:
    """One action: registered under `name`, or carried along as `fn`."""

    name: str
    fn: Callable[..., Any] | None = None

    def __attrs_post_init__(self) -> None:
        _check_name("a task", self.name)
        if self.fn is not None:
            _check_function("task", "fn", self.fn)


@attrs.frozen
class Sequence:
    """One after the other, each given the state that the one before answered. Empty, it is the identity."""

    items: tuple[PlanNode, ...] = attrs.field(converter=_nodes)


@attrs.frozen
class ParallelSpec:
    """At the same time, all given the same state. What `parallel(...)` makes, and accepted wherever a plan is.

    Raises `InvalidArgument` for settings that are out of range or mean nothing under the policy.

    >>> from lambdacat_effects.effects import N_BEST
    >>> ParallelSpec(("web", "papers"), N_BEST, 1, 2.0, score=len).timeout_s
    2.0
    """

    branches: tuple[PlanNode, ...] = attrs.field(converter=_nodes)
    """The plans, in declared order."""
    policy: Policy = ALL
    """When they have done enough."""
    n_best: int | None = None
    """Under `N_BEST`: how many results to keep (1 unless given)."""
    timeout_s: float | None = None
    """A deadline in seconds."""
    n: int | None = attrs.field(default=None, kw_only=True)
    """Under `QUORUM`: how many must succeed."""
    score: Callable[[Any], Any] | None = attrs.field(default=None, kw_only=True)
    """Under `N_BEST`: state -> anything ordered, higher is better."""
    partial: bool = attrs.field(default=False, kw_only=True)
    """Under `ALL`: at the deadline go on with the branches that have finished."""
    combine: Callable[..., Any] | Monoid[Any] | None = attrs.field(default=None, kw_only=True)
    """How the results become one state; a three-way merge unless given."""

    def __attrs_post_init__(self) -> None:
        _check_parallel(self)


@attrs.frozen
class Choose:
    """Alternatives: the first that succeeds, or, with a chooser, the best of those that succeed."""

    items: tuple[PlanNode, ...] = attrs.field(converter=_nodes)
    choose_fn: Callable[[list[Any]], Any] | None = None
    by: Callable[[Any], Any] | None = None

    def __attrs_post_init__(self) -> None:
        if not self.items:
            raise InvalidArgument(
                "choose() of no plans can only fail: give at least one, or fail_with(error) to say so"
            )
        if self.choose_fn is not None and self.by is not None:
            raise InvalidArgument("choose() was given both choose_fn= and by=: give one of them")
        for role in ("choose_fn", "by"):
            if getattr(self, role) is not None:
                _check_function("choose", role, getattr(self, role))


@attrs.frozen
class Focus:
    """`inner` on the part of the state that `lens` looks at."""

    lens: Lens[Any, Any] = attrs.field(converter=as_lens)
    inner: PlanNode = attrs.field(converter=_node)


@attrs.frozen
class LoopWhile:
    """`body` again and again, while `predicate(state)` holds and at most `max_iterations` times."""

    predicate: Callable[[Any], Any]
    body: PlanNode = attrs.field(converter=_node)
    max_iterations: int | None = None

    def __attrs_post_init__(self) -> None:
        _check_function("loop_while", "predicate", self.predicate)
        if self.max_iterations is not None:
            _check_count("loop_while", "max_iterations", self.max_iterations, None, least=0)


@attrs.frozen
class FailWith:
    """Fails with `error`: the identity of ordered choice."""

    error: Exception

    def __attrs_post_init__(self) -> None:
        if not isinstance(cast(object, self.error), Exception):
            raise InvalidArgument(
                f"fail_with() takes an exception, such as ValueError(...); got {self.error!r}"
            )


@attrs.frozen
class Named:
    """`inner` as a part of the run that reports show under `name`. Tasks have their own name already."""

    name: str
    inner: PlanNode = attrs.field(converter=_node)

    def __attrs_post_init__(self) -> None:
        _check_name("named()", self.name)


_OURS = (Task, Sequence, ParallelSpec, Choose, Focus, LoopWhile, FailWith, Named)

_FOREIGN: dict[str, tuple[tuple[str, ...], Callable[..., Any]]] = {
    "Task": (("name",), Task),
    "Sequence": (("items",), Sequence),
    "Parallel": (("items",), ParallelSpec),
    "Choose": (("items",), Choose),
    "Focus": (("lens", "inner"), Focus),
    "LoopWhile": (("predicate", "body"), LoopWhile),
}


def as_node(plan: object) -> PlanNode:
    """The node for anything that builders take. Raises `InvalidArgument`.

    >>> as_node("parse")
    Task(name='parse', fn=None)
    """
    if isinstance(plan, _OURS):
        return plan
    if isinstance(plan, str):
        return Task(plan)
    # A foreign node stays as it is, and is read where the traversal meets it: to rebuild a whole foreign tree
    # here would take a Python frame for each of its levels.
    if _is_foreign(plan) or (hasattr(plan, "compile") and not isinstance(plan, type)):
        return cast(CustomNode, plan)
    if hasattr(plan, "gi_frame") or hasattr(plan, "cr_frame") or isinstance(plan, Effect):
        raise InvalidArgument(
            f"{plan!r} has begun already, and the DSL needs something that it can run for each "
            "state: give the function that makes it"
        )
    if callable(plan) and not hasattr(plan, "compile"):
        return Task(function_name(plan), plan)
    raise InvalidArgument(
        f"{plan!r} is no plan: give an action's name, a function of the state, a node made by sequence(), "
        "parallel(), ..., or an instance of a class with a method compile(compile_inner)"
    )


def _is_foreign(plan: object) -> bool:
    if isinstance(plan, type):
        return False
    fields, _ = _FOREIGN.get(type(plan).__name__, ((), None))
    return bool(fields) and all(hasattr(plan, field) for field in fields)


def native(node: Any) -> PlanNode:
    """A foreign node as one of ours; what is inside it stays foreign."""
    if isinstance(node, _OURS) or not _is_foreign(node):
        return cast("PlanNode", node)
    fields, make = _FOREIGN[type(node).__name__]
    return cast("PlanNode", make(*[getattr(node, field) for field in fields]))


def _check_parallel(spec: ParallelSpec) -> None:
    policy, size = spec.policy, len(spec.branches)
    if not isinstance(cast(object, policy), Policy) or policy is SETTLE:
        raise InvalidArgument(
            f"parallel() takes the policies ALL, FIRST_COMPLETED, N_BEST and QUORUM; got {policy!r}. "
            "To keep whatever succeeds, take N_BEST with n_best=, the number of branches"
        )
    if not size and policy is not ALL:
        raise InvalidArgument(f"parallel() of no plans has no answer under {policy.name}: give at least one")
    check_seconds("timeout_s", spec.timeout_s)
    for role, owner in (("n_best", N_BEST), ("score", N_BEST), ("n", QUORUM)):
        if getattr(spec, role) is not None and policy is not owner:
            raise InvalidArgument(
                f"parallel() was given {role}=, which belongs to {owner.name}, not {policy.name}"
            )
    if policy is N_BEST:
        if spec.n_best is not None:
            _check_count("parallel", "n_best", spec.n_best, size)
        _check_function("parallel", "score", spec.score)
    if policy is QUORUM:
        _check_count("parallel", "n", spec.n, size)
    if spec.partial and (policy is not ALL or spec.timeout_s is None):
        raise InvalidArgument(
            "partial=True says what ALL does at its deadline, so it needs ALL and timeout_s="
        )
    if spec.combine is not None and policy is FIRST_COMPLETED:
        raise InvalidArgument("FIRST_COMPLETED has one result, the winner's: there is nothing to combine")
    if spec.combine is not None and not isinstance(spec.combine, Monoid):
        _check_function("parallel", "combine", spec.combine)


def _check_count(where: str, role: str, value: object, most: int | None, least: int = 1) -> None:
    good = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if not good or (most is not None and cast(int, value) > most):
        limit = f"at least {least}" if most is None else f"between {least} and the number of branches, {most}"
        raise InvalidArgument(f"{where}() needs {role} {limit}; got {role}={value!r}")


def _check_function(where: str, role: str, value: object) -> None:
    if not callable(value):
        raise InvalidArgument(f"{where}() needs a function as {role}=; got {value!r}")


def _check_name(where: str, name: object) -> None:
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f"{where} needs a name that is a string and not empty; got {name!r}")
