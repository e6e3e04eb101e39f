"""What is not needed any more, removed in pieces: a store may bound how much changes at once."""

from __future__ import annotations

from collections.abc import Iterator

from lambdacat_effects.journal.keys import entry_key
from lambdacat_effects.journal.records import ENTRIES
from lambdacat_effects.storage.port import Delete

__all__ = ["deleted"]

_AT_ONCE = 1000


def deleted(prefix: str, count: int) -> Iterator[list[Delete]]:
    """The changes that remove the first `count` records of a journal, the last ones first.

    So what is left after a crash is the beginning of a journal, from which its length can be read.
    """
    for end in range(count, 0, -_AT_ONCE):
        yield [Delete(ENTRIES, entry_key(prefix, n)) for n in range(end - 1, max(-1, end - _AT_ONCE - 1), -1)]
