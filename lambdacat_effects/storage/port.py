"""The Store port: what memory, journals and mailboxes need of a place that keeps bytes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, Self, TypeAlias

__all__ = ["Change", "Delete", "Expect", "Put", "Store"]


class Put(NamedTuple):
    """Keep `value` (it may be empty) under the key, in place of what was there."""

    namespace: str
    key: str
    value: bytes


class Delete(NamedTuple):
    """Remove the key, if it is there."""

    namespace: str
    key: str


class Expect(NamedTuple):
    """Change nothing unless `value` is under the key; None: unless nothing is."""

    namespace: str
    key: str
    value: bytes | None


Change: TypeAlias = Put | Delete | Expect
"""A part of a batch."""


class Store(Protocol):
    """Bytes kept under a namespace and a key, both text: any text, empty, long, or with NUL in it.

    What a method has answered is in the store, as durably as the store keeps anything: a change that is answered
    survives whatever the engine promises to survive. A namespace exists while it has keys. A store that cannot do
    what it is asked raises `StoreUnusable`, one that would outgrow a limit raises `LimitExceeded`, and either has
    changed nothing; but where a disk fails, or a connection breaks, in the midst of a change, it may have been made,
    and then whole.

    Used in Trio, by any number of tasks at once. A change that has begun is waited for, also when its task is
    cancelled, so that nothing is written after the plan's end. Engines that need not wait (memory, and LMDB when
    reading) do so without any checkpoint, and work under `run_pure`, too.

    An engine that derives from it has to define all but what says itself how it follows from `batch` and `aclose`.
    """

    @property
    def place(self) -> Hashable:
        """Equal for two stores that keep the same things, such as two handles on one directory."""
        ...

    async def get(self, namespace: str, key: str) -> bytes | None:
        """What is kept under the key, or None."""
        ...

    async def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        """The keys that begin with `prefix`, with their values, ordered as Python compares text (by code points), all
        as of one moment."""
        ...

    async def put(self, namespace: str, key: str, value: bytes) -> None:
        """Keep `value` (it may be empty) in place of what was there."""
        await self.batch([Put(namespace, key, value)])

    async def delete(self, namespace: str, key: str) -> bool:
        """Remove the key; answers whether it was there."""
        ...

    async def compare_and_swap(
        self, namespace: str, key: str, expected: bytes | None, value: bytes | None
    ) -> bool:
        """If `expected` is under the key (None: if nothing is), keep `value` in its place (None: remove it), and
        answer whether that was so."""
        change = Delete(namespace, key) if value is None else Put(namespace, key, value)
        return await self.batch([Expect(namespace, key, expected), change])

    async def batch(self, changes: Sequence[Change]) -> bool:
        """Make all of the changes, in order, as one: after a crash all of them are there or none.

        If an `Expect` among them is not met by what was there before the batch, none is made, and it answers False.
        """
        ...

    async def size(self) -> int:
        """The bytes that it takes up, where it keeps them."""
        ...

    async def compact(self) -> None:
        """Give back the room of what was deleted, keeping everything else."""
        ...

    async def aclose(self) -> None:
        """Close it; closing again does nothing. Every other method then raises `ResourceNotOpen`."""
        ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
