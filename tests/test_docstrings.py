"""The examples in docstrings are executed."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = [
    str(path.relative_to(ROOT)).removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    for path in sorted((ROOT / "lambdacat_effects").rglob("*.py"))
    if path.stem not in ("__main__", "mypy")  # the plugin lives in mypy only
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    """Each shows what it says."""
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert failed == 0
