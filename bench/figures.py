"""Figures measured in turns with their baselines, and the tables they go into."""

from __future__ import annotations

import csv
import gc
import os
import platform
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import attrs
import trio

import lambdacat_effects

HERE = Path(__file__).parent


@attrs.frozen
class Figure:
    """One row: what was measured, against what, and what was promised."""

    name: str
    unit: str
    ours: float
    baseline_name: str
    baseline: float
    target: str
    met: bool

    @property
    def ratio(self) -> float:
        return self.ours / self.baseline


def turns(rounds: int, *candidates: Callable[[], object]) -> list[float]:
    """The best time in seconds of each candidate, which take turns."""
    best = [float("inf")] * len(candidates)
    for _ in range(rounds):
        for i, candidate in enumerate(candidates):
            gc.collect()
            began = time.perf_counter()
            candidate()
            best[i] = min(best[i], time.perf_counter() - began)
    return best


def machine() -> str:
    return (
        f"CPython {platform.python_version()}, trio {trio.__version__}, lambdacat_effects "
        f"{lambdacat_effects.__version__}, {platform.system()} {platform.machine()}, one core, {date.today()}"
    )


def markdown(figures: list[Figure]) -> str:
    lines = [f"{machine()}, `make bench`", ""]
    lines += ["| what | ours | baseline | ratio | target | |", "|---|---:|---:|---:|---|---|"]
    for f in figures:
        lines.append(
            f"| {f.name} | {f.ours:,.2f} {f.unit} | {f.baseline_name}: {f.baseline:,.2f} | {f.ratio:.2f} | "
            f"{f.target} | {'' if f.target == '-' else 'met' if f.met else '**missed**'} |"
        )
    return "\n".join(lines) + "\n"


def write(section: str, figures: list[Figure]) -> None:
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    with (results / f"{section}.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["what", "unit", "ours", "baseline", "baseline_value", "ratio", "target", "met"])
        for f in figures:
            rows.writerow([f.name, f.unit, f"{f.ours:.3f}", f.baseline_name, f"{f.baseline:.3f}", f"{f.ratio:.3f}",
                           f.target, f.met])  # fmt: skip
    table = markdown(figures)
    (results / f"{section}.md").write_text(table)
    readme = HERE / "README.md"
    begin, end = f"<!-- {section} -->\n", f"<!-- /{section} -->"
    text = readme.read_text()
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    readme.write_text(f"{head}{begin}\n{table}\n{end}{tail}")
    print(table)


def pinned() -> None:
    """Stay on one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
