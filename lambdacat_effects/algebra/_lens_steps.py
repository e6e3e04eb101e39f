"""The steps that lenses are made of: how each kind reads its part, writes it, and says that it does not fit."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import attrs

from lambdacat_effects.errors import LensMismatch

__all__ = ["AttrStep", "FunctionsStep", "IndexStep", "KeyStep", "Step"]


class Step(Protocol):
    """One step into a value. `whole` is the lens that the step is part of, for error messages only."""

    def read(self, source: Any, whole: object) -> Any: ...

    def write(self, source: Any, value: Any, whole: object) -> Any: ...


@attrs.frozen(repr=False)
class FunctionsStep:
    get: Callable[[Any], Any]
    set: Callable[[Any, Any], Any]
    name: str | None

    def read(self, source: Any, whole: object) -> Any:
        try:
            return self.get(source)
        except (KeyError, AttributeError, IndexError, TypeError) as error:
            raise self._refused(source, whole, "get", error) from error

    def write(self, source: Any, value: Any, whole: object) -> Any:
        try:
            return self.set(source, value)
        except (KeyError, AttributeError, IndexError, TypeError) as error:
            raise self._refused(source, whole, "set", error) from error

    def _refused(self, source: object, whole: object, role: str, error: Exception) -> LensMismatch:
        why = f"was given {_describe(source)}, and its {role} raised {error!r}"
        return _mismatch(whole, self, why, "Correct the lens, or give it a source that it fits.")

    def __repr__(self) -> str:
        return self.name or f"lens({_name_of(self.get)}, {_name_of(self.set)})"


@attrs.frozen(repr=False)
class KeyStep:
    name: object

    def read(self, source: Any, whole: object) -> Any:
        return self._fitting(source, whole)[self.name]

    def write(self, source: Any, value: Any, whole: object) -> Any:
        return {**self._fitting(source, whole), self.name: value}

    def _fitting(self, source: object, whole: object) -> Mapping[Any, Any]:
        if issubclass(type(source), Mapping):
            mapping = cast("Mapping[Any, Any]", source)
            # `in`, not `except KeyError`: reading a defaultdict would add the key to the source.
            if self.name in mapping:
                return mapping
        why = f"needs a mapping with the key {self.name!r}, and was given {_describe(source)}"
        raise _mismatch(whole, self, why, "Put the key there first, or correct the lens.")

    def __repr__(self) -> str:
        return f"key({self.name!r})"


@attrs.frozen(repr=False)
class AttrStep:
    name: str

    def read(self, source: Any, whole: object) -> Any:
        self._argument(source, whole)
        return getattr(source, self.name)

    def write(self, source: Any, value: Any, whole: object) -> Any:
        change = {self._argument(source, whole): value}
        kind = _type_of(source)
        if attrs.has(kind):
            return attrs.evolve(source, **change)
        if dataclasses.is_dataclass(kind):
            return dataclasses.replace(source, **change)
        return source._replace(**change)

    def _argument(self, source: object, whole: object) -> str:
        arguments = _settable_fields(source)
        if self.name in arguments:
            return arguments[self.name]
        why = f"needs an attrs class, a dataclass or a namedtuple with the field {self.name!r}"
        advice = "Correct the name, or write the access yourself with lens(get, set)."
        raise _mismatch(whole, self, f"{why}, and was given {_describe(source)}", advice)

    def __repr__(self) -> str:
        return f"attr({self.name!r})"


@attrs.frozen(repr=False)
class IndexStep:
    i: int

    def read(self, source: Any, whole: object) -> Any:
        return self._fitting(source, whole)[self.i]

    def write(self, source: Any, value: Any, whole: object) -> Any:
        sequence, kind = self._fitting(source, whole), _type_of(source)
        if issubclass(kind, list):
            changed = copy.copy(source)
            changed[self.i] = value
            return changed
        items = list(sequence)
        items[self.i] = value
        # A namedtuple's own constructor takes its fields one by one.
        return getattr(kind, "_make", kind)(items)

    def _fitting(self, source: object, whole: object) -> tuple[Any, ...] | list[Any]:
        if issubclass(type(source), (tuple, list)):
            sequence = cast("tuple[Any, ...] | list[Any]", source)
            if -len(sequence) <= self.i < len(sequence):
                return sequence
        why = f"needs a tuple or list with an item {self.i}, and was given {_describe(source)}"
        raise _mismatch(whole, self, why, "Check the length first, or correct the index.")

    def __repr__(self) -> str:
        return f"index({self.i})"


def _settable_fields(source: object) -> dict[str, str]:
    """Field name -> the name of the argument that sets it. Fields that `__init__` does not take are not there."""
    kind = type(source)
    if attrs.has(kind):
        return {field.name: field.alias or field.name for field in attrs.fields(kind) if field.init}
    if dataclasses.is_dataclass(kind):
        return {field.name: field.name for field in dataclasses.fields(kind) if field.init}
    if isinstance(source, tuple):
        return {name: name for name in getattr(kind, "_fields", ())}
    return {}


def _mismatch(whole: object, step: object, why: str, advice: str) -> LensMismatch:
    who = "it" if repr(whole) == repr(step) else repr(step)
    return LensMismatch(f"the lens {whole!r} does not fit: {who} {why}. {advice}")


def _describe(source: Any) -> str:
    # Keys, fields and lengths, never values: a state may hold secrets, and messages end up in logs.
    kind = _type_of(source)
    if issubclass(kind, Mapping):
        return f"{kind.__qualname__} with {_listed('keys', source)}"
    if fields := _settable_fields(source):
        return f"{kind.__qualname__} with {_listed('fields', fields)}"
    if issubclass(kind, (tuple, list)):
        return f"{kind.__qualname__} of length {len(source)}"
    return kind.__qualname__


def _type_of(value: object) -> type[Any]:
    return type(value)


def _listed(what: str, names: Mapping[Any, object]) -> str:
    shown = [repr(name) for name, _ in zip(names, range(8), strict=False)]
    more = ["..."] if len(names) > len(shown) else []
    return f"the {what} {', '.join(shown + more)}" if shown else f"no {what}"


def _name_of(function: object) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)
