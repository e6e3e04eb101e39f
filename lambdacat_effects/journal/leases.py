"""Who performs a run at this moment: one process, for as long as it says so in time.

A lease has an end, in case its owner's machine is gone; on one machine it ends with its owner's process. Whoever
takes a run over counts its fence up, and all that is written for the run expects the writer's own fence to stand
(Kleppmann, "How to do distributed locking", 2016). So a process that was away for too long writes nothing any more.
"""

from __future__ import annotations

import json
import os
import platform
import uuid
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import attrs

from lambdacat_effects.errors import JournalUnreadable, RunInUse
from lambdacat_effects.journal.records import FENCES, LEASES, counted
from lambdacat_effects.journal.sound import got
from lambdacat_effects.storage.port import Change, Delete, Expect, Put, Store

__all__ = ["Lease", "acquire", "check_free", "is_held"]

_held: Final[set[str]] = set()
"""The owners in this process."""


@attrs.define
class Lease:
    """The right to perform a run."""

    run_id: str
    owner: str
    fence: bytes
    seconds: float
    given_back: bool = False
    """Whether it is not in the store any more."""
    stands: Expect = attrs.field(init=False)
    """What every batch for the run expects: that nobody has taken it over."""

    def __attrs_post_init__(self) -> None:
        self.stands = Expect(FENCES, self.run_id, self.fence)

    def renewed(self, now: float) -> tuple[Expect, Put]:
        """The changes that make it last from `now` on."""
        return self.stands, Put(LEASES, self.run_id, _lease(self.owner, now + self.seconds))

    def released(self) -> tuple[Expect, Delete]:
        """The changes that give it back. Whoever has made them sets `given_back`."""
        return self.stands, Delete(LEASES, self.run_id)

    def forget(self) -> None:
        """Whoever asks this process from now on is told that nobody has it."""
        _held.discard(self.owner)


async def _nothing() -> Sequence[Change]:
    return ()


async def acquire(
    store: Store,
    run_id: str,
    seconds: float,
    now: float,
    beginning: Callable[[], Awaitable[Sequence[Change]]] = _nothing,
) -> Lease:
    """The lease of a run, from `now` on (in seconds since the Unix epoch). Raises `RunInUse`.

    `beginning` looks at the store and answers what is to be changed with that, all or nothing. It is asked again when
    somebody else was quicker.
    """
    while True:
        changes = await beginning()
        found = await got(store, LEASES, run_id)
        _check_free(run_id, found, now)
        fence = await got(store, FENCES, run_id)
        # Of a new run it begins anywhere, as whoever performed a forgotten one of this id may still have its fence.
        last = _any_fence() if fence is None else counted(fence, f"the fence of the run {run_id!r}")
        lease = Lease(run_id, uuid.uuid4().hex, b"%d" % (last + 1), seconds)
        _held.add(
            lease.owner
        )  # before it is in the store, where another task may see it before this one goes on
        taken = False
        try:
            taken = await store.batch(
                [
                    Expect(LEASES, run_id, found),
                    Expect(FENCES, run_id, fence),
                    Put(FENCES, run_id, lease.fence),
                    Put(LEASES, run_id, _lease(lease.owner, now + seconds)),
                    *changes,
                ]
            )
        finally:
            if not taken:
                lease.forget()
        if taken:
            return lease


async def is_held(store: Store, run_id: str, now: float) -> bool:
    """Whether somebody performs the run. Raises `JournalUnreadable`."""
    try:
        await check_free(store, run_id, now)
    except RunInUse:
        return True
    return False


async def check_free(store: Store, run_id: str, now: float) -> None:
    """Raise `RunInUse` if somebody performs the run. Raises `JournalUnreadable`."""
    _check_free(run_id, await got(store, LEASES, run_id), now)


def _check_free(run_id: str, found: bytes | None, now: float) -> None:
    if found is None:
        return
    held = _read(run_id, found)
    if held["host"] == _host():
        # Here it can be known, so nobody need wait for the end of a lease.
        mine = held["pid"] == os.getpid()
        alive = held["owner"] in _held if mine else _started(held["pid"]) == held["started"] is not None
        if mine or held["started"] is not None:
            if alive and held["until"] > now:
                raise RunInUse(
                    f"the run {run_id!r} is being performed by "
                    + ("this process" if mine else f"process {held['pid']} of this machine")
                    + ": wait until it has ended, or stop it"
                )
            return
    if held["until"] > now:
        raise RunInUse(
            f"the run {run_id!r} is being performed on {held['host'].split('/')[0]!r}, process {held['pid']}; if "
            f"that is gone, it can be resumed in {held['until'] - now:.0f} s, when its lease ends"
        )


def _any_fence() -> int:
    return uuid.uuid4().int >> 80


def _read(run_id: str, data: bytes) -> dict[str, Any]:
    try:
        held: Any = json.loads(data)
        if {"owner", "host", "pid", "started", "until"} <= held.keys():
            return {**held, "until": float(held["until"]), "host": str(held["host"])}
        problem = "parts of it are missing"
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"
    raise JournalUnreadable(
        f"the lease of the run {run_id!r} cannot be read ({problem}): it is damaged, so that nobody "
        "knows whether the run is performed. Nothing was changed; restore the store from a backup"
    )


def _lease(owner: str, until: float) -> bytes:
    host, pid, started = _here(os.getpid())
    return json.dumps({"owner": owner, "host": host, "pid": pid, "started": started, "until": until}).encode()


@lru_cache(maxsize=1)
def _here(pid: int) -> tuple[str, int, str | None]:
    """This process, whose id is `pid`: it has another one once it is forked."""
    return _host(), pid, _started(pid)


@lru_cache(maxsize=1)
def _host() -> str:
    """This machine since it was booted, and this container on it: process ids mean nothing elsewhere."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return "/".join((platform.node(), boot, os.readlink("/proc/self/ns/pid")))
    except OSError:
        return f"{platform.node()}/{uuid.getnode():x}"


def _started(pid: int) -> str | None:
    """When a process started, so that another one of the same number is not taken for it; None if it cannot be told,
    or there is none."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if state in (b"Z", b"X") else rest[18].decode()
