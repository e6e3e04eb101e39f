"""Errors that a plan may expect: raised by `Fail`, listed in the row, removed from it by `catch`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Never, TypeVar, cast, overload

from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.effects.control import Call
from lambdacat_effects.effects.effect import Effect, Performs, Plan, effect, performable
from lambdacat_effects.errors import InvalidArgument, Misuse

__all__ = ["Catch", "Catch2", "Catch3", "Fail", "attempt", "catch", "fail"]

A = TypeVar("A")
E = TypeVar("E", bound=Effect[Any])
E2 = TypeVar("E2", bound=Effect[Any])
X = TypeVar("X", bound=Exception)
X1 = TypeVar("X1", bound=Exception)
X2 = TypeVar("X2", bound=Exception)
X3 = TypeVar("X3", bound=Exception)
X_co = TypeVar("X_co", bound=Exception, covariant=True)


@effect
class Fail(Effect[Never], Generic[X_co]):
    """Fail with an error that callers are expected to deal with. It is raised at the `yield`."""

    error: X_co


def fail(error: X) -> Plan[Fail[X], Never]:
    """Perform `Fail(error)`. Best as `return (yield from fail(error))`, whatever the plan answers.

    Type checkers know the answer to be `Never`, but not that nothing after a bare `yield from` of it is reached.
    """
    yield from Fail(error)
    raise AssertionError("unreachable")


class Catch(Generic[X]):
    """What `catch(X)` makes: applied to a plan, it answers an `X` instead of raising it."""

    __slots__ = ("types",)

    def __init__(self, *types: type[Any]) -> None:
        self.types: tuple[type[Any], ...] = types

    @overload
    def __call__(self, plan: Performs[Fail[X], A]) -> Plan[Never, A | X]: ...
    @overload
    def __call__(self, plan: Performs[Fail[X] | E2, A]) -> Plan[E2, A | X]: ...
    def __call__(self, plan: Performs[Any, A]) -> Plan[Any, A | X]:
        return _catching(self.types, performable(plan))


# One class for each number of types: with a single `Fail[X1 | X2]` pyright, which subtracts exact members from
# a union, would leave both in the row.
class Catch2(Generic[X1, X2]):
    """What `catch(X1, X2)` makes."""

    __slots__ = ("types",)

    def __init__(self, *types: type[Any]) -> None:
        self.types: tuple[type[Any], ...] = types

    @overload
    def __call__(self, plan: Performs[Fail[X1] | Fail[X2], A]) -> Plan[Never, A | X1 | X2]: ...
    @overload
    def __call__(self, plan: Performs[Fail[X1] | Fail[X2] | E2, A]) -> Plan[E2, A | X1 | X2]: ...
    def __call__(self, plan: Performs[Any, A]) -> Plan[Any, A | X1 | X2]:
        return _catching(self.types, performable(plan))


class Catch3(Generic[X1, X2, X3]):
    """What `catch(X1, X2, X3)` makes."""

    __slots__ = ("types",)

    def __init__(self, *types: type[Any]) -> None:
        self.types: tuple[type[Any], ...] = types

    @overload
    def __call__(
        self, plan: Performs[Fail[X1] | Fail[X2] | Fail[X3], A]
    ) -> Plan[Never, A | X1 | X2 | X3]: ...
    @overload
    def __call__(
        self, plan: Performs[Fail[X1] | Fail[X2] | Fail[X3] | E2, A]
    ) -> Plan[E2, A | X1 | X2 | X3]: ...
    def __call__(self, plan: Performs[Any, A]) -> Plan[Any, A | X1 | X2 | X3]:
        return _catching(self.types, performable(plan))


@overload
def catch(t1: type[X1], /) -> Catch[X1]: ...
@overload
def catch(t1: type[X1], t2: type[X2], /) -> Catch2[X1, X2]: ...
@overload
def catch(t1: type[X1], t2: type[X2], t3: type[X3], /) -> Catch3[X1, X2, X3]: ...
def catch(*types: type[Any]) -> Any:
    """Answer errors of these types instead of raising them, and remove their `Fail` from the row.

    `catch(NotFound)(plan)` answers what the plan answers, or the `NotFound`, however it was raised: by `Fail`, by
    a handler, or by branches of a `parallel`. Of an exception group it answers the first leaf (in declared order)
    when *every* leaf is of these types, with the group as its `__context__`; a group with anything else passes
    unchanged, so that no failure is lost.

    Raises `InvalidArgument` for something that is not an exception class.
    """
    for t in types:
        if not (isinstance(cast(object, t), type) and issubclass(t, Exception)):
            raise InvalidArgument(f"catch takes exception classes; got {t!r}")
        if issubclass(t, Misuse):
            raise InvalidArgument(
                f"{t.__name__} is a mistake in the program, not an outcome: mend it, don't catch it"
            )
    if not 1 <= len(types) <= 3:
        raise InvalidArgument(
            f"catch takes one to three exception classes; got {len(types)}. Nest it for more"
        )
    make = cast("Callable[..., Any]", (Catch, Catch2, Catch3)[len(types) - 1])
    return make(*types)


def _catching(types: tuple[type[Exception], ...], plan: Plan[Any, Any]) -> Plan[Any, Any]:
    try:
        return (yield from Call(plan))
    except ExceptionGroup as group:
        if isinstance(group, types):
            return group
        _, rest = group.split(types)
        if rest is not None:
            raise
        return _first_leaf(group)
    except types as error:
        return error


def _first_leaf(group: Exception) -> Exception:
    leaf = group
    while isinstance(leaf, ExceptionGroup):
        leaf = cast("ExceptionGroup[Exception]", leaf).exceptions[0]
    leaf.__context__ = group
    return leaf


def attempt(plan: Performs[E, A]) -> Plan[E, Ok[A] | Err[Exception]]:
    """Perform `plan` and answer how it ended: `Ok(value)` or `Err(error)`.

    Cancellation is not caught, nor is `Misuse`: a mistake in the program is no outcome of the plan.

    >>> from lambdacat_effects import Now, Ok, attempt, in_memory
    >>> in_memory().run_pure(attempt(Now()))
    Ok(value=0.0)
    """
    return _attempting(performable(plan))


def _attempting(plan: Plan[E, A]) -> Plan[Any, Ok[A] | Err[Exception]]:
    try:
        return Ok((yield from Call(plan)))
    except Misuse:
        raise
    except Exception as error:
        return Err(error)
