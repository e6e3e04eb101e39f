"""An LMDB file with the rights that this process has: to write, to read, or to read without announcing it.

Who may not write `lock.mdb` cannot enter itself there as a reader, and writers do not wait for it: they use the pages
again that it reads. What was in use when transaction N was the last is first written over by transaction N + 3, so
whatever was read while that had not begun is whole, and all else is read again.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, TypeVar

import lmdb

from lambdacat_effects.errors import StoreUnusable
from lambdacat_effects.storage.lmdb_files import FORMAT

__all__ = ["Access", "check_writable", "opened", "undisturbed"]

T = TypeVar("T")

_REFUSED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_MOST_TRIES: Final = 1000


class Access(Enum):
    """What this process may do with a store."""

    WRITING = "write"
    READING = "read"
    UNANNOUNCED = "read, without anybody knowing"


_OPTIONS: Final[dict[Access, dict[str, Any]]] = {
    Access.WRITING: {},
    Access.READING: {"readonly": True},
    Access.UNANNOUNCED: {"readonly": True, "lock": False},
}


def opened(path: str, map_size: int, most_readers: int) -> tuple[Any, Access]:
    """The LMDB environment in the directory, with as much access as there is."""
    refused: Exception | None = None
    for access, options in _OPTIONS.items():
        try:
            environment = lmdb.open(path, map_size=map_size, max_readers=most_readers, **FORMAT, **options)
        except lmdb.Error as error:
            if getattr(error, "code", None) not in _REFUSED:
                raise
            refused = refused or error
        else:
            return environment, access
    assert refused is not None
    raise refused


def check_writable(path: str, access: Access) -> None:
    """Raise `StoreUnusable` if the store may only be read."""
    if access is not Access.WRITING:
        raise StoreUnusable(
            f"the store in {path!r} can only be read by this process, and nothing was written: give its user the "
            "right to write there, or give another path"
        )


def undisturbed(environment: Any, path: str, read: Callable[[bool], T]) -> T:
    """What `read` answers, which is called until nobody has written over what it read meanwhile; with True, so that
    it begins anew, from the second time on.

    Raises `StoreUnusable` if that never happens.
    """
    for count in range(_MOST_TRIES):
        number = _last_of(environment)
        try:
            answer = read(count > 0)
        except Exception:
            if _last_of(environment) <= number + 1:
                raise
        else:
            if _last_of(environment) <= number + 1:
                return answer
    raise StoreUnusable(
        f"the store in {path!r} is written faster than it can be read by a process that may not write in lock.mdb: "
        "give its user that right, or try again later"
    )


def _last_of(environment: Any) -> int:
    number: int = environment.info()["last_txnid"]
    return number
