"""The file of an embedded index: what is in it, how to tell it from other files, how to replace it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from lambdacat_effects.errors import StoreUnusable

__all__ = ["MEMORY", "failures_named", "fingerprint_of", "open_index", "replacing", "transaction"]

MEMORY: Final = ":memory:"
_APPLICATION_ID: Final = 0x1CA7F75E  # in the file's header; says that the file is ours, hence ours to replace
_FORMAT: Final = 1

_SCHEMA: Final = (
    """
    CREATE VIRTUAL TABLE passages USING fts5(
        title_words, opening, text, title UNINDEXED, source UNINDEXED,
        tokenize = 'porter unicode61 remove_diacritics 2'
    )
    """,
    "CREATE TABLE about (fingerprint TEXT)",
    "INSERT INTO about VALUES (NULL)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_FORMAT}",
)


def open_index(path: str) -> sqlite3.Connection:
    """A connection, in autocommit mode and for any thread, to the index at `path`, which is made if there is
    none. Raises `StoreUnusable`."""
    with failures_named(path):
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    # Looking comes first: an index that is there may be in a place where nothing can be written.
    if _format(connection, path) is None:
        with transaction(connection):
            if _format(connection, path) is None:  # another process may have been first
                for statement in _SCHEMA:
                    connection.execute(statement)
    found = _format(connection, path)
    if found != _FORMAT:
        raise StoreUnusable(
            f"the search index {path!r} has format {found}, and this version of the package reads format "
            f"{_FORMAT}: delete the file and build it anew"
        )
    connection.execute("SELECT rowid FROM passages LIMIT 1").fetchall()


def _format(connection: sqlite3.Connection, path: str) -> int | None:
    """The format of the index, or None if the file is empty. Raises `StoreUnusable` if it holds other data."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == _APPLICATION_ID:
        return int(version)
    if application or version or tables:
        raise StoreUnusable(f"{path!r} is a database but no search index: give another path")
    return None


def fingerprint_of(path: str) -> str | None:
    """What the index at `path` was built from; None if there is none, or one in another format, or one that
    was not built in one go. Raises `StoreUnusable` if the file is no index."""
    if not os.path.exists(path):
        return None
    with failures_named(path), closing(sqlite3.connect(path)) as connection:
        if _format(connection, path) != _FORMAT:
            return None
        (fingerprint,) = connection.execute("SELECT fingerprint FROM about").fetchone()
    return None if fingerprint is None else str(fingerprint)


@contextmanager
def replacing(target: Path, fingerprint: str) -> Generator[str, None, None]:
    """Gives the path of an empty file in which to build an index. On leaving, the fingerprint is stored and
    the file takes the place of `target`; if anything was raised, it is removed and `target` is as before."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder, since a rename is atomic only within one file system.
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".building", dir=target.parent)
    except OSError as error:
        raise _not_written(target, error) from error
    os.close(handle)
    try:
        yield temporary
        with (
            failures_named(temporary),
            closing(sqlite3.connect(temporary, isolation_level=None)) as connection,
        ):
            connection.execute("INSERT INTO passages (passages) VALUES ('optimize')")
            connection.execute("UPDATE about SET fingerprint = ?", (fingerprint,))
        try:
            os.replace(temporary, target)
        except OSError as error:
            raise _not_written(target, error) from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _not_written(target: Path, error: OSError) -> StoreUnusable:
    return StoreUnusable(
        f"the search index {str(target)!r} cannot be written: {error}. Check the rights of its folder and the "
        "space on its disk, or give another path."
    )


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """Everything done to the connection inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def failures_named(path: str) -> Generator[None, None, None]:
    """Turns what SQLite raises inside into `StoreUnusable`, with the path and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnusable(f"the search index {path!r} cannot be used: {error}. {_advice(error)}") from error


def _advice(error: sqlite3.Error) -> str:
    if "fts5" in str(error):
        return (
            f"This Python's SQLite ({sqlite3.sqlite_version}) was built without FTS5: use a Python whose SQLite "
            "has it, such as those of python.org, Debian, Fedora, Homebrew, conda and uv."
        )
    if isinstance(error, sqlite3.OperationalError):
        return "Check that its folder exists, that both may be written, and that the disk is not full."
    return "If it is a damaged index, delete the file and build it anew; else give another path."
