"""Beliefs: evidence by source, summed up when read, against exact rational Bayes and at the edges of floats."""

from __future__ import annotations

import copy
import itertools
import json
import math
import pickle
import re
import sys
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lambdacat_effects import ambient
from lambdacat_effects.algebra import (
    BELIEFS,
    Belief,
    Beliefs,
    Evidence,
    key,
    log_odds,
    probability,
    rate_of,
    weight_of,
)
from lambdacat_effects.errors import Contradiction, InvalidArgument, MergeConflict
from lambdacat_effects.plan import compile_plan, focus, parallel, three_way_merge
from lambdacat_effects.storage.codec import decode, encode
from lambdacat_effects.storage.exact.reading import read
from lambdacat_effects.storage.exact.redaction import Redaction, Redactor
from lambdacat_effects.storage.exact.writing import Writer
from lambdacat_effects.testing.laws import monoid_laws

likely = st.floats(0.05, 0.95)
finite = st.floats(-1e4, 1e4)
any_weight = finite | st.sampled_from([800.0, -800.0, 1e300, -1e300, math.inf, -math.inf, 5e-324])
times = st.floats(-1e6, 1e6)
sources = st.sampled_from(["radar", "gauge", "scout", "é\0", "\ud800"])
pieces = st.builds(Evidence, st.integers(1, 3), any_weight, times)
beliefs = st.builds(Belief, st.just(Evidence(0, 0.0)) | pieces, st.dictionaries(sources, pieces, max_size=4))
many = st.builds(
    Beliefs, st.dictionaries(st.sampled_from(["it rains", "it snows", ""]).filter(bool), beliefs)
)

quick = settings(max_examples=200, deadline=None)


def posterior(prior: float, likelihoods: list[tuple[float, float]]) -> Fraction:
    """Bayes' theorem in exact rationals, of the very floats that are given."""
    true, false = Fraction(prior), 1 - Fraction(prior)
    for p_if_true, p_if_false in likelihoods:
        true, false = true * Fraction(p_if_true), false * Fraction(p_if_false)
    return true / (true + false)


def learnt(prior: float, likelihoods: list[tuple[float, float]]) -> Belief:
    belief = Belief.of(prior)
    for i, pair in enumerate(likelihoods):
        belief = belief.observed(f"source {i}", weight_of(*pair))
    return belief


# Against exact Bayes


@quick
@given(st.floats(0.001, 0.999), st.lists(st.tuples(likely, likely), max_size=6))
@example(0.5, [(0.95, 0.05)] * 6)
@example(0.001, [(0.05, 0.95)] * 6)
def test_reading_is_bayes_theorem(prior: float, likelihoods: list[tuple[float, float]]) -> None:
    """Against exact rationals, four times the 1.8e-15 that were measured, on the side that is near 0."""
    exact = posterior(prior, likelihoods)
    weight = learnt(prior, likelihoods).reading().log_odds
    small = min(exact, 1 - exact)
    found = Fraction(probability(-abs(weight)))
    assert abs(found - small) <= Fraction(4 * 1.8e-15) * small + Fraction(sys.float_info.min)


def test_the_comparison_with_bayes_theorem_can_fail() -> None:
    """To add probabilities, or to take one source's evidence twice, is far outside of the bound."""
    exact = posterior(0.3, [(0.9, 0.2)])
    twice = learnt(0.3, [(0.9, 0.2), (0.9, 0.2)]).reading().log_odds
    assert abs(Fraction(probability(twice)) - exact) > Fraction(1, 20)


@quick
@given(st.lists(st.tuples(sources, finite, times), max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_evidence_changes_no_bit(said: list[tuple[str, float, float]], random: Any) -> None:
    """A reading depends on what was said, not on when it was learnt or in which order it is summed."""
    versions = [(source, weight, time, i + 1) for i, (source, weight, time) in enumerate(said)]
    shuffled = random.sample(versions, len(versions))
    one, other = Belief.of(0.3), Belief.of(0.3)
    for source, weight, time, version in versions:
        one = one.observed(source, weight, time=time, version=version)
    for source, weight, time, version in shuffled:
        other = other.observed(source, weight, time=time, version=version)
    assert one == other
    assert one.reading(1e6, rate=1e-6) == other.reading(1e6, rate=1e-6)


def test_a_plain_sum_would_depend_on_the_order() -> None:
    """Which is why readings are summed by `fsum`."""
    weights = [0.1, 1e16, -1e16, 0.2, 0.3]
    sums = {sum(order) for order in itertools.permutations(weights)}
    readings = set()
    for order in itertools.permutations(range(5)):
        belief = Belief()
        for i in order:
            belief = belief.observed(f"source {i}", weights[i])
        readings.add(belief.reading().log_odds)
    assert len(sums) > 1
    assert {math.fsum(weights)} == readings


# Sources


def test_correlated_evidence_of_one_source_is_not_counted_twice() -> None:
    """Ten reports of one radar weigh what the last one does; those of ten radars add up."""
    one = Belief.of(0.5)
    ten = Belief.of(0.5)
    for i in range(10):
        one = one.observed("radar", 1.0)
        ten = ten.observed(f"radar {i}", 1.0)
    assert 1.0 == one.reading().log_odds
    assert 10.0 == ten.reading().log_odds


def test_evidence_that_was_passed_on_is_not_counted_twice() -> None:
    """Gossip in a ring: everybody's word counts once, however often it comes round."""
    agents = [Beliefs().observed("it rains", f"agent {i}", 1.0 + i) for i in range(4)]
    for _ in range(3):
        agents = [agent.merged(agents[i - 1]) for i, agent in enumerate(agents)]
    assert [1.0 + 2.0 + 3.0 + 4.0] * 4 == [agent.reading("it rains").log_odds for agent in agents]
    assert 1 == len(set(agents))


def test_a_source_that_corrects_itself_out_of_order_ends_at_its_last_word() -> None:
    belief = Belief().observed("radar", 3.0, version=2).observed("radar", -1.0, version=1)
    assert 3.0 == belief.reading().log_odds
    assert {"radar": Evidence(2, 3.0)} == belief.evidence


def test_what_was_retracted_stays_so_whoever_merges_it_back() -> None:
    told = Belief.of(0.2).observed("radar", 3.0, time=5.0)
    taken_back = told.retracted("radar", time=6.0)
    assert taken_back == taken_back.merged(told) == told.merged(taken_back)
    assert 0.2 == pytest.approx(taken_back.reading().probability)
    assert taken_back == taken_back.retracted("radar", time=7.0)
    assert 2.0 + log_odds(0.2) == taken_back.observed("radar", 2.0).reading().log_odds


def test_retracting_what_nobody_said_changes_nothing() -> None:
    assert Belief() == Belief().retracted("radar")
    assert Belief(entries={"radar": Evidence(3, 0.0)}) == Belief().retracted("radar", version=3)


def test_the_mutant_that_deletes_when_retracting_is_found_out() -> None:
    """Without the version that remains, the older copy brings the evidence back."""
    told = Belief().observed("radar", 3.0)
    deleted = Belief(told.prior, {})
    assert 3.0 == deleted.merged(told).reading().log_odds


@quick
@given(beliefs, beliefs, beliefs)
def test_merging_takes_any_order_and_grouping(a: Belief, b: Belief, c: Belief) -> None:
    """Also of equal versions with different content, which two agents give that hear one source apart."""
    assert a.merged(b) == b.merged(a)
    assert a.merged(b).merged(c) == a.merged(b.merged(c))
    assert a.merged(a) == a


def test_of_equal_versions_the_later_counts_then_the_retraction_then_the_higher() -> None:
    for older, newer in itertools.pairwise(
        [
            Evidence(1, 9.0, 0.0),
            Evidence(1, -1.0, 5.0),
            Evidence(1, 1.0, 5.0),
            Evidence(1, 0.0, 5.0),
            Evidence(2, -1.0),
        ]
    ):
        merged = Belief(entries={"s": older}).merged(Belief(entries={"s": newer}))
        assert {"s": newer} == merged.evidence


@pytest.mark.parametrize("law", monoid_laws(BELIEFS, many, commutative=True, idempotent=True), ids=str)
def test_beliefs_merge_as_a_commutative_idempotent_monoid(law: Any) -> None:
    law.check()


# Time


def test_evidence_fades_and_the_prior_does_not() -> None:
    belief = Belief.of(0.2).observed("radar", 4.0, time=100.0)
    rate = rate_of(60.0)
    assert 2.0 + log_odds(0.2) == pytest.approx(belief.reading(160.0, rate=rate).log_odds, rel=1e-15)
    assert 0.2 == belief.reading(1e9, rate=rate).probability


def test_a_clock_that_runs_backwards_fades_nothing() -> None:
    belief = Belief().observed("radar", 4.0, time=100.0)
    assert 4.0 == belief.reading(-1e9, rate=1.0).log_odds
    assert 4.0 == belief.reading(100.0, rate=1.0).log_odds


def test_evidence_of_any_age_fades_without_overflow() -> None:
    belief = Belief().observed("radar", 1e300, time=-1e308)
    assert 0.0 == belief.reading(1e308, rate=1e300).log_odds
    assert 1e300 == belief.reading(1e308, rate=0.0).log_odds


def test_a_rate_without_a_time_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="give now="):
        Belief().reading(rate=1.0)


# The edges


@pytest.mark.parametrize("weight", [800.0, -800.0])
def test_weights_that_would_overflow_an_exponential_do_not(weight: float) -> None:
    reading = Belief.of(0.5).observed("proof", weight).reading()
    assert {0.0, 1.0} == {reading.probability, reading.doubt}
    assert weight == reading.log_odds
    assert 0.0 == Belief().observed("a", weight).observed("b", -weight).reading().log_odds


def test_the_largest_weights_add_up_without_overflow() -> None:
    belief = Belief()
    for i in range(1000):
        belief = belief.observed(f"source {i}", 1e300)
    assert 1e303 == pytest.approx(belief.reading().log_odds)


@pytest.mark.parametrize("p", [0, 1, 0.0, 1.0])
def test_probabilities_of_0_and_1_have_to_be_asked_for_as_certainty(p: float) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(f"the weight {'' if p else '-'}math.inf")):
        Belief.of(p)
    assert p == Belief().stated(math.inf if p else -math.inf).reading().probability
    with pytest.raises(InvalidArgument, match=r"math\.inf"):
        weight_of(0.0, 0.5) if p == 0 else weight_of(0.5, 0.0)


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan, math.inf, "0.5", None, True, 10**400])
def test_what_is_no_probability_is_refused(p: Any) -> None:
    with pytest.raises(InvalidArgument):
        Belief.of(p)


def test_certainty_outweighs_everything_and_does_not_fade() -> None:
    belief = Belief.of(0.001).observed("proof", math.inf).observed("radar", -800.0)
    assert 1.0 == belief.reading(1e9, rate=1.0).probability
    assert math.inf == belief.reading().log_odds
    assert 5.0 == belief.reading(limit=5.0).log_odds


@pytest.mark.parametrize("limit", [None, 5.0])
def test_contradictory_certainties_are_an_error_that_names_the_sources(limit: float | None) -> None:
    """Also with a limit, which bounds answers and decides nothing."""
    told = Beliefs().observed("it rains", "radar", math.inf).observed("it rains", "gauge", -math.inf)
    with pytest.raises(
        Contradiction, match=r"^'radar' is certain of 'it rains', and 'gauge' of its opposite: retract what"
    ):
        told.reading("it rains", limit=limit)
    assert 1.0 == told.retracted("it rains", "gauge").reading("it rains").probability
    with pytest.raises(Contradiction, match="the prior"):
        Belief().stated(-math.inf).observed("radar", math.inf).reading()


def test_the_limit_bounds_what_is_read_and_not_what_is_kept() -> None:
    """Clamped when written, (3 + 4) - 4 would be 1 within 5."""
    belief = Belief().observed("a", 3.0).observed("b", 4.0)
    assert 5.0 == belief.reading(limit=5.0).log_odds
    assert 3.0 == belief.observed("c", -4.0).reading(limit=5.0).log_odds
    with pytest.raises(InvalidArgument, match="limit"):
        belief.reading(limit=-1.0)


def test_a_reading_tells_disagreement_from_ignorance() -> None:
    unknown, disputed = Belief().reading(), Belief().observed("a", 4.0).observed("b", -4.0).reading()
    assert unknown.probability == disputed.probability == 0.5
    assert (0, 0.0, 0.0) == (unknown.sources, unknown.pro, unknown.contra)
    assert (2, 4.0, 4.0) == (disputed.sources, disputed.pro, disputed.contra)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Evidence(-1, 1.0),
        lambda: Evidence(True, 1.0),
        lambda: Evidence(1, math.nan),
        lambda: Evidence(1, 1e301),
        lambda: Evidence(1, 1.0, math.inf),
        lambda: Evidence(1, "1"),
        lambda: Belief().observed("", 1.0),
        lambda: Belief().observed("radar", 1.0, version=0),
        lambda: Belief(entries={"radar": 1.0}),  # type: ignore[arg-type]
        lambda: Belief(entries=3),  # type: ignore[arg-type]
        lambda: Belief(entries=[("a", Evidence(1, 1.0)), ("a", Evidence(2, 1.0))]),
        lambda: Belief().merged(Beliefs()),  # type: ignore[arg-type]
        lambda: Beliefs().merged(Belief()),  # type: ignore[arg-type]
        lambda: Beliefs().observed("", "radar", 1.0),
        lambda: Beliefs().reading(""),
        lambda: Belief().reading(0.0, rate=-1.0),
        lambda: Belief().reading(math.inf),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_where_it_is_given(wrong: Any) -> None:
    with pytest.raises(InvalidArgument):
        wrong()


# As values


@quick
@given(many)
def test_beliefs_are_stored_and_read_back_exactly(held: Beliefs) -> None:
    """Infinities, the smallest floats and odd names included, by the codec of stores and by that of recordings."""
    assert held == decode(encode(held), Beliefs)
    assert encode(held) == encode(decode(encode(held), Beliefs))
    recorded = json.dumps(Writer(Redactor(Redaction()), exactly=True).write(held))
    assert held == read(json.loads(recorded))
    assert hash(held) == hash(copy.deepcopy(pickle.loads(pickle.dumps(held))))


def test_minus_zero_is_zero_so_that_equal_beliefs_are_stored_alike() -> None:
    assert encode(Belief().observed("a", -0.0)) == encode(Belief().observed("a", 0.0))


def test_beliefs_are_a_mapping_that_leaves_out_what_is_not_known() -> None:
    held = Beliefs({"b": Belief.of(0.2), "a": Belief.of(0.3)})
    assert ["a", "b"] == list(held)
    assert Belief.of(0.3) == held["a"]
    assert "c" not in held
    assert 0.5 == held.reading("c").probability
    assert Belief() == held.of("c")
    with pytest.raises(KeyError, match="c"):
        held["c"]
    assert Beliefs() == Beliefs().retracted("c", "radar")


def test_branches_that_learn_of_different_propositions_merge_by_themselves() -> None:
    """As the three-way merge does it with any mapping; where branches learn of one proposition, give BELIEFS."""
    base = Beliefs().observed("a", "radar", 1.0)
    one, two = base.observed("b", "radar", 2.0), base.observed("c", "radar", 3.0)
    assert one.merged(two) == three_way_merge(base, [one, two])
    assert BELIEFS.concat([one, two]) == one.merged(two)


def test_branches_that_learn_of_one_proposition_need_a_rule() -> None:
    """The monoid is one; without it nobody's evidence is dropped silently."""
    lens = key("beliefs")

    def hearing(source: str) -> Any:
        return lambda beliefs: beliefs.observed("it rains", source, 1.0)

    def plan(**how: Any) -> Any:
        return compile_plan(focus(lens, parallel(hearing("radar"), hearing("gauge"), **how)))

    state = {"beliefs": Beliefs().stated("it rains", 0.5), "n": 1}
    with pytest.raises(MergeConflict):
        ambient.run_pure(plan()(state))
    merged = ambient.run_pure(plan(combine=BELIEFS)(state))
    assert 2.5 == merged["beliefs"].reading("it rains").log_odds


def test_pruning_takes_out_what_has_faded_and_keeps_what_guards_against_old_copies() -> None:
    told = (
        Beliefs()
        .observed("a", "once", 2.0)
        .observed("b", "twice", 800.0)
        .observed("b", "twice", 1.0)
        .observed("c", "taken back", 5.0)
        .retracted("c", "taken back")
        .observed("d", "certain", math.inf)
        .observed("e", "new", 1.0, time=900.0)
        .stated("f", 1.0)
    )
    pruned = told.pruned(1000.0, 0.1, least=1e-6)
    assert ["b", "c", "d", "e", "f"] == list(pruned)
    for name in told:
        before = told.reading(name, 1000.0, rate=0.1).log_odds
        assert before == pytest.approx(pruned.reading(name, 1000.0, rate=0.1).log_odds, abs=1e-6)
        assert before == pytest.approx(pruned.merged(told).reading(name, 1000.0, rate=0.1).log_odds, abs=1e-6)
