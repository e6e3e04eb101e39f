"""Exceptions in parts, and made again of these, without running any `__init__` but that of the built-in base."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import attrs

__all__ = ["ErrorParts", "error_of", "parts_of"]


class ErrorParts(NamedTuple):
    """What an exception is made of, besides its class."""

    args: tuple[Any, ...]
    """The arguments that its built-in base was given."""
    attributes: dict[str, Any]
    """What was assigned to it, such as `PlanTimeout.seconds`."""
    notes: list[str]
    """What `add_note` added."""
    cause: BaseException | None
    """What it was raised from."""


def parts_of(error: BaseException) -> ErrorParts:
    """The parts of an exception; the members of a group are among its arguments.

    >>> from lambdacat_effects import PlanTimeout
    >>> parts_of(PlanTimeout("late", seconds=2.0))
    ErrorParts(args=('late',), attributes={'seconds': 2.0}, notes=[], cause=None)
    """
    base = _builtin_bases(type(error))[0]
    # Of the built-in base, not of the class, which may have one for pickling: it names what C code keeps, such as the
    # file name of an OSError.
    reduced = cast(Any, base).__reduce__(error)
    attributes: dict[str, Any] = dict(reduced[2] or {}) if len(reduced) > 2 else {}
    attributes.pop("args", None)  # as AttributeError has it again, from Python 3.12 on
    notes = attributes.pop("__notes__", [])
    if isinstance(error, (AttributeError, NameError)) and error.name is not None:
        attributes["name"] = error.name  # which Python 3.11 leaves out
    cls: type[Any] = type(error)
    if attrs.has(cls):
        attributes |= {f.name: getattr(error, f.name) for f in attrs.fields(cls)}
    return ErrorParts(tuple(reduced[1]), attributes, list(notes), error.__cause__)


def error_of(cls: type[Any], parts: ErrorParts) -> BaseException:
    """An exception of class `cls` made of its parts. Raises `TypeError` if they do not fit."""
    for base in _builtin_bases(cls):
        try:
            error: BaseException = cast(Any, base).__new__(cls, *parts.args)
        except TypeError:
            continue  # one of the other built-in bases lays the object out
        break
    else:
        raise TypeError(f"{cls.__qualname__} takes no {parts.args!r}")
    cast(Any, base).__init__(error, *parts.args)
    for name, value in parts.attributes.items():
        object.__setattr__(error, name, value)
    for note in parts.notes:
        error.add_note(note)
    error.__cause__ = parts.cause
    error.__suppress_context__ = parts.cause is not None
    return error


def _builtin_bases(cls: type[Any]) -> list[type[Any]]:
    return [base for base in cls.__mro__ if base.__module__ == "builtins" and base is not object]
