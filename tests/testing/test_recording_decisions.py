"""Recordings of what is decided by time: who won, who was cancelled, which deadline passed."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from lambdacat_effects import (
    MISSING,
    Effect,
    Now,
    Plan,
    Random,
    Sleep,
    ambient,
    attempt,
    awaiting,
    call_tools,
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
    tool,
)
from lambdacat_effects.errors import NotPure, PlanTimeout
from lambdacat_effects.testing.recording import InterruptedRecording, RecordingMismatch, record, replay
from lambdacat_effects.testing.simulation import simulate


@effect
class Ask(Effect[str]):
    key: str


@tool
async def work(name: str, seconds: float) -> str:
    await trio.sleep(seconds)
    if name.startswith("bad"):
        raise ValueError(name)
    return name


def leg(name: str, *seconds: float) -> Plan[Any, str]:
    for each in seconds:
        name = (yield from work(name, each)) + "'"
    return name


HANDLERS = call_tools(work)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "recording.json"


def ending(run: Any, *args: Any) -> Any:
    try:
        return run(*args)
    except Exception as error:
        return repr(error)


def virtually(run: Any, plan: Any) -> Any:
    """How it ended, and how long that took."""

    async def running() -> Any:
        began = trio.current_time()
        try:
            answer = await run(plan)
        except Exception as error:
            answer = repr(error)
        return answer, trio.current_time() - began

    return trio.run(running, clock=MockClock(autojump_threshold=0))


def check_replays(make: Callable[[], Any], file: Path) -> Any:
    """Recorded on Trio, a plan replays there in no time, without a loop, and in a simulation; all of it is used."""
    live, _ = virtually(record(HANDLERS, file).run, make())
    assert live == ending(replay(file, strict=True).run_pure, make())
    assert (live, 0.0) == virtually(replay(file, strict=True).run, make())
    simulated = simulate(lambda: (make(), replay(file, strict=True)))
    assert live == (repr(simulated.error) if simulated.error else simulated.value)
    return live


PLANS: dict[str, tuple[Callable[[], Any], Any]] = {
    "a race won by the branch that was declared last": (
        lambda: race(leg("a", 3, 3), leg("b", 4), leg("c", 1, 1)),
        "c''",
    ),
    "a race in which branches failed before one won": (
        lambda: race(leg("bad", 1), leg("b", 9), leg("c", 2)),
        "c'",
    ),
    "a tie": (lambda: race(leg("a", 9), leg("b", 2), leg("c", 2)), "b'"),
    "a race that nobody won": (lambda: race(leg("bad1", 2), leg("bad2", 1)), None),
    "a race that was too slow": (lambda: race(leg("a", 2), leg("b", 3), timeout=1), None),
    "a deadline while a tool was in flight": (lambda: timeout(2.5, leg("a", 1, 1, 1)), None),
    "a deadline that did not pass": (lambda: timeout(2.5, leg("a", 1, 1)), "a''"),
    "a deadline that passed between effects": (lambda: timeout(1, busy()), None),
    "a loser that was cancelled between two effects": (lambda: race(spinning(Random), soon()), "soon"),
    "a loser that was cancelled between two deadlines": (lambda: race(spinning(limited), soon()), "soon"),
    "the outer of two deadlines": (lambda: timeout(1.5, attempt(timeout(3, leg("a", 1, 1)))), None),
    "the inner of two deadlines": (lambda: late_but_kept(), ("late", "x'")),
    "two races, one in the other": (lambda: race(race(leg("a", 3), leg("b", 2)), leg("c", 2.5)), "b'"),
    "a race within a deadline that passed": (lambda: timeout(1, race(leg("a", 3), leg("b", 2))), None),
    "a failed sibling": (lambda: parallel(leg("a", 3), leg("bad", 1), leg("c", 0.5)), None),
    "what had finished by the deadline": (
        lambda: parallel(leg("a", 3), leg("b", 1), timeout=2, partial=True),
        (MISSING, "b'"),
    ),
    "the best of what had finished": (
        lambda: n_best(leg("a", 1), leg("bb", 3), leg("ccc", 2), n=2, score=len, timeout=2.5),
        ["ccc'", "a'"],
    ),
    "the best of nothing": (lambda: n_best(leg("a", 3), n=1, score=len, timeout=1), []),
    "a quorum": (lambda: quorum(leg("a", 3), leg("b", 2), leg("c", 1), n=2), ["b'", "c'"]),
    "a quorum with a tie at its end": (
        lambda: quorum(leg("a", 2), leg("b", 2), leg("c", 1), n=2),
        ["a'", "c'"],
    ),
    "a quorum out of reach": (lambda: quorum(leg("bad1", 1), leg("bad2", 2), leg("c", 9), n=2), None),
    "a hedge": (lambda: hedge(iter([leg("a", 5), leg("b", 1)]).__next__, after=1), "b'"),
    "a limit on how many run": (
        lambda: for_each(range(5), lambda i: leg(f"{'bad' if i == 2 else ''}{i}", 1), limit=2),
        None,
    ),
    "how each ended": (lambda: shown(settle(leg("a", 1), leg("bad", 2), leg("c", 9), timeout=3)), None),
    "clean-up of the losers": (lambda: race(cleaning("a"), leg("b", 1)), "b'"),
    "a loser that would not lose": (
        lambda: parallel(race(stubborn(), leg("b", 1)), leg("c", 2)),
        ("b'", "c'"),
    ),
}


def busy() -> Plan[Any, None]:
    while True:
        yield from Sleep(0.25)
        for _ in range(20):
            yield from Random()


def spinning(make: Callable[[], Any]) -> Plan[Any, str]:
    """Passes a checkpoint now and then, where it is cancelled without having asked anything."""
    while True:
        yield from make()


def limited() -> Plan[Any, float]:
    return (yield from timeout(9, Random()))


def soon() -> Plan[Any, str]:
    yield from awaiting(trio.lowlevel.checkpoint)
    return "soon"


def late_but_kept() -> Plan[Any, Any]:
    try:
        yield from timeout(1, leg("a", 2))
    except PlanTimeout:
        return "late", (yield from leg("x", 1))


def shown(plan: Any) -> Plan[Any, str]:
    return repr((yield from plan))


def cleaning(name: str) -> Plan[Any, str]:
    try:
        return (yield from leg(name, 2))
    finally:
        yield from shielded(leg("cleaned", 0.5))


def stubborn() -> Plan[Any, str]:
    try:
        return (yield from leg("a", 2))
    except BaseException:
        yield from shielded(leg("late", 0.5))
        return "late"


@pytest.mark.parametrize("name", PLANS)
def test_it_ends_as_it_ended(name: str, file: Path) -> None:
    """Whatever the timing now."""
    make, expected = PLANS[name]
    live = check_replays(make, file)
    assert expected is None or expected == live


@pytest.mark.parametrize("change", ["won", "cancelled"])
def test_another_decision_is_another_ending(change: str, file: Path) -> None:
    """It is the recording that decides; a check that accepted any would say nothing."""

    def plan() -> Any:
        return (
            quorum(leg("a", 2), leg("b", 2), leg("c", 1), n=1) if change == "won" else timeout(9, leg("a", 1))
        )

    live, _ = virtually(record(HANDLERS, file).run, plan())
    recording = json.loads(file.read_text())
    for entry in recording["runs"][0]["effects"]:
        if "branches" in entry:
            entry["branches"] = ["cancelled", "cancelled", "cancelled"] if change == "won" else ["cancelled"]
    file.write_text(json.dumps(recording))
    assert live != ending(replay(file).run_pure, plan())


def test_what_a_branch_does_is_performed(file: Path) -> None:
    """Also that of the losers, up to where they were cancelled: a replay tests the plan's own code."""
    did: list[str] = []

    def noting(name: str, *seconds: float) -> Plan[Any, str]:
        try:
            for each in seconds:
                yield from work(name, each)
                did.append(name)
            return name
        finally:
            did.append(f"{name} ends")

    def plan() -> Any:
        return race(noting("a", 1, 3), noting("b", 2))

    virtually(record(HANDLERS, file).run, plan())
    assert did == ["a", "b", "b ends", "a ends"]
    did.clear()
    replay(file).run_pure(plan())
    assert did == ["a", "a ends", "b", "b ends"]


def test_a_cancelled_plan_sees_its_cancellation(file: Path) -> None:
    """On Trio it is Trio's, so that what plans do with it works."""
    seen: list[str] = []

    def plan() -> Plan[Any, None]:
        try:
            yield from work("a", 5)
        except trio.Cancelled:
            seen.append("cancelled")
            raise

    def timed() -> Any:
        return attempt(timeout(1, plan()))

    virtually(record(HANDLERS, file).run, timed())
    virtually(replay(file).run, timed())
    assert seen == ["cancelled", "cancelled"]


def test_listeners_are_told_of_branches_and_cancellation(file: Path) -> None:
    """A replay can be reported like any run."""

    def told(handlers: Any) -> set[Any]:
        events: list[Any] = []

        async def running() -> None:
            await handlers.run(race(leg("a", 3), leg("b", 1)), listen=events.append, name="race")

        trio.run(running, clock=MockClock(autojump_threshold=0))
        return {(type(event).__name__, event.path) for event in events}

    assert told(record(HANDLERS, file)) == told(replay(file))


def test_a_change_of_the_winner_is_a_mismatch(file: Path) -> None:
    """So is one of the combinator itself."""

    def plan(last: str, seconds: float = 1, limit: float | None = None) -> Any:
        return race(leg("a", 3), leg(last, seconds), timeout=limit)

    trio.run(
        lambda: record(HANDLERS, file).run(plan("b"), name="race"), clock=MockClock(autojump_threshold=0)
    )
    for make, told in [
        (lambda: plan("c"), "name: 'b' -> 'c'"),
        (lambda: plan("b", 2), "seconds: 1 -> 2"),
        (lambda: plan("b", 1, 5), "timeout: nothing -> 5"),
        (lambda: quorum(leg("a", 3), leg("b", 1), n=1), "combinator: 'race' -> 'quorum'"),
        (lambda: race(leg("a", 3), leg("b", 1), leg("c", 1)), "branches: 2 -> 3"),
    ]:
        with pytest.raises(RecordingMismatch, match=told):
            replay(file).run_pure(make(), name="race")


def test_a_scope_of_trio_in_a_plan_passes_again(file: Path) -> None:
    """A replay on Trio waits for it, in the time of its clock."""

    def plan() -> Plan[Any, Any]:
        with trio.move_on_after(2):
            yield from work("a", 5)
        return (yield from leg("b", 1))

    def both() -> Any:
        return parallel(plan(), leg("c", 1))

    live, _ = virtually(record(HANDLERS, file).run, both())
    assert live == ("b'", "c'")
    assert (live, 2.0) == virtually(replay(file, strict=True).run, both())


def test_an_interrupted_run_waits_where_it_was_interrupted(file: Path) -> None:
    """Until it is interrupted again; and it says so, where nobody would."""

    async def interrupted(handlers: Any) -> bool:
        with trio.move_on_after(2) as scope:
            await handlers.run(leg("a", 1, 5))
        return scope.cancelled_caught

    def virtual(handlers: Any) -> Any:
        return trio.run(interrupted, handlers, clock=MockClock(autojump_threshold=0))

    assert virtual(record(HANDLERS, file))
    assert virtual(replay(file))
    with pytest.warns(InterruptedRecording, match="interrupted at leg/2"), pytest.raises(NotPure):
        replay(file).run_pure(leg("a", 1, 5))


def test_an_interrupted_run_is_finished_by_recording_the_rest(file: Path) -> None:
    """What was in flight is asked again."""

    async def interrupted(handlers: Any) -> None:
        with trio.move_on_after(2):
            await handlers.run(parallel(leg("a", 1, 5), leg("b", 3)), name="run")

    trio.run(interrupted, record(HANDLERS, file), clock=MockClock(autojump_threshold=0))
    calls: list[str] = []

    @tool(name="work")
    async def counted(name: str, seconds: float) -> str:
        calls.append(name)
        return await work.fn(name, seconds)

    def plan(task: Any) -> Any:
        def counting_leg(name: str, *seconds: float) -> Plan[Any, str]:
            for each in seconds:
                name = (yield from task(name, each)) + "'"
            return name

        return parallel(counting_leg("a", 1, 5), counting_leg("b", 3))

    async def run(handlers: Any) -> Any:
        return await handlers.run(plan(counted), name="run")

    live = trio.run(run, record(call_tools(counted), file, mode="new"), clock=MockClock(autojump_threshold=0))
    assert live == ("a''", "b'")
    assert sorted(calls) == ["a'", "b"]
    assert live == replay(file, strict=True).run_pure(plan(counted), name="run")


def test_a_branch_that_failed_after_it_was_cancelled_is_told_of(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in the recorded run."""

    def failing() -> Plan[Any, str]:
        try:
            return (yield from leg("a", 5))
        finally:
            raise ArithmeticError("in clean-up")

    def plan() -> Any:
        return race(failing(), leg("b", 1))

    with caplog.at_level(logging.WARNING, "lambdacat_effects"):
        assert virtually(record(HANDLERS, file).run, plan())[0] == "b'"
        assert replay(file).run_pure(plan()) == "b'"
    told = "branch ('race of 2', 1, 0) failed after it was cancelled: ArithmeticError('in clean-up')"
    assert [told, told] == [record.getMessage() for record in caplog.records]


def test_live_handlers_within_a_plan_do_not_change_who_won(file: Path) -> None:
    """What a plan handles itself is not recorded; what was decided is."""

    @Ask.by
    async def slowly(asked: Ask) -> str:
        await trio.sleep(9)
        return asked.key

    def plan() -> Any:
        return race(slowly.handle(Ask("slow")), leg("b", 1))

    live, _ = virtually(record(HANDLERS, file).run, plan())
    assert live == "b'"
    assert virtually(replay(file).run, plan())[0] == "b'"


def test_times_in_the_plan_are_those_of_the_recording(file: Path) -> None:
    """Though it takes none."""

    def plan() -> Plan[Any, float]:
        began = yield from Now()
        yield from Sleep(60)
        return (yield from Now()) - began

    live, took = virtually(record(ambient, file).run, plan())
    assert (60.0, 60.0) == (pytest.approx(live), took)
    assert (live, 0.0) == virtually(replay(file).run, plan())
