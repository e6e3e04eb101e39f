"""Values as plain JSON values, by their run-time classes: nothing that a declared type does not mention is lost."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import attrs

from lambdacat_effects.storage.leaves import (
    PRIMITIVES,
    TAG,
    TEXTS,
    UNSTORED,
    VERSION,
    Misfit,
    Text,
    by_value,
    type_name,
)
from lambdacat_effects.storage.versions import version_of

if TYPE_CHECKING:
    from lambdacat_effects.storage.redacting import Redacting

__all__ = ["dumps", "plain", "stored_fields"]

_COLLECTIONS: Any = (Mapping, list, tuple, deque, set, frozenset)


dumps: Callable[[object], str] = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
).encode
"""Compact JSON with sorted keys, so that equal values are written alike."""


def plain(value: Any, redacting: Redacting | None = None) -> Any:
    """`value` in terms of JSON, without the secrets that `redacting` knows.

    Raises `Misfit`, naming the place in the value.
    """
    return _Writing(redacting).write(value)


class _Writing:
    """The writing of one value."""

    __slots__ = ("above", "redacting")

    def __init__(self, redacting: Redacting | None) -> None:
        self.redacting = redacting
        self.above: set[int] = set()
        """The identities of the values that the present one is part of."""

    def write(self, value: Any) -> Any:
        if type(value) in PRIMITIVES:
            if self.redacting is not None:
                value = self.redacting.primitive(value)
            return value if type(value) is not int else _integer(value)
        if isinstance(value, Enum):
            return self.member(value)
        kind = cast(Any, type(value))
        text = _text(kind)
        if text is not None:
            return text.write(value if self.redacting is None else self.redacting.leaf(value))
        names = stored_fields(kind)
        if names is None and not isinstance(value, _COLLECTIONS):
            return self.write(_primitive(value))
        if id(value) in self.above:
            raise Misfit(
                "contains itself, and JSON cannot say so: store keys in place of what they stand for"
            )
        self.above.add(id(value))
        try:
            if names is not None:
                return self.record(value, kind, names)
            if isinstance(value, cast(Any, Mapping)):
                return self.mapping(value)
            return self.array(value)
        finally:
            self.above.discard(id(value))

    def member(self, value: Enum) -> Any:
        # Not blanked: what is written in the program is no secret.
        return plain(value.value) if by_value(type(value)) else value.name

    def part(self, value: Any, step: str, at: object) -> Any:
        try:
            return self.write(value)
        except Misfit as misfit:
            misfit.place = step.format(at) + misfit.place
            raise

    def named(self, value: Any, step: str, at: object, name: object) -> Any:
        """A part that has a name, by which it may be a secret."""
        if self.redacting is None or not self.redacting.hides(name):
            return self.part(value, step, at)
        with self.redacting.hiding(value):
            return self.part(value, step, at)

    def record(self, value: Any, kind: Any, names: Iterable[str]) -> dict[str, Any]:
        # The class is written too: only so do unions of classes with the same fields, and subclasses where a base
        # class is declared, read back as what they were.
        record: dict[str, Any] = {TAG: kind.__name__}
        version = version_of(kind)
        if version is not None:
            record[VERSION] = version
        if self.redacting is None:
            for name in names:
                record[name] = self.part(getattr(value, name), ".{}", name)
        else:
            for name in names:
                record[name] = self.named(getattr(value, name), ".{}", name, name)
        return record

    def mapping(self, value: Mapping[Any, Any]) -> Any:
        ordered = isinstance(value, OrderedDict)
        as_object = not ordered and all(type(key) is str for key in value)
        if as_object and self.redacting is None:
            return {key: self.part(item, "[{!r}]", key) for key, item in value.items()}
        keys = [self.part(key, " (the key {!r})", key) for key in value]
        if self.redacting is not None:
            keys = self.redacting.apart(keys)
        items = [self.named(item, "[{!r}]", key, key) for key, item in value.items()]
        if as_object:
            return dict(zip(keys, items, strict=True))
        # JSON's keys are text, so any others would have to be guessed at from text, and 1 and "1" would become one.
        pairs = [[key, item] for key, item in zip(keys, items, strict=True)]
        return pairs if ordered else sorted(pairs, key=dumps)

    def array(self, value: Any) -> list[Any]:
        if isinstance(value, cast(Any, (set, frozenset))):
            return sorted([self.part(item, "[{}]", i) for i, item in enumerate(value)], key=dumps)
        if self.redacting is None:
            return [self.part(item, "[{}]", i) for i, item in enumerate(value)]
        names: Any = getattr(value, "_fields", None)
        if names is None:
            # A pair may be a named value, as in lists of HTTP headers.
            names = [None, value[0]] if len(value) == 2 else [None] * len(value)
        return [
            self.named(item, "[{}]", i, name) for i, (item, name) in enumerate(zip(value, names, strict=True))
        ]


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
def stored_fields(cls: Any) -> tuple[str, ...] | None:
    """The fields of an attrs class or a dataclass that are stored: those that its `__init__` takes, unless their
    metadata says otherwise. None for other classes."""
    if attrs.has(cls):
        return tuple([a.name for a in attrs.fields(cls) if a.init and not a.metadata.get(UNSTORED)])
    if dataclasses.is_dataclass(cls):
        return tuple([f.name for f in dataclasses.fields(cls) if f.init and not f.metadata.get(UNSTORED)])
    return None
