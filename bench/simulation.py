"""What a simulation costs, and how soon it finds and shortens a planted bug.

make bench                      # or: python -m bench.simulation [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import trio

from bench.figures import HERE, Figure, pinned, turns, write
from lambdacat_effects import Handler, Plan, Sleep, ambient, in_memory, parallel, remember
from lambdacat_effects.testing import SimulationFailure, explore, simulate

BRANCHES, EACH = 5, 200
EFFECTS = BRANCHES * EACH


def remembering() -> Plan[Any, Any]:
    def branch(i: int) -> Plan[Any, None]:
        for n in range(EACH):
            yield from remember("bench", str(i), n)

    return parallel(*[branch(i) for i in range(BRANCHES)])


def sleeping(seconds: float) -> Plan[Any, Any]:
    def branch() -> Plan[Any, None]:
        for _ in range(EACH):
            yield from Sleep(seconds)

    return parallel(*[branch() for _ in range(BRANCHES)])


def cost(
    rounds: int,
    name: str,
    make: Callable[[], Plan[Any, Any]],
    handlers: Handler[Any],
    bare: Callable[[], object],
) -> list[Figure]:
    plainest, walking, live = turns(
        rounds,
        lambda: simulate(lambda: (make(), handlers), schedule={}),
        lambda: simulate(lambda: (make(), handlers), seed=1),
        bare,
    )
    promise = 1e6 / 15_000
    return [
        Figure(f"{name}, plainest schedule", "us", plainest / EFFECTS * 1e6, "on Trio", live / EFFECTS * 1e6,
               "<= 66.7 us", plainest / EFFECTS * 1e6 <= promise),
        Figure(f"{name}, random walk", "us", walking / EFFECTS * 1e6, "on Trio", live / EFFECTS * 1e6,
               "<= 66.7 us", walking / EFFECTS * 1e6 <= promise),
    ]  # fmt: skip


async def nothing() -> None:
    """What an event loop costs by itself."""


def one_run(rounds: int) -> Figure:
    times = 50
    ours, bare = turns(
        rounds,
        lambda: [simulate(lambda: (Sleep(1), ambient)) for _ in range(times)],
        lambda: [trio.run(nothing) for _ in range(times)],
    )
    return Figure("one run", "ms", ours / times * 1e3, "empty `trio.run`", bare / times * 1e3, "-", True)


def findings(seeds: int) -> Figure:
    sys.path.insert(0, str(HERE.parent / "tests" / "testing"))
    import planted_bugs  # type: ignore[import-not-found, unused-ignore]

    took: list[float] = []
    for seed in range(seeds):
        began = time.perf_counter()
        try:
            explore(planted_bugs.double_charge, runs=5_000, seed=seed, faults=planted_bugs.REPLIES_GET_LOST)
        except SimulationFailure as failure:
            report = failure.report
            assert len(report.schedule) <= 3
            assert len(report.faults) <= 1
        else:
            raise AssertionError(f"seed {seed} did not find it")
        took.append(time.perf_counter() - began)
    return Figure(
        f"find and shorten, the longest of {seeds} seeds", "s", max(took), "the median", statistics.median(took),
        "< 5 s", max(took) < 5,
    )  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--quick", action="store_true", help="fewer rounds and seeds")
    quick = arguments.parse_args().quick
    rounds = 3 if quick else 15
    pinned()
    memory = in_memory()
    write(
        "simulation",
        [
            *cost(
                rounds,
                "`Remember` in memory",
                remembering,
                memory,
                lambda: trio.run(memory.run, remembering()),
            ),
            *cost(
                rounds, "`Sleep`", lambda: sleeping(1), ambient, lambda: trio.run(ambient.run, sleeping(0))
            ),
            one_run(rounds),
            findings(2 if quick else 10),
        ],
    )


if __name__ == "__main__":
    main()
