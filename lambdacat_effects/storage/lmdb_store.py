"""A store on disk: LMDB, a memory-mapped B+tree that keeps what it has acknowledged through crashes and power cuts.

This is the only module that imports `lmdb`, and it is imported when a store is opened.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import lmdb

from lambdacat_effects.errors import InvalidArgument, ResourceNotOpen, StoreUnusable
from lambdacat_effects.storage.port import Store

__all__ = ["MAP_SIZE", "LmdbStore"]

T = TypeVar("T")

MAP_SIZE: Final = 64 << 30
"""How large a store may grow unless told otherwise, in bytes. The file is as large as its contents."""

_MOST_DATABASES: Final = 16
_MOST_READERS: Final = 1024


class LmdbStore(Store):
    """A `Store` in the directory `path`, which is made if it is not there. Several processes may have it open.

    `get` and `scan` are quick (a few microseconds, and what the copy costs); `put` and `delete` wait until the disk
    has it (0.2 to 10 ms), so call them from a worker thread. A value is less than 4 GiB. All stores of a process in
    one directory share one LMDB environment, which is closed with the last of them; the first gives `map_size`, the
    bytes to which the store may grow.

    Raises `StoreUnusable` if the directory cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str], *, map_size: int = MAP_SIZE) -> None:
        self.path: str = os.path.abspath(path)
        self._environment: _Environment | None = _acquire(self.path, map_size)

    def get(self, namespace: str, key: str) -> bytes | None:
        place = _place(namespace, key)
        record: bytes | None = self._open.read(lambda txn: txn.get(place))
        return record if record is None or len(place) < _LONGEST else _of_long(record)[1]

    def put(self, namespace: str, key: str, value: bytes) -> None:
        place = _place(namespace, key)
        record = value if len(place) < _LONGEST else _long(key, value)
        self._open.write(lambda txn: txn.put(place, record))

    def delete(self, namespace: str, key: str) -> bool:
        place = _place(namespace, key)
        return self._open.write(lambda txn: bool(txn.delete(place)))

    def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        # A list, and not an iterator over an open transaction: that would pin every page freed meanwhile.
        return self._open.read(lambda txn: _scanned(txn.cursor(), _namespace(namespace), _utf8(prefix)))

    def close(self) -> None:
        """Close it; closing again does nothing. Wait for calls in other threads first."""
        environment, self._environment = self._environment, None
        if environment is not None:
            _release(environment)

    def __enter__(self) -> LmdbStore:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def _open(self) -> _Environment:
        if self._environment is None:
            raise ResourceNotOpen(
                f"the store in {self.path!r} has been closed: open it again with LmdbStore(path)"
            )
        return self._environment


# LMDB orders its keys by bytes, and UTF-8 has the order of code points. They have 1 to 511 bytes: a length and the
# namespace, so that no namespace is a prefix of another, and then the key. What is too long for that is cut, and a
# hash takes the place of the rest; the whole key is in the record. Cut keys have exactly 511 bytes and others fewer.

_LONGEST: Final = 511
_HASH: Final = 32
_CUT: Final = _LONGEST - _HASH
_LONGEST_NAMESPACE: Final = 128
_HASHED_NAMESPACE: Final = b"\xff"


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # any text, so half of a surrogate pair, too


def _hash(data: bytes) -> bytes:
    return blake2b(data, digest_size=_HASH).digest()


def _namespace(namespace: str) -> bytes:
    name = _utf8(namespace)
    if len(name) > _LONGEST_NAMESPACE:
        return _HASHED_NAMESPACE + _hash(name)
    return bytes([len(name)]) + name


def _place(namespace: str, key: str) -> bytes:
    place = _namespace(namespace) + _utf8(key)
    return place if len(place) <= _CUT else place[:_CUT] + _hash(place)


def _long(key: str, value: bytes) -> bytes:
    name = _utf8(key)
    return len(name).to_bytes(4, "big") + name + value


def _of_long(record: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(record[:4], "big")
    return record[4:end], record[end:]


def _scanned(cursor: Any, namespace: bytes, prefix: bytes) -> list[tuple[str, bytes]]:
    start = (namespace + prefix)[:_CUT]
    found: list[tuple[bytes, bytes]] = []
    more = cursor.set_range(start)
    while more:
        place: bytes = cursor.key()
        if not place.startswith(start):
            break
        key, value = (
            (place[len(namespace) :], cursor.value()) if len(place) < _LONGEST else _of_long(cursor.value())
        )
        if key.startswith(prefix):
            found.append((key, value))
        more = cursor.next()
    found.sort(key=lambda item: item[0])  # cut keys that begin alike are ordered by their hashes
    return [(key.decode("utf-8", "surrogatepass"), value) for key, value in found]


class _Environment:
    """What the stores of one process in one directory share."""

    def __init__(self, path: str, map_size: int) -> None:
        self.path = path
        self.users = 0
        self.forked = False
        self._writing = threading.RLock()
        try:
            Path(path).mkdir(parents=True, exist_ok=True)
            # Without `sync` and `metasync` a power cut loses what was acknowledged; with `writemap` a stray pointer
            # anywhere in the process can write into the store. The older format is the one that other tools read.
            self._lmdb = lmdb.open(
                path,
                map_size=map_size,
                sync=True,
                metasync=True,
                writemap=False,
                max_dbs=_MOST_DATABASES,
                max_readers=_MOST_READERS,
                lib_version=0,
            )
        except (lmdb.Error, OSError) as error:
            self._fail(error)
        try:
            self._check_size()
            self._lmdb.reader_check()  # frees what readers that were killed still pin
            self._database = self._lmdb.open_db(b"store")
            self.key = _identity(path)
        except (lmdb.Error, OSError) as error:
            self._lmdb.close()
            self._fail(error)
        except BaseException:
            self._lmdb.close()
            raise

    def read(self, work: Callable[[Any], T]) -> T:
        """What `work` makes of a transaction."""
        return self._perform(work, write=False)

    def write(self, work: Callable[[Any], T]) -> T:
        """What `work` makes of a transaction, once that is on the disk."""
        # Begin and commit are one call on one thread: committed from another, LMDB's lock would never be released.
        # Writers queue up for that lock anyhow; queueing here keeps `set_mapsize` out while one writes.
        with self._writing:
            return self._perform(work, write=True)

    def close(self) -> None:
        if not self.forked:
            self._lmdb.close()

    def _perform(self, work: Callable[[Any], T], *, write: bool) -> T:
        if self.forked:
            raise StoreUnusable(
                f"the store in {self.path!r} was opened before this process was forked, and LMDB does not bear that: "
                "open it after forking"
            )
        try:
            try:
                return self._transaction(work, write)
            except lmdb.MapResizedError:  # another process has a larger map, and uses it
                with self._writing:
                    self._lmdb.set_mapsize(0)
                return self._transaction(work, write)
        except (lmdb.Error, OSError) as error:
            self._fail(error)

    def _transaction(self, work: Callable[[Any], T], write: bool) -> T:
        with self._lmdb.begin(db=self._database, write=write) as txn:
            return work(txn)

    def _check_size(self) -> None:
        # Reading past the end of a memory-mapped file does not raise: it kills the process.
        pages, page = self._lmdb.info()["last_pgno"] + 1, self._lmdb.stat()["psize"]
        size = os.path.getsize(_data(self.path))
        if size < pages * page:
            raise StoreUnusable(
                f"the store in {self.path!r} is damaged: data.mdb has {size} bytes where {pages * page} are needed. "
                "Restore it from a backup, or give another path"
            )

    def _fail(self, error: Exception) -> NoReturn:
        if isinstance(error, StoreUnusable):  # an OSError, too
            raise error
        raise StoreUnusable(
            f"the store in {self.path!r} cannot be used: {error}. {_advice(error, self.path)}"
        ) from error


_ADVICE: Final = {
    errno.EACCES: "Give this user the right to write there, or give another path",
    errno.EPERM: "Give this user the right to write there, or give another path",
    errno.EROFS: "The disk is mounted for reading only: give another path",
    errno.ENOSPC: "The disk is full: make room on it. What was acknowledged is still there",
    errno.EIO: "The disk is full or failing. What was acknowledged is still there",  # LMDB's word for a short write
    errno.EDQUOT: "The user's quota on the disk is used up: make room. What was acknowledged is still there",
    errno.EFBIG: "A file may not grow so large here (see `ulimit -f`). What was acknowledged is still there",
    errno.EEXIST: "The path of a store is a directory, and this is a file: give another path",
    errno.ENOTDIR: "The path of a store is a directory, and part of this is a file: give another path",
    errno.ENOMEM: "There is too little address space for its map (see `ulimit -v`): open it with a smaller map_size=",
}


_DAMAGED: Final = (lmdb.InvalidError, lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.VersionMismatchError)


def _advice(error: Exception, path: str) -> str:
    if isinstance(error, lmdb.MapFullError):
        return "It has grown to its map_size: open it with a larger one, or delete from it"
    if isinstance(error, _DAMAGED):
        return (
            f"{_data(path)!r} is damaged, or is no LMDB file of format 0.9: "
            "restore it from a backup, or give another path"
        )
    number = error.errno if isinstance(error, OSError) else getattr(error, "code", None)
    return _ADVICE.get(number or 0, "See whether its disk and its rights are in order")


def _data(path: str) -> str:
    return os.path.join(path, "data.mdb")


# By the identity of the file and not by its path: LMDB's locks belong to process and file, so closing a second
# environment of the same file, under whatever name, would release the first one's. And a directory that was removed
# and made anew is another store.
_environments: dict[tuple[int, int], _Environment] = {}
_opening = threading.Lock()


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(_data(path))
    return found.st_dev, found.st_ino


def _acquire(path: str, map_size: int) -> _Environment:
    if map_size < 1:
        raise InvalidArgument(f"map_size is a number of bytes, at least 1; got {map_size!r}")
    with _opening:
        try:
            environment = _environments.get(_identity(path))
        except OSError:  # not there yet; whatever else is wrong, opening will tell
            environment = None
        if environment is None:
            environment = _Environment(path, map_size)
            _environments[environment.key] = environment
        environment.users += 1
        return environment


def _release(environment: _Environment) -> None:
    with _opening:
        environment.users -= 1
        if environment.users == 0:
            if _environments.get(environment.key) is environment:
                del _environments[environment.key]
            environment.close()


_left_behind: list[_Environment] = []


def _after_fork() -> None:
    global _opening
    _opening = threading.Lock()  # another thread of the parent may have held the old one
    for environment in _environments.values():
        environment.forked = True
    _left_behind.extend(
        _environments.values()
    )  # collecting them would unmap what LMDB takes for the parent's
    _environments.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_after_fork)
