"""Whether a data file is as long as it has to be, found without LMDB.

LMDB reads through a memory map, and reading past the end of the file kills the process. Its file may be shorter than
the number of its pages says, if the last ones are free and were never written: then what is in use tells.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from struct import Struct, error, unpack_from
from typing import Any, Final

from lambdacat_effects.errors import StoreUnusable
from lambdacat_effects.storage.lmdb_errors import data_file

__all__ = ["check_length", "reaches_its_pages"]

_HEADER: Final = 16
_BRANCH, _LEAF = 0x01, 0x02
_BIG, _TREE = 0x01, 0x02
_NODE: Final = Struct("=HHHH")
_NONE: Final = (1 << 64) - 1


def check_length(environment: Any, path: str) -> None:
    """Raise `StoreUnusable` if something in use lies beyond the end of the data file of the LMDB `environment`."""
    if _is_long_enough(environment, path):
        return
    with environment.begin(write=True):  # so that nobody else writes
        size = os.path.getsize(data_file(path))
        sound = _is_long_enough(environment, path) or reaches_its_pages(
            data_file(path), environment.stat()["psize"]
        )
    if not sound:
        raise StoreUnusable(
            f"the store in {path!r} is damaged: data.mdb has only {size} bytes, and more are in use. Restore it from "
            "a backup, or give another path"
        )


def _is_long_enough(environment: Any, path: str) -> bool:
    pages: int = environment.info()["last_pgno"] + 1
    page: int = environment.stat()["psize"]
    return os.path.getsize(data_file(path)) >= pages * page


def reaches_its_pages(path: str, page: int) -> bool:
    """Whether every page in use is in the data file, whose pages have `page` bytes. Nobody may write meanwhile."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        return _Pages(handle, page).are_there()
    except (error, IndexError):
        return False
    finally:
        os.close(handle)


class _Pages:
    def __init__(self, handle: int, page: int) -> None:
        self._handle = handle
        self._page = page
        self._number = os.fstat(handle).st_size // page

    def are_there(self) -> bool:
        pending = [root for root in self._roots() if root != _NONE]
        seen: set[int] = set()
        while pending:
            number = pending.pop()
            if number >= self._number or number in seen:
                return False
            seen.add(number)
            for first, length, tree in self._named_by(self._read(number)):
                if first + length > self._number:
                    return False
                if tree:
                    pending.append(first)
        return True

    def _roots(self) -> tuple[int, int]:
        """Of the free pages' tree and the databases', as of the last transaction."""
        metas = [self._read(number) for number in (0, 1)]
        last = max(metas, key=lambda meta: _at(meta, _HEADER + 128))
        return _at(last, _HEADER + 24 + 40), _at(last, _HEADER + 24 + 48 + 40)

    def _named_by(self, page: bytes) -> Iterator[tuple[int, int, bool]]:
        """First pages, how many follow one another there, and whether they have a tree to look into."""
        flags, lower = unpack_from("=HH", page, 10)
        for slot in range(_HEADER, lower, 2):
            (node,) = unpack_from("=H", page, slot)
            low, high, kind, key = _NODE.unpack_from(page, node)
            data = node + _NODE.size + key
            if flags & _BRANCH:
                yield low | high << 16 | kind << 32, 1, True
            elif flags & _LEAF and kind & _BIG:
                yield _at(page, data), 1 + (_HEADER - 1 + (low | high << 16)) // self._page, False
            elif flags & _LEAF and kind & _TREE and _at(page, data + 40) != _NONE:
                yield _at(page, data + 40), 1, True

    def _read(self, number: int) -> bytes:
        os.lseek(self._handle, number * self._page, os.SEEK_SET)
        return os.read(self._handle, self._page)


def _at(data: bytes, offset: int) -> int:
    value: int = unpack_from("=Q", data, offset)[0]
    return value
