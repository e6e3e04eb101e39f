"""What an answer has to be: a type as JSON, so that an answer is checked where it is given, in whatever process.

A class is known by its name. Where it cannot be imported, the answer is taken as it is, and checked by whoever goes
on with the run.
"""

from __future__ import annotations

import dataclasses
import types
from enum import Enum
from typing import Annotated, Any, Final, Literal, NewType, Union, cast, get_args, get_origin, get_type_hints

import attrs

from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.storage.exact.classes import class_name, named_class
from lambdacat_effects.storage.leaves import Misfit, type_name

__all__ = ["check_answer", "written_type"]

_SPECIAL: Final[dict[str, Any]] = {"Any": Any, "None": None, "...": ...}
_AS_THEY_ARE: Final = (str, int, bool, type(None))


def written_type(as_type: Any) -> Any:
    """A type as JSON; None if it has no name that would be found again.

    >>> written_type(list[int] | None)
    {'union': [{'of': 'list', 'parts': ['int']}, 'None']}
    """
    try:
        return _written(as_type)
    except Misfit:
        return None


def _written(t: Any) -> Any:
    for name, special in _SPECIAL.items():
        if t is special or (t is type(None) and name == "None"):
            return name
    origin = get_origin(t)
    if origin is None:
        if isinstance(t, NewType):
            return _written(t.__supertype__)
        if isinstance(t, type):
            return class_name(t)
    elif origin is Annotated:
        return _written(get_args(t)[0])
    elif origin is Literal:
        members = list(get_args(t))
        if all(type(member) in _AS_THEY_ARE for member in members):
            return {"literal": members}
    elif origin in (Union, types.UnionType):
        return {"union": [_written(part) for part in get_args(t)]}
    elif isinstance(origin, type):
        return {"of": class_name(origin), "parts": [_written(part) for part in get_args(t)]}
    raise Misfit("has no name")


def _read(plain: Any) -> Any:
    if isinstance(plain, str):
        return _SPECIAL[plain] if plain in _SPECIAL else named_class(plain)
    if "literal" in plain:
        return Literal[tuple(plain["literal"])]
    if "union" in plain:
        return Union[tuple([_read(part) for part in plain["union"]])]
    return cast(Any, named_class(plain["of"]))[tuple([_read(part) for part in plain["parts"]])]


def check_answer(question: str, wanted: Any, kind: str, value: object, plain: Any) -> None:
    """Raise `InvalidArgument` unless `value`, which is `plain` as JSON, is of the type that is `wanted`, called
    `kind`. If that type is not known here, it is taken."""
    if wanted is None:
        return
    try:
        as_type = _read(wanted)
    except Exception:  # whatever happens when a module is imported that is not of this process
        return
    from lambdacat_effects.storage.typed import typed  # loads cattrs

    try:
        typed(plain, as_type)
    except Misfit as misfit:
        raise InvalidArgument(
            f"{question!r} is to be answered with a value of type {kind}; got {value!r}: value{misfit.place}: "
            f"{misfit.problem}{_shape(as_type)}"
        ) from None


def _shape(t: Any) -> str:
    """What there is to know of a type whose name says little."""
    shapes = [_shape_of(part) for part in (t, *get_args(t)) if isinstance(part, type)]
    return "".join([f". {shape}" for shape in shapes if shape])


def _shape_of(cls: type[Any]) -> str:
    if get_origin(cls) is not None:
        return ""
    if issubclass(cls, Enum):
        members = ", ".join([f"{member.name} ({member.value!r})" for member in cls])
        return f"A {cls.__name__} is one of {members}"
    if not (attrs.has(cls) or dataclasses.is_dataclass(cls)):
        return ""
    try:
        hints = get_type_hints(cls)
    except Exception:  # annotations that cannot be evaluated
        return ""
    return f"A {cls.__name__} has {', '.join([f'{name}: {type_name(hint)}' for name, hint in hints.items()])}"
