"""Keeping an agent's state small: what is oldest, and what has faded, goes first."""

from __future__ import annotations

from itertools import islice
from typing import Any, TypeVar

import attrs
from attrs.validators import optional

from lambdacat_effects.cognition.state import AgentState
from lambdacat_effects.errors import InvalidArgument

__all__ = ["Compaction", "compacted"]

S = TypeVar("S", bound=AgentState[Any])


def _count(least: int) -> Any:
    def check(_self: object, field: Any, value: object) -> None:
        if type(value) is not int or value < least:
            raise InvalidArgument(
                f"Compaction({field.name}=...) is a whole number from {least} on; got {value!r}"
            )

    return check


def _number(_self: object, field: Any, value: Any) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value >= 0:
        raise InvalidArgument(f"Compaction({field.name}=...) is a number of at least 0; got {value!r}")


@attrs.frozen(kw_only=True)
class Compaction:
    """What to take out of a state, and how often.

    >>> Compaction(most_memories=1000, fading=1e-6, every=20)
    Compaction(most_memories=1000, fading=1e-06, least_weight=1e-06, every=20)
    """

    most_memories: int | None = attrs.field(default=None, validator=optional(_count(0)))
    """How many entries of `memory` stay: the newest. None: all."""
    fading: float | None = attrs.field(default=None, validator=optional(_number))
    """The rate per second at which the agent's evidence fades (`rate_of(half_life)` has it). None: beliefs stay."""
    least_weight: float = attrs.field(default=1e-6, validator=_number)
    """Evidence that has faded to less than this, in log-odds, goes."""
    every: int = attrs.field(default=1, validator=_count(1))
    """How many saves of a state there are from one compaction to the next."""


def compacted(state: S, compaction: Compaction, *, now: float) -> S:
    """`state` without its oldest memories beyond the limit, and without evidence that has faded by `now`, in
    seconds.

    Nothing else is touched. Compacting again changes nothing, at the same time.

    >>> state = AgentState(None, memory={"monday": 1, "tuesday": 2, "wednesday": 3})
    >>> list(compacted(state, Compaction(most_memories=2), now=0.0).memory)
    ['tuesday', 'wednesday']
    """
    memory, beliefs = state.memory, state.beliefs
    most = compaction.most_memories
    if most is not None and len(memory) > most:
        memory = dict(islice(memory.items(), len(memory) - most, None))
    if compaction.fading is not None:
        beliefs = beliefs.pruned(now, compaction.fading, least=compaction.least_weight)
    if memory is state.memory and beliefs == state.beliefs:
        return state
    return attrs.evolve(state, memory=memory, beliefs=beliefs)
