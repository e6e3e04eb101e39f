"""Whether a value would read back as it is: what is read by no declared type comes back as plain JSON."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from lambdacat_effects.errors import NotSerialisable, StoredValueMismatch
from lambdacat_effects.storage.codec import decode, encode
from lambdacat_effects.storage.plain import stored_fields

__all__ = ["read_back"]

A = TypeVar("A")

_ARRAYS: Any = (list, tuple, deque)
_MAPPING: Any = Mapping


def read_back(value: A, as_type: type[A]) -> tuple[A, bytes]:
    """`value` as it would be read from a store, and the bytes that it would take there.

    Raises `NotSerialisable`, naming the place, if it cannot be stored, or would not be the same: an object where
    the type declares none would come back as a dict, and the plan would meet another value than it left.

    >>> read_back([1, 2], list[int])
    ([1, 2], b'[1,2]')
    """
    data = encode(value)
    try:
        found = decode(data, as_type)
    except StoredValueMismatch as error:
        raise NotSerialisable(
            f"it would not read back: {error}. Give as_type= the type that it has"
        ) from None
    place = _difference(value, found)
    if place is not None:
        at, was, became = place
        raise NotSerialisable(
            f"value{at} is of type {type(was).__qualname__} and would come back as {became!r}: declare its type, in "
            "as_type= or in the class that has the field, or keep plain JSON there"
        )
    return found, data


def _difference(a: Any, b: Any) -> tuple[str, Any, Any] | None:
    """Where `b` first differs from `a`, and both values there. Collections of one kind differ in their parts
    only: which of them it is, the declared type decides."""
    kind = cast(Any, type(a))
    fields = stored_fields(kind)
    pairs: Any
    if fields is not None and kind is type(b):
        pairs = [(f".{name}", getattr(a, name), getattr(b, name)) for name in fields]
    elif isinstance(a, _MAPPING) and isinstance(b, _MAPPING) and fields is None and a.keys() == b.keys():
        pairs = [(f"[{key!r}]", a[key], b[key]) for key in a]
    elif isinstance(a, _ARRAYS) and isinstance(b, _ARRAYS) and len(a) == len(b):
        pairs = [(f"[{i}]", *both) for i, both in enumerate(zip(a, b, strict=True))]
    else:
        same = fields is None and (a == b or (a != a and b != b))
        return None if same else ("", a, b)
    found = ((step, _difference(x, y)) for step, x, y in pairs)
    return next(((step + place[0], *place[1:]) for step, place in found if place is not None), None)
