"""Categorical beliefs: log-weights by source, against exact rational Bayes, and as beliefs of two outcomes are."""

from __future__ import annotations

import math
import pickle
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects.algebra import Belief, Categorical, Likelihoods, weight_of
from lambdacat_effects.errors import Contradiction, InvalidArgument
from lambdacat_effects.storage.codec import decode, encode

quick = settings(max_examples=200, deadline=None)
names = ("jam", "milk", "tea")
shares = st.fixed_dictionaries(dict.fromkeys(names, st.floats(0.01, 1.0)))
log_weights = st.floats(-1e3, 1e3) | st.sampled_from([-math.inf, 800.0, -800.0])
likelihoods = st.builds(
    Likelihoods,
    st.integers(1, 3),
    st.just({}) | st.fixed_dictionaries(dict.fromkeys(names, log_weights)),
    st.floats(-100, 100),
)
categoricals = st.builds(
    Categorical,
    st.builds(
        Likelihoods, st.integers(1, 2), st.fixed_dictionaries(dict.fromkeys(names, st.floats(-50, 50)))
    ),
    st.dictionaries(st.sampled_from(["smell", "sight", "taste"]), likelihoods, max_size=3),
)


def logs(probabilities: dict[str, float]) -> dict[str, float]:
    return {outcome: math.log(p) for outcome, p in probabilities.items()}


@quick
@given(shares, st.lists(shares, max_size=4))
def test_probabilities_are_bayes_theorem(prior: dict[str, float], seen: list[dict[str, float]]) -> None:
    """Against exact rationals of the very floats that were given."""
    belief = Categorical.of(prior)
    weights = {name: Fraction(prior[name]) for name in names}
    for i, one in enumerate(seen):
        belief = belief.observed(f"source {i}", logs(one))
        weights = {name: weights[name] * Fraction(one[name]) for name in names}
    found = belief.probabilities()
    for name in names:
        assert found[name] == pytest.approx(float(weights[name] / sum(weights.values())), rel=3e-14)
    assert 1.0 == pytest.approx(math.fsum(found.values()), abs=1e-13)


@quick
@given(st.floats(0.01, 0.99), st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)), max_size=4))
def test_two_outcomes_are_as_one_proposition(prior: float, pairs: list[tuple[float, float]]) -> None:
    binary, two = Belief.of(prior), Categorical.of({"true": prior, "false": 1 - prior})
    for i, (p, q) in enumerate(pairs):
        binary = binary.observed(str(i), weight_of(p, q), time=i)
        two = two.observed(str(i), logs({"true": p, "false": q}), time=i)
    expected = binary.reading(20.0, rate=0.1).probability
    assert expected == pytest.approx(two.probabilities(20.0, rate=0.1)["true"], rel=1e-13)


@quick
@given(categoricals, categoricals, categoricals)
def test_merging_takes_any_order_and_grouping(a: Categorical, b: Categorical, c: Categorical) -> None:
    assert a.merged(b) == b.merged(a)
    assert a.merged(b).merged(c) == a.merged(b.merged(c))
    assert a.merged(a) == a


@quick
@given(categoricals)
def test_categorical_beliefs_are_stored_and_read_back_exactly(held: Categorical) -> None:
    assert held == decode(encode(held), Categorical)
    assert hash(held) == hash(pickle.loads(pickle.dumps(held)))


@quick
@given(shares, shares, st.floats(-700, 700))
def test_only_differences_between_outcomes_matter(
    prior: dict[str, float], seen: dict[str, float], by: float
) -> None:
    plain = Categorical.of(prior).observed("smell", logs(seen)).probabilities()
    shifted = Categorical.of(prior).observed("smell", {name: w + by for name, w in logs(seen).items()})
    for name in names:
        assert plain[name] == pytest.approx(shifted.probabilities()[name], rel=1e-12)


def test_one_source_counts_once_and_can_be_retracted_for_good() -> None:
    coin = Categorical.of({"fair": 1, "double": 1})
    told = coin.observed("toss", {"fair": -1.0, "double": 0.0})
    assert told.probabilities() == told.observed("toss", {"fair": -1.0, "double": 0.0}).probabilities()
    taken_back = told.retracted("toss")
    assert coin.probabilities() == taken_back.probabilities() == taken_back.merged(told).probabilities()
    assert taken_back == taken_back.retracted("toss")
    assert coin == coin.retracted("toss")


def test_evidence_fades_towards_the_prior_and_the_prior_stays() -> None:
    told = Categorical.of({"a": 3, "b": 1}).observed("s", {"a": -8.0, "b": 0.0}, time=10.0)
    assert told.probabilities() == told.probabilities(5.0, rate=1.0)
    assert 0.75 == pytest.approx(told.probabilities(1e6, rate=1.0)["a"])
    with pytest.raises(InvalidArgument, match="give now="):
        told.probabilities(rate=1.0)


def test_what_is_ruled_out_stays_so_and_ruling_out_everything_is_a_contradiction() -> None:
    told = Categorical.of({"a": 1, "b": 1}).observed("s", {"a": -math.inf, "b": 0.0}, time=0.0)
    assert {"a": 0.0, "b": 1.0} == told.probabilities(1e9, rate=1.0)
    with pytest.raises(Contradiction, match=r"every outcome, of 'a', 'b', is ruled out: retract"):
        told.observed("t", {"a": 0.0, "b": -math.inf}).probabilities()


def test_weights_of_any_size_do_not_overflow() -> None:
    told = Categorical.of({"a": 1, "b": 1}).observed("s", {"a": 800.0, "b": -800.0})
    assert {"a": 1.0, "b": 0.0} == told.probabilities()
    assert -1600.0 == told.log_probabilities()["b"]
    huge = Categorical(Likelihoods(1, {"a": 1e300, "b": -1e300}))
    assert {"a": 1.0, "b": 0.0} == huge.observed("s", {"a": 1e300, "b": 0.0}).probabilities()


def test_of_priors_with_other_outcomes_the_newer_decides() -> None:
    old = Categorical.of({"a": 1, "b": 1}).observed("s", {"a": -1.0, "b": 0.0})
    new = Categorical(Likelihoods(2, {"b": 0.0, "c": 0.0}))
    assert {"b": 0.5, "c": 0.5} == old.merged(new).probabilities() == new.merged(old).probabilities()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Categorical.of({"a": 1}),
        lambda: Categorical.of({"a": 0, "b": 1}),
        lambda: Categorical.of({"a": math.nan, "b": 1}),
        lambda: Categorical(3),  # type: ignore[arg-type]
        lambda: Likelihoods(1, {"a": math.inf}),
        lambda: Likelihoods(1, {"a": "b"}),  # type: ignore[arg-type]
        lambda: Likelihoods(-1),
        lambda: Categorical.of({"a": 1, "b": 1}).observed("s", {"a": 0.0}),
        lambda: Categorical.of({"a": 1, "b": 1}).observed("s", {}),
        lambda: Categorical.of({"a": 1, "b": 1}).observed("s", {"a": 0.0, "c": 0.0}),
        lambda: Categorical.of({"a": 1, "b": 1}).observed("", {"a": 0.0, "b": 0.0}),
        lambda: Categorical.of({"a": 1, "b": 1}).merged(Belief()),  # type: ignore[arg-type]
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_given(wrong: Any) -> None:
    with pytest.raises(InvalidArgument):
        wrong()
