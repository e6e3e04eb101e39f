"""Values as plain JSON values, by their run-time classes: nothing that a declared type does not mention is lost."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, cast

import attrs

from lambdacat_effects.storage.leaves import PRIMITIVES, TAG, TEXTS, Misfit, Text, by_value, type_name

__all__ = ["dumps", "plain"]

_COLLECTIONS: Any = (Mapping, list, tuple, deque, set, frozenset)


dumps: Callable[[object], str] = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
).encode
"""Compact JSON with sorted keys, so that equal values are written alike."""


def plain(value: Any, above: set[int]) -> Any:
    """`value` in terms of JSON. `above` has the identities of the values that it is part of.

    Raises `Misfit`, naming the place in the value.
    """
    if type(value) in PRIMITIVES:
        return value if type(value) is not int else _integer(value)
    if isinstance(value, Enum):
        return plain(value.value, above) if by_value(type(value)) else value.name
    kind = cast(Any, type(value))
    text = _text(kind)
    if text is not None:
        return text.write(value)
    names = _fields(kind)
    if names is None and not isinstance(value, _COLLECTIONS):
        return _primitive(value)
    if id(value) in above:
        raise Misfit("contains itself, and JSON cannot say so: store keys in place of what they stand for")
    above.add(id(value))
    try:
        if names is not None:
            return _record(value, names, above)
        if isinstance(value, cast(Any, Mapping)):
            return _mapping(value, above)
        items = [_part(item, "[{}]", i, above) for i, item in enumerate(value)]
        return sorted(items, key=dumps) if isinstance(value, cast(Any, (set, frozenset))) else items
    finally:
        above.discard(id(value))


def _part(value: Any, step: str, name: object, above: set[int]) -> Any:
    try:
        return plain(value, above)
    except Misfit as misfit:
        misfit.place = step.format(name) + misfit.place
        raise


def _record(value: Any, names: Iterable[str], above: set[int]) -> dict[str, Any]:
    # The class is written too: only so do unions of classes with the same fields, and subclasses where a base class
    # is declared, read back as what they were.
    record: dict[str, Any] = {TAG: type(value).__name__}
    for name in names:
        record[name] = _part(getattr(value, name), ".{}", name, above)
    return record


def _mapping(value: Mapping[Any, Any], above: set[int]) -> Any:
    ordered = isinstance(value, OrderedDict)
    if not ordered and all(type(key) is str for key in value):
        return {key: _part(item, "[{!r}]", key, above) for key, item in value.items()}
    # JSON's keys are text, so any others would have to be guessed at from text, and 1 and "1" would become one.
    pairs = [
        [_part(key, " (the key {!r})", key, above), _part(item, "[{!r}]", key, above)]
        for key, item in value.items()
    ]
    return pairs if ordered else sorted(pairs, key=dumps)


def _integer(value: int) -> int:
    try:
        # Python refuses to write integers of more than some 4,300 digits, since that takes quadratic time.
        _ = value.bit_length() < 2048 or str(value)
    except ValueError:
        most = sys.get_int_max_str_digits()
        raise Misfit(
            f"is an integer of more than {most} digits: store it as bytes (`int.to_bytes`)"
        ) from None
    return value


def _primitive(value: object) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return _integer(int.__int__(value))
    if isinstance(value, float):
        return float.__float__(value)
    raise Misfit(
        f"is of type {type_name(type(value))}, which cannot be stored: store what it is made from, as attrs classes, "
        "dataclasses, enums, dates, paths, bytes, and collections of these"
    )


@lru_cache(maxsize=1024)
def _text(cls: Any) -> Text | None:
    return next((TEXTS[base] for base in cls.__mro__ if base in TEXTS), None)


@lru_cache(maxsize=1024)
def _fields(cls: Any) -> tuple[str, ...] | None:
    """The fields of an attrs class or a dataclass that its `__init__` takes; None for other classes."""
    if attrs.has(cls):
        return tuple([a.name for a in attrs.fields(cls) if a.init])
    if dataclasses.is_dataclass(cls):
        return tuple([f.name for f in dataclasses.fields(cls) if f.init])
    return None
