"""The files of an LMDB store: making them so that a crash leaves all or nothing, and knowing them again."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any, Final

import lmdb

from lambdacat_effects.errors import StoreUnusable
from lambdacat_effects.storage.lmdb_errors import data_file
from lambdacat_effects.storage.lmdb_recent import Recent
from lambdacat_effects.storage.lmdb_records import Records

__all__ = ["FORMAT", "identity", "make", "sync_directory"]

# Without `sync` and `metasync` a power cut loses what was acknowledged; with `writemap` a stray pointer anywhere in
# the process can write into the store. The older format is the one that other tools read.
FORMAT: Final[dict[str, Any]] = {
    "sync": True,
    "metasync": True,
    "writemap": False,
    "max_dbs": 16,
    "lib_version": 0,
}


def make(path: str, map_size: int) -> None:
    """Make the directory and its data file where they are not there yet."""
    missing = [directory for directory in (Path(path), *Path(path).parents) if not directory.exists()]
    Path(path).mkdir(parents=True, exist_ok=True)
    for directory in missing:
        sync_directory(directory.parent)
    where = data_file(path)
    if not os.path.exists(where):
        _make_data(path, where, map_size)
    if os.path.getsize(where) == 0:  # LMDB would take it for a new one
        raise StoreUnusable(
            f"the store in {path!r} is damaged: data.mdb is empty. Restore it from a backup; or, if nothing was kept "
            "there yet, remove the file"
        )


def identity(path: str) -> tuple[int, int]:
    """The same for every path to one data file."""
    found = os.stat(data_file(path))
    return found.st_dev, found.st_ino


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Make durable which files are in it: LMDB sees to what is in them, only."""
    if os.name == "nt":  # which has no such call, and no need of it
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_data(path: str, where: str, map_size: int) -> None:
    # Under another name first: made in place, it would be empty for a moment, as after an accident. By a link, which
    # unlike a renaming never takes the place of what another process has made meanwhile.
    new = os.path.join(path, f"new-{uuid.uuid4().hex}")
    try:
        with lmdb.open(new, subdir=False, lock=False, map_size=map_size, **FORMAT) as environment:
            Records(environment)
            Recent(environment)
        try:
            os.link(new, where)
        except FileExistsError:
            return
        sync_directory(path)
    finally:
        Path(new).unlink(missing_ok=True)
