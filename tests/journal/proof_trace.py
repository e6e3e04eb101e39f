"""What a process has written to one file, and when it waited for the disk: read from a trace of its system calls.

The trace is `strace`'s, and has the bytes. From it follows what the disk may have if the machine dies at any moment:
all that was waited for, and of the rest any parts in any order.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import attrs

__all__ = ["Acknowledged", "Landed", "Synced", "Trace", "Write", "available", "traced"]

PAGE, SECTOR = 4096, 512
_CALLS = (
    "openat,close,lseek,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,msync,"
    "ftruncate,fallocate,mmap"
)


@attrs.frozen(eq=False)
class Write:
    """Bytes on their way to the disk."""

    offset: int
    data: bytes


@attrs.frozen(eq=False)
class Landed:
    """One write is on the disk: its descriptor waits (`O_DSYNC`)."""

    write: Write


@attrs.frozen(eq=False)
class Synced:
    """All that was written before is on the disk (`fdatasync`, `fsync`)."""


@attrs.frozen(eq=False)
class Acknowledged:
    """The process has told that something is done."""

    text: str


Event: TypeAlias = Write | Landed | Synced | Acknowledged


def available() -> bool:
    """Whether there is `strace`, and it may be used."""
    if shutil.which("strace") is None:
        return False
    return (
        subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode
        == 0
    )


def traced(command: Sequence[str], file: Path, acknowledgements: Path, directory: str) -> Trace:
    """Run a command, and note what it writes to `file`, and each line that it writes to `acknowledgements`.

    Raises `AssertionError` if the writes that were seen do not make up the file.
    """
    before = file.read_bytes()
    acknowledgements.touch()
    log = Path(directory, "strace")
    paths = ["-P", str(file), "-P", str(acknowledgements)]
    options = ["-f", "-y", "-xx", "-s", str(1 << 28), "-o", str(log), "-e", f"trace={_CALLS}", *paths]
    done = subprocess.run(["strace", *options, "--", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"the traced process failed: {done.stderr[-2000:]}"
    events = _Reader(str(file), str(acknowledgements)).read(log.read_text())
    trace = Trace(before, events)
    assert trace.at(len(events)) == file.read_bytes(), (
        "the file was written in a way that the trace does not show"
    )
    return trace


_CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)$")
_RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. \w+ resumed>(?P<rest>.*)$")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"^(\d+)<((?:\\x[0-9a-f]{2})*)>")
_WAITS = re.compile(r"O_D?SYNC")


class _Reader:
    """Makes events of the lines of a trace."""

    def __init__(self, file: str, acknowledgements: str) -> None:
        self._file = file
        self._acknowledgements = acknowledgements
        self._waiting: set[str] = set()
        """The descriptors whose writes wait for the disk."""
        self._at: dict[str, int] = {}
        """Where the next `write` of a descriptor goes."""
        self._begun: dict[str, tuple[str, str, Write | None]] = {}
        """The calls under way, by thread."""
        self._events: list[Event] = []

    def read(self, text: str) -> list[Event]:
        for line in text.splitlines():
            if (call := _CALL.match(line)) is not None:
                name, rest, unfinished = call["name"], call["rest"], "<unfinished ...>" in line
                write = self._begin(name, rest)
                if unfinished:
                    self._begun[call["pid"]] = name, rest, write
                else:
                    self._end(name, rest, rest, write)
            elif (resumed := _RESUMED.match(line)) is not None:
                name, rest, write = self._begun.pop(resumed["pid"])
                self._end(name, rest, resumed["rest"], write)
        return self._events

    def _begin(self, name: str, rest: str) -> Write | None:
        """What may be on the disk from now on."""
        if name not in ("write", "writev", "pwrite64"):
            return None
        descriptor, path = self._descriptor(rest)
        data = b"".join(_bytes(found) for found in _STRING.findall(rest))
        if path == self._acknowledgements:
            self._events += [Acknowledged(line) for line in data.decode().splitlines()]
            return None
        assert path == self._file, path
        if name == "pwrite64":
            numbers = rest.rpartition('"')[2].partition(")")[0].replace("<unfinished ...>", "")
            offset = int(numbers.strip(", ").split(", ")[1])
        else:
            offset = self._at[descriptor]
            self._at[descriptor] += len(data)
        write = Write(offset, data)
        self._events.append(write)
        return write

    def _end(self, name: str, rest: str, result: str, write: Write | None) -> None:
        """What the call has come to."""
        answer = result.rpartition(" = ")[2]
        if name == "openat" and not answer.startswith("-1"):
            descriptor, path = self._descriptor(answer)
            self._at[descriptor] = 0
            self._waiting.discard(descriptor)
            if path == self._file and _WAITS.search(rest):
                self._waiting.add(descriptor)
        elif name == "lseek":
            self._at[self._descriptor(rest)[0]] = int(answer)
        elif name in ("fsync", "fdatasync") and self._descriptor(rest)[1] == self._file:
            assert answer == "0", result
            self._events.append(Synced())
        elif write is not None:
            assert int(answer) == len(write.data), result
            if self._descriptor(rest)[0] in self._waiting:
                self._events.append(Landed(write))
        elif name == "mmap":
            assert "PROT_WRITE" not in rest or "MAP_SHARED" not in rest, "it is written through memory"
        else:
            assert name in ("write", "writev", "close", "openat", "lseek"), f"{name} is not understood"

    def _descriptor(self, rest: str) -> tuple[str, str]:
        found = _DESCRIPTOR.match(rest)
        assert found is not None, rest[:200]
        return found[1], _bytes(found[2]).decode()


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


@attrs.frozen
class Trace:
    """A file before, and all that happened to it since."""

    before: bytes
    events: list[Event]

    def at(self, moment: int) -> bytes:
        """The file after so many events, as the process sees it."""
        return _written(self.before, [event for event in self.events[:moment] if isinstance(event, Write)])

    def power_cut(self, moment: int, chance: random.Random, kind: str) -> bytes:
        """What a disk may have of it if the machine dies after so many events.

        Of what nothing waited for, `kind` says what has landed: "nothing", "everything", "some pages", or "torn
        pages", of which some sectors have landed. Each in any order.
        """
        certain: list[Write] = []
        possible: list[Write] = []
        for event in self.events[:moment]:
            if isinstance(event, Write):
                possible.append(event)
            elif isinstance(event, Landed):
                certain.append(event.write)
                possible.remove(event.write)
            elif isinstance(event, Synced):
                certain += possible
                possible = []
        parts = [
            part for write in possible for part in _parts(write, SECTOR if kind == "torn pages" else PAGE)
        ]
        share = {"nothing": 0.0, "everything": 1.0}.get(kind, chance.choice((0.1, 0.5, 0.9)))
        landed = [part for part in parts if chance.random() < share]
        chance.shuffle(landed)
        return _written(self.before, [*certain, *landed])


def _parts(write: Write, size: int) -> list[Write]:
    """A write in pieces of which each lands as a whole, or not."""
    parts: list[Write] = []
    start, end = write.offset, write.offset + len(write.data)
    while start < end:
        stop = min(end, (start // size + 1) * size)
        parts.append(Write(start, write.data[start - write.offset : stop - write.offset]))
        start = stop
    return parts


def _written(before: bytes, writes: Sequence[Write]) -> bytes:
    file = bytearray(before)
    for write in writes:
        end = write.offset + len(write.data)
        if len(file) < end:
            file.extend(bytes(end - len(file)))
        file[write.offset : end] = write.data
    return bytes(file)
