"""Values as JSON that says of which class each part is, so that reading needs no declared types."""

from __future__ import annotations

import base64
import functools
import inspect
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum
from fractions import Fraction
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from types import MappingProxyType
from typing import Any, Final, cast, get_origin
from zoneinfo import ZoneInfo

from lambdacat_effects.effects.tools import Tool
from lambdacat_effects.storage.exact.classes import class_name, field_names, importable_name
from lambdacat_effects.storage.exact.error_parts import parts_of
from lambdacat_effects.storage.exact.redaction import Redaction, Redactor
from lambdacat_effects.storage.leaves import TAG, TEXTS, VERSION, Misfit, Text
from lambdacat_effects.storage.versions import version_of

__all__ = ["ARRAYS", "LEAVES", "MAPPINGS", "Writer", "exactly"]


def _make(text: str, cls: Any) -> Any:
    return cls(text)


_BY_STR = Text(str, _make)

LEAVES: Final[dict[type, Text]] = {
    **TEXTS,
    **dict.fromkeys((PosixPath, WindowsPath, PurePosixPath, PureWindowsPath, Fraction, complex), _BY_STR),
    bytearray: TEXTS[bytes],
}
"""Classes whose values are written as text."""

ARRAYS: Final = (tuple, set, frozenset, deque)
MAPPINGS: Final = (dict, OrderedDict, Counter, MappingProxyType)

_MOST_BITS = 4096  # Python refuses to read longer integers as decimal digits


class Writer:
    """Writes values as JSON, redacted.

    With `exactly`, what could not be read back as it was raises `Misfit`, naming the place. Without, as for the
    arguments of effects, which are only compared, a class or function stands as its name and other objects as their
    class.

    >>> from lambdacat_effects.storage.exact.redaction import Redaction
    >>> Writer(Redactor(Redaction()), exactly=True).write({"a": (1, b"x"), "password": "hunter2"})
    {'a': {'$type': 'tuple', '$items': [1, {'$type': 'bytes', '$text': 'eA=='}]}, 'password': '[redacted]'}
    """

    def __init__(self, redactor: Redactor, *, exactly: bool) -> None:
        self.redactor: Redactor = redactor
        self.exactly: bool = exactly
        self._above: set[int] = set()

    def write(self, value: Any) -> Any:
        """`value` as JSON. Raises `Misfit`."""
        cls = cast(Any, type(value))
        if value is None or cls is bool:
            return value
        if cls is str:
            return self._text(value)
        if cls is int:
            return value if value.bit_length() < _MOST_BITS else {TAG: "int", "$text": hex(value)}
        if cls is float:
            return value if math.isfinite(value) else {TAG: "float", "$text": repr(value)}
        if isinstance(value, Enum):
            return self._member(value)
        if cls in LEAVES:
            return self._leaf(value)
        if cls is timedelta:
            return {TAG: class_name(cls), "$items": [value.days, value.seconds, value.microseconds]}
        if id(value) in self._above:
            if self.exactly:
                raise Misfit("contains itself")
            return {"$object": class_name(cls)}
        self._above.add(id(value))
        try:
            return self._whole(value, cls)
        finally:
            self._above.discard(id(value))

    def _whole(self, value: Any, cls: Any) -> Any:
        if cls is list:
            return self._items(value)
        if cls in ARRAYS:
            return self._array(value)
        if cls in MAPPINGS:
            return self._mapping(value)
        if isinstance(value, BaseException):
            if not self.exactly:
                return {TAG: class_name(cls), "$error": {"args": self._items(value.args)}}
            return self.error(value)
        names = field_names(cls)
        if names is not None:
            if not self.exactly:  # what is compared: a version says nothing of what is asked for
                return {TAG: class_name(cls), **self.fields(value, names)}
            version = version_of(cls)
            of_version = {} if version is None else {VERSION: version}
            return {TAG: importable_name(cls), **of_version, **self.fields(value, names)}
        return self._other(value)

    def error(self, error: BaseException) -> dict[str, Any]:
        """An error, by its parts. Attributes and causes that cannot be written are left out."""
        parts = parts_of(error)
        written: dict[str, Any] = {"args": self._items(parts.args, ".args[{}]")}
        attributes: dict[str, Any] = {}
        for name, value in parts.attributes.items():
            with suppress(Misfit):
                attributes[name] = self._named(name, value, "")
        if attributes:
            written["attributes"] = attributes
        if parts.notes:
            written["notes"] = [self.redactor.text(str(note)) for note in parts.notes]
        if parts.cause is not None:
            with suppress(Misfit):
                written["cause"] = self.write(parts.cause)
        # Not necessarily importable: then a replay raises a `RecordedError`.
        return {TAG: class_name(type(error)), "$error": written}

    def fields(self, value: Any, names: tuple[str, ...]) -> dict[str, Any]:
        """The named fields of an object, without its class."""
        return {name: self._named(name, self._field(value, name), f".{name}") for name in names}

    def _field(self, value: Any, name: str) -> Any:
        try:
            return getattr(value, name)
        except AttributeError:
            raise Misfit("was never assigned", f".{name}") from None

    def named(self, items: Mapping[str, Any]) -> dict[str, Any]:
        """What is called by names, such as arguments, redacted by them."""
        return {name: self._named(name, item, f".{name}") for name, item in items.items()}

    def _named(self, name: Any, value: Any, place: str) -> Any:
        if self.redactor.hides(name):
            return self.redactor.hide(value)
        return self._part(value, place)

    def _part(self, value: Any, place: str) -> Any:
        try:
            return self.write(value)
        except Misfit as misfit:
            misfit.place = place + misfit.place
            raise

    def _text(self, text: str) -> Any:
        text = self.redactor.text(text)
        if _is_unicode(text):
            return text
        return {TAG: "str", "$text": base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()}

    def _member(self, member: Enum) -> dict[str, Any]:
        name = importable_name(type(member)) if self.exactly else class_name(type(member))
        # A combination of flags has no name of its own, or one that does not look it up.
        if member.name in type(member).__members__:
            return {TAG: name, "$member": member.name}
        return {TAG: name, "$value": self._part(member.value, ".value")}

    def _leaf(self, value: Any) -> dict[str, Any]:
        cls = cast(Any, type(value))
        name = class_name(cls)
        if isinstance(value, PurePath):
            name = "pathlib:" + cls.__name__  # Python 3.13 keeps them in a module of its own
        if isinstance(value, datetime) and isinstance(value.tzinfo, ZoneInfo) and value.tzinfo.key:
            local = value.replace(tzinfo=None, fold=0).isoformat()
            return {TAG: name, "$text": local, "$zone": value.tzinfo.key, "$fold": value.fold}
        if isinstance(value, (bytes, bytearray)):
            value = self.redactor.octets(bytes(value))
        text: Callable[[Any], str] = LEAVES[cls].write
        return {TAG: name, "$text": self.redactor.text(text(value))}

    def _array(self, value: Any) -> dict[str, Any]:
        written: dict[str, Any] = {TAG: class_name(type(value)), "$items": self._items(value)}
        if isinstance(value, (set, frozenset)):
            written["$items"].sort(key=repr)  # their order is not that of the next process
        elif isinstance(value, deque):
            queue: deque[Any] = cast(Any, value)
            written["$maxlen"] = queue.maxlen
        return written

    def _items(self, values: Any, place: str = "[{}]") -> list[Any]:
        values = list(values)
        # A pair may be a named value, as in lists of HTTP headers.
        if len(values) == 2 and self.redactor.hides(values[0]):
            return [values[0], self.redactor.hide(values[1])]
        return [self._part(item, place.format(i)) for i, item in enumerate(values)]

    def _mapping(self, value: Any) -> Any:
        cls = cast(Any, type(value))
        keys = list(value)
        if cls is dict and all(map(_is_plain, keys)) and (keys == sorted(keys) or not self.exactly):
            return {self._text(key): self._named(key, value[key], f"[{key!r}]") for key in keys}
        # Sorted keys would change the order in which a plan goes through them, and other keys are no text.
        pairs = [
            [self._part(key, f" (the key {key!r})"), self._named(key, value[key], f"[{key!r}]")]
            for key in keys
        ]
        if not self.exactly and cls is not OrderedDict:
            pairs.sort(key=repr)
        return {TAG: class_name(cls), "$pairs": pairs}

    def _other(self, value: Any) -> Any:
        if self.exactly:
            raise Misfit(
                f"is of the class {class_name(type(value))}, which cannot be kept: answer with attrs classes, "
                "dataclasses, named tuples, enums, exceptions, dates, paths, bytes, or collections of these"
            )
        if isinstance(value, Tool):
            return {"$tool": str(cast(Any, value).name)}
        if isinstance(value, functools.partial):
            bound: functools.partial[Any] = cast(Any, value)
            return {"$function": self.write(bound.func), "$items": self._items(bound.args), **bound.keywords}
        if get_origin(value) is not None:  # a type such as `list[str]`
            return {"$name": repr(value)}
        if isinstance(value, type) or inspect.isroutine(value):
            return {"$name": class_name(value)}
        return {"$object": class_name(type(value))}


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, as file names have them
        return False
    return True


def _is_plain(key: object) -> bool:
    return type(key) is str and not key.startswith("$") and _is_unicode(key)


class _Nothing(Redaction):
    """Redacts nothing: what a run is resumed with has to be what it was."""

    def __init__(self) -> None:
        super().__init__()
        self.names: frozenset[str] = frozenset()


_NOTHING: Final = _Nothing()


def exactly() -> Writer:
    """Writes values as they are, so that they can be read again."""
    return Writer(Redactor(_NOTHING), exactly=True)
