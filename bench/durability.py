"""The proof of durability, at length: crash sweeps, chance, real kills, power cuts, files that end too early.

make proof                      # or: python -m bench.durability [--quick] [--seed N] [--only PROOF]
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests" / "journal"
QUICK = ("sequence", "parallel", "race", "with_state", "beliefs and memory", "ask")
"""Plans that do not sleep, for proofs in real time."""


def sweeps(seeds: range, seed: int, *, cancel: bool = False) -> Counter[str]:
    """Die at every point of every plan, and again while it recovers; or be cancelled there, too."""
    plans: Any = importlib.import_module("proof_plans")
    total: Counter[str] = Counter()
    for proof in plans.PROOFS:
        for number in seeds:
            swept = plans.sweep(proof, seed=seed + number, twice=True, cancel=cancel)
            total += Counter(points=len(swept.points), crashes=swept.deaths, repeated=swept.repeated)
    return total + Counter(plans=len(plans.PROOFS), schedules=len(seeds))


def chance(seeds: int, seed: int) -> Counter[str]:
    """Crashes and lost replies at random."""
    happened: Counter[str] = importlib.import_module("proof_seeds").endure(range(seed, seed + seeds))
    return happened


def mutants() -> Counter[str]:
    """Journals with one fault each: every one has to be found."""
    plans: Any = importlib.import_module("proof_plans")
    found: Counter[str] = Counter()
    for mutant, name in importlib.import_module("proof_mutants").MUTANTS:
        (proof,) = [proof for proof in plans.PROOFS if proof.name == name]
        try:
            with mutant():
                plans.sweep(proof)
        except AssertionError:
            found["found"] += 1
        else:
            raise AssertionError(f"{mutant.__name__} was not found")
    return found


def kills(number: int, seed: int) -> Counter[str]:
    """Real ones, of a run of 20 branches."""
    return _right(importlib.import_module("proof_kills").kill(number, seed))


def power_cuts(images: int, seed: int) -> Counter[str]:
    """Simulated ones, at any moment of a trace of a real store's writes."""
    if not importlib.import_module("proof_trace").available():
        return Counter({"NOT DONE: there is no strace, or it may not be used": 1})
    power: Any = importlib.import_module("proof_power")
    plans: Any = importlib.import_module("proof_plans")
    quick = [proof for proof in plans.PROOFS if proof.name in QUICK]
    happened = _right(power.cut_power(images, seed, quick))
    _, wrong = power.cut_power(images // 10, seed, quick[:1], hasty=True)
    if not wrong:
        raise AssertionError("a store that does not wait for the disk was not found")
    happened["images of a store that does not wait for the disk, found wrong"] = len(wrong)
    return happened


def early_ends(step: int) -> Counter[str]:
    """Records, headers and files that are cut off."""
    plans: Any = importlib.import_module("proof_plans")
    truncation: Any = importlib.import_module("proof_truncation")
    happened: Counter[str] = Counter()
    for proof in plans.PROOFS:
        if proof.name in QUICK:
            records = _right(truncation.cut_records(proof))
            happened["records cut off and refused"] += records["refused"]
    image, found = truncation.a_store()
    offsets = sorted({*range(0, len(image), step), len(image) - 1, len(image)})
    files = _right(truncation.cut_file(image, found, offsets))
    happened["files cut off and refused"] += files["refused"]
    happened["files cut off where nothing was"] += files["whole"]
    return happened


def _right(answer: tuple[Counter[str], list[str]]) -> Counter[str]:
    happened, wrong = answer
    if wrong:
        raise AssertionError("\n".join(wrong[:20]))
    return happened


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of it, in two minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="the proofs whose names begin so")
    given = parser.parse_args()
    quick, seed = given.quick, given.seed
    sys.path.insert(0, str(TESTS))
    logging.disable(logging.WARNING)  # of branches that fail after they were cancelled, as many of these do
    proofs: dict[str, Callable[[], Counter[str]]] = {
        "crash sweep": lambda: sweeps(range(1 if quick else 5), seed),
        "cancelled": lambda: sweeps(range(1 if quick else 5), seed, cancel=True),
        "crashes and lost replies": lambda: chance(340 if quick else 3400, seed),
        "mutants": mutants,
        "kill -9": lambda: kills(12 if quick else 120, seed),
        "power cuts": lambda: power_cuts(240 if quick else 2400, seed),
        "cut off": lambda: early_ends(512 if quick else 61),
    }
    for name, proof in proofs.items():
        if not name.startswith(given.only):
            continue
        began = time.perf_counter()
        happened = proof()
        counted = ", ".join(f"{count:,} {what}" for what, count in happened.items() if count)
        print(f"{name}: {counted} ({time.perf_counter() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
