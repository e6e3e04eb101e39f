"""Plans written for LambdaCat: its nodes, its actions, its choosers and aggregates, and its order of arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pytest

from lambdacat_effects import ambient
from lambdacat_effects.errors import InvalidArgument, UnknownAction
from lambdacat_effects.plan import Actions, argmax, compile_plan, concat, describe, first, parallel, sequence

State = TypeVar("State")
Ctx = TypeVar("Ctx")


# As in LambdaCat's own module.


@dataclass(frozen=True)
class Task(Generic[State, Ctx]):
    name: str


@dataclass(frozen=True)
class Sequence(Generic[State, Ctx]):
    items: tuple[Any, ...]


@dataclass(frozen=True)
class Parallel(Generic[State, Ctx]):
    items: tuple[Any, ...]


@dataclass(frozen=True)
class Choose(Generic[State, Ctx]):
    items: tuple[Any, ...]


@dataclass(frozen=True)
class Lens:
    get: Callable[[Any], Any]
    set: Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Focus(Generic[State, Ctx]):
    lens: Lens
    inner: Any


@dataclass(frozen=True)
class LoopWhile(Generic[State, Ctx]):
    predicate: Callable[[Any], bool]
    body: Any


def denoise(x: str) -> str:
    return x.replace("~", "")


def edges(x: str, ctx: Any | None = None) -> str:
    return f"{x}|{ctx or 'edges'}"


async def segment(x: str) -> str:
    return x + "#seg"


async def merge(x: str, ctx: Any) -> str:
    return f"{x}&{ctx}"


def failing(x: str, ctx: Any = None) -> str:
    raise ValueError(x)


IMPLEMENTATION = {"denoise": denoise, "edges": edges, "segment": segment, "merge": merge, "failing": failing}
FIRST_WORD = Lens(lambda s: s.split(" ")[0], lambda s, word: " ".join([word, *s.split(" ")[1:]]))


def run(plan: Any, state: Any, ctx: Any = None, **rules: Any) -> Any:
    return ambient.run_pure(compile_plan(IMPLEMENTATION, plan, ctx, **rules)(state))


def test_its_actions_run_unchanged_with_and_without_a_context_sync_and_async() -> None:
    """`f(x)`, `f(x, ctx)`."""
    plan = Sequence(tuple(map(Task, ("denoise", "edges", "segment", "merge"))))
    assert "a|edges#seg&None" == run(plan, "~a")
    assert "a|C#seg&C" == run(plan, "~a", "C")


def test_its_parallel_takes_the_aggregate_of_the_compilation() -> None:
    """In the order of the branches."""
    plan = Parallel((Task("edges"), Task("segment")))
    assert "x|edges, x#seg" == run(plan, "x", aggregate_fn=concat(", "))
    assert "x" == run(Parallel(()), "x")


def test_its_choose_takes_the_chooser_of_the_compilation() -> None:
    """All run, and one result is picked; without a chooser, the first that succeeds."""
    plan = Choose((Task("denoise"), Task("edges")))
    assert "x" == run(plan, "x", choose_fn=first())
    assert "x|edges" == run(plan, "x", choose_fn=argmax(len))
    assert "x#seg" == run(Choose((Task("failing"), Task("segment"), Task("edges"))), "x")


def test_a_choice_inside_a_choice_is_chosen_by_the_chooser_too() -> None:
    """Rules of the compilation hold for every node without one."""
    inner = Choose((Task("edges"), Task("denoise")))
    assert "x|edges" == run(Choose((inner, Task("denoise"))), "x", choose_fn=argmax(len))


def test_a_rule_of_the_node_goes_before_the_rule_of_the_compilation() -> None:
    """The nearer one knows better."""
    plan = parallel("edges", "denoise", combine="".join)
    assert "x|edgesx" == run(plan, "x", aggregate_fn=concat(", "))


def test_its_focus_and_its_lens() -> None:
    """Any object with get and set."""
    assert "a|edges ~b" == run(Focus(FIRST_WORD, Sequence((Task("denoise"), Task("edges")))), "~a ~b")


def test_its_loop() -> None:
    """While the predicate holds."""
    assert "x#seg#seg" == run(LoopWhile(lambda s: len(s) < 8, Task("segment")), "x")


def test_nodes_of_both_kinds_mix() -> None:
    """A plan can be moved over one node at a time."""
    plan = sequence(Task("denoise"), parallel(Sequence((Task("edges"),)), "segment", combine="".join))
    assert "x|edgesx#seg" == run(plan, "~x")


def test_the_plan_may_come_first_or_the_implementation() -> None:
    """A mapping or a registry is never a plan."""
    plan = Task("denoise")
    for program in (compile_plan(plan, IMPLEMENTATION), compile_plan(Actions.of(IMPLEMENTATION), plan)):
        assert "x" == ambient.run_pure(program("~x"))


def test_deep_plans_of_its_nodes_compile() -> None:
    """They are read where they are met."""
    plan: Any = Task("denoise")
    for _ in range(2000):
        plan = Sequence((plan,))
    assert "x" == run(plan, "~x")


def test_what_its_plans_get_wrong_is_found_when_they_are_compiled() -> None:
    """An empty choice; an unknown name; a node of no known kind."""

    @dataclass(frozen=True)
    class Elsewhere:
        items: tuple[Any, ...]

    with pytest.raises(InvalidArgument, match="choose"):
        compile_plan(IMPLEMENTATION, Choose(()))
    with pytest.raises(UnknownAction, match="did you mean 'denoise'"):
        compile_plan(IMPLEMENTATION, Sequence((Task("denoize"),)))
    with pytest.raises(InvalidArgument, match="is no plan"):
        compile_plan(IMPLEMENTATION, Elsewhere(()))


def test_its_plans_are_described_as_ours() -> None:
    """And so rendered."""
    assert "sequence\n  a\n  parallel\n    b" == describe(Sequence((Task("a"), Parallel((Task("b"),)))))
