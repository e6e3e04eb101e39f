"""A store in the process's own memory: for tests, and for what need not outlive the process."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from lambdacat_effects.errors import ResourceNotOpen
from lambdacat_effects.storage.limits import value_in
from lambdacat_effects.storage.port import Change, Delete, Expect, Put, Store

__all__ = ["InMemoryStore"]


class InMemoryStore(Store):
    """A `Store` in a dictionary. Nothing in it waits.

    >>> import trio
    >>> store = InMemoryStore()
    >>> trio.run(store.put, "cats", "felix", b"black")
    >>> trio.run(store.get, "cats", "felix")
    b'black'
    >>> trio.run(store.scan, "cats", "f")
    [('felix', b'black')]
    """

    def __init__(self) -> None:
        self._namespaces: dict[str, dict[str, bytes]] = {}
        self._closed = False

    @property
    def place(self) -> Hashable:
        return self

    async def get(self, namespace: str, key: str) -> bytes | None:
        return self._found(namespace, key)

    async def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        values = self._open.get(namespace, {})
        return sorted(item for item in values.items() if item[0].startswith(prefix))

    async def delete(self, namespace: str, key: str) -> bool:
        return self._remove(namespace, key)

    async def batch(self, changes: Sequence[Change]) -> bool:
        namespaces = self._open
        for change in changes:
            if isinstance(change, Expect) and self._found(change.namespace, change.key) != change.value:
                return False
        values = [value_in(change) if isinstance(change, Put) else b"" for change in changes]
        for change, value in zip(changes, values, strict=True):
            if isinstance(change, Put):
                namespaces.setdefault(change.namespace, {})[change.key] = value
            elif isinstance(change, Delete):
                self._remove(change.namespace, change.key)
        return True

    async def size(self) -> int:
        return sum(
            len(key.encode("utf-8", "surrogatepass")) + len(value)
            for values in self._open.values()
            for key, value in values.items()
        )

    async def compact(self) -> None:
        """There is nothing to give back: Python frees what was deleted."""
        _ = self._open

    async def aclose(self) -> None:
        self._closed = True

    @property
    def _open(self) -> dict[str, dict[str, bytes]]:
        if self._closed:
            raise ResourceNotOpen(
                "the store in memory has been closed, and what it kept is gone: make another"
            )
        return self._namespaces

    def _found(self, namespace: str, key: str) -> bytes | None:
        return self._open.get(namespace, {}).get(key)

    def _remove(self, namespace: str, key: str) -> bool:
        values = self._open.get(namespace, {})
        found = values.pop(key, None) is not None
        if not values:
            self._namespaces.pop(namespace, None)
        return found
