"""`explore`: it finds what goes wrong, shows the shortest way there, and can be believed."""

from __future__ import annotations

import itertools
import pickle
import random
import re

import pytest
import trio

from lambdacat_effects import (
    Effect,
    PlanTimeout,
    Sleep,
    ambient,
    attempt,
    effect,
    in_memory,
    parallel,
    race,
    recall,
    remember,
    timeout,
)
from lambdacat_effects.errors import (
    Deadlock,
    FaultInjected,
    InvalidArgument,
    NondeterminismError,
    SimulationFailure,
)
from lambdacat_effects.testing.simulation import Fault, Faults, explore, simulate
from lambdacat_effects.testing.simulation.schedules import Preemptions, Priorities, RandomWalk, Written


@effect
class Do(Effect[str]):
    what: str


def add(n: int):
    before = yield from recall("sum", "x", as_type=int)
    yield from remember("sum", "x", (before or 0) + n)


def lost_update():
    memory = in_memory()

    def plan():
        yield from parallel(*[add(1) for _ in range(5)])
        return (yield from recall("sum", "x", as_type=int))

    def check(report):
        assert 5 == report.value

    return plan(), memory, check


def failure(scenario, **how) -> SimulationFailure:
    with pytest.raises(SimulationFailure) as caught:
        explore(scenario, **{"seed": 1, **how})
    return caught.value


def do(*what: str):
    for one in what:
        yield from Do(one)


class TestFindings:
    def test_a_race_is_found_and_made_short(self):
        """One switch is enough to lose an update."""
        for seed in range(10):
            report = failure(lost_update, seed=seed).report
            assert 1 == len(report.schedule)
            assert [] == report.faults

    def test_a_plan_that_fails_is_a_failure(self):
        """Without any check."""

        def order(log, name):
            yield from Do(name)
            log.append(name)
            if log == ["b", "a"]:
                raise ZeroDivisionError

        def scenario():
            log = []
            return parallel(order(log, "a"), order(log, "b")), Do.by(lambda e: e.what)

        found = failure(scenario)
        assert isinstance(found.__cause__, ExceptionGroup)
        assert 1 == len(found.report.schedule)

    def test_a_deadline_that_passes_is_a_failure_unless_the_check_allows_it(self):
        """A check that looks at `report.error` decides; one that does not, does not hide it."""
        plan = lambda: timeout(5, Do("a"))  # noqa: E731
        handlers = Do.by(lambda e: e.what)
        assert isinstance(failure(lambda: (plan(), handlers)).__cause__, PlanTimeout)
        assert isinstance(failure(lambda: (plan(), handlers, lambda report: None)).__cause__, PlanTimeout)

        def allows(report):
            assert report.error is None or isinstance(report.error, PlanTimeout)

        assert 100 == explore(lambda: (plan(), handlers, allows), runs=100, seed=1).runs

    def test_injected_faults_are_no_failure(self):
        """Nor what is raised from one, nor a group of them; anything else is."""

        def wrapping():
            try:
                yield from Do("a")
            except ConnectionError as error:
                raise ValueError("no answer") from error

        def hiding():
            try:
                yield from Do("a")
            except ConnectionError:
                raise ValueError("no answer") from None

        handlers = Do.by(lambda e: e.what)
        faults = Faults(fail=0.5)
        explore(lambda: (parallel(do("a"), do("b")), handlers), runs=100, seed=1, faults=faults)
        explore(lambda: (wrapping(), handlers), runs=100, seed=1, faults=faults)
        found = failure(lambda: (hiding(), handlers), runs=100, faults=faults)
        assert isinstance(found.__cause__, ValueError)
        assert ["fail"] == [fault.kind for fault in found.report.faults]

    def test_a_deadlock_is_found(self):
        """Two branches that take two locks in opposite orders."""

        def scenario():
            locks = {name: trio.Lock() for name in "ab"}

            async def lock(e):
                name = e.what
                if name.isupper():
                    locks[name.lower()].release()
                else:
                    await locks[name].acquire()
                return name

            return parallel(do("a", "b", "B", "A"), do("b", "a", "A", "B")), Do.by(lock)

        found = failure(scenario)
        assert isinstance(found.__cause__, (Deadlock, ExceptionGroup))

    def test_faults_are_made_few_and_small(self):
        """Of many faults and long delays, the one that matters, as short as will do."""

        def scenario():
            done = []

            def plan():
                yield from parallel(*[attempt(do(f"{i}.{j}" for j in range(4))) for i in range(1)])
                for i in range(6):
                    yield from attempt(Do(str(i)))
                yield from attempt(timeout(4.5, do("slow")))

            def act(e):
                done.append(e.what)
                return ""

            def check(report):
                assert "slow" in done

            return plan(), Do.by(act), check

        faults = Faults(fail=0.2, delay=0.3, seconds=100.0)
        found = failure(scenario, faults=faults)
        kinds = [(f.kind, f.seconds) for f in found.report.faults]
        assert len(kinds) + len(found.report.schedule) == 1
        assert kinds in ([("fail", 1.0)], [("delay", 10.0)], [])

    def test_values_become_smaller(self):
        """A delay of 10 s does what one of 73.1 s did."""

        def scenario():
            plan = timeout(4.5, do("slow"))
            return plan, Do.by(lambda e: e.what)

        def certain():
            plan, handlers = scenario()
            return plan, handlers, lambda report: None

        found = failure(certain, faults=Fault("delay", seconds=73.1), runs=1)
        assert [10.0] == [f.seconds for f in found.report.faults]


class TestMessages:
    def test_what_it_says(self):
        """Seed, version, fingerprint, steps, and a line to paste."""
        from lambdacat_effects import __version__

        found = failure(lost_update, seed=42)
        said = str(found)
        assert "assert 5 == report.value" in said
        assert f"lambdacat_effects {__version__}" in said
        assert f"fingerprint {found.report.fingerprint}" in said
        assert "seed 42, run " in said
        assert "shortened to 1 switch and 0 faults" in said
        assert re.search(r"> +\d+ +plan/1/\d +branch \d begins +<- instead of plan/1/\d/\d", said)
        assert "Recall(namespace='sum', key='x'" in said
        assert 42 == found.seed

    def test_the_line_repeats_it(self):
        """Pasted into a test, it fails in the same way."""

        def scenario():
            plan, handlers, check = lost_update()
            return (
                parallel(plan, attempt(Do("a"))),
                handlers | Do.by(lambda e: e.what),
                lambda r: check_one(r, check),
            )

        def check_one(report, check):
            assert 5 == report.value[0]

        for faults in (None, Faults(lost_reply=0.1, on=Do)):
            said = str(failure(scenario, faults=faults))
            (line,) = [text.strip() for text in said.splitlines() if text.strip().startswith("simulate(")]
            with pytest.raises(AssertionError):
                eval(line, {"simulate": simulate, "scenario": scenario, "Fault": Fault})

    def test_the_line_repeats_a_fault(self):
        """With its path."""

        def once():
            done = []

            def plan():
                while True:
                    try:
                        return (yield from Do("pay"))
                    except ConnectionError:
                        yield from Sleep(1)

            def check(report):
                assert len(done) <= 1

            return plan(), Do.by(lambda e: done.append(e.what)), check

        said = str(failure(once, faults=Faults(lost_reply=0.2)))
        line = "simulate(once, schedule={}, faults=[Fault('lost_reply', path=('plan', 1))])"
        assert line in said
        assert "!     1  plan/1  Do(what='pay')  (lost_reply)" in said
        with pytest.raises(AssertionError):
            eval(line, {"simulate": simulate, "once": once, "Fault": Fault})

    def test_long_runs_are_cut(self):
        """What lies far from the switches is left out."""

        def scenario():
            plan, handlers, check = lost_update()

            def long():
                yield from do(*["x"] * 300)
                return (yield from plan)

            return long(), handlers | Do.by(lambda e: e.what), check

        said = str(failure(scenario))
        assert re.search(r"\.\.\. \d{3} more steps", said)
        assert len(said.splitlines()) < 60

    def test_it_can_be_sent_to_another_process(self):
        """As pytest-xdist does."""
        found = failure(lost_update)
        assert str(found) == str(pickle.loads(pickle.dumps(found)))


class TestRuns:
    def test_what_was_seen(self):
        """Runs, how many differed, and steps."""
        seen = explore(
            lambda: (parallel(do("a"), do("b"), do("c")), Do.by(lambda e: e.what)), runs=200, seed=1
        )
        assert (1, 200) == (seen.seed, seen.runs)
        assert 50 < seen.distinct <= 200
        assert 200 * 8 == seen.steps

    def test_the_same_seed_sees_the_same(self):
        """Also the same failure."""
        assert str(failure(lost_update, seed=9)) == str(failure(lost_update, seed=9))

    def test_seeds_differ_by_themselves(self):
        """Without a seed each exploration has its own."""
        scenario = lambda: (do("a"), Do.by(lambda e: e.what))  # noqa: E731
        assert 3 == len({explore(scenario, runs=1).seed for _ in range(3)})

    def test_the_environment_wins(self, monkeypatch):
        """So that CI can look longer, and a failure there be repeated here."""
        monkeypatch.setenv("LAMBDACAT_RUNS", "7")
        monkeypatch.setenv("LAMBDACAT_SEED", "123")
        seen = explore(lambda: (do("a"), Do.by(lambda e: e.what)), runs=3, seed=1)
        assert (123, 7) == (seen.seed, seen.runs)
        monkeypatch.setenv("LAMBDACAT_SEED", "nightly")
        assert "nightly" == explore(lambda: (do("a"), Do.by(lambda e: e.what))).seed

    @pytest.mark.parametrize("runs", ["0", "many", "-1"])
    def test_a_wrong_environment_is_told(self, monkeypatch, runs):
        """By the variable's name."""
        monkeypatch.setenv("LAMBDACAT_RUNS", runs)
        with pytest.raises(InvalidArgument, match="LAMBDACAT_RUNS"):
            explore(lambda: (do("a"), ambient))

    @pytest.mark.parametrize("runs", [0, -1, 1.5, True])
    def test_wrong_runs_are_told(self, runs):
        """At least one."""
        with pytest.raises(InvalidArgument, match="at least 1"):
            explore(lambda: (do("a"), ambient), runs=runs)

    def test_every_fifth_run_is_without_chance_faults(self):
        """So that what needs none is found without one; certain faults happen in all."""
        seen = []

        def scenario(certain=False):
            def check(report):
                seen.append(len(report.faults))
                assert report.error is None or isinstance(report.error, FaultInjected)

            return do("a"), Do.by(lambda e: e.what), check

        explore(scenario, runs=40, seed=1, faults=Faults(fail=0.999999))
        assert [0] * 8 == seen[4::5]
        assert 32 == sum(seen)
        seen.clear()
        explore(scenario, runs=40, seed=1, faults=Fault("fail"))
        assert [1] * 40 == seen


class TestNondeterminism:
    def test_a_failure_that_does_not_repeat_itself_is_told(self):
        """With the first step that differs."""

        def scenario():
            def plan():
                yield from Do(str(random.random()))
                raise ZeroDivisionError

            return plan(), Do.by(lambda e: e.what)

        with pytest.raises(
            NondeterminismError, match=r"at step 1: plan/1 Do\(what='0\.\d+'\), and then plan/1 Do"
        ):
            explore(scenario)

    def test_state_from_an_earlier_run_is_told(self):
        """The scenario has to make it anew."""
        left = []

        def scenario():
            def plan():
                left.append(1)
                for _ in left:
                    yield from Do("a")
                raise ZeroDivisionError

            return plan(), Do.by(lambda e: e.what)

        with pytest.raises(NondeterminismError, match="in its length: 2 steps, and then 3"):
            explore(scenario, runs=1)

    def test_an_end_that_does_not_repeat_itself_is_told(self):
        """The same steps, and another answer."""
        answers = itertools.count()

        def scenario():
            def check(report):
                assert report.value != 0

            return do("a"), Do.by(lambda e: e.what), lambda report: check_first(next(answers))

        def check_first(n):
            assert n > 0

        with pytest.raises(NondeterminismError, match="only in how it ended"):
            explore(scenario, runs=1)


TASKS = [("p", 1, i) for i in range(4)]


class TestSchedules:
    @pytest.mark.parametrize(
        "make",
        [
            RandomWalk,
            lambda seed: Priorities(seed, changes=2, steps=20),
            lambda seed: Preemptions(seed, count=3, steps=20),
            lambda seed: Written({seed % 20: 3}),
        ],
        ids=["walk", "priorities", "preemptions", "written"],
    )
    def test_choices_are_within_range_and_repeat_themselves(self, make):
        """For any number of tasks, with and without a timer."""
        for seed in range(30):
            told = []
            for _ in range(2):
                schedule, drawn, picks = make(seed), random.Random(seed), []
                for step in range(40):
                    tasks = drawn.sample(TASKS, drawn.randint(1, 4))
                    clock = drawn.random() < 0.5
                    if schedule.lets_go(step) or drawn.random() < 0.5:
                        picks.append(schedule.pick(step, tasks, clock, drawn.random() < 0.5))
                        assert 0 <= picks[-1] < len(tasks) + clock
                told.append(picks)
            assert told[0] == told[1]

    def test_preemptions_are_few(self):
        """At most as many as they say."""
        for seed in range(20):
            schedule = Preemptions(seed, count=2, steps=50)
            assert sum(schedule.pick(step, TASKS, False, True) > 0 for step in range(100)) <= 2

    def test_priorities_run_one_task_until_it_ends(self):
        """Between the changes."""
        schedule = Priorities(1, changes=0, steps=50)
        picks = {TASKS[schedule.pick(step, TASKS, False, True)] for step in range(50)}
        assert 1 == len(picks)

    def test_who_races_may_win(self):
        """All of five branches do, in some run."""
        winners = set()

        def leg(name):
            yield from do(name, name)
            return name

        def scenario():
            plan = race(*[leg(c) for c in "abcde"])
            return plan, Do.by(lambda e: e.what), lambda report: winners.add(report.value)

        explore(scenario, runs=200, seed=1)
        assert set("abcde") == winners
