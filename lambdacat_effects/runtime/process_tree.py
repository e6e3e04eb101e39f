"""Ending a process together with everything it has started."""

from __future__ import annotations

import contextlib
import glob
import os
import signal
import time
from collections.abc import Callable, Iterator

import trio

__all__ = ["end_process"]

_LAST_BREATH = 0.2
"""Seconds to wait for killed grandchildren to be gone. They are within milliseconds, except as zombies where
process 1 reaps nobody, as in many containers; those do nothing any more."""


async def end_process(process: trio.Process, *, children: bool) -> None:
    """Kill and reap a worker, and kill what it started."""
    killed = _kill(process.pid, children=children)
    try:
        with trio.CancelScope(shield=True):
            await process.wait()
            if not _gone(process.pid, killed):
                await trio.to_thread.run_sync(
                    _wait_until_gone, process.pid, killed, limiter=trio.CapacityLimiter(1)
                )
    finally:
        # Ctrl-C reaches the main task through a shield. Then wait without Trio: the worker is about to be gone.
        while process.poll() is None:
            time.sleep(0.001)


def _kill(worker: int, *, children: bool) -> set[int]:
    """Kill the process group of a worker that is not reaped yet (so its number is still its own), and its descendants
    in other groups, which are returned."""
    elsewhere: set[int] = set()
    if children:
        # Stopped, they start nothing new while we look.
        _signal(os.killpg, worker, signal.SIGSTOP)
        while more := _descendants(worker) - elsewhere:
            for pid in more:
                _signal(os.kill, pid, signal.SIGSTOP)
            elsewhere |= more
        for pid in elsewhere:
            _signal(os.kill, pid, signal.SIGKILL)
    _signal(os.killpg, worker, signal.SIGKILL)
    return elsewhere


def _signal(send: Callable[[int, int], None], pid: int, number: int) -> bool:
    """Whether there was anybody to get the signal."""
    try:
        send(pid, number)
    except (ProcessLookupError, PermissionError):  # gone, or set-uid and not ours to kill
        return False
    return True


def _descendants(ancestor: int) -> set[int]:
    """The live processes that descend from one, where `/proc` tells (Linux); elsewhere the group must do."""
    parents = {pid: parent for pid, parent, _ in _processes()}
    found: set[int] = set()
    frontier = {ancestor}
    while frontier:
        frontier = {pid for pid, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


def _processes() -> Iterator[tuple[int, int, int]]:
    """Each live process of the machine, its parent and its group; nothing where there is no `/proc`."""
    for directory in glob.iglob("/proc/[0-9]*"):
        # It may have ended meanwhile.
        with contextlib.suppress(OSError), open(f"{directory}/stat", "rb") as file:
            # The second field, the program's name in parentheses, may hold anything.
            state, parent, group = file.read().rpartition(b")")[2].split()[:3]
            if state not in (b"Z", b"X"):
                yield int(directory.removeprefix("/proc/")), int(parent), int(group)


def _wait_until_gone(group: int, others: set[int]) -> None:
    """Wait in a thread, and so by the real clock also where Trio's is a virtual one."""
    deadline = time.monotonic() + _LAST_BREATH
    while time.monotonic() < deadline and not _gone(group, others):
        time.sleep(0.001)


def _gone(group: int, others: set[int]) -> bool:
    """Whether what was killed has ended: a signal is on its way for a moment."""
    # Where this process adopts orphans (as process 1 of a container), nobody else reaps them.
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    if not _signal(os.killpg, group, 0) and not any(_signal(os.kill, pid, 0) for pid in others):
        return True
    # There are zombies at least. This process is in the list, so an empty one says nothing.
    live = list(_processes())
    return bool(live) and not any(member == group or pid in others for pid, _, member in live)
