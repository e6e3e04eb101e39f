"""What LMDB's errors mean for whoever keeps the store, and what to do."""

from __future__ import annotations

import errno
import os
from typing import Final

import lmdb

from lambdacat_effects.errors import LambdacatError, LimitExceeded, StoreUnusable

__all__ = ["data_file", "explained"]

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
    errno.EMFILE: "This process has too many files open (see `ulimit -n`)",
}

_DAMAGED: Final = (lmdb.InvalidError, lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.VersionMismatchError)


def explained(error: Exception, path: str) -> LambdacatError:
    """The error that says it of the store in `path`."""
    if isinstance(error, LambdacatError):
        return error
    if isinstance(error, lmdb.MapFullError):
        return LimitExceeded(
            f"the store in {path!r} has grown to its map_size, and nothing was written: open it with a larger "
            "map_size=, or delete from it; or, if there is less in it, end the process that has been reading it for "
            "long, for which all is kept that has been replaced since"
        )
    return StoreUnusable(f"the store in {path!r} cannot be used: {error}. {_advice(error, path)}")


def data_file(path: str) -> str:
    """The file that has everything."""
    return os.path.join(path, "data.mdb")


def _advice(error: Exception, path: str) -> str:
    if isinstance(error, _DAMAGED):
        return (
            f"{data_file(path)!r} is damaged, or is no LMDB file of format 0.9: "
            "restore it from a backup, or give another path"
        )
    if isinstance(error, lmdb.PanicError):
        return "The disk failed in the middle of writing: see to it, close every store here and open it again"
    if isinstance(error, lmdb.ReadersFullError):
        return "Too many processes and threads read it at once: let some of them end"
    number = error.errno if isinstance(error, OSError) else getattr(error, "code", None)
    return _ADVICE.get(number or 0, "See whether its disk and its rights are in order")
