"""A state that is kept, and is not of the type that it is read as."""

from __future__ import annotations

from typing import Any

import pytest

from lambdacat_effects import AgentState, in_memory, with_state
from lambdacat_effects.cognition import data_lens
from lambdacat_effects.errors import StoredValueMismatch


def writing(state: AgentState[Any]) -> Any:
    yield from ()
    return data_lens.set(state, "tea")


def test_the_message_speaks_of_the_state() -> None:
    """And not of what it is wrapped in when it is kept."""
    memory = in_memory()
    memory.run_pure(with_state("agents", "ada", writing, initial=AgentState("")))
    reading = with_state("agents", "ada", writing, initial=AgentState(3), as_type=AgentState[int])
    with pytest.raises(StoredValueMismatch) as caught:
        memory.run_pure(reading)
    text = str(caught.value)
    assert "('agents', 'ada') cannot be recalled: what is stored does not read as a state of the type" in text
    assert "AgentState[int]: state.data: expected int, found text" in text
    assert "SavedState" not in text
