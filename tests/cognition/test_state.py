"""AgentState: its lenses, what of it is stored, how it is merged and kept small."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdacat_effects import (
    AgentState,
    Beliefs,
    Compaction,
    beliefs_lens,
    compacted,
    data_lens,
    in_memory,
    memory_lens,
    merge_states,
    profile_lens,
    recall,
    remember,
    scratch_lens,
    update_belief,
)
from lambdacat_effects.algebra import Lens, key, lens
from lambdacat_effects.errors import InvalidArgument, LawBroken, MergeConflict
from lambdacat_effects.storage.codec import decode, encode
from lambdacat_effects.testing import laws

texts = st.text("abc", min_size=1, max_size=2)
values = st.none() | st.integers() | texts | st.lists(st.integers(), max_size=2)
mappings = st.dictionaries(texts, values, max_size=4)
beliefs = st.lists(st.tuples(texts, texts, st.floats(-9, 9), st.floats(0, 100)), max_size=4).map(
    lambda said: _beliefs(said)
)
states = st.builds(AgentState, values, mappings, beliefs, mappings, mappings)


def _beliefs(said: list[tuple[str, str, float, float]]) -> Beliefs:
    found = Beliefs()
    for proposition, source, weight, time in said:
        found = found.observed(proposition, source, weight, time=time)
    return found


LENSES: list[tuple[Lens[Any, Any], Any]] = [
    (data_lens, values),
    (memory_lens, mappings),
    (beliefs_lens, beliefs),
    (profile_lens, mappings),
    (scratch_lens, mappings),
]
LAWS = [law for focus, parts in LENSES for law in laws.lens_laws(focus, sources=states, values=parts)]


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_every_lens_is_lawful(law: laws.Law) -> None:
    law.check()


def test_a_lens_that_forgets_the_scratch_is_found() -> None:
    """A mutant: it sets the data, and clears something else."""
    forgetful = lens(lambda s: s.data, lambda s, v: attrs.evolve(s, data=v, scratch={}), name="forgetful")
    get_set, *_ = laws.lens_laws(forgetful, sources=states, values=values)
    with pytest.raises(LawBroken):
        get_set.check()


@given(states)
def test_a_state_reads_back_as_it_was_without_its_scratch(state: AgentState[Any]) -> None:
    """Also where it is a part of something else; its memory in the same order."""
    for read in (
        decode(encode(state), AgentState[Any]),
        decode(encode([state]), list[AgentState[Any]])[0],
    ):
        assert attrs.evolve(state, scratch={}) == read
        assert list(state.memory) == list(read.memory)


def test_scratch_is_not_even_stored_by_remember() -> None:
    memory = in_memory()
    memory.run_pure(remember("n", "k", AgentState(1, scratch={"open file": print})))
    assert AgentState(1) == memory.run_pure(recall("n", "k", as_type=AgentState[int]))
    assert b"scratch" not in encode(AgentState(1, scratch={"a": 1}))


def test_a_state_shares_no_mapping_with_who_made_it() -> None:
    given_memory = {"a": 1}
    state = AgentState(None, memory=given_memory)
    given_memory["b"] = 2
    assert {"a": 1} == state.memory
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        state.data = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "parts",
    [
        {"memory": 3},
        {"memory": {1: 2}},
        {"profile": [("a", 1)]},
        {"scratch": None},
        {"beliefs": {}},
        {"beliefs": None},
    ],
)
def test_parts_are_what_they_should_be(parts: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(parts))):
        AgentState(None, **parts)


@attrs.frozen
class Hit:
    title: str


@attrs.frozen
class Researcher(AgentState[int]):
    memory: Mapping[str, Hit] = attrs.field(factory=dict)


def test_a_subclass_may_type_what_it_remembers() -> None:
    state = Researcher(1, memory={"a": Hit("x")})
    assert state == decode(encode(state), Researcher)
    assert state == decode(encode(state), AgentState[int])


def test_the_pure_update_of_beliefs_takes_a_state() -> None:
    state = update_belief("it rains", 2.0, update_belief("it rains", -0.5, AgentState(None)))
    assert 1.5 == state.beliefs.reading("it rains").log_odds


# Merging


@given(states, states)
def test_merging_is_neutral_and_idempotent(base: AgentState[Any], state: AgentState[Any]) -> None:
    """What nobody else changed is taken; a change made twice is made once."""
    state = attrs.evolve(state, beliefs=base.beliefs.merged(state.beliefs))
    assert base == merge_states(base, [])
    assert state == merge_states(base, [base, state])
    assert state == merge_states(base, [state, state])


def test_changes_of_different_parts_merge_and_others_conflict() -> None:
    base = AgentState({"a": 1}, memory={"x": 1}, scratch={"s": 0})
    one = attrs.evolve(base, memory={"x": 1, "y": 2}, beliefs=Beliefs().observed("p", "one", 1.0))
    other = attrs.evolve(
        base,
        data={"a": 2},
        memory={"x": 1, "z": 3},
        beliefs=Beliefs().observed("p", "two", 2.0),
        scratch={"s": 1},
    )
    merged = merge_states(base, [one, other])
    assert ({"a": 2}, {"x": 1, "y": 2, "z": 3}, {"s": 1}) == (
        merged.data,
        dict(merged.memory),
        merged.scratch,
    )
    assert 3.0 == merged.beliefs.reading("p").log_odds
    with pytest.raises(MergeConflict, match=r"state\.memory\['y'\]"):
        merge_states(base, [one, attrs.evolve(base, memory={"x": 1, "y": 9})])


# Compaction


@given(states, st.integers(0, 4), st.floats(0, 1), st.floats(0, 1000))
def test_compaction_keeps_the_newest_and_is_idempotent(
    state: AgentState[Any], most: int, fading: float, now: float
) -> None:
    compaction = Compaction(most_memories=most, fading=fading, least_weight=0.01)
    small = compacted(state, compaction, now=now)
    assert list(state.memory.items())[max(0, len(state.memory) - most) :] == list(small.memory.items())
    assert attrs.evolve(state, memory=small.memory, beliefs=small.beliefs) == small
    assert small == compacted(small, compaction, now=now)
    for proposition in state.beliefs:
        before, after = (s.beliefs.reading(proposition, now, rate=fading).log_odds for s in (state, small))
        assert abs(before - after) <= 0.01 * len(state.beliefs[proposition].entries) + 1e-9


def test_evidence_that_has_faded_goes_and_the_rest_stays() -> None:
    believed = Beliefs().observed("old", "radar", 2.0, time=0.0).observed("new", "radar", 2.0, time=990.0)
    small = compacted(AgentState(None, beliefs=believed), Compaction(fading=0.1), now=1000.0)
    assert ["new"] == list(small.beliefs)


def test_compaction_of_nothing_is_the_same_state() -> None:
    state = AgentState(1, memory={"a": 1})
    assert state is compacted(state, Compaction(), now=0.0)
    assert state is compacted(state, Compaction(most_memories=1, fading=0.5), now=0.0)


def test_what_is_newest_is_what_was_added_last() -> None:
    state = AgentState(None, memory=OrderedDict(z=1, a=2))
    state = (memory_lens >> key("z")).set(state, 3)
    assert {"a": 2} == compacted(state, Compaction(most_memories=1), now=0.0).memory


@pytest.mark.parametrize(
    "settings",
    [{"most_memories": -1}, {"most_memories": 1.5}, {"every": 0}, {"every": None}, {"fading": -1}, {"fading": "x"},
     {"fading": float("nan")}, {"least_weight": True}, {"least_weight": None}],
)  # fmt: skip
def test_settings_are_checked_where_they_are_given(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(settings))):
        Compaction(**settings)
