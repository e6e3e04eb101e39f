"""An LMDB environment: what all stores of one process in one directory share."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from time import perf_counter
from typing import Any, Final, TypeVar

import lmdb

from lambdacat_effects.errors import InvalidArgument, LambdacatError, LimitExceeded, StoreUnusable
from lambdacat_effects.storage.lmdb_access import Access, check_writable, opened, undisturbed
from lambdacat_effects.storage.lmdb_compaction import (
    alone,
    forget_unfinished,
    hold_alone,
    share,
    written_anew,
)
from lambdacat_effects.storage.lmdb_damage import check_length
from lambdacat_effects.storage.lmdb_errors import data_file, explained
from lambdacat_effects.storage.lmdb_files import identity, make, sync_directory
from lambdacat_effects.storage.lmdb_recent import Recent
from lambdacat_effects.storage.lmdb_records import Records
from lambdacat_effects.storage.lmdb_tempo import Tempo
from lambdacat_effects.storage.lmdb_writer import Work, Writer

__all__ = ["MAP_SIZE", "Environment", "acquire", "hold", "release"]

T = TypeVar("T")

MAP_SIZE: Final = 64 << 30
"""How large a store may grow unless told otherwise, in bytes. The file is as large as its contents."""

_MOST_READERS: Final = 1024
_CHECK_READERS_EVERY: Final = 1024
"""Groups of changes."""

_NOBODYS: Final = b"\xff"
"""A place that no key has."""


class Environment:
    """One file, opened once for this process."""

    def __init__(self, path: str, map_size: int) -> None:
        self.path = path
        self.users = 0
        self.forked = False
        self.writer: Writer = Writer(f"the store in {path!r}", self.commit)
        self.tempo: Tempo = Tempo()
        self._asked_map_size = map_size
        self._lock: int | None = None
        self._groups = 0
        # Reading and writing go on side by side. Replacing the map takes both, in this order: a transaction that is
        # active meanwhile would read memory that is gone.
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        try:
            make(path, map_size)
            self._open()
        except (lmdb.Error, OSError) as error:
            raise explained(error, path) from error

    def _open(self) -> None:
        self._lmdb, self._access = opened(self.path, self._asked_map_size, _MOST_READERS)
        try:
            check_length(self._lmdb, self.path)
            self._lmdb.reader_check()  # frees what readers that were killed still pin
            self.records: Records = Records(self._lmdb)
            self._recent = Recent(self._lmdb)
            self._measure_map()
            self._at_most, self._number = 0, -1
            self.key: tuple[int, int] = identity(self.path)
            if self._access is Access.WRITING:
                forget_unfinished(self.path)
                self._lock = os.open(os.path.join(self.path, "lock.mdb"), os.O_RDWR)
        except BaseException:
            self._lmdb.close()
            raise

    def get(self, place: bytes) -> bytes | None:
        """The record under the place."""

        def got(txn: Any, recent: Mapping[bytes, bytes | None]) -> bytes | None:
            return recent[place] if place in recent else self.records.get(txn, place)

        return self._read(got)

    def scan(self, start: bytes) -> Iterable[tuple[bytes, bytes]]:
        """Places that begin with `start`, and their records."""

        def found(txn: Any, recent: Mapping[bytes, bytes | None]) -> Iterable[tuple[bytes, bytes]]:
            # Not an iterator over an open transaction: that would pin every page freed meanwhile.
            records = dict(self.records.scan(txn, start))
            for place, record in recent.items():
                if place.startswith(start):
                    if record is None:
                        records.pop(place, None)
                    else:
                        records[place] = record
            return records.items()

        return self._read(found)

    def commit(self, group: list[Work]) -> None:
        """Make each durable or give it its error, in as few transactions as will do. Never raises."""
        begin = 0
        try:
            self.check_not_forked()
            check_writable(self.path, self._access)
            with self._writing:
                since = perf_counter()
                self._groups += 1
                if self._groups % _CHECK_READERS_EVERY == 0:
                    self._lmdb.reader_check()
                while begin < len(group):
                    begin += self._transaction(group, begin)
                self.tempo.took(perf_counter() - since)
        except BaseException as error:
            if len(group) > 1:
                # One of them failed, and LMDB undid all: by itself, each fails by its own fault only.
                for work in group[begin:]:
                    self.commit([work])
            elif isinstance(error, lmdb.MapFullError) and self._lmdb.reader_check():
                self.commit(group)  # with the pages that killed readers had pinned
            else:
                group[0].error = self._explained(error)

    @property
    def is_idle(self) -> bool:
        """Whether nobody is writing: no change, no compaction, and no other process has it open, which may hold the
        lock for however long."""
        return (
            self.writer.is_idle
            and not self._writing.locked()
            and self._lock is not None
            and alone(self._lock)
        )

    def size(self) -> int:
        """The bytes of its file."""
        self.check_not_forked()
        with self._reading:
            pages: int = self._lmdb.info()["last_pgno"] + 1
        return pages * self.records.page

    def compact(self) -> None:
        """Put a smaller file in its place, without what was deleted. Nobody else may have it open."""
        with self._writing:
            self.check_not_forked()
            try:
                self._compact()
            except (lmdb.Error, OSError) as error:
                raise explained(error, self.path) from error

    def close(self) -> None:
        """Write what is queued, and close it."""
        if not self.forked:
            self.writer.stop()
            with suppress(lmdb.Error, OSError), self._writing:  # tidying: it is all on the disk
                self._settle_recent()
            self._close()

    def _close(self) -> None:
        self._lmdb.close()
        if (
            self._lock is not None
        ):  # no sooner: closing it gives up all locks that this process has on the file
            os.close(self._lock)
            self._lock = None

    def _compact(self) -> None:
        if identity(self.path) != self.key:
            raise StoreUnusable(
                f"the store in {self.path!r} cannot be compacted: it was removed or replaced while it was open"
            )
        if self._lock is None:
            check_writable(self.path, self._access)
        assert self._lock is not None
        hold_alone(self.path, self._lock)
        try:
            self._settle_recent()
            self._make_transactions_odd()
            new = written_anew(self._lmdb, self.records, self.path)
        except BaseException:
            share(self._lock)
            raise
        with _opening, self._reading:
            os.replace(new, data_file(self.path))
            sync_directory(self.path)
            del _environments[self.key]
            self._close()
            self._open()
            _environments[self.key] = self

    def _make_transactions_odd(self) -> None:
        # Of LMDB's two meta pages, the one that counts is that of the last transaction's number, odd or even. The
        # number is in lock.mdb, too, where whoever opens the store first writes it anew; but of two who do so in one
        # moment, each takes the other for the first. The new file begins with number 1.
        if self._lmdb.info()["last_txnid"] % 2 == 0:
            with self._begin() as txn:
                txn.put(_NOBODYS, b"")
                txn.delete(_NOBODYS)

    def _read(self, work: Callable[[Any, Mapping[bytes, bytes | None]], T]) -> T:
        self.check_not_forked()
        try:
            try:
                return self._reading_transaction(work)
            except lmdb.MapResizedError:
                with self._writing:
                    self._follow_map()
                return self._reading_transaction(work)
        except (lmdb.Error, OSError) as error:
            raise explained(error, self.path) from error

    def _reading_transaction(self, work: Callable[[Any, Mapping[bytes, bytes | None]], T]) -> T:
        def read(anew: bool) -> T:
            if anew:
                self._recent = Recent(self._lmdb)
            with self._reading, self._lmdb.begin(db=self.records.places) as txn:
                return work(txn, self._recent.as_of(txn, txn.id()))

        if self._access is Access.UNANNOUNCED:
            return undisturbed(self._lmdb, self.path, read)
        return read(anew=False)

    def _transaction(self, group: list[Work], begin: int) -> int:
        """Commit what comes first in the group, and answer how many that were."""
        done = 0
        now: dict[bytes, bytes | None] = {}
        nothing: Mapping[bytes, bytes | None] = {}
        kept = settled = False
        with self._begin() as txn:
            number, recent = self._recent_of(txn)
            self.tempo.committed(number)
            used = self._used_at_most(txn, number, group[begin:])
            for work in group[begin:]:
                limit = self._most if work.limit is None else min(work.limit, self._most)
                fits = not work.weight or used + work.weight <= limit
                if not fits:
                    if done:
                        break
                    # Perhaps it does: alone in its transaction, and all else in place, it can be measured.
                    settled = self._settle(txn, recent)
                    recent, used = nothing, self.records.used(txn)
                self._apply(txn, recent, now, work)
                done += 1
                if not fits:
                    settled |= self._settle(txn, now)
                    now, size = {}, self.records.used(txn)
                    if size > limit and size >= used:
                        raise LimitExceeded(self._too_large(size, limit))
                    used = size
                    break
                used += work.weight
            if now:
                kept = self._recent.takes(now, self._most - used)
                if kept:
                    self._recent.add(txn, now)
                else:
                    settled |= self._settle(txn, {**recent, **now})
        self._at_most, self._number = used, number
        with self._reading:
            if kept:
                self._recent.added(number, now)
            elif settled:
                self._recent.forget(number)
        return done

    def _used_at_most(self, txn: Any, number: int, group: list[Work]) -> int:
        # Exactly only where it matters, or others have written meanwhile: to measure it took a tenth of what a small
        # commit takes besides the disk.
        least = min([self._most, *[work.limit for work in group if work.limit is not None]])
        if number == self._number + 1 and self._at_most + sum([work.weight for work in group]) <= least // 2:
            return self._at_most
        return self.records.used(txn) + self._recent.size

    def _begin(self) -> Any:
        try:
            return self._lmdb.begin(db=self.records.places, write=True)
        except lmdb.MapResizedError:  # another process has a larger map, and uses it
            self._follow_map()
            return self._lmdb.begin(db=self.records.places, write=True)

    def _recent_of(self, txn: Any) -> tuple[int, Mapping[bytes, bytes | None]]:
        number: int = txn.id()
        with self._reading:
            return number, self._recent.as_of(txn, number - 1)

    def _apply(
        self, txn: Any, recent: Mapping[bytes, bytes | None], now: dict[bytes, bytes | None], work: Work
    ) -> None:
        work.found = work.met = False
        for place, record in work.expected:
            if self._current(txn, recent, now, place) != record:
                return
        for place, record in work.changes:
            if record is not None:
                now[place] = record
            else:
                work.found = self._current(txn, recent, now, place) is not None
                if work.found:
                    now[place] = None
        work.met = True

    def _current(
        self, txn: Any, recent: Mapping[bytes, bytes | None], now: Mapping[bytes, bytes | None], place: bytes
    ) -> bytes | None:
        if place in now:
            return now[place]
        return recent[place] if place in recent else self.records.get(txn, place)

    def _settle(self, txn: Any, changes: Mapping[bytes, bytes | None]) -> bool:
        """Put everything in its place, and answer whether that changed anything: else no transaction is committed."""
        changed = self._recent.remove(txn)
        for place in sorted(changes):
            record = changes[place]
            if record is not None:
                self.records.put(txn, place, record)
                changed = True
            elif self.records.delete(txn, place):
                changed = True
        return changed

    def _settle_recent(self) -> None:
        if self._recent.count:
            with self._begin() as txn:
                number, recent = self._recent_of(txn)
                settled = self._settle(txn, recent)
            if settled:
                with self._reading:
                    self._recent.forget(number)

    def _too_large(self, size: int, limit: int) -> str:
        what = "map_size" if limit == self._most else "most_bytes"
        return (
            f"the store in {self.path!r} would grow to {size} bytes, and by its {what} it may have {limit}: nothing "
            f"was written. Delete from it, or open it with a larger {what}="
        )

    def _follow_map(self) -> None:
        with self._reading:
            self._lmdb.set_mapsize(0)
            self._measure_map()

    def _measure_map(self) -> None:
        # To delete, LMDB needs room, too: for the pages that it copies, three times over since the last two
        # transactions' are not free yet, and for the list of what it freed.
        size: int = self._lmdb.info()["map_size"]
        self._most = size - size // 64 - min(256 * self.records.page, size // 5)

    def check_not_forked(self) -> None:
        """Raise `StoreUnusable` if this process is a fork of the one that opened it."""
        if self.forked:
            raise StoreUnusable(
                f"the store in {self.path!r} was opened before this process was forked, and LMDB does not bear that: "
                "open it after forking"
            )

    def _explained(self, error: BaseException) -> BaseException:
        if isinstance(error, LambdacatError) or not isinstance(error, (lmdb.Error, OSError)):
            return error
        said = explained(error, self.path)
        said.__cause__ = error
        return said


# By the identity of the file and not by its path: LMDB's locks belong to process and file, so closing a second
# environment of the same file, under whatever name, would release the first one's. And a directory that was removed
# and made anew is another store.
_environments: dict[tuple[int, int], Environment] = {}
_opening = threading.Lock()


def acquire(path: str, map_size: int) -> Environment:
    """The environment in the directory, opened if this process has it not open yet; `release` it once."""
    if map_size < 1:
        raise InvalidArgument(f"map_size is a number of bytes, at least 1; got {map_size!r}")
    with _opening:
        try:
            environment = _environments.get(identity(path))
        except OSError:  # not there yet; whatever else is wrong, opening will tell
            environment = None
        if environment is None:
            environment = Environment(path, map_size)
            _environments[environment.key] = environment
        environment.users += 1
        return environment


def hold(environment: Environment) -> None:
    """Use it once more, of those who use it already; `release` it once."""
    with _opening:
        environment.users += 1


def release(environment: Environment) -> None:
    """Close it, if nobody else in this process uses it."""
    with _opening:
        environment.users -= 1
        if environment.users == 0:
            if _environments.get(environment.key) is environment:
                del _environments[environment.key]
            environment.close()


_left_behind: list[Environment] = []


def _after_fork() -> None:
    global _opening
    _opening = threading.Lock()  # another thread of the parent may have held the old one
    for environment in _environments.values():
        environment.forked = True
    # Collecting them would unmap what LMDB takes for the parent's.
    _left_behind.extend(_environments.values())
    _environments.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_after_fork)
