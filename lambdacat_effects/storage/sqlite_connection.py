"""A store's connection to SQLite, as its thread uses it. The only module of the stores that imports `sqlite3`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Any, Final, NoReturn

from lambdacat_effects.errors import LimitExceeded, StoreUnusable
from lambdacat_effects.storage.limits import value_in
from lambdacat_effects.storage.port import Change, Delete, Expect, Put
from lambdacat_effects.storage.sqlite_thread import Job

__all__ = ["SqliteConnection", "make_if_missing"]

_TABLE: Final = "lambdacat_store_1"
# Text as the bytes of its UTF-8, which are compared as the code points are: SQLite's own TEXT ends at a NUL here and
# there, and does not take half of a surrogate pair.
_SCHEMA: Final = (
    f"CREATE TABLE IF NOT EXISTS {_TABLE} (namespace BLOB NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, "
    "PRIMARY KEY (namespace, key)) WITHOUT ROWID"
)
_GET: Final = f"SELECT value FROM {_TABLE} WHERE namespace = ? AND key = ?"
_LENGTH: Final = f"SELECT length(value) FROM {_TABLE} WHERE namespace = ? AND key = ?"
_SCAN: Final = f"SELECT key, value FROM {_TABLE} WHERE namespace = ? AND key >= ? AND key < ? ORDER BY key"
_PUT: Final = f"INSERT OR REPLACE INTO {_TABLE} VALUES (?, ?, ?)"
_DELETE: Final = f"DELETE FROM {_TABLE} WHERE namespace = ? AND key = ?"

_OVERHEAD: Final = 100  # of a record

_MAGIC: Final = b"SQLite format 3\0"
_HEADER: Final = 512  # no page is smaller

_PRAGMAS: Final = ("synchronous = FULL", "fullfsync = ON", "checkpoint_fullfsync = ON")


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _length(namespace: str, key: str, value: int) -> int:
    """About how many bytes a record takes."""
    return len(_utf8(namespace)) + len(_utf8(key)) + value + _OVERHEAD


def make_if_missing(path: str) -> None:
    """Make a database with the store's table, unless there is a file.

    Made beside it and then given its name, so that a file that is empty is always one that was cut short.
    """
    if os.path.exists(path):
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = f"{path}.new-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            for pragma in ("journal_mode = WAL", *_PRAGMAS):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute(_SCHEMA)
        with suppress(FileExistsError):  # somebody else was faster
            os.link(new, path)
        _sync_names(os.path.dirname(path))
    except (sqlite3.Error, OSError) as error:
        _fail(path, error)
    finally:
        for rest in (new, f"{new}-wal", f"{new}-shm"):
            with suppress(OSError):
                os.unlink(rest)


def _check_header(path: str) -> None:
    """Raise `StoreUnusable` for what was cut short so much that SQLite would take it for a new database."""
    with open(path, "rb") as file:
        header = file.read(_HEADER)
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise StoreUnusable(
            f"the store {path!r} is damaged, or no SQLite database: it does not begin as one, and no store leaves it "
            "so. Restore it from a backup; or remove it, to begin anew"
        )


def _sync_names(directory: str) -> None:
    if os.name == "posix":
        fd = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class SqliteConnection:
    """The database at `path`. Raises `StoreUnusable` if there is none that can be used."""

    def __init__(self, path: str, *, wait: float, most_bytes: int | None) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._wait = wait
        try:
            make_if_missing(path)
            _check_header(path)
            self._sqlite = sqlite3.connect(path, timeout=wait, isolation_level=None)
        except (sqlite3.Error, OSError) as error:
            _fail(path, error, wait)
        try:
            for pragma in ("journal_mode = WAL", *_PRAGMAS):
                self._sqlite.execute(f"PRAGMA {pragma}")
            self._sqlite.execute(_SCHEMA)
            self._longest = self._sqlite.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
            self._page = self._number("page_size")
            self.get("", "")  # fails here, and not later, where the table is of another kind
        except (sqlite3.Error, OSError) as error:
            self._sqlite.close()
            _fail(path, error, wait)

    def perform(self, jobs: list[Job[Any]]) -> None:
        """Do jobs in one transaction, each so that it fails alone, and note how each ended."""
        together: list[Job[Any]] = []
        for job in jobs:
            if job.alone:
                self._perform_together(together)
                together = []
                self._perform_alone(job)
            else:
                together.append(job)
        self._perform_together(together)

    def close(self) -> None:
        """Close it, which moves what is in its log to where it belongs."""
        with suppress(sqlite3.Error):
            self._sqlite.close()

    def get(self, namespace: str, key: str) -> bytes | None:
        """See `Store`; likewise the methods below. Called within `perform` only."""
        row = self._sqlite.execute(_GET, (_utf8(namespace), _utf8(key))).fetchone()
        return None if row is None else row[0]

    def scan(self, namespace: str, prefix: str) -> list[tuple[str, bytes]]:
        start = _utf8(prefix)
        # No UTF-8 has the byte 0xff, so this is above every text that begins so.
        rows = self._sqlite.execute(_SCAN, (_utf8(namespace), start, start + b"\xff"))
        return [(key.decode("utf-8", "surrogatepass"), value) for key, value in rows]

    def delete(self, namespace: str, key: str) -> bool:
        return self._sqlite.execute(_DELETE, (_utf8(namespace), _utf8(key))).rowcount > 0

    def batch(self, changes: Sequence[Change]) -> bool:
        for change in changes:
            if isinstance(change, Expect) and self.get(change.namespace, change.key) != change.value:
                return False
        self._check_limits(changes)
        for change in changes:
            if isinstance(change, Put):
                self._sqlite.execute(_PUT, (_utf8(change.namespace), _utf8(change.key), value_in(change)))
            elif isinstance(change, Delete):
                self.delete(change.namespace, change.key)
        return True

    def compact(self) -> None:
        self._sqlite.execute("VACUUM")
        self._sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _check_limits(self, changes: Sequence[Change]) -> None:
        lengths: dict[tuple[str, str], int] = {}
        for change in changes:
            if not isinstance(change, Put):
                continue
            length = _length(change.namespace, change.key, len(value_in(change)))
            if length > self._longest:
                raise LimitExceeded(
                    f"the value under ({change.namespace!r}, {change.key!r:.80}) has {len(change.value):,} bytes, "
                    f"and SQLite takes {self._longest:,} for all of a record: store it in parts, or elsewhere"
                )
            lengths[change.namespace, change.key] = length
        if self._most_bytes is None or not lengths:
            return
        growth = sum(lengths.values())
        for namespace, key in lengths:
            row = self._sqlite.execute(_LENGTH, (_utf8(namespace), _utf8(key))).fetchone()
            growth -= 0 if row is None else _length(namespace, key, row[0])
        total = growth + (self._number("page_count") - self._number("freelist_count")) * self._page
        if growth > 0 and total > self._most_bytes:
            raise LimitExceeded(
                f"the store {self._path!r} would grow to about {total:,} bytes, and may have {self._most_bytes:,}: "
                "delete from it, or open it with a larger most_bytes="
            )

    def _number(self, pragma: str) -> int:
        return int(self._sqlite.execute(f"PRAGMA {pragma}").fetchone()[0])

    def _perform_together(self, jobs: list[Job[Any]]) -> None:
        if not jobs:
            return
        try:
            self._transaction(jobs)
        except BaseException as error:
            self._roll_back()
            # Another process has the lock: to wait again for each job would take as many times as long.
            if len(jobs) == 1 or _code(error) in _BUSY:
                waiting = [job for job in jobs if job.writes] or jobs
                for job in waiting:
                    job.error = self._told(error)
                self._perform_together([job for job in jobs if job not in waiting])  # readers need no lock
                return
            # What made all of them fail may be the fault of one, or of their sum.
            for job in jobs:
                self._perform_together([job])

    def _transaction(self, jobs: list[Job[Any]]) -> None:
        writes = any(job.writes for job in jobs)
        self._sqlite.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        for job in jobs:
            job.answer = job.error = None
            if not job.writes or len(jobs) == 1:
                job.answer = job.work()
                continue
            self._sqlite.execute("SAVEPOINT job")
            try:
                job.answer = job.work()
            except sqlite3.Error:  # some of these end the whole transaction
                raise
            except Exception as error:
                self._sqlite.execute("ROLLBACK TO job")
                job.error = error
            self._sqlite.execute("RELEASE job")
        self._sqlite.execute("COMMIT")

    def _perform_alone(self, job: Job[Any]) -> None:
        try:
            job.answer = job.work()
        except BaseException as error:
            self._roll_back()
            job.error = self._told(error)

    def _roll_back(self) -> None:
        if self._sqlite.in_transaction:
            with suppress(sqlite3.Error):
                self._sqlite.execute("ROLLBACK")

    def _told(self, error: BaseException) -> BaseException:
        if not isinstance(error, (sqlite3.Error, OSError)):
            return error
        try:
            _fail(self._path, error, self._wait)
        except StoreUnusable as told:
            return told


_ADVICE: Final = {
    sqlite3.SQLITE_CANTOPEN: "See that its directory is there, and give this user the right to write in it",
    sqlite3.SQLITE_CORRUPT: "The file is damaged: restore it from a backup, or give another path",
    sqlite3.SQLITE_NOTADB: "The file is damaged or no database: restore it from a backup, or give another path",
    sqlite3.SQLITE_FULL: "The disk is full: make room on it. What was acknowledged is still there",
    sqlite3.SQLITE_IOERR: "The disk is full or failing. What was acknowledged is still there",
    sqlite3.SQLITE_PERM: "Give this user the right to write there, or give another path",
    sqlite3.SQLITE_READONLY: "Give this user the right to write there, or give another path",
}


_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _code(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # what is above says more than is needed here


def _fail(path: str, error: Exception, wait: float = 0) -> NoReturn:
    if isinstance(error, StoreUnusable):
        raise error
    code = _code(error)
    if code in _BUSY:
        advice = (
            f"Another process wrote to it for {wait:g} s: see what it does, or open it with a larger wait="
        )
    else:
        advice = _ADVICE.get(code, "See whether its disk, its directory and its rights are in order")
    raise StoreUnusable(f"the store {path!r} cannot be used: {error}. {advice}") from error
