"""JSON as the values it was written for: nothing is executed but the import of the modules that are named."""

from __future__ import annotations

import base64
import dataclasses
import math
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import attrs

from lambdacat_effects.errors import RecordedError
from lambdacat_effects.storage.exact.changed import (
    NO_DEFAULT,
    default_of,
    is_of_another_version,
    migrated_fields,
)
from lambdacat_effects.storage.exact.classes import class_name, field_names, is_named_tuple, named_class
from lambdacat_effects.storage.exact.error_parts import ErrorParts, error_of
from lambdacat_effects.storage.exact.writing import ARRAYS, LEAVES, MAPPINGS
from lambdacat_effects.storage.leaves import TAG, VERSION, Misfit

__all__ = ["read", "read_error"]

_PATHS = (PosixPath, WindowsPath, PurePosixPath, PureWindowsPath)
_NAMED: Final[dict[str, type[Any]]] = {
    **{class_name(cls): cls for cls in (*LEAVES, *ARRAYS, *MAPPINGS, timedelta)},
    **{"pathlib:" + cls.__name__: cls for cls in _PATHS},
}


def read(plain: Any) -> Any:
    """The value that `Writer.write` wrote, equal and of the same classes. Raises `Misfit`, naming the place.

    >>> read({"a": {"$type": "tuple", "$items": [1, {"$type": "bytes", "$text": "eA=="}]}})
    {'a': (1, b'x')}
    """
    if isinstance(plain, list):
        items: list[Any] = cast(Any, plain)
        return _items(items)
    if not isinstance(plain, dict):
        return plain
    parts: dict[str, Any] = cast(Any, plain)
    if TAG not in parts:
        return {key: _part(item, f"[{key!r}]") for key, item in parts.items()}
    try:
        return _tagged(parts)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Misfit(
            f"does not read as a {parts[TAG]} ({type(error).__name__}: {error}): it was changed by hand, or the "
            "class has changed since"
        ) from None


def read_error(plain: Any) -> BaseException:
    """The exception that `Writer.error` wrote; a `RecordedError` if its class cannot be imported. Raises `Misfit`."""
    error: Any = read(plain)
    if not isinstance(error, BaseException):
        raise Misfit("is no exception")
    return error


def _tagged(parts: dict[str, Any]) -> Any:
    name = parts[TAG]
    if "$error" in parts:
        return _error(name, parts["$error"])
    if name in ("str", "int", "float"):
        return _primitive(name, parts["$text"])
    cls: Any = _NAMED.get(name) or named_class(name)
    if "$text" in parts:
        return _leaf(cls, parts)
    if "$items" in parts:
        items = _items(parts["$items"])
        if cls is timedelta:
            return timedelta(*items)
        return deque(items, parts.get("$maxlen")) if cls is deque else _known(cls, ARRAYS)(items)
    if "$pairs" in parts:
        pairs = [
            (_part(key, f" (the key {key!r})"), _part(item, f"[{key!r}]")) for key, item in parts["$pairs"]
        ]
        return _known(cls, MAPPINGS)(dict(pairs))
    if issubclass(cls, Enum):
        return cls[parts["$member"]] if "$member" in parts else cls(read(parts["$value"]))
    return _record(cls, {key: item for key, item in parts.items() if key != TAG})


def _primitive(name: str, text: str) -> Any:
    if name == "str":
        return base64.b64decode(text, validate=True).decode("utf-8", "surrogatepass")
    number = float(text) if name == "float" else None
    if number is not None and math.isfinite(number):
        raise ValueError(text)
    return int(text, 16) if number is None else number


def _leaf(cls: type[Any], parts: dict[str, Any]) -> Any:
    if cls is datetime and "$zone" in parts:
        local = datetime.fromisoformat(parts["$text"])
        return local.replace(tzinfo=ZoneInfo(parts["$zone"]), fold=parts["$fold"])
    return LEAVES[_known(cls, tuple(LEAVES))].read(parts["$text"], cls)


def _known(cls: type[Any], known: tuple[Any, ...]) -> Any:
    if cls not in known:
        raise TypeError("no recording is made of that")
    return cls


def _record(cls: type[Any], parts: dict[str, Any]) -> Any:
    names = field_names(cls)
    if names is None:
        raise TypeError("it is neither an attrs class, nor a dataclass, nor a named tuple")
    if is_of_another_version(cls, parts):
        return _migrated(cls, parts)
    parts = {name: part for name, part in parts.items() if name != VERSION}
    if not parts.keys() <= set(names):
        raise _changed(cls, set(names) ^ parts.keys())
    values = {name: _part(parts[name], f".{name}") for name in names if name in parts}
    if is_named_tuple(cls):
        values = {name: values[name] if name in values else _new(cls, name, None, parts) for name in names}
        return cast(Any, tuple).__new__(cls, values.values())
    # Not by `__init__`: it would convert again what it has converted, and it does not take every field.
    record: Any = object.__new__(cls)
    assign: Callable[[Any, str, Any], None] = object.__setattr__
    for name in names:
        assign(record, name, values[name] if name in values else _new(cls, name, record, parts))
    if attrs.has(cls) and hasattr(cls, "_attrs_cached_hash"):
        assign(record, "_attrs_cached_hash", None)
    return record


def _new(cls: type[Any], name: str, record: Any, parts: dict[str, Any]) -> Any:
    """What a field is that the class did not have."""
    default = default_of(cls, name, record)
    if default is NO_DEFAULT:
        raise _changed(cls, set(field_names(cls) or ()) ^ parts.keys())
    return default


def _migrated(cls: type[Any], parts: dict[str, Any]) -> Any:
    kept, read_already = migrated_fields(cls, parts)
    values = {**{name: _part(item, f".{name}") for name, item in kept.items()}, **read_already}
    # By `__init__`, as a memory makes it: what it computes was not computed by the former class.
    if attrs.has(cls):
        taken = {field.name: field.alias for field in attrs.fields(cls) if field.init}
    else:
        taken = {field.name: field.name for field in dataclasses.fields(cast(Any, cls)) if field.init}
    return cls(**{taken[name]: value for name, value in values.items() if name in taken})


def _changed(cls: type[Any], fields: set[str]) -> Misfit:
    return Misfit(
        f"is of the class {class_name(cls)}, whose fields have changed since: {', '.join(sorted(fields))}. Give a "
        "new field a default; for any other change count up the version of the class with @versioned and write a "
        "@migration"
    )


def _error(name: str, written: dict[str, Any]) -> BaseException:
    attributes = {key: _part(item, f".{key}") for key, item in written.get("attributes", {}).items()}
    cause = read_error(written["cause"]) if "cause" in written else None
    args = tuple(_items(written["args"], ".args[{}]"))
    try:
        cls = named_class(name)
    except Misfit:
        error: BaseException = RecordedError(name, ", ".join(map(str, args)))
        error.__cause__ = cause
        return error
    if not issubclass(cls, BaseException):
        raise TypeError("it is no exception")
    return error_of(cls, ErrorParts(args, attributes, written.get("notes", []), cause))


def _items(items: list[Any], place: str = "[{}]") -> list[Any]:
    return [_part(item, place.format(i)) for i, item in enumerate(items)]


def _part(plain: Any, place: str) -> Any:
    try:
        return read(plain)
    except Misfit as misfit:
        misfit.place = place + misfit.place
        raise
