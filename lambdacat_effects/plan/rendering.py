"""Plans as pictures and as text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence as SequenceOf
from typing import Any, NamedTuple, TypeAlias

from lambdacat_effects.plan.functions import function_name
from lambdacat_effects.plan.nodes import (
    Choose,
    FailWith,
    Focus,
    LoopWhile,
    Named,
    ParallelSpec,
    PlanLike,
    PlanNode,
    Sequence,
    Task,
    as_node,
)
from lambdacat_effects.plan.traversal import children, fold, walk

__all__ = ["describe", "to_mermaid"]


def describe(plan: PlanLike) -> str:
    """A plan as an indented tree, one line for each node. The end has no newline.

    >>> from lambdacat_effects.plan import parallel, sequence
    >>> print(describe(sequence("parse", parallel("web", "papers", timeout_s=2.0))))
    sequence
      parse
      parallel (2 s)
        web
        papers
    """
    # Names may have newlines; in a tree each node has one line.
    return "\n".join("  " * depth + " ".join(_title(node).split()) for depth, node in walk(plan, _children))


def to_mermaid(plan: PlanLike) -> str:
    """A plan as a Mermaid flowchart, for Markdown and https://mermaid.live. The same plan gives the same text.

    Tasks are boxes; `parallel` forks and joins; a choice is a diamond whose edges are numbered in the order of
    preference; a loop is a diamond with a way back; `focus`, `named` and custom nodes frame what is inside them.

    >>> from lambdacat_effects.plan import sequence
    >>> print(to_mermaid(sequence("parse", "write")))
    flowchart TD
        n0["parse"]
        n1["write"]
        n0 --> n1
    """
    drawn = fold(plan, _Drawing().draw, _children)
    return "\n".join(["flowchart TD", *("    " + line for line in _flat(drawn.lines))])


_Lines: TypeAlias = "SequenceOf[str | _Lines]"
"""Lines, nested as they were made, and made flat once: to copy them at each level would be quadratic."""


class _Drawn(NamedTuple):
    lines: _Lines
    first: str
    last: str


class _Drawing:
    def __init__(self) -> None:
        self.numbers = itertools.count()

    def draw(self, node: PlanNode, inner: list[_Drawn]) -> _Drawn:
        match node:
            case Sequence() if inner:
                links = [f"{a.last} --> {b.first}" for a, b in itertools.pairwise(inner)]
                return _Drawn([_lines(inner), links], inner[0].first, inner[-1].last)
            case Sequence():
                return self.box("([{}])", "nothing")
            case ParallelSpec():
                return self.branches("[/{}\\]", _title(node), "[\\{}/]", "join", inner, [""] * len(inner))
            case Choose():
                ordered = node.choose_fn is None and node.by is None
                marks = [f"|{i}|" for i in range(1, len(inner) + 1)] if ordered else [""] * len(inner)
                return self.branches("{{{}}}", _title(node), "(({}))", " ", inner, marks)
            case LoopWhile():
                test = self.box("{{{}}}", _title(node))
                body = inner[0]
                links = [f"{test.first} -->|yes| {body.first}", f"{body.last} --> {test.first}"]
                after = self.box("(({}))", " ")
                lines = [
                    *test.lines,
                    *body.lines,
                    *after.lines,
                    *links,
                    f"{test.first} -->|no| {after.first}",
                ]
                return _Drawn(lines, test.first, after.last)
            case FailWith():
                return self.box("[[{}]]", _title(node))
            case Task():
                return self.box("[{}]", _title(node))
            case _ if not inner:
                return self.box("[{}]", _title(node))
            case _:
                return self.frame(_title(node), inner)

    def box(self, shape: str, label: str) -> _Drawn:
        number = f"n{next(self.numbers)}"
        return _Drawn([number + shape.format(_label(label))], number, number)

    def branches(
        self, fork: str, title: str, join: str, joined: str, inner: list[_Drawn], marks: list[str]
    ) -> _Drawn:
        begin, end = self.box(fork, title), self.box(join, joined)
        links = [f"{begin.first} -->{mark} {part.first}" for mark, part in zip(marks, inner, strict=True)]
        links += [f"{part.last} --> {end.first}" for part in inner]
        # Without branches the two ends are still one flow.
        links = links or [f"{begin.first} --> {end.first}"]
        return _Drawn([begin.lines, _lines(inner), end.lines, links], begin.first, end.last)

    def frame(self, title: str, inner: list[_Drawn]) -> _Drawn:
        begin = f"subgraph n{next(self.numbers)}[{_label(title)}]"
        links = [f"{a.last} --> {b.first}" for a, b in itertools.pairwise(inner)]
        return _Drawn([begin, _lines(inner), links, "end"], inner[0].first, inner[-1].last)


def _lines(parts: list[_Drawn]) -> _Lines:
    return [part.lines for part in parts]


def _flat(lines: _Lines) -> list[str]:
    flat: list[str] = []
    todo: list[str | _Lines] = [lines]
    while todo:
        line = todo.pop()
        if isinstance(line, str):
            flat.append(line)
        else:
            todo.extend(reversed(line))
    return flat


def _children(node: PlanNode) -> SequenceOf[PlanNode]:
    """`children`, and those that a custom node shows."""
    shown: Any = getattr(node, "children", ())
    return children(node) or tuple(map(as_node, shown))


def _title(node: PlanNode) -> str:
    match node:
        case Task() | Named():
            return node.name
        case Sequence():
            return "sequence" if node.items else "sequence (nothing)"
        case ParallelSpec():
            return _parallel_title(node)
        case Choose():
            rule = node.by or node.choose_fn
            return "choose the first" if rule is None else f"choose by {function_name(rule)}"
        case Focus():
            return f"focus {node.lens!r}"
        case LoopWhile():
            most = "" if node.max_iterations is None else f", at most {node.max_iterations} times"
            return f"while {function_name(node.predicate)}{most}"
        case FailWith():
            return f"fail {type(node.error).__name__}: {node.error}"
        case _:
            return str(getattr(node, "label", None) or type(node).__name__)


def _parallel_title(spec: ParallelSpec) -> str:
    settings: list[str] = []
    if spec.policy.value != "all":
        count = spec.n or (spec.n_best or 1 if spec.score else None)
        settings.append(spec.policy.value if count is None else f"{spec.policy.value} {count}")
    if spec.timeout_s is not None:
        settings.append(f"{spec.timeout_s:g} s{', partial' if spec.partial else ''}")
    if spec.combine is not None:
        combine: object = spec.combine
        settings.append(f"combine {getattr(combine, 'name', None) or function_name(combine)}")
    return f"parallel ({', '.join(settings)})" if settings else "parallel"


# What Mermaid, HTML or Markdown might read as more than a character. A dot, dash or underscore within a word is safe,
# and far too frequent in names to be spelt as a number.
_UNSAFE = re.compile(r"(?<![^\W_])[._-]|[._-](?![^\W_])|[^\w ,:/=!?'.-]")


def _label(text: str) -> str:
    return f'"{_UNSAFE.sub(_escaped, text)}"'


def _escaped(unsafe: re.Match[str]) -> str:
    return "<br/>" if unsafe[0] == "\n" else f"#{ord(unsafe[0])};"
