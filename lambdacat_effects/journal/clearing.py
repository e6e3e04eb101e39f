"""What is not needed any more, removed in pieces: a store may bound how much changes at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lambdacat_effects.journal.keys import entry_key
from lambdacat_effects.journal.records import ENTRIES
from lambdacat_effects.storage.port import Delete

__all__ = ["deleted", "removed"]

_AT_ONCE = 1000


def deleted(prefix: str, count: int) -> Iterator[list[Delete]]:
    """The changes that remove the first `count` records of a journal, the last ones first.

    So what is left after a crash is the beginning of a journal, from which its length can be read.
    """
    return removed([entry_key(prefix, n) for n in range(count - 1, -1, -1)])


def removed(keys: Sequence[str]) -> Iterator[list[Delete]]:
    """The changes that remove these records, in this order."""
    for start in range(0, len(keys), _AT_ONCE):
        yield [Delete(ENTRIES, key) for key in keys[start : start + _AT_ONCE]]
