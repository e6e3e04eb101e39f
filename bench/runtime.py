"""What the runtime costs, each figure as a ratio to a baseline measured in the same run.

    make bench                      # or: python -m bench.runtime [--quick] [--no-peers]

Baseline and candidate take turns, so that whatever else the machine does meets both; the best of their rounds counts.
Peers run in an environment of their own (.bench-venv), which is made on first use. Results go to bench/results/.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from bench.figures import Figure, pinned, turns, write
from lambdacat_effects import Effect, Plan, Sleep, ambient, effect, for_each, parallel
from lambdacat_effects.plan import Actions, compile_plan, sequence

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS = HERE / "peers"
PEERS_PYTHON = ROOT / ".bench-venv" / "bin" / "python"
PEER_PACKAGES = ["burr==0.42.0", "langgraph==1.2.22"]


@effect
class Get(Effect[int]):
    key: str


def asking(n: int) -> Plan[Get, int]:
    total = 0
    for _ in range(n):
        total += yield from Get("a")
    return total


def bare_trampoline(n: int) -> None:
    """Send, look the handler up by type, call it: what any interpreter of such plans must do."""
    plan = asking(n)
    table = {Get: lambda _: 1}
    send = plan.send
    answer: Any = None
    try:
        while True:
            asked: Any = send(answer)
            answer = table[type(asked)](asked)
    except StopIteration:
        return


async def bare_awaiting(n: int) -> None:
    """The same with an async handler."""

    async def handler(_asked: Get) -> int:
        return 1

    plan = asking(n)
    send = plan.send
    answer: Any = None
    try:
        while True:
            asked = send(answer)
            answer = await handler(asked)
    except StopIteration:
        return


def effects(rounds: int) -> list[Figure]:
    """A synchronous and an asynchronous effect, and a layer of interposition."""
    n = 200_000

    async def later(_asked: Get) -> int:
        return 1

    def passing(asked: Get) -> Any:
        return (yield from asked)

    plain = Get.by(lambda _: 1)
    waiting = Get.by(later)
    layered = plain.behind(passing)
    sync_bare, sync_ours, async_bare, async_ours, one_layer, pure = turns(
        rounds,
        lambda: bare_trampoline(n),
        lambda: trio.run(plain.run, asking(n)),
        lambda: trio.run(bare_awaiting, n),
        lambda: trio.run(waiting.run, asking(n)),
        lambda: trio.run(layered.run, asking(n)),
        lambda: plain.run_pure(asking(n)),
    )
    ns = 1e9 / n
    layer = (one_layer - sync_ours) * ns / 1000
    return [
        Figure(
            "synchronous effect, `run`", "ns", sync_ours * ns, "bare trampoline", sync_bare * ns,
            "<= 2.0 x", sync_ours <= 2.0 * sync_bare,
        ),
        Figure(
            "synchronous effect, `run_pure`", "ns", pure * ns, "bare trampoline", sync_bare * ns,
            "-", True,
        ),
        Figure(
            "asynchronous effect", "ns", async_ours * ns, "bare awaiting loop", async_bare * ns,
            "<= 1.6 x", async_ours <= 1.6 * async_bare,
        ),
        Figure(
            "one interposer layer", "us", layer, "bare trampoline", sync_bare * ns / 1000,
            "<= 1.5 us", layer <= 1.5,
        ),
    ]  # fmt: skip


def branches(rounds: int) -> list[Figure]:
    """Many branches against the same in a raw nursery."""
    many, sleepers = 10_000, 1_000

    @effect
    class Checkpoint(Effect[None]):
        pass

    async def checkpoint(_asked: Checkpoint) -> None:
        await trio.lowlevel.checkpoint()

    asked = Checkpoint()

    async def nursery_of_checkpoints() -> None:
        """The same function in as many tasks."""
        async with trio.open_nursery() as nursery:
            for _ in range(many):
                nursery.start_soon(checkpoint, asked)

    async def nursery_of_sleeps() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(sleepers):
                nursery.start_soon(trio.sleep, 0.01)

    pausing = Checkpoint.by(checkpoint)
    raw, ours, each, raw_sleep, our_sleep = turns(
        rounds,
        lambda: trio.run(nursery_of_checkpoints),
        lambda: trio.run(pausing.run, parallel(*[Checkpoint() for _ in range(many)])),
        lambda: trio.run(pausing.run, for_each(range(many), lambda _: Checkpoint())),
        lambda: trio.run(nursery_of_sleeps),
        lambda: trio.run(ambient.run, parallel(*[Sleep(0.01) for _ in range(sleepers)])),
    )
    us = 1e6 / many
    return [
        Figure(
            "10,000 branches, one checkpoint each (`parallel`)", "us/branch", ours * us, "raw nursery", raw * us,
            "<= 1.4 x", ours <= 1.4 * raw,
        ),
        Figure(
            "10,000 branches, one checkpoint each (`for_each`)", "us/branch", each * us, "raw nursery", raw * us,
            "-", True,
        ),
        Figure(
            "1,000 tasks of 10 ms in parallel", "ms", our_sleep * 1000, "raw nursery", raw_sleep * 1000,
            "<= 1.4 x", our_sleep <= 1.4 * raw_sleep,
        ),
    ]  # fmt: skip


def memory() -> Figure:
    """The most memory that a plan of a million effects holds, against one of a thousand."""

    def peak(n: int) -> float:
        gc.collect()
        tracemalloc.start()
        trio.run(Get.by(lambda _: 1).run, asking(n))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most / 1024

    small, large = peak(1_000), peak(1_000_000)
    return Figure(
        "memory of a plan of 1,000,000 effects",
        "KiB",
        large,
        "1,000 effects",
        small,
        "constant",
        large <= 1.5 * small,
    )


def importing(rounds: int) -> Figure:
    """Importing the package, in a new process with byte code cached."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def python(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment)

    bare, only_trio, ours = turns(
        3 * rounds, python("pass"), python("import trio"), python("import lambdacat_effects")
    )
    return Figure(
        "`import lambdacat_effects`", "ms", (ours - bare) * 1000, "`import trio`", (only_trio - bare) * 1000,
        "<= 1.5 x", ours - bare <= 1.5 * (only_trio - bare),
    )  # fmt: skip


def step(state: dict[str, int]) -> dict[str, int]:
    """What every task of the chain does, here and at the peers."""
    return {"n": state["n"] + 1}


def tasks(rounds: int, peers: dict[str, float]) -> list[Figure]:
    """A chain of 200 trivial tasks, against the peers' own way to write it."""
    n = 200
    program = compile_plan(sequence(*["step"] * n), Actions.empty().register("step", step, inline=True))

    async def chain() -> float:
        """The best time of one chain in a running event loop, as an application has it."""
        best = float("inf")
        for _ in range(20 * rounds):
            began = time.perf_counter()
            answer: Any = await ambient.run(program({"n": 0}))
            best = min(best, time.perf_counter() - began)
            assert answer == {"n": n}
        return best

    ours = trio.run(chain) * 1e6 / n
    (alone,) = turns(20 * rounds, lambda: trio.run(ambient.run, program({"n": 0})))
    rows = [
        Figure("DSL chain of 200 inline tasks", "us/task", ours, "the promise", 5.0, "<= 5 us", ours <= 5.0),
        Figure("the same, starting Trio for it", "us/task", alone * 1e6 / n, "the promise", 5.0, "-", True),
    ]
    for name, factor in (("burr", 5), ("langgraph", 30)):
        if name in peers:
            rows.append(
                Figure(
                    "the same chain", "us/task", ours, name, peers[name],
                    f"{factor} x faster", peers[name] >= factor * ours,
                )
            )  # fmt: skip
    return rows


def run_peers() -> dict[str, float]:
    """Time per step of each peer in microseconds, measured in an environment of its own."""
    if not PEERS_PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS_PYTHON.parents[1])], check=True)
        subprocess.run([str(PEERS_PYTHON), "-m", "pip", "install", "--quiet", *PEER_PACKAGES], check=True)
    found = {}
    for name in ("burr", "langgraph"):
        out = subprocess.run(
            [str(PEERS_PYTHON), str(PEERS / f"{name}_chain.py")], capture_output=True, text=True
        )
        if out.returncode:
            print(f"{name}: not measured\n{out.stderr}", file=sys.stderr)
        else:
            found[name] = json.loads(out.stdout)["us_per_step"]
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--quick", action="store_true", help="fewer rounds")
    arguments.add_argument("--no-peers", action="store_true", help="only this package")
    given = arguments.parse_args()
    rounds = 3 if given.quick else 15
    pinned()
    figures = [
        *effects(rounds),
        *branches(rounds),
        memory(),
        importing(rounds),
        *tasks(rounds, {} if given.no_peers else run_peers()),
    ]
    write("runtime", figures)


if __name__ == "__main__":
    main()
