"""What long runs ask for: a person's answer, which code a run began with, and a fresh start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Never, ParamSpec, TypeVar, cast, overload

from lambdacat_effects.effects.ambient import AmbientEffect
from lambdacat_effects.effects.effect import EMPTY, Effect, Performs, effect, performable
from lambdacat_effects.errors import InvalidArgument

__all__ = ["Ask", "ContinueAsNew", "Continued", "Patched", "ask", "continue_as_new", "patched"]

A = TypeVar("A")
P = ParamSpec("P")


@effect
class Ask(Effect[A]):
    """Ask somebody outside the program: a person, an approval, another system."""

    question: str
    as_type: Any = str


@overload
def ask(question: str) -> Ask[str]: ...
@overload
def ask(question: str, *, as_type: type[A]) -> Ask[A]: ...
def ask(question: str, *, as_type: Any = str) -> Ask[Any]:
    """Ask somebody, and wait for the answer, of type `as_type`.

    A durable run is suspended meanwhile: its process may end, and an answer given later (`Durable.answer`, or
    `lambdacat answer`) lets it go on. Tests answer with `Ask.by(lambda question: ...)`.

    >>> from lambdacat_effects import Ask, ask
    >>> Ask.by(lambda asked: asked.question.endswith("?")).run_pure(ask("Send it?", as_type=bool))
    True
    """
    if not isinstance(cast(object, question), str) or not question:
        raise InvalidArgument(f"ask takes a question, a non-empty text; got {question!r}")
    return Ask(question, as_type)


@effect
class Patched(AmbientEffect[bool]):
    """Whether this run performs the new code of a change."""

    name: str


def patched(name: str) -> Patched:
    """True in a run that comes here for the first time, False in a durable one that went by before this line existed.
    A run decides once for each name, and keeps to that.

    It lets runs that are under way live through a deployment::

        if (yield from patched("ask the lawyer, too")):
            yield from ask("Is that legal?", as_type=bool)

    Keep the line as long as there are runs that decided False (`Durable.history` shows it). When none is left, remove
    it and keep its body: runs that decided True go on without it.
    """
    if not isinstance(cast(object, name), str) or not name:
        raise InvalidArgument(f"patched takes the name of a change, a non-empty text; got {name!r}")
    return Patched(name)


@effect
class ContinueAsNew(AmbientEffect[Never]):
    """End this plan, and let the run go on as another."""

    make: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = EMPTY


class Continued(BaseException):
    """The run's plan ends here, to go on as another: raised by the answer to `ContinueAsNew`, caught by the run."""

    def __init__(self, effect: ContinueAsNew) -> None:
        super().__init__(effect)
        self.effect: ContinueAsNew = effect

    def plan(self) -> Performs[Any, Any]:
        """The plan to go on with."""
        plan: Any = performable(self.effect.make(*self.effect.args, **self.effect.kwargs))
        return cast("Performs[Any, Any]", plan)


def continue_as_new(make: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> ContinueAsNew:
    """End this plan here, and go on as `make(*args, **kwargs)`, with nothing behind it.

    For runs without end: a durable one begins a new journal, so neither that nor memory grows. What the new plan
    answers is the run's answer. Only the run's own plan can do this, not a branch of a combinator.

    >>> from lambdacat_effects import ambient, continue_as_new
    >>> def count(n):
    ...     return n if n == 3 else (yield from continue_as_new(count, n + 1))
    >>> ambient.run_pure(count(0))
    3
    """
    if not callable(cast(object, make)):
        raise InvalidArgument(
            f"continue_as_new takes a function that makes a plan, and its arguments; got {make!r}"
        )
    return ContinueAsNew(make, args, kwargs)
