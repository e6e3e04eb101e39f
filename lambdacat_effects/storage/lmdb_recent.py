"""Changes that are on the disk, but not in their places yet.

Many who write at once write in as many places, and a B+tree copies a page for each: 256 runs that add 100 bytes each
rewrite 1 MB. So a large group of changes is kept as it came, in one record, and the changes of many such groups are
put in their places together, in order: a page is rewritten once for all that it gets. Until then they are in memory,
too, and what is read is looked for there first. Groups of a few changes, one after the other, do without.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Any, Final

__all__ = ["Recent"]

_DATABASE: Final = b"recent"
_WORTHWHILE: Final = 16
"""So many changes are kept as they came."""
_MOST_GROUPS: Final = 16
_MOST_BYTES: Final = 4 << 20
_PAGES_EACH: Final = 4

_HEAD: Final = Struct("<HI")
_GONE: Final = 0xFFFF_FFFF


class Recent:
    """Groups of changes, by the number of the transaction that brought them, and what they come to.

    Used under a lock. Several processes add and settle; who is behind reads what the others added.
    """

    def __init__(self, environment: Any) -> None:
        self._groups = environment.open_db(_DATABASE)
        self._page: int = environment.stat()["psize"]
        self._changes: dict[bytes, bytes | None] = {}
        self._number = 0
        """The transaction as of which this is."""
        self._first = self._last = b""
        self.count: int = 0
        self.size: int = 0

    def as_of(self, txn: Any, number: int) -> Mapping[bytes, bytes | None]:
        """Places and the record to be there, None if it is to be removed, as of the transaction with the number."""
        if number != self._number:
            self._read(txn)
            self._number = number
        return self._changes

    def takes(self, changes: Mapping[bytes, bytes | None], room: int) -> bool:
        """Whether it is better to `add` the changes than to put all in place, with `room` for so many bytes left."""
        if not self.count and len(changes) < _WORTHWHILE:
            return False
        size = self.size + _size(changes)
        if self.count >= _MOST_GROUPS or size > _MOST_BYTES:
            return False
        # Later all are put in place in one transaction, which copies pages for each: never run out of them then.
        return 2 * size + _PAGES_EACH * self._page * (len(self._changes) + len(changes)) <= room

    def add(self, txn: Any, changes: Mapping[bytes, bytes | None]) -> None:
        """Keep the changes with a write transaction; tell `added` when it is committed."""
        pack = _HEAD.pack
        parts: list[bytes] = []
        for place, record in changes.items():
            if record is None:
                parts += (pack(len(place), _GONE), place)
            else:
                parts += (pack(len(place), len(record)), place, record)
        txn.put(_key(txn.id()), b"".join(parts), db=self._groups, append=True)

    def added(self, number: int, changes: Mapping[bytes, bytes | None]) -> None:
        """The transaction with the number is committed."""
        if number > self._number:  # else a reader has seen to it
            self._changes.update(changes)
            self._number = number
            self._last = _key(number)
            self._first = self._first or self._last
            self.count += 1
            self.size += _size(changes)

    def remove(self, txn: Any) -> bool:
        """All are being put in their places with a write transaction; tell `forget` when it is committed.

        Answers whether there were any.
        """
        if self.count:
            txn.drop(self._groups, delete=False)
        return bool(self.count)

    def forget(self, number: int) -> None:
        """The transaction with the number is committed."""
        if number > self._number:
            self._clear()
            self._number = number

    def _read(self, txn: Any) -> None:
        cursor = txn.cursor(db=self._groups)
        more = cursor.first()
        if not more or cursor.key() != self._first:  # settled since
            self._clear()
            self._first = cursor.key()
        else:
            more = cursor.set_key(self._last) and cursor.next()
        while more:
            self._last, group = cursor.item()
            self._changes.update(_changes_in(group))
            self.count += 1
            self.size += len(group)
            more = cursor.next()

    def _clear(self) -> None:
        # Another dictionary: the writer may be putting this one's changes in their places.
        self._changes = {}
        self._first = self._last = b""
        self.count = self.size = 0


def _size(changes: Mapping[bytes, bytes | None]) -> int:
    records = sum(map(len, filter(None, changes.values())))
    return _HEAD.size * len(changes) + sum(map(len, changes)) + records


def _key(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _changes_in(group: bytes) -> dict[bytes, bytes | None]:
    found: dict[bytes, bytes | None] = {}
    at = 0
    while at < len(group):
        length, size = _HEAD.unpack_from(group, at)
        at += _HEAD.size
        place = group[at : at + length]
        at += length
        if size == _GONE:
            found[place] = None
        else:
            found[place] = group[at : at + size]
            at += size
    return found
