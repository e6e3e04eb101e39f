"""The run report: what counts as a call, and how much of it happened beside other work."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from time import perf_counter
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from lambdacat_effects import (
    Effect,
    Handler,
    Ok,
    Plan,
    Sleep,
    ambient,
    answer_tools,
    attempt,
    blocking,
    call_tools,
    continue_as_new,
    effect,
    for_each,
    parallel,
    race,
    span,
    timeout,
    tool,
)
from lambdacat_effects.observability import Recorder, Row, RunReport, Tally, report_table
from lambdacat_effects.plan import compile_plan, sequence
from lambdacat_effects.plan import parallel as branches
from lambdacat_effects.runtime.events import Answered, Event, Path, Root, Started


@tool
async def fetch(seconds: float) -> str:
    await trio.sleep(seconds)
    return "page"


@tool
def count(text: str) -> int:
    return len(text)


def report_of(plan: Any, handlers: Handler[Any] = ambient) -> RunReport:
    """The report of a run in virtual time."""
    recorder = Recorder()
    handlers.run_pure(plan, listen=recorder)
    return recorder.report()


def row(report: RunReport, node: str) -> Row:
    (found,) = [r for r in report.rows if r.node == node]
    return found


def test_a_node_is_a_span_a_tool_or_an_effect() -> None:
    """Each has a row of its own, in the order of the plan."""

    def plan() -> Plan[Any, None]:
        yield from span("first", Sleep(1))
        yield from count("abc")

    report = report_of(plan(), call_tools(count))
    assert [r.node for r in report.rows] == ["first", "Sleep", "count"]
    assert row(report, "first") == Row("first", 1, 0, 0, 1.0, 0.0)


def test_wall_time_is_summed_over_the_calls() -> None:
    """A node's wall time counts each call from its begin to its end."""
    report = report_of(parallel(Sleep(2), Sleep(3), Sleep(4)))
    assert row(report, "Sleep") == Row("Sleep", 3, 0, 0, 9.0, 8.0)
    assert report.wall == 4.0
    assert report.overlap == 5.0


def test_work_one_after_the_other_has_no_overlap() -> None:
    """What a single plan does never overlaps with itself."""

    def plan() -> Plan[Sleep, None]:
        yield from span("a", Sleep(1))
        yield from Sleep(2)

    report = report_of(plan())
    assert [r.overlap for r in report.rows] == [0.0, 0.0]
    assert report.overlap == 0.0


def test_a_span_around_branches_does_not_overlap_with_them() -> None:
    """They are its own work: no branch is beside it."""
    report = report_of(span("both", parallel(span("a", Sleep(1)), span("b", Sleep(3)))))
    assert row(report, "both") == Row("both", 1, 0, 0, 3.0, 0.0)
    assert row(report, "a").overlap == row(report, "b").overlap == 1.0


def test_a_tool_that_is_a_plan_does_not_overlap_with_its_own_branches() -> None:
    """Its branches are below it; they overlap with one another."""

    @tool
    def both() -> Plan[Sleep, tuple[None, None]]:
        return (yield from parallel(Sleep(2), Sleep(2)))

    report = report_of(both(), call_tools(both))
    assert row(report, "both").overlap == 0.0
    assert row(report, "Sleep") == Row("Sleep", 2, 0, 0, 4.0, 4.0)
    assert report.overlap == 2.0


def test_failures_and_cancellations_are_counted_apart() -> None:
    """The loser of a race was cancelled; what raised has failed."""

    def fails() -> Plan[Sleep, None]:
        yield from Sleep(1)
        raise ValueError

    def plan() -> Plan[Any, None]:
        yield from attempt(span("step", fails()))
        yield from attempt(timeout(1, span("step", Sleep(5))))

    assert row(report_of(plan()), "step") == Row("step", 2, 1, 1, 2.0, 0.0)


async def test_losers_of_a_race_are_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    """Live as well."""
    recorder = Recorder()
    await ambient.run(race(span("fast", Sleep(1)), span("slow", Sleep(9))), listen=recorder)
    report = recorder.report()
    assert (row(report, "fast").cancelled, row(report, "slow").cancelled) == (0, 1)
    assert row(report, "slow").overlap == pytest.approx(1.0)


def test_a_call_that_an_interposer_repeats_is_one_call() -> None:
    """What meets the tool again inside the call is part of it."""
    failures = iter([ValueError(), ValueError()])

    def answer(text: str) -> int:
        for failure in failures:
            raise failure
        return len(text)

    def three_times(asked: Any) -> Plan[Any, Any]:
        for _ in range(2):
            result = yield from attempt(asked)
            if isinstance(result, Ok):
                return result.value
        return (yield from asked)

    report = report_of(count("abc"), answer_tools({count: answer}).behind(three_times))
    assert report.rows == (Row("count", 1, 0, 0, 0.0, 0.0),)


def test_a_plain_tool_has_one_row_although_it_runs_by_way_of_blocking() -> None:
    """`Blocking` is how it is called, not what the plan asked for."""
    assert [r.node for r in report_of(count("abc"), call_tools(count)).rows] == ["count"]


def test_a_blocking_function_goes_by_its_own_name() -> None:
    """`Blocking` alone would tell nothing."""
    assert [r.node for r in report_of(blocking(sorted, [2, 1])).rows] == ["sorted"]


def test_tasks_of_the_dsl_are_nodes() -> None:
    """Under their own names, with the overlap of their branches."""

    def wait(state: dict[str, int]) -> Plan[Sleep, dict[str, int]]:
        yield from Sleep(state["seconds"])
        return state

    actions = {"a": wait, "b": wait, "c": wait}
    report = report_of(compile_plan(sequence(branches("a", "b"), "c"), actions)({"seconds": 2}))
    assert [(r.node, r.wall, r.overlap) for r in report.rows] == [
        ("a", 2.0, 2.0),
        ("Sleep", 6.0, 4.0),
        ("b", 2.0, 2.0),
        ("c", 2.0, 0.0),
    ]


def test_an_effect_of_your_own_is_a_node() -> None:
    """It goes by the name of its class."""

    @effect
    class Ask(Effect[int]):
        question: str

    assert [r.node for r in report_of(Ask("why?"), Ask.by(lambda ask: 42)).rows] == ["Ask"]


def test_what_has_not_ended_counts_until_now() -> None:
    """A report may be made while the run goes on."""
    recorder = Recorder()
    ambient.run_pure(span("long", Sleep(3)), listen=recorder)
    unfinished = [event for event in recorder.events if isinstance(event, Started)]
    later = Started(("x",), Root("x"), 2.0)
    assert RunReport.of([*unfinished, later]).rows == (
        Row("long", 1, 0, 0, 2.0, 0.0),
        Row("Sleep", 1, 0, 0, 2.0, 0.0),
    )


def test_no_events_make_an_empty_report() -> None:
    assert RunReport.of([]) == RunReport((), 0.0, 0.0)


Interval = tuple[Path, float, float]


def intervals(rng: random.Random, path: Path, start: float, depth: int) -> tuple[list[Interval], float]:
    """A plan's work, at random: pieces of work, and branches, one after the other; and when it is over."""
    found: list[Interval] = []
    now = start
    for n in range(1, rng.randint(1, 4)):
        now += rng.random()
        here = (*path, n)
        if depth and rng.random() < 0.6:
            inner = [intervals(rng, (*here, i), now, depth - 1) for i in range(rng.randint(1, 3))]
            end = max(end for _, end in inner)
            found += [interval for some, _ in inner for interval in some]
            if rng.random() < 0.3:
                found.append((here, now, end))  # a tool that is a plan of branches
        else:
            end = now + rng.random()
            found.append((here, now, end))
        now = end
    return found, now


def concurrent(p: Path, q: Path) -> bool:
    """Whether neither branch is within the other."""
    a, b = p[:-1], q[:-1]
    n = min(len(a), len(b))
    return a[:n] != b[:n]


def covered(pieces: list[tuple[float, float]]) -> float:
    """The length of a union of intervals."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(pieces):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def name_of(path: Path) -> str:
    return "/".join(map(str, path))


@given(st.integers(0, 10**9))
def test_the_sweep_agrees_with_comparing_all_pairs(seed: int) -> None:
    """The definition of overlap, by brute force, on random trees of branches."""
    work, _ = intervals(random.Random(seed), ("run",), 0.0, depth=3)
    events: list[Event] = []
    for path, start, end in work:
        call = tool(name=name_of(path))(abs)(0)
        events += [Started(path, call, start), Answered(path, call, end, None)]
    expected = {
        name_of(p): covered(
            [(max(a, c), min(b, d)) for q, c, d in work if concurrent(p, q) and c < b and a < d]
        )
        for p, a, b in work
    }
    assert {r.node: r.overlap for r in RunReport.of(events).rows} == pytest.approx(expected, abs=1e-9)


def test_fifty_thousand_events_are_a_matter_of_moments() -> None:
    """The sweep costs the same per event, however many branches are running."""

    def branch(n: int) -> Plan[Sleep, None]:
        for _ in range(12):
            yield from Sleep(1 + n / 1000)

    recorder = Recorder()
    ambient.run_pure(for_each(range(2000), branch), listen=recorder)
    assert len(recorder.events) >= 50_000
    began = perf_counter()
    report = recorder.report()
    assert perf_counter() - began < 4  # 0.3 s on a quiet machine; comparing all pairs takes minutes
    assert row(report, "Sleep").calls == 24_000


def test_the_table_has_a_line_for_each_node() -> None:
    """Rich draws it; noughts are left out, so that what matters shows."""
    from rich.console import Console

    console = Console(width=100, record=True, file=io.StringIO())
    report = RunReport((Row("search", 2, 1, 0, 0.25, 0.125), Row("write", 1, 0, 0, 65.0, 0.0)), 65.1, 0.125)
    console.print(report_table(report))
    lines = [line.split() for line in console.export_text().splitlines()]
    assert ["search", "2", "1", "250.0", "ms", "125.0", "ms"] in lines
    assert ["write", "1", "1", "min", "05", "s"] in lines
    assert "1 min 05 s in all, 125.0 ms of work beside other work".split() in lines


def test_importing_observability_imports_no_rich() -> None:
    """A program that records events does not pay for drawing tables."""
    code = "import sys, lambdacat_effects.observability; print('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


async def test_a_tally_reports_the_same_and_keeps_nothing() -> None:
    """What a command line uses: memory that does not grow with the run."""
    recorder, tally = Recorder(), Tally()

    def both(event: Event) -> None:
        recorder(event)
        tally(event)

    def branch(_n: int) -> Plan[Any, None]:
        yield from span("work", Sleep(0.001))

    await ambient.run(for_each(range(200), branch, limit=20), listen=both)
    assert tally.report() == recorder.report()
    assert tally._sweep.nesting.items() == []
    assert len(tally._sweep.totals) == 2
    assert len(tally._sweep.activity._branches) <= 2  # the root, and the run's own


def again(n: int) -> Plan[Sleep, int]:
    yield from Sleep(1)
    return (yield from continue_as_new(again, n - 1)) if n else n


def test_continuing_as_new_is_no_call() -> None:
    """And nothing that fails."""
    recorder = Recorder()
    assert ambient.run_pure(again(2), listen=recorder) == 0
    assert [(row.node, row.calls, row.failed) for row in recorder.report().rows] == [("Sleep", 3, 0)]
