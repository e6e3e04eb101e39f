"""The compiled plan and the hand-written generator are equal in behaviour: for random plans, by result and trace."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_plans import ACTIONS, CTX, START, Trace, by_hand, plans, shape
from trio.testing import MockClock

from lambdacat_effects import ALL, N_BEST, ambient
from lambdacat_effects.plan import (
    Choose,
    Focus,
    LoopWhile,
    Named,
    ParallelSpec,
    Sequence,
    Task,
    choose,
    compile_plan,
    focus,
    loop_while,
    named,
    parallel,
    sequence,
)
from lambdacat_effects.plan.traversal import fold

EVERY_PLAN = plans(ACTIONS.names)
NEVER_FAILING = plans({*ACTIONS.names} - {"boom", "only_even"}, failing=False, policies=(ALL, N_BEST))

thorough = settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.too_slow])
Compile = Callable[[Any], Callable[[Any], Any]]


def compiled(plan: Any) -> Callable[[Any], Any]:
    return compile_plan(plan, ACTIONS, CTX)


def observed(plan: Any) -> Any:
    """How a plan ended without an event loop, and everything that it did."""
    trace = Trace()
    try:
        return ambient.run_pure(plan, listen=trace), trace.events
    except Exception as error:
        return shape(error), trace.events


def observed_on_trio(plan: Any) -> Any:
    trace = Trace()

    async def running() -> Any:
        return await ambient.run(plan, listen=trace)

    return trio.run(running, clock=MockClock(autojump_threshold=0)), trace.by_branch()


def check_equal(compile: Compile, plan: Any) -> None:
    assert observed(by_hand(plan, START)) == observed(compile(plan)(START))


@given(EVERY_PLAN)
@thorough
def test_a_compiled_plan_behaves_as_the_one_written_by_hand(plan: Any) -> None:
    """The same answer or error, after the same effects in the same order and branches."""
    check_equal(compiled, plan)


# Threads take real time, in which a virtual clock would run ahead, so here nothing blocks.
@given(plans({"inc_a", "swap", "note", "pause"}, failing=False, policies=(ALL, N_BEST)))
@settings(thorough, max_examples=80)
def test_on_trio_too(plan: Any) -> None:
    """The same answer, and in every branch the same effects in the same order."""
    assert observed_on_trio(by_hand(plan, START)) == observed_on_trio(compiled(plan)(START))


@given(NEVER_FAILING)
@settings(thorough, max_examples=25)
def test_on_trio_as_without_it(plan: Any) -> None:
    """An answer that does not depend on timing is the same under both, worker threads included."""
    pure, _ = observed(compiled(plan)(START))
    assert pure == trio.run(ambient.run, compiled(plan)(START), clock=MockClock(autojump_threshold=0.01))


@given(EVERY_PLAN)
@settings(thorough, max_examples=50)
def test_a_program_can_be_run_again(plan: Any) -> None:
    """Nothing of one run is left for the next."""
    program = compiled(plan)
    assert observed(program(START)) == observed(program(START))


@given(EVERY_PLAN, EVERY_PLAN, EVERY_PLAN)
@settings(thorough, max_examples=60)
def test_sequence_and_choice_are_associative_with_their_identities(p: Any, q: Any, r: Any) -> None:
    """However a plan is grouped, it does the same."""

    def same(left: Any, right: Any) -> None:
        assert observed(compiled(left)(START)) == observed(compiled(right)(START))

    same(sequence(p, sequence(q, r)), sequence(sequence(p, q), r))
    same(sequence(p, sequence()), p)
    same(sequence(sequence(), p), p)
    same(choose(p, choose(q, r)), choose(choose(p, q), r))


# Mutants: compilers with one mistake each, which the check above has to find.


def rewriting(rewrite: Callable[[Any, list[Any]], Any]) -> Compile:
    return lambda plan: compiled(fold(plan, rewrite))


def same_node(node: Any, inner: list[Any]) -> Any:
    match node:
        case Sequence():
            return sequence(*inner)
        case ParallelSpec():
            return ParallelSpec(
                tuple(inner), node.policy, node.n_best, n=node.n, score=node.score, combine=node.combine
            )
        case Choose():
            return Choose(tuple(inner), node.choose_fn, node.by)
        case Focus():
            return focus(node.lens, inner[0])
        case LoopWhile():
            return loop_while(node.predicate, inner[0], node.max_iterations)
        case Named():
            return named(node.name, inner[0])
        case _:
            return node


def backwards(node: Any, inner: list[Any]) -> Any:
    return same_node(node, inner[::-1] if isinstance(node, Sequence) else inner)


def skips_the_last_step(node: Any, inner: list[Any]) -> Any:
    return same_node(node, inner[:-1] if isinstance(node, Sequence) else inner)


def runs_branches_in_sequence(node: Any, inner: list[Any]) -> Any:
    plain = isinstance(node, ParallelSpec) and node.policy is ALL and node.combine is None
    return sequence(*inner) if plain else same_node(node, inner)


def forgets_the_combiner(node: Any, inner: list[Any]) -> Any:
    forgets = isinstance(node, ParallelSpec) and node.policy is ALL
    return parallel(*inner) if forgets else same_node(node, inner)


def prefers_the_last(node: Any, inner: list[Any]) -> Any:
    return same_node(node, inner[::-1] if isinstance(node, Choose) else inner)


def does_not_choose(node: Any, inner: list[Any]) -> Any:
    return inner[0] if isinstance(node, Choose) else same_node(node, inner)


def loops_once_less(node: Any, inner: list[Any]) -> Any:
    if isinstance(node, LoopWhile) and node.max_iterations:
        return loop_while(node.predicate, inner[0], node.max_iterations - 1)
    return same_node(node, inner)


def loops_regardless(node: Any, inner: list[Any]) -> Any:
    if isinstance(node, LoopWhile):
        return loop_while(lambda _: True, inner[0], node.max_iterations)
    return same_node(node, inner)


def forgets_the_lens(node: Any, inner: list[Any]) -> Any:
    return inner[0] if isinstance(node, Focus) else same_node(node, inner)


def forgets_the_span(node: Any, inner: list[Any]) -> Any:
    return inner[0] if isinstance(node, Named) else same_node(node, inner)


def swallows_failures(node: Any, inner: list[Any]) -> Any:
    return choose(node, sequence()) if isinstance(node, Task) else same_node(node, inner)


MUTANTS = [
    backwards,
    skips_the_last_step,
    runs_branches_in_sequence,
    forgets_the_combiner,
    prefers_the_last,
    does_not_choose,
    loops_once_less,
    loops_regardless,
    forgets_the_lens,
    forgets_the_span,
    swallows_failures,
]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_compiler_with_a_mistake_is_found_out(mutant: Any) -> None:
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
        check_equal(rewriting(mutant), plan)

    with pytest.raises(AssertionError):
        check()


@given(EVERY_PLAN)
@settings(thorough, max_examples=50)
def test_rewriting_as_such_changes_nothing(plan: Any) -> None:
    """It is the mistake that is found in a mutant, not the rewriting."""
    check_equal(rewriting(same_node), plan)


@given(st.lists(st.sampled_from(["inc_a", "double_b"]), max_size=5), st.integers(1, 5))
@settings(thorough, max_examples=30)
def test_grouping_a_sequence_changes_nothing(names: list[str], cut: int) -> None:
    """A sequence is its steps."""
    flat = sequence(*names)
    grouped = sequence(sequence(*names[:cut]), sequence(sequence(*names[cut:])))
    assert observed(compiled(flat)(START)) == observed(compiled(grouped)(START))
