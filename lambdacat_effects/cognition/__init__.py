"""Agents: what they know and keep from run to run.

::

    state.py        AgentState and the lenses to its parts
    compaction.py   keeping a state small
    keeping.py      with_state: a plan around whose run a state is loaded and saved
    fidelity.py     whether a state would read back as it is
"""

from lambdacat_effects.cognition.compaction import Compaction, compacted
from lambdacat_effects.cognition.keeping import SavedState, save_state, with_state
from lambdacat_effects.cognition.state import (
    AgentState,
    beliefs_lens,
    data_lens,
    memory_lens,
    merge_states,
    profile_lens,
    scratch_lens,
)

__all__ = [
    "AgentState",
    "Compaction",
    "SavedState",
    "beliefs_lens",
    "compacted",
    "data_lens",
    "memory_lens",
    "merge_states",
    "profile_lens",
    "save_state",
    "scratch_lens",
    "with_state",
]
