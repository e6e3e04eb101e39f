"""A listener hears of everything once, in order, and children within their parents."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from lambdacat_effects import (
    Answered,
    Branch,
    Cancelled,
    Effect,
    Failed,
    Log,
    Now,
    Root,
    Sleep,
    Started,
    ambient,
    attempt,
    call,
    effect,
    for_each,
    hedge,
    n_best,
    parallel,
    quorum,
    race,
    settle,
    shielded,
    span,
    timeout,
)


@effect
class Nap(Effect[float]):
    """Sleep, by a handler that is a plan with branches of its own."""

    seconds: float


@effect
class Nothing(Effect[None]):
    """An effect that a plain handler answers."""


def nap(effect):
    """Answer a nap."""
    yield from race(Sleep(effect.seconds), Sleep(effect.seconds + 1))
    return effect.seconds


def impatient(effect):
    """An interposer that performs its effect in a timeout."""
    return (yield from timeout(3, effect))


handlers = Nap.by(nap).behind(impatient) | Nothing.by(lambda _: None) | Now.by(lambda _: trio.current_time())


def failing():
    """A plan that fails at once."""
    yield from Nothing()
    raise ValueError("planned")


def delayed(seconds, answer):
    """A plan that answers after some seconds."""
    yield from Sleep(seconds)
    return answer


def in_turn(*makers):
    """A plan that performs others one after the other."""
    for make in makers:
        yield from make()


def cleaning(make):
    """A plan that cleans up with effects."""
    try:
        yield from make()
    finally:
        yield from shielded(Sleep(1))
        yield from Nothing()


def makers(children):
    """Functions that make a plan out of functions that make its parts."""
    some = st.lists(children, min_size=1, max_size=4)
    seconds = st.integers(0, 5)
    return st.one_of(
        some.map(lambda ms: lambda: in_turn(*ms)),
        st.builds(lambda m: lambda: cleaning(m), children),
        st.builds(lambda m: lambda: attempt(m()), children),
        st.builds(lambda m: lambda: call(m()), children),
        st.builds(lambda m: lambda: span("part", m()), children),
        st.builds(lambda m: lambda: handlers.handle(m()), children),
        st.builds(lambda m: lambda: shielded(m()), children),
        st.builds(lambda m, s: lambda: timeout(s, m()), children, seconds),
        st.builds(lambda ms: lambda: parallel(*(m() for m in ms)), some),
        st.builds(lambda ms, s: lambda: parallel(*(m() for m in ms), timeout=s, partial=True), some, seconds),
        st.builds(lambda ms: lambda: race(*(m() for m in ms)), some),
        st.builds(lambda ms: lambda: settle(*(m() for m in ms)), some),
        st.builds(
            lambda ms, n: lambda: quorum(*(m() for m in ms), n=min(n, len(ms))), some, st.integers(1, 3)
        ),
        st.builds(
            lambda ms, s: lambda: n_best(*(m() for m in ms), n=1, score=lambda _: 0, timeout=s), some, seconds
        ),
        st.builds(lambda ms, n: lambda: for_each(ms, lambda m: m(), limit=n), some, st.integers(1, 3)),
        st.builds(lambda m, s: lambda: hedge(m, after=s, copies=3), children, seconds),
    )


leaves = st.one_of(
    st.integers(0, 4).map(lambda s: lambda: iter(Sleep(s))),
    st.integers(0, 4).map(lambda s: lambda: iter(Nap(s))),
    st.just(lambda: iter(Nothing())),
    st.just(lambda: iter(Now())),
    st.just(failing),
)
plans = st.recursive(leaves, makers, max_leaves=10)


def heard(plan, cancel_after=None):
    """The events of a run, which may fail or be cancelled."""
    events = []

    async def running():
        with trio.move_on_after(99 if cancel_after is None else cancel_after):
            try:
                await handlers.run(plan, name="run", listen=events.append)
            except* Exception:
                pass

    trio.run(running, clock=MockClock(autojump_threshold=0))
    return events


def check(events):
    """What is true of every run's events."""
    begun, ended = {}, {}
    for position, event in enumerate(events):
        book = begun if type(event) is Started else ended
        assert event.path not in book, f"{event.path} twice"
        book[event.path] = (position, event)
    assert begun.keys() == ended.keys()
    for path, (position, event) in begun.items():
        end_position, end = ended[path]
        assert position < end_position
        assert event.at <= end.at
        assert event.what is end.what
        above = next((path[:k] for k in range(len(path) - 1, 0, -1) if path[:k] in begun), None)
        assert (above is None) == (path == ("run",))
        if above is not None:
            assert begun[above][0] < position
            assert end_position < ended[above][0]
    times = [event.at for event in events]
    assert sorted(times) == times


class TestEvents:
    @settings(max_examples=150, deadline=None)
    @given(plans)
    def test_of_any_plan(self, make):
        """Each beginning has one end of the same thing; paths are unique; children live within their parents."""
        check(heard(make()))

    @settings(max_examples=150, deadline=None)
    @given(plans, st.integers(0, 6))
    def test_of_any_cancelled_plan(self, make, seconds):
        """The same is true when the run is cancelled from outside."""
        check(heard(make(), cancel_after=seconds))

    def test_listening_changes_nothing(self):
        """Answer and time are the same with and without a listener."""

        def plan():
            first = yield from parallel(race(Nap(4), delayed(1, "a")), timeout(9, Nap(2)), attempt(failing()))
            rest = yield from for_each([2, 1, 2.5], Nap, limit=2)
            return first[:2], rest, (yield from quorum(Nap(1), Nap(2.5), Nap(2), n=2))

        ends = []
        for listen in (None, lambda event: None):
            clock = MockClock(autojump_threshold=0)
            ends.append(
                (trio.run(partial(handlers.run, listen=listen), plan(), clock=clock), clock.current_time())
            )
        assert [((("a", 2), [2, 1, 2.5], [1, 2]), 7.5)] * 2 == ends

    @pytest.mark.parametrize(
        "broken",
        [
            lambda events: events[:-1],
            lambda events: [*events, events[-1]],
            lambda events: [events[1], events[0], *events[2:]],
            lambda events: [*events[:-2], events[-1], events[-2]],
        ],
        ids=["no end", "two ends", "child first", "parent first"],
    )
    def test_check_rejects(self, broken):
        """The check above would notice a lost, a doubled and an exchanged event."""
        events = heard(parallel(Sleep(1), Sleep(2)))
        check(events)
        with pytest.raises(AssertionError):
            check(broken(events))

    def test_ends_say_how(self):
        """An end is an answer, a failure or a cancellation; a branch has its index and its plan's name."""
        events = heard(race(failing(), Sleep(2), span("slow", Sleep(9))))
        ends = {e.path: e for e in events if type(e) is not Started}
        assert Failed is type(ends["run", 1, 0])
        assert "planned" == str(ends["run", 1, 0].error)
        assert Branch(0, "failing") == ends["run", 1, 0].what
        assert (Answered, 2.0) == (type(ends["run", 1, 1]), ends["run", 1, 1].at)
        assert (Cancelled, 2.0) == (type(ends["run", 1, 2]), ends["run", 1, 2].at)
        assert {Cancelled} == {type(e) for path, e in ends.items() if path[:3] == ("run", 1, 2)}
        assert (Root("run"), None) == (ends["run",].what, ends["run",].answer)

    def test_branch_that_never_began_is_not_told(self):
        """Items that a failure cancelled before their turn have no events."""
        events = heard(for_each(range(5), lambda i: failing() if i == 0 else Sleep(9), limit=2))
        assert {0, 1} >= {e.path[2] for e in events if len(e.path) > 2}

    def test_paths_do_not_depend_on_timing(self):
        """The same effects have the same paths when everything takes another time."""

        def plan(*seconds):
            yield from parallel(*(in_turn(lambda s=s: Sleep(s), lambda: Log("x")) for s in seconds))

        def places(events):
            return {(e.path, type(e.what)) for e in events}

        assert places(heard(plan(1, 2, 3))) == places(heard(plan(3, 1, 2)))

    def test_performing_a_plan_twice_is_told_in_full(self):
        """A span whose plan cannot be performed has an end, too."""
        plan = in_turn(lambda: iter(Now()))
        events = heard(attempt_misuse(parallel(span("first", plan), in_turn(lambda: span("again", plan)))))
        check(events)

    def test_branches_and_runs_have_names(self):
        """A run or branch that is a combinator is called by it, not by how effects are implemented."""
        events = []

        async def running():
            await ambient.run(race(parallel(Now())), listen=events.append)

        trio.run(running, clock=MockClock(autojump_threshold=0))
        names = {e.what.name for e in events if isinstance(e.what, (Root, Branch))}
        assert "__iter__" not in names


def attempt_misuse(plan):
    """A plan that goes on after a mistake, to see what was told of it."""
    try:
        yield from plan
    except RuntimeError:
        yield from Now()
