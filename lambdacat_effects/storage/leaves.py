"""How values without parts are written in JSON, and what writing and reading share."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, Flag
from pathlib import PurePath
from typing import Any, Final, NamedTuple, get_origin
from uuid import UUID

__all__ = [
    "PRIMITIVES",
    "REDACTED",
    "TAG",
    "TEXTS",
    "UNSTORED",
    "VERSION",
    "Misfit",
    "Text",
    "by_value",
    "type_name",
]

TAG: Final = "$type"
"""The key under which an object says of which class it is. No field can be called so."""

VERSION: Final = "$version"
"""The key under which an object says of which version its class was, if that has declared one."""

UNSTORED: Final = "lambdacat_effects.unstored"
"""In the metadata of a field: it is not stored, and has its default when it is read."""

REDACTED: Final = "[redacted]"
"""What stands for a secret, in what is stored."""

PRIMITIVES: Final = frozenset([str, int, float, bool, type(None)])
"""What JSON, as Python writes it, keeps exactly: also NaN, infinities and integers of any size."""


class Misfit(Exception):
    """A value that cannot be written or read; `place` grows while it passes outward."""

    def __init__(self, problem: str, place: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = place


class Text(NamedTuple):
    """How values of a class become text, and text becomes a value of that class or a subclass."""

    write: Callable[[Any], str]
    read: Callable[[str, Any], Any]


def _octets_text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _octets(text: str, cls: Any) -> Any:
    octets = base64.b64decode(text, validate=True)
    return octets if cls is bytes else cls(octets)


def _iso(moment: Any) -> str:
    return str(moment.isoformat())


def _from_iso(text: str, cls: Any) -> Any:
    return cls.fromisoformat(text)


def _moment(text: str, cls: Any) -> Any:
    if "T" not in text:  # a date would pass for its midnight, and `date | datetime` could not be told apart
        raise ValueError("a date without a time")
    return cls.fromisoformat(text)


def _make(text: str, cls: Any) -> Any:
    return cls(text)


# Base64 and not cattrs' base85, which the standard library writes in pure Python: some hundred times slower.
TEXTS: Final[dict[type, Text]] = {
    bytes: Text(_octets_text, _octets),
    datetime: Text(_iso, _moment),
    date: Text(_iso, _from_iso),
    time: Text(_iso, _from_iso),
    UUID: Text(str, _make),
    PurePath: Text(str, _make),
    Decimal: Text(str, _make),
}
"""Classes whose values are written as text."""


def by_value(cls: type[Enum]) -> bool:
    """Whether members are written as their values, which outlive renaming, and not as their names: if all values are
    text or integers."""
    return issubclass(cls, Flag) or all(type(m.value) in (str, int) for m in cls.__members__.values())


def type_name(t: Any) -> str:
    """How messages call a type."""
    if isinstance(t, type) and get_origin(t) is None:
        return t.__qualname__ if t.__module__ == "builtins" else f"{t.__module__}.{t.__qualname__}"
    return repr(t).removeprefix("typing.")
