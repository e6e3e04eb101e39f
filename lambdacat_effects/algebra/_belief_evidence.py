"""Evidence: what one source says of a proposition, and which of two versions of it is the newer."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, TypeVar, cast

import attrs

from lambdacat_effects.algebra._belief_odds import checked_finite, checked_weight
from lambdacat_effects.errors import InvalidArgument

__all__ = [
    "Entries",
    "Evidence",
    "checked_name",
    "checked_version",
    "entry_named",
    "newest",
    "next_version",
    "order_of",
    "sorted_entries",
]

E = TypeVar("E")


def checked_name(what: str, name: object) -> str:
    """`name`, if it is text and not empty. Raises `InvalidArgument`."""
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f"{what} is a non-empty string; got {name!r}")
    return name


def checked_version(version: object) -> int:
    """`version`, if it is a whole number of at least 0. Raises `InvalidArgument`."""
    if isinstance(version, bool) or not isinstance(version, int) or version < 0:
        raise InvalidArgument(f"a version is a whole number of at least 0; got {version!r}")
    return version


def _version(version: Any) -> int:
    return checked_version(version)


def _weight(weight: Any) -> float:
    return checked_weight("a weight", weight)


def _time(time: Any) -> float:
    return checked_finite("a time, in seconds,", time)


@attrs.frozen
class Evidence:
    """What one source says: a weight in log-odds, since `time`, in its `version`, which counts up.

    A weight of 0 says nothing: it is what is left of evidence that was retracted. Raises `InvalidArgument` for NaN,
    for finite weights beyond 1e300, and for times that are not finite.

    >>> Evidence(1, weight=2.0, time=100.0)
    Evidence(version=1, weight=2.0, time=100.0)
    """

    version: int = attrs.field(converter=_version)
    """Counts up whenever the source speaks; merging keeps the highest."""
    weight: float = attrs.field(converter=_weight)
    """In log-odds; infinite if it is certain."""
    time: float = attrs.field(default=0.0, converter=_time)
    """When it was said, in seconds since the Unix epoch (or on any other clock)."""

    @property
    def order(self) -> tuple[int, float, bool, float]:
        """What decides which of two is newer. Ties of versions go to the later; then to what was retracted.

        >>> Evidence(2, 1.0).order > Evidence(1, 9.0).order
        True
        """
        return self.version, self.time, self.weight == 0.0, self.weight


def newest(ours: Iterable[tuple[str, Any]], theirs: Iterable[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    """The newest by name of entries that have an `order`, sorted by name.

    >>> newest([("a", Evidence(1, 1.0))], [("a", Evidence(2, 0.0)), ("b", Evidence(1, 3.0))])[0]
    ('a', Evidence(version=2, weight=0.0, time=0.0))
    """
    merged = dict(ours)
    for name, entry in theirs:
        held = merged.get(name)
        if held is None or entry.order > held.order:
            merged[name] = entry
    return tuple(sorted(merged.items()))


Entries: TypeAlias = "Mapping[str, E] | Iterable[tuple[str, E]]"
"""What entries by name may be given as."""


def sorted_entries(what: str, kind: type[E], entries: Entries[E]) -> tuple[tuple[str, E], ...]:
    """Entries by name as pairs, sorted, of which a frozen value can be made. Raises `InvalidArgument`.

    >>> sorted_entries("a source", int, {"b": 1, "a": 2})
    (('a', 2), ('b', 1))
    """
    pairs: Any = cast("Mapping[str, E]", entries).items() if isinstance(entries, Mapping) else entries
    try:
        found: list[tuple[str, E]] = [(checked_name(what, name), entry) for name, entry in pairs]
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidArgument):
            raise
        raise InvalidArgument(
            f"expected a mapping from {what} to {kind.__name__}, or pairs of these; got {entries!r}"
        ) from None
    for name, entry in found:
        if not isinstance(cast(object, entry), kind):
            raise InvalidArgument(f"expected {kind.__name__} for {name!r}; got {entry!r}")
    by_name = dict(found)
    if len(by_name) < len(found):
        raise InvalidArgument(f"{what} is given twice, in {[name for name, _ in found]!r}: give each once")
    return tuple(sorted(found, key=lambda pair: pair[0]))


def entry_named(entries: tuple[tuple[str, E], ...], name: object) -> E | None:
    """The entry of this name among sorted ones, or None.

    >>> entry_named((("a", 2), ("b", 1)), "b")
    1
    """
    if not isinstance(name, str):
        return None
    at = bisect_left(entries, name, key=_name)
    return entries[at][1] if at < len(entries) and entries[at][0] == name else None


def next_version(held: int, given: int | None) -> int:
    """The version after the one `held`, unless one is `given`. Raises `InvalidArgument` if that is below 1.

    >>> next_version(2, None), next_version(2, 7)
    (3, 7)
    """
    if given is not None and checked_version(given) < 1:
        raise InvalidArgument(f"versions count from 1; got {given!r}")
    return held + 1 if given is None else given


def order_of(entry: Any) -> Any:
    """The `order` of an entry, as a key for `max`.

    >>> max(Evidence(1, 5.0), Evidence(2, 0.0), key=order_of).version
    2
    """
    return entry.order


def _name(entry: tuple[str, object]) -> str:
    return entry[0]
