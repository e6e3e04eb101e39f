"""Plans in a monad: the same plan, interpreted as pure arrows, agrees with the interpretation by handlers."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from random_plans import CTX, PLAIN, START, plans, shape

from lambdacat_effects import FIRST_COMPLETED, N_BEST, QUORUM, Err, Ok, Sleep, ambient
from lambdacat_effects.algebra import (
    IDENTITY,
    LIST,
    NOTHING,
    OPTION,
    RESULT,
    STATE,
    Kleisli,
    Some,
    State,
    Writer,
    identity,
    key,
    writer_monad,
)
from lambdacat_effects.errors import InvalidArgument, NoneSucceeded
from lambdacat_effects.plan import (
    Actions,
    choose,
    compile_plan,
    compile_to_kleisli,
    fail_with,
    focus,
    loop_while,
    named,
    parallel,
    sequence,
)

thorough = settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.too_slow])
RANDOM = plans(PLAIN.names)


def boom(state: Any) -> Any:
    raise ValueError("boom")


def by_handlers(plan: Any) -> Any:
    try:
        return ambient.run_pure(compile_plan(plan, PLAIN, CTX)(START))
    except Exception as error:
        return shape(error)


@given(RANDOM)
@thorough
def test_result_agrees_with_the_handlers(plan: Any) -> None:
    """`Ok` of what a run answers, `Err` of what it raises, groups included."""
    outcome = compile_to_kleisli(plan, PLAIN, RESULT, CTX).run(START)
    expected = by_handlers(plan)
    assert expected == (outcome.value if isinstance(outcome, Ok) else shape(outcome.error))


@given(RANDOM)
@thorough
def test_option_agrees_with_the_handlers_on_what_succeeds(plan: Any) -> None:
    """`Some` where a run answers, `NOTHING` where it raises."""
    outcome = compile_to_kleisli(plan, PLAIN, OPTION, CTX).run(START)
    expected = by_handlers(plan)
    assert outcome == (Some(expected) if isinstance(expected, dict) else NOTHING)


@given(plans({"inc_a", "double_b"}, failing=False).filter(lambda p: "FailWith" not in repr(p)))
@settings(thorough, max_examples=60)
def test_monads_without_failures_agree_on_plans_that_do_not_fail(plan: Any) -> None:
    """`IDENTITY`, `Writer` and `State`."""
    expected = by_handlers(plan)
    assert expected == compile_to_kleisli(plan, PLAIN, IDENTITY, CTX).run(START)
    assert expected == compile_to_kleisli(plan, PLAIN, writer_monad(LIST), CTX).run(START).value
    assert (expected, "hidden") == compile_to_kleisli(plan, PLAIN, STATE, CTX).run(START).run("hidden")


def test_what_an_action_raises_passes_through_a_monad_without_failures() -> None:
    """There is nothing to turn it into."""
    with pytest.raises(ValueError, match="boom"):
        compile_to_kleisli(boom, None, IDENTITY).run(0)


def test_monadic_actions_write_logs() -> None:
    """A `Writer` collects them through sequences, branches, loops and lenses."""
    writer = writer_monad(LIST)

    def logged(n: int) -> Any:
        return Writer(n + 1, [n], LIST)

    actions = Actions.empty().register("inc", logged, monadic=True).register("double", lambda n: n * 2)

    def run(plan: Any, state: Any = 1) -> Any:
        step = compile_to_kleisli(plan, actions, writer).run(state)
        return step.value, step.log

    assert (4, [1]) == run(sequence("inc", "double"))
    assert ([2, 2, 2], [1, 1]) == run(parallel("inc", "double", "inc", combine=list))
    assert (4, [1, 2, 3]) == run(loop_while(lambda n: n < 4, "inc"))
    assert ({"n": 2}, [1]) == run(focus(key("n"), "inc"), {"n": 1})
    assert (2, [1]) == run(choose("inc", "double"))
    assert (2, [1]) == run(choose("inc", "double", by=abs))
    assert (2, [1]) == run(named("part", "inc"))


def test_monadic_actions_thread_a_state() -> None:
    """`State` runs its steps later, and in order."""

    def counted(n: int) -> Any:
        return State(lambda count: (n + count, count + 1))

    actions = Actions.empty().register("count", counted, monadic=True)
    plan = sequence("count", loop_while(lambda n: n < 10, "count"), parallel("count", "count", combine=sum))
    # 0+0, 0+1, 1+2, 3+3, 6+4, then 10+5 and 10+6
    assert (31, 7) == compile_to_kleisli(plan, actions, STATE).run(0).run(0)


def test_monadic_actions_may_fail_as_values() -> None:
    """An `Err` that is returned and an exception that is raised are one."""
    actions = Actions.empty().register("no", lambda s: Err(ValueError("no")), monadic=True)
    actions = actions.register("raise", boom, monadic=True).register("yes", Ok, monadic=True)
    assert Ok(1) == compile_to_kleisli(choose("no", "raise", "yes"), actions, RESULT).run(1)
    outcome = compile_to_kleisli(parallel("yes", "no"), actions, RESULT).run(1)
    assert ("ExceptionGroup", ["ValueError"]) == shape(outcome.error)


def test_a_monadic_action_has_to_answer_with_a_step_of_the_monad() -> None:
    """And has no meaning for handlers."""
    actions = Actions.empty().register("it", lambda s: s, monadic=True)
    with pytest.raises(InvalidArgument):
        compile_to_kleisli("it", actions, RESULT).run(1)
    with pytest.raises(InvalidArgument, match="compile_to_kleisli"):
        compile_plan("it", actions)


def test_failures_are_the_exceptions_of_the_handlers() -> None:
    """With the same messages, so that either can stand for the other."""
    failing = [
        parallel(boom, str, boom),
        parallel(boom, boom, policy=FIRST_COMPLETED),
        parallel(boom, boom, policy=N_BEST, score=len),
        parallel(boom, str, boom, policy=QUORUM, n=2),
        choose(boom, choose(boom, fail_with(KeyError()))),
        choose(boom, boom),
        choose(boom, boom, by=len),
    ]
    for plan in failing:
        with pytest.raises(ExceptionGroup) as caught:
            ambient.run_pure(compile_plan(plan)(1))
        assert str(caught.value) == str(compile_to_kleisli(plan, None, RESULT).run(1).error)
    assert NoneSucceeded is type(compile_to_kleisli(failing[-1], None, RESULT).run(1).error)


def test_mistakes_are_raised_and_never_a_value() -> None:
    """`Misuse` is no outcome."""
    with pytest.raises(InvalidArgument, match="by its index"):
        compile_to_kleisli(choose(str, choose_fn=lambda _: 7), None, RESULT).run(1)


@pytest.mark.parametrize("monad", [IDENTITY, RESULT, OPTION, writer_monad(LIST)])
def test_long_loops_and_sequences_need_no_stack(monad: Any) -> None:
    """Strict monads are iterated."""
    inc = Actions.of({"inc": lambda n: n + 1})
    step = compile_to_kleisli(loop_while(lambda n: n < 5000, "inc"), inc, monad).run(0)
    assert monad.pure(5000) == step
    assert monad.pure(5000) == compile_to_kleisli(sequence(*["inc"] * 5000), inc, monad).run(0)


def test_long_loops_need_no_stack_in_a_lazy_monad_either() -> None:
    """`State` runs continuations in a loop."""
    inc = Actions.of({"inc": lambda n: n + 1})
    step = compile_to_kleisli(loop_while(lambda n: n < 5000, "inc"), inc, STATE).run(0)
    assert (5000, "s") == step.run("s") == step.run("s")
    assert (3, "s") == compile_to_kleisli(loop_while(lambda n: True, "inc", 3), inc, STATE).run(0).run("s")
    assert (5000, "s") == compile_to_kleisli(sequence(*["inc"] * 5000), inc, STATE).run(0).run("s")


async def fetch(state: Any) -> Any:
    return state


def research(state: Any) -> Any:
    yield from Sleep(1)
    return state


class Custom:
    def compile(self, compile_inner: Any) -> Any:
        return compile_inner(str)


@pytest.mark.parametrize(
    "plan",
    [
        fetch,
        research,
        loop_while(fetch, str),
        choose(str, choose_fn=research),
        parallel(str, combine=research),
        sequence(focus(identity, fetch)),
        Custom(),
    ],
)
def test_what_can_only_be_performed_is_refused(plan: Any) -> None:
    """A monad calls plain functions."""
    with pytest.raises(InvalidArgument, match="compile_plan"):
        compile_to_kleisli(plan, None, RESULT)


def test_the_arrow_composes_with_others_of_its_monad() -> None:
    """It is an ordinary `Kleisli`, and the implementation may come first."""
    arrow = compile_to_kleisli({"inc_a": lambda n: n + 1}, sequence("inc_a"), RESULT)
    assert Ok("2") == (arrow >> Kleisli.lift(RESULT, str)).run(1)
    assert Ok(1) == compile_to_kleisli(sequence(), None, RESULT).run(1)
