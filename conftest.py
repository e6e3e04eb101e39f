"""Every Python block of the README and the docs is executed; the blocks of one page share their names."""

from __future__ import annotations

import re

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()],
    patterns=["README.md", "docs/*.md"],
).pytest()


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:  # noqa: ARG001
    """Addresses of objects in the names of tests would differ between the workers of pytest-xdist."""
    return re.sub("0x[0-9a-f]+", "0x...", val) if isinstance(val, str) and " at 0x" in val else None
