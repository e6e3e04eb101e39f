"""An agent whose memory, beliefs and journal are in one store: also a process, which is there to be killed.

python one_store_agent.py STORE MEMORY COMMITS before|after
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator
from typing import Any, Final

import trio

from lambdacat_effects import (
    Durable,
    Effect,
    Handler,
    Plan,
    belief,
    effect,
    lmdb_beliefs,
    lmdb_memory,
    observe,
    parallel,
    recall,
    remember,
)

RUN_ID: Final = "watch"
SIGHTINGS: Final = 2


@effect
class Sight(Effect[int]):
    """Count a sighting of a cat, and believe in it the more."""

    place: str


def sighted(sight: Sight) -> Generator[Any, Any, int]:
    """Several changes for one answer."""
    seen: int = ((yield from recall("sightings", sight.place, as_type=int)) or 0) + 1
    yield from remember("sightings", sight.place, seen)
    yield from observe("there is a cat", float(seen), source=sight.place)
    return seen


counting: Handler[Sight] = Sight.by(sighted)
"""Answers one effect by several changes. Performed twice, it would count twice."""


def sights(place: str) -> Plan[Any, int]:
    seen = 0
    for _ in range(SIGHTINGS):
        seen = yield from Sight(place)
    return seen


def watch() -> Plan[Any, list[Any]]:
    counts = yield from parallel(sights("the sofa"), sights("the window"))
    return [*counts, (yield from belief("there is a cat")).log_odds]


def _die_at_commit(number: int, when: str) -> None:
    from lambdacat_effects.storage.lmdb_environment import Environment

    commit = Environment.commit
    made = 0

    def counted(self: Environment, group: Any) -> None:
        nonlocal made
        made += 1
        if made == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self, group)
        if made == number:
            os.kill(os.getpid(), signal.SIGKILL)

    Environment.commit = counted  # type: ignore[method-assign]


async def live(path: str, memory: str) -> list[Any]:
    """One life of the process: the run begins, or goes on."""
    handlers = counting | lmdb_memory(memory) | lmdb_beliefs(memory)
    async with Durable(path) as durable:
        if any(info.run_id == RUN_ID for info in await durable.runs()):
            return list(await durable.resume(RUN_ID, handlers=handlers))
        return await durable.run(RUN_ID, watch, handlers=handlers)


def main() -> None:
    path, memory, commits, when = sys.argv[1:]
    _die_at_commit(int(commits), when)
    print(trio.run(live, path, memory))


if __name__ == "__main__":
    import one_store_agent  # the plan has to have the name that the next process will find it by

    one_store_agent.main()
