"""`update_belief`: amounts of log-odds that add up, in whatever state has beliefs."""

from __future__ import annotations

import dataclasses
import math
import sys
from typing import Any, NamedTuple

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects.algebra import Beliefs, key, update_belief
from lambdacat_effects.errors import Contradiction, InvalidArgument, LensMismatch

NOTHING = Beliefs()


@attrs.frozen
class AttrsState:
    beliefs: Beliefs = NOTHING
    n: int = 1


@dataclasses.dataclass(frozen=True)
class DataState:
    beliefs: Beliefs = NOTHING


class TupleState(NamedTuple):
    beliefs: Beliefs = NOTHING


def log_odds_in(beliefs: Beliefs) -> float:
    return beliefs.reading("it rains").log_odds


@pytest.mark.parametrize("state", [AttrsState(), DataState(), TupleState()], ids=lambda s: type(s).__name__)
def test_any_state_with_beliefs_is_updated_in_a_copy(state: Any) -> None:
    updated = update_belief("it rains", -0.5, update_belief("it rains", 2.0, state))
    assert type(state) is type(updated)
    assert 1.5 == log_odds_in(updated.beliefs)
    assert Beliefs() == state.beliefs


def test_mappings_and_beliefs_themselves_and_lenses_will_do() -> None:
    state: dict[str, Any] = {"beliefs": Beliefs(), "n": 1}
    assert 2.0 == log_odds_in(update_belief("it rains", 2.0, state)["beliefs"])
    assert 2.0 == log_odds_in(update_belief("it rains", 2.0, Beliefs()))
    nested = update_belief("it rains", 2.0, {"mind": {"b": Beliefs()}}, lens=key("mind") >> key("b"))
    assert 2.0 == log_odds_in(nested["mind"]["b"])


amounts = st.floats(-1e4, 1e4)


@settings(max_examples=200, deadline=None)
@given(st.lists(amounts, max_size=8))
def test_updates_are_a_group_up_to_rounding(deltas: list[float]) -> None:
    """They add up, and the opposite ones take them back, within four times 1.3 eps of the sum of their sizes."""
    bound = 4 * 1.3 * sys.float_info.epsilon * math.fsum(map(abs, deltas))
    state = Beliefs()
    for delta in deltas:
        state = update_belief("it rains", delta, state)
    assert abs(log_odds_in(state) - math.fsum(deltas)) <= bound
    for delta in deltas:
        state = update_belief("it rains", -delta, state)
    assert abs(log_odds_in(state)) <= 2 * bound


def test_updates_of_agents_apart_have_sources_of_their_own() -> None:
    ours = update_belief("it rains", 2.0, Beliefs(), source="us")
    theirs = update_belief("it rains", 1.0, Beliefs(), source="them")
    assert 3.0 == log_odds_in(ours.merged(theirs))


def test_the_time_of_an_update_never_goes_backwards() -> None:
    state = update_belief("it rains", 1.0, Beliefs(), time=10.0)
    state = update_belief("it rains", 1.0, update_belief("it rains", 1.0, state, time=5.0))
    assert 10.0 == state["it rains"].evidence["update_belief"].time


def test_certainty_stays_and_its_opposite_contradicts() -> None:
    certain = update_belief("it rains", math.inf, Beliefs())
    assert math.inf == log_odds_in(update_belief("it rains", -800.0, certain))
    with pytest.raises(Contradiction, match="'update_belief' was certain of 'it rains'"):
        update_belief("it rains", -math.inf, certain)


def test_a_state_without_beliefs_says_so() -> None:
    with pytest.raises(LensMismatch, match="beliefs"):
        update_belief("it rains", 1.0, {"n": 1})
    with pytest.raises(InvalidArgument, match=r"the beliefs of a state are Beliefs; got \{\}"):
        update_belief("it rains", 1.0, {"beliefs": {}})
    with pytest.raises(InvalidArgument):
        update_belief("it rains", math.nan, Beliefs())
