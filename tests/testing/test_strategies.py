"""Random programs, plans, states, schedules and faults are what they claim to be, and shrink to what people read."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from lambdacat_effects import (
    ALL,
    QUORUM,
    Effect,
    Err,
    Ok,
    Recall,
    Remember,
    ambient,
    attempt,
    effect,
    in_memory,
    recall,
    remember,
)
from lambdacat_effects.errors import InvalidArgument, NoneSucceeded, UnhandledEffect
from lambdacat_effects.plan import Choose, FailWith, LoopWhile, ParallelSpec, compile_plan
from lambdacat_effects.plan.traversal import fold
from lambdacat_effects.testing.simulation import Fault, simulate
from lambdacat_effects.testing.strategies import (
    COMBINATORS,
    DICT_ACTIONS,
    UNTIMED,
    Program,
    dsl_plans,
    faults,
    programs,
    schedules,
    seeds,
    states,
)

quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
once = settings(deadline=None, max_examples=500, database=None, derandomize=True, report_multiple_bugs=False)


@effect
class Ask(Effect[int]):
    question: str


ASKS = st.builds(Ask, st.sampled_from("abc"))
ANSWERED = programs(ASKS, answers=st.integers(0, 9), errors=st.just(OSError("down")))
STEADY = programs(ASKS, answers=st.integers(0, 9), combinators=UNTIMED)


def comparable(end: Any) -> Any:
    """An ending with errors as what they say, since they are equal to nobody else."""
    if isinstance(end, BaseExceptionGroup):
        return type(end).__name__, [comparable(e) for e in end.exceptions]
    if isinstance(end, BaseException):
        return repr(end)
    if isinstance(end, (tuple, list)):
        return [comparable(part) for part in end]
    if isinstance(end, (Ok, Err)):
        return type(end).__name__, comparable(end.value if isinstance(end, Ok) else end.error)
    return end


def purely(program: Program) -> Any:
    return comparable(program.handler().run_pure(attempt(program.plan())))


def on_trio(program: Program) -> Any:
    clock = MockClock(autojump_threshold=0)
    return comparable(trio.run(program.handler().run, attempt(program.plan()), clock=clock))


# Programs.


@given(ANSWERED)
@quick
def test_a_program_is_the_expression_it_shows(program: Program) -> None:
    """Its `repr` makes an equal one, but for the identity of errors."""
    names = {"Program": Program, "Ask": Ask, "OSError": OSError}
    assert repr(program) == repr(eval(repr(program), names))


@given(ANSWERED)
@quick
def test_a_program_makes_the_same_plan_again_and_again(program: Program) -> None:
    """A plan runs once; a recipe makes as many as are needed, and they end in the same way."""
    assert purely(program) == purely(program)


@given(STEADY)
@quick
def test_one_program_under_many_runners(program: Program) -> None:
    """Without timing and failures it answers the same everywhere."""
    pure = purely(program)
    assert pure == on_trio(program)
    for seed in range(3):
        report = simulate(lambda: (attempt(program.plan()), program.handler()), seed=seed)
        assert pure == comparable(report.value)


def test_a_timed_program_may_differ() -> None:
    """The comparison above would notice, as soon as timing decides."""

    def differs(program: Program) -> bool:
        runs = [
            simulate(lambda: (attempt(program.plan()), program.handler()), seed=seed) for seed in range(5)
        ]
        return len({repr(comparable(run.value)) for run in runs}) > 1

    found = find(programs(ASKS, answers=st.integers(0, 9)), differs, settings=once)
    assert found.kind in COMBINATORS


@pytest.mark.parametrize("kind", COMBINATORS)
def test_every_combinator_is_drawn(kind: str) -> None:
    """And shrinks to the smallest program that has it."""
    found = find(ANSWERED, lambda program: program.kind == kind, settings=once)
    most = 2 if kind == "cleanup" else 1
    assert len(found.parts) <= most
    assert kind == found.kind


@given(programs(ASKS, combinators=["in_turn", "race"], errors=st.just(ValueError("no"))))
@quick
def test_other_combinators_are_left_out(program: Program) -> None:
    """`combinators=` is all there is, and without "timeout" nothing has a deadline."""
    kinds = {part.kind for part in program.walk()}
    assert kinds <= {"in_turn", "race", "perform", "sleep", "fail"}
    assert "timeout" not in repr(program)


@pytest.mark.parametrize(
    "wanted",
    [
        lambda p: "timeout=" in repr(p) and "partial=True" in repr(p),
        lambda p: p.kind == "hedge" and dict(p.settings)["copies"] == 3,
        lambda p: p.kind == "for_each" and dict(p.settings)["limit"] == 2,
        lambda p: p.kind == "quorum" and dict(p.settings)["n"] == 2,
        lambda p: p.kind == "cleanup" and not dict(p.settings)["shield"],
        lambda p: len([*p.walk()]) > 8,
    ],
)
def test_settings_vary(wanted: Any) -> None:
    """Deadlines, copies, limits and numbers are drawn, too."""
    assert wanted(find(ANSWERED, wanted, settings=settings(once, phases=[Phase.generate])))


@given(ANSWERED)
@quick
def test_effects_are_those_of_the_leaves(program: Program) -> None:
    """In the order they are written."""
    assert [word[1] for word in repr(program).split("Ask(question=")[1:]] == [
        e.question for e in program.effects
    ]


def test_answers_may_depend_on_the_effect() -> None:
    """A function from the effect to a strategy; exceptions are raised."""
    asked = programs(ASKS, answers=lambda ask: st.just(OSError(ask.question)), combinators=["attempt"])
    found = find(asked, lambda program: len(program.parts) == 1 and program.effects, settings=once)
    assert ("Err", "OSError('a')") == comparable(found.handler().run_pure(found.plan()))


def test_equal_effects_have_one_answer() -> None:
    """The first that is written, whatever the order in which they are performed."""
    two = Program(
        "parallel",
        Program("perform", effect=Ask("a"), answer=1),
        Program("perform", effect=Ask("a"), answer=2),
    )
    assert (1, 1) == two.handler().run_pure(two.plan())


def test_an_effect_without_an_answer_is_unhandled() -> None:
    """It is not answered with None."""
    mixed = Program(
        "in_turn", Program("perform", effect=Ask("a"), answer=1), Program("perform", effect=Ask("b"))
    )
    with pytest.raises(UnhandledEffect, match="Ask"):
        mixed.handler().run_pure(mixed.plan())


def test_programs_run_under_handlers_of_ones_own() -> None:
    """`answers=` is optional: the alphabet is the user's, and so is its meaning."""
    keys = st.sampled_from("xy")
    memory = st.builds(lambda key: remember("n", key, 1), keys) | st.builds(
        lambda key: recall("n", key, as_type=int), keys
    )

    @given(programs(memory, combinators=["in_turn", "attempt", "span"]))
    @quick
    def check(program: Program) -> None:
        assert all(isinstance(e, (Remember, Recall)) for e in program.effects)
        assert purely_in(in_memory(), program) == purely_in(in_memory(), program)

    check()


def purely_in(handlers: Any, program: Program) -> Any:
    return comparable(handlers.run_pure(program.plan()))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Program("rase"), "a program is one of"),
        (lambda: Program("sleep"), "seconds"),
        (lambda: Program("sleep", second=1), "second"),
        (lambda: Program("attempt"), "0 parts"),
        (lambda: Program("race", Ask("a")), "programs"),
        (lambda: programs(ASKS, combinators=["rase"]), "rase"),
        (lambda: programs(ASKS, combinators="race"), "collection"),
        (lambda: programs(answers=st.none()), "effects"),
        (lambda: schedules(steps=0), "steps"),
        (lambda: faults(kinds=["explode"]), "explode"),
        (lambda: faults(kinds=[]), "kinds"),
        (lambda: faults(steps=0), "steps"),
        (lambda: dsl_plans([]), "actions"),
        (lambda: dsl_plans("inc"), "actions"),
    ],
)
def test_mistakes_are_told_at_once(make: Any, says: str) -> None:
    """Before anything is drawn."""
    with pytest.raises(InvalidArgument, match=says):
        make()


# Plans of the DSL.


@given(dsl_plans(), states())
@quick
def test_sample_actions_fit_every_state(plan: Any, state: dict[str, Any]) -> None:
    """They fail as they mean to and in no other way."""
    result = ambient.run_pure(attempt(compile_plan(plan, DICT_ACTIONS)(state)))
    errors = [] if isinstance(result, Ok) else leaves(result.error)
    assert all(isinstance(e, ValueError) for e in errors)


def leaves(error: BaseException) -> list[BaseException]:
    return (
        [x for e in error.exceptions for x in leaves(e)] if isinstance(error, BaseExceptionGroup) else [error]
    )


@given(dsl_plans(["a"], errors=[KeyError("no")], failing=False))
@quick
def test_plans_that_do_not_fail_as_a_whole(plan: Any) -> None:
    """Only a first alternative fails, so that the choice goes on."""

    def alternatives_first(node: Any, inner: list[Any]) -> Any:
        if isinstance(node, Choose):
            assert isinstance(node.items[0], FailWith)
            assert not isinstance(node.items[1], FailWith)
        elif not isinstance(node, FailWith):
            assert not any(isinstance(item, FailWith) for item in getattr(node, "items", ()))
        return node

    fold(plan, alternatives_first)
    assert ambient.run_pure(compile_plan(plan, {"a": lambda n: n})(1)) == 1


def test_failing_plans_fail() -> None:
    """With `failing`, the default, an error may be anywhere."""
    doomed = dsl_plans(["a"], errors=[KeyError("no")])

    def fails(plan: Any) -> bool:
        return not isinstance(ambient.run_pure(attempt(compile_plan(plan, {"a": str})(1))), Ok)

    assert isinstance(find(doomed, fails, settings=once), FailWith)


@pytest.mark.parametrize(
    "wanted",
    [
        lambda p: isinstance(p, ParallelSpec) and p.timeout_s == 2 and p.partial,
        lambda p: isinstance(p, ParallelSpec) and p.policy is QUORUM and p.n == 2,
        lambda p: isinstance(p, Choose) and p.by is len,
        lambda p: isinstance(p, LoopWhile) and p.max_iterations == 3,
    ],
)
def test_nodes_that_need_something_are_drawn_when_it_is_given(wanted: Any) -> None:
    """And are not otherwise."""
    rich = dsl_plans(["a"], scores=[len], predicates=[bool], timeouts=[2])
    assert wanted(find(rich, wanted, settings=once))
    plain = dsl_plans(["a"], policies=[ALL])

    @given(plain)
    @quick
    def check(plan: Any) -> None:
        assert not wanted(plan)

    check()


# States, schedules, seeds, faults.


@given(schedules(steps=5, choices=2, max_switches=3))
@quick
def test_schedules_are_in_range(schedule: dict[int, int]) -> None:
    """Steps from 0, choices from 1, so that every entry departs from the plainest run."""
    assert len(schedule) <= 3
    assert all(step in range(5) and choice in (1, 2) for step, choice in schedule.items())


@given(states(keys=st.sampled_from("ab"), values=st.integers()))
@quick
def test_states_of_ones_own(state: dict[str, Any]) -> None:
    """Keys and values may be given."""
    assert {*state} <= {"a", "b"}
    assert all(isinstance(value, int) for value in state.values())


@pytest.mark.filterwarnings(
    "ignore::lambdacat_effects.errors.StaleSchedule"
)  # drawn for no plan in particular
@given(seeds(), schedules(), faults(kinds=["fail", "delay"], on=[Ask]))
@quick
def test_whatever_is_drawn_can_be_simulated(seed: int, schedule: dict[int, int], some: list[Fault]) -> None:
    """A run by seed and one by schedule, each twice the same."""

    def scenario() -> Any:
        program = Program("race", *[Program("perform", effect=Ask(q), answer=1) for q in "abc"])
        return attempt(program.plan()), program.handler()

    for how in ({"seed": seed}, {"schedule": schedule}):
        one, other = [simulate(scenario, faults=some, **how) for _ in range(2)]
        assert one.trace == other.trace
    assert {fault.kind for fault in some} <= {"fail", "delay"}


def test_without_hypothesis_the_error_says_what_to_install() -> None:
    """And it is an import error, as those are that `pytest.importorskip` expects."""
    code = """
import sys
sys.modules["hypothesis"] = None
try:
    import lambdacat_effects.testing.strategies
except ModuleNotFoundError as error:
    print(type(error).__name__, error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("HypothesisMissing")
    assert "pip install hypothesis" in run.stdout


def test_choices_without_failures_do_not_fail() -> None:
    """The mutant of `failing=False`: with errors anywhere a choice may fail as a whole."""
    anywhere = dsl_plans(["a"], errors=[KeyError("no")])

    def fails(plan: Any) -> bool:
        outcome = ambient.run_pure(attempt(compile_plan(plan, {"a": str})(1)))
        return not isinstance(outcome, Ok) and isinstance(outcome.error, NoneSucceeded)

    assert isinstance(find(anywhere, fails, settings=once), Choose)
