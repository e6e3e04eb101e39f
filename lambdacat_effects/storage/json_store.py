"""A store of files that people can read: a directory with a JSON file for each key."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Hashable, Sequence
from typing import Final, TypeVar

import trio

from lambdacat_effects.errors import LimitExceeded, ResourceNotOpen, StoreDamaged, StoreUnusable
from lambdacat_effects.storage.json_files import Disk, Files, unusable
from lambdacat_effects.storage.json_names import (
    Damaged,
    beginning,
    directory_name,
    file_name,
    key_of,
    record,
    value_of,
)
from lambdacat_effects.storage.limits import checked_limit, value_in
from lambdacat_effects.storage.port import Change, Delete, Expect, Put, Store

__all__ = ["JsonStore"]

T = TypeVar("T")

_ADVICE: Final = "Restore the file from a backup, or remove it, to go on without that key"
_OURS: Final = (
    "Restore the file from a backup. Do not remove it: it is part of what the library keeps of runs and beliefs, and "
    "without it a run may repeat what was done. A run that is lost can be given up, with "
    "`Durable.forget(id, force=True)`"
)


class JsonStore(Store):
    """A `Store` in the directory `path`, which is made if it is not there: a folder for each namespace, and in it a
    file for each key. Several processes may have it open.

    A value that is JSON is kept as JSON, indented, so that it can be read, searched and compared with everyday
    tools (and edited, by hand, while nobody has it open); any other is kept as text or in base64. What was
    acknowledged survives crashes and power cuts, batches whole. Every change waits for the disk three times or more,
    and `scan` reads a file for each key: it is meant for hundreds of keys, not for millions.

    Where that would make it larger than `most_bytes`, a change is refused; each change then adds up the sizes of all
    files. Needs the file locks of POSIX (Linux, macOS, BSD), on a disk of the machine.

    Raises `StoreUnusable` if the directory cannot be used, and `InvalidArgument` for a limit that is none.

    >>> import tempfile, trio
    >>> from pathlib import Path
    >>> async def main(directory):
    ...     async with JsonStore(directory) as store:
    ...         await store.put("cats", "felix", b'{"lives":9}')
    ...         return await store.get("cats", "felix")
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     print(trio.run(main, directory))
    ...     print(Path(directory, "cats", "felix.json").read_text())
    b'{"lives":9}'
    {
      "namespace": "cats",
      "key": "felix",
      "value": {
        "lives": 9
      }
    }
    <BLANKLINE>
    """

    def __init__(
        self, path: str | os.PathLike[str], *, most_bytes: int | None = None, disk: Disk | None = None
    ) -> None:
        if sys.platform == "win32":
            raise StoreUnusable(
                "a JsonStore needs the file locks of POSIX: use an LmdbStore or a SqliteStore"
            )
        self.path: str = os.path.abspath(path)
        self._most_bytes = checked_limit(most_bytes)
        self._files = Files(self.path, disk or Disk())
        found = os.stat(self.path)
        self._place = ("json", found.st_dev, found.st_ino)
        self._closed = False

    @property
    def place(self) -> Hashable:
        return self._place

    async def get(self, namespace: str, key: str) -> bytes | None:
        return await self._read(lambda: self._get(namespace, key))

    async def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        return await self._read(lambda: self._scan(namespace, prefix))

    async def delete(self, namespace: str, key: str) -> bool:
        def work() -> bool:
            found = self._get(namespace, key) is not None
            return found and self._change([Delete(namespace, key)])

        return await self._write(work)

    async def batch(self, changes: Sequence[Change]) -> bool:
        given = list(changes)
        return await self._write(lambda: self._change(given))

    async def size(self) -> int:
        return await self._read(self._files.size)

    async def compact(self) -> None:
        """Remove the folders of namespaces without keys. Deleted files have given back their room already."""
        await self._write(self._files.remove_empty_directories)

    async def aclose(self) -> None:
        self._closed = True

    async def _read(self, work: Callable[[], T]) -> T:
        return await self._perform(lambda: self._locked(work, changing=False), None)

    async def _write(self, work: Callable[[], T]) -> T:
        # One at a time: they would wait for the lock anyhow, and threads are few.
        return await self._perform(lambda: self._locked(work, changing=True), _writers)

    async def _perform(self, work: Callable[[], T], limiter: Callable[[], trio.CapacityLimiter] | None) -> T:
        if self._closed:
            raise ResourceNotOpen(
                f"the store in {self.path!r} has been closed: open it again with JsonStore(path)"
            )
        if not trio.lowlevel.in_trio_run():  # `run_pure`, where nobody else could go on meanwhile
            return work()
        return await trio.to_thread.run_sync(work, limiter=None if limiter is None else limiter())

    def _locked(self, work: Callable[[], T], *, changing: bool) -> T:
        try:
            with self._files.changing() if changing else self._files.reading():
                return work()
        except OSError as error:
            unusable(self.path, error)

    def _get(self, namespace: str, key: str) -> bytes | None:
        name = _name(namespace, key)
        try:
            found = self._load(name, namespace)
        except Damaged as problem:
            message = self._message(name, namespace, problem)
            raise StoreDamaged(message, {key: message}) from None
        return None if found is None else found[1]

    def _scan(self, namespace: str, prefix: str) -> list[tuple[str, bytes]]:
        directory, start = directory_name(namespace), beginning(prefix)
        answer: list[tuple[str, bytes]] = []
        damaged: dict[str, str] = {}
        for file in self._files.names(directory):
            if not file.startswith(start) or not file.endswith(".json"):
                continue
            name = f"{directory}/{file}"
            try:
                found = self._load(name, namespace)
            except Damaged as problem:
                message = self._message(name, namespace, problem)
                key = key_of(file, self._files.read(name) or b"")
                if key is None:
                    raise StoreUnusable(message) from None
                if key.startswith(prefix):
                    damaged[key] = message
                continue
            if found is not None and found[0].startswith(prefix):
                answer.append(found)
        answer.sort()
        if damaged:
            raise StoreDamaged(damaged[min(damaged)], damaged, answer)
        return answer

    def _load(self, name: str, namespace: str) -> tuple[str, bytes] | None:
        """The key and the value in a file. Raises `Damaged`."""
        data = self._files.read(name)
        if data is None:
            return None
        theirs, key, value = value_of(data)
        if theirs != namespace or _name(namespace, key) != name:
            raise Damaged(f"it is of the key {key!r} in {theirs!r}")
        return key, value

    def _message(self, name: str, namespace: str, problem: Damaged) -> str:
        return (
            f"the store in {self.path!r} is damaged: {os.path.join(self.path, name)!r} cannot be read, as {problem}. "
            + (_OURS if namespace.startswith("_") else _ADVICE)
        )

    def _change(self, changes: list[Change]) -> bool:
        wanted: dict[str, Put | None] = {}
        for change in changes:
            if isinstance(change, Expect):
                if self._get(change.namespace, change.key) != change.value:
                    return False
            else:
                wanted[_name(change.namespace, change.key)] = change if isinstance(change, Put) else None
        contents = {
            name: None if put is None else record(put.namespace, put.key, value_in(put))
            for name, put in wanted.items()
        }
        if contents:
            self._check_limit(contents)
            self._files.change(contents)
        return True

    def _check_limit(self, contents: dict[str, bytes | None]) -> None:
        if self._most_bytes is None:
            return
        growth = sum(len(data or b"") - self._files.size_of(name) for name, data in contents.items())
        total = self._files.size() + growth
        if growth > 0 and total > self._most_bytes:
            raise LimitExceeded(
                f"the store in {self.path!r} would grow to {total:,} bytes, and may have {self._most_bytes:,}: "
                "delete from it, or open it with a larger most_bytes="
            )


def _name(namespace: str, key: str) -> str:
    return f"{directory_name(namespace)}/{file_name(key)}"


_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("writers of JSON stores")


def _writers() -> trio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        _limiter.set(trio.CapacityLimiter(1))
        return _limiter.get()
