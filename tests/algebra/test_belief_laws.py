"""The laws of beliefs hold for ours, and each rejects the mistake that it is there to find."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from lambdacat_effects.algebra import Belief, Evidence, markov_forget, probability, temper
from lambdacat_effects.errors import InvalidArgument, LawBroken
from lambdacat_effects.testing import laws
from lambdacat_effects.testing.laws import Law, belief_laws

sources = st.sampled_from(["radar", "gauge", "scout"])
weights = st.floats(-1e4, 1e4) | st.sampled_from([800.0, -800.0])
times = st.floats(0.0, 1e5)
pieces = st.builds(Evidence, st.integers(1, 3), weights, times)
beliefs = st.builds(Belief, pieces, st.dictionaries(sources, pieces, max_size=3))


@pytest.mark.parametrize("law", belief_laws(), ids=str)
def test_our_beliefs_obey_the_laws_on_the_examples(law: Law) -> None:
    law.check()


@pytest.mark.parametrize("law", belief_laws(beliefs, weights, times, max_examples=200), ids=str)
def test_our_beliefs_obey_the_laws_on_whatever_is_drawn(law: Law) -> None:
    law.check()


def clamped(weight: float) -> float:
    return max(-5.0, min(weight, 5.0))


def log_odds_of(belief: Belief) -> float:
    return belief.reading().log_odds


def clamped_writing(belief: Belief, source: str, weight: float, time: float) -> Belief:
    """One number, kept within a limit: what most agents do."""
    return Belief().stated(clamped(log_odds_of(belief) + weight), version=belief.prior.version + 1)


def plain_sum(belief: Belief, source: str, weight: float, time: float) -> Belief:
    """Everything that is said adds up, whoever says it."""
    return belief.observed(f"{source}, {len(belief.entries)}", weight, time=time)


def merged_by(rule: Callable[[Evidence, Evidence], float]) -> Callable[[Belief, Belief], Belief]:
    def merge(a: Belief, b: Belief) -> Belief:
        entries = {**a.merged(b).evidence}
        for source in a.evidence.keys() & b.evidence.keys():
            one, other = a.evidence[source], b.evidence[source]
            entries[source] = Evidence(entries[source].version, rule(one, other), entries[source].time)
        return Belief(a.merged(b).prior, entries)

    return merge


summing = merged_by(lambda one, other: max(-1e300, min(1e300, one.weight + other.weight)))
averaging = merged_by(lambda one, other: (one.weight + other.weight) / 2)


def last_writer(a: Belief, b: Belief) -> Belief:
    return b


def more_certain(a: Belief, b: Belief) -> Belief:
    return max(a, b, key=lambda belief: (abs(log_odds_of(belief)), log_odds_of(belief), belief.entries))


def deleting(belief: Belief, source: str) -> Belief:
    return Belief(belief.prior, {name: said for name, said in belief.entries if name != source})


def keeping(belief: Belief, source: str) -> Belief:
    return belief


def unfading(belief: Belief, now: float, rate: float) -> float:
    return log_odds_of(belief)


def fading_prior(belief: Belief, now: float, rate: float) -> float:
    return belief.reading(now, rate=rate).log_odds - belief.prior.weight * -math.expm1(-rate * max(now, 0.0))


def growing(belief: Belief, now: float, rate: float) -> float:
    """Evidence from the future grows, where nobody thought of it."""
    faded = [said.weight * math.exp(-rate * (now - said.time)) for said in belief.evidence.values()]
    return math.fsum([belief.prior.weight, *faded])


def depends_on_order(belief: Belief, source: str, weight: float, time: float) -> Belief:
    """What is said first counts more."""
    return belief.observed(source, weight / (1 + len(belief.entries)), time=time)


def hyperbolic(weight: float, rate: float, elapsed: float) -> float:
    return weight / (1 + rate * elapsed)


def overflowing(weight: float) -> float:
    return 1.0 / (1.0 + math.exp(-weight))


def rounded(weight: float) -> float:
    return 1.0 if weight > 3.5 else probability(weight)


MUTANTS: dict[str, list[dict[str, Any]]] = {
    "merging idempotence": [{"merge": summing}],
    "merging commutativity": [{"merge": last_writer}],
    "merging associativity": [{"merge": averaging}],
    "any order": [{"tell": clamped_writing}, {"tell": depends_on_order}],
    "evidence adds up": [{"tell": clamped_writing}, {"tell": depends_on_order}, {"read": lambda *_: 0.0}],
    "evidence cancels": [{"tell": clamped_writing}, {"tell": depends_on_order}],
    "one source counts once": [{"tell": plain_sum}, {"tell": clamped_writing}],
    "retraction": [{"retract": keeping}],
    "retraction survives merging": [{"retract": deleting}],
    "shared evidence counts once": [{"merge": summing}],
    "merging hears both": [{"merge": last_writer}, {"merge": more_certain}],
    "evidence fades": [{"read": unfading}, {"fade": hyperbolic}],
    "the prior does not fade": [{"read": fading_prior}],
    "a clock that went backwards fades nothing": [{"read": growing}],
    "fading is linear": [{"fade": markov_forget}],
    "fading composes": [{"fade": hyperbolic}],
    "opposite": [{"probability": overflowing}, {"probability": rounded}],
}


@pytest.mark.parametrize(
    ("name", "mutant"), [(name, mutant) for name, mutants in MUTANTS.items() for mutant in mutants]
)
def test_every_law_rejects_a_mutant(name: str, mutant: dict[str, Any]) -> None:
    """With its equation, and what breaks it."""
    (law,) = [law for law in belief_laws(**mutant) if law.name == name]
    with pytest.raises(LawBroken, match=re.escape(f'the law "{name}" does not hold: {law.equation}')):
        law.check()


def test_every_law_has_a_mutant() -> None:
    assert list(MUTANTS) == [law.name for law in belief_laws()]


def test_the_bounds_leave_no_room_for_single_precision() -> None:
    """A slack of a billionth would hide an error that is a million times what doubles make."""

    def imprecise(belief: Belief, now: float, rate: float) -> float:
        return belief.reading(now, rate=rate).log_odds * (1 + 1e-13)

    (law,) = [law for law in belief_laws(read=imprecise) if law.name == "evidence adds up"]
    with pytest.raises(LawBroken):
        law.check()

    def blurred(weight: float, rate: float, elapsed: float) -> float:
        return temper(weight, rate, elapsed) * (1 + 1e-13)

    (law,) = [law for law in belief_laws(fade=blurred) if law.name == "fading composes"]
    with pytest.raises(LawBroken):
        law.check()


def test_the_laws_apply_to_beliefs_of_ones_own() -> None:
    """A dictionary of weights by source, say, that can be told and read; what it cannot do is found out."""

    def told(belief: dict[str, float], source: str, weight: float, time: float) -> dict[str, float]:
        return {**belief, source: weight}

    def merge(a: dict[str, float], b: dict[str, float]) -> dict[str, float]:
        return {**a, **b}

    mine = belief_laws(
        [{}, {"radar": 2.0}, {"radar": -1.0, "gauge": 0.5}],
        merge=merge,
        tell=told,
        retract=lambda belief, source: {name: w for name, w in belief.items() if name != source},
        state=lambda belief, weight: {**belief, "prior": weight},
        read=lambda belief, now, rate: math.fsum(belief.values()),
    )
    broken = []
    for law in mine:
        try:
            law.check()
        except LawBroken:
            broken.append(law.name)
    assert ["merging commutativity", "retraction survives merging", "evidence fades"] == broken


@pytest.mark.parametrize(
    "given", [{"beliefs": []}, {"weights": []}, {"times": []}, {"rate": 0.0}, {"rate": math.nan}]
)
def test_there_has_to_be_something_to_check(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        laws.belief_laws(**given)
