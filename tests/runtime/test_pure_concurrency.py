"""Without an event loop, concurrent plans answer as they do on Trio, and virtual time passes as it would there."""

from __future__ import annotations

from itertools import count
from math import ceil

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from timed_plans import after, failing
from trio.testing import MockClock

from lambdacat_effects import (
    MISSING,
    Effect,
    Err,
    Now,
    Ok,
    Sleep,
    ambient,
    attempt,
    effect,
    for_each,
    hedge,
    n_best,
    parallel,
    quorum,
    race,
    settle,
    shielded,
    timeout,
)
from lambdacat_effects.errors import NotPure, PlanReused, PlanTimeout, UnhandledEffect


@effect
class Double(Effect[int]):
    """Twice a number."""

    n: int


handlers = Double.by(lambda e: 2 * e.n)


def elapsed(plan):
    """The answer of a plan, and how long it took by the run's clock."""
    began = yield from Now()
    answer = yield from plan
    return answer, (yield from Now()) - began


def on_trio(plan):
    """Perform a plan on Trio, in virtual time."""
    return trio.run(handlers.run, plan, clock=MockClock(autojump_threshold=0))


# Random plans, as data. Sleeps take whole seconds. The k-th deadline of a plan is after a whole number and 2**-k
# seconds, so that no deadline falls together with another, or with the end of a sleep.

_MOST_DEADLINES = 12
GRID = 2.0**-_MOST_DEADLINES


@attrs.frozen
class Node:
    """A part of a plan: what it is, its parameters and its parts."""

    kind: str
    number: int = 0
    parts: tuple[Node, ...] = ()


def longest(node):
    """A bound of how many seconds a plan takes."""
    parts = [longest(part) for part in node.parts]
    if node.kind in ("sleep", "fail"):
        return node.number
    if node.kind == "timeout":
        return min(parts[0], node.number + 1)
    if node.kind in STAGGERED:
        return (max(parts) + 1) * len(parts)
    return sum(parts)


def planned(node, numbers):
    """The plan of a node."""
    if node.kind in STAGGERED:
        # Branch k starts after every branch before it has ended: declared order is finishing order.
        step = ceil(max(map(longest, node.parts))) + 1
        parts = [delayed(step * k, planned(part, numbers)) for k, part in enumerate(node.parts)]
        seconds = node.number + 2.0 ** -next(numbers) if node.kind == "partial" else node.number
        return STAGGERED[node.kind](parts, seconds)
    parts = [planned(part, numbers) for part in node.parts]
    if node.kind == "timeout":
        return timeout(node.number + 2.0 ** -next(numbers), parts[0])
    return SIMPLE[node.kind](parts, node.number)


def delayed(seconds, plan):
    """A plan after some seconds."""
    yield from Sleep(seconds)
    return (yield from plan)


def in_turn(plans):
    """The answers of plans, one after the other, and the time that has passed since the start."""
    began = yield from Now()
    answers = []
    for plan in plans:
        answers.append((yield from plan))
    return answers, snapped((yield from Now()) - began)


def snapped(seconds):
    """Seconds on the grid of deadlines: `Now` is large on Trio, so a difference is not exact."""
    return round(seconds / GRID) * GRID


# Branches that may fail: their order matters, so they are staggered.
STAGGERED = {
    "parallel": lambda plans, n: parallel(*plans),
    "race": lambda plans, n: race(*plans),
    "quorum": lambda plans, n: quorum(*plans, n=1 + n % len(plans)),
    "n_best": lambda plans, n: n_best(*plans, n=1 + n % len(plans), score=lambda a: len(str(a))),
    "for_each": lambda plans, n: for_each(plans, lambda plan: plan),
    "partial": lambda plans, n: parallel(*map(attempt, plans), timeout=n, partial=True),
}
SIMPLE = {
    "sleep": lambda plans, n: after(n, n),
    "double": lambda plans, n: iter(Double(n)),
    "fail": lambda plans, n: failing(n, KeyError(n)),
    "attempt": lambda plans, n: attempt(plans[0]),
    "shielded": lambda plans, n: shielded(plans[0]),
    "in_turn": lambda plans, n: in_turn(plans),
    "attempts": lambda plans, n: parallel(*map(attempt, plans)),
    "settle": lambda plans, n: settle(*plans),
    "limited": lambda plans, n: for_each(plans, attempt, limit=1 + n),
}

few = st.integers(0, 3)
leaves = st.builds(Node, st.sampled_from(["sleep", "double", "fail"]), few)


def nodes(children):
    one = st.tuples(children)
    some = st.lists(children, min_size=1, max_size=4).map(tuple)
    many = [*STAGGERED, "in_turn", "attempts", "settle", "limited"]
    return st.one_of(
        st.builds(Node, st.sampled_from(["attempt", "timeout"]), few, one),
        st.builds(Node, st.sampled_from(many), few, some),
        st.builds(Node, st.sampled_from(many), few, some),
    )


random_plans = st.recursive(leaves, nodes, max_leaves=8).filter(
    lambda node: deadlines(node) < _MOST_DEADLINES
)


def deadlines(node):
    """How many deadlines a plan has."""
    return (node.kind in ("timeout", "partial")) + sum(map(deadlines, node.parts))


def comparable(end):
    """An answer or error, with exceptions as what they say."""
    if isinstance(end, BaseException):
        within = [comparable(e) for e in getattr(end, "exceptions", ())]
        return type(end).__name__, str(end), within
    if isinstance(end, (tuple, list)):
        return type(end), [comparable(part) for part in end]
    if isinstance(end, (Ok, Err)):
        return type(end), comparable(end.value if end.is_ok else end.error)
    return end


def outcome(node, perform):
    """How a plan ends, and how long it took."""
    plan = attempt(planned(node, count(1)))
    end, seconds = perform(elapsed(plan))
    return comparable(end), snapped(seconds)


class TestAgreement:
    @settings(max_examples=250, deadline=None)
    @given(random_plans)
    def test_with_trio(self, node):
        """A plan whose answer does not depend on ties ends here as it does on Trio, at the same virtual time."""
        assert outcome(node, on_trio) == outcome(node, handlers.run_pure)

    def test_would_notice(self):
        """The comparison sees other errors, containers and times."""
        ends = [
            outcome(node, handlers.run_pure)
            for node in [
                Node("sleep", 1),
                Node("sleep", 2),
                Node("fail", 1),
                Node("parallel", 0, (Node("sleep", 1),)),
                Node("for_each", 0, (Node("sleep", 1),)),
                Node("settle", 0, (Node("sleep", 1),)),
                Node("race", 0, (Node("fail", 1),)),
                Node("parallel", 0, (Node("fail", 1),)),
                Node("timeout", 1, (Node("sleep", 3),)),
            ]
        ]
        assert all(ends.count(end) == 1 for end in ends)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: timeout(1, after(1, "a")),
            lambda: parallel(after(1, "a"), timeout=1),
            lambda: race(after(1, "a"), timeout=1),
            lambda: timeout(2, parallel(after(1, "a"), after(2, "b"))),
        ],
    )
    def test_of_a_sleep_that_ends_at_the_deadline(self, make):
        """On Trio the deadline wins, always."""
        assert comparable(on_trio(attempt(make()))) == comparable(handlers.run_pure(attempt(make())))

    def test_of_a_maker_that_fails(self):
        """An error of for_each's `make` is its branch's failure."""

        def make(item):
            raise KeyError(item)

        ends = [comparable(perform(attempt(for_each([1], make)))) for perform in (on_trio, handlers.run_pure)]
        assert ends[0] == ends[1]

    @pytest.mark.parametrize("combinator", [parallel, race, settle], ids=lambda c: c.__name__)
    def test_of_mistakes(self, combinator):
        """Mistakes are no outcomes here either."""
        with pytest.raises(UnhandledEffect):
            ambient.run_pure(combinator(Double(1), Double(2)))

    @pytest.mark.parametrize(
        "combinator", [parallel, settle, lambda *p: quorum(*p, n=2)], ids=["parallel", "settle", "quorum"]
    )
    def test_of_one_plan_in_two_branches(self, combinator):
        """A plan runs once here, too."""
        plan = after(1, "a")
        with pytest.raises(PlanReused):
            ambient.run_pure(combinator(plan, plan))


class TestVirtualTime:
    def test_branches_start_together(self):
        """Each branch starts at the time its siblings start at."""

        def plan():
            yield from Sleep(5)
            return (yield from parallel(*(in_turn([Now(), Sleep(s), Now()]) for s in (3, 1, 2))))

        assert [(5.0, 5.0 + s) for s in (3, 1, 2)] == [
            (first, last) for (first, _, last), _ in ambient.run_pure(plan())
        ]

    @pytest.mark.parametrize(
        ("make", "seconds"),
        [
            (lambda: parallel(after(3, 0), after(1, 0), after(2, 0)), 3.0),
            (lambda: parallel(), 0.0),
            (lambda: settle(after(3, 0), failing(4, KeyError())), 4.0),
            (lambda: race(failing(1, KeyError()), after(2, 0), after(9, 0)), 2.0),
            (lambda: quorum(after(1, 0), after(2, 0), after(9, 0), n=2), 2.0),
            (lambda: n_best(after(4, 1), after(2, 2), n=1, score=abs), 4.0),
            (lambda: n_best(after(1, 1), after(9, 2), n=1, score=abs, timeout=3), 3.0),
            (lambda: parallel(after(1, 1), after(9, 2), timeout=3, partial=True), 3.0),
            (lambda: settle(after(1, 1), after(9, 2), timeout=3), 3.0),
            (lambda: for_each([1, 4, 2, 3, 5], Sleep, limit=2), 9.0),
            (lambda: for_each([1, 4, 2, 3, 5], Sleep, limit=1), 15.0),
            (lambda: for_each([1, 4, 2, 3, 5], Sleep), 5.0),
            (lambda: hedge(lambda: after(1, 0), after=2), 1.0),
            (lambda: attempt(timeout(2, Sleep(9))), 2.0),
            (lambda: attempt(parallel(failing(1, KeyError()), after(9, 0))), 1.0),
            (lambda: parallel(race(after(2, 0), after(3, 0)), parallel(after(1, 0), after(1, 0))), 2.0),
        ],
    )
    def test_after_a_combinator(self, make, seconds):
        """The time after it is when its decision fell; on Trio it is the same."""
        assert seconds == ambient.run_pure(elapsed(make()))[1]
        assert pytest.approx(seconds) == on_trio(elapsed(make()))[1]

    def test_deadlines_fire(self):
        """A sleep past the deadline ends there, with clean-up."""
        log = []

        def plan():
            try:
                yield from Sleep(9)
            finally:
                yield from shielded(Sleep(2))
                log.append((yield from Now()))

        with pytest.raises(PlanTimeout) as caught:
            ambient.run_pure(timeout(1.5, plan()))
        assert (1.5, [3.5]) == (caught.value.seconds, log)

    def test_unshielded_clean_up_is_refused(self):
        """As on Trio, a wait in the clean-up is cancelled again."""
        log = []

        def plan():
            try:
                yield from Sleep(9)
            finally:
                try:
                    yield from Sleep(5)
                finally:
                    log.append((yield from Now()))

        with pytest.raises(PlanTimeout):
            ambient.run_pure(timeout(1, plan()))
        assert [1.0] == log

    def test_nested_deadlines(self):
        """The nearest deadline fires; the plan around it goes on until its own."""

        def plan():
            inner = yield from attempt(timeout(1, Sleep(9)))
            log.append((inner.error.seconds, (yield from Now())))
            yield from Sleep(9)

        log = []
        end, seconds = ambient.run_pure(elapsed(attempt(timeout(3, plan()))))
        assert (3, 3.0, [(1, 1.0)]) == (end.error.seconds, seconds, log)

    def test_outer_deadline_first(self):
        """It is not the inner timeout that is raised."""
        end = ambient.run_pure(attempt(timeout(1, attempt(timeout(3, Sleep(9))))))
        assert 1 == end.error.seconds

    def test_deadlines_name_the_unfinished(self):
        """As on Trio."""
        with pytest.raises(PlanTimeout, match=r"branches \(0, 2\) had not ended after 2 s"):
            ambient.run_pure(parallel(after(9, 0), after(1, 0), after(3, 0), timeout=2))

    def test_partial_answers(self):
        """As on Trio."""
        plan = parallel(after(9, 0), after(1, "b"), timeout=2, partial=True)
        assert (MISSING, "b") == ambient.run_pure(plan)

    def test_sleeping_for_ever(self):
        """A sleep without end needs a deadline."""
        with pytest.raises(NotPure):
            ambient.run_pure(Sleep(float("inf")))
        with pytest.raises(PlanTimeout):
            ambient.run_pure(timeout(1, Sleep(float("inf"))))


class TestDeclaredOrder:
    def test_race_is_won_by_the_first_declared_that_succeeds(self):
        """Branches run one after the other; a race is won by the first that succeeds, however long it takes."""
        assert "slow" == ambient.run_pure(race(failing(1, KeyError()), after(9, "slow"), after(1, "fast")))

    def test_what_comes_after_the_winner_does_not_run(self):
        """A branch that the decision makes needless is not performed."""
        ran = []

        def plan(name):
            ran.append(name)
            yield from Sleep(1)
            return name

        assert ["a", "b"] == ambient.run_pure(quorum(plan("a"), plan("b"), plan("c"), n=2))
        assert ["a", "b"] == ran

    def test_branches_that_time_ended_give_way(self):
        """A race with a deadline is won by the first declared that succeeds in time."""
        assert "b" == ambient.run_pure(race(after(9, "a"), after(1, "b"), timeout=2))
