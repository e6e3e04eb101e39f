"""What a `JsonStore` does with files: each change is one that a crash leaves made or not made, and nothing between.

A change of one file is a rename, which file systems make whole. Changes of several are first written down as an
*intent*: that is renamed into place once all the new contents are on the disk beside it. From then on the change is
made, and what is left is to rename the contents to where they belong, which whoever comes next can finish.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final, NoReturn

from lambdacat_effects.errors import StoreUnusable

if sys.platform != "win32":
    import fcntl

__all__ = ["Disk", "Files", "unusable"]

_LOCK: Final = ".lock"
_INTENT: Final = ".intent"
_NEW: Final = ".new-"


class Disk:
    """Every step by which files are changed, each on the disk when it returns, but for the names of files: those are
    once `sync_names` has returned for their directory."""

    def write(self, path: str, data: bytes) -> None:
        """Make a file with these contents."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(fd, rest) :]
            _sync(fd)
        finally:
            os.close(fd)

    def rename(self, source: str, target: str) -> None:
        """Move a file, in place of what was there."""
        os.replace(source, target)

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(path)

    def make_directory(self, path: str) -> None:
        """Make a directory, unless it is there."""
        with suppress(FileExistsError):
            os.mkdir(path)

    def sync_names(self, directory: str) -> None:
        """Wait until the names in a directory are on the disk."""
        fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _sync(fd)
        finally:
            os.close(fd)


def _sync(fd: int) -> None:
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync there does not ask the disk to empty its cache
    else:
        os.fsync(fd)


class Files:
    """The files below the directory `root`, by names such as "namespace/key.json"."""

    def __init__(self, root: str, disk: Disk) -> None:
        self.root = root
        self._disk = disk
        self._lingers = False
        """Whether an intent that was finished may still be on the disk, since a failure kept its removal from it."""
        try:
            os.makedirs(root, exist_ok=True)
            with self.changing():
                self._clear()
        except OSError as error:
            unusable(root, error)

    @contextmanager
    def reading(self) -> Generator[None, None, None]:
        """While no other store, in this process or another, changes anything."""
        with self._locked(exclusive=False):
            if not os.path.exists(self._path(_INTENT)):
                yield
                return
        with self.changing():  # somebody crashed, and left it to the next
            yield

    @contextmanager
    def changing(self) -> Generator[None, None, None]:
        """While no other store reads or changes anything."""
        with self._locked(exclusive=True):
            self._finish()
            yield

    def read(self, name: str) -> bytes | None:
        """What is in a file, or None."""
        try:
            with open(self._path(name), "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self, directory: str) -> list[str]:
        """The files in a directory, in no order."""
        try:
            return os.listdir(self._path(directory))
        except FileNotFoundError:
            return []

    def change(self, contents: Mapping[str, bytes | None]) -> None:
        """Give files new contents, or remove them (None): all of them, or raise and change none."""
        removed = [name for name, data in contents.items() if data is None]
        written = {name: data for name, data in contents.items() if data is not None}
        renamed = [(f"{_NEW}{i}", name) for i, name in enumerate(written)]
        try:
            self._make_directories(written)
            for (new, _), data in zip(renamed, written.values(), strict=True):
                self._disk.write(self._path(new), data)
            if len(contents) > 1:
                self._write_intent(renamed, removed)
            else:
                self._apply(renamed, removed)
        except OSError:
            with suppress(OSError):  # nothing is lost by it: the next change writes over them
                self._clear()
            raise
        if len(contents) > 1:
            # What is intended has happened: whoever comes next completes what could not be completed here.
            with suppress(OSError):
                self._finish()

    def size(self) -> int:
        """The bytes in all files."""
        total = 0
        for directory, _, names in os.walk(self.root):
            for name in names:
                with suppress(FileNotFoundError):
                    total += os.stat(os.path.join(directory, name)).st_size
        return total

    def size_of(self, name: str) -> int:
        """The bytes in a file, 0 if it is not there."""
        try:
            return os.stat(self._path(name)).st_size
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def remove_empty_directories(self) -> None:
        """Remove the directories of namespaces that have no keys any more."""
        for name in os.listdir(self.root):
            if not name.startswith(".") and os.path.isdir(self._path(name)):
                with suppress(OSError):  # it is not empty
                    os.rmdir(self._path(name))

    def _path(self, name: str) -> str:
        return os.path.join(self.root, name)

    @contextmanager
    def _locked(self, *, exclusive: bool) -> Generator[None, None, None]:
        # Opened each time: a lock belongs to what was opened, so this keeps threads of one process apart, too.
        fd = os.open(self._path(_LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            yield
        finally:
            os.close(fd)

    def _make_directories(self, written: Mapping[str, bytes]) -> None:
        made = False
        for directory in sorted({os.path.dirname(name) for name in written}):
            if not os.path.isdir(self._path(directory)):
                self._disk.make_directory(self._path(directory))
                made = True
        if made:
            self._disk.sync_names(self.root)

    def _write_intent(self, renamed: Sequence[tuple[str, str]], removed: Sequence[str]) -> None:
        intent = json.dumps({"rename": renamed, "remove": removed}).encode()
        new = self._path(f"{_NEW}intent")
        self._disk.write(new, intent)
        # Or a power cut could leave the intent, and not the contents that it speaks of.
        self._disk.sync_names(self.root)
        self._disk.rename(new, self._path(_INTENT))
        try:
            self._disk.sync_names(self.root)
        except OSError:
            # Not to be found by the next, who would finish what has failed.
            self._forget_intent()
            raise

    def _finish(self) -> None:
        data = self.read(_INTENT)
        if data is None:
            if self._lingers:
                self._forget_intent()
            return
        try:
            intent = json.loads(data)
            renamed = [(str(new), str(name)) for new, name in intent["rename"]]
            removed = [str(name) for name in intent["remove"]]
        except (ValueError, KeyError, TypeError) as error:
            raise StoreUnusable(
                f"the store in {self.root!r} is damaged: {self._path(_INTENT)!r}, which tells how to finish a change "
                f"that was interrupted, cannot be read ({error}). Restore it from a backup; or remove it, to be left "
                "with a part of that change"
            ) from None
        self._apply(renamed, removed)
        self._forget_intent()

    def _forget_intent(self) -> None:
        self._lingers = True
        self._disk.remove(self._path(_INTENT))
        # Before anything new is written under the names that it speaks of.
        self._disk.sync_names(self.root)
        self._lingers = False

    def _apply(self, renamed: Sequence[tuple[str, str]], removed: Sequence[str]) -> None:
        for new, name in renamed:
            # A part may have been applied before a crash; then its new contents have gone where they belong.
            with suppress(FileNotFoundError):
                self._disk.rename(self._path(new), self._path(name))
        for name in removed:
            self._disk.remove(self._path(name))
        for directory in sorted(
            {os.path.dirname(name) for name in (*(name for _, name in renamed), *removed)}
        ):
            with suppress(FileNotFoundError):  # of removed files alone
                self._disk.sync_names(self._path(directory))

    def _clear(self) -> None:
        """Remove new contents that never came to be."""
        if self._lingers or os.path.exists(self._path(_INTENT)):
            return
        for name in os.listdir(self.root):
            if name.startswith(_NEW):
                self._disk.remove(self._path(name))


_ADVICE: Final = {
    errno.ENOENT: "The directory has been removed: open the store again, to begin anew",
    errno.EACCES: "Give this user the right to write there, or give another path",
    errno.EPERM: "Give this user the right to write there, or give another path",
    errno.EROFS: "The disk is mounted for reading only: give another path",
    errno.ENOSPC: "The disk is full: make room on it. What was acknowledged is still there",
    errno.EDQUOT: "The user's quota on the disk is used up: make room. What was acknowledged is still there",
    errno.EFBIG: "A file may not grow so large here (see `ulimit -f`). What was acknowledged is still there",
    errno.EIO: "The disk is failing. Copy what is there, and give another path",
    errno.EEXIST: "The path of a store is a directory, and this is a file: give another path",
    errno.ENOTDIR: "The path of a store is a directory, and part of this is a file: give another path",
    errno.EMFILE: "This process has too many files open (see `ulimit -n`)",
}


def unusable(root: str, error: OSError) -> NoReturn:
    """Raise `StoreUnusable`, saying what to do."""
    if isinstance(error, StoreUnusable):
        raise error
    advice = _ADVICE.get(error.errno or 0, "See whether its disk and its rights are in order")
    raise StoreUnusable(f"the store in {root!r} cannot be used: {error}. {advice}") from error
