"""A mypy plugin: effect rows as exact unions, and run errors that name the missing effects.

::

    [tool.mypy]
    plugins = ["lambdacat_effects.mypy"]

mypy gives a type variable that must hold several types their *join*: what is left of `Search | Publish | Store`
without `Search` is for it no longer `Publish | Store`, but `object`, unless an annotation says what it is. With the
plugin the rows are exact, as they are in pyright without one:

- `handlers.handle(plan)` and `catch(...)(plan)`: the row without what they answer;
- `parallel`, `race`, `settle`, `n_best` and `quorum` of `*plans`, and of many: the union of rows and answers;
- `handlers.run(plan)`, `.run_pure(plan)`: the message names the effects that nobody answers.

Each hook changes a signature before mypy checks the call. Where it does not understand what it sees, it leaves the
signature alone.
"""

# mypy's `copy_modified` has defaults of a type of their own, which pyright cannot know.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import NamedTuple, TypeAlias, TypeVar

from mypy.errorcodes import ARG_TYPE
from mypy.expandtype import expand_type
from mypy.maptype import map_instance_to_supertype
from mypy.messages import format_type
from mypy.nodes import ARG_POS, ARG_STAR, CallExpr, Expression, ListExpr, StarExpr, TupleExpr
from mypy.plugin import CheckerPluginInterface, FunctionSigContext, MethodSigContext, Plugin
from mypy.subtypes import is_subtype
from mypy.typeops import make_simplified_union
from mypy.types import (
    AnyType,
    CallableType,
    FunctionLike,
    Instance,
    ProperType,
    TupleType,
    Type,
    TypeOfAny,
    TypeVarId,
    TypeVarType,
    UninhabitedType,
    UnionType,
    flatten_nested_unions,
    get_proper_type,
    get_proper_types,
)

__all__ = ["Rows", "plugin"]

_EFFECTS = "lambdacat_effects.effects"
_EFFECT = f"{_EFFECTS}.effect.Effect"
_PERFORMS = f"{_EFFECTS}.effect.Performs"
_FAIL = f"{_EFFECTS}.failure.Fail"
_NEED = f"{_EFFECTS}.needs.Need"
_HANDLER = "lambdacat_effects.runtime.handler.Handler"
_GENERATOR = "typing.Generator"

_Ctx = TypeVar("_Ctx", FunctionSigContext, MethodSigContext)
_MethodHook: TypeAlias = Callable[[MethodSigContext], FunctionLike]


def plugin(version: str) -> type[Plugin]:  # noqa: ARG001  (mypy's protocol)
    """What mypy asks this module for."""
    return Rows


class Rows(Plugin):
    """The hooks, by the full name of what is called."""

    def get_method_signature_hook(self, fullname: str) -> _MethodHook | None:
        """For `handle`, `run`, `run_pure`, and the call of what `catch` makes."""
        return _METHODS.get(fullname)

    def get_function_signature_hook(
        self, fullname: str
    ) -> Callable[[FunctionSigContext], FunctionLike] | None:
        """For the combinators of many plans."""
        return _join_branches if fullname in _COMBINATORS else None


def _or_default(hook: Callable[[_Ctx], CallableType | None]) -> Callable[[_Ctx], FunctionLike]:
    """`hook`, with the unchanged signature for None, and for whatever another version of mypy may raise."""

    @wraps(hook)
    def guarded(ctx: _Ctx) -> FunctionLike:
        try:
            return hook(ctx) or ctx.default_signature
        except Exception:
            return ctx.default_signature

    return guarded


class _Performed(NamedTuple):
    row: list[ProperType]
    answer: Type


@_or_default
def _without_handled(ctx: MethodSigContext) -> CallableType | None:
    """`(Performs[handled | E2, A]) -> Plan[E2, A]`, with what is left of the argument's row for `E2`."""
    plan = _performed_by(ctx)
    if plan is None:
        return None
    handled = _expected_row(ctx.default_signature)
    left = [e for e in plan.row if isinstance(e, AnyType) or not _is_answered(e, handled)]
    exact = _expecting(ctx.default_signature, plan)
    ret = get_proper_type(exact.ret_type)
    assert isinstance(ret, Instance)
    return exact.copy_modified(ret_type=ret.copy_modified(args=[_union(left), *ret.args[1:]]))


@_or_default
def _covered(ctx: MethodSigContext) -> CallableType | None:
    """`run` and `run_pure`: if effects are missing, say which, in place of two long protocol types."""
    plan = _performed_by(ctx)
    if plan is None:
        return None
    answered = _expected_row(ctx.default_signature)
    missing = [e for e in plan.row if not _is_answered(e, answered)]
    if not missing:
        return None
    names = format_type(_union(missing), ctx.api.options)
    ctx.api.fail(f"No handler here answers {names}. {_advice(missing[0])}", ctx.context, code=ARG_TYPE)
    return _expecting(ctx.default_signature, plan)


@_or_default
def _join_branches(ctx: FunctionSigContext) -> CallableType | None:
    """`(*plans: Performs[E, A])`, with the unions of the branches' rows for `E` and of their answers for `A`."""
    sig, call = ctx.default_signature, ctx.context
    if ARG_STAR not in sig.arg_kinds or not isinstance(call, CallExpr):
        return None
    context = get_proper_type(ctx.api.type_context[-1])
    if isinstance(context, Instance) and context.type.fullname == _GENERATOR:
        return None  # the annotation decides, and may ask for something wider
    star = sig.arg_kinds.index(ARG_STAR)
    branches = [_performed(t) for t in _branches(ctx.api, zip(call.args, call.arg_kinds, strict=True))]
    performs = get_proper_type(sig.arg_types[star])
    if None in branches or not isinstance(performs, Instance):
        return None
    row = _union(effect for branch in branches if branch for effect in branch.row)
    answer = _union(branch.answer for branch in branches if branch)
    solved: dict[TypeVarId, Type] = {}
    for variable, solution in zip(get_proper_types(performs.args), (row, answer), strict=True):
        if not isinstance(variable, TypeVarType):
            return None
        solved[variable.id] = solution
    exact = _solve(sig, solved)
    # Every branch is known to be a plan, but of a list mypy would check the join of its items: so ask nothing more.
    types = [*exact.arg_types]
    types[star] = AnyType(TypeOfAny.implementation_artifact)
    return exact.copy_modified(arg_types=types)


def _performed_by(ctx: MethodSigContext) -> _Performed | None:
    """What the plan that a call is given performs."""
    if not ctx.args or len(ctx.args[0]) != 1:
        return None
    return _performed(ctx.api.get_expression_type(ctx.args[0][0]))


def _expected(sig: CallableType) -> Instance:
    """The first parameter's type, `Performs[row, A]`."""
    performs = get_proper_type(sig.arg_types[0])
    assert isinstance(performs, Instance)
    return performs


def _expected_row(sig: CallableType) -> list[ProperType]:
    """The row that the signature expects, without variables that mypy has yet to solve."""
    own = {v.id for v in sig.variables}
    return [e for e in _members(_expected(sig).args[0]) if not (isinstance(e, TypeVarType) and e.id in own)]


def _expecting(sig: CallableType, plan: _Performed) -> CallableType:
    """The signature for this plan alone."""
    performs = _expected(sig)
    row, answer = _union(plan.row), plan.answer
    own = {v.id for v in sig.variables}
    solved: dict[TypeVarId, Type] = {}
    for expected, solution in zip(performs.args, (row, answer), strict=True):
        for e in _members(expected):
            if isinstance(e, TypeVarType) and e.id in own:
                solved[e.id] = solution
    exact = _solve(sig, solved)
    return exact.copy_modified(arg_types=[performs.copy_modified(args=[row, answer]), *exact.arg_types[1:]])


def _solve(sig: CallableType, solved: dict[TypeVarId, Type]) -> CallableType:
    return expand_type(sig, solved).copy_modified(variables=[v for v in sig.variables if v.id not in solved])


def _performed(t: Type) -> _Performed | None:
    """The row and the answer of a plan or an effect; None of anything else."""
    t = get_proper_type(t)
    if isinstance(t, UnionType):
        parts = [_performed(item) for item in t.items]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return _Performed([e for part in known for e in part.row], _union(part.answer for part in known))
    if not isinstance(t, Instance):
        return None
    for base in t.type.mro:
        if base.fullname == _EFFECT:
            return _Performed([t], map_instance_to_supertype(t, base).args[0])
        if base.fullname in (_GENERATOR, _PERFORMS):
            args = map_instance_to_supertype(t, base).args
            return _Performed(_members(args[0]), args[-1])
    return None


def _branches(api: CheckerPluginInterface, arguments: Iterable[tuple[Expression, object]]) -> list[Type]:
    """The types of the branches in a call's positional arguments, with `*[...]` item by item."""
    types: list[Type] = []
    for argument, kind in arguments:
        if kind == ARG_POS:
            types.append(api.get_expression_type(argument))
        elif kind == ARG_STAR and isinstance(argument, (ListExpr, TupleExpr)):
            items = [(i.expr, ARG_STAR) if isinstance(i, StarExpr) else (i, ARG_POS) for i in argument.items]
            types.extend(_branches(api, items))
        elif kind == ARG_STAR:
            types.extend(_items(api.get_expression_type(argument)))
    return types


def _items(t: Type) -> Sequence[Type]:
    """What an iterable of this type gives."""
    t = get_proper_type(t)
    if isinstance(t, TupleType):
        return t.items
    assert isinstance(t, Instance)
    iterable = next(base for base in t.type.mro if base.fullname == "typing.Iterable")
    return map_instance_to_supertype(t, iterable).args


def _is_answered(effect: ProperType, answered: Sequence[ProperType]) -> bool:
    return any(is_subtype(effect, a) for a in answered)


def _members(t: Type) -> list[ProperType]:
    t = get_proper_type(t)
    return get_proper_types(flatten_nested_unions(t.items)) if isinstance(t, UnionType) else [t]


def _union(types: Iterable[Type]) -> Type:
    items = list(types)
    return make_simplified_union(items) if items else UninhabitedType()


def _advice(missing: ProperType) -> str:
    """How to have one effect answered."""
    if not isinstance(missing, Instance):
        return 'Compose one in with "|"'
    if missing.type.fullname == _FAIL:
        return 'Catch it, "catch(...)(plan)", or have it raised, "handlers | raising"'
    if missing.type.fullname == _NEED:
        return 'Compose it in, "handlers | supply(...)"'
    return f'Compose one in, as in "handlers | {missing.type.name}.by(...)"'


_COMBINATORS = frozenset(
    {
        f"{_EFFECTS}.parallelism.parallel",
        f"{_EFFECTS}.racing.race",
        f"{_EFFECTS}.settling.settle",
        f"{_EFFECTS}.concurrency.n_best",
        f"{_EFFECTS}.concurrency.quorum",
    }
)
_METHODS: dict[str, _MethodHook] = {
    f"{_HANDLER}.handle": _without_handled,
    f"{_EFFECTS}.failure.Catch.__call__": _without_handled,
    f"{_EFFECTS}.failure.Catch2.__call__": _without_handled,
    f"{_EFFECTS}.failure.Catch3.__call__": _without_handled,
    f"{_HANDLER}.run": _covered,
    f"{_HANDLER}.run_pure": _covered,
}
