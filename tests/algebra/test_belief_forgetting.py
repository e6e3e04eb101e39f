"""Tempering and Markov forgetting: what each is, and that they are not the same."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lambdacat_effects.algebra import log_odds, markov_forget, probability, rate_of, temper
from lambdacat_effects.errors import InvalidArgument

quick = settings(max_examples=300, deadline=None)
weights = st.floats(-50, 50)
rates = st.floats(0, 10)
spans = st.floats(0, 10)


def test_a_half_life_halves() -> None:
    assert 1.5 == pytest.approx(temper(3.0, rate_of(60.0), 60.0), rel=1e-15)
    assert 0.0 == rate_of(math.inf)


@pytest.mark.parametrize("forget", [temper, markov_forget])
def test_nothing_is_forgotten_in_no_time_or_when_the_clock_goes_back(forget: Any) -> None:
    for weight in (0.3, -800.0, 1e300, math.inf):
        assert weight == forget(weight, 1.0, 0.0) == forget(weight, 1.0, -5.0) == forget(weight, 0.0, 1e300)


def test_certainties_are_tempered_by_nothing_and_forgotten_in_time() -> None:
    """A certain observation stays one; a proposition that may change is not certain for ever."""
    assert math.inf == temper(math.inf, 1.0, 1e9)
    p = probability(markov_forget(math.inf, 1.0, 0.5))
    assert 0.5 + 0.5 * math.exp(-0.5) == pytest.approx(p, rel=1e-15)


@quick
@given(weights, rates, spans, weights)
def test_markov_forgetting_moves_the_probability_towards_the_prior(
    weight: float, rate: float, elapsed: float, prior: float
) -> None:
    """By the factor of the two-state chain, on both ends of the scale."""
    r = math.exp(-rate * elapsed)
    after = markov_forget(weight, rate, elapsed, prior=prior)
    for sign in (1, -1):
        expected = r * probability(sign * weight) + -math.expm1(-rate * elapsed) * probability(sign * prior)
        assert probability(sign * after) == pytest.approx(expected, rel=1e-12)


@quick
@given(weights, rates, spans, spans, weights)
@example(
    16.0, 2.0**-52, 1.0, 0.25, 0.0
)  # where what is forgotten is lost in 1 - exp(...), and not in the logarithm
def test_markov_forgetting_composes(weight: float, rate: float, s: float, t: float, prior: float) -> None:
    twice = markov_forget(markov_forget(weight, rate, s, prior=prior), rate, t, prior=prior)
    assert twice == pytest.approx(markov_forget(weight, rate, s + t, prior=prior), rel=1e-11, abs=1e-11)


def test_the_prior_is_where_forgetting_ends_and_stays() -> None:
    prior = log_odds(0.2)
    assert prior == pytest.approx(markov_forget(30.0, 1.0, 1e6, prior=prior), rel=1e-14)
    assert prior == markov_forget(prior, 1.0, 3.0, prior=prior)
    assert 0.0 == temper(30.0, 1.0, 1e6)


def test_the_two_are_not_the_same() -> None:
    """Tempering shrinks log-odds; the chain pulls a strong belief down, as what was true may have changed."""
    assert 10.0 == pytest.approx(temper(20.0, rate_of(60.0), 60.0))
    assert 0.75 == pytest.approx(probability(markov_forget(20.0, rate_of(60.0), 60.0)), rel=1e-8)


def test_extremes_do_not_overflow() -> None:
    assert -800.0 == pytest.approx(markov_forget(-800.0, 1e-300, 1e-300, prior=0.0))
    assert 0.0 == pytest.approx(markov_forget(-800.0, 1e300, 1e300, prior=0.0))
    assert -math.inf == markov_forget(-math.inf, 1.0, 1.0, prior=-math.inf)
    assert 900.0 == pytest.approx(markov_forget(800.0, 1.0, 1e9, prior=900.0))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: temper(1.0, -1.0, 1.0),
        lambda: temper(math.nan, 1.0, 1.0),
        lambda: temper(1.0, 1.0, math.inf),
        lambda: markov_forget(1.0, math.nan, 1.0),
        lambda: markov_forget(1.0, 1.0, 1.0, prior=math.nan),
        lambda: rate_of(0.0),
        lambda: rate_of(-5.0),
        lambda: rate_of(math.nan),
        lambda: rate_of(True),
        lambda: rate_of("60"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_rate_or_time_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgument):
        wrong()
