"""Control effects: what the runtime itself interprets.

They are in nobody's row, since every runner answers them and no handler can: a row lists what must be *provided*.
Users meet them through combinators (`call`, `span`, `shielded`, `timeout`, `parallel`, ...).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from lambdacat_effects.effects.effect import EMPTY, Effect, Performs, Plan, effect, performable
from lambdacat_effects.errors import InvalidArgument

__all__ = [
    "Call",
    "Control",
    "Handled",
    "Shielded",
    "Span",
    "Timeout",
    "call",
    "check_seconds",
    "named_span",
    "perform",
    "shielded",
    "span",
    "timeout",
]

A = TypeVar("A")
E = TypeVar("E", bound=Effect[Any])


class Control(Effect[A]):
    """The base of effects that the runtime interprets itself."""

    __slots__ = ()

    def title(self) -> str:
        return type(self).__name__.lower()


@effect
class Call(Control[A]):
    """Perform `plan` on the interpreter's own stack."""

    plan: Performs[Any, A]


@effect
class Handled(Control[A]):
    """Perform `plan` with `handler` in force around it."""

    handler: Any
    plan: Performs[Any, A]


@effect
class Span(Control[A]):
    """Perform `plan` as a named part of the run."""

    name: str
    plan: Performs[Any, A]
    attributes: Mapping[str, object] = EMPTY

    def title(self) -> str:
        return self.name


@effect
class Shielded(Control[A]):
    """Perform `plan` out of reach of cancellation."""

    plan: Performs[Any, A]


@effect
class Timeout(Control[A]):
    """Perform `plan`, at most `seconds` long."""

    seconds: float
    plan: Performs[Any, A]
    rest: float | None = None
    """What is left of the `seconds`, in a run that was resumed in between."""

    @property
    def left(self) -> float:
        """How long it may take from now on."""
        return self.seconds if self.rest is None else self.rest


def perform(control: Control[Any]) -> Plan[Any, Any]:
    """The plan that performs one control effect. Untyped on purpose: combinators state the types."""
    return cast("Plan[Any, Any]", iter(control))


def check_seconds(name: str, seconds: float | None, *, optional: bool = True) -> None:
    """Raise `InvalidArgument` unless `seconds` is a duration (or None, for no limit)."""
    if seconds is None and optional:
        return
    if type(seconds) in (float, int) and cast(float, seconds) > 0:  # for `Sleep`, which is often made
        return
    number = isinstance(cast(object, seconds), (int, float)) and not isinstance(cast(object, seconds), bool)
    if not number or math.isnan(cast(float, seconds)) or cast(float, seconds) < 0:
        raise InvalidArgument(f"{name} must be a number of seconds, at least 0; got {seconds!r}")


def call(plan: Performs[E, A]) -> Plan[E, A]:
    """Delegate to `plan` through the interpreter's stack instead of Python's.

    `yield from plan` costs O(depth) for each effect and meets the recursion limit near 1,000 levels; `call` costs
    the same at any depth, and 100,000 levels are fine. Use it for recursive plans.

    >>> from lambdacat_effects import Plan, Log, call, in_memory
    >>> def countdown(n: int) -> Plan[Log, int]:
    ...     return 0 if n == 0 else 1 + (yield from call(countdown(n - 1)))
    >>> in_memory().run_pure(countdown(10_000))
    10000
    """
    return perform(Call(performable(plan)))


def span(name: str, plan: Performs[E, A], **attributes: object) -> Plan[E, A]:
    """Perform `plan` as a part of the run that reports, timelines and traces show under `name`."""
    return named_span(name, plan, attributes)


def named_span(name: str, plan: Performs[E, A], attributes: Mapping[str, object]) -> Plan[E, A]:
    """`span`, for attributes that are in a mapping already."""
    if not isinstance(cast(object, name), str) or not name:
        raise InvalidArgument(f"a span needs a name; got {name!r}")
    return perform(Span(name, performable(plan), attributes))


def shielded(plan: Performs[E, A]) -> Plan[E, A]:
    """Perform `plan` out of reach of cancellation and deadlines from outside.

    For clean-up in `finally`: a cancelled plan's further effects are refused where they would wait, as in Trio,
    unless they are shielded. Keep it short: the scope that was cancelled waits for it.
    """
    return perform(Shielded(performable(plan)))


def timeout(seconds: float, plan: Performs[E, A]) -> Plan[E, A]:
    """Perform `plan`, at most `seconds` long.

    Raises `PlanTimeout` when the time is up, after the plan has been cancelled and its clean-up has finished, and
    `InvalidArgument` for a negative or missing number.
    """
    if cast(object, seconds) is None:
        raise InvalidArgument("timeout needs a number of seconds; without a limit, perform the plan itself")
    check_seconds("timeout", seconds)
    return perform(Timeout(seconds, performable(plan)))
