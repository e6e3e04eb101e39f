"""Random plans, as durable runs whose processes die at random: they end as if nothing had happened."""

from __future__ import annotations

import logging

import pytest
from proof_random import lived


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Losers fail late all the time."""
    caplog.set_level(logging.CRITICAL, "lambdacat_effects")


@pytest.mark.parametrize("start", range(0, 150, 50))
def test_random_plans_survive_crashes_and_lost_replies(start: int) -> None:
    """What was answered is not asked again, a key stands for one call, and the journal alone says the same."""
    deaths = 0
    for seed in range(start, start + 50):
        lives = lived(seed, lost_replies=True)
        assert lives.wrong == [], f"seed {seed}"
        deaths += len(lives.deaths)
    assert deaths > 20


@pytest.mark.parametrize("start", range(1000, 1100, 50))
def test_random_plans_are_cancelled(start: int) -> None:
    """While their process is dead."""
    for seed in range(start, start + 50):
        lives = lived(seed, lost_replies=False, cancelled=True)
        assert lives.wrong == [], f"seed {seed}"
