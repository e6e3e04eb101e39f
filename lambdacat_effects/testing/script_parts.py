"""Parts of a script: which effects are expected, how each is answered, and in which order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from types import CoroutineType, GeneratorType
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast, overload

import attrs

from lambdacat_effects.effects.ambient import Await
from lambdacat_effects.effects.control import Control
from lambdacat_effects.effects.effect import Effect, Performs
from lambdacat_effects.effects.tools import CallTool, Tool
from lambdacat_effects.errors import InvalidArgument, WrongHandlerKind
from lambdacat_effects.runtime.handler import step_of
from lambdacat_effects.runtime.table import ASYNC, GENERATOR, PLAIN, Key
from lambdacat_effects.testing.comparison import check_matcher, described, matches

__all__ = ["Answering", "On", "Part", "Progress", "check_parts", "in_any_order", "in_order", "on"]

A = TypeVar("A")
E = TypeVar("E", bound=Effect[Any])
E_co = TypeVar("E_co", bound=Effect[Any], covariant=True)

Answering: TypeAlias = Callable[[Any], Generator[Any, Any, Any]]
"""How an effect is answered: by a plan, as every way of answering can be written as one."""


class Part(ABC, Generic[E_co]):
    """A part of a script: an `on(...)`, or several in an order or in none. Immutable: scripts may share it."""

    __slots__ = ()

    @abstractmethod
    def begin(self) -> Progress:
        """A new walk through this part. For `script`, which does it once."""

    @abstractmethod
    def handled(self) -> set[Key]:
        """What a handler of the effects in this part dispatches on."""

    @property
    @abstractmethod
    def at_once(self) -> bool:
        """Whether it answers without performing or waiting for anything."""


class Progress(Protocol):
    """How far a run has come in a part."""

    def take(self, effect: Any) -> Answering | None:
        """What answers `effect`, which then is done with; None if it is not the turn of such an effect."""
        ...

    def left(self) -> list[str]:
        """What has yet to be asked."""
        ...

    def turn(self) -> list[On[Any, Any]]:
        """What may be asked now."""
        ...


@attrs.frozen
class _Outcome:
    """How an effect is answered: once, several times, or (`times` is None) as often as it is asked."""

    how: Answering
    text: str
    times: int | None = 1
    at_once: bool = True
    """Whether `how` performs no effects."""


@attrs.frozen(repr=False)
class On(Part[E_co], Generic[E_co, A]):
    """Which effects are expected, and how they are answered, in turn. Made by `on`.

    >>> from lambdacat_effects import Plan, Tools, tool
    >>> from lambdacat_effects.testing.scripts import script
    >>> @tool
    ... def search(query: str) -> list[str]: ...
    >>> def stubborn() -> Plan[Tools, list[str]]:
    ...     try:
    ...         return (yield from search("cats"))
    ...     except ConnectionError:
    ...         return (yield from search("cats"))
    >>> script(on(search("cats")).raises(ConnectionError()).answers(["a cat"])).run_pure(stubborn())
    ['a cat']
    """

    matcher: Any
    where: Callable[[Any], bool] | None = None
    outcomes: tuple[_Outcome, ...] = ()

    def answers(self, *values: A) -> On[E_co, A]:
        """Answer with these values, one for each time it is asked."""
        if not values:
            raise InvalidArgument("answers takes at least one value, one for each time the effect is asked")
        odd = (CoroutineType, GeneratorType)  # which no plain function may answer with, lest it is a mistake
        outcomes = [
            _Outcome(_constantly(v), f"answers {v!r}", at_once=not isinstance(v, odd)) for v in values
        ]
        return self._then(*outcomes)

    def calls(self, fn: Callable[[Any], Any]) -> On[E_co, A]:
        """Answer once with a function of the effect: a plain, an async, or a generator function, as for `by`.

        Raises `WrongHandlerKind` for anything else.
        """
        plain = step_of(fn).kind == PLAIN
        return self._then(_Outcome(_calling(fn), f"calls {_name(fn)}", at_once=plain))

    def raises(self, error: BaseException | type[BaseException]) -> On[E_co, A]:
        """Raise an exception, once, where the effect is asked."""
        cls: type[Any] = error if isinstance(error, type) else type(error)
        if not issubclass(cls, BaseException):
            raise InvalidArgument(f"raises takes an exception or a class of exceptions; got {error!r}")
        return self._then(_Outcome(_raising(error), f"raises {error!r}"))

    def times(self, n: int) -> On[E_co, A]:
        """Do the last of these `n` times, instead of once. Raises `InvalidArgument` unless `n` is at least 1."""
        if not isinstance(cast(object, n), int) or isinstance(n, bool) or n < 1:
            raise InvalidArgument(f"times takes a number of times, at least 1; got {n!r}")
        return self._repeated(n)

    def always(self) -> On[E_co, A]:
        """Do the last of these as often as it is asked, which may be never.

        >>> from lambdacat_effects import NewId, Plan
        >>> from lambdacat_effects.testing.scripts import script
        >>> def three() -> Plan[NewId, list[str]]:
        ...     return [(yield from NewId()), (yield from NewId()), (yield from NewId())]
        >>> script(on(NewId).answers("first", "then").always()).run_pure(three())
        ['first', 'then', 'then']
        """
        return self._repeated(None)

    def _then(self, *outcomes: _Outcome) -> On[E_co, A]:
        return attrs.evolve(self, outcomes=(*self.outcomes, *outcomes))

    def _repeated(self, times: int | None) -> On[E_co, A]:
        if not self.outcomes:
            raise InvalidArgument(f"{self!r} has no answer to repeat: write .answers(...) first")
        last = attrs.evolve(self.outcomes[-1], times=times)
        return attrs.evolve(self, outcomes=(*self.outcomes[:-1], last))

    def matches(self, effect: Any) -> bool:
        """Whether an effect is one of those expected here."""
        return matches(self.matcher, effect) and (self.where is None or self.where(effect))

    def begin(self) -> Progress:
        """A new walk through its answers."""
        if not self.outcomes:
            raise InvalidArgument(f"{self!r} has no answer: add .answers(...), .calls(...) or .raises(...)")
        return _Answering(self)

    def handled(self) -> set[Key]:
        """What a handler of these effects dispatches on. The class of a tool's call or of a need is among them, so
        that calls the script does not have are unexpected, too; handlers of single tools beside it keep theirs."""
        matcher = self.matcher
        if isinstance(matcher, Tool):
            return {CallTool, (CallTool, cast(object, matcher))}
        if isinstance(matcher, type):
            return {matcher}
        cls: type[Any] = type(cast(object, matcher))
        field: str | None = cls.dispatch_on
        return {cls} if field is None else {cls, (cls, getattr(matcher, field))}

    @property
    def at_once(self) -> bool:
        """Whether none of its answers is made by an async or generator function."""
        return all(outcome.at_once for outcome in self.outcomes)

    @property
    def expected(self) -> str:
        """Which effects are expected, in words."""
        where = "" if self.where is None else f" where {getattr(self.where, '__qualname__', self.where)}"
        return f"{described(self.matcher)}{where}"

    def __repr__(self) -> str:
        return f"on {self.expected}"


@overload
def on(asked: Performs[E, A]) -> On[E, A]: ...
@overload
def on(asked: Callable[..., Performs[E, A]], *, where: Callable[[E], bool] | None = None) -> On[E, A]: ...
def on(asked: Any, *, where: Callable[[Any], bool] | None = None) -> On[Any, Any]:
    """Expect an effect equal to this one, or any of a class, or any call of a tool; `where` narrows the last two.

    Say what answers it: `.answers(value, ...)`, `.calls(function)`, `.raises(error)`, one after the other for each
    time it is asked; `.times(n)` or `.always()` repeat the last.

    Raises `InvalidArgument` for anything else, and for the effects that the runtime itself interprets.

    >>> from lambdacat_effects import Sleep
    >>> from lambdacat_effects.testing.scripts import script
    >>> long = on(Sleep, where=lambda sleep: sleep.seconds > 60).raises(TimeoutError("too long"))
    >>> script(long).run_pure(Sleep(3600))
    Traceback (most recent call last):
        ...
    TimeoutError: too long
    """
    check_matcher("on", asked)
    cls = asked if isinstance(asked, type) else type(asked)
    if not isinstance(asked, (type, Effect, Tool)):
        raise InvalidArgument(
            f"on takes an effect, a class of effects or a tool; got {asked!r}: "
            "to expect by a function, write on(SomeEffect, where=function)"
        )
    if issubclass(cls, Control):
        raise InvalidArgument(
            f"{asked!r} is interpreted by the runtime and asked of nobody: expect the effects inside it"
        )
    if where is not None and isinstance(asked, Effect):
        raise InvalidArgument(f"where= narrows a class or a tool, and {asked!r} is one effect already")
    return On(asked, where)


@attrs.frozen
class _InOrder(Part[E_co]):
    parts: tuple[Part[E_co], ...]

    def begin(self) -> Progress:
        return _Sequence([part.begin() for part in self.parts])

    def handled(self) -> set[Key]:
        return {key for part in self.parts for key in part.handled()}

    @property
    def at_once(self) -> bool:
        return all(part.at_once for part in self.parts)


@attrs.frozen
class _InAnyOrder(Part[E_co]):
    parts: tuple[Part[E_co], ...]

    def begin(self) -> Progress:
        return _Interleaving([part.begin() for part in self.parts])

    def handled(self) -> set[Key]:
        return {key for part in self.parts for key in part.handled()}

    @property
    def at_once(self) -> bool:
        return all(part.at_once for part in self.parts)


def in_order(*parts: Part[E]) -> Part[E]:
    """These parts one after the other, as a part of a script: what one branch asks.

    >>> from lambdacat_effects import Now, Random, parallel
    >>> from lambdacat_effects.testing.scripts import script
    >>> branches = in_any_order(in_order(on(Now).answers(1.0), on(Now).answers(2.0)), on(Random).answers(0.5))
    >>> script(branches).run_pure(parallel(Now(), Random(), Now()))
    (1.0, 0.5, 2.0)
    """
    return _InOrder(check_parts("in_order", parts))


def in_any_order(*parts: Part[E]) -> Part[E]:
    """These parts in any order, interleaved as they come, as a part of a script. Where several fit an effect, the
    first of them answers.

    >>> from lambdacat_effects import Now, Random, parallel
    >>> from lambdacat_effects.testing.scripts import script
    >>> script(in_any_order(on(Random).answers(0.5), on(Now).answers(1.0))).run_pure(parallel(Now(), Random()))
    (1.0, 0.5)
    """
    return _InAnyOrder(check_parts("in_any_order", parts))


def check_parts(caller: str, parts: tuple[Part[E], ...]) -> tuple[Part[E], ...]:
    """The parts. Raises `InvalidArgument`, naming `caller`, if one of them is none."""
    for part in parts:
        if not isinstance(cast(object, part), Part):
            raise InvalidArgument(
                f"{caller} takes parts such as on(SomeEffect(...)).answers(...); got {part!r}"
            )
    return parts


class _Answering:
    """How far one `on` has been asked."""

    def __init__(self, on: On[Any, Any]) -> None:
        self.on = on
        self.number = 0
        self.given = 0

    def take(self, effect: Any) -> Answering | None:
        if self.number == len(self.on.outcomes) or not self.on.matches(effect):
            return None
        outcome = self.on.outcomes[self.number]
        self.given += 1
        if self.given == outcome.times:
            self.number, self.given = self.number + 1, 0
        return outcome.how

    def left(self) -> list[str]:
        left: list[str] = []
        given = self.given
        for outcome in self.on.outcomes[self.number :]:
            if outcome.times is not None:
                more = outcome.times - given
                left.append(
                    f"{self.on.expected}, which {outcome.text}{f', {more} times' if more > 1 else ''}"
                )
            given = 0
        return left

    def turn(self) -> list[On[Any, Any]]:
        return [] if self.number == len(self.on.outcomes) else [self.on]


class _Sequence:
    """How far parts in an order have been asked."""

    def __init__(self, parts: list[Progress]) -> None:
        self.parts = parts
        self.at = 0

    def take(self, effect: Any) -> Answering | None:
        for number in range(self.at, len(self.parts)):
            outcome = self.parts[number].take(effect)
            if outcome is not None:
                self.at = number
                return outcome
            if self.parts[number].left():
                return None
        return None

    def left(self) -> list[str]:
        return [line for part in self.parts[self.at :] for line in part.left()]

    def turn(self) -> list[On[Any, Any]]:
        turn: list[On[Any, Any]] = []
        for part in self.parts[self.at :]:
            turn += part.turn()
            if part.left():
                break
        return turn


class _Interleaving:
    """How far parts in no order have been asked."""

    def __init__(self, parts: list[Progress]) -> None:
        self.parts = parts

    def take(self, effect: Any) -> Answering | None:
        taken = (part.take(effect) for part in self.parts)
        return next((outcome for outcome in taken if outcome is not None), None)

    def left(self) -> list[str]:
        return [line for part in self.parts for line in part.left()]

    def turn(self) -> list[On[Any, Any]]:
        return [on for part in self.parts for on in part.turn()]


def _constantly(value: object) -> Answering:
    def give(_effect: Any) -> Generator[Any, Any, Any]:
        return value
        yield  # never reached: this only makes it a plan

    return give


def _raising(error: BaseException | type[BaseException]) -> Answering:
    def fail(_effect: Any) -> Generator[Any, Any, Any]:
        if isinstance(error, BaseException):
            raise error.with_traceback(None)  # else the traces of all askings would pile up on it
        raise error
        yield

    return fail


def _calling(fn: Callable[[Any], Any]) -> Answering:
    kind, call = step_of(fn)
    if kind == GENERATOR:
        return call

    def wait(effect: Any) -> Generator[Any, Any, Any]:
        return (yield from Await(call, (effect,)))

    def apply(effect: Any) -> Generator[Any, Any, Any]:
        answer = call(effect)
        if isinstance(answer, (CoroutineType, GeneratorType)):
            cast(Any, answer).close()
            raise WrongHandlerKind(
                f"the plain function {_name(fn)} of a script answered {effect!r} with a coroutine or a generator, "
                "not with a value: give the async or generator function itself"
            )
        return answer
        yield

    return wait if kind == ASYNC else apply


def _name(fn: object) -> str:
    return getattr(fn, "__qualname__", None) or repr(fn)
