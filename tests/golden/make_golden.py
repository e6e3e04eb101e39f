"""Write a golden journal of each plan, in the format that is current: once for each format, when it is new.

python tests/golden/make_golden.py

Each is a run whose process died in the middle, and what it came to when it was resumed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from golden_plans import GOLDEN, handlers

from lambdacat_effects.journal.records import FORMAT, LEASES
from lambdacat_effects.testing.lives import Lives
from lambdacat_effects.testing.mortal import CrashPoint, Disk

HERE = Path(__file__).parent


def golden(name: str) -> dict[str, Any]:
    """One golden journal, as JSON."""
    make, args = GOLDEN[name]

    def lives() -> Lives:
        return Lives(make, args, handlers, answers={"Send it?": True})

    whole = lives()
    whole.live(0)
    run = lives()
    assert run.live(0, CrashPoint("before write", len(whole.writes) * 3 // 4))
    stopped = run.disk.contents()
    stopped.pop(LEASES, None)  # of a process that is long gone
    resumed = lives()
    resumed.disk = Disk.of(stopped)
    resumed.to_the_end(1)
    assert not resumed.wrong, resumed.wrong
    return {
        "format": FORMAT,
        "plan": name,
        "store": {space: _texts(values) for space, values in stopped.items()},
        "expected": {
            "outcome": resumed.outcome,
            "calls": sorted(str(call) for call in resumed.calls),
            "memory": {space: _texts(values) for space, values in resumed.memory.items()},
        },
    }


def _texts(values: dict[str, bytes]) -> dict[str, str]:
    return {key: data.decode("utf-8", "surrogatepass") for key, data in sorted(values.items())}


def main() -> None:
    directory = HERE / f"format-{FORMAT}"
    if directory.exists() and any(directory.iterdir()):
        sys.exit(
            f"{directory.name} is there already: golden journals are written once, and then kept for ever"
        )
    directory.mkdir(exist_ok=True)
    for name in GOLDEN:
        (directory / f"{name}.json").write_text(json.dumps(golden(name), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
