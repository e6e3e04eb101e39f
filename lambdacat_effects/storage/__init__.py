"""The Store port and its engines, and the codec between values and the bytes they keep.

::

    port.py               what a store is
    transactions.py       changes that are made together with something else
    memory_store.py       an engine in the process's memory
    lmdb_store.py         on disk, the default: LMDB (and `lmdb_*.py`)
    json_store.py         files that people can read (and `json_*.py`)
    sqlite_store.py       a database in one file (and `sqlite_*.py`)
    redis_store.py        a server, for many machines (and `redis_*.py`)
    codec.py              values as bytes, and back as the type asked for
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from lambdacat_effects.storage.memory_store import InMemoryStore
from lambdacat_effects.storage.port import Change, Delete, Expect, Put, Store

if TYPE_CHECKING:
    from lambdacat_effects.storage.json_store import JsonStore
    from lambdacat_effects.storage.lmdb_store import LmdbStore
    from lambdacat_effects.storage.redis_store import RedisStore
    from lambdacat_effects.storage.sqlite_store import SqliteStore

__all__ = [
    "Change",
    "Delete",
    "Expect",
    "InMemoryStore",
    "JsonStore",
    "LmdbStore",
    "Put",
    "RedisStore",
    "SqliteStore",
    "Store",
]

# Each loads a library that only those who open such a store should pay for.
_LATE: Final = {
    "JsonStore": "json_store",
    "LmdbStore": "lmdb_store",
    "RedisStore": "redis_store",
    "SqliteStore": "sqlite_store",
}


def __getattr__(name: str) -> object:
    if name in _LATE:
        return getattr(import_module(f"lambdacat_effects.storage.{_LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
