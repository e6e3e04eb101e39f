"""State: a computation that reads and changes a state, described before any state is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import attrs

from lambdacat_effects.errors import InvalidArgument

__all__ = ["State"]

S = TypeVar("S")
T = TypeVar("T")
A_co = TypeVar("A_co", covariant=True)
B = TypeVar("B")


@attrs.frozen(eq=False, repr=False)
class State(Generic[S, A_co]):
    """A function from a state to a value and the next state, as a value that can be chained.

    Chains of any length run without recursion. Two are equal only if they are the same object, since
    functions are. Raises `InvalidArgument` if `transition` cannot be called.

    >>> tick = State(lambda count: (f"tick {count}", count + 1))
    >>> tick.then(lambda _: tick).run(0)
    ('tick 1', 2)
    """

    # A chain is data, not a nested closure: 10,000 closures would need 10,000 frames.
    _transition: Callable[[S], tuple[A_co, S]] | _Chain

    def __attrs_post_init__(self) -> None:
        if not isinstance(self._transition, _Chain) and not callable(self._transition):
            raise InvalidArgument(
                f"State() was given {self._transition!r}. Give a function state -> (value, next state), "
                "or write State.pure(value)."
            )

    @staticmethod
    def pure(value: B) -> State[Any, B]:
        """The computation that answers `value` and leaves the state as it is.

        >>> State.pure("a").run(1)
        ('a', 1)
        """
        return State(lambda state: (value, state))

    @staticmethod
    def get() -> State[Any, Any]:
        """The computation that answers with the state.

        >>> State.get().run(1)
        (1, 1)
        """
        return State(lambda state: (state, state))

    @staticmethod
    def put(state: T) -> State[T, None]:
        """The computation that replaces the state.

        >>> State.put(5).run(1)
        (None, 5)
        """
        return State(lambda _: (None, state))

    @staticmethod
    def modify(f: Callable[[T], T]) -> State[T, None]:
        """The computation that replaces the state with `f` of it.

        >>> State.modify(lambda n: n + 1).run(1)
        (None, 2)
        """
        return State(lambda state: (None, f(state)))

    def map(self, f: Callable[[A_co], B]) -> State[S, B]:
        """This computation, with `f` of its value.

        >>> State.get().map(str).run(1)
        ('1', 1)
        """

        def after(value: Any) -> State[S, B]:
            return State.pure(f(value))

        return self.then(after)

    def then(self, f: Callable[[A_co], State[S, B]]) -> State[S, B]:
        """This computation, and then the one that `f` makes of its value; the monad's bind.

        >>> State.get().then(lambda n: State.put(n * 2)).run(4)
        (None, 8)
        """
        return State(_Chain(self, f))

    def run(self, state: S) -> tuple[A_co, S]:
        """The value and the last state, from a first state.

        Raises `InvalidArgument` if a transition did not answer with a pair, or a function given to `then`
        did not answer with a `State`.

        >>> State.modify(lambda n: n + 1).then(lambda _: State.get()).run(1)
        (2, 2)
        """
        current: State[Any, Any] = self
        now: Any = state
        rest: list[Callable[[Any], Any]] = []
        while True:
            while isinstance(current._transition, _Chain):
                rest.append(current._transition.f)
                current = current._transition.first
            value, now = _pair(current._transition, now)
            if not rest:
                return cast("tuple[A_co, S]", (value, now))
            current = _next(rest.pop(), value)

    def __repr__(self) -> str:
        return f"State({getattr(self._transition, '__qualname__', '...')})"


@attrs.frozen(eq=False, repr=False)
class _Chain:
    first: State[Any, Any]
    f: Callable[[Any], Any]


# `issubclass(type(x), ...)` in this package stands where `isinstance` would make pyright's strict mode infer Unknown.
def _pair(transition: Callable[[Any], Any], state: object) -> tuple[Any, Any]:
    outcome: object = transition(state)
    if issubclass(type(outcome), tuple) and len(cast("tuple[Any, ...]", outcome)) == 2:
        return cast("tuple[Any, Any]", outcome)
    raise InvalidArgument(
        f"the transition {transition!r} of a State answered with {outcome!r}. Return a pair: (value, next state)."
    )


def _next(f: Callable[[Any], Any], value: object) -> State[Any, Any]:
    following: object = f(value)
    if issubclass(type(following), State):
        return cast("State[Any, Any]", following)
    raise InvalidArgument(
        f"the function {f!r} given to State.then answered with {following!r}. Return a State; "
        "for a bare value use map, or State.pure(value)."
    )
