"""What laws are checked on: collections of examples, whose combinations are all tried, or Hypothesis strategies."""

from __future__ import annotations

import copy
import itertools
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from lambdacat_effects.errors import InvalidArgument

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["Inputs", "combinations", "gathered", "is_strategy"]

A = TypeVar("A")

Inputs: TypeAlias = "SearchStrategy[A] | Iterable[A]"
"""A Hypothesis strategy, or a collection of examples (which needs no Hypothesis)."""

_MOST = 100_000


def is_strategy(given: object) -> bool:
    """Whether it is a Hypothesis strategy. Where Hypothesis was never imported, nothing is."""
    if "hypothesis" not in sys.modules:
        return False
    from hypothesis.strategies import SearchStrategy

    return isinstance(given, SearchStrategy)


def gathered(name: str, given: Any) -> Inputs[Any]:
    """`given` as it is, if it is a strategy; else its examples, as a tuple that can be read more than once.

    Raises `InvalidArgument`, calling it `name`, if there are no examples, more than 100,000, or if it is no
    collection of them.
    """
    if is_strategy(given):
        return cast("SearchStrategy[Any]", given)
    advice = "Give a list of examples, or a Hypothesis strategy."
    if isinstance(given, Mapping):
        raise InvalidArgument(f"{name} is one mapping, {given!r}. {advice}")
    if not isinstance(cast(object, given), Iterable):
        raise InvalidArgument(
            f"{name} is {given!r}, neither a collection of examples nor a strategy. {advice}"
        )
    examples = tuple(itertools.islice(cast("Iterable[Any]", given), _MOST + 1))
    if not examples:
        raise InvalidArgument(
            f"{name} has no examples, and a law that is checked on nothing proves nothing. {advice}"
        )
    if len(examples) > _MOST:
        raise InvalidArgument(f"{name} has more than {_MOST:,} examples. Give fewer, or a strategy.")
    return examples


def combinations(inputs: Mapping[str, tuple[Any, ...]], most: int) -> Iterator[dict[str, Any]]:
    """Every combination of examples, in order; if there are more than `most`, that many, spread over all.

    >>> list(combinations({"a": (1, 2), "b": ("x", "y")}, 10))[:2]
    [{'a': 1, 'b': 'x'}, {'a': 1, 'b': 'y'}]
    """
    total = math.prod(map(len, inputs.values()))
    step = 1 if total <= most else _coprime(total)
    for count in range(min(total, most)):
        rest = count * step % total
        chosen: dict[str, Any] = {}
        for name, examples in reversed(list(inputs.items())):
            rest, index = divmod(rest, len(examples))
            chosen[name] = examples[index]
        yield {name: _fresh(chosen[name]) for name in inputs}


def _coprime(total: int) -> int:
    """A step that visits every index once and leaves no gaps, being near the golden ratio of all."""
    step = round(total * 0.618)
    while math.gcd(step, total) != 1:
        step += 1
    return step


def _fresh(example: Any) -> Any:
    """A copy of what a law that does not hold could change, and so hide from the next check."""
    changes = issubclass(type(example), (dict, list, set, bytearray))
    return copy.deepcopy(example) if changes else example
