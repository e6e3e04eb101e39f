"""Laws of `enough`, the pure decision to cancel the rest; each has a mutant that it must reject."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from law_checks import passes, rejects

from lambdacat_effects import ALL, FIRST_COMPLETED, N_BEST, QUORUM, SETTLE
from lambdacat_effects.effects.concurrency import Concurrent, Policy
from lambdacat_effects.runtime.policies import UNENDED, Ended, conclude, enough

# The laws of `enough`: of its policy, n, the number of branches, and how many have succeeded and failed.


@st.composite
def counts(draw, policy=None):
    """Numbers of branches that succeeded and failed so far."""
    branches = draw(st.integers(1, 6))
    succeeded = draw(st.integers(0, branches))
    policy = draw(st.sampled_from(Policy)) if policy is None else policy
    n = draw(st.integers(1, branches))
    return policy, n, branches, succeeded, draw(st.integers(0, branches - succeeded))


def is_monotone(enough, count):
    """Who has enough keeps it when more branches end."""
    policy, n, branches, succeeded, failed = count
    if enough(*count):
        for more in range(succeeded, branches + 1):
            for lost in range(failed, branches - more + 1):
                assert enough(policy, n, branches, more, lost)


def quorum_is_decided_iff_reached_or_out_of_reach(enough, count):
    """Enough is n successes, or too few that could still succeed; not before."""
    _, n, branches, succeeded, failed = count
    assert (succeeded >= n or branches - failed < n) == enough(*count)


def all_ends_at_the_first_failure(enough, count):
    """One failure is enough, and nothing else is."""
    assert (count[4] > 0) == enough(*count)


def race_ends_at_the_first_success(enough, count):
    """One success is enough, and nothing else is."""
    assert (count[3] > 0) == enough(*count)


def others_hear_everybody(enough, count):
    """n_best and settle cancel nobody."""
    assert not enough(*count)


def _wrong(edit):
    def mutant(policy, n, branches, succeeded, failed):
        return enough(*edit(policy, n, branches, succeeded, failed))

    return mutant


COUNT_LAWS = [
    (is_monotone, counts(), lambda p, n, b, s, f: s == 1),
    (
        quorum_is_decided_iff_reached_or_out_of_reach,
        counts(QUORUM),
        _wrong(lambda p, n, b, s, f: (p, n, b, s, 0)),
    ),
    (
        quorum_is_decided_iff_reached_or_out_of_reach,
        counts(QUORUM),
        _wrong(lambda p, n, b, s, f: (p, n, b, s + f, f)),
    ),
    (all_ends_at_the_first_failure, counts(ALL), lambda p, n, b, s, f: s + f == b),
    (race_ends_at_the_first_success, counts(FIRST_COMPLETED), lambda p, n, b, s, f: s + f > 0),
    (others_hear_everybody, counts(N_BEST), lambda p, n, b, s, f: s >= n),
    (others_hear_everybody, counts(SETTLE), lambda p, n, b, s, f: f > 0),
]


@st.composite
def histories(draw):
    """What was asked for, and for each branch in which tick it ended, if it did, and whether well."""
    branches = draw(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("+-.")), min_size=1, max_size=6))
    n = draw(st.integers(1, len(branches)))
    return Concurrent(branches, draw(st.sampled_from(Policy)), n=n, score=abs, timeout=1.0), branches


def told(branches, until):
    """The book of a history up to a tick."""
    ended = Ended([UNENDED] * len(branches))
    for index, (tick, end) in enumerate(branches):
        if tick < until and end == "+":
            ended.answers[index] = index
            ended.ticks[index] = tick
        elif tick < until and end == "-":
            ended.errors[index] = ValueError(index)
    return ended


def what_is_enough_settles_the_verdict(enough, history):
    """When the rest may be cancelled, no later end would change whether there is an answer, and which."""
    asked, branches = history
    early = told(branches, 2)
    if enough(asked.policy, asked.n, len(branches), len(early.ticks), len(early.errors)):
        decided, later = conclude(asked, early), conclude(asked, told(branches, 4))
        assert decided.is_ok == later.is_ok
        if decided.is_ok:
            assert decided == later


def name(law):
    return getattr(law, "__name__", "")


class TestEnough:
    @pytest.mark.parametrize(
        ("law", "instances"), {(law, i): (law, i) for law, i, _ in COUNT_LAWS}.values(), ids=name
    )
    def test_keeps(self, law, instances):
        """The law holds."""
        passes(law, instances, enough)

    @pytest.mark.parametrize(("law", "instances", "mutant"), COUNT_LAWS, ids=name)
    def test_mutant_breaks(self, law, instances, mutant):
        """The law would not hold of the mutant."""
        rejects(law, instances, mutant)

    def test_settles_the_verdict(self):
        """Cancelling the rest loses nothing."""
        passes(what_is_enough_settles_the_verdict, histories(), enough)

    @pytest.mark.parametrize(
        "mutant",
        [
            lambda policy, n, total, succeeded, failed: succeeded + 1 >= n,
            lambda policy, n, total, succeeded, failed: failed > 0,
        ],
        ids=["one too early", "any failure"],
    )
    def test_mutant_does_not_settle_the_verdict(self, mutant):
        """Cancelling earlier would."""
        rejects(what_is_enough_settles_the_verdict, histories(), mutant)
