"""Records in two LMDB databases: one in the order of places, one in the order of arrival.

Runs that grow side by side leave the pages of a B+tree half full, and records of a quarter of a page or more leave
a third of it empty even when they come in order. What arrives in the order of its key fills pages wholly (LMDB's
`MDB_APPEND`). So a record of middling size is kept under a number in the heap, and its place has only the number:
1 KB takes 1.4 KB, and not 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import lmdb

from lambdacat_effects.storage.lmdb_keys import LONGEST, hashed

__all__ = ["HEAP", "PLACES", "Records"]

PLACES: Final = b"store"
HEAP: Final = b"heap"

_IN_HEAP: Final = b"\xff"
"""After a place: its record is in the heap. UTF-8 has no such byte, so a place with it is of no key."""
_SMALL: Final = 96
"""Records up to this many bytes cost more in the heap than they save there."""


class Records:
    """What is under a place, within a transaction of either kind."""

    def __init__(self, environment: Any) -> None:
        self.places: Any = environment.open_db(PLACES)
        self.heap: Any = environment.open_db(HEAP)
        self.page: int = environment.stat()["psize"]
        # Half a page and more is kept on pages of its own wherever it is; 32 is more than what a node has besides.
        self._large: int = self.page // 2 - 32

    def get(self, txn: Any, place: bytes) -> bytes | None:
        record: bytes | None = txn.get(place)
        if record is None and _can_be_marked(place):
            number = txn.get(place + _IN_HEAP)
            if number is not None:
                record = self._in_heap(txn, number)
        return record

    def put(self, txn: Any, place: bytes, record: bytes) -> None:
        markable = _can_be_marked(place)
        number = txn.get(place + _IN_HEAP) if markable else None
        if markable and self._is_for_heap(record):
            if number is not None:
                txn.put(number, record, db=self.heap)
            else:
                txn.delete(place)
                number = self._next(txn)
                txn.put(place + _IN_HEAP, number)
                txn.put(number, record, db=self.heap, append=True)
        else:
            if number is not None:
                txn.delete(place + _IN_HEAP)
                txn.delete(number, db=self.heap)
            txn.put(place, record)

    def append(self, txn: Any, place: bytes, record: bytes) -> None:
        """Put what is not there yet, and most likely comes after all that is."""
        key, value = place, record
        if self._is_for_heap(record) and _can_be_marked(place):
            key, value = place + _IN_HEAP, self._next(txn)
            txn.put(value, record, db=self.heap, append=True)
        if not txn.put(key, value, append=True):
            txn.put(key, value)

    def delete(self, txn: Any, place: bytes) -> bool:
        """Whether it was there."""
        if txn.delete(place):
            return True
        number = txn.pop(place + _IN_HEAP) if _can_be_marked(place) else None
        return number is not None and bool(txn.delete(number, db=self.heap))

    def scan(self, txn: Any, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Places that begin with `start` and their records, ordered by place, those in the heap after longer ones."""
        cursor = txn.cursor(db=self.places)
        more = cursor.set_range(start) if start else cursor.first()
        while more:
            place, record = cursor.item()
            if not place.startswith(start):
                return
            if place.endswith(_IN_HEAP) and _can_be_marked(place):
                yield place[:-1], self._in_heap(txn, record)
            else:
                yield place, record
            more = cursor.next()

    def used(self, txn: Any) -> int:
        """The bytes of the pages that have something in them."""
        pages = 0
        for database in (self.places, self.heap):
            stat = txn.stat(database)
            pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return self.page * pages

    def _is_for_heap(self, record: bytes) -> bool:
        return _SMALL < len(record) <= self._large

    def _in_heap(self, txn: Any, number: bytes) -> bytes:
        record: bytes | None = txn.get(number, db=self.heap)
        if record is None:
            raise lmdb.CorruptedError("a record that it lists is not there")
        return record

    def _next(self, txn: Any) -> bytes:
        cursor = txn.cursor(db=self.heap)
        last = int.from_bytes(cursor.key(), "big") if cursor.last() else 0
        return (last + 1).to_bytes(8, "big")  # in the order of numbers


def _can_be_marked(place: bytes) -> bool:
    return len(place) < LONGEST and not hashed(place)
