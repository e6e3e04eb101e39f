"""Ambient effects: what a plan may always ask for, since every runner answers them.

Time, chance, names, notes and plain functions. `run` answers them live, `run_pure` from a virtual clock and a fixed
seed, a simulator from its own; a handler composed in overrides them. So a row may name them (and a handler may
replace them), but `run` does not insist that somebody provides them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, ParamSpec, TypeAlias, TypeVar, cast

from lambdacat_effects.effects.control import check_seconds
from lambdacat_effects.effects.effect import EMPTY, Effect, effect
from lambdacat_effects.errors import InvalidArgument

__all__ = [
    "Ambient",
    "AmbientEffect",
    "Await",
    "Blocking",
    "Count",
    "Isolate",
    "Level",
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

Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]
"""How much a note matters, as in `logging`."""

Isolate: TypeAlias = Literal["thread", "process"]
"""Where a synchronous function runs: in a worker thread, or in a worker process that its scope can kill."""


# A base class rather than a union of the eight: `run` takes rows of its own effects and these, and this way its type,
# which checkers quote in their messages, stays short.
class AmbientEffect(Effect[A]):
    """The base of the effects that every runner answers. For these eight only: a subclass of yours has no answer."""

    __slots__ = ()


Ambient: TypeAlias = AmbientEffect[Any]
"""The row label of plans that use any of the ambient effects."""


@effect
class Sleep(AmbientEffect[None]):
    """Wait for `seconds`, on the run's clock."""

    seconds: float

    def __attrs_post_init__(self) -> None:
        check_seconds("Sleep", self.seconds, optional=False)


@effect
class Now(AmbientEffect[float]):
    """The time, in seconds since the Unix epoch. It advances with the run's clock and never goes backwards."""


@effect
class Random(AmbientEffect[float]):
    """A number drawn uniformly from [0, 1)."""


@effect
class NewId(AmbientEffect[str]):
    """A new identifier, unique within all runs when live."""


@effect
class Log(AmbientEffect[None]):
    """Write a note for people: a message, a level (as in `logging`: "debug" to "critical") and fields."""

    message: str
    level: Level = "info"
    fields: Mapping[str, object] = EMPTY


def log(message: str, *, level: Level = "info", **fields: object) -> Log:
    """`Log`, with its fields as keyword arguments."""
    return Log(message, level, fields)


@effect
class Count(AmbientEffect[None]):
    """Add `amount` to the run's counter `name`."""

    name: str
    amount: float = 1


@effect
class Blocking(AmbientEffect[A]):
    """Run a plain function that may block. It is waited for when cancelled, or killed (`isolate="process"`)."""

    fn: Callable[..., A]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = EMPTY
    isolate: Isolate = "thread"

    def __repr__(self) -> str:
        return f"Blocking({_call_text(self.fn, self.args, self.kwargs)}, isolate={self.isolate!r})"


@effect
class Await(AmbientEffect[A]):
    """Call an async function and wait for it."""

    fn: Callable[..., Awaitable[A]]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = EMPTY

    def __repr__(self) -> str:
        return f"Await({_call_text(self.fn, self.args, self.kwargs)})"


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
