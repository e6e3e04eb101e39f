"""Laws of `conclude`, the pure decision of what ended branches amount to; each has a mutant that it must reject."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import strategies as st
from law_checks import passes, rejects

from lambdacat_effects import ALL, FIRST_COMPLETED, MISSING, N_BEST, QUORUM, SETTLE, Err, Ok
from lambdacat_effects.effects.concurrency import Concurrent, Policy
from lambdacat_effects.errors import Misuse, PlanTimeout
from lambdacat_effects.runtime.policies import UNENDED, Ended, conclude

# A history: how each branch ended, and in which tick. `conclude` is told of it in one of many orders.


@attrs.frozen
class Success:
    """A branch that answered."""

    tick: int
    answer: int


@attrs.frozen
class Failure:
    """A branch that failed, by itself or (`error` is Misuse) by a mistake."""

    tick: int
    error: Exception = attrs.field(eq=False)


@attrs.frozen
class Unended:
    """A branch that was cancelled."""

    tick: int = 0


@attrs.frozen
class Case:
    """What was asked for, how the branches ended, and in which order the book-keeper heard of it."""

    asked: Concurrent
    branches: list
    order: list


def told(branches, order):
    """The book of a history, written in this order."""
    ended = Ended([UNENDED] * len(branches))
    for index in order:
        match branches[index]:
            case Success(tick, answer):
                ended.answers[index] = answer
                ended.ticks[index] = tick
            case Failure(_, error):
                ended.errors[index] = error
    return ended


def by_tick(branches):
    """The declared order within each tick."""
    return sorted(range(len(branches)), key=lambda i: branches[i].tick)


def successes(case):
    """Index and branch of those that answered, in declared order."""
    return [(i, b) for i, b in enumerate(case.branches) if isinstance(b, Success)]


def failures(case):
    """The errors in declared order."""
    return [b.error for b in case.branches if isinstance(b, Failure)]


def is_mistaken(case):
    return any(isinstance(error, Misuse) for error in failures(case))


ticks = st.integers(0, 3)
succeeding = st.builds(Success, ticks, st.integers(-3, 3))
# Not `st.builds(ValueError)`: each failure has an error object of its own.
failing = ticks.map(lambda tick: Failure(tick, ValueError("planned")))
mistaken = ticks.map(lambda tick: Failure(tick, Misuse("mistake")))
unended = st.just(Unended())
endings = st.one_of(succeeding, succeeding, failing, unended)


@st.composite
def cases(draw, policy=None, endings=endings):
    """Histories of up to six branches."""
    branches = draw(st.lists(endings, min_size=1, max_size=6))
    policy = draw(st.sampled_from(Policy)) if policy is None else policy
    asked = Concurrent(
        branches,
        policy,
        n=draw(st.integers(1, len(branches))),
        score=abs,
        timeout=draw(st.sampled_from([0.5, 2.0])),
        partial=draw(st.booleans()),
    )
    shuffled = draw(st.permutations(range(len(branches))))
    return Case(asked, branches, sorted(shuffled, key=lambda i: branches[i].tick))


def summary(verdict):
    """A verdict, comparable: a group by its message and leaves, a timeout by what it says."""
    if verdict.is_ok:
        return verdict.value
    error = verdict.error
    leaves = error.exceptions if isinstance(error, ExceptionGroup) else None
    return type(error), str(error), leaves, summary(Err(error.__cause__)) if error.__cause__ else None


# The laws of `conclude`


def order_is_free(conclude, case):
    """The order in which branches of one tick are heard of changes nothing."""
    heard = conclude(case.asked, told(case.branches, case.order))
    assert summary(conclude(case.asked, told(case.branches, by_tick(case.branches)))) == summary(heard)


def race_has_the_earliest_lowest_winner(conclude, case):
    """The winner is the success that is minimal by (tick, index); without one there is no answer."""
    verdict = conclude(case.asked, told(case.branches, case.order))
    ranking = sorted((b.tick, i) for i, b in successes(case))
    assert bool(ranking) == verdict.is_ok
    if ranking:
        winner = case.branches[ranking[0][1]]
        assert winner.answer == verdict.value


def all_answers_iff_all_succeeded(conclude, case):
    """A tuple of all answers in declared order, exactly when every branch has one."""
    verdict = conclude(attrs.evolve(case.asked, partial=False), told(case.branches, case.order))
    answered = successes(case)
    assert (len(answered) == len(case.branches)) == verdict.is_ok
    if verdict.is_ok:
        assert tuple(b.answer for _, b in answered) == verdict.value


def partial_misses_exactly_the_unended(conclude, case):
    """With `partial`, absence of failure is enough, and MISSING stands for who has not ended."""
    verdict = conclude(attrs.evolve(case.asked, partial=True), told(case.branches, case.order))
    assert (not failures(case)) == verdict.is_ok
    if verdict.is_ok:
        assert verdict.value == tuple(b.answer if isinstance(b, Success) else MISSING for b in case.branches)


def quorum_answers_iff_n_are_reached(conclude, case):
    """n answers exactly when n succeeded: those of the n earliest, in declared order."""
    verdict = conclude(case.asked, told(case.branches, case.order))
    n = case.asked.n
    ranking = sorted((b.tick, i) for i, b in successes(case))
    assert (len(ranking) >= n) == verdict.is_ok
    if verdict.is_ok:
        assert [case.branches[i].answer for i in sorted(i for _, i in ranking[:n])] == verdict.value


def n_best_is_sorted_stable_and_at_most_n(conclude, case):
    """The n highest scores, best first, equals in declared order; fewer when fewer succeeded."""
    verdict = conclude(case.asked, told(case.branches, case.order))
    answers = [b.answer for _, b in successes(case)]
    assert (bool(answers) or not failures(case)) == verdict.is_ok
    if verdict.is_ok:
        left = list(answers)
        for chosen in verdict.value:
            assert left[max(range(len(left)), key=lambda k: (abs(left[k]), -k))] == chosen
            left.remove(chosen)
        assert min(case.asked.n, len(answers)) == len(verdict.value)


def settle_tells_each(conclude, case):
    """`Ok`, `Err` or MISSING for each branch, in declared order."""
    verdict = conclude(case.asked, told(case.branches, case.order))
    ends = {Success: lambda b: Ok(b.answer), Failure: lambda b: Err(b.error), Unended: lambda b: MISSING}
    assert Ok(tuple(ends[type(b)](b) for b in case.branches)) == verdict


def misuse_beats_all(conclude, case):
    """The first declared mistake is the verdict, bare, whatever else happened."""
    verdict = conclude(case.asked, told(case.branches, case.order))
    first = next((error for error in failures(case) if isinstance(error, Misuse)), None)
    if first is not None:
        assert Err(first) == verdict


def no_answer_is_unended(conclude, case):
    """`UNENDED` stays inside."""
    verdict = conclude(case.asked, told(case.branches, case.order))
    if verdict.is_ok:
        parts = verdict.value if isinstance(verdict.value, (tuple, list)) else [verdict.value]
        assert not any(part is UNENDED or part == Ok(UNENDED) for part in parts)


def failures_are_told_in_declared_order(conclude, case):
    """A verdict that is an error holds every failure by declared index: in its group, or its cause."""
    verdict = conclude(case.asked, told(case.branches, case.order))
    if verdict.is_ok or is_mistaken(case):
        return
    error = verdict.error
    group = error.__cause__ if isinstance(error, PlanTimeout) else error
    assert tuple(failures(case)) == (group.exceptions if group is not None else ())


def timeout_names_the_unended(conclude, case):
    """A timeout says how long it was, and names exactly those that had not ended."""
    verdict = conclude(case.asked, told(case.branches, case.order))
    if not verdict.is_ok and isinstance(verdict.error, PlanTimeout):
        names = ", ".join(str(i) for i, b in enumerate(case.branches) if isinstance(b, Unended))
        assert f"({names})" in str(verdict.error)
        assert case.asked.timeout == verdict.error.seconds


# Mutants


def first_heard_wins(asked, ended):
    return Ok(ended.answers[next(iter(ended.ticks))]) if ended.ticks else conclude(asked, ended)


def lowest_index_wins(asked, ended):
    return Ok(ended.answers[min(ended.ticks)]) if ended.ticks else conclude(asked, ended)


def failures_count_as_none(asked, ended):
    return Ok(tuple(None if a is UNENDED else a for a in ended.answers))


def always_partial(asked, ended):
    return conclude(attrs.evolve(asked, partial=True), attrs.evolve(ended, errors={}))


def one_short(asked, ended):
    return conclude(attrs.evolve(asked, n=max(1, asked.n - 1)), ended)


def quorum_by_index(asked, ended):
    return conclude(asked, attrs.evolve(ended, ticks=dict.fromkeys(ended.ticks, 0)))


def reversed_equals(asked, ended):
    backwards = [a for a in ended.answers[::-1] if a is not UNENDED]
    return Ok(sorted(backwards, key=abs, reverse=True)[: asked.n])


def worst_first(asked, ended):
    return Ok(sorted([a for a in ended.answers if a is not UNENDED], key=abs)[: asked.n])


def unended_as_ok(asked, ended):
    return Ok(tuple(map(Ok, ended.answers)))


def misuse_in_a_group(asked, ended):
    masked = {i: ValueError(str(e)) if isinstance(e, Misuse) else e for i, e in ended.errors.items()}
    return conclude(asked, attrs.evolve(ended, errors=masked))


def group_as_heard(asked, ended):
    if ended.errors:
        return Err(ExceptionGroup("group", list(ended.errors.values())))
    return conclude(asked, ended)


def timeout_names_all(asked, ended):
    verdict = conclude(asked, ended)
    if verdict.is_ok or not isinstance(verdict.error, PlanTimeout):
        return verdict
    return conclude(asked, Ended([UNENDED] * len(ended.answers)))


LAWS = [
    (order_is_free, cases(), group_as_heard),
    (order_is_free, cases(FIRST_COMPLETED), first_heard_wins),
    (race_has_the_earliest_lowest_winner, cases(FIRST_COMPLETED), lowest_index_wins),
    (race_has_the_earliest_lowest_winner, cases(FIRST_COMPLETED), first_heard_wins),
    (all_answers_iff_all_succeeded, cases(ALL), failures_count_as_none),
    (partial_misses_exactly_the_unended, cases(ALL), always_partial),
    (partial_misses_exactly_the_unended, cases(ALL), failures_count_as_none),
    (quorum_answers_iff_n_are_reached, cases(QUORUM), one_short),
    (quorum_answers_iff_n_are_reached, cases(QUORUM), quorum_by_index),
    (n_best_is_sorted_stable_and_at_most_n, cases(N_BEST), reversed_equals),
    (n_best_is_sorted_stable_and_at_most_n, cases(N_BEST), worst_first),
    (settle_tells_each, cases(SETTLE), unended_as_ok),
    (misuse_beats_all, cases(endings=st.one_of(endings, mistaken)), misuse_in_a_group),
    (no_answer_is_unended, cases(), unended_as_ok),
    (failures_are_told_in_declared_order, cases(), group_as_heard),
    (timeout_names_the_unended, cases(), timeout_names_all),
]


def name(law):
    return getattr(law, "__name__", "")


class TestConclude:
    @pytest.mark.parametrize(("law", "instances"), {law: (law, i) for law, i, _ in LAWS}.values(), ids=name)
    def test_keeps(self, law, instances):
        """The law holds."""
        passes(law, instances, conclude)

    @pytest.mark.parametrize(("law", "instances", "mutant"), LAWS, ids=name)
    def test_mutant_breaks(self, law, instances, mutant):
        """The law would not hold of the mutant."""
        rejects(law, instances, mutant)

    def test_answers_are_not_compared(self):
        """An answer is an answer also when its `==` raises, as an array's does, or is always true, as a mock's."""

        class Array:
            def __eq__(self, other):
                raise ValueError("the truth value of an array is ambiguous")

        class Anything:
            def __eq__(self, other):
                return True

        for answer in (Array(), Anything()):
            verdict = conclude(Concurrent([None], ALL, timeout=1.0), Ended([answer]))
            assert verdict.is_ok
            assert answer is verdict.value[0]
