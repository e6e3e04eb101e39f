"""Assertions on what a run performed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from lambdacat_effects import (
    CallTool,
    Memory,
    Now,
    Plan,
    Recall,
    Remember,
    Sleep,
    Tools,
    answer_tools,
    attempt,
    in_memory,
    parallel,
    race,
    recall,
    remember,
    span,
    timeout,
    tool,
)
from lambdacat_effects.effects import Forget
from lambdacat_effects.effects.concurrency import Concurrent
from lambdacat_effects.effects.control import Span, Timeout
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.observability import Recorder
from lambdacat_effects.plan import Actions, compile_plan, sequence
from lambdacat_effects.testing.performing import Performed, performed


@tool
def search_web(query: str) -> list[str]: ...


@tool
def search_papers(query: str) -> list[str]: ...


def research(question: str) -> Plan[Tools | Memory, str]:
    known = yield from recall("answers", question, as_type=str)
    if known is not None:
        return known
    web, papers = yield from parallel(search_web(question), search_papers(question), timeout=2.0)
    answer = yield from span("synthesise", synthesise(question, web + papers))
    yield from remember("answers", question, answer)
    return answer


def synthesise(question: str, found: list[str]) -> Plan[Tools, str]:
    more = yield from search_web(f"{question} again")
    return " ".join([*found, *more])


def retried(asked: Any) -> Generator[Any, Any, Any]:
    try:
        return (yield from asked)
    except ConnectionError:
        yield from Sleep(1)
        return (yield from asked)


def of(plan: Any, tools: Any = None, name: str = "run") -> Performed:
    recorder = Recorder()
    handlers = answer_tools({search_web: ["w"], search_papers: ["p"], **(tools or {})}).behind(retried)
    (handlers | in_memory()).run_pure(plan, listen=recorder, name=name)
    return performed(recorder)


@pytest.fixture
def did() -> Performed:
    return of(research("q"))


ALL = [
    recall("answers", "q", as_type=str),
    search_web("q"),
    search_papers("q"),
    search_web("q again"),
    remember("answers", "q", "w p w"),
]


# As a sequence.


def test_what_was_performed_is_a_sequence_of_effects(did: Performed) -> None:
    """Of the plan's own, in its order."""
    assert did == ALL
    assert ALL == did
    assert ALL == list(did)
    assert (5, ALL[0], ALL[-1], ALL[1:3]) == (len(did), did[0], did[-1], did[1:3])
    assert repr(ALL) == repr(did)
    assert search_web("q") in did


def test_a_list_to_compare_with_may_hold_any_matchers(did: Performed) -> None:
    """Classes, tools and functions beside effects."""
    assert did == [Recall, search_web, search_papers("q"), lambda e: "again" in repr(e), Remember]


@pytest.mark.parametrize(
    "other",
    [
        ALL[:-1],
        [*ALL, Now()],
        [ALL[1], ALL[0], *ALL[2:]],
        [Recall, search_papers, search_web, search_web, Remember],
        [Recall, search_web, search_papers("other"), search_web, Remember],
        [],
    ],
)
def test_a_list_that_differs_is_not_equal(did: Performed, other: list[Any]) -> None:
    """In length, in order, or in an effect."""
    assert did != other
    with pytest.raises(AssertionError):
        did.exactly(*other)


def test_exactly_tells_where_the_difference_is(did: Performed) -> None:
    """By what was performed there, and by its fields."""
    with pytest.raises(AssertionError) as caught:
        did.exactly(*ALL[:-1], remember("answers", "q", "w"))
    assert str(caught.value) == (
        "Remember(namespace='answers', key='q', value='w') was expected as number 5\n"
        "performed:\n"
        "    run/1  Recall(namespace='answers', key='q', as_type=<class 'str'>)  answered\n"
        "    run/2/0/1  search_web('q')  answered\n"
        "    run/2/1/1  search_papers('q')  answered\n"
        "    run/4  search_web('q again')  answered, under synthesise\n"
        "  > run/5  Remember(namespace='answers', key='q', value='w p w')  answered\n"
        "        value: expected 'w', found 'w p w'"
    )
    assert did is did.exactly(*ALL)


def test_two_runs_can_be_compared(did: Performed) -> None:
    """By what they performed."""
    assert did == of(research("q"), name="another")
    assert did != of(research("x"))


async def test_the_order_of_branches_does_not_depend_on_timing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It is that of the plan, one branch after the other; `in_order` tells of the run."""

    def branch(first: float) -> Plan[Any, None]:
        yield from Sleep(first)
        yield from Sleep(first / 2)

    recorder = Recorder()
    await in_memory().run(parallel(branch(8), branch(1)), listen=recorder)
    did = performed(recorder)
    assert did == [Sleep(8), Sleep(4), Sleep(1), Sleep(0.5)]
    did.in_order(Sleep(1), Sleep(0.5), Sleep(4))
    with pytest.raises(AssertionError):
        did.in_order(Sleep(4), Sleep(0.5))


def test_several_runs_in_one_recorder_follow_one_another() -> None:
    """Whatever they are called."""
    recorder = Recorder()
    for seconds in (1, 2):
        in_memory().run_pure(parallel(Sleep(seconds), Now()), listen=recorder)
    assert performed(recorder) == [Sleep(1), Now(), Sleep(2), Now()]


# Assertions. Each with what it accepts, and with mutants that it must refuse.


def check(did: Performed) -> dict[str, tuple[list[Callable[[], Any]], list[Callable[[], Any]]]]:
    return {
        "once": (
            [lambda: did.once(Recall), lambda: did.once(search_papers), lambda: did.once(search_web("q"))],
            [lambda: did.once(search_web), lambda: did.once(Forget), lambda: did.once(remember("a", "b", 1))],
        ),
        "times": (
            [lambda: did.times(search_web, 2), lambda: did.times(CallTool, 3), lambda: did.times(Now, 0)],
            [
                lambda: did.times(search_web, 1),
                lambda: did.times(search_web, 3),
                lambda: did.times(Recall, 0),
            ],
        ),
        "never": (
            [lambda: did.never(Forget), lambda: did.never(search_web("x")), lambda: did.never(Span)],
            [
                lambda: did.never(Recall),
                lambda: did.never(search_web("q")),
                lambda: did.never(lambda e: True),
            ],
        ),
        "at_least": (
            [lambda: did.at_least(search_web, 2), lambda: did.at_least(search_web, 1)],
            [lambda: did.at_least(search_web, 3), lambda: did.at_least(Forget, 1)],
        ),
        "at_most": (
            [lambda: did.at_most(search_web, 2), lambda: did.at_most(search_web, 3)],
            [lambda: did.at_most(search_web, 1), lambda: did.at_most(Recall, 0)],
        ),
        "only": (
            [lambda: did.only(CallTool, Recall, Remember), lambda: did.under("synthesise").only(search_web)],
            [
                lambda: did.only(CallTool, Recall),
                lambda: did.only(CallTool, Recall, Remember, Forget),
                lambda: did.only(),
                lambda: did.under("synthesise").only(search_papers),
            ],
        ),
        "in_order": (
            [
                lambda: did.in_order(Recall, search_web, Remember),
                lambda: did.in_order(search_web("q"), search_web("q again")),
                lambda: did.in_order(search_web, search_papers, search_web, Remember, finished=True),
            ],
            [
                lambda: did.in_order(Remember, Recall),
                lambda: did.in_order(Recall, Recall),
                lambda: did.in_order(search_web, search_web, search_web),
                lambda: did.in_order(search_web("q again"), search_papers),
            ],
        ),
        "under": (
            [lambda: did.under("synthesise")],
            [lambda: did.under("synthesize")],
        ),
    }


@pytest.mark.parametrize(
    "name", ["once", "times", "never", "at_least", "at_most", "only", "in_order", "under"]
)
def test_an_assertion_accepts_what_holds_and_refuses_what_does_not(did: Performed, name: str) -> None:
    """And answers what the next assertion can be made on."""
    good, bad = check(did)[name]
    for holds in good:
        assert isinstance(holds(), Performed)
    for does_not in bad:
        with pytest.raises(AssertionError):
            does_not()


def test_a_failed_assertion_marks_the_nearest_effect_and_its_fields(did: Performed) -> None:
    """Among all that was performed."""
    with pytest.raises(AssertionError) as caught:
        did.once(search_web("q twice"))
    lines = str(caught.value).splitlines()
    assert "search_web('q twice') was expected once, and performed never" == lines[0]
    assert "  > run/2/0/1  search_web('q')  answered" in lines
    assert "        argument 1: expected 'q twice', found 'q'" in lines
    assert 1 == sum(line.startswith("  >") for line in lines)


def test_a_failed_assertion_on_nothing_says_so() -> None:
    """In place of an empty list."""
    with pytest.raises(AssertionError, match=r"nothing was performed$"):
        of(parallel(race(span("a", timeout(1, attempt(broken())))))).once(Now)


def broken() -> Plan[Any, Any]:
    raise KeyError("a")
    yield


def test_a_span_that_was_not_performed_is_told_with_those_that_were(did: Performed) -> None:
    """So that a misspelt name makes no assertion true."""
    with pytest.raises(
        AssertionError, match="no span 'synthesize' was performed; the run's spans: 'synthesise'"
    ):
        did.under("synthesize")


def test_a_long_run_is_listed_around_the_mark() -> None:
    """In place of thousands of lines."""

    def long() -> Plan[Any, None]:
        for seconds in range(1000):
            yield from Sleep(seconds)

    with pytest.raises(AssertionError) as caught:
        of(long()).exactly(*[Sleep] * 500, Sleep(1))
    lines = str(caught.value).splitlines()
    assert "    ... 480 before" in lines
    assert "    ... 480 after" in lines
    assert "  > run/501  Sleep(seconds=500)  answered" in lines


# Spans, depth and ends.


def test_effects_are_found_under_spans_at_any_depth() -> None:
    """Of branches, of nested spans, of plans called there."""

    def inner() -> Plan[Any, None]:
        yield from span("inner", parallel(Sleep(1), Sleep(2)))
        yield from Sleep(3)

    def outer() -> Plan[Any, None]:
        yield from Sleep(0)
        yield from span("outer", inner())
        yield from Sleep(4)

    did = of(outer())
    assert did.under("inner") == [Sleep(1), Sleep(2)]
    assert did.under("outer") == [Sleep(1), Sleep(2), Sleep(3)]
    assert did.under("outer").under("inner") == [Sleep(1), Sleep(2)]
    assert ("outer", "inner") == did.under("inner").deeds[0].spans


def test_a_task_of_a_dsl_plan_is_a_span() -> None:
    """So that a step can be asked for its effects."""

    def save(state: int) -> Plan[Memory, int]:
        yield from remember("a", "b", state)
        return state + 1

    program = compile_plan(sequence("one", "two"), Actions.of({"one": save, "two": save}))
    did = of(program(1))
    assert did == [remember("a", "b", 1), remember("a", "b", 2)]
    assert did.under("two") == [remember("a", "b", 2)]


def test_what_interposers_and_handlers_perform_is_left_out_unless_asked_for() -> None:
    """A call that was retried is one call of the plan."""
    failing = iter([ConnectionError, ["w"]])

    def flaky(query: str) -> list[str]:
        answer = next(failing)
        if answer is ConnectionError:
            raise ConnectionError
        return answer  # type: ignore[return-value]

    did = of(search_web("q"), {search_web: flaky})
    assert did == [search_web("q")]
    assert did.including_handlers == [search_web("q"), search_web("q"), Sleep(1), search_web("q")]
    assert 1 == len(did.including_handlers.failed)
    assert did.failed == []


def test_what_the_runtime_interprets_is_left_out_unless_asked_for(did: Performed) -> None:
    """Branches and spans are found by class then."""
    did.never(Concurrent).never(Span)
    did.including_control.once(Concurrent).once(Span).never(Timeout)
    assert 7 == len(did.including_control)


def test_effects_are_told_apart_by_how_they_ended() -> None:
    """Answered, failed, cancelled."""

    def plan() -> Plan[Any, Any]:
        yield from attempt(search_papers("q"))
        yield from attempt(timeout(1, Sleep(5)))
        yield from Sleep(2)

    did = of(plan(), {search_papers: KeyError("a")})
    assert did.answered == [Sleep(2)]
    assert did.failed == [search_papers("q")]
    assert did.cancelled == [Sleep(5)]
    assert did.unfinished == []
    assert ["failed", "cancelled", "answered"] == [deed.outcome for deed in did.deeds]
    assert "KeyError('a')" == repr(did.deeds[0].error)
    did.failed.once(search_papers).never(Sleep)
    with pytest.raises(AssertionError, match=r"performed failed:\n.*failed with KeyError"):
        did.failed.never(search_papers)


def test_what_had_not_ended_is_unfinished() -> None:
    """At the last event there is."""
    recorder = Recorder()
    in_memory().run_pure(Sleep(1), listen=recorder)
    assert performed(recorder.events[:2]).unfinished == [Sleep(1)]


def test_answers_are_kept(did: Performed) -> None:
    """For assertions on them."""
    assert [["w"], ["w"]] == [deed.answer for deed in did.of(search_web).deeds]


def test_in_order_finished_is_refused_for_what_overlaps() -> None:
    """Two calls at the same time are in no order that the next run must keep."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    recorder = Recorder()

    async def run() -> None:
        await in_memory().run(parallel(Sleep(2), later()), listen=recorder)

    def later() -> Plan[Any, None]:
        yield from Sleep(1)
        yield from Sleep(3)

    trio.run(run, clock=clock)
    did = performed(recorder)
    did.in_order(Sleep(2), Sleep(3))
    did.in_order(Sleep(1), Sleep(3), finished=True)
    with pytest.raises(AssertionError):
        did.in_order(Sleep(2), Sleep(3), finished=True)


# What it takes.


def test_it_takes_a_recorder_events_and_what_has_events() -> None:
    """The report of a simulation, say."""
    recorder = Recorder()
    in_memory().run_pure(Sleep(1), listen=recorder)
    report = SimpleNamespace(events=tuple(recorder.events))
    for source in (recorder, recorder.events, iter(recorder.events), report):
        assert performed(source) == [Sleep(1)]


@pytest.mark.parametrize("source", [3, None, "events", [1], [Sleep(1)], Sleep(1), object()])
def test_it_takes_nothing_else(source: object) -> None:
    """And says what to give."""
    with pytest.raises(InvalidArgument):
        performed(source)


@pytest.mark.parametrize("matcher", [3, None, int, "search_web", [Recall]])
def test_what_is_no_matcher_is_refused(did: Performed, matcher: Any) -> None:
    """A misspelt one must not make `never` true."""
    for assertion in (did.once, did.never, did.exactly, did.only, did.in_order, did.of, did.count):
        with pytest.raises(InvalidArgument):
            assertion(matcher)
    with pytest.raises(InvalidArgument):
        did.__eq__([matcher] * len(did))


@pytest.mark.parametrize("n", [-1, True, 1.5, None])
def test_what_is_no_number_of_times_is_refused(did: Performed, n: Any) -> None:
    """Before anything is counted."""
    for assertion in (did.times, did.at_least, did.at_most):
        with pytest.raises(InvalidArgument):
            assertion(Recall, n)
