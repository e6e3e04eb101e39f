"""Values as bytes: JSON, read back as the type asked for, exactly or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from lambdacat_effects.errors import NotSerialisable, StoredValueMismatch
from lambdacat_effects.storage.leaves import Misfit, type_name
from lambdacat_effects.storage.plain import dumps, plain

__all__ = ["decode", "encode"]

A = TypeVar("A")


def encode(value: object) -> bytes:
    """`value` as compact JSON in UTF-8, with sorted keys: equal values give equal bytes.

    Takes what JSON has (and NaN, infinities and integers of any size, as Python writes them), attrs classes and
    dataclasses (by the fields that `__init__` takes), enums, `bytes`, `datetime` (with its offset, but not the name
    of its zone), `date`, `time`, `UUID`, paths, `Decimal`, lists, tuples, named tuples, deques, sets, and mappings
    with keys of any of these. An object says of which class it is, under "$type", so that unions and subclasses read
    back as what they were, and of which version that class was, under "$version", if it is `versioned`.

    Raises `NotSerialisable`, naming the place in the value.

    >>> encode({"b": (1, 2), "a": None})
    b'{"a":null,"b":[1,2]}'
    """
    try:
        # Text may hold half of a surrogate pair, as file names do; strict UTF-8 would refuse it.
        return dumps(plain(value)).encode("utf-8", "surrogatepass")
    except Misfit as misfit:
        raise NotSerialisable(f"value{misfit.place} {misfit.problem}") from None
    except RecursionError:
        raise NotSerialisable("value is nested too deeply to be stored as JSON") from None


def decode(data: bytes, as_type: type[A]) -> A:
    """The value that `encode` made `data` of, as a value of `as_type`: a class, `list[Hit]`, `Hit | None`, ...

    Nothing is converted on the way: an int is not read as text, nor an object of one class as another. `Any` and
    `object` give it as plain JSON has it. `Sequence` reads as a tuple, `Mapping` as a dict, `Set` as a frozenset.
    Objects of former versions of their classes are migrated, wherever in the value they are.

    Raises `StoredValueMismatch`, naming the type and the first place that does not fit.

    >>> decode(b'{"a":null,"b":[1,2]}', dict[str, tuple[int, int] | None])
    {'a': None, 'b': (1, 2)}
    """
    wanted: Any = as_type
    try:
        value = json.loads(data.decode("utf-8", "surrogatepass"))
        answer: A = _typed()(value, wanted)
    except Misfit as misfit:
        raise StoredValueMismatch(
            f"what is stored does not read as {type_name(wanted)}: value{misfit.place}: {misfit.problem}"
        ) from None
    except RecursionError:
        raise StoredValueMismatch(
            f"what is stored is nested too deeply to read as {type_name(wanted)}"
        ) from None
    except ValueError as error:
        raise StoredValueMismatch(
            f"what is stored does not read as {type_name(wanted)}: it is no JSON ({error})"
        ) from None
    return answer


@cache
def _typed() -> Callable[[Any, Any], Any]:
    from lambdacat_effects.storage.typed import typed  # loads cattrs, which takes longer than all the rest

    return typed
