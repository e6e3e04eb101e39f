"""How the results of branches become one: the three-way merge, and rules to give to `combine=` and `choose_fn=`.

The merge is lawful when, for every state `s`, results `a`, `b`, and rule `merge(base, results)`::

    merge(s, []) == s == merge(s, [s, s])               identity: nobody changed anything
    merge(s, [s, a]) == a == merge(s, [a, a])           neutral, idempotent: a change made twice is made once
    merge(s, [a, b]) == merge(s, [b, a])                commutative, where neither raises
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeAlias, TypeVar, cast

import attrs

from lambdacat_effects.algebra.monoid import Monoid
from lambdacat_effects.errors import InvalidArgument, MergeConflict, NoneSucceeded
from lambdacat_effects.plan.functions import takes_second
from lambdacat_effects.plan.nodes import Choose, ParallelSpec

__all__ = [
    "Combiner",
    "all_failed",
    "argmax",
    "best_index",
    "chooser_of",
    "chosen",
    "combiner_of",
    "concat",
    "first",
    "last_wins",
    "three_way_merge",
]

A = TypeVar("A")
S = TypeVar("S")


class _Absent(Enum):
    """No value under this key: what is merged where a key was added or deleted."""

    ABSENT = "ABSENT"


_ABSENT = _Absent.ABSENT

_Change: TypeAlias = tuple[str, Any]
"""The branch, and the value it has come to."""

_Place: TypeAlias = tuple[Any, ...]
"""The steps to a part of the state, by twos: "[]" and a key, or "." and a field."""

_Rule: TypeAlias = Callable[[_Place, list[_Change]], Any]
"""What a part is set to that branches changed to different values."""


def three_way_merge(base: S, results: Sequence[S], branches: Sequence[str] | None = None) -> S:
    """`base` with the changes of all `results`, each of which began from `base`.

    Mappings are merged key by key, and instances of one attrs class, dataclass or namedtuple field by field, at any
    depth; everything else is one value, which is changed if its type or, by `==`, the value is another. Fields that a
    class computes for itself (`init=False`) are computed anew. Nothing that was given is modified.

    Raises `MergeConflict` where two results differ from `base` and from each other, deletions included. The message
    names the key, and the branches by `branches` (by their number, unless given); it shows no values.

    >>> three_way_merge({"a": 1, "b": 1}, [{"a": 2, "b": 1}, {"a": 1, "c": 3}])
    {'a': 2, 'c': 3}
    >>> three_way_merge({"a": 1}, [{"a": 2}, {"a": 3}], ["web", "papers"])
    Traceback (most recent call last):
        ...
    lambdacat_effects.errors.MergeConflict: the branches 'web' and 'papers' changed state['a'] to different values. \
Let them write different keys, or decide with parallel(..., combine=...)
    """
    return cast(S, _merged((), base, _named(results, branches), _conflict))


def last_wins(results: Sequence[S], base: S) -> S:
    """A `combine=`: the three-way merge, where of two different values for one key the later branch's counts.

    >>> last_wins([{"a": 2, "b": 1}, {"a": 3}], {"a": 1})
    {'a': 3, 'b': 1}
    """
    return cast(S, _merged((), base, _named(results, None), _last))


def concat(sep: str = "") -> Callable[[Sequence[str]], str]:
    """A `combine=` for states that are strings: one after the other, with `sep` between them.

    >>> concat(", ")(["a", "b"])
    'a, b'
    """
    return sep.join


def first() -> Callable[[Sequence[Any]], int]:
    """A `choose_fn=`: the first result. Raises `InvalidArgument` for none.

    >>> first()(["a", "b"])
    0
    """
    return argmax(lambda _: 0)


def argmax(by: Callable[[A], Any]) -> Callable[[Sequence[A]], int]:
    """A `choose_fn=`: the result with the highest `by(result)`, the first of equals.

    A score that is not equal to itself (NaN) loses against any other. Raises `InvalidArgument` for no results.

    >>> argmax(len)(["a", "bbb", "cc"])
    1
    """

    def choose(results: Sequence[A]) -> int:
        return best_index([by(result) for result in results])

    return choose


def best_index(scores: Sequence[Any]) -> int:
    """The index of the highest score, the first of equals. NaN loses. Raises `InvalidArgument` for none.

    >>> best_index([float("nan"), 2, 3, 3])
    2
    """
    if not scores:
        raise InvalidArgument("of no results, none is the best: give at least one")
    best = 0
    for index, score in enumerate(scores):
        if score > scores[best] or scores[best] != scores[best]:
            best = index
    return best


def _named(results: Sequence[Any], branches: Sequence[str] | None) -> list[_Change]:
    names = [str(i) for i in range(len(results))] if branches is None else [repr(name) for name in branches]
    if len(set(names)) < len(names):
        names = [f"{name} ({i})" for i, name in enumerate(names)]
    return list(zip(names, results, strict=True))


def _merged(place: _Place, base: Any, results: list[_Change], decide: _Rule) -> Any:
    changes = [change for change in results if not _same(base, change[1])]
    if not changes:
        return base
    if all(_same(changes[0][1], value) for _, value in changes[1:]):
        return changes[0][1]
    values = [base, *(value for _, value in changes)]
    if all(isinstance(value, Mapping) for value in values):
        return _merged_mappings(place, base, changes, decide)
    if all(type(value) is type(base) for value in values) and _fields(base):
        return _merged_fields(place, base, changes, decide)
    return decide(place, changes)


def _merged_mappings(place: _Place, base: Mapping[Any, Any], changes: list[_Change], decide: _Rule) -> Any:
    keys = dict.fromkeys(base)
    for _, value in changes:
        keys.update(dict.fromkeys(value))
    merged: dict[Any, Any] = {}
    for key in keys:
        held = [(branch, value.get(key, _ABSENT)) for branch, value in changes]
        value = _merged((*place, "[]", key), base.get(key, _ABSENT), held, decide)
        if value is not _ABSENT:
            merged[key] = value
    return _like(base, merged) if all(type(value) is type(base) for _, value in changes) else merged


def _merged_fields(place: _Place, base: Any, changes: list[_Change], decide: _Rule) -> Any:
    arguments: dict[str, Any] = {}
    for field, argument in _fields(base).items():
        held = [(branch, getattr(value, field)) for branch, value in changes]
        arguments[argument] = _merged((*place, ".", field), getattr(base, field), held, decide)
    kind = _type_of(base)
    evolve = attrs.evolve if attrs.has(kind) else getattr(kind, "_replace", dataclasses.replace)
    return evolve(base, **arguments)


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if type(a) is not type(b):  # or the change from 1 to True would be lost
        return False
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_same(value, b[key]) for key, value in cast("Any", a).items())
    if fields := _fields(a):  # not by `==`, which may leave fields out
        return all(_same(getattr(a, field), getattr(b, field)) for field in fields)
    if type(cast(object, a)) in (list, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    try:
        return bool(a == b)
    except Exception:  # an array, say, compares item by item and is then neither true nor false
        return False


def _fields(value: Any) -> dict[str, str]:
    """Field -> the argument that sets it."""
    kind = _type_of(value)
    if attrs.has(kind):
        return {field.name: field.alias or field.name for field in attrs.fields(kind) if field.init}
    if dataclasses.is_dataclass(kind):
        return {field.name: field.name for field in dataclasses.fields(kind) if field.init}
    return {name: name for name in getattr(kind, "_fields", ())} if hasattr(kind, "_replace") else {}


def _type_of(value: object) -> Any:
    return type(value)


def _like(base: Any, merged: dict[Any, Any]) -> Any:
    """`merged` as a mapping of the type of `base`: a `defaultdict` keeps its factory."""
    if type(base) is dict:
        return merged
    if issubclass(_type_of(base), dict):
        made = copy.copy(base)
        made.clear()
        made.update(merged)
        return made
    return type(base)(merged)


def _conflict(place: _Place, changes: list[_Change]) -> Any:
    branches = [branch for branch, _ in changes]
    steps = [
        f"[{part!r}]" if kind == "[]" else f".{part}"
        for kind, part in zip(place[::2], place[1::2], strict=True)
    ]
    raise MergeConflict(
        f"the branches {', '.join(branches[:-1])} and {branches[-1]} changed state{''.join(steps)} to different "
        "values. Let them write different keys, or decide with parallel(..., combine=...)"
    )


def _last(_place: _Place, changes: list[_Change]) -> Any:
    return changes[-1][1]


# The rules of nodes, for whoever interprets them.

Results: TypeAlias = "list[tuple[int, Any]]"
"""The number of each branch that has a result, and the result."""
Combiner: TypeAlias = "tuple[Callable[..., Any], Callable[[Results, Any], tuple[Any, ...]]]"
"""A rule, and what it is given of the results and the state that the branches were given."""


def combiner_of(node: ParallelSpec, labels: Sequence[str], aggregate_fn: Any) -> Combiner:
    """The rule of one parallel node: its own, else `aggregate_fn`, else the three-way merge."""
    combine: Any = aggregate_fn if node.combine is None else node.combine
    if combine is None:
        return three_way_merge, lambda results, state: (
            state,
            _states(results),
            [labels[i] for i, _ in results],
        )
    if isinstance(combine, Monoid):
        return cast(Any, combine).concat, lambda results, _: (_states(results),)
    if takes_second(combine):
        return combine, lambda results, state: (_states(results), state)
    return combine, lambda results, _: (_states(results),)


def _states(results: Results) -> list[Any]:
    return [state for _, state in results]


def chooser_of(node: Choose, choose_fn: Any) -> Callable[[list[Any]], Any] | None:
    """The rule of one choice: its own, else `choose_fn`; None for an ordered choice."""
    if node.by is not None:
        return argmax(node.by)
    return node.choose_fn or choose_fn


def chosen(results: list[Any], index: object) -> Any:
    """The result that a chooser picked. Raises `InvalidArgument` for an index that is none."""
    if not isinstance(index, int) or not 0 <= index < len(results):
        raise InvalidArgument(
            f"choose_fn answered {index!r}: it has to pick one of {len(results)} results, by its index"
        )
    return results[index]


def all_failed(failures: Sequence[Exception]) -> NoneSucceeded:
    """What is raised when no alternative is left. Those of a choice inside are alternatives of this one, so that
    `choose` is associative in its failures, too."""
    leaves: list[Exception] = []
    for failure in failures:
        leaves.extend(failure.exceptions if isinstance(failure, NoneSucceeded) else [failure])
    return NoneSucceeded(f"choose: {len(leaves)} of {len(leaves)} alternatives failed", leaves)
