"""Log-odds: stable at every size, inverse to probabilities, and pooled without counting anything twice."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects.algebra import log_odds, log_opinion_pool, probability, weight_of
from lambdacat_effects.algebra._belief_odds import log_sum_exp
from lambdacat_effects.errors import Contradiction, InvalidArgument

quick = settings(max_examples=300, deadline=None)
weights = st.floats(-1e4, 1e4)
any_weight = weights | st.sampled_from([800.0, -800.0, 1e300, -1e300, math.inf, -math.inf])


@quick
@given(any_weight)
def test_a_proposition_or_its_opposite_is_true(weight: float) -> None:
    assert abs(probability(weight) + probability(-weight) - 1.0) <= sys.float_info.epsilon


@quick
@given(any_weight, any_weight)
def test_more_evidence_is_more_probability(one: float, other: float) -> None:
    assert (one <= other) <= (probability(one) <= probability(other))


@quick
@given(st.floats(1e-300, 1 - 1e-16))
def test_log_odds_are_the_inverse(p: float) -> None:
    """As near as the log-odds themselves can be told apart."""
    weight = log_odds(p)
    assert probability(weight) == pytest.approx(p, rel=4 * (1 + abs(weight)) * 2.2e-16, abs=0)


@pytest.mark.parametrize(
    ("weight", "expected"),
    [(0.0, 0.5), (800.0, 1.0), (-800.0, 0.0), (math.inf, 1.0), (-math.inf, 0.0), (-700.0, math.exp(-700.0))],
)
def test_the_logistic_function_does_not_overflow(weight: float, expected: float) -> None:
    assert expected == probability(weight)


def test_the_logistic_function_written_naively_does() -> None:
    with pytest.raises(OverflowError):
        1.0 / (1.0 + math.exp(800.0))


@quick
@given(st.floats(1e-12, 1.0), st.floats(-1e-9, 1e-9))
def test_the_weight_of_near_equals_is_precise(p: float, difference: float) -> None:
    """Where the logarithm of a rounded quotient would have lost half of its digits."""
    other = p * (1.0 - abs(difference))
    ratio = Fraction(p) / Fraction(other) - 1
    exact = float(ratio - ratio**2 / 2 + ratio**3 / 3)
    assert weight_of(p, other) == pytest.approx(exact, rel=1e-15, abs=0)


def test_the_weight_of_extremes_does_not_overflow() -> None:
    assert -math.log(5e-324) == weight_of(1.0, 5e-324)
    assert math.log(5e-324) == weight_of(5e-324, 1.0)


@pytest.mark.parametrize(
    "wrong", [(0.0, 0.5), (0.5, 0.0), (0.0, 0.0), (1.5, 0.5), (0.5, -1.0), (math.nan, 0.5), ("a", 1)]
)
def test_likelihoods_are_probabilities_above_0(wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match="likelihood"):
        weight_of(*wrong)


# The logarithmic opinion pool

opinions = st.lists(weights, min_size=1, max_size=6)


def near(one: float, other: float, of: list[float]) -> bool:
    return abs(one - other) <= 4 * 2.2e-16 * math.fsum(map(abs, of))


@quick
@given(weights, st.integers(1, 9), st.floats(0.001, 1000))
def test_what_all_agree_on_stays_what_it_is(opinion: float, times: int, share: float) -> None:
    assert near(opinion, log_opinion_pool([opinion] * times), [opinion])
    assert near(opinion, log_opinion_pool([opinion] * times, [share] * times), [opinion])


@quick
@given(opinions, st.randoms(use_true_random=False))
def test_the_order_of_opinions_changes_no_bit(given_opinions: list[float], random: Any) -> None:
    shuffled = random.sample(given_opinions, len(given_opinions))
    assert log_opinion_pool(given_opinions) == log_opinion_pool(shuffled)


@quick
@given(opinions, weights)
def test_to_learn_the_same_and_pool_is_to_pool_and_learn(given_opinions: list[float], weight: float) -> None:
    """External Bayesianity (Genest and Zidek): the linear pool of probabilities does not have it."""
    learnt = log_opinion_pool([opinion + weight for opinion in given_opinions])
    assert near(
        learnt, log_opinion_pool(given_opinions) + weight, [*given_opinions, weight * len(given_opinions)]
    )


def test_the_linear_pool_is_told_apart() -> None:
    one, other = 3.0, -1.0
    mean = log_odds((probability(one) + probability(other)) / 2)
    assert mean != pytest.approx(log_opinion_pool([one, other]), abs=0.1)
    learnt = log_odds((probability(one + 2) + probability(other + 2)) / 2)
    assert learnt != pytest.approx(mean + 2, abs=0.1)


def test_pooling_pools_is_another_thing_than_pooling_all() -> None:
    """Why it takes all opinions at once, and is no operator."""
    assert 1.0 == log_opinion_pool([0.0, 0.0, 3.0])
    assert 1.5 == log_opinion_pool([log_opinion_pool([0.0, 0.0]), 3.0])
    assert 1.0 == log_opinion_pool([log_opinion_pool([0.0, 0.0]), 3.0], [2, 1])


def test_only_the_ratio_of_weights_matters_at_any_size() -> None:
    for size in (1e-300, 1.0, 1e300):
        assert 1e300 == pytest.approx(log_opinion_pool([1e300, 1e300, -1e300], [size, size, 0.0]))


def test_certain_opinions_decide_unless_they_weigh_nothing() -> None:
    assert math.inf == log_opinion_pool([math.inf, -5.0])
    assert -5.0 == log_opinion_pool([math.inf, -5.0], [0, 1])
    with pytest.raises(Contradiction):
        log_opinion_pool([math.inf, -math.inf])


@pytest.mark.parametrize(
    "wrong",
    [([],), ([1.0], [1.0, 2.0]), ([1.0], [-1.0]), ([1.0, 2.0], [0, 0]), ([1.0], [math.inf]), ([math.nan],)],
)
def test_a_pool_takes_opinions_and_what_they_count(wrong: Any) -> None:
    with pytest.raises(InvalidArgument):
        log_opinion_pool(*wrong)


@quick
@given(st.lists(st.floats(-700, 700), min_size=1, max_size=8))
def test_log_sum_exp_is_the_logarithm_of_the_sum(terms: list[float]) -> None:
    exact = sum((Fraction(math.exp(term)) for term in terms), Fraction())
    assert log_sum_exp(terms) == pytest.approx(
        math.log(exact.numerator) - math.log(exact.denominator), abs=1e-12
    )


def test_log_sum_exp_knows_no_overflow_and_no_terms() -> None:
    assert 1e300 == log_sum_exp([1e300, -1e300])
    assert -math.inf == log_sum_exp([])
    assert -math.inf == log_sum_exp([-math.inf, -math.inf])
    assert math.inf == log_sum_exp([math.inf, 0.0])
