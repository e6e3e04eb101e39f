"""Monoids: how many values become one, whatever the grouping.

A monoid is lawful when, for all `a`, `b`, `c`::

    combine(empty, a) == a == combine(a, empty)                     identity
    combine(combine(a, b), c) == combine(a, combine(b, c))          associativity
"""

from __future__ import annotations

import copy
import functools
import math
import operator
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar, overload

import attrs

from lambdacat_effects.algebra.option import NOTHING, Option
from lambdacat_effects.errors import InvalidArgument

__all__ = [
    "ALL_OF",
    "ANY_OF",
    "FIRST",
    "LAST",
    "LIST",
    "MAX",
    "MIN",
    "PRODUCT",
    "SET",
    "STRING",
    "SUM",
    "TUPLE",
    "Monoid",
    "dict_monoid",
    "endo",
    "tuple_monoid",
]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


@attrs.frozen(repr=False)
class Monoid(Generic[A]):
    """An associative `combine(a, b)` with its identity `empty`, under a name for messages.

    `combine` must leave its arguments as they are. Raises `InvalidArgument` if it cannot be called, or if
    the name is empty.

    >>> longest = Monoid("longest", "", lambda a, b: b if len(b) > len(a) else a)
    >>> longest.concat(["to", "three", "four"])
    'three'
    """

    name: str = attrs.field()
    """What messages call it."""
    # Left out of the hash because a list has none; equality still compares it.
    _empty: A = attrs.field(hash=False)
    combine: Callable[[A, A], A] = attrs.field(hash=False)
    """The associative operation."""

    def __attrs_post_init__(self) -> None:
        if type(self.name) is not str or not self.name:
            raise InvalidArgument(
                f"Monoid() was given the name {self.name!r}. Give a string that is not empty."
            )
        if not callable(self.combine):
            raise InvalidArgument(
                f"Monoid({self.name!r}, ...) was given combine={self.combine!r}. Give a function of two values."
            )

    @property
    def empty(self) -> A:
        """The identity of `combine`.

        >>> LIST.empty
        []
        """
        # A copy: whoever appends to the empty list they were given must not change every later answer.
        return copy.deepcopy(self._empty)

    def concat(self, values: Iterable[A]) -> A:
        """All `values` combined from left to right; `empty` if there are none.

        >>> SUM.concat([1, 2, 3])
        6
        """
        return functools.reduce(self.combine, values, self.empty)

    def __repr__(self) -> str:
        return self.name


def _larger(a: float, b: float) -> float:
    return a if a >= b else b


def _smaller(a: float, b: float) -> float:
    return a if a <= b else b


def _both(a: bool, b: bool) -> bool:
    return a and b


def _either(a: bool, b: bool) -> bool:
    return a or b


def _first(a: Option[Any], b: Option[Any]) -> Option[Any]:
    return a if b is NOTHING else b if a is NOTHING else a


def _last(a: Option[Any], b: Option[Any]) -> Option[Any]:
    return a if b is NOTHING else b


SUM: Monoid[float] = Monoid("SUM", 0, operator.add)
"""Addition. Exact for integers and fractions; for floats associative only up to rounding, so the grouping of
parallel branches can show in the last digits (where it matters, keep the parts and use `math.fsum`)."""

PRODUCT: Monoid[float] = Monoid("PRODUCT", 1, operator.mul)
"""Multiplication. For floats associative only up to rounding, overflow and underflow."""

STRING: Monoid[str] = Monoid("STRING", "", operator.add)
"""Joining strings."""

LIST: Monoid[list[Any]] = Monoid("LIST", [], operator.add)
"""Joining lists, into a new one."""

TUPLE: Monoid[tuple[Any, ...]] = Monoid("TUPLE", (), operator.add)
"""Joining tuples."""

SET: Monoid[frozenset[Any]] = Monoid("SET", frozenset[Any](), frozenset[Any].union)
"""Union of frozen sets."""

MAX: Monoid[float] = Monoid("MAX", -math.inf, _larger)
"""The larger number; minus infinity for none. Not for NaN, which has no place in the order."""

MIN: Monoid[float] = Monoid("MIN", math.inf, _smaller)
"""The smaller number; infinity for none. Not for NaN, which has no place in the order."""

ALL_OF: Monoid[bool] = Monoid("ALL_OF", True, _both)
"""Whether all are true; true for none."""

ANY_OF: Monoid[bool] = Monoid("ANY_OF", False, _either)
"""Whether one is true; false for none."""

FIRST: Monoid[Option[Any]] = Monoid("FIRST", NOTHING, _first)
"""The first `Some`; `NOTHING` if there is none."""

LAST: Monoid[Option[Any]] = Monoid("LAST", NOTHING, _last)
"""The last `Some`; `NOTHING` if there is none."""


def dict_monoid(values: Monoid[A]) -> Monoid[dict[Any, A]]:
    """Union of dicts, where `values` combines what two of them hold under one key.

    Raises `InvalidArgument` if `values` is no `Monoid`.

    >>> dict_monoid(SUM).combine({"a": 1, "b": 2}, {"b": 3})
    {'a': 1, 'b': 5}
    """
    _require_monoids("dict_monoid", (values,))
    return Monoid(f"dict_monoid({values!r})", {}, _CombineDicts(values))


@overload
def tuple_monoid(first: Monoid[A], second: Monoid[B], /) -> Monoid[tuple[A, B]]: ...


@overload
def tuple_monoid(first: Monoid[A], second: Monoid[B], third: Monoid[C], /) -> Monoid[tuple[A, B, C]]: ...


@overload
def tuple_monoid(*monoids: Monoid[Any]) -> Monoid[tuple[Any, ...]]: ...


def tuple_monoid(*monoids: Monoid[Any]) -> Monoid[Any]:
    """Tuples of a fixed length, combined place by place, each place with its own monoid.

    Raises `InvalidArgument` if one of them is no `Monoid`; its `combine` raises it for a tuple of another
    length.

    >>> tuple_monoid(SUM, STRING).concat([(1, "a"), (2, "b")])
    (3, 'ab')
    """
    _require_monoids("tuple_monoid", monoids)
    name = f"tuple_monoid({', '.join(map(repr, monoids))})"
    return Monoid(name, tuple(monoid.empty for monoid in monoids), _CombineTuples(name, monoids))


def endo() -> Monoid[Callable[[Any], Any]]:
    """Functions from a type to itself, composed: `combine(f, g)` applies `f` first, as `f >> g` reads.

    A composition of 10,000 functions needs no deeper stack than one of two.

    >>> endo().concat([lambda n: n + 1, lambda n: n * 10])(2)
    30
    """
    return Monoid("endo()", _Composed(()), _compose)


# Classes, not closures: two monoids built alike must be equal, or a `Writer` could not tell that the logs of two
# computations belong together.
@attrs.frozen(repr=False)
class _CombineDicts:
    values: Monoid[Any]

    def __call__(self, a: dict[Any, Any], b: dict[Any, Any]) -> dict[Any, Any]:
        combine = self.values.combine
        return {**a, **{key: combine(a[key], value) if key in a else value for key, value in b.items()}}


@attrs.frozen(repr=False)
class _CombineTuples:
    name: str
    monoids: tuple[Monoid[Any], ...]

    def __call__(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        if not len(a) == len(b) == len(self.monoids):
            raise InvalidArgument(
                f"{self.name} was given tuples of {len(a)} and {len(b)} items. "
                f"Give each {len(self.monoids)}, one for each monoid."
            )
        return tuple(monoid.combine(x, y) for monoid, x, y in zip(self.monoids, a, b, strict=True))


@attrs.frozen(repr=False)
class _Composed:
    functions: tuple[Callable[[Any], Any], ...]

    def __call__(self, value: Any) -> Any:
        for function in self.functions:
            value = function(value)
        return value


def _compose(f: Callable[[Any], Any], g: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return _Composed(_functions(f) + _functions(g))


def _functions(f: Callable[[Any], Any]) -> tuple[Callable[[Any], Any], ...]:
    return f.functions if isinstance(f, _Composed) else (f,)


def _require_monoids(where: str, monoids: Iterable[object]) -> None:
    for monoid in monoids:
        if not isinstance(monoid, Monoid):
            raise InvalidArgument(f"{where}() was given {monoid!r}. Give monoids, such as SUM or LIST.")
