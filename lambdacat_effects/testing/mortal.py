"""A process that dies: its way to a disk ends at one of the points at which it could, and the disk outlives it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from types import TracebackType
from typing import Literal, TypeAlias

import attrs
import trio

from lambdacat_effects.journal.records import (
    ANSWERS,
    CANCELS,
    ENTRIES,
    FENCES,
    LEASES,
    NUMBERS,
    QUESTIONS,
    RUNS,
    Header,
    Record,
)
from lambdacat_effects.storage.memory_store import InMemoryStore
from lambdacat_effects.storage.port import Change, Delete, Put, Store
from lambdacat_effects.testing.simulation import Crash

__all__ = ["Contents", "CrashPoint", "Disk", "Mortal", "told"]

Contents: TypeAlias = dict[str, dict[str, bytes]]
"""What a store keeps, by namespace and key."""


@attrs.frozen
class CrashPoint:
    """Where a process dies."""

    what: Literal["before write", "after write", "before step"]
    """A write of the store, or a step of the simulation."""
    at: int
    """Which write, from 1; which step, from 0."""
    performance: int = 0
    """In which performance of the process's life, from 0: each answer to a question begins another."""
    effect: str = ""
    """The effect that stood there, or what was written of it."""
    number: int = 0
    """Which point of the sweep, from 1: `crash_sweep(..., points=[number])` dies there again."""

    def __str__(self) -> str:
        number = f"point {self.number}, " if self.number else ""
        return f"{number}{self.what} {self.at}" + (f": {self.effect}" if self.effect else "")


class Disk(InMemoryStore):
    """What outlives the process."""

    def contents(self) -> Contents:
        """All that it keeps, by namespace and key."""
        return {namespace: dict(values) for namespace, values in self._namespaces.items()}

    @staticmethod
    def of(contents: Contents) -> Disk:
        """One that keeps this."""
        disk = Disk()
        disk._namespaces = {namespace: dict(values) for namespace, values in contents.items()}
        return disk


class Mortal(Store):
    """A process's way to the disk, which ends with the process.

    A write waits, before the disk has it and after, as a real one does.
    """

    def __init__(self, disk: Disk, dies: CrashPoint | None) -> None:
        self.disk: Disk = disk
        self.dead: bool = False
        self.writes: list[str] = []
        """What has been written, for people."""
        self._dies = dies

    def check_alive(self) -> None:
        """Raise `Crash` if the process is gone."""
        if self.dead:
            raise Crash("the process is dead")

    @property
    def place(self) -> Hashable:
        return self.disk

    async def get(self, namespace: str, key: str) -> bytes | None:
        self.check_alive()
        return await self.disk.get(namespace, key)

    async def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        self.check_alive()
        return await self.disk.scan(namespace, prefix)

    async def delete(self, namespace: str, key: str) -> bool:
        found = await self.get(namespace, key) is not None
        await self.batch([Delete(namespace, key)])
        return found

    async def batch(self, changes: Sequence[Change]) -> bool:
        self.check_alive()
        self.writes.append(told(changes))
        number = len(self.writes)
        await trio.lowlevel.cancel_shielded_checkpoint()
        self._die_at("before write", number)
        made = await self.disk.batch(changes)
        self._die_at("after write", number)
        await trio.lowlevel.cancel_shielded_checkpoint()
        self.check_alive()
        return made

    async def size(self) -> int:
        return await self.disk.size()

    async def compact(self) -> None:
        await self.disk.compact()

    async def aclose(self) -> None:
        """The disk stays."""
        self.check_alive()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The disk stays."""

    def _die_at(self, what: str, number: int) -> None:
        point = self._dies
        if point is not None and (point.what, point.at) == (what, number):
            self.dead = True
        self.check_alive()


_PARTS = {
    ANSWERS: "an answer",
    CANCELS: "a cancellation",
    FENCES: "the lease",
    LEASES: "the lease",
    NUMBERS: "a number for the run",
    QUESTIONS: "a question",
}


def told(changes: Sequence[Change]) -> str:
    """What a batch writes, for people: of effects if it can, since memory is written with the effect that asked."""
    effects: list[str] = []
    others: list[str] = []
    owners = [change.key for change in changes if change.namespace == FENCES]
    for change in changes:
        if isinstance(change, Put) and change.namespace == ENTRIES:
            record = Record.decode(owners[0], change.value)
            effects.append(f"{record.text()} {record.kind.name.lower()}")
        elif isinstance(change, Put) and change.namespace == RUNS:
            effects.append(f"the run is {Header.decode(change.key, change.value).status}")
        elif isinstance(change, (Put, Delete)):
            gone = " removed" if isinstance(change, Delete) else ""
            others.append(_PARTS.get(change.namespace, f"{change.namespace}/{change.key}") + gone)
    return ", ".join(dict.fromkeys(effects or others))
