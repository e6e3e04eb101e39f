"""Records of classes that have changed since they were written: new fields, and migrations.

A migration is a function of JSON as memories keep it, so a record is turned into that for it. What it leaves as it
was is read as it was written; the rest by the types that the class declares, as a memory would read it.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar, cast, get_type_hints

import attrs

from lambdacat_effects.storage.exact.classes import class_name, field_names, is_named_tuple, named_class
from lambdacat_effects.storage.leaves import TAG, VERSION, Misfit, by_value
from lambdacat_effects.storage.plain import dumps, plain
from lambdacat_effects.storage.versions import declaring, migrated, version_of

__all__ = ["NO_DEFAULT", "default_of", "is_of_another_version", "migrated_fields", "stored"]

NO_DEFAULT: Any = object()
"""What `default_of` answers for a field without a default."""


def default_of(cls: type[Any], name: str, record: Any) -> Any:
    """What a field is if nothing is given for it; `record` has the fields before it.

    >>> @attrs.frozen
    ... class Hit:
    ...     title: str
    ...     tags: tuple[str, ...] = attrs.field(default=["new"], converter=tuple)
    >>> default_of(Hit, "tags", None), default_of(Hit, "title", None) is NO_DEFAULT
    (('new',), True)
    """
    if is_named_tuple(cls):
        return cast(Any, cls)._field_defaults.get(name, NO_DEFAULT)
    if not attrs.has(cls):
        field = next(field for field in dataclasses.fields(cls) if field.name == name)
        if field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
        return NO_DEFAULT if field.default is dataclasses.MISSING else field.default
    attribute: Any = attrs.fields_dict(cls)[name]
    default = attribute.default
    if default is attrs.NOTHING:
        return NO_DEFAULT
    if isinstance(default, cast(Any, attrs.Factory)):
        default = default.factory(record) if default.takes_self else default.factory()
    converter = attribute.converter
    if isinstance(converter, cast(Any, attrs.Converter)):
        given = [record] * converter.takes_self + [attribute] * converter.takes_field
        return converter.converter(default, *given)
    return default if converter is None else converter(default)


def is_of_another_version(cls: type[Any], parts: dict[str, Any]) -> bool:
    """Whether the class is at another version than the record that was written."""
    return bool(parts.get(VERSION, 1) != (version_of(cls) or 1))


def migrated_fields(cls: type[Any], parts: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a record of another version: those that its migrations leave as they were, as they were written,
    and the others, read.

    Raises `VersionMisfit`, and `Misfit` for what does not read as the class declares it.
    """
    from lambdacat_effects.storage.typed import typed  # loads cattrs

    before = stored({TAG: class_name(cls), **parts})
    declared = field_names(declaring(cls)) or ()
    own = [name for name in field_names(cls) or () if name not in declared]
    today: Any = plain(migrated(cls, before, own))
    hints = get_type_hints(cls)
    kept: dict[str, Any] = {}
    read: dict[str, Any] = {}
    for name, value in today.items():
        if name in (TAG, VERSION):
            continue
        if name in parts and _alike(before[name], value):
            kept[name] = parts[name]
            continue
        try:
            read[name] = typed(value, _closed(hints[name])) if name in hints else value
        except Misfit as misfit:
            misfit.place = f".{name}{misfit.place}"
            raise
    return kept, read


def _alike(one: Any, other: Any) -> bool:
    # For Python 1, 1.0 and True are equal.
    return repr(one) == repr(other)


def _closed(hint: Any) -> Any:
    """A type without parameters that nobody has given."""
    if isinstance(hint, TypeVar):
        return Any
    parameters: tuple[Any, ...] = getattr(hint, "__parameters__", ())
    return hint[(Any,) * len(parameters)] if parameters and not isinstance(hint, type) else hint


def stored(plain: Any) -> Any:
    """What was written here as a memory stores it: objects by the names of their classes alone, collections as lists,
    and so on.

    >>> stored({"$type": "shop:Order", "items": {"$type": "tuple", "$items": [{"$type": "bytes", "$text": "eA=="}]}})
    {'$type': 'Order', 'items': ['eA==']}
    """
    if isinstance(plain, list):
        items: list[Any] = cast(Any, plain)
        return [stored(item) for item in items]
    if not isinstance(plain, dict):
        return plain
    parts: dict[str, Any] = cast(Any, plain)
    name = parts.get(TAG)
    if name is None or "$error" in parts:
        return {key: stored(item) for key, item in parts.items()}
    if "$items" in parts:
        items = stored(parts["$items"])
        return sorted(items, key=dumps) if name in ("set", "frozenset") else items
    if "$text" in parts:
        return _text(parts)
    if "$pairs" in parts:
        return _mapping(name, [(stored(key), stored(item)) for key, item in parts["$pairs"]])
    if "$member" in parts or "$value" in parts:
        return _member(name, parts)
    fields = {key: stored(item) for key, item in parts.items() if key != TAG}
    cls = _class(name)
    if cls is not None and is_named_tuple(cls):
        return [*fields.values()]
    return {TAG: name.rpartition(":")[2].rpartition(".")[2], **fields}


def _text(parts: dict[str, Any]) -> Any:
    from lambdacat_effects.storage.exact.reading import read

    value = read(parts)
    if isinstance(value, (str, int, float)):
        return value
    return value.isoformat() if isinstance(value, datetime) else parts["$text"]


def _mapping(name: str, pairs: list[tuple[Any, Any]]) -> Any:
    listed = [list(pair) for pair in pairs]
    if name == class_name(OrderedDict):
        return listed
    return dict(pairs) if all(isinstance(key, str) for key, _ in pairs) else sorted(listed, key=dumps)


def _member(name: str, parts: dict[str, Any]) -> Any:
    cls = _class(name)
    if "$value" in parts:
        return stored(parts["$value"])
    member = parts["$member"]
    if cls is not None and issubclass(cls, Enum) and by_value(cls) and member in cls.__members__:
        return cls[member].value
    return member


def _class(name: str) -> type[Any] | None:
    try:
        return named_class(name)
    except Misfit:
        return None
