"""The thread that owns a connection to SQLite: what has been queued meanwhile it does in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, Protocol, TypeVar

import trio

from lambdacat_effects.errors import ResourceNotOpen
from lambdacat_effects.storage.awaited import Awaited, not_before_it_is_done, wake

__all__ = ["Connection", "Job", "OwnerThread"]

T = TypeVar("T")

_MOST_TOGETHER: Final = 1024


class Job(Awaited, Generic[T]):
    """Something to do with the connection, and how it ended."""

    def __init__(self, work: Callable[[], T], *, writes: bool, alone: bool = False) -> None:
        self.work: Callable[[], T] = work
        self.writes: bool = writes
        self.alone: bool = alone
        """Whether it must be done outside of any transaction."""
        self.answer: T | None = None
        self.error: BaseException | None = None

    def outcome(self) -> Any:
        """Its answer. Raises what it raised."""
        if self.error is not None:
            try:
                raise self.error
            finally:
                self.error = None  # its traceback leads to this frame
        return self.answer


class Connection(Protocol):
    """What the thread owns. Only the thread calls it."""

    def perform(self, jobs: list[Job[Any]]) -> None:
        """Do all of them and note how each ended. Never raises."""
        ...

    def close(self) -> None:
        """Close it. Never raises."""
        ...


class OwnerThread:
    """A thread that opens a connection, does what others ask of it, and closes it.

    It is a daemon, so that a store that nobody closed does not keep a process from exiting: whoever waits for a
    change keeps it alive while that matters.

    Raises what `connect` raises.
    """

    def __init__(self, name: str, connect: Callable[[], Connection]) -> None:
        self._name = name
        self._queue: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._stopped = False
        opened = Job[None](lambda: None, writes=False)
        opened.done = threading.Event()
        # The thread knows its queue and not its owner, so that a store that was forgotten can be collected.
        self._thread = threading.Thread(
            target=_run, args=(self._queue, connect, opened), name=name, daemon=True
        )
        self._thread.start()
        opened.done.wait()
        opened.outcome()

    async def perform(self, job: Job[T]) -> T:
        """Have it done, and wait for that, also when cancelled: only before it is queued does that prevent it."""
        if not trio.lowlevel.in_trio_run():  # `run_pure`, where nobody else could go on meanwhile
            job.done = threading.Event()
            self._put(job)
            job.done.wait()
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
            job.task, job.loop = trio.lowlevel.current_task(), trio.lowlevel.current_trio_token()
            self._put(job)
            try:
                await trio.lowlevel.wait_task_rescheduled(not_before_it_is_done)
            except BaseException:
                job.task = (
                    None  # whoever closed this coroutine never waited in Trio: its task must not be woken
                )
                raise
        answer: T = job.outcome()
        return answer

    async def stop(self) -> None:
        """Do what is queued, close the connection, end the thread, and wait for all that."""
        self.ask_to_stop()
        if trio.lowlevel.in_trio_run():
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._thread.join)
        else:
            self._thread.join()

    def ask_to_stop(self) -> None:
        """Let it end once what is queued is done."""
        with self._gate:
            if not self._stopped:
                self._stopped = True
                self._queue.put(None)

    def _put(self, job: Job[Any]) -> None:
        with self._gate:  # nothing may come after the end: nobody would ever do it
            if self._stopped:
                raise ResourceNotOpen(f"{self._name} has been closed: open it again with SqliteStore(path)")
            self._queue.put(job)


def _run(queue: SimpleQueue[Job[Any] | None], connect: Callable[[], Connection], opened: Job[None]) -> None:
    connection: Connection | None = None
    try:
        connection = connect()
    except BaseException as error:
        opened.error = error
    finally:
        assert opened.done is not None
        opened.done.set()
        del opened
    if connection is None:
        return
    more = True
    while more:
        jobs, more = _drained(queue)
        if jobs:
            connection.perform(jobs)
            wake(jobs)
        del jobs  # not to be kept until there is more to do
    connection.close()


def _drained(queue: SimpleQueue[Job[Any] | None]) -> tuple[list[Job[Any]], bool]:
    jobs: list[Job[Any]] = []
    job = queue.get()
    while job is not None:
        jobs.append(job)
        if len(jobs) >= _MOST_TOGETHER:
            return jobs, True
        try:
            job = queue.get_nowait()
        except Empty:
            return jobs, True
    return jobs, False
