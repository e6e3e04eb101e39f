"""Memory: values kept under a namespace and a key, beyond the plan that wrote them."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar, cast

from lambdacat_effects.effects.effect import Effect, effect
from lambdacat_effects.errors import InvalidArgument

__all__ = ["Forget", "Memory", "Recall", "Remember", "forget", "recall", "remember"]

A = TypeVar("A")


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f"a memory {what} is a non-empty string; got {name!r}")


@effect
class Remember(Effect[None]):
    """Keep `value` under (`namespace`, `key`), in place of what was there."""

    namespace: str
    key: str
    value: object


@effect
class Recall(Effect[A]):
    """The value kept under (`namespace`, `key`), read as `as_type`, or None."""

    namespace: str
    key: str
    as_type: Any


@effect
class Forget(Effect[bool]):
    """Remove what is kept under (`namespace`, `key`); answers whether there was anything."""

    namespace: str
    key: str


Memory: TypeAlias = Remember | Recall[Any] | Forget
"""The row label of plans that remember."""


def remember(namespace: str, key: str, value: object) -> Remember:
    """Keep `value`: anything that cattrs can unstructure into JSON (attrs classes, dataclasses, collections, dates).

    Raises `NotSerialisable` where it cannot, naming the place in the value; nothing is written then.
    """
    _check_name("namespace", namespace)
    _check_name("key", key)
    return Remember(namespace, key, value)


def recall(namespace: str, key: str, *, as_type: type[A]) -> Recall[A | None]:
    """What was remembered, or None. Every recall gives a value of its own: changing it changes nothing stored.

    Raises `StoredValueMismatch` when the stored value does not read as `as_type`.

    >>> from lambdacat_effects import in_memory, remember, recall
    >>> def visits():
    ...     n = (yield from recall("site", "visits", as_type=int)) or 0
    ...     yield from remember("site", "visits", n + 1)
    ...     return n + 1
    >>> memory = in_memory()
    >>> memory.run_pure(visits()), memory.run_pure(visits())
    (1, 2)
    """
    _check_name("namespace", namespace)
    _check_name("key", key)
    return Recall(namespace, key, cast(Any, as_type))


def forget(namespace: str, key: str) -> Forget:
    """Remove what was remembered; answers whether there was anything."""
    _check_name("namespace", namespace)
    _check_name("key", key)
    return Forget(namespace, key)
