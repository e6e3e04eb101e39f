"""The plan DSL: plans as values, compiled to generators, rendered, and chosen between.

::

    nodes.py        the nodes, and the one traversal that all interpretations share
    builders.py     task, sequence, parallel, choose, focus, loop_while, ...
    actions.py      the registry of what plans name
    merging.py      how the results of branches become one
    compiler.py     to generators, for every runtime
    kleisli.py      to arrows of a monad, for none
    selection.py    choose_best: plans compared by what they achieve
    rendering.py    Mermaid and text
"""

from lambdacat_effects.algebra.lens import lens
from lambdacat_effects.plan.actions import Action, Actions
from lambdacat_effects.plan.builders import (
    choose,
    fail_with,
    focus,
    loop_while,
    named,
    parallel,
    sequence,
    task,
)
from lambdacat_effects.plan.compiler import compile_plan
from lambdacat_effects.plan.kleisli import compile_to_kleisli
from lambdacat_effects.plan.merging import argmax, concat, first, last_wins, three_way_merge
from lambdacat_effects.plan.nodes import (
    Arrow,
    Choose,
    CustomNode,
    FailWith,
    Focus,
    ForeignNode,
    LoopWhile,
    Named,
    ParallelSpec,
    PlanLike,
    PlanNode,
    Sequence,
    Task,
)
from lambdacat_effects.plan.rendering import describe, to_mermaid
from lambdacat_effects.plan.selection import Best, choose_best

__all__ = [
    "Action",
    "Actions",
    "Arrow",
    "Best",
    "Choose",
    "CustomNode",
    "FailWith",
    "Focus",
    "ForeignNode",
    "LoopWhile",
    "Named",
    "ParallelSpec",
    "PlanLike",
    "PlanNode",
    "Sequence",
    "Task",
    "argmax",
    "choose",
    "choose_best",
    "compile_plan",
    "compile_to_kleisli",
    "concat",
    "describe",
    "fail_with",
    "first",
    "focus",
    "last_wins",
    "lens",
    "loop_while",
    "named",
    "parallel",
    "sequence",
    "task",
    "three_way_merge",
    "to_mermaid",
]
