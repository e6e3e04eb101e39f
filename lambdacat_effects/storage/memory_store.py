"""A store in the process's own memory: for tests, and for what need not outlive the process."""

from __future__ import annotations

from lambdacat_effects.storage.port import Store

__all__ = ["InMemoryStore"]


class InMemoryStore(Store):
    """A `Store` in a dictionary. Every call is quick.

    >>> store = InMemoryStore()
    >>> store.put("cats", "felix", b"black")
    >>> store.get("cats", "felix")
    b'black'
    >>> list(store.scan("cats", "f"))
    [('felix', b'black')]
    """

    def __init__(self) -> None:
        self._values: dict[str, dict[str, bytes]] = {}

    def get(self, namespace: str, key: str) -> bytes | None:
        return self._values.get(namespace, {}).get(key)

    def put(self, namespace: str, key: str, value: bytes) -> None:
        self._values.setdefault(namespace, {})[key] = bytes(value)

    def delete(self, namespace: str, key: str) -> bool:
        values = self._values.get(namespace, {})
        found = values.pop(key, None) is not None
        if not values:
            self._values.pop(namespace, None)
        return found

    def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        values = self._values.get(namespace, {})
        return sorted(item for item in values.items() if item[0].startswith(prefix))
