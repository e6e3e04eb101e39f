"""Random states, schedules, seeds and faults."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, get_args

from hypothesis import strategies as st

from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.testing.simulation.faults import Fault, FaultKind

__all__ = ["faults", "schedules", "seeds", "states"]

_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


def states(
    keys: st.SearchStrategy[str] | None = None,
    values: st.SearchStrategy[Any] | None = None,
    *,
    max_size: int = 6,
) -> st.SearchStrategy[dict[str, Any]]:
    """Random states: mappings of text to values that JSON has, unless `keys` and `values` are given.

    >>> from hypothesis import find
    >>> find(states(), lambda state: len(state) == 1)
    {'': None}
    """
    scalars = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text()
    )
    json = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
    return st.dictionaries(
        st.text() if keys is None else keys, json if values is None else values, max_size=max_size
    )


def schedules(
    *, steps: int = 100, choices: int = 4, max_switches: int = 4
) -> st.SearchStrategy[dict[int, int]]:
    """Random schedules for `simulate(..., schedule=...)`: at most `max_switches` choices among the first `steps`.

    They shrink towards the plainest run, `{}`. Raises `InvalidArgument` for numbers that are not positive.

    >>> from hypothesis import find
    >>> find(schedules(), lambda schedule: len(schedule) == 1)
    {0: 1}
    """
    for name, number in (("steps", steps), ("choices", choices)):
        if number < 1:
            raise InvalidArgument(f"schedules() needs {name} of at least 1; got {number!r}")
    return st.dictionaries(st.integers(0, steps - 1), st.integers(1, choices), max_size=max_switches)


def seeds() -> st.SearchStrategy[int]:
    """Random seeds for `simulate` and `explore`.

    >>> from hypothesis import find
    >>> find(seeds(), lambda seed: True)
    0
    """
    return st.integers(0, 2**32 - 1)


def faults(
    *,
    kinds: Collection[FaultKind] = ("fail", "lost_reply", "delay", "duplicate"),
    on: Collection[Any] = (),
    steps: int = 100,
    max_size: int = 3,
) -> st.SearchStrategy[list[Fault]]:
    """Random lists of faults, each at one of the first `steps` steps of a run.

    With `on`, a collection of effect classes, tools and effects, also such as befall those, with some probability.
    `max_size` is how many there are at most; they shrink towards none. Raises `InvalidArgument`.

    >>> from hypothesis import find
    >>> find(faults(), lambda some: len(some) == 1)
    [Fault('fail', step=0)]
    """
    if isinstance(kinds, str) or not kinds or not {*kinds} <= {*_KINDS}:
        raise InvalidArgument(f"kinds are some of {', '.join(_KINDS)}; got {kinds!r}")
    if steps < 1:
        raise InvalidArgument(f"faults() needs steps of at least 1; got {steps!r}")
    kind = st.sampled_from([known for known in _KINDS if known in kinds])
    seconds = st.integers(0, 10).map(float)

    def fault(kind: FaultKind, seconds: float, **where: Any) -> Fault:
        return Fault(kind, seconds=seconds if kind == "delay" else 1.0, **where)

    one = st.builds(fault, kind, seconds, step=st.integers(0, steps - 1))
    if on:
        often = st.sampled_from([1.0, 0.5, 0.1])
        one |= st.builds(fault, kind, seconds, on=st.sampled_from([*on]), probability=often)
    return st.lists(one, max_size=max_size)
