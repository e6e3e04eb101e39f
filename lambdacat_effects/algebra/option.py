"""Option: a value that may be absent, without `None` standing for both "absent" and "present, and None"."""

# ruff: noqa: ARG002 - `Some` and `Nothing` have the same methods; on each, some have nothing to call.

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Generic, NoReturn, TypeAlias, TypeVar

import attrs

from lambdacat_effects.errors import InvalidArgument

__all__ = ["NOTHING", "Nothing", "Option", "Some", "of"]

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
B = TypeVar("B")
R = TypeVar("R")


@attrs.frozen
class Some(Generic[A_co]):
    """A value that is there, even if it is `None`.

    >>> match Some(3):
    ...     case Some(value): print(value)
    3
    """

    value: A_co
    """The value."""

    def map(self, f: Callable[[A_co], B]) -> Some[B]:
        """`f` of the value.

        >>> Some(3).map(str)
        Some(value='3')
        """
        return Some(f(self.value))

    def then(self, f: Callable[[A_co], R]) -> R:
        """What `f`, which answers with an `Option`, makes of the value; the monad's bind.

        >>> Some(3).then(lambda n: Some(n) if n > 5 else NOTHING)
        NOTHING
        """
        return f(self.value)

    def or_else(self, make_other: Callable[[], object]) -> Some[A_co]:
        """This value; `make_other` is not called.

        >>> Some(3).or_else(lambda: Some(4))
        Some(value=3)
        """
        return self

    def unwrap(self) -> A_co:
        """The bare value.

        >>> Some(3).unwrap()
        3
        """
        return self.value


# An Enum of one member is the one kind of singleton that both type checkers narrow by `is`, and that pickles,
# copies and deep-copies to itself.
class Nothing(Enum):
    """The class of `NOTHING`, the absent value. It is false.

    >>> match NOTHING:
    ...     case Nothing(): print("absent")
    absent
    """

    NOTHING = "NOTHING"

    def map(self, f: Callable[[Any], object]) -> Nothing:
        """`NOTHING`; `f` is not called.

        >>> NOTHING.map(str)
        NOTHING
        """
        return self

    def then(self, f: Callable[[Any], object]) -> Nothing:
        """`NOTHING`; `f` is not called.

        >>> NOTHING.then(Some)
        NOTHING
        """
        return self

    def or_else(self, make_other: Callable[[], R]) -> R:
        """The option that `make_other` makes.

        >>> NOTHING.or_else(lambda: Some(4))
        Some(value=4)
        """
        return make_other()

    def unwrap(self) -> NoReturn:
        """Raises `InvalidArgument`: there is no value.

        >>> NOTHING.or_else(lambda: Some(0)).unwrap()
        0
        """
        raise InvalidArgument(
            "unwrap() was called on NOTHING, which holds no value. Match on Some(value) and Nothing(), "
            "or give an alternative first: option.or_else(lambda: Some(...)).unwrap()."
        )

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final = Nothing.NOTHING
"""The absent value: the one instance of `Nothing`."""

Option: TypeAlias = Some[A] | Nothing
"""A value of type `A` that may be absent."""


def of(value: A | None) -> Option[A]:
    """`NOTHING` for `None`, and `Some(value)` for everything else.

    >>> of({"a": 1}.get("b"))
    NOTHING
    """
    return NOTHING if value is None else Some(value)
