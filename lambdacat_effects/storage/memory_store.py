"""A store in the process's own memory: for tests, and for what need not outlive the process."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from types import TracebackType
from typing import Self

from lambdacat_effects.errors import ResourceNotOpen
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
        return self._open.get(namespace, {}).get(key)

    async def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        values = self._open.get(namespace, {})
        return sorted(item for item in values.items() if item[0].startswith(prefix))

    async def put(self, namespace: str, key: str, value: bytes) -> None:
        self._open.setdefault(namespace, {})[key] = bytes(value)

    async def delete(self, namespace: str, key: str) -> bool:
        values = self._open.get(namespace, {})
        found = values.pop(key, None) is not None
        if not values:
            self._namespaces.pop(namespace, None)
        return found

    async def compare_and_swap(
        self, namespace: str, key: str, expected: bytes | None, value: bytes | None
    ) -> bool:
        change = Delete(namespace, key) if value is None else Put(namespace, key, value)
        return await self.batch([Expect(namespace, key, expected), change])

    async def batch(self, changes: Sequence[Change]) -> bool:
        for change in changes:
            if isinstance(change, Expect) and await self.get(change.namespace, change.key) != change.value:
                return False
        for change in changes:
            if isinstance(change, Put):
                await self.put(*change)
            elif isinstance(change, Delete):
                await self.delete(*change)
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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def _open(self) -> dict[str, dict[str, bytes]]:
        if self._closed:
            raise ResourceNotOpen("the store in memory has been closed, and what it kept is gone: make another")
        return self._namespaces
