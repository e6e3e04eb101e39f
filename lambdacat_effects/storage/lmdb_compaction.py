"""Making an LMDB store anew without what was deleted: LMDB reuses that room, and gives none of it back.

The new file takes the place of the old one, which nobody may have open then: they would go on in a file that is gone.
LMDB itself tells. Whoever has a store open, by this package or another, holds a shared lock on the first byte of
`lock.mdb`, and takes it before opening the data. While we hold that lock alone, nobody else has the store open, and
nobody can open it. It belongs to the process, and so is widened without ever being let go, but goes with the first
closing of any handle of the file.
"""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path
from struct import Struct
from typing import Any, Final

import lmdb

from lambdacat_effects.errors import StoreUnusable
from lambdacat_effects.storage.lmdb_errors import data_file
from lambdacat_effects.storage.lmdb_files import FORMAT
from lambdacat_effects.storage.lmdb_records import Records

__all__ = ["alone", "forget_unfinished", "hold_alone", "share", "written_anew"]

_FLOCK: Final = Struct("hhqqi4x")
_PREFIX: Final = "compact-"
_AT_ONCE: Final = 8 << 20
"""Bytes in one transaction, since those are in memory until it is committed."""


def hold_alone(path: str, lock: int) -> None:
    """Keep every other process from opening the store. `lock` is a handle of its lock file, closed only after LMDB's.

    Raises `StoreUnusable` if one has it open.
    """
    try:
        import fcntl
    except ImportError:
        raise StoreUnusable(
            f"the store in {path!r} cannot be compacted: this system has no file locks"
        ) from None
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
    except (BlockingIOError, PermissionError):  # POSIX allows for either
        raise StoreUnusable(
            f"the store in {path!r} cannot be compacted while another process has it open: end that process, or let "
            "it do this. Nothing was changed"
        ) from None


def alone(lock: int) -> bool:
    """Whether no other process has the store open, as far as can be told: only where the lock can be asked for."""
    if sys.platform != "linux":
        return True
    import fcntl

    found = fcntl.fcntl(lock, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))
    return bool(_FLOCK.unpack(found)[0] == fcntl.F_UNLCK)


def share(lock: int) -> None:
    """Let others open it again."""
    import fcntl

    fcntl.lockf(lock, fcntl.LOCK_SH, 1)


def written_anew(source: Any, records: Records, path: str) -> str:
    """A new data file next to the old one with what is in it now, on the disk; its name."""
    loose, dense = (os.path.join(path, f"{_PREFIX}{uuid.uuid4().hex}") for _ in range(2))
    try:
        # Written in order, every page is full; but there are unused ones between them, from many transactions.
        # Copying that leaves those out.
        with _opened(loose, source, sync=False, metasync=False) as environment:
            _fill(environment, source, records)
            with open(dense, "xb") as file:
                environment.copyfd(file.fileno(), compact=True)
                os.fsync(file.fileno())
        _verify(dense, source, records)
        os.chmod(dense, os.stat(data_file(path)).st_mode & 0o777)
    except BaseException:
        Path(dense).unlink(missing_ok=True)
        raise
    finally:
        Path(loose).unlink(missing_ok=True)
    return dense


def forget_unfinished(path: str) -> None:
    """Remove what a compaction left that was killed. Nobody may be compacting."""
    for left in Path(path).glob(f"{_PREFIX}*"):
        left.unlink(missing_ok=True)


def _opened(name: str, source: Any, **options: bool) -> Any:
    return lmdb.open(
        name, subdir=False, lock=False, map_size=source.info()["map_size"], **{**FORMAT, **options}
    )


def _fill(environment: Any, source: Any, records: Records) -> None:
    anew = Records(environment)
    with source.begin(db=records.places) as reading:
        found = records.scan(reading)
        more = True
        while more:
            more, size = False, 0
            with environment.begin(db=anew.places, write=True) as txn:
                for place, record in found:
                    anew.append(txn, place, record)
                    size += len(record)
                    if size > _AT_ONCE:
                        more = True
                        break


def _verify(name: str, source: Any, records: Records) -> None:
    """The old file is about to be replaced: the new one had better be the same, and of transaction 1."""
    with _opened(name, source, readonly=True) as environment:
        anew = Records(environment)
        with environment.begin() as txn, source.begin() as old:
            found, wanted = txn.stat(anew.places)["entries"], old.stat(records.places)["entries"]
        if found != wanted or environment.info()["last_txnid"] != 1:
            raise StoreUnusable(
                f"{name!r} was to have {wanted} entries, and has {found}: nothing was changed"
            )
