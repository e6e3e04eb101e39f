"""Result: how something ended, as a value: `Ok(value)` or `Err(error)`; and `MISSING`, if it had not ended."""

# ruff: noqa: ARG002 - `Ok` and `Err` have the same methods; on each, some have nothing to call.

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Generic, Literal, NoReturn, TypeAlias, TypeVar

import attrs

from lambdacat_effects.errors import InvalidArgument

__all__ = ["MISSING", "Err", "Missing", "Ok", "Result"]

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
B = TypeVar("B")
R = TypeVar("R")
X = TypeVar("X", bound=Exception)
X_co = TypeVar("X_co", bound=Exception, covariant=True)
Y = TypeVar("Y", bound=Exception)


@attrs.frozen
class Ok(Generic[A_co]):
    """It succeeded with `value`. Equal to an `Ok` of an equal value.

    >>> match Ok(3):
    ...     case Ok(value): print(value)
    3
    """

    value: A_co
    """What it answered."""

    @property
    def is_ok(self) -> Literal[True]:
        """True.

        >>> Ok(3).is_ok
        True
        """
        return True

    def map(self, f: Callable[[A_co], B]) -> Ok[B]:
        """`f` of the value. What `f` raises passes: only `attempt` turns exceptions into `Err`.

        >>> Ok(3).map(str)
        Ok(value='3')
        """
        return Ok(f(self.value))

    def then(self, f: Callable[[A_co], R]) -> R:
        """What `f`, which answers with a `Result`, makes of the value; the monad's bind.

        >>> Ok(3).then(lambda n: Ok(n + 1))
        Ok(value=4)
        """
        return f(self.value)

    def map_error(self, f: Callable[[Any], Exception]) -> Ok[A_co]:
        """This result; `f` is not called.

        >>> Ok(3).map_error(lambda error: ValueError(error))
        Ok(value=3)
        """
        return self

    def or_else(self, make_other: Callable[[], object]) -> Ok[A_co]:
        """This result; `make_other` is not called.

        >>> Ok(3).or_else(lambda: Ok(4))
        Ok(value=3)
        """
        return self

    def unwrap(self) -> A_co:
        """The bare value.

        >>> Ok(3).unwrap()
        3
        """
        return self.value


@attrs.frozen
class Err(Generic[X_co]):
    """It failed with `error`, an `Exception`.

    Two are equal if they hold the same exception *object*: Python compares exceptions by identity, so
    `Err(ValueError("a")) != Err(ValueError("a"))`. In tests compare type and message. Raises `InvalidArgument`
    if `error` is no `Exception`; cancellation and `KeyboardInterrupt` are none, since they are not outcomes.

    >>> match Err(ValueError("no")):
    ...     case Err(error): print(error)
    no
    """

    error: X_co
    """What was raised."""

    def __attrs_post_init__(self) -> None:
        _require_exception(self.error)

    @property
    def is_ok(self) -> Literal[False]:
        """False.

        >>> Err(ValueError("no")).is_ok
        False
        """
        return False

    def map(self, f: Callable[[Any], object]) -> Err[X_co]:
        """This result; `f` is not called.

        >>> Err(ValueError("no")).map(str)
        Err(error=ValueError('no'))
        """
        return self

    def then(self, f: Callable[[Any], object]) -> Err[X_co]:
        """This result; `f` is not called.

        >>> Err(ValueError("no")).then(Ok)
        Err(error=ValueError('no'))
        """
        return self

    def map_error(self, f: Callable[[X_co], Y]) -> Err[Y]:
        """`f` of the error, which has to be an `Exception` again.

        >>> Err(ValueError("no")).map_error(lambda error: KeyError(*error.args))
        Err(error=KeyError('no'))
        """
        return Err(f(self.error))

    def or_else(self, make_other: Callable[[], R]) -> R:
        """The result that `make_other` makes; this error is dropped.

        >>> Err(ValueError("no")).or_else(lambda: Ok(4))
        Ok(value=4)
        """
        return make_other()

    def unwrap(self) -> NoReturn:
        """Raises the error itself, with the traceback of where it happened.

        >>> Err(ValueError("no")).unwrap()
        Traceback (most recent call last):
            ...
        ValueError: no
        """
        raise self.error


def _require_exception(error: object) -> None:
    if not isinstance(error, Exception):
        raise InvalidArgument(
            f"Err() was given {error!r}, which is no Exception. Give one: Err(ValueError(...))."
        )


Result: TypeAlias = Ok[A] | Err[X]
"""How something ended: a value of type `A`, or an exception of type `X`."""


# An Enum of one member is the one kind of singleton that both type checkers narrow by `is`, and that pickles,
# copies and deep-copies to itself.
class Missing(Enum):
    """The class of `MISSING`: this branch had not finished when the answer was due. It is false.

    >>> [answer for answer in (1, MISSING, 3) if answer is not MISSING]
    [1, 3]
    """

    MISSING = "MISSING"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING
"""The one instance of `Missing`."""
