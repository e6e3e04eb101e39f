"""What an agent knows, as one frozen value, and the lenses that focus its parts."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar, cast

import attrs

from lambdacat_effects.algebra.belief import Beliefs
from lambdacat_effects.algebra.lens import Lens, attr
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.plan.merging import three_way_merge
from lambdacat_effects.storage.leaves import UNSTORED

__all__ = [
    "AgentState",
    "beliefs_lens",
    "data_lens",
    "memory_lens",
    "merge_states",
    "profile_lens",
    "scratch_lens",
]

D = TypeVar("D")
S = TypeVar("S", bound="AgentState[Any]")


def _mapping(what: str, given: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(cast(object, given), Mapping) or not all(
        isinstance(key, str) for key in cast(Any, given)
    ):
        raise InvalidArgument(f"the {what} of an AgentState is a mapping with text as keys; got {given!r}")
    return dict(given)


def _memory(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return OrderedDict(_mapping("memory", given))  # which keeps its order where it is stored, too


def _profile(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping("profile", given)


def _scratch(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping("scratch", given)


def _beliefs(given: Any) -> Beliefs:
    if not isinstance(given, Beliefs):
        raise InvalidArgument(f"the beliefs of an AgentState are Beliefs; got {given!r}")
    return given


@attrs.frozen
class AgentState(Generic[D]):
    """What an agent knows. Frozen: change it with the lenses, or with `attrs.evolve`.

    `AgentState[Notes]` is the type of states whose data are `Notes`. The values in `memory` and `profile` are
    read from a store as plain JSON has them: text, numbers, booleans, None, lists and dicts. What has a class of
    its own belongs in `data`, or in a subclass of AgentState that declares the field anew with the type of its
    values.

    Raises `InvalidArgument` for parts that are not what they should be.

    >>> from lambdacat_effects.algebra import key
    >>> state = AgentState({"question": "why?"}, memory={"cats": "they purr"})
    >>> (memory_lens >> key("cats")).set(state, "they sleep").memory["cats"]
    'they sleep'
    >>> state.memory["cats"]
    'they purr'
    """

    data: D
    """What the plan is about: of any type that can be stored."""
    memory: Mapping[str, Any] = attrs.field(factory=dict[str, Any], converter=_memory)
    """What was learnt, the oldest first: in the order in which keys were added, which is kept when it is stored."""
    beliefs: Beliefs = attrs.field(factory=Beliefs, converter=_beliefs)
    """What is held to be true, and how firmly."""
    profile: Mapping[str, Any] = attrs.field(factory=dict[str, Any], converter=_profile)
    """Who the agent is, or whom it serves: name, preferences, settings."""
    scratch: Mapping[str, Any] = attrs.field(
        factory=dict[str, Any], converter=_scratch, metadata={UNSTORED: True}
    )
    """Notes of one run, of any type. Never stored: not even as a part of a state that is given to `remember`."""


_Lens: TypeAlias = "Lens[AgentState[Any], Any]"

data_lens: _Lens = attr("data")
"""The data of an `AgentState`."""
memory_lens: _Lens = attr("memory")
"""The memory of an `AgentState`."""
beliefs_lens: Lens[AgentState[Any], Beliefs] = attr("beliefs")
"""The beliefs of an `AgentState`."""
profile_lens: _Lens = attr("profile")
"""The profile of an `AgentState`."""
scratch_lens: _Lens = attr("scratch")
"""The scratch of an `AgentState`."""


def merge_states(base: S, states: Sequence[S]) -> S:
    """`base` with the changes of all `states`, each of which began from it: for `with_state(...,
    merge=merge_states)`, and as `combine=lambda states, base: merge_states(base, states)` of branches.

    Beliefs are merged by their evidence, which never conflicts; the rest as by `three_way_merge`: changes of
    different keys and fields merge, two different values for one raise `MergeConflict`. Scratch is that of the
    last state.

    >>> base = AgentState({"a": 1, "b": 1})
    >>> one = AgentState({"a": 2, "b": 1}, beliefs=Beliefs().observed("it rains", "radar", 2.0))
    >>> other = AgentState({"a": 1, "b": 3}, beliefs=Beliefs().observed("it rains", "gauge", 1.0))
    >>> both = merge_states(base, [one, other])
    >>> both.data, both.beliefs.reading("it rains").log_odds
    ({'a': 2, 'b': 3}, 3.0)
    """
    if not states:
        return base
    beliefs = functools.reduce(Beliefs.merged, [state.beliefs for state in states], base.beliefs)

    def rest(state: S) -> S:
        return attrs.evolve(state, beliefs=Beliefs(), scratch={})

    merged = three_way_merge(rest(base), [rest(state) for state in states])
    return attrs.evolve(merged, beliefs=beliefs, scratch=states[-1].scratch)
