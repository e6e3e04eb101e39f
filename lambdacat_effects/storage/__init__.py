"""The Store port and its engines, and the codec between values and the bytes they keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lambdacat_effects.storage.memory_store import InMemoryStore
from lambdacat_effects.storage.port import Store

if TYPE_CHECKING:
    from lambdacat_effects.storage.lmdb_store import LmdbStore

__all__ = ["InMemoryStore", "LmdbStore", "Store"]


def __getattr__(name: str) -> object:
    # Importing it loads lmdb, which only those who open such a store should pay for.
    if name == "LmdbStore":
        from lambdacat_effects.storage.lmdb_store import LmdbStore

        return LmdbStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
