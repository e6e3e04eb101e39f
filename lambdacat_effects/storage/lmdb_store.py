"""A store on disk: LMDB, a memory-mapped B+tree that keeps what it has acknowledged through crashes and power cuts.

`lmdb` is imported by this module and its neighbours `lmdb_...` only, and they are imported when a store is opened.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Hashable, Sequence
from typing import Final

import trio

from lambdacat_effects.errors import LimitExceeded, Misuse, ResourceNotOpen
from lambdacat_effects.storage.limits import checked_limit, value_in
from lambdacat_effects.storage.lmdb_environment import MAP_SIZE, Environment, acquire, hold, release
from lambdacat_effects.storage.lmdb_keys import chosen, place_of, record_of, start_of, value_of
from lambdacat_effects.storage.lmdb_writer import Work
from lambdacat_effects.storage.port import Change, Delete, Expect, Put, Store

__all__ = ["MAP_SIZE", "LmdbStore"]

_LARGEST_RECORD: Final = 0xFFFF_FFFF


class LmdbStore(Store):
    """A `Store` in the directory `path`, which is made if it is not there. Several processes may have it open.

    `get` and `scan` answer at once (in a few microseconds, and what the copy costs). A change waits until the disk
    has it (0.2 to 10 ms); changes that many tasks make meanwhile wait together, and one that fails fails alone. When
    its task is cancelled, a change that has begun is waited for, and answers.

    The store may grow to `map_size` bytes (address space, not memory or disk), and what it keeps to `most_bytes`, if
    that is given. A value has less than 4 GiB. All stores of a process in one directory share one LMDB environment,
    which is closed with the last of them; `map_size` is of the first.

    Used in Trio, in any number of event loops; without one (as `run_pure` does), a change blocks its thread.

    Raises `StoreUnusable` if the directory cannot be used, and `LimitExceeded` for a change that does not fit.

    >>> import tempfile, trio
    >>> async def felix(directory):
    ...     async with LmdbStore(directory) as store:
    ...         await store.put("cats", "felix", b"black")
    ...     async with LmdbStore(directory) as store:
    ...         return await store.get("cats", "felix")
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     trio.run(felix, directory)
    b'black'
    """

    def __init__(
        self, path: str | os.PathLike[str], *, map_size: int = MAP_SIZE, most_bytes: int | None = None
    ) -> None:
        self.path: str = os.path.abspath(path)
        self._most_bytes = checked_limit(most_bytes)
        self._environment: Environment | None = acquire(self.path, map_size)
        self._place = self._environment

    @property
    def place(self) -> Hashable:
        return self._place

    async def get(self, namespace: str, key: str) -> bytes | None:
        place = place_of(namespace, key)
        record = self._open.get(place)
        return None if record is None else value_of(place, record)

    async def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        return chosen(self._open.scan(start_of(namespace, prefix)), namespace, prefix)

    async def delete(self, namespace: str, key: str) -> bool:
        return (await self._write([Delete(namespace, key)])).found

    async def batch(self, changes: Sequence[Change]) -> bool:
        return (await self._write(changes)).met

    async def size(self) -> int:
        return self._open.size()

    async def compact(self) -> None:
        """Give back the room of what was deleted, writing everything else anew, in order.

        Takes as long as that, in a worker thread: reading goes on meanwhile, changes wait. The disk needs room for
        twice what is kept. Raises `StoreUnusable`, having changed nothing, while another process has it open.
        """
        environment = self._open
        hold(environment)
        try:
            if trio.lowlevel.in_trio_task():
                await trio.to_thread.run_sync(environment.compact)
            else:
                self._check_no_other_loop()
                environment.compact()
        finally:
            release(environment)

    async def aclose(self) -> None:
        environment, self._environment = self._environment, None
        if environment is not None:
            try:
                if trio.lowlevel.in_trio_task() and not environment.forked:
                    await environment.writer.settled()
            finally:
                release(environment)

    async def _write(self, changes: Sequence[Change]) -> Work:
        environment = self._open
        environment.check_not_forked()  # for the thread that writes is not in the fork
        work = self._work(environment, changes)
        try:
            task = trio.lowlevel.current_task()
        except RuntimeError:  # without Trio
            self._check_no_other_loop()
            environment.commit([work])
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
            if environment.tempo.suits(task) and environment.is_idle:
                environment.commit([work])
            else:
                await environment.writer.write(work, task)
        if work.error is not None:
            try:
                raise work.error
            finally:
                work.error = None  # its traceback leads back to here
        return work

    def _work(self, environment: Environment, changes: Sequence[Change]) -> Work:
        # All that can be wrong with it, and all that costs time, here and not in the thread that everybody waits for.
        expected: list[tuple[bytes, bytes | None]] = []
        places: list[tuple[bytes, bytes | None]] = []
        weight = 0
        split = 4 * environment.records.page  # the pages that a record's own may be split from
        for change in changes:
            place = place_of(change.namespace, change.key)
            if isinstance(change, Put):
                record = record_of(place, change.key, value_in(change))
                if len(record) > _LARGEST_RECORD:
                    raise LimitExceeded(
                        f"({change.namespace!r}, {change.key!r}) cannot be kept: its value has {len(record)} bytes, "
                        "and LMDB takes less than 4 GiB. Nothing was written: divide it"
                    )
                places.append((place, record))
                weight += len(record) + split
            elif isinstance(change, Expect):
                value = change.value
                expected.append((place, None if value is None else record_of(place, change.key, value)))
            else:
                places.append((place, None))
        return Work(expected, places, weight, self._most_bytes)

    def _check_no_other_loop(self) -> None:
        asyncio = sys.modules.get("asyncio")
        if asyncio is not None and asyncio._get_running_loop() is not None:
            raise Misuse(
                f"the store in {self.path!r} was used under asyncio, which it would block: use it in `trio.run`"
            )

    @property
    def _open(self) -> Environment:
        if self._environment is None:
            raise ResourceNotOpen(
                f"the store in {self.path!r} has been closed: open it again with LmdbStore(path)"
            )
        return self._environment
