"""What a journal holds, for people: as the program would show it, though no class of the program is imported."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final, cast

from lambdacat_effects.storage.leaves import TAG

__all__ = ["error_text", "shown"]

_BRACKETS: Final = {"tuple": "({})", "set": "{{{}}}", "frozenset": "{{{}}}", "deque": "[{}]"}


def shown(plain: Any) -> str:
    """A value as its `repr` would have it, from the JSON that it is kept as.

    >>> shown({"$type": "shop:Receipt", "number": "r-1", "items": {"$type": "tuple", "$items": [1, 2]}})
    "Receipt(number='r-1', items=(1, 2))"
    """
    if isinstance(plain, list):
        return f"[{_listed(cast(Any, plain))}]"
    if not isinstance(plain, dict):
        return repr(cast(object, plain))
    parts = cast("dict[str, Any]", plain)
    if TAG not in parts:
        return _untagged(parts)
    name = _short(parts[TAG])
    try:
        for key, show in _SHOWS.items():
            if key in parts:
                return show(name, parts)
    except (ValueError, TypeError, LookupError, AttributeError):  # damaged, and shown all the same
        return repr(parts)
    fields = [f"{key}={shown(item)}" for key, item in parts.items() if not key.startswith("$")]
    return f"{name}({', '.join(fields)})"


def error_text(plain: Any) -> str:
    """An error as the last line of its traceback has it.

    >>> error_text({"$type": "shop:SoldOut", "$error": {"args": ["no tea is left"]}})
    'SoldOut: no tea is left'
    """
    try:
        name, args = _short(plain[TAG]), list(plain["$error"]["args"])
    except (LookupError, TypeError):
        return shown(plain)
    if name == "RecordedError" and len(args) == 2:  # which stands for an error that could not be kept
        name, args = _short(args[0]), args[1:]
    if len(args) == 2 and name.endswith("ExceptionGroup") and isinstance(args[1], list):
        errors = [error_text(error) for error in cast(Any, args[1])]
        return f"{name}: {args[0]} ({'; '.join(errors)})"
    texts = [arg if isinstance(arg, str) else shown(arg) for arg in args]
    return f"{name}: {', '.join(texts)}" if texts else name


def _untagged(parts: dict[str, Any]) -> str:
    for key in ("$name", "$tool"):
        if key in parts:
            return _short(parts[key])
    if "$function" in parts:
        return f"partial({shown(parts['$function'])})"
    if "$object" in parts:
        return f"<{_short(parts['$object'])}>"
    return "{" + ", ".join([f"{key!r}: {shown(item)}" for key, item in parts.items()]) + "}"


def _short(name: object) -> str:
    # "module:qualified name" of a class or function; but `list[shop.Item]` of a type.
    text = str(name)
    return text if "[" in text else text.rpartition(":")[2].rpartition(".")[2]


def _listed(items: list[Any]) -> str:
    return ", ".join(map(shown, items))


def _error(name: str, parts: dict[str, Any]) -> str:
    return f"{name}({_listed(parts['$error']['args'])})"


def _array(name: str, parts: dict[str, Any]) -> str:
    items = _listed(parts["$items"])
    if name == "timedelta":
        days, seconds, microseconds = parts["$items"]
        return f"timedelta(days={days}, seconds={seconds}, microseconds={microseconds})"
    if name == "tuple" and len(parts["$items"]) == 1:
        items += ","
    bracketed = _BRACKETS[name].format(items)
    if name == "tuple" or (name == "set" and items):
        return bracketed
    return f"{name}({bracketed})" if items else f"{name}()"


def _mapping(name: str, parts: dict[str, Any]) -> str:
    pairs = ", ".join([f"{shown(key)}: {shown(item)}" for key, item in parts["$pairs"]])
    return f"{{{pairs}}}" if name == "dict" else f"{name}({{{pairs}}})"


def _text(name: str, parts: dict[str, Any]) -> str:
    text = str(parts["$text"])
    if name in ("int", "float"):
        return text
    if name == "str":
        return repr(base64.b64decode(text, validate=True).decode("utf-8", "surrogatepass"))
    if name in ("bytes", "bytearray"):
        octets = repr(base64.b64decode(text, validate=True))
        return octets if name == "bytes" else f"{name}({octets})"
    zone = f" {parts['$zone']}" if "$zone" in parts else ""
    return f"{name}({text + zone!r})"


def _member(name: str, parts: dict[str, Any]) -> str:
    return f"{name}.{parts['$member']}"


def _value(name: str, parts: dict[str, Any]) -> str:
    return f"{name}({shown(parts['$value'])})"


_SHOWS: Final[dict[str, Callable[[str, dict[str, Any]], str]]] = {
    "$error": _error,
    "$items": _array,
    "$pairs": _mapping,
    "$text": _text,
    "$member": _member,
    "$value": _value,
}
