"""The thread that writes: what is queued meanwhile goes into one transaction, and so waits for the disk only once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Final

import trio

from lambdacat_effects.errors import ResourceNotOpen
from lambdacat_effects.storage.awaited import Awaited, not_before_it_is_done, wake

__all__ = ["Work", "Writer"]

_MOST_TOGETHER: Final = 4096
_MOST_BYTES_TOGETHER: Final = 16 << 20


class Work(Awaited):
    """One batch on its way to the disk, and how it ended."""

    met: bool = False
    """Whether all was as expected, and so changed."""
    found: bool = False
    """Whether what was removed last had been there."""
    error: BaseException | None = None

    def __init__(
        self,
        expected: Sequence[tuple[bytes, bytes | None]] = (),
        changes: Sequence[tuple[bytes, bytes | None]] = (),
        weight: int = 0,
        limit: int | None = None,
    ) -> None:
        self.expected: Sequence[tuple[bytes, bytes | None]] = expected
        """Places, and the record that is there or None."""
        self.changes: Sequence[tuple[bytes, bytes | None]] = changes
        """Places, and the record to keep there or None to remove it."""
        self.weight: int = weight
        """At most how many bytes the store grows by it; 0 if it keeps nothing."""
        self.limit: int | None = limit
        """How many bytes the store may have after it, if it grows."""


class Writer:
    """One OS thread that hands work to `commit`, which makes it durable or gives each its error, and never raises.

    LMDB has one writer at a time anyhow, whatever the threads; a transaction begins and ends on one of them. The
    thread starts with the first change. It is a daemon, so that a store that nobody closed does not keep a process
    from exiting: whoever waits for a change keeps it alive while that matters.
    """

    def __init__(self, name: str, commit: Callable[[list[Work]], None]) -> None:
        self._name = name
        self._commit = commit
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._under_way = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for it, nor is under way."""
        return self._under_way == 0

    async def write(self, work: Work, task: trio.lowlevel.Task) -> None:
        """Wait in `task`, which is running, until it is on the disk, also when cancelled."""
        work.task, work.loop = task, trio.lowlevel.current_trio_token()
        self._put(work)
        try:
            await trio.lowlevel.wait_task_rescheduled(not_before_it_is_done)
        except BaseException:
            # Never by Trio: somebody else stepped this coroutine, and closes it. Waking its task would be wrong, and
            # leaving before the change is made, too.
            work.task = None
            self.settle()
            raise

    async def settled(self) -> None:
        """Wait until all that was queued before is on the disk."""
        if self._thread is not None:
            with trio.CancelScope(shield=True):
                await self.write(Work(), trio.lowlevel.current_task())

    def settle(self) -> None:
        """The same, blocking."""
        if self._thread is not None:
            work = Work()
            work.done = threading.Event()
            self._put(work)
            work.done.wait()

    def stop(self) -> None:
        """Write what is queued, and end the thread."""
        with self._gate:
            self._stopped = True
            thread, self._thread = self._thread, None
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()

    def _put(self, work: Work) -> None:
        with self._gate:  # nothing may come after the stop: nobody would ever write it
            if self._stopped:
                raise ResourceNotOpen(
                    f"{self._name} was closed while something was being written: wait for it first"
                )
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._under_way += 1
            self._queue.put(work)

    def _run(self) -> None:
        more = True
        while more:
            group: list[Work] = []
            more = self._drain(group)
            if group:
                self._commit(group)
                with self._gate:
                    self._under_way -= len(group)
                wake(group)

    def _drain(self, group: list[Work]) -> bool:
        size = 0
        work = self._queue.get()
        while work is not None:
            group.append(work)
            size += work.weight
            if len(group) >= _MOST_TOGETHER or size > _MOST_BYTES_TOGETHER:
                return True
            try:
                work = self._queue.get_nowait()
            except Empty:
                return True
        return False
