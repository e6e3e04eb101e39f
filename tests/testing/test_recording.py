"""Recordings: what is recorded, what is replayed, in which mode, and what is told when they do not fit."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, Phase, given, settings
from trio.testing import MockClock

from lambdacat_effects import (
    Effect,
    Handler,
    Log,
    Need,
    NewId,
    Now,
    Plan,
    Random,
    Resource,
    Sleep,
    ambient,
    answer_tools,
    attempt,
    awaiting,
    blocking,
    call_tools,
    catch,
    collect_logs,
    effect,
    fail,
    fixed_time,
    in_memory,
    parallel,
    race,
    recall,
    remember,
    supply,
    tool,
)
from lambdacat_effects.errors import InvalidArgument, NotPure, NotSerialisable, UnhandledEffect
from lambdacat_effects.plan import compile_plan
from lambdacat_effects.testing.recording import (
    RecordingMismatch,
    RecordingUnreadable,
    Unrecordable,
    UnusedRecording,
    record,
    replay,
)
from lambdacat_effects.testing.simulation import simulate

sys.path.append(str(Path(__file__).parents[1] / "plan"))

from random_plans import ACTIONS, CTX, START, plans, shape


@effect
class Ask(Effect[str]):
    key: str
    strength: int = 1


@tool
async def search(query: str, limit: int = 5) -> list[str]:
    """Search."""
    await trio.sleep(1)
    return [query] * limit


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "recording.json"


def counting(calls: list[Any]) -> Handler[Ask]:
    def answer(asked: Ask) -> str:
        calls.append(asked.key)
        return asked.key.upper() * asked.strength

    return Ask.by(answer)


def two(second: str = "b") -> Plan[Ask, str]:
    return (yield from Ask("a")) + (yield from Ask(second))


def virtually(handlers: Handler[Any], plan: Any) -> Any:
    return trio.run(handlers.run, plan, clock=MockClock(autojump_threshold=0))


# What is recorded.


def test_a_recorded_run_replays_without_handlers_on_trio_without_a_loop_and_in_a_simulation(
    file: Path,
) -> None:
    """The same answer, whoever runs it."""

    def plan() -> Plan[Any, Any]:
        found = yield from search("cats", limit=2)
        yield from Sleep(5)
        yield from remember("ns", "k", found)
        kept = yield from recall("ns", "k", as_type=list[str])
        both = yield from parallel(search("dogs"), Random())
        slow = yield from blocking(max, 1, 2)
        quick = yield from awaiting(search.fn, "owls", 1)
        return found, kept, both, slow, quick, (yield from Now()), (yield from NewId())

    live = trio.run(record(call_tools(search) | in_memory(), file).run, plan(), clock=MockClock(rate=1e6))
    assert live == replay(file).run_pure(plan())
    assert live == trio.run(replay(file).run, plan())
    assert live == simulate(lambda: (plan(), replay(file))).value


def test_a_replay_calls_nobody(file: Path) -> None:
    """The handlers are there, but not asked."""
    calls: list[Any] = []
    assert ["AB", "AB"] == [record(counting(calls), file).run_pure(two()) for _ in range(2)]
    assert calls == ["a", "b"]


@pytest.mark.parametrize("mode", ["once", "new", "all"])
def test_a_second_run_is_not_answered_from_the_first(file: Path, mode: Any) -> None:
    """It is another run, of the same recording within `async with` alone."""
    calls: list[Any] = []
    recorded = record(counting(calls), file, mode=mode)
    assert "AB" == recorded.run_pure(two())
    before = file.read_bytes()
    with pytest.raises(RecordingMismatch, match="within `async with handlers:`"):
        recorded.run_pure(two())
    assert (["a", "b"], before) == (calls, file.read_bytes())


def test_handlers_and_interposers_are_not_recorded(file: Path) -> None:
    """A call that was retried is one entry; so it is replayed at once."""
    calls: list[Any] = []

    def flaky(asked: Ask) -> str:
        calls.append(asked)
        if len(calls) == 1:
            raise ConnectionError
        return "tea"

    def retry(asked: Ask) -> Generator[Any, Any, str]:
        try:
            return (yield from asked)
        except ConnectionError:
            yield from Sleep((yield from Random()))
            return (yield from asked)

    recorded = record(Ask.by(flaky).behind(retry), file)
    assert recorded.run_pure(Ask("k")) == "tea"
    assert recorded.tape.effects == ("Ask/1  Ask(key='k', strength=1)",)


def test_what_asks_nothing_of_the_world_is_not_recorded(file: Path) -> None:
    """Needs are met, errors fail and notes are written as without a recording."""
    notes: list[Log] = []
    handlers = supply(str, "s") | collect_logs(notes)

    def plan() -> Plan[Any, Any]:
        yield from Log("hello")
        caught = yield from catch(ValueError)(fail(ValueError("no")))
        return (yield from Need(str)), repr(caught)

    recorded = record(handlers, file, mode="all")
    assert recorded.run_pure(plan()) == ("s", "ValueError('no')")
    assert recorded.tape.effects == ()
    assert (replay(file) | handlers).run_pure(plan()) == ("s", "ValueError('no')")
    assert notes == [Log("hello")] * 2


def test_errors_are_raised_again(file: Path) -> None:
    """At the same place, of the same class."""

    def plan() -> Plan[Any, Any]:
        try:
            yield from search("cats")
        except ConnectionError as error:
            return repr(error), error.__notes__

    down = ConnectionError("down", 3)
    down.add_note("try later")
    live = record(answer_tools({search: down}), file).run_pure(plan())
    assert live == (repr(down), ["try later"])
    assert live == replay(file).run_pure(plan())


def test_runs_of_one_name_are_told_apart(file: Path) -> None:
    """By what they ask first, and then by their order."""

    async def twice(handlers: Any, keys: Any) -> list[str]:
        async with handlers:
            return [await handlers.run(Ask(key), name="run") for key in keys]

    stateful: list[Any] = []

    def number(asked: Ask) -> str:
        stateful.append(asked)
        return f"{asked.key}{len(stateful)}"

    recorded = record(Ask.by(number), file)
    assert trio.run(twice, recorded, "aab") == ["a1", "a2", "b3"]
    assert trio.run(twice, replay(file), "baa") == ["b3", "a1", "a2"]
    with pytest.raises(RecordingMismatch, match=r"has run, run .run 2., run .run 3."):
        trio.run(twice, replay(file), "aaba")


def test_branches_replay_whatever_the_timing(file: Path) -> None:
    """Each has its path."""

    @Ask.by
    async def slow(asked: Ask) -> str:
        await trio.sleep(asked.strength)
        return asked.key.upper()

    def plan() -> Plan[Any, Any]:
        return (yield from parallel(Ask("a", 3), Ask("b", 1), Ask("c", 2)))

    live = virtually(record(slow, file), plan())
    assert live == ("A", "B", "C")
    assert live == trio.run(replay(file).run, plan())


def test_it_composes(file: Path) -> None:
    """The other handlers are recorded, too; and a part of a run can be recorded alone."""
    calls: list[Any] = []
    assert ["AB", "AB"] == [(record(ambient, file) | counting(calls)).run_pure(two()) for _ in range(2)]
    assert calls == ["a", "b"]

    def plan() -> Plan[Any, Any]:
        fresh = yield from Ask("fresh")
        return fresh, (yield from part.handle(two()))

    part = record(counting(calls), file.with_name("part.json"))
    live = counting(calls).run_pure(plan())
    assert live == ("FRESH", "AB")
    part = record(counting(calls), file.with_name("part.json"))
    assert live == counting(calls).run_pure(plan())
    assert calls == ["a", "b", "fresh", "a", "b", "fresh"]


def test_resources_are_opened_for_a_recording_only(file: Path) -> None:
    """There may be no database where the tests run."""
    opened: list[str] = []

    @asynccontextmanager
    async def opening() -> Any:
        opened.append("open")
        yield "tea"
        opened.append("close")

    database = Resource("the database", opening)
    handlers = Ask.by(lambda _: database.value).using(database)
    assert ["tea", "tea"] == [record(handlers, file).run_pure(Ask("k")) for _ in range(2)]
    assert opened == ["open", "close"]


# Modes.


def test_once_records_the_first_time_only(file: Path) -> None:
    """What is not in the recording is a mismatch, even with handlers there."""
    calls: list[Any] = []
    recorded = record(counting(calls), file, mode="once")
    recorded.run_pure(two())
    with pytest.raises(RecordingMismatch, match="'b' -> 'c'"):
        record(counting(calls), file, mode="once").run_pure(two("c"))
    assert calls == ["a", "b"]


def test_none_never_records(file: Path) -> None:
    """Without a file it says how to make one."""
    with pytest.raises(RecordingUnreadable, match=r"there is no recording .*mode .once."):
        record(counting([]), file, mode="none").run_pure(two())
    assert not file.exists()


def test_new_records_what_is_not_there(file: Path) -> None:
    """And replays what is, which then stays as it was."""
    calls: list[Any] = []
    record(counting(calls), file).run_pure(two())
    before = file.read_bytes()
    recorded = record(counting(calls), file, mode="new")
    assert recorded.run_pure(two("c")) == "AC"
    assert calls == ["a", "b", "c"]
    assert record(counting(calls), file, mode="new").run_pure(two("c")) == "AC"
    assert calls == ["a", "b", "c"]
    assert [line for line in before.splitlines() if line not in file.read_bytes().splitlines()] == [
        b'          "answer": "B",',
        b'            "key": "b",',
    ]


def test_all_records_anew(file: Path) -> None:
    """Whatever is there, even if it cannot be read."""
    file.parent.mkdir()
    file.write_text("nonsense")
    assert record(counting([]), file, mode="all").run_pure(two()) == "AB"
    assert replay(file).run_pure(two()) == "AB"


@pytest.mark.parametrize("mode", ["onse", "", None, "ONCE"])
def test_a_misspelt_mode_fails_at_once(file: Path, mode: Any) -> None:
    """It names the four."""
    with pytest.raises(InvalidArgument, match='"once", "none", "new" or "all"; got'):
        record(ambient, file, mode=mode)


@pytest.mark.parametrize("path", ["", None, 3])
def test_other_arguments_are_checked_at_once(path: Any) -> None:
    """Before anything runs."""
    with pytest.raises(InvalidArgument, match="record takes the path of a file"):
        record(ambient, path)
    with pytest.raises(InvalidArgument, match="replay takes the path of a file"):
        replay(path)
    with pytest.raises(InvalidArgument, match="record takes handlers"):
        record(path, "file.json")


# Mismatches.


def test_a_mismatch_names_the_fields_that_differ(file: Path) -> None:
    """And says what was recorded in that place."""
    record(counting([]), file).run_pure(two())
    with pytest.raises(RecordingMismatch) as caught:
        replay(file).run_pure(two("c"), name="two")
    assert str(caught.value) == (
        f"Ask(key='c', strength=1) at two/2 was not recorded. {str(file)!r} has there: Ask(key='b', strength=1)\n"
        "  key: 'b' -> 'c'\n"
        "The plan, or what it was given, has changed since: undo that, or record anew with "
        'mode="all", or with mode="new" to keep the rest'
    )


def test_a_mismatch_names_the_nearest_effect(file: Path) -> None:
    """If there was none in that place."""

    def plan(more: bool) -> Plan[Any, None]:
        yield from search("cats and dogs", limit=2)
        yield from Sleep(1)
        if more:
            yield from search("cats and frogs", limit=3)

    record(answer_tools({search: []}), file).run_pure(plan(False))
    with pytest.raises(RecordingMismatch) as caught:
        replay(file).run_pure(plan(True))
    message = str(caught.value)
    assert "search(query='cats and frogs', limit=3) at plan/3 was not recorded" in message
    assert "has there: nothing. The nearest is search(limit=2, query='cats and dogs') at plan/1" in message
    assert "\n  limit: 2 -> 3\n  query: 'cats and dogs' -> 'cats and frogs'\n" in message


def test_a_mismatch_is_no_outcome(file: Path) -> None:
    """No combinator takes it for a failed branch."""
    record(counting([]), file).run_pure(two())

    def trying() -> Any:
        return attempt(two("c"))

    with pytest.raises(RecordingMismatch):
        replay(file).run_pure(trying(), name="two")

    def racing() -> Any:
        return race(Ask("z"), Ask("a"))

    raced = file.with_name("race.json")
    record(counting([]), raced).run_pure(race(Ask("a"), Ask("a")), name="race")
    with pytest.raises(RecordingMismatch):
        replay(raced).run_pure(racing(), name="race")


def test_an_argument_given_by_name_is_the_same(file: Path) -> None:
    """A call is recognised by what its parameters are given."""
    record(answer_tools({search: ["a"]}), file).run_pure(search("cats", 2))
    assert replay(file).run_pure(search(limit=2, query="cats")) == ["a"]


def test_unused_recordings_are_reported(file: Path) -> None:
    """As a warning; with strict=True, as an error; and on the tape."""
    record(counting([]), file).run_pure(two(), name="run")
    handlers = replay(file)
    with pytest.warns(
        UnusedRecording, match=r"1 recorded effects .* were not asked for:\n  run/2  Ask\(key='b'"
    ):
        handlers.run_pure(Ask("a"), name="run")
    assert handlers.tape.unused == ("run/2  Ask(key='b', strength=1)",)
    with pytest.raises(RecordingMismatch, match="not asked for"):
        replay(file, strict=True).run_pure(Ask("a"), name="run")


def test_a_run_that_failed_reports_its_failure(file: Path) -> None:
    """And not what it therefore did not ask for."""
    record(counting([]), file).run_pure(two(), name="run")

    def broken() -> Plan[Any, None]:
        yield from Ask("a")
        raise ArithmeticError

    with warnings.catch_warnings(record=True) as told, pytest.raises(ArithmeticError):
        replay(file, strict=True).run_pure(broken(), name="run")
    assert told == []


async def test_a_failure_under_async_with_is_reported_alone(file: Path) -> None:
    """And one that was handled before is none."""
    record(counting([]), file).run_pure(two(), name="run")

    async def failing() -> None:
        async with replay(file, strict=True) as replayed:
            await replayed.run(Ask("a"), name="run")
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await failing()
    try:
        raise ArithmeticError
    except ArithmeticError:
        with pytest.raises(RecordingMismatch, match="not asked for"):
            await replay(file, strict=True).run(Ask("a"), name="run")


async def test_runs_at_the_same_time_share_a_recording(file: Path) -> None:
    """Each is recognised by what it asks first, whoever begins."""

    @Ask.by
    async def slow(asked: Ask) -> str:
        await trio.lowlevel.checkpoint()
        return asked.key.upper()

    async def together(handlers: Handler[Any], keys: str) -> dict[str, str]:
        answers: dict[str, str] = {}

        async def one(key: str) -> None:
            answers[key] = await handlers.run(two_of(key), name="run")

        async with handlers, trio.open_nursery() as nursery:
            for key in keys:
                nursery.start_soon(one, key)
        return answers

    def two_of(key: str) -> Plan[Ask, str]:
        return (yield from Ask(key)) + (yield from Ask("z"))

    live = await together(record(slow, file), "abcdef")
    assert {key: f"{key.upper()}Z" for key in "abcdef"} == live
    assert live == await together(replay(file, strict=True), "fedcba")


# Saving.


def test_a_failed_run_is_recorded(file: Path) -> None:
    """As far as it came; the same failure is replayed."""

    def failing() -> Plan[Any, None]:
        yield from Ask("a")
        raise ArithmeticError("no")

    for _ in range(2):
        with pytest.raises(ArithmeticError):
            record(counting([]), file).run_pure(failing())
    assert "A" in file.read_text()


def test_a_mistaken_program_is_not_recorded(file: Path) -> None:
    """There is nothing to keep: with the mistake mended, the plan asks for more."""
    with pytest.raises(UnhandledEffect):
        record(ambient, file).run_pure(two())
    recorded = record(call_tools(search), file)
    with pytest.raises(NotPure):
        recorded.run_pure(search("cats"))
    assert recorded.tape.effects == ()
    assert not file.exists()


async def test_a_mistake_among_what_was_recorded_is_not_kept(file: Path) -> None:
    """Nor is the combinator that met it."""
    recorded = record(counting([]), file, mode="new")

    def mistaken() -> Plan[Any, Any]:
        yield from Ask("a")
        yield from race(Ask("b"), search("nobody"), search("calls it"))

    async with recorded:
        with pytest.raises(UnhandledEffect):
            await recorded.run(mistaken(), name="run")
    assert recorded.tape.effects[0] == "run/1  Ask(key='a', strength=1)"
    assert not any("race" in line or "search" in line for line in recorded.tape.effects)


def test_an_answer_that_cannot_be_written_fails_before_the_file_is_touched(file: Path) -> None:
    """Naming effect and place; no combinator takes it for an outcome."""
    record(Ask.by(lambda _: "old"), file).run_pure(Ask("k"))
    before = file.read_bytes()

    def swallowing() -> Plan[Any, None]:
        try:
            yield from attempt(Ask("k"))
        except NotSerialisable:
            pass

    for plan in (attempt(Ask("k")), swallowing()):
        with pytest.raises(
            Unrecordable, match=r"Ask\(key='k'.*answer\['a'\]\[0\] is of the class object"
        ) as caught:
            record(Ask.by(lambda _: {"a": [object()]}), file, mode="all").run_pure(plan)  # type: ignore[arg-type]
        assert isinstance(caught.value, NotSerialisable)
    assert before == file.read_bytes()


def test_the_same_run_gives_the_same_file(file: Path) -> None:
    """Byte for byte, in virtual time; and in the order of the plan, not of completion."""

    def plan() -> Plan[Any, Any]:
        yield from race(search("a"), Sleep(3), search("b"))
        yield from parallel(search("c"), Sleep(0.5))
        return (yield from Now())

    contents = set()
    for _ in range(5):
        virtually(record(call_tools(search) | fixed_time(7), file, mode="all"), plan())
        contents.add(file.read_bytes())
    assert len(contents) == 1
    (run,) = json.loads(contents.pop())["runs"]
    paths = [entry["path"] for entry in run["effects"]]
    assert paths == ["1", "1/0/1", "1/1/1", "1/2/1", "2", "2/0/1", "2/1/1", "3"]


async def test_several_runs_share_a_recording_that_is_kept_open(file: Path) -> None:
    """Written once, when it is closed."""
    recorded = record(counting([]), file)
    async with recorded:
        await recorded.run(Ask("a"), name="first")
        await recorded.run(Ask("b"), name="second")
        assert not file.exists()
    async with replay(file) as replayed:
        assert await replayed.run(Ask("b"), name="second") == "B"
        assert await replayed.run(Ask("a"), name="first") == "A"


# Random plans.

thorough = settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
EVERY_PLAN = plans(ACTIONS.names)


def ending(run: Any, *args: Any) -> Any:
    try:
        return run(*args)
    except Exception as error:
        return shape(error)


def check_replays(plan: Any, file: Path, change: Callable[[dict[str, Any]], None] | None = None) -> None:
    def program() -> Any:
        return compile_plan(plan, ACTIONS, CTX)(START)

    live = ending(virtually, record(ambient, file, mode="all"), program())
    if change is not None:
        recording = json.loads(file.read_text())
        for run in recording["runs"]:
            for entry in run["effects"]:
                change(entry)
        file.write_text(json.dumps(recording))
    assert live == ending(replay(file, strict=True).run_pure, program())
    assert live == ending(trio.run, replay(file, strict=True).run, program())


@given(EVERY_PLAN)
@thorough
def test_a_random_plan_replays_everywhere(file: Path, plan: Any) -> None:
    """To the same answer or error; and all that was recorded is asked for."""
    check_replays(plan, file)


@given(EVERY_PLAN)
@thorough
def test_a_random_plan_recorded_without_a_loop_replays_too(file: Path, plan: Any) -> None:
    """A recording says nothing of how it was made."""

    def program() -> Any:
        return compile_plan(plan, ACTIONS, CTX)(START)

    live = ending(record(ambient, file, mode="all").run_pure, program())
    assert live == ending(replay(file, strict=True).run_pure, program())
    assert live == ending(trio.run, replay(file, strict=True).run, program())


# Mutants: recordings with one mistake each.


def another_answer(entry: dict[str, Any]) -> None:
    if entry.get("answer"):
        entry["answer"] = START


def no_error(entry: dict[str, Any]) -> None:
    if "error" in entry:
        del entry["error"]
        entry["answer"] = START


def nobody_wins(entry: dict[str, Any]) -> None:
    if "branches" in entry:
        entry["branches"] = ["cancelled" for _ in entry["branches"]]


def unfinished(entry: dict[str, Any]) -> None:
    if entry.pop("answer", None) is not None:
        entry["unfinished"] = True


def elsewhere(entry: dict[str, Any]) -> None:
    entry["path"] += "/1"


@pytest.mark.parametrize("mutant", [another_answer, no_error, nobody_wins, unfinished, elsewhere])
def test_a_recording_with_a_mistake_is_found_out(mutant: Any, tmp_path: Path) -> None:
    """A check that accepted it would say nothing about ours."""

    @given(EVERY_PLAN)
    @settings(
        deadline=None,
        max_examples=1000,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    def check(plan: Any) -> None:
        check_replays(plan, tmp_path / "mutant.json", mutant)

    with pytest.raises(AssertionError):
        check()
