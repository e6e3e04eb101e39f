"""Fixtures of tests that run pytest inside."""

from __future__ import annotations

from typing import Any

import pytest
from inner_pytest import ALONE


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a test file in a project with our plugin alone."""
    for variable in ("LAMBDACAT_SEED", "LAMBDACAT_RUNS"):  # which whoever runs this may have set
        monkeypatch.delenv(variable, raising=False)

    def running(source: str, *options: str, ini: str = "", **outcomes: int) -> pytest.RunResult:
        if "filterwarnings" not in ini:
            ini += "\nfilterwarnings = default"  # those of this project are in force here, too
        pytester.makeini(f"[pytest]\n{ini}\n")
        pytester.makepyfile(test_it=source)
        result = pytester.runpytest_inprocess(*ALONE, *options)
        if outcomes:
            result.assert_outcomes(**outcomes)
        return result

    return running
