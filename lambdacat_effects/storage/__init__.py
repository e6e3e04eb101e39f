"""The Store port and its engines, and the codec between values and the bytes they keep.

::

    port.py               what a store is
    transactions.py       changes that are made together with something else
    memory_store.py       an engine in the process's memory
    lmdb_store.py         on disk, the default: LMDB (and `lmdb_*.py`)
    json_store.py         files that people can read (and `json_*.py`)
    sqlite_store.py       a database in one file (and `sqlite_*.py`)
    redis_store.py        a server, for many machines (and `redis_*.py`)
    places.py             where a store is, as one text
    codec.py              values as bytes, and back as the type asked for
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lambdacat_effects._late import late
from lambdacat_effects.storage.memory_store import InMemoryStore
from lambdacat_effects.storage.places import open_store
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
    "open_store",
]

if not TYPE_CHECKING:
    # Each loads a library that only those who open such a store should pay for.
    __getattr__ = late(
        __name__,
        {
            "json_store": ("JsonStore",),
            "lmdb_store": ("LmdbStore",),
            "redis_store": ("RedisStore",),
            "sqlite_store": ("SqliteStore",),
        },
    )
