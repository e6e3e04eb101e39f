"""Memory: values kept under a namespace and a key, beyond the plan that wrote them.

Namespaces that begin with "_" are not memory's: beliefs and journals have theirs in the same store.
"""

from __future__ import annotations

from typing import Any, Generic, TypeAlias, TypeVar, cast

import attrs

from lambdacat_effects.effects.effect import Effect, effect
from lambdacat_effects.errors import InvalidArgument

__all__ = [
    "Forget",
    "Marked",
    "Memory",
    "Recall",
    "RecallMarked",
    "Remember",
    "RememberUnlessChanged",
    "SaveState",
    "SearchMemory",
    "forget",
    "recall",
    "recall_marked",
    "remember",
    "remember_unless_changed",
    "search_memory",
]

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f"a memory {what} is a non-empty string; got {name!r}")
    if what == "namespace" and name.startswith("_"):
        raise InvalidArgument(
            f"a memory namespace does not begin with '_', as those of beliefs and of a run's journal do, which may "
            f"be kept in the same store; got {name!r}"
        )


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


@effect
class SearchMemory(Effect[A]):
    """What is kept in `namespace` under keys that begin with `prefix`: pairs of key and value, read as `as_type`,
    in the order of the keys, at most `limit`."""

    namespace: str
    prefix: str
    as_type: Any
    limit: int | None = None


@attrs.frozen
class Marked(Generic[A_co]):
    """A value that was recalled, or None, with a mark by which it is known whether something else is kept since."""

    value: A_co
    mark: str
    """Of what is kept, and of nothing if nothing is. It says nothing but whether it is the same."""


@effect
class RecallMarked(Effect[A]):
    """`Recall`, which answers the value as `Marked`."""

    namespace: str
    key: str
    as_type: Any


@effect
class RememberUnlessChanged(Effect[str | None]):
    """Keep `value` under (`namespace`, `key`) if what is there still has the mark `since`; answers its own mark,
    or None if something else was there."""

    namespace: str
    key: str
    value: object
    since: str


@effect
class SaveState(Effect[A]):
    """Save an agent's state now, as `save_state` asks the `with_state` around it; answers the state to go on from.

    It belongs to the row of memory, as `with_state` itself does; outside of one, handlers of memory refuse it.
    """

    state: A


Memory: TypeAlias = (
    Remember
    | Recall[Any]
    | Forget
    | SearchMemory[Any]
    | RecallMarked[Any]
    | RememberUnlessChanged
    | SaveState[Any]
)
"""The row label of plans that remember."""


def remember(namespace: str, key: str, value: object) -> Remember:
    """Keep `value`: anything that cattrs can unstructure into JSON (attrs classes, dataclasses, collections,
    dates).

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


def search_memory(
    namespace: str, prefix: str = "", *, as_type: type[A], limit: int | None = None
) -> SearchMemory[list[tuple[str, A]]]:
    """What is remembered under keys that begin with `prefix`: (key, value) pairs, ordered by key (by code points).

    Keys under which None was remembered are left out, as they are nothing to `recall`. At most `limit` pairs are
    read and answered, the first ones. Still, a store reads all that the prefix covers: this costs as much as there
    is under the prefix, where `recall` costs one look-up. Choose prefixes that say enough (`"2026-05-"`).

    Raises `StoredValueMismatch`, naming the key, when a value does not read as `as_type`.

    >>> from lambdacat_effects import in_memory, search_memory
    >>> notes = in_memory({("notes", "a1"): "tea", ("notes", "b1"): "milk", ("notes", "a2"): "jam"})
    >>> notes.run_pure(search_memory("notes", "a", as_type=str))
    [('a1', 'tea'), ('a2', 'jam')]
    >>> notes.run_pure(search_memory("notes", as_type=str, limit=1))
    [('a1', 'tea')]
    """
    _check_name("namespace", namespace)
    if not isinstance(cast(object, prefix), str):
        raise InvalidArgument(f"a prefix of memory keys is a string; got {prefix!r}")
    if limit is not None and (type(limit) is not int or limit < 1):
        raise InvalidArgument(
            f"the limit of a search is a number of pairs, at least 1, or None; got {limit!r}"
        )
    return SearchMemory(namespace, prefix, cast(Any, as_type), limit)


def recall_marked(namespace: str, key: str, *, as_type: type[A]) -> RecallMarked[Marked[A | None]]:
    """What was remembered, or None, with a mark to give to `remember_unless_changed`.

    Raises `StoredValueMismatch` when the stored value does not read as `as_type`.
    """
    _check_name("namespace", namespace)
    _check_name("key", key)
    return RecallMarked(namespace, key, cast(Any, as_type))


def remember_unless_changed(namespace: str, key: str, value: object, *, since: str) -> RememberUnlessChanged:
    """Keep `value`, unless something else is kept there than when it was recalled; answers its mark, or None.

    So that of two plans that change one value at the same time none undoes what the other did: the one that is told
    None recalls again. Equal values have equal marks: where a value may come back to what it was, count its changes
    in it if they matter. Raises `NotSerialisable`; nothing is written then.

    >>> from lambdacat_effects import in_memory, recall_marked, remember_unless_changed
    >>> def visit():
    ...     kept = None
    ...     while kept is None:
    ...         found = yield from recall_marked("site", "visits", as_type=int)
    ...         visits = (found.value or 0) + 1
    ...         kept = yield from remember_unless_changed("site", "visits", visits, since=found.mark)
    ...     return visits
    >>> in_memory({("site", "visits"): 41}).run_pure(visit())
    42
    """
    _check_name("namespace", namespace)
    _check_name("key", key)
    if not isinstance(cast(object, since), str):
        raise InvalidArgument(f"since= takes the mark of a value that was recalled; got {since!r}")
    return RememberUnlessChanged(namespace, key, value, since)
