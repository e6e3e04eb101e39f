"""The one traversal that all interpretations of plans share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Sequence as SequenceOf
from typing import TypeVar

from lambdacat_effects.plan.nodes import (
    Choose,
    Focus,
    LoopWhile,
    Named,
    ParallelSpec,
    PlanLike,
    PlanNode,
    Sequence,
    as_node,
    native,
)

__all__ = ["children", "fold", "walk"]

R = TypeVar("R")


def children(node: PlanNode) -> SequenceOf[PlanNode]:
    """The plans directly inside a node. None of a custom node, which compiles its own."""
    match node:
        case Sequence() | Choose():
            return node.items
        case ParallelSpec():
            return node.branches
        case Focus() | Named():
            return (node.inner,)
        case LoopWhile():
            return (node.body,)
        case _:
            return ()


def fold(
    plan: PlanLike,
    build: Callable[[PlanNode, list[R]], R],
    inside: Callable[[PlanNode], SequenceOf[PlanNode]] = children,
) -> R:
    """What `build` makes of a plan, given what it made of the plans inside: bottom up, left to right.

    Every interpretation of plans (compiling, rendering) is such a fold. It takes no stack: plans may be nested to
    any depth. Raises `InvalidArgument` for something that is no plan.

    >>> from lambdacat_effects.plan import parallel, sequence
    >>> fold(sequence("a", parallel("b", "c")), lambda node, inner: 1 + sum(inner))
    5
    """
    results: list[R] = []
    todo: list[tuple[PlanNode, int | None]] = [(as_node(plan), None)]
    while todo:
        node, count = todo.pop()
        if count is None:
            node = native(node)
            parts = inside(node)
            todo.append((node, len(parts)))
            todo.extend([(part, None) for part in reversed(parts)])
        else:
            first = len(results) - count
            built = build(node, results[first:])
            del results[first:]
            results.append(built)
    return results[0]


def walk(
    plan: PlanLike, inside: Callable[[PlanNode], SequenceOf[PlanNode]] = children
) -> Iterator[tuple[int, PlanNode]]:
    """Every node with its depth: each before those inside it, left to right.

    >>> from lambdacat_effects.plan import sequence
    >>> [(depth, type(node).__name__) for depth, node in walk(sequence("a", "b"))]
    [(0, 'Sequence'), (1, 'Task'), (1, 'Task')]
    """
    todo: list[tuple[int, PlanNode]] = [(0, as_node(plan))]
    while todo:
        depth, node = todo.pop()
        node = native(node)
        yield depth, node
        todo.extend([(depth + 1, part) for part in reversed(inside(node))])
