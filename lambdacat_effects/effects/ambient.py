"""Ambient effects: what a plan may always ask for, since every runner answers them.

Time, chance, names, notes and plain functions. `run` answers them live, `run_pure` from a virtual clock and a fixed
seed, a simulator from its own; a handler composed in overrides them. So a row may name them (and a handler may
replace them), but `run` does not insist that somebody provides them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, ParamSpec, TypeAlias, TypeVar, cast

import attrs

from lambdacat_effects.effects.control import check_seconds
from lambdacat_effects.effects.effect import Effect, effect
from lambdacat_effects.errors import InvalidArgument

__all__ = [
    "Ambient",
    "Await",
    "Blocking",
    "Count",
    "Isolate",
    "Log",
    "NewId",
    "Now",
    "Random",
    "Sleep",
    "awaiting",
    "blocking",
    "check_isolate",
    "isolated",
    "log",
]

A = TypeVar("A")
P = ParamSpec("P")

Isolate: TypeAlias = Literal["thread", "process"]
"""Where a synchronous function runs: in a worker thread, or in a worker process that its scope can kill."""


@effect
class Sleep(Effect[None]):
    """Wait for `seconds`, on the run's clock."""

    seconds: float

    def __attrs_post_init__(self) -> None:
        check_seconds("Sleep", self.seconds)


@effect
class Now(Effect[float]):
    """The time, in seconds since the Unix epoch. It advances with the run's clock and never goes backwards."""


@effect
class Random(Effect[float]):
    """A number drawn uniformly from [0, 1)."""


@effect
class NewId(Effect[str]):
    """A new identifier, unique within all runs when live."""


@effect
class Log(Effect[None]):
    """Write a note for people: a message, a level (as in `logging`: "debug" to "critical") and fields."""

    message: str
    level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    fields: Mapping[str, object] = attrs.field(factory=dict)


def log(message: str, **fields: object) -> Log:
    """`Log` at level "info", with its fields as keyword arguments."""
    return Log(message, "info", fields)


@effect
class Count(Effect[None]):
    """Add `by` to the run's counter `name`."""

    name: str
    by: float = 1


@effect
class Blocking(Effect[A]):
    """Run a plain function that may block. It is waited for when cancelled, or killed (`isolate="process"`)."""

    fn: Callable[..., A]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = attrs.field(factory=dict)
    isolate: Isolate = "thread"

    def __repr__(self) -> str:
        return f"Blocking({_call_text(self.fn, self.args, self.kwargs)}, isolate={self.isolate!r})"


@effect
class Await(Effect[A]):
    """Call an async function and wait for it."""

    fn: Callable[..., Awaitable[A]]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = attrs.field(factory=dict)

    def __repr__(self) -> str:
        return f"Await({_call_text(self.fn, self.args, self.kwargs)})"


Ambient: TypeAlias = Sleep | Now | Random | NewId | Log | Count | Blocking[Any] | Await[Any]
"""The effects that every runner answers."""


def blocking(fn: Callable[P, A], *args: P.args, **kwargs: P.kwargs) -> Blocking[A]:
    """Run a plain function in a worker thread.

    A thread cannot be stopped: when the plan is cancelled or out of time, its scope *waits* for the function, so
    that no side effect lands after the run has returned. To be able to stop it, see `isolated`.
    """
    return Blocking(_checked(fn, "blocking"), args, kwargs)


def isolated(fn: Callable[P, A], *args: P.args, **kwargs: P.kwargs) -> Blocking[A]:
    """Run a plain function in a worker process that is killed with its scope, children included.

    Function, arguments and answer must be picklable, so the function must be importable by name. Raises
    `WorkerDied` if the process ends without an answer.
    """
    return Blocking(_checked(fn, "isolated"), args, kwargs, "process")


def awaiting(fn: Callable[P, Awaitable[A]], *args: P.args, **kwargs: P.kwargs) -> Await[A]:
    """Call an async function (Trio) and wait for it."""
    return Await(_checked(fn, "awaiting"), args, kwargs)


def check_isolate(isolate: object) -> None:
    """Raise `InvalidArgument` unless it is "thread" or "process"."""
    if isolate not in ("thread", "process"):
        raise InvalidArgument(f'isolate must be "thread" or "process"; got {isolate!r}')


def _checked(fn: Any, name: str) -> Any:
    if not callable(cast(object, fn)):
        raise InvalidArgument(f"{name} takes a function and its arguments; got {fn!r}")
    return fn


def _call_text(fn: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    given = [repr(a) for a in args] + [f"{k}={v!r}" for k, v in kwargs.items()]
    return f"{getattr(fn, '__qualname__', None) or repr(fn)}({', '.join(given)})"
