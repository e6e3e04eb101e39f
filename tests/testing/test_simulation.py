"""`simulate`: one seed decides everything, and the report tells what happened."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import pytest
import trio

from lambdacat_effects import (
    MISSING,
    Await,
    Effect,
    Log,
    NewId,
    Now,
    PlanTimeout,
    Random,
    Remember,
    Sleep,
    ambient,
    attempt,
    blocking,
    call_tools,
    collect_logs,
    effect,
    in_memory,
    log,
    parallel,
    race,
    recall,
    remember,
    shielded,
    timeout,
    tool,
)
from lambdacat_effects.errors import (
    Deadlock,
    Endless,
    InvalidArgument,
    NondeterminismError,
    NotAPlan,
    StaleSchedule,
    UnhandledEffect,
    WrongHandlerKind,
)
from lambdacat_effects.testing.simulation import Advanced, Fault, Resumed, Turn, explore, simulate


@effect
class Ask(Effect[str]):
    question: str


def cat(name: str, seconds: float, log: list[str] | None = None):
    try:
        yield from remember("cats", name, "asleep")
        yield from Sleep(seconds)
        yield from remember("cats", name, "awake")
        return name
    finally:
        if log is not None:
            log.append(name)


def eight_cats():
    return race(*[cat(f"cat {i}", 1) for i in range(8)]), in_memory()


def keys(report):
    return [turn.key() for turn in report.trace]


class TestSeeds:
    def test_one_seed_gives_one_trace(self):
        """200 times in a row."""
        first = keys(simulate(eight_cats, seed=3))
        assert all(first == keys(simulate(eight_cats, seed=3)) for _ in range(200))

    def test_other_seeds_give_other_traces(self):
        """200 seeds over eight racing branches."""
        assert 150 <= len({repr(keys(simulate(eight_cats, seed=seed))) for seed in range(200)})

    def test_one_seed_gives_one_trace_in_every_process(self):
        """Neither the process nor the seed of its hashes matters."""
        code = (
            "import sys; sys.path.insert(0, 'tests/testing'); from test_simulation import *;"
            "print([turn.key() for seed in range(5) for turn in simulate(eight_cats, seed=seed).trace])"
        )
        told = {
            subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "PYTHONHASHSEED": hashes},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for hashes in ("0", "1", "2")
        }
        assert 1 == len(told)
        assert "cat 7" in told.pop()

    def test_a_schedule_repeats_what_a_seed_did(self):
        """`report.schedule` has all choices that were not the plainest."""
        for seed in range(30):
            report = simulate(eight_cats, seed=seed)
            assert keys(report) == keys(simulate(eight_cats, schedule=report.schedule))

    def test_the_empty_schedule_is_the_plainest_run(self):
        """Each branch goes on as far as it can, the lowest path first, and time moves when nobody can."""
        report = simulate(lambda: (parallel(cat("a", 2), cat("b", 1)), in_memory()), schedule={})
        assert ["a", "b", "b", "a"] == [t.effect.key for t in report.trace if isinstance(t.effect, Remember)]
        assert {} == report.schedule
        assert ("a", "b") == report.value

    def test_ties_go_to_the_lowest_index_and_other_orders_are_explored(self):
        """Two branches that end at the same time: the plainest run has the first win, others the second."""
        scenario = lambda: (race(cat("a", 1), cat("b", 1)), in_memory())  # noqa: E731
        assert "a" == simulate(scenario, schedule={}).value
        assert {"a", "b"} == {simulate(scenario, seed=seed).value for seed in range(20)}

    def test_timers_race_runnable_work(self):
        """A deadline may pass before work that needs no time: in the world it does."""
        scenario = lambda: (attempt(timeout(60, cat("a", 0))), in_memory())  # noqa: E731
        ended = {type(simulate(scenario, seed=seed).value).__name__ for seed in range(60)}
        assert {"Ok", "Err"} == ended


class TestReports:
    def test_the_trace_has_step_path_effect_and_fault(self):
        """Four fields, in the order of the steps."""
        report = simulate(lambda: (cat("a", 2), in_memory()))
        assert [
            (0, ("cat",)),
            (1, ("cat", 1)),
            (2, ("cat", 2)),
            (3, ()),
            (4, ("cat", 2)),
            (5, ("cat", 3)),
        ] == [(step, path) for step, path, _, fault in report.trace if fault is None]
        assert remember("cats", "a", "asleep") == report.trace[1].effect
        assert [Advanced(2.0), Resumed(Sleep(2))] == [turn.effect for turn in report.trace[3:5]]

    def test_time_is_virtual(self):
        """A day passes at once, exactly."""
        assert 86400.1 == simulate(lambda: (parallel(Sleep(86400.1), Sleep(0.1)), ambient)).time

    def test_a_plan_that_fails_is_in_the_report(self):
        """`value` raises it; `error` has it."""
        report = simulate(lambda: (timeout(1, Sleep(2)), ambient))
        assert isinstance(report.error, PlanTimeout)
        with pytest.raises(PlanTimeout):
            report.value
        with pytest.raises(PlanTimeout):
            report.unwrap()

    def test_the_check_is_called_with_the_report(self):
        """What it raises is raised."""
        seen = []
        simulate(lambda: (Now(), ambient, seen.append))
        assert [0.0] == [report.value for report in seen]
        with pytest.raises(ZeroDivisionError) as caught:
            simulate(lambda: (Now(), ambient, lambda report: 1 / report.value), seed=3)
        (note,) = caught.value.__notes__
        assert "Simulated with seed=3:" in note
        assert "  Now()" in note
        assert "simulate(scenario, schedule={})" in note

    def test_events_are_told(self):
        """As a run on Trio tells them."""
        report = simulate(lambda: (cat("a", 1), in_memory()))
        told = [(type(e).__name__, e.path) for e in report.events]
        assert [("Started", ("cat",)), ("Started", ("cat", 1)), ("Answered", ("cat", 1))] == told[:3]
        assert ("Answered", ("cat",)) == told[-1]

    def test_the_fingerprint_changes_with_the_code_only(self):
        """Not with the arguments, nor with the run."""
        a, b = (simulate(lambda x=x: (cat(x, 1), in_memory())).fingerprint for x in "ab")
        other = simulate(lambda: (attempt(Now()), ambient)).fingerprint
        assert a == b != other
        assert 12 == len(a)

    def test_turns_compare_by_what_they_say(self):
        """A lambda made anew for each run is the same lambda."""
        one, other = (Turn(0, ("a",), blocking(lambda: 1)) for _ in range(2))
        assert one == other
        assert one != Turn(0, ("a",), blocking(lambda: 1, *[2]))


class TestHandlers:
    def test_async_handlers_are_interleaved_where_they_wait(self):
        """Also between their own waits, and a seed decides how."""

        def scenario():
            shared = []

            async def answer(ask):
                for _ in range(3):
                    shared.append(ask.question)
                    await trio.sleep(0)
                return "".join(shared)

            return parallel(Ask("a"), Ask("b"), Ask("c")), Ask.by(answer)

        seen = {simulate(scenario, seed=seed).value for seed in range(100)}
        assert len(seen) > 30
        for seed in range(20):
            assert 1 == len({simulate(scenario, seed=seed).value for _ in range(10)})

    def test_async_handlers_that_wake_together_go_on_as_the_seed_says(self):
        """Trio draws the order of a batch at random; here nothing of that is left."""

        def scenario():
            door, order = trio.Event(), []

            async def answer(ask):
                if ask.question == "open":
                    door.set()
                else:
                    await door.wait()
                order.append(ask.question)
                return tuple(order)

            asks = [Ask(str(i)) for i in range(6)]
            return parallel(*asks, Ask("open")), Ask.by(answer)

        for seed in range(20):
            assert 1 == len({repr(simulate(scenario, seed=seed).value) for _ in range(10)})
        assert len({repr(simulate(scenario, seed=seed).value) for seed in range(60)}) > 30

    def test_the_shared_state_of_handlers_is_interleaved_while_they_are_cancelled(self):
        """Clean-up in an async handler has its turn, too."""

        def scenario():
            order = []

            async def answer(ask):
                try:
                    await trio.sleep_forever()
                finally:
                    order.append(ask.question)

            def plan():
                yield from attempt(timeout(1, parallel(*[Ask(str(i)) for i in range(6)])))
                return tuple(order)

            return plan(), Ask.by(answer)

        for seed in range(20):
            assert 1 == len({simulate(scenario, seed=seed).value for _ in range(10)})
        assert len({simulate(scenario, seed=seed).value for seed in range(60)}) > 30

    def test_generator_handlers_and_interposers(self):
        """What they perform has turns of its own."""

        def twice(ask):
            first = yield from ask
            yield from Sleep(1)
            return first + (yield from ask)

        report = simulate(lambda: (Ask("a"), Ask.by(lambda ask: ask.question).behind(twice)))
        assert "aa" == report.value
        assert 1.0 == report.time
        assert [("ask", 1), ("ask", 1, 1), ("ask", 1, 3)] == [
            ("ask", *path[1:]) for _, path, what, _ in report.trace if isinstance(what, Ask)
        ]

    def test_partial_handling(self):
        """`h.handle(plan)` inside a plan."""
        inner = Ask.by(lambda ask: ask.question * 2)
        assert "abab" == simulate(lambda: (inner.handle(Ask("ab")), ambient)).value

    def test_plain_functions_run_here(self):
        """A simulation has no threads: `blocking` and plain tools are called in place, and answer later."""

        @tool
        def where() -> str:
            return threading.current_thread().name

        def plan():
            return (yield from where()), (yield from blocking(where.fn)), (yield from Await(trio.sleep, (1,)))

        name = threading.current_thread().name
        assert (name, name, None) == simulate(lambda: (plan(), call_tools(where))).value

    def test_chance_and_names_depend_on_seed_and_place_alone(self):
        """Not on the schedule."""
        scenario = lambda: (parallel(Random(), NewId(), Random()), ambient)  # noqa: E731
        walks = {repr(simulate(scenario, seed=seed).value) for seed in range(20)}
        assert 20 == len(walks)
        for seed in range(5):
            assert simulate(scenario, seed=seed).value == simulate(scenario, seed=seed, schedule={}).value

    def test_branches_that_end_together_tie(self):
        """As on Trio, where those of one tick do: the lowest index wins, though it ended second."""

        def scenario():
            order = []

            def branch(name):
                yield from Ask(name)
                order.append(name)
                return name

            def plan():
                winner = yield from race(branch("a"), branch("b"))
                return winner, tuple(order)

            return plan(), Ask.by(lambda ask: ask.question)

        ends = {simulate(scenario, seed=seed).value for seed in range(200)}
        assert {("a", ("a",)), ("b", ("b",)), ("a", ("a", "b")), ("a", ("b", "a"))} <= ends

    def test_failures_of_one_tick_are_all_told(self):
        """A branch that fails with the first does not vanish."""

        def scenario():
            def fails(name):
                yield from Ask(name)
                raise ValueError(name)

            return parallel(fails("a"), fails("b")), Ask.by(lambda ask: ask.question)

        groups = {
            tuple(str(e) for e in simulate(scenario, seed=seed).error.exceptions) for seed in range(100)
        }
        assert {("a",), ("b",), ("a", "b")} == groups

    def test_an_answer_and_a_deadline_race(self):
        """Also where one effect waits and nobody else could go on."""

        async def answer(ask):
            await trio.lowlevel.checkpoint()
            return "in time"

        scenario = lambda: (attempt(timeout(60, Ask("x"))), Ask.by(answer))  # noqa: E731
        ends = [type(simulate(scenario, seed=seed).value).__name__ for seed in range(100)]
        assert {"Ok", "Err"} == set(ends)
        assert ends.count("Ok") > 50

    def test_a_plan_that_catches_everything_is_ended(self):
        """Whatever it is thrown, and although it never lets go of the event loop."""

        def stubborn():
            while True:
                try:
                    yield from Ask("a")
                except BaseException:
                    continue

        handlers = Ask.by(lambda ask: ask.question)
        assert isinstance(simulate(lambda: (stubborn(), handlers), most_steps=100).error, Endless)
        crashing = simulate(lambda: (stubborn(), handlers), faults=Fault("crash", on=Ask))
        assert isinstance(crashing.error, Endless)

    def test_a_resource_that_does_not_open_is_told(self):
        """Instead of waiting for it."""
        from contextlib import asynccontextmanager

        from lambdacat_effects import Resource

        @asynccontextmanager
        async def never():
            await trio.sleep_forever()
            yield None

        error = simulate(lambda: (Ask("a"), Ask.by(str).using(Resource("it", never)))).error
        assert isinstance(error, Deadlock)
        assert "resource" in str(error)

    def test_the_end_of_the_program_passes(self):
        """A keyboard interrupt is no failure of a run."""

        def interrupts(ask):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            simulate(lambda: (parallel(Ask("a"), Sleep(1)), Ask.by(interrupts)))

    def test_notes_are_written(self):
        """A handler of `Log` gets them in the order of the run."""
        notes: list[Log] = []
        simulate(lambda: (parallel(log("a"), log("b")), collect_logs(notes)), schedule={})
        assert ["a", "b"] == [note.message for note in notes]

    def test_resources_are_opened_and_closed(self):
        """Also those of a handler within the plan."""
        from contextlib import asynccontextmanager

        from lambdacat_effects import Resource

        told = []

        def opening(name):
            @asynccontextmanager
            async def open_it():
                await trio.sleep(1)
                told.append(f"{name} open")
                yield name
                await trio.sleep(1)
                told.append(f"{name} closed")

            return Resource(name, open_it)

        inner = Ask.by(lambda ask: "x").using(opening("inner"))
        outer = in_memory().using(opening("outer"))
        plan = lambda: parallel(inner.handle(Ask("a")), recall("a", "b", as_type=int))  # noqa: E731
        assert ("x", None) == simulate(lambda: (plan(), outer)).value
        assert ["outer open", "inner open", "inner closed", "outer closed"] == told

    def test_a_handler_of_the_wrong_kind_is_told(self):
        """As in every other run."""
        wrong = Ask.by(lambda ask: (x for x in "a"))
        assert isinstance(simulate(lambda: (Ask("a"), wrong)).error, WrongHandlerKind)

    def test_an_effect_without_a_handler(self):
        """As in every other run."""
        assert isinstance(simulate(lambda: (Ask("a"), ambient)).error, UnhandledEffect)


class TestCancellation:
    def test_losers_clean_up_before_the_answer(self):
        """Whatever the order."""

        def scenario():
            log: list[str] = []

            def plan():
                winner = yield from race(*[cat(str(i), 1 + i % 2, log) for i in range(5)])
                return winner, sorted(log)

            return plan(), in_memory()

        for seed in range(100):
            assert list("01234") == simulate(scenario, seed=seed).value[1]

    def test_a_cancelled_plan_may_perform_synchronous_effects_as_on_trio(self):
        """It learns of it when it next waits, or loses its turn; a simulation shows both."""

        def scenario():
            done = []

            def loser():
                yield from Ask("wait")
                done.append("was answered")
                yield from remember("a", "b", 1)
                done.append("performed one more")

            async def wait(ask):
                await trio.sleep(1)
                return ""

            def plan():
                yield from race(loser(), Sleep(1))
                return tuple(done)

            return plan(), in_memory() | Ask.by(wait)

        ends = {simulate(scenario, seed=seed).value for seed in range(300)}
        assert {(), ("was answered",), ("was answered", "performed one more")} == ends

    def test_shielded_clean_up_waits(self):
        """In virtual time."""

        def clumsy():
            try:
                yield from Sleep(10)
            finally:
                yield from shielded(Sleep(3))

        report = simulate(lambda: (attempt(timeout(1, clumsy())), ambient), schedule={})
        assert 4.0 == report.time

    def test_a_partial_answer(self):
        """A deadline that passes while one branch sleeps."""
        plan = lambda: parallel(Sleep(1), Sleep(3), timeout=2, partial=True)  # noqa: E731
        assert (None, MISSING) == simulate(lambda: (plan(), ambient), schedule={}).value


class TestDeadlocks:
    def test_a_deadlock_is_told(self):
        """Who waits for what."""

        async def never(ask):
            await trio.sleep_forever()

        error = simulate(lambda: (parallel(Ask("a"), Ask("b"), Sleep(5)), Ask.by(never))).error
        assert isinstance(error, Deadlock)
        assert "Ask(question='a')" in str(error)
        assert "Ask(question='b')" in str(error)
        assert "Sleep" not in str(error)

    def test_a_plan_that_sleeps_for_ever_is_a_deadlock(self):
        """No timer will end it."""
        assert isinstance(simulate(lambda: (Sleep(float("inf")), ambient)).error, Deadlock)

    def test_a_plan_whose_clean_up_never_ends_is_a_deadlock(self):
        """Even if a handler shields it."""

        def plan():
            try:
                yield from Ask("a")
            finally:
                yield from shielded(Ask("b"))

        async def never(ask):
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()

        report = simulate(lambda: (race(plan(), timeout(3, plan())), Ask.by(never)))
        assert isinstance(report.error, Deadlock)
        for _ in range(4):  # what ignores its end the first time is let go the next
            gc.collect()
        assert not [o for o in gc.get_objects() if isinstance(o, trio.lowlevel.Task) and "race" in o.name]

    def test_clean_up_is_done_after_a_deadlock(self):
        """The run is stopped as if it were cancelled."""
        done = []

        def plan():
            try:
                yield from Ask("a")
            finally:
                yield from shielded(Sleep(1))
                done.append("clean")

        async def never(ask):
            await trio.sleep_forever()

        assert isinstance(simulate(lambda: (plan(), Ask.by(never))).error, Deadlock)
        assert ["clean"] == done

    def test_a_thread_in_a_handler_is_told(self):
        """There are none in a simulation."""

        async def slow(ask):
            return await trio.to_thread.run_sync(threading.Event().wait, 0.05)

        error = simulate(lambda: (Ask("a"), Ask.by(slow))).error
        assert isinstance(error, Deadlock)
        assert "a thread, a socket" in str(error)

    @pytest.mark.parametrize("wait", [Now(), Sleep(1), attempt])
    def test_a_run_that_never_ends_is_stopped(self, wait):
        """By the number of its steps, also if it catches whatever it is thrown."""

        def polling():
            while True:
                if wait is attempt:
                    yield from attempt(Sleep(1))
                else:
                    yield from wait

        error = simulate(lambda: (polling(), ambient), most_steps=500).error
        assert isinstance(error, Endless)
        assert "500 steps" in str(error)


class TestBadArguments:
    @pytest.mark.parametrize(
        "scenario",
        [None, lambda: None, lambda: (Now(),), lambda: (Now(), None), lambda: (Now(), ambient, 3), Now()],
    )
    def test_what_is_no_scenario(self, scenario):
        """Told before anything runs."""
        with pytest.raises(InvalidArgument, match="scenario"):
            simulate(scenario)

    def test_a_plan_that_is_none(self):
        """As in every other run."""
        with pytest.raises(NotAPlan):
            simulate(lambda: (3, ambient))

    @pytest.mark.parametrize("seed", [None, 1.5, True])
    def test_what_is_no_seed(self, seed):
        """An int or a str."""
        with pytest.raises(InvalidArgument, match="seed"):
            simulate(lambda: (Now(), ambient), seed=seed)

    @pytest.mark.parametrize("schedule", [{-1: 1}, {1: -1}, {"a": 1}])
    def test_what_is_no_schedule(self, schedule):
        """Numbers of steps to numbers of choices."""
        with pytest.raises(InvalidArgument, match="schedule"):
            simulate(lambda: (Now(), ambient), schedule=schedule)

    async def test_not_within_an_event_loop(self):
        """It has one of its own."""
        with pytest.raises(InvalidArgument, match="event loop of its own"):
            simulate(lambda: (Now(), ambient))

    def test_an_error_in_the_scenario_is_raised(self):
        """It is not the plan's."""
        with pytest.raises(ZeroDivisionError):
            simulate(lambda: 1 / 0)


class TestChecks:
    @pytest.mark.parametrize("answer", [False, True])
    def test_a_check_that_answers_is_refused(self, answer):
        """`lambda report: report.value == 1` checks nothing."""
        with pytest.raises(InvalidArgument, match="raises, as `assert` does"):
            simulate(lambda: (Now(), ambient, lambda report: answer))
        with pytest.raises(InvalidArgument, match="raises, as `assert` does"):
            explore(lambda: (Now(), ambient, lambda report: answer), runs=1)

    def test_a_check_that_is_a_generator_or_async_is_refused(self):
        """Nobody would perform it."""

        async def waiting(report):
            raise AssertionError

        def planning(report):
            yield
            raise AssertionError

        for check in (waiting, planning):
            with pytest.raises(InvalidArgument, match="plain function"):
                simulate(lambda check=check: (Now(), ambient, check))

    @pytest.mark.parametrize(
        "stale",
        [
            {"schedule": {500: 1}},
            {"schedule": {1: 77}},
            {"schedule": {}, "faults": Fault("fail", path=("nowhere", 1))},
        ],
    )
    def test_what_does_not_fit_the_plan_any_more_is_told(self, stale):
        """A regression test that tests something else must not pass in silence."""
        with pytest.warns(StaleSchedule, match="explore it anew"):
            simulate(eight_cats, **stale)

    def test_what_leaks_from_run_to_run_is_told(self):
        """The first run, which is the plainest, passed, and the failure is shortened to the same."""
        left = [3]

        def leaking():
            def plan():
                yield from Sleep(1)
                left[0] -= 1
                if left[0] < 0:
                    raise ValueError("none left")

            return plan(), ambient

        with pytest.raises(NondeterminismError, match="it passed as the first"):
            explore(leaking, runs=20, seed=1)
