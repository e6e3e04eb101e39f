"""Faults: what a simulation does to effects, chosen by probability, effect, path or step."""

from __future__ import annotations

import pytest

from lambdacat_effects import (
    Effect,
    Err,
    Now,
    Recall,
    Remember,
    Sleep,
    ambient,
    attempt,
    call_tools,
    effect,
    in_memory,
    log,
    parallel,
    recall,
    remember,
    shielded,
    tool,
)
from lambdacat_effects.errors import FaultInjected, InvalidArgument
from lambdacat_effects.testing.simulation import Crash, Fault, Faults, Resumed, simulate


@effect
class Send(Effect[int]):
    text: str


class Post:
    """A world that counts what arrives."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.handlers = Send.by(self.send)

    def send(self, effect: Send) -> int:
        self.sent.append(effect.text)
        return len(self.sent)


def sending(text: str = "hello"):
    def plan():
        return (yield from Send(text))

    return plan()


def run(post: Post, faults, plan=None, **how):
    return simulate(lambda: (plan or sending(), post.handlers), faults=faults, **how)


class TestKinds:
    def test_fail(self):
        """It did not happen, and raises where it was asked."""
        post = Post()
        report = run(post, Fault("fail"))
        assert isinstance(report.error, FaultInjected)
        assert isinstance(report.error, ConnectionError)
        assert [] == post.sent
        assert "did not happen" in str(report.error)

    def test_lost_reply(self):
        """It happened, and raises where it was asked."""
        post = Post()
        report = run(post, Fault("lost_reply"))
        assert isinstance(report.error, FaultInjected)
        assert ["hello"] == post.sent

    def test_delay(self):
        """It happens later, by the run's clock."""
        post = Post()
        report = run(post, Fault("delay", seconds=7.5))
        assert (1, 7.5) == (report.value, report.time)

    def test_duplicate(self):
        """It happens twice, and the first answer counts."""
        post = Post()
        report = run(post, Fault("duplicate"))
        assert 1 == report.value
        assert ["hello", "hello"] == post.sent

    def test_the_failure_of_a_duplicate_is_nobodys(self):
        """Nobody waits for the second answer."""
        answers = iter([1])
        plan = sending()
        report = simulate(lambda: (plan, Send.by(lambda e: next(answers))), faults=Fault("duplicate"))
        assert 1 == report.value

    def test_crash(self):
        """The process is gone: nothing happens after it, though Python runs `finally`."""
        post = Post()

        def plan():
            try:
                yield from attempt(Send("a"))
            finally:
                yield from shielded(Send("b"))

        report = run(post, Fault("crash", on=Send("a")), plan())
        assert isinstance(report.error, Crash)
        assert not isinstance(report.error, Exception)
        assert [] == post.sent

    def test_crash_ends_all_branches(self):
        """Whatever they were doing, and it is no group."""
        post = Post()
        report = run(post, Fault("crash", on=Send("c")), parallel(*[sending(c) for c in "abcd"]), schedule={})
        assert isinstance(report.error, Crash)
        assert ["a", "b"] == post.sent

    def test_an_error_of_ones_own(self):
        """An exception, or its class."""
        for error in (KeyError("x"), KeyError):
            assert isinstance(run(Post(), Fault("lost_reply", error=error)).error, KeyError)

    def test_faults_are_in_the_trace_and_in_the_report(self):
        """As they happened, with the exact path, so that they can be given again."""
        report = run(Post(), Faults(fail=1.0))
        (turn,) = [turn for turn in report.trace if turn.fault]
        assert (1, ("plan", 1), Send("hello"), Fault("fail", path=("plan", 1))) == tuple(turn)
        assert [Fault("fail", path=("plan", 1))] == report.faults
        again = run(Post(), report.faults, schedule=report.schedule)
        assert report.trace == again.trace

    def test_interposers_meet_them(self):
        """A fault befalls the handler, so a retry in front of it sees it, and each try has a chance of its own."""

        def retrying(send):
            for _ in range(3):
                try:
                    return (yield from send)
                except ConnectionError:
                    yield from Sleep(1)

        post = Post()
        handlers = post.handlers.behind(retrying)
        report = simulate(lambda: (sending(), handlers), faults=Fault("lost_reply", path=("plan", 1, 1)))
        assert 2 == report.value
        assert ["hello", "hello"] == post.sent
        everywhere = simulate(lambda: (sending(), handlers), faults=Fault("lost_reply", path=("plan", 1)))
        assert everywhere.value is None


class TestWhere:
    def plan(self):
        yield from attempt(Send("a"))
        yield from attempt(recall("x", "y", as_type=int))
        yield from attempt(remember("x", "y", 1))
        yield from attempt(Send("b"))
        yield from Now()
        yield from log("done")

    def hit(self, faults, **how):
        report = simulate(lambda: (self.plan(), Post().handlers | in_memory()), faults=faults, **how)
        return [turn.effect for turn in report.trace if turn.fault]

    def test_by_effect_class(self):
        """And by its base classes."""
        assert [Send("a"), Send("b")] == self.hit(Fault("fail", on=Send))

    def test_by_effect(self):
        """A value."""
        assert [Send("b")] == self.hit(Fault("fail", on=Send("b")))

    def test_by_tool(self):
        """A tool's calls."""

        @tool(inline=True)
        def one() -> int:
            return 1

        @tool(inline=True)
        def two() -> int:
            return 2

        plan = parallel(attempt(one()), attempt(two()))
        report = simulate(lambda: (plan, call_tools(one, two)), faults=Fault("fail", on=two))
        assert [two()] == [turn.effect for turn in report.trace if turn.fault]

    def test_by_path(self):
        """That of an effect, or of what is around it."""
        assert [remember("x", "y", 1)] == self.hit(Fault("fail", path=("plan", 6)))
        assert 4 == len(self.hit(Fault("fail", path=("plan",))))

    def test_by_step(self):
        """The number in the trace."""
        assert [Send("a")] == self.hit(Fault("fail", step=1))

    def test_all_that_is_given_must_fit(self):
        """Step and class."""
        assert [] == self.hit(Fault("fail", step=1, on=Recall))

    def test_the_world_alone_by_default(self):
        """Time, chance and notes do not fail by themselves."""
        assert [Send, Recall, Remember, Send] == [type(e) for e in self.hit(Faults(fail=1.0))]

    def test_time_may_fail_where_it_is_named(self):
        """An explicit fault befalls what it names."""
        report = simulate(lambda: (attempt(Sleep(1)), ambient), faults=Fault("lost_reply", on=Sleep))
        assert (True, 1.0) == (isinstance(report.value, Err), report.time)

    def test_by_probability(self):
        """About as often as it says, drawn by path: a seed's faults do not depend on its schedule."""
        hits = sum(len(self.hit(Faults(fail=0.25), seed=seed)) for seed in range(250))
        assert 200 < hits < 300
        branches = lambda: (parallel(*[attempt(sending(c)) for c in "abcdef"]), Post().handlers)  # noqa: E731
        half = Faults(fail=0.5)
        told = [simulate(branches, seed=1, faults=half), simulate(branches, seed=1, faults=half, schedule={})]
        assert {f.path for f in told[0].faults} == {f.path for f in told[1].faults} != set()

    def test_a_delay_is_drawn_up_to_the_longest(self):
        """And it is given again as it was."""
        report = run(Post(), Faults(delay=1.0, seconds=20.0), seed=5)
        (fault,) = report.faults
        assert fault.seconds == report.time
        assert 0 <= report.time <= 20

    def test_kinds_by_probability_together(self):
        """The first that happens counts."""
        kinds = {
            f.kind
            for s in range(200)
            for f in run(Post(), Faults(fail=0.3, lost_reply=0.3, duplicate=0.3), seed=s).faults
        }
        assert {"fail", "lost_reply", "duplicate"} == kinds


class TestBadArguments:
    @pytest.mark.parametrize(
        "make",
        [
            lambda: Fault("explode"),
            lambda: Fault("fail", probability=2),
            lambda: Fault("delay", seconds=-1),
            lambda: Fault("delay", seconds=float("inf")),
            lambda: Fault("fail", error=3),
            lambda: Fault("fail", on=int),
            lambda: Faults(fail=-0.1),
            lambda: Faults(fail="often"),
            lambda: simulate(lambda: (Now(), ambient), faults="fail"),
            lambda: simulate(lambda: (Now(), ambient), faults={"fail": 0.1}),
            lambda: simulate(lambda: (Now(), ambient), faults=[3]),
        ],
    )
    def test_they_are_told(self, make):
        """Before anything runs."""
        with pytest.raises(InvalidArgument):
            make()

    def test_a_fault_reads_as_it_is_written(self):
        """So that a failure can be pasted."""
        fault = Fault("delay", path=("a", 1, "b"), seconds=2.5)
        assert "Fault('delay', path=('a', 1, 'b'), seconds=2.5)" == repr(fault)
        assert fault == eval(repr(fault))
        assert "Fault('fail', on=Resumed)".replace("Resumed", "Send") == repr(Fault("fail", on=Send))
        assert Resumed(Send("a")) != Send("a")
