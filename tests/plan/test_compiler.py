"""The compiler: what each node means, what is refused before anything runs, and what deep and long plans cost."""

import time
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from lambdacat_effects import (
    ALL,
    FIRST_COMPLETED,
    N_BEST,
    QUORUM,
    SETTLE,
    Branch,
    Log,
    Sleep,
    Span,
    Started,
    ambient,
)
from lambdacat_effects.algebra import LIST, STRING, identity, key
from lambdacat_effects.errors import (
    InvalidArgument,
    LensMismatch,
    MergeConflict,
    NoneSucceeded,
    PlanTimeout,
    UnknownAction,
)
from lambdacat_effects.plan import (
    Actions,
    ParallelSpec,
    argmax,
    choose,
    compile_plan,
    fail_with,
    focus,
    lens,
    loop_while,
    named,
    parallel,
    sequence,
    task,
)


def boom(state: Any) -> Any:
    raise ValueError("boom")


def after(seconds: float, key: str = "done") -> Any:
    """An action that waits, and then says so."""

    def waiting(state: Any) -> Any:
        yield from Sleep(seconds)
        return {**state, key: seconds}

    return waiting


def put(key: str, value: Any = 1) -> Any:
    return lambda state: {**state, key: value}


def run(plan: Any, state: Any, actions: Any = None, **settings: Any) -> Any:
    return ambient.run_pure(compile_plan(plan, actions, **settings)(state))


def names(plan: Any, state: Any, actions: Any = None) -> list[str]:
    """The spans of a run, in the order they began."""
    events: list[Any] = []
    ambient.run_pure(compile_plan(plan, actions)(state), listen=events.append)
    return [e.what.name for e in events if isinstance(e, Started) and isinstance(e.what, Span)]


def test_the_example_of_the_design_runs() -> None:
    """Names, a policy, a deadline, a combiner and a lens; on Trio and without it."""

    def merge(results: Any) -> Any:
        return {**results[0], "found": [r["found"] for r in results]}

    async def web(state: Any) -> Any:
        await trio.sleep(1)
        return {**state, "found": "page"}

    def papers(state: Any, ctx: Any = None) -> Any:
        yield from Sleep(1.5)
        return {**state, "found": "paper"}

    actions = (
        Actions.empty()
        .register("parse", lambda s: {**s, "question": s["question"].strip()}, inline=True)
        .register("web", web)
        .register("papers", papers)
        .register("write", lambda memory: [*memory, "asked"], inline=True)
    )
    plan = sequence(
        "parse",
        parallel("web", "papers", policy=ALL, timeout_s=2.0, combine=merge),
        focus(key("memory"), "write"),
    )
    program = compile_plan(plan, actions)
    expected = {"question": "why?", "memory": ["asked"], "found": ["page", "paper"]}
    start = {"question": " why? ", "memory": []}
    assert expected == trio.run(ambient.run, program(start), clock=MockClock(autojump_threshold=0))


# Sequences and tasks.


def test_a_sequence_hands_each_state_on_and_empty_it_is_the_identity() -> None:
    """Left to right."""
    assert "AB!" == run(sequence(str.strip, str.upper, lambda s: s + "!"), " ab ")
    assert "s" == run(sequence(), "s")
    assert "s" == run(sequence(sequence(), sequence(sequence())), "s")


def test_a_program_runs_as_often_as_it_is_called() -> None:
    """It is compiled once, and holds no state of a run."""
    program = compile_plan(loop_while(lambda n: n < 10, lambda n: n + 3))
    assert [10, 12, 20] == [ambient.run_pure(program(n)) for n in (1, 0, 20)]


def test_every_task_is_a_span_and_so_is_what_is_named() -> None:
    """Reports say per task how long it took."""
    actions = Actions.of({"a": dict, "b": dict})
    plan = sequence("a", named("gather", parallel("a", task(dict, name="c"))), choose("b"))
    assert ["a", "gather", "a", "c", "b"] == names(plan, {}, actions)


def test_runs_and_branches_are_called_by_their_task() -> None:
    """In events, and so in timelines."""
    events: list[Any] = []
    plan = parallel(task(dict, name="web"), sequence(dict, dict), named("x", parallel()))
    ambient.run_pure(compile_plan(plan)({}), listen=events.append)
    branches = [e.what.name for e in events if isinstance(e, Started) and isinstance(e.what, Branch)]
    assert ["web", "sequence", "x"] == branches
    assert "parallel" == events[0].path[0]


# Branches.


def test_branches_start_from_one_state_and_their_changes_merge() -> None:
    """Whatever their order."""
    assert {"s": 0, "a": 1, "b": 1} == run(parallel(put("a"), put("b")), {"s": 0})
    assert {"s": 0} == run(parallel(), {"s": 0})


def test_a_conflict_names_the_key_and_the_tasks() -> None:
    """So that its author knows what to decide."""
    plan = parallel(task(put("a", 1), name="web"), dict, task(put("a", 2), name="papers"))
    with pytest.raises(MergeConflict, match=r"the branches 'web' and 'papers' changed state\['a'\]"):
        run(plan, {})
    some = parallel(task(put("a", 1), name="web"), boom, task(put("a", 2), name="papers"), policy=QUORUM, n=2)
    with pytest.raises(MergeConflict, match=r"'web' and 'papers'"):
        run(some, {})


@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        (STRING, "abac"),
        ("-".join, "ab-ac"),
        (lambda results: results[1], "ac"),
        (lambda results, state: state + "|" + "".join(results), "a|abac"),
        (lambda results, sep="+": sep.join(results), "ab+ac"),
        (max, "ac"),
    ],
)
def test_a_combiner_takes_the_results_in_order_and_the_common_state_if_it_wants_it(
    combine: Any, expected: Any
) -> None:
    """A function of one or two arguments, or a monoid."""
    plan = parallel(lambda s: s + "b", lambda s: s + "c", combine=combine)
    assert expected == run(plan, "a")


def test_a_combiner_may_ask_the_world() -> None:
    """A generator function performs effects; an async function is awaited."""

    def merging(results: Any) -> Any:
        yield from Log("merging")
        return results

    async def waiting(results: Any) -> Any:
        return results[::-1]

    assert ["a", "b"] == run(parallel(lambda _: "a", lambda _: "b", combine=merging), "")
    assert ["b", "a"] == run(parallel(lambda _: "a", lambda _: "b", combine=waiting), "")


def test_the_first_to_succeed_answers_with_its_state() -> None:
    """A failed branch is out of the race."""
    plan = parallel(boom, after(2), after(1), policy=FIRST_COMPLETED)
    assert {"done": 2} == run(plan, {})  # without an event loop the order is the declared one
    assert {"done": 1} == trio.run(ambient.run, compile_plan(plan)({}), clock=MockClock(autojump_threshold=0))


def test_the_best_are_combined_best_first() -> None:
    """One of them, unless `n_best` says more."""
    branches = [lambda _: "a", lambda _: "ccc", boom, lambda _: "bb"]
    assert "ccc" == run(parallel(*branches, policy=N_BEST, score=len), "")
    assert ["ccc", "bb"] == run(parallel(*branches, policy=N_BEST, n_best=2, score=len, combine=list), "")


def test_a_quorum_combines_the_first_to_succeed_in_declared_order() -> None:
    """The rest is cancelled."""
    plan = parallel(after(3, "a"), after(1, "b"), after(2, "c"), policy=QUORUM, n=2)
    assert {"b": 1, "c": 2} == trio.run(
        ambient.run, compile_plan(plan)({}), clock=MockClock(autojump_threshold=0)
    )


def on_trio(plan: Any, state: Any) -> Any:
    return trio.run(ambient.run, compile_plan(plan)(state), clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("run", [run, on_trio])
def test_deadlines_are_those_of_the_policy(run: Any) -> None:
    """They raise, or go on with what has finished."""
    slow = (after(1, "a"), after(9, "b"))
    with pytest.raises(PlanTimeout):
        run(parallel(*slow, timeout_s=2), {})
    with pytest.raises(PlanTimeout):
        run(parallel(*slow, policy=QUORUM, n=2, timeout_s=2), {})
    assert {"a": 1} == run(parallel(*slow, timeout_s=2, partial=True), {})
    assert {} == run(parallel(*slow, timeout_s=0.5, partial=True), {})
    assert {"a": 1} == run(parallel(*slow, policy=N_BEST, n_best=2, score=len, timeout_s=2), {})
    with pytest.raises(PlanTimeout, match=r"no branch had ended after 0\.5 s"):
        run(parallel(*slow, policy=N_BEST, score=len, timeout_s=0.5), {})


def test_failed_branches_are_a_group() -> None:
    """As in `lambdacat_effects.parallel`."""
    with pytest.raises(ExceptionGroup, match="1 of 2 branches failed") as caught:
        run(parallel(dict, boom), {})
    assert ValueError is type(caught.value.exceptions[0])


def test_a_parallel_spec_is_a_plan() -> None:
    """What `parallel` makes, spelt out; by position in LambdaCat's order."""
    spec = ParallelSpec(("a", "b"), N_BEST, 1, 2.0, score=len)
    assert parallel("a", "b", policy=N_BEST, n_best=1, timeout_s=2.0, score=len) == spec
    assert {"a": 1, "b": 1} == run(sequence(ParallelSpec((put("a"), put("b")))), {})


# Alternatives.


def test_ordered_choice_is_the_first_that_succeeds() -> None:
    """What comes after it is not begun."""
    begun: list[str] = []
    plan = choose(boom, lambda s: s + 1, begun.append)
    assert 2 == run(plan, 1)
    assert [] == begun


@pytest.mark.parametrize(
    "plan", [choose("b", choose("c", "d")), choose(choose("b", "c"), "d"), choose("b", "c", "d")]
)
def test_ordered_choice_is_associative_in_its_failures_too(plan: Any) -> None:
    """One group, one failure for each alternative, in declared order."""

    def failing(name: str) -> Any:
        def fail(_: Any) -> Any:
            raise ValueError(name)

        return fail

    with pytest.raises(NoneSucceeded, match="3 of 3") as caught:
        run(plan, 0, {name: failing(name) for name in "bcd"})
    assert ["b", "c", "d"] == [str(e) for e in caught.value.exceptions]


def test_failing_is_the_identity_of_choice() -> None:
    """On either side."""
    no = fail_with(KeyError("no"))
    assert 2 == run(choose(no, lambda n: n + 1), 1) == run(choose(lambda n: n + 1, no), 1)
    with pytest.raises(KeyError):
        run(sequence(no, boom), 1)


def test_one_error_raised_in_many_runs_does_not_grow() -> None:
    """Its traceback is that of the last run."""
    error = KeyError("no")
    program = compile_plan(fail_with(error))
    lengths = set()
    for _ in range(5):
        with pytest.raises(KeyError):
            ambient.run_pure(program(0))
        tb, length = error.__traceback__, 0
        while tb is not None:
            tb, length = tb.tb_next, length + 1
        lengths.add(length)
    assert 1 == len(lengths)


@pytest.mark.parametrize("settings", [{}, {"by": len}])
def test_a_mistake_is_no_failure_of_an_alternative(settings: Any) -> None:
    """Trying the next one would only hide it."""

    def mistaken(state: Any) -> Any:
        raise InvalidArgument("mend me")

    with pytest.raises(InvalidArgument, match="mend me"):
        run(choose(mistaken, str, **settings), "s")


def test_a_chooser_picks_among_the_results_that_there_are() -> None:
    """By score, ties to the first, or by index; a failed alternative has no result."""
    plans = (boom, lambda s: s + "bb", lambda s: s + "cc", lambda s: s + "d")
    assert "abb" == run(choose(*plans, by=len), "a")
    assert "acc" == run(choose(*plans, choose_fn=lambda results: results.index("acc")), "a")
    assert "ad" == run(choose(*plans, choose_fn=argmax(lambda s: -len(s))), "a")
    with pytest.raises(NoneSucceeded):
        run(choose(boom, boom, by=len), "a")


def test_a_chooser_may_ask_the_world() -> None:
    """A model that judges is a generator function."""

    def judge(results: Any) -> Any:
        yield from Log("judging")
        return 1

    assert "b" == run(choose(lambda _: "a", lambda _: "b", choose_fn=judge), "")


@pytest.mark.parametrize("index", [2, -1, "0", None])
def test_a_chooser_answers_with_an_index(index: Any) -> None:
    """Anything else is a mistake in the chooser."""
    with pytest.raises(InvalidArgument, match="by its index"):
        run(choose(str, str, choose_fn=lambda _: index), "a")


# Focus and loops.


def test_focus_works_on_a_part_and_keeps_the_rest() -> None:
    """With a lens, a path of lenses, or any object with get and set."""
    state = {"a": {"n": 1}, "b": 2}
    assert {"a": {"n": 2}, "b": 2} == run(focus(key("a") >> key("n"), lambda n: n + 1), state)
    swapped = lens(lambda s: s[0], lambda s, a: (a, s[1]))
    assert (2, 5) == run(focus(swapped, lambda n: n + 1), (1, 5))


def test_a_lens_that_does_not_fit_says_so() -> None:
    """In terms of the lens, not of a KeyError somewhere."""
    with pytest.raises(LensMismatch):
        run(focus(key("missing"), dict), {})


def test_loops_end_when_the_predicate_fails_or_the_limit_is_reached() -> None:
    """And answer with the state they have reached."""
    assert 8 == run(loop_while(lambda n: n < 5, lambda n: n * 2), 1)
    assert 4 == run(loop_while(lambda n: True, lambda n: n * 2, 2), 1)
    assert 1 == run(loop_while(lambda n: True, boom, 0), 1)


def test_a_predicate_may_ask_the_world() -> None:
    """A generator function performs effects; an async function is awaited."""

    def judge(n: int) -> Any:
        yield from Log("judging")
        return n < 5

    async def waiting(n: int) -> bool:
        return n < 5

    assert [8, 8] == [run(loop_while(test, lambda n: n * 2), 1) for test in (judge, waiting)]


# Custom nodes.


class Retry:
    label = "retry"

    def __init__(self, plan: Any, times: int) -> None:
        self.children = (plan,)
        self.times = times

    def compile(self, compile_inner: Any) -> Any:
        return compile_inner(choose(*self.children * self.times))


def test_a_custom_node_is_a_plan_like_any_other() -> None:
    """Inside builders, and with plans inside; under the same actions."""
    left = [2]

    def flaky(n: int) -> int:
        left[0] -= 1
        if left[0]:
            raise ValueError("again")
        return n + 1

    assert 3 == run(
        sequence(Retry("flaky", 3), focus(identity, Retry("one", 1))),
        1,
        {"flaky": flaky, "one": lambda n: n + 1},
    )
    with pytest.raises(UnknownAction):
        compile_plan(Retry("flaky", 1))


def test_a_custom_node_has_to_compile_to_a_function() -> None:
    """Found when the plan is compiled."""

    class Broken:
        def compile(self, compile_inner: Any) -> Any:
            return 3

    with pytest.raises(InvalidArgument, match=r"Broken compiled to 3"):
        compile_plan(Broken())  # type: ignore[arg-type]


# What is refused before anything runs.


@pytest.mark.parametrize(
    "build",
    [
        lambda: choose(),
        lambda: choose("a", by=len, choose_fn=len),
        lambda: choose("a", by=3),  # type: ignore[arg-type]
        lambda: parallel("a", timeout_s=-1),
        lambda: parallel("a", timeout_s=float("nan")),
        lambda: parallel("a", policy=N_BEST, n_best=2, score=len),
        lambda: parallel("a", policy=N_BEST, n_best=0, score=len),
        lambda: parallel("a", policy=N_BEST),
        lambda: parallel("a", policy=QUORUM),
        lambda: parallel("a", policy=QUORUM, n=2),
        lambda: parallel("a", policy=QUORUM, n=True),
        lambda: parallel("a", policy=SETTLE),
        lambda: parallel("a", policy="ALL"),  # type: ignore[arg-type]
        lambda: parallel("a", n_best=1),
        lambda: parallel("a", n=1),
        lambda: parallel("a", score=len),
        lambda: parallel("a", partial=True),
        lambda: parallel("a", policy=QUORUM, n=1, timeout_s=1, partial=True),
        lambda: parallel("a", combine=3),  # type: ignore[arg-type]
        lambda: parallel("a", policy=FIRST_COMPLETED, combine=LIST),
        lambda: parallel(policy=FIRST_COMPLETED),
        lambda: loop_while(3, "a"),  # type: ignore[arg-type]
        lambda: loop_while(bool, "a", -1),
        lambda: focus(3, "a"),
        lambda: fail_with("no"),  # type: ignore[arg-type]
        lambda: named("", "a"),
        lambda: task(""),
        lambda: task("a", name="b"),
        lambda: task(3),  # type: ignore[arg-type]
        lambda: sequence(3),  # type: ignore[arg-type]
        lambda: sequence(None),  # type: ignore[arg-type]
        lambda: sequence(Sleep(1)),  # type: ignore[arg-type]
        lambda: sequence(after(1)({})),
        lambda: sequence(Retry),
        lambda: compile_plan("a", 3),  # type: ignore[arg-type]
        lambda: compile_plan(None),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_work_is_refused_where_it_is_written(build: Any) -> None:
    """With a message that says what to do instead."""
    with pytest.raises(InvalidArgument) as caught:
        build()
    assert len(str(caught.value)) > 30


# Size.


def test_plans_may_be_nested_deeper_than_python() -> None:
    """Neither compiling nor running takes a frame for each level."""
    plan: Any = lambda n: n + 1  # noqa: E731
    for _ in range(1500):
        plan = sequence(focus(identity, choose(loop_while(lambda n: n < 1, plan))))
    assert 1 == run(plan, 0)
    assert 1 == trio.run(ambient.run, compile_plan(plan)(0))


def test_ten_thousand_steps_are_a_flat_loop_however_they_are_grouped() -> None:
    """Nested sequences are one."""
    actions = Actions.empty().register("inc", lambda n: n + 1, inline=True)
    assert 10_000 == run(sequence(*["inc"] * 10_000), 0, actions)
    nested: Any = "inc"
    for _ in range(1999):
        nested = sequence(nested, "inc")
    assert 2000 == run(nested, 0, actions)


def test_a_trivial_inline_task_costs_microseconds() -> None:
    """5 are the budget, on a quiet machine; here the best of many runs may take four times that."""
    program = compile_plan(
        sequence(*["inc"] * 200), Actions.empty().register("inc", lambda n: n + 1, inline=True)
    )
    best = float("inf")
    for _ in range(30):
        began = time.perf_counter()
        trio.run(ambient.run, program(0))
        best = min(best, time.perf_counter() - began)
    assert best / 200 < 20e-6


def test_the_default_policy_is_all() -> None:
    """Fail fast."""
    assert ALL is parallel("a").policy
