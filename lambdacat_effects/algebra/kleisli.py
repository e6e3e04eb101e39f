"""Monads as values, and Kleisli arrows: functions `A -> M[B]` that compose.

A monad is lawful when, for all `a`, `m`, `f`, `g`::

    bind(pure(a), f) == f(a)                                        left identity
    bind(m, pure) == m                                              right identity
    bind(bind(m, f), g) == bind(m, lambda x: bind(f(x), g))         associativity

Then its arrows are a category: `>>` is associative, and `Kleisli.identity` changes nothing on either side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import attrs

from lambdacat_effects.algebra.monoid import Monoid
from lambdacat_effects.algebra.option import NOTHING, Nothing, Some
from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.algebra.state import State
from lambdacat_effects.algebra.writer import Writer
from lambdacat_effects.errors import InvalidArgument, Misuse

__all__ = ["IDENTITY", "OPTION", "RESULT", "STATE", "Kleisli", "Monad", "writer_monad"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


def _keep_first(m: Any, _make_other: Callable[[], Any]) -> Any:
    return m


@attrs.frozen(repr=False)
class Monad:
    """How steps of one kind follow each other. Two are equal if their name and functions are.

    Python's types cannot say `M[A]` for any `M`, so the functions here take and give `Any`; the methods of
    `Some`, `Ok`, `Writer` and `State` are typed. Raises `InvalidArgument` if a function cannot be called, or
    if the name is empty.

    >>> many = Monad("many", lambda a: [a], lambda m, f: [b for a in m for b in f(a)])
    >>> many.bind([1, 2], lambda n: [n, n * 10])
    [1, 10, 2, 20]
    """

    name: str
    """What messages call it."""
    pure: Callable[[Any], Any]
    """`A -> M[A]`: a bare value as a step that does nothing else."""
    bind: Callable[[Any, Callable[[Any], Any]], Any]
    """`(M[A], A -> M[B]) -> M[B]`: a step, then the one made from its value."""
    or_else: Callable[[Any, Callable[[], Any]], Any] = _keep_first
    """`(M[A], () -> M[A]) -> M[A]`: the first success; the first, in a monad that has no failures."""
    failed: Callable[[Exception], Any] | None = None
    """`Exception -> M[A]`: how a failed step is written; `None` in a monad that has no failures."""

    def __attrs_post_init__(self) -> None:
        if type(self.name) is not str or not self.name:
            raise InvalidArgument(
                f"Monad() was given the name {self.name!r}. Give a string that is not empty."
            )
        for role in ("pure", "bind", "or_else", "failed"):
            function: object = getattr(self, role)
            if not callable(function) and (role, function) != ("failed", None):
                raise InvalidArgument(
                    f"Monad({self.name!r}, ...) was given {role}={function!r}. Give a function."
                )

    def attempt(self, thunk: Callable[[], object]) -> Any:
        """What `thunk()` answers, as a step; what it raises, as a failed step if the monad has those.

        In `RESULT` an `Exception` becomes `Err`, in `OPTION` it becomes `NOTHING`, in the others it passes.
        `Misuse` always passes: the program is wrong, and the next alternative would only hide it.

        >>> RESULT.attempt(lambda: int("x"))
        Err(error=ValueError("invalid literal for int() with base 10: 'x'"))
        """
        try:
            value = thunk()
        except Misuse:
            raise
        except Exception as error:
            if self.failed is None:
                raise
            return self.failed(error)
        return self.pure(value)

    def __repr__(self) -> str:
        return self.name


# Classes, not closures: two monads built alike must be equal, or their arrows could not be composed.
@attrs.frozen(repr=False)
class _Then:
    """The method `then` as a `bind` that says so when it meets a step of another kind."""

    name: str
    kinds: tuple[type, ...]

    def __call__(self, m: Any, f: Callable[[Any], Any]) -> Any:
        return self._checked(self._checked(m, "bind was given").then(f), f"{f!r} answered with")

    def _checked(self, m: Any, what: str) -> Any:
        if isinstance(m, self.kinds):
            return m
        expected = " or ".join(kind.__name__ for kind in self.kinds)
        raise InvalidArgument(
            f"in the monad {self.name}, {what} {m!r}, which is no {expected}. "
            "Return a step of this monad; for a bare value use its pure(value)."
        )


@attrs.frozen(repr=False)
class _WriterPure:
    monoid: Monoid[Any]

    def __call__(self, value: Any) -> Writer[Any, Any]:
        return Writer(value, self.monoid.empty, self.monoid)


def _apply(a: Any, f: Callable[[Any], Any]) -> Any:
    return f(a)


def _itself(a: Any) -> Any:
    return a


def _or_else(m: Any, make_other: Callable[[], Any]) -> Any:
    return m.or_else(make_other)


def _nothing(_: Exception) -> Nothing:
    return NOTHING


IDENTITY = Monad("IDENTITY", _itself, _apply)
"""Bare values: `bind` is calling the function."""

OPTION = Monad("OPTION", Some, _Then("OPTION", (Some, Nothing)), _or_else, _nothing)
"""`Some` or `NOTHING`: stops at the first absent value."""

RESULT = Monad("RESULT", Ok, _Then("RESULT", (Ok, Err)), _or_else, Err)
"""`Ok` or `Err`: stops at the first error."""

STATE = Monad("STATE", State.pure, _Then("STATE", (State,)))
"""`State`: threads a state through."""


def writer_monad(monoid: Monoid[Any]) -> Monad:
    """The monad of `Writer`s whose logs `monoid` combines.

    Raises `InvalidArgument` if `monoid` is no `Monoid`.

    >>> from lambdacat_effects.algebra.monoid import LIST
    >>> writer_monad(LIST).pure(3).log
    []
    """
    _require(monoid, Monoid, "writer_monad()", "Give a Monoid, such as LIST or STRING.")
    name = f"writer_monad({monoid!r})"
    return Monad(name, _WriterPure(monoid), _Then(name, (Writer,)))


@attrs.frozen
class Kleisli(Generic[A, B]):
    """An arrow `A -> M[B]` of one monad: `run` is that function.

    Sequences of thousands of arrows run without recursion. Raises `InvalidArgument` if `monad` is no `Monad`
    or `run` cannot be called.

    >>> half = Kleisli(OPTION, lambda n: Some(n // 2) if n % 2 == 0 else NOTHING)
    >>> (half >> half).run(12), (half >> half).run(6)
    (Some(value=3), NOTHING)
    """

    monad: Monad
    """The monad of the answers."""
    run: Callable[[A], Any]
    """`A -> M[B]`: what the arrow does."""

    def __attrs_post_init__(self) -> None:
        _require(self.monad, Monad, "Kleisli()", "Give a Monad, such as RESULT.")
        if not callable(self.run):
            raise InvalidArgument(
                f"Kleisli({self.monad!r}, ...) was given {self.run!r}. Give a function; for a constant, "
                "write Kleisli.lift(monad, lambda _: value)."
            )

    @staticmethod
    def identity(monad: Monad) -> Kleisli[Any, Any]:
        """The arrow that changes nothing: `pure`.

        >>> Kleisli.identity(OPTION).run(3)
        Some(value=3)
        """
        _require(monad, Monad, "Kleisli.identity()", "Give a Monad, such as RESULT.")
        return Kleisli(monad, monad.pure)

    @staticmethod
    def lift(monad: Monad, f: Callable[[A], B]) -> Kleisli[A, B]:
        """A plain function as an arrow: `pure` after `f`. What `f` raises passes; for a function that may fail,
        write `Kleisli(monad, lambda a: monad.attempt(lambda: f(a)))`.

        >>> Kleisli.lift(RESULT, str).run(3)
        Ok(value='3')
        """
        _require(monad, Monad, "Kleisli.lift()", "Give a Monad, such as RESULT.")
        if not callable(f):
            raise InvalidArgument(
                f"Kleisli.lift({monad!r}, ...) was given {f!r}. Give a function of one value."
            )
        return Kleisli(monad, lambda a: monad.pure(f(a)))

    def then(self, after: Kleisli[B, C]) -> Kleisli[A, C]:
        """This arrow, and then `after`; also written `this >> after`.

        Raises `InvalidArgument` if `after` is no arrow, or one of another monad.

        >>> Kleisli.lift(RESULT, abs).then(Kleisli.lift(RESULT, str)).run(-3)
        Ok(value='3')
        """
        _require(after, Kleisli, "then()", "Give an arrow: Kleisli(monad, run) or Kleisli.lift(monad, f).")
        if after.monad != self.monad:
            raise InvalidArgument(
                f"an arrow of the monad {self.monad!r} was composed with one of {after.monad!r}. "
                "Give both the same monad: convert the answer of one of them first."
            )
        return Kleisli(self.monad, _Sequence(self.monad.bind, _arrows(self.run) + _arrows(after.run)))

    def __rshift__(self, after: Kleisli[B, C]) -> Kleisli[A, C]:
        return self.then(after)


# Flat, not nested functions: associativity allows it, and 1,000 nested arrows would meet the recursion limit.
@attrs.frozen(repr=False)
class _Sequence:
    bind: Callable[[Any, Callable[[Any], Any]], Any]
    arrows: tuple[Callable[[Any], Any], ...]

    def __call__(self, a: Any) -> Any:
        m = self.arrows[0](a)
        for arrow in self.arrows[1:]:
            m = self.bind(m, arrow)
        return m


def _arrows(run: Callable[[Any], Any]) -> tuple[Callable[[Any], Any], ...]:
    return run.arrows if isinstance(run, _Sequence) else (run,)


def _require(given: object, kind: type, where: str, advice: str) -> None:
    if not isinstance(given, kind):
        raise InvalidArgument(f"{where} was given {given!r}. {advice}")
