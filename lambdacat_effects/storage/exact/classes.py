"""Classes by name, and what a recording may make of them."""

from __future__ import annotations

import dataclasses
import importlib
from enum import Enum
from typing import Any, cast

import attrs

from lambdacat_effects.storage.leaves import Misfit
from lambdacat_effects.storage.versions import names_of

__all__ = ["class_name", "field_names", "importable_name", "is_named_tuple", "named_class"]


def class_name(cls: Any) -> str:
    """ "module:qualified name"; of a builtin, its name alone.

    >>> class_name(int), class_name(Misfit)
    ('int', 'lambdacat_effects.storage.leaves:Misfit')
    """
    name = getattr(cls, "__qualname__", None) or getattr(cls, "__name__", None) or type(cls).__qualname__
    module = getattr(cls, "__module__", None) or "?"
    return str(name) if module == "builtins" else f"{module}:{name}"


def importable_name(cls: type[Any]) -> str:
    """`class_name`, from which a replay finds the class again. Raises `Misfit` if it would not."""
    name = class_name(cls)
    try:
        found: object = named_class(name)
    except Misfit:
        found = None
    if found is not cls:
        raise Misfit(
            f"is of the class {name}, which cannot be imported by its name: define it at the top of a module"
        )
    return name


def named_class(name: str) -> type[Any]:
    """The class of this name, or the one beside it that declares to have had it (`versioned(was=...)`); its module is
    imported, and nothing else is executed. Raises `Misfit`."""
    module, _, path = name.rpartition(":")
    try:
        found: Any = importlib.import_module(module or "builtins")
        for part in path.split("."):
            found = _within(found, part)
    except (ImportError, AttributeError, KeyError, ValueError, TypeError) as error:
        raise Misfit(
            f"is of the class {name}, which cannot be imported ({type(error).__name__}: {error})"
        ) from None
    if not isinstance(found, type):
        raise Misfit(f"is of the class {name}, and that is no class")
    return cast("type[Any]", found)


def _within(found: Any, part: str) -> Any:
    try:
        return vars(found)[part] if isinstance(found, type) else getattr(found, part)
    except (AttributeError, KeyError):
        beside: list[Any] = [cls for cls in vars(found).values() if isinstance(cls, type)]
        renamed = {id(cls): cls for cls in beside if part in names_of(cls) and cls.__name__ != part}
        if len(renamed) != 1:
            raise
        return renamed.popitem()[1]


def field_names(cls: type[Any]) -> tuple[str, ...] | None:
    """The fields of an attrs class, a dataclass or a named tuple, also those that `__init__` does not take; None for
    other classes.

    >>> from lambdacat_effects import Ok
    >>> field_names(Ok), field_names(str)
    (('value',), None)
    """
    if issubclass(cls, Enum):
        return None
    if attrs.has(cls):
        return tuple([field.name for field in attrs.fields(cls)])
    if dataclasses.is_dataclass(cls):
        return tuple([field.name for field in dataclasses.fields(cls)])
    return cast("Any", cls)._fields if is_named_tuple(cls) else None


def is_named_tuple(cls: type[Any]) -> bool:
    """Whether it was made by `NamedTuple` or `namedtuple`."""
    return issubclass(cls, cast("type[Any]", tuple)) and isinstance(getattr(cls, "_fields", None), tuple)
