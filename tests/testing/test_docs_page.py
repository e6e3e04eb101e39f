"""docs/testing.md: as a user would have it, in a test file, and what it prints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

pytest_plugins = "pytester"

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_is_a_test_file(run: Any) -> None:
    """All its blocks in one file: the tests among them pass, fixtures and all."""
    run("\n".join(BLOCKS), passed=4)


def test_the_failure_reads_as_it_is_shown() -> None:
    """But for the fingerprint, which each version of Python has its own of, and the line of the check."""
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(block, names)
        if "found" in names:
            break
    told = re.sub(r"fingerprint \w+", "fingerprint 0fd5f3e1c7f2", names["found"])
    lines = [line.rstrip() for line in told.splitlines()]
    start = lines.index("  plan plan (fingerprint 0fd5f3e1c7f2), lambdacat_effects 0.1.0")
    expected = [line.rstrip() for line in shown.splitlines()]
    assert expected[expected.index(lines[start]) :] == lines[start:]
