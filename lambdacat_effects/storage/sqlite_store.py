"""A store in an SQLite database: one file, that every language and a command line can read."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

from lambdacat_effects.errors import InvalidArgument, ResourceNotOpen, StoreUnusable
from lambdacat_effects.storage.limits import checked_limit
from lambdacat_effects.storage.port import Change, Store
from lambdacat_effects.storage.sqlite_connection import SqliteConnection
from lambdacat_effects.storage.sqlite_thread import Job, OwnerThread

__all__ = ["SqliteStore"]

T = TypeVar("T")

_WAIT: Final = 60.0


class SqliteStore(Store):
    """A `Store` in the SQLite database `path`, which is made if it is not there. Several processes may have it open.

    One thread has the connection. What is asked of it meanwhile it does in one transaction, and then waits for the
    disk once for all of that (WAL, `synchronous=FULL`): what was acknowledged survives crashes and power cuts,
    batches whole. Beside the file there are two more while it is open, `-wal` and `-shm`, which belong to it: copy
    all three, or none while it is open.

    A value has less than 1 GB. A change that would make the store larger than about `most_bytes` is refused with
    `LimitExceeded`. `wait` is for how many seconds another process may write before ours fails.

    Entries are in the table `lambdacat_store_1`: (namespace, key, value), all of them bytes. It may be in the
    database of an application, next to its own tables, if that is in WAL mode or may be put in it.

    Raises `StoreUnusable` if the database cannot be opened, and `InvalidArgument` for limits that are none.

    >>> import tempfile, trio
    >>> async def main(path):
    ...     async with SqliteStore(path) as store:
    ...         await store.put("cats", "felix", b"black")
    ...         return await store.scan("cats")
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     trio.run(main, directory + "/cats.db")
    [('felix', b'black')]
    """

    def __init__(
        self, path: str | os.PathLike[str], *, most_bytes: int | None = None, wait: float = _WAIT
    ) -> None:
        checked_limit(most_bytes)
        if not isinstance(cast(object, wait), (int, float)) or not math.isfinite(wait) or wait < 0:
            raise InvalidArgument(f"wait is a number of seconds, at least 0; got {wait!r}")
        self.path: str = os.path.abspath(path)
        self._process = os.getpid()
        self._closed = False
        opened: list[SqliteConnection] = []

        def connect() -> SqliteConnection:
            opened.append(SqliteConnection(self_path, wait=wait, most_bytes=most_bytes))
            return opened[0]

        self_path = self.path
        self._thread = OwnerThread(f"the store {self.path!r}", connect)
        self._connection = opened[0]
        found = os.stat(self.path)
        self._place = ("sqlite", found.st_dev, found.st_ino)
        weakref.finalize(self, self._thread.ask_to_stop)

    @property
    def place(self) -> Hashable:
        return self._place

    async def get(self, namespace: str, key: str) -> bytes | None:
        return await self._perform(lambda: self._connection.get(namespace, key), writes=False)

    async def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        return await self._perform(lambda: self._connection.scan(namespace, prefix), writes=False)

    async def delete(self, namespace: str, key: str) -> bool:
        return await self._perform(lambda: self._connection.delete(namespace, key), writes=True)

    async def batch(self, changes: Sequence[Change]) -> bool:
        given = list(changes)
        return await self._perform(lambda: self._connection.batch(given), writes=True)

    async def size(self) -> int:
        return await self._perform(self._size, writes=False)

    async def compact(self) -> None:
        """Write the database anew without its holes. Needs as much room again while it does."""
        await self._perform(self._connection.compact, writes=True, alone=True)

    async def aclose(self) -> None:
        if not self._closed and os.getpid() == self._process:
            self._closed = True
            await self._thread.stop()

    async def _perform(self, work: Callable[[], T], *, writes: bool, alone: bool = False) -> T:
        if os.getpid() != self._process:
            raise StoreUnusable(
                f"the store {self.path!r} was opened before this process was forked, and SQLite does not bear that: "
                "open it after forking"
            )
        if self._closed:
            raise ResourceNotOpen(
                f"the store {self.path!r} has been closed: open it again with SqliteStore(path)"
            )
        job: Job[Any] = Job(work, writes=writes, alone=alone)
        return cast(T, await self._thread.perform(job))

    def _size(self) -> int:
        total = 0
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                total += os.stat(self.path + suffix).st_size
        return total
