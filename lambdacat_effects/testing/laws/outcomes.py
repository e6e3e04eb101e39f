"""How programs end under a handler: values that can be compared, since two equal exceptions are never `==`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import attrs
import trio

from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.effects.effect import Effect, Performs
from lambdacat_effects.errors import InvalidArgument, Misuse, NotPure, UnhandledEffect
from lambdacat_effects.runtime.handler import Handler

__all__ = ["Answered", "Outcome", "Program", "Raised", "comparable", "on_trio", "on_trio_at_once", "purely"]

Program: TypeAlias = "Effect[Any] | Callable[[], Performs[Any, Any]]"
"""What can be performed more than once: an effect, or a function without arguments that makes a plan."""


@attrs.frozen
class Answered:
    """A program that ended with an answer."""

    value: Any
    """The answer, as `comparable` has it."""

    def __repr__(self) -> str:
        return f"answered {self.value!r}"


@attrs.frozen
class Raised:
    """A program that ended with an exception; also one within an answer. Equal by type, arguments and members."""

    type: type[BaseException]
    """Its class."""
    args: tuple[Any, ...]
    """Its arguments, as `comparable` has them; of a group, its message."""
    members: tuple[Raised, ...] = ()
    """What a group holds, in order."""

    def __repr__(self) -> str:
        given = ", ".join(
            [*map(repr, self.args), *([f"[{', '.join(map(repr, self.members))}]"] * bool(self.members))]
        )
        return f"raised {self.type.__qualname__}({given})"


Outcome: TypeAlias = Answered | Raised
"""How one program ended."""


def comparable(value: Any) -> Any:
    """`value`, in which each exception is a `Raised`, also within tuples, lists, dicts and results.

    >>> comparable(ValueError("no")) == comparable(ValueError("no"))
    True
    """
    if isinstance(value, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", value)
        return Raised(type(group), (group.message,), tuple(map(comparable, group.exceptions)))
    if isinstance(value, BaseException):
        return Raised(type(value), comparable(value.args))
    if issubclass(type(value), Ok):
        return Ok(comparable(value.value))
    if issubclass(type(value), Err):
        return comparable(value.error)
    if type(value) in (tuple, list):
        return type(value)(map(comparable, value))
    if type(cast(object, value)) is dict:
        return {key: comparable(held) for key, held in value.items()}
    return value


def purely(handlers: Handler[Any], programs: Sequence[Program]) -> list[Outcome]:
    """How each of `programs` ends under `run_pure`, one after the other, so that what the handler keeps carries over.

    Raises `InvalidArgument` if the handler would have to wait. Mistakes in the programs (`Misuse`) pass.
    """
    outcomes: list[Outcome] = []
    for program in programs:
        try:
            outcomes.append(Answered(comparable(handlers.run_pure(_fresh(program)))))
        except Exception as error:
            outcomes.append(_raised(error))
    return outcomes


def on_trio(
    handlers: Handler[Any], programs: Sequence[Program], clock: trio.abc.Clock | None = None
) -> list[Outcome]:
    """How each of `programs` ends under `run`, one after the other, in an event loop of its own.

    Raises `InvalidArgument` inside of an event loop. Mistakes in the programs (`Misuse`) pass.
    """
    if trio.lowlevel.in_trio_run():
        raise InvalidArgument(
            "a law that performs programs on Trio was checked inside of an event loop. "
            "Check it in a plain test: `def test_...`, not `async def`."
        )

    async def performing() -> list[Outcome]:
        outcomes: list[Outcome] = []
        for program in programs:
            try:
                outcomes.append(Answered(comparable(await handlers.run(_fresh(program)))))
            except Exception as error:
                outcomes.append(_raised(error))
        return outcomes

    return trio.run(performing, clock=clock)


def on_trio_at_once(handlers: Handler[Any], programs: Sequence[Program]) -> list[Outcome]:
    """As `on_trio`, in virtual time: sleeping takes none. Not for what waits for threads, or for the world."""
    from trio.testing import MockClock  # loads pytest, where there is one

    return on_trio(handlers, programs, MockClock(autojump_threshold=0))


def _fresh(program: Any) -> Performs[Any, Any]:
    # What is neither effect nor plan, `run` refuses.
    made: Any = cast(Any, program)() if callable(program) else program
    return cast("Performs[Any, Any]", made)


def _raised(error: Exception) -> Raised:
    if isinstance(error, NotPure):
        raise InvalidArgument(
            f"a handler has to wait: {error}. Give live=True, or compare it with an in-memory model."
        ) from error
    # These two are what a handler says of an effect; any other mistake would make both sides equal for no reason.
    if isinstance(error, Misuse) and not isinstance(error, (UnhandledEffect, InvalidArgument)):
        raise error
    return cast(Raised, comparable(error))
