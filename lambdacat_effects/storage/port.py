"""The Store port: what memory needs of a place that keeps bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

__all__ = ["Store"]


class Store(Protocol):
    """Bytes kept under a namespace and a key, both text: any text, empty, long, or with NUL in it.

    Every method does all of its work before it returns: what `put` and `delete` have acknowledged is in the store, as
    durably as the store keeps anything. A namespace exists while it has keys. A store that cannot do what it is asked
    raises `StoreUnusable` and has changed nothing.

    Methods may block, so a plan's thread of events should call only those that a store says are quick.
    """

    def get(self, namespace: str, key: str) -> bytes | None:
        """What is kept under the key, or None."""
        ...

    def put(self, namespace: str, key: str, value: bytes) -> None:
        """Keep `value` (it may be empty) in place of what was there."""
        ...

    def delete(self, namespace: str, key: str) -> bool:
        """Remove the key; answers whether it was there."""
        ...

    def scan(self, namespace: str, prefix: str = "") -> Iterable[tuple[str, bytes]]:
        """The keys that begin with `prefix`, with their values, ordered as Python compares text (by code points), all
        as of one moment: writing while iterating changes nothing in it."""
        ...
