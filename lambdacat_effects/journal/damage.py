"""Whether parts that were read from a journal are such as are written there.

A checksum tells what was damaged on the disk. These checks are for the rest: a journal that was edited, or written by
something else. What gets past here is taken apart by code that trusts it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

__all__ = ["check_header", "check_record"]

_Parts: TypeAlias = dict[str, Any]

_PLACE: Final = re.compile(r"(0|[1-9][0-9]{0,17})(\.(0|[1-9][0-9]{0,17}))*")
_LETTERS: Final = frozenset("nafclwbv")


def check_record(parts: Any) -> None:
    """Raise `ValueError` unless these are the parts of a record: its kind, its place, what was asked, the data, and
    perhaps a number."""
    found: list[Any] = parts if _is(list, parts) else []
    if len(found) not in (4, 5):
        raise ValueError("it is no list of four or five")
    kind, place, asked, data, *after = found
    if after and (type(after[0]) is not int or after[0] < 0):
        raise ValueError(f"it was written after {after[0]!r}")
    if type(kind) is not str or kind not in _DATA:
        raise ValueError(f"it is of no kind that is known: {kind!r}")
    if type(place) is not str or not _PLACE.fullmatch(place):
        raise ValueError(f"its place is {place!r}")
    if not _is_asked(asked):
        raise ValueError(f"what was asked is {asked!r}")
    if not _DATA[kind](data, asked):
        raise ValueError(f"it is of the kind {kind!r}, and its data are {data!r}")


def _is(kind: type, value: Any) -> bool:
    return type(value) is kind


def _is_asked(asked: Any) -> bool:
    if not _is(list, asked) or not all(_is(str, part) for part in (*asked[:1], *asked[2:])):
        return False
    if len(asked) == 3:
        return _is(str, asked[1])
    return len(asked) == 2 and _is(dict, asked[1]) and _is(dict, asked[1].get("arguments", {}))


def _is_combinator(asked: Any) -> bool:
    return asked[0] in _COMBINATORS


def _an_answer(_data: Any, asked: Any) -> bool:
    return not _is_combinator(asked)


def _an_error(data: Any, asked: Any) -> bool:
    return not _is_combinator(asked) and type(data) is dict and "$error" in data


def _a_moment(data: Any, asked: Any) -> bool:
    if data is None:
        return _is_combinator(asked)
    return type(data) in (int, float) and (_is_combinator(asked) or asked[0] == "Sleep")


def _fates(data: Any, asked: Any) -> bool:
    if not _is_combinator(asked) or type(data) is not str or not _LETTERS.issuperset(data):
        return False
    branches = 1 if asked[0] == "Timeout" else len(data)
    if type(asked[1]) is dict and "branches" in asked[1]:
        return bool(len(data) == asked[1]["branches"])
    return len(data) == branches


def _fates_or_nothing(data: Any, asked: Any) -> bool:
    return _fates(data, asked) if _is_combinator(asked) else data is None


def _a_bool(data: Any, asked: Any) -> bool:
    return type(data) is bool and asked[0] == "Patched"


_COMBINATORS: Final = ("Concurrent", "Timeout")

_DATA: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "a": _an_answer,
    "e": _an_error,
    "c": _fates_or_nothing,
    "s": _a_moment,
    "k": _fates,
    "d": _fates,
    "p": _a_bool,
}
"""What data a record may have, by its kind."""


def check_header(run_id: str, parts: _Parts) -> None:
    """Raise `ValueError` unless these are the fields of a header of that run."""
    for name, kinds in _FIELDS.items():
        if name not in parts:
            raise ValueError(f"its {name} is missing")
        if type(parts[name]) not in kinds:
            raise ValueError(f"its {name} is {parts[name]!r}")
    for name in parts:
        if name not in _FIELDS:
            raise ValueError(f"it has a field {name!r}")
    for name in ("number", "generation", "records"):
        if parts[name] < 0:
            raise ValueError(f"its {name} is {parts[name]}")
    if parts["run_id"] != run_id:
        raise ValueError(f"it is of the run {parts['run_id']!r}")
    if parts["status"] not in _STATUSES:
        raise ValueError(f"its status is {parts['status']!r}")
    if not _are_arguments(parts["arguments"]):
        raise ValueError(f"its arguments are {parts['arguments']!r}")
    if not _is_call(parts["began"]):
        raise ValueError(f"it began as {parts['began']!r}")
    outcome = parts["outcome"]
    if (outcome is not None) is not _STATUSES[parts["status"]] or (outcome is not None and len(outcome) != 1):
        raise ValueError(f"it is {parts['status']}, and its outcome is {outcome!r}")


_FIELDS: Final[dict[str, tuple[type, ...]]] = {
    "run_id": (str,),
    "number": (int,),
    "plan": (str,),
    "arguments": (list,),
    "status": (str,),
    "created": (int, float),
    "generation": (int,),
    "changed": (int, float),
    "outcome": (list, type(None)),
    "records": (int,),
    "note": (str, type(None)),
    "began": (list, type(None)),
}
_STATUSES: Final = {
    "running": False,
    "suspended": False,
    "succeeded": True,
    "failed": True,
    "cancelled": True,
}
"""Each status, and whether a run of it has an outcome."""


def _are_arguments(arguments: Any) -> bool:
    match arguments:
        case [list(), dict()]:
            return True
        case _:
            return False


def _is_call(began: Any) -> bool:
    match began:
        case None:
            return True
        case [str(), arguments]:
            return _are_arguments(arguments)
        case _:
            return False
