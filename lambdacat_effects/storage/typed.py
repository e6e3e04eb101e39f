"""Plain JSON values as values of a type: cattrs, made strict.

cattrs converts: the text "12" becomes the int 12, "ab" the list ["a", "b"], 1.7 the int 1. What is read back must be
what was stored, or an error, so these hooks take nothing but what `plain` writes for the type.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections import OrderedDict, deque
from collections.abc import (
    Callable,
    Mapping,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
    Set,
)
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import attrs
from cattrs import ClassValidationError, Converter, IterableValidationError

from lambdacat_effects.storage.leaves import PRIMITIVES, TAG, TEXTS, Misfit, Text, by_value, type_name
from lambdacat_effects.storage.plain import plain, stored_fields
from lambdacat_effects.storage.versions import VersionMisfit, declaring, migrated, names_of

__all__ = ["typed"]

_ARRAYS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    MutableSequence: list,
    tuple: tuple,
    Sequence: tuple,  # as cattrs has it: what a type does not let one change is read as what cannot be changed
    set: set,
    MutableSet: set,
    frozenset: frozenset,
    Set: frozenset,
    deque: deque,
}
_MAPPINGS: dict[Any, Callable[[dict[Any, Any]], Any]] = {
    dict: dict,
    MutableMapping: dict,
    Mapping: dict,
    OrderedDict: OrderedDict,
}
_FOUND: dict[type, str] = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
    list: "a list",
    dict: "an object",
}

_Hook = Callable[[Any, Any], Any]


def typed(value: Any, as_type: Any) -> Any:
    """The plain `value` as a value of the type. Raises `Misfit`, naming the first place that does not fit."""
    try:
        return _converter.structure(value, type(None) if as_type is None else as_type)
    except RecursionError:
        raise
    except Exception as error:
        raise _misfit(error) from None


def _misfit(error: Exception, step: str = "") -> Misfit:
    """What an error inside one part of a value says about the value."""
    if isinstance(error, Misfit):
        # A new one: cattrs finds its way by notes on the old.
        return type(error)(error.problem, step + error.place)
    if isinstance(error, RecursionError):
        raise error
    if not isinstance(error, (ClassValidationError, IterableValidationError)):
        return Misfit(f"{type(error).__name__}: {error}", step)
    noted, others = error.group_exceptions()
    if not noted:
        return _misfit(others[0], step)
    first, note = noted[0]
    name: Any = getattr(note, "name", None)
    step += f"[{getattr(note, 'index', None)!r}]" if name is None else f".{name}"
    if name is not None and isinstance(first, KeyError) and first.args == (name,):
        return Misfit(f"is missing{_changed(error)}", step)
    return _misfit(first, step)


def _changed(error: Exception) -> str:
    cls: Any = getattr(error, "cl", None)
    if not _is_record(cls):
        return ""
    return (
        f": if {type_name(cls)} has changed since, give the new field a default, or count up the version of the "
        "class with @versioned and write a @migration"
    )


def _is(kind: type, value: Any) -> bool:
    return type(value) is kind


def _unexpected(t: Any, value: Any) -> Misfit:
    found = _FOUND[type(value)]
    if _is(dict, value) and TAG in value:
        found = f"a stored {value[TAG]}"
    return Misfit(f"expected {type_name(t)}, found {found}")


def _primitive(value: Any, t: Any) -> Any:
    if issubclass(t, Enum):
        return _member(value, t)
    kind: Any = next(base for base in t.__mro__ if base in PRIMITIVES)
    if type(value) is int and kind is float and _exactly_float(value):
        value = float(value)  # type checkers take an int for a float
    if type(value) is not kind:
        raise _unexpected(t, value)
    return value if t is kind else t(value)


def _exactly_float(value: int) -> bool:
    try:
        return float(value) == value
    except OverflowError:
        return False


def _text_hook(text: Text) -> _Hook:
    def read(value: Any, t: Any) -> Any:
        if issubclass(t, Enum):
            return _member(value, t)
        if type(value) is not str:
            raise _unexpected(t, value)
        try:
            return text.read(value, t)
        except (ValueError, ArithmeticError):
            raise Misfit(f"expected {type_name(t)}, found other text") from None

    return read


def _member(value: Any, t: type[Enum]) -> Enum:
    try:
        if by_value(t):
            return t(_primitive(value, int if type(value) is int else str))
        return t[_primitive(value, str)]
    except (ValueError, KeyError, Misfit):
        raise Misfit(f"expected a member of {type_name(t)}, found another value") from None


def _literal(value: Any, t: Any) -> Any:
    for member in get_args(t):
        written = plain(member)
        if type(written) is type(value) and written == value:
            return member
    raise Misfit(f"expected one of {type_name(t)}, found another value")


def _items(values: list[Any], item_types: Sequence[Any]) -> list[Any]:
    items: list[Any] = []
    for i, (value, t) in enumerate(zip(values, item_types, strict=True)):
        try:
            items.append(_converter.structure(value, t))
        except Exception as error:
            raise _misfit(error, f"[{i}]") from None
    return items


def _array_hook(t: Any) -> _Hook:
    build = _ARRAYS[get_origin(t) or t]
    args = get_args(t)
    fixed = build is tuple and t not in (tuple, typing.Tuple) and args[-1:] != (Ellipsis,)  # noqa: UP006
    fixed = fixed and get_origin(t) is tuple

    def read(value: Any, _t: Any) -> Any:
        if not _is(list, value):
            raise _unexpected(t, value)
        if fixed:
            return build(_as_many(value, args, t))
        items = _items(value, [args[0] if args else Any] * len(value))
        try:
            return build(items)
        except TypeError as error:  # what is not hashable, in a set
            raise _misfit(error) from None

    return read


def _as_many(value: list[Any], item_types: Sequence[Any], t: Any) -> list[Any]:
    if len(value) != len(item_types):
        raise Misfit(f"expected {type_name(t)}, found a list of {len(value)}")
    return _items(value, item_types)


def _named_tuple_hook(t: Any) -> _Hook:
    hints = get_type_hints(t)
    item_types = [hints.get(name, Any) for name in t._fields]

    def read(value: Any, _t: Any) -> Any:
        if not _is(list, value):
            raise _unexpected(t, value)
        return t(*_as_many(value, item_types, t))

    return read


def _mapping_hook(t: Any) -> _Hook:
    build = _MAPPINGS[get_origin(t) or t]
    key_type, item_type = get_args(t) or (Any, Any)

    def read(value: Any, _t: Any) -> Any:
        pairs: Any
        if _is(dict, value):
            pairs = value.items()
        elif _is(list, value) and all(_is(list, pair) and len(pair) == 2 for pair in value):
            pairs = value
        else:
            raise _unexpected(t, value)
        items: dict[Any, Any] = {}
        for key, item in pairs:
            at = f" (the key {key!r})"
            try:
                key = _converter.structure(key, key_type)
                hash(key)
                at = f"[{key!r}]"
                items[key] = _converter.structure(item, item_type)
            except Exception as error:
                raise _misfit(error, at) from None
        return build(items)

    return read


def _record_hook(t: Any) -> _Hook:
    cls: Any = get_origin(t) or t
    parameters: tuple[Any, ...] = getattr(t, "__parameters__", ())
    fields_of = t[tuple(_least(p) for p in parameters)] if parameters and t is cls else t
    read_fields: _Hook = _converter.gen_structure_attrs_fromdict(fields_of)
    names = names_of(cls)
    declared = set(stored_fields(declaring(cls)) or ())
    own = [name for name in stored_fields(cls) or () if name not in declared]

    def read(value: Any, _t: Any) -> Any:
        if not _is(dict, value):
            raise _unexpected(t, value)
        if value.get(TAG, cls.__name__) not in names:
            # Not structurally: a class whose fields all have defaults would fit anything.
            below: Any = _subclass(t, cls, value)
            return _converter.structure(value, below)
        today = migrated(cls, value, own)
        return read_fields(value if today is value else _plainly(cls, today), t)

    return read


def _least(parameter: Any) -> Any:
    """What a type parameter that nobody has given is known to be."""
    bound = getattr(parameter, "__bound__", None)
    return Any if bound is None or isinstance(bound, typing.ForwardRef) else bound


def _plainly(cls: type, today: Any) -> Any:
    """What a migration answers may have objects in it."""
    try:
        return plain(today)
    except Misfit as misfit:
        raise VersionMisfit(
            f"what a migration of {type_name(cls)} answered {misfit.problem}", misfit.place
        ) from None


def _typed_dict_hook(t: Any) -> _Hook:
    read_items: _Hook = cast(Any, _converter).gen_structure_typeddict(t)

    def read(value: Any, _t: Any) -> Any:
        if not _is(dict, value):
            raise _unexpected(t, value)
        return read_items(value, t)

    return read


def _subclass(t: Any, cls: type, value: dict[str, Any]) -> type:
    """The subclass that `value` says it is of."""
    # By module and name, since a slotted class is the second of its name: the one it was made from may live on.
    named = {(sub.__module__, sub.__qualname__): sub for sub in _below(cls) if value[TAG] in names_of(sub)}
    if len(named) != 1:
        raise _unexpected(t, value)
    return named.popitem()[1]


def _below(cls: type) -> list[type]:
    below: list[type] = []
    subclasses: list[type] = type.__subclasses__(cls)
    for sub in subclasses:
        below += (sub, *_below(sub))
    return below


def _union_hook(t: Any) -> _Hook:
    members = get_args(t)

    def read(value: Any, _t: Any) -> Any:
        if value is None and type(None) in members:
            return None
        readings: list[tuple[Any, Any]] = []
        misfits: list[Misfit] = []
        for member in members:
            if member is float and type(value) is int and int in members:
                continue
            try:
                reading = _converter.structure(value, member)
            except Exception as error:
                misfit = _misfit(error)
                if isinstance(misfit, VersionMisfit):
                    raise misfit from None  # or `Hit | dict` would give an old hit as a dict
                misfits.append(misfit)
                continue
            if not any(type(reading) is type(other) and reading == other for _, other in readings):
                readings.append((member, reading))
        if len(readings) == 1:
            return readings[0][1]
        if readings:
            # One of them was stored, and to guess which could answer the other.
            fitting = " and as ".join(type_name(member) for member, _ in readings)
            raise Misfit(f"reads as {fitting}, which JSON does not tell apart: ask for one of them")
        # The deepest misfit is the one of the member that fitted best.
        deepest = max(misfits, key=lambda misfit: len(misfit.place))
        raise deepest if deepest.place else _unexpected(t, value)

    return read


def _is_record(t: Any) -> bool:
    cls = get_origin(t) or t
    return isinstance(cls, type) and (attrs.has(cls) or dataclasses.is_dataclass(cls))


def _make_converter() -> Converter:
    converter = Converter(detailed_validation=True)
    for primitive in PRIMITIVES:
        converter.register_structure_hook(primitive, _primitive)
    for cls, text in TEXTS.items():
        converter.register_structure_hook(cls, _text_hook(text))
    converter.register_structure_hook(Path, _text_hook(TEXTS[PurePath]))  # cattrs has one of its own
    hooks: list[tuple[Callable[[Any], bool], Callable[[Any], _Hook]]] = [
        (lambda t: t is object, lambda _t: lambda value, _: value),
        (lambda t: isinstance(t, type) and issubclass(t, Enum), lambda _t: _member),
        (lambda t: get_origin(t) is Literal, lambda _t: _literal),
        (lambda t: (get_origin(t) or t) in _ARRAYS, _array_hook),
        (lambda t: (get_origin(t) or t) in _MAPPINGS, _mapping_hook),
        (lambda t: issubclass(t, cast(Any, tuple)) and hasattr(t, "_fields"), _named_tuple_hook),
        (_is_record, _record_hook),
        (lambda t: typing.is_typeddict(get_origin(t) or t), _typed_dict_hook),
        (lambda t: get_origin(t) in (Union, types.UnionType), _union_hook),
    ]
    for fits, hook in hooks:
        converter.register_structure_hook_factory(fits, hook)
    return converter


_converter = _make_converter()
