"""Time, chance, names and notes, live and fixed."""

from __future__ import annotations

import datetime as dt
import math
import random
import uuid
from collections.abc import Generator
from typing import Any

import pytest
import trio
import trio.testing

from lambdacat_effects import (
    Count,
    Handler,
    Log,
    NewId,
    Now,
    Plan,
    Random,
    Sleep,
    ambient,
    collect_counts,
    collect_logs,
    fixed_ids,
    fixed_random,
    fixed_time,
    live_ids,
    live_random,
    live_time,
    log,
    parallel,
)
from lambdacat_effects.errors import InvalidArgument, NotPure


def nap(seconds: float) -> Plan[Sleep | Now, tuple[float, float]]:
    before = yield from Now()
    yield from Sleep(seconds)
    return before, (yield from Now())


async def test_fixed_time_moves_by_sleep_alone_and_at_once() -> None:
    began = trio.current_time()
    handlers = fixed_time(1000.0)
    assert await handlers.run(nap(3600)) == (1000.0, 4600.0)
    assert handlers.run_pure(nap(0.5)) == (4600.0, 4600.5)
    assert trio.current_time() - began < 60


def test_each_handler_has_a_time_of_its_own() -> None:
    one, two = fixed_time(), fixed_time()
    one.run_pure(nap(5))
    assert two.run_pure(nap(1)) == (0.0, 1.0)


def test_fixed_time_may_start_at_a_moment_of_the_calendar() -> None:
    start = dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    now = fixed_time(start).run_pure(Now())
    assert dt.datetime.fromtimestamp(now, tz=dt.UTC) == start
    assert fixed_time(-1).run_pure(Now()) == -1.0


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"different moment in every time zone.*tzinfo=UTC"):
        fixed_time(dt.datetime(2026, 1, 1))


@pytest.mark.parametrize("start", [math.nan, math.inf, True, "now", None])
def test_a_time_is_a_finite_number(start: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"a time is a number of seconds"):
        fixed_time(start)


def test_a_sleep_without_end_is_refused_in_fixed_time() -> None:
    with pytest.raises(NotPure, match=r"sleeps for ever never ends in fixed time"):
        fixed_time().run_pure(Sleep(math.inf))


async def test_live_time_is_that_of_the_run(autojump_clock: trio.testing.MockClock) -> None:
    """Also within fixed time."""
    before, after = await fixed_time(0).run(live_time().handle(nap(100)))
    assert after - before == pytest.approx(100)
    assert abs(before - dt.datetime.now(dt.UTC).timestamp()) < 60
    assert trio.current_time() == pytest.approx(100)


def chances(delays: tuple[float, float]) -> Plan[Random | NewId | Sleep, Any]:
    """What two branches draw that take turns by their delays."""

    def branch(delay: float) -> Plan[Random | NewId | Sleep, tuple[float, str, float]]:
        yield from Sleep(delay)
        return (yield from Random()), (yield from NewId()), (yield from Random())

    return (yield from parallel(*[branch(delay) for delay in delays]))


async def test_fixed_chance_depends_on_the_place_in_the_plan_and_not_on_timing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    handlers = fixed_random(7) | fixed_ids("seed")
    one = await handlers.run(chances((1, 2)))
    assert await handlers.run(chances((2, 1))) == one
    assert handlers.run_pure(chances((2, 1))) == one
    drawn = [x for first, name, second in one for x in (first, name, second)]
    assert len(set(drawn)) == 6
    assert all(0 <= x < 1 for x in drawn if isinstance(x, float))
    assert all(len(x) == 32 and int(x, 16) >= 0 for x in drawn if isinstance(x, str))


def test_other_seeds_and_other_runs_draw_otherwise() -> None:
    def draw(seed: int | str, name: str = "run") -> tuple[float, str]:
        handlers = fixed_random(seed) | fixed_ids(seed)
        return handlers.run_pure(parallel(Random(), NewId()), name=name)

    drawn = [draw(1), draw(2), draw("a"), draw(1, "other")]
    assert len({number for number, _ in drawn}) == len({name for _, name in drawn}) == 4
    assert draw(1) == drawn[0]


def test_fixed_chance_is_drawn_behind_interposers_too() -> None:
    def halved(effect: Random) -> Generator[Any, Any, float]:
        return (yield from effect) / 2

    assert fixed_random(1).behind(halved).run_pure(Random()) < 0.5


@pytest.mark.parametrize("seed", [None, 1.5, True])
def test_a_seed_is_an_int_or_text(seed: Any) -> None:
    for make in (fixed_random, fixed_ids):
        with pytest.raises(InvalidArgument, match=r"takes an int or a str as its seed"):
            make(seed)


def test_live_chance_is_drawn_even_where_the_rest_is_fixed() -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    assert fixed_random(1).run_pure(live_random().handle(Random())) == expected
    ids = [live_ids().run_pure(NewId()) for _ in range(2)]
    assert ids[0] != ids[1]
    assert {uuid.UUID(name).version for name in ids} == {4}


def test_notes_are_collected_in_place_of_being_written(caplog: pytest.LogCaptureFixture) -> None:
    notes: list[Log] = []

    def plan() -> Plan[Log, None]:
        yield from log("first", n=1)
        yield from Log("second", "error")

    collect_logs(notes).run_pure(plan())
    assert notes == [Log("first", "info", {"n": 1}), Log("second", "error")]
    assert caplog.records == []
    ambient.run_pure(Log("written", "error"))
    assert [record.getMessage() for record in caplog.records] == ["written"]


def test_counts_are_added_by_name() -> None:
    totals: dict[str, float] = {"old": 1}
    collect_counts(totals).run_pure(parallel(Count("new"), Count("old", 2.5), Count("new")))
    assert totals == {"old": 3.5, "new": 2}


def test_handlers_say_what_they_handle() -> None:
    """The rows are in the types: these assignments are what is checked."""
    time: Handler[Sleep | Now] = fixed_time()
    chance: Handler[Random | NewId] = live_random() | fixed_ids(1)
    assert (time | chance).run_pure(Now()) == 0.0
