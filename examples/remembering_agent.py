"""An agent that gets to know someone: what it has learnt is there again in its next run, in whatever process.

    python examples/remembering_agent.py Ada "I like green tea"
    python examples/remembering_agent.py Ada "I like long walks"
    python examples/remembering_agent.py Ada "What do I like?"

Its state is in the directory `.remembering`, or where LAMBDACAT_STORE says.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Generator
from typing import Any, TypeAlias

import attrs
import trio

from lambdacat_effects import (
    AgentState,
    Compaction,
    Memory,
    Now,
    Plan,
    api_keys,
    card_numbers,
    email_addresses,
    lmdb_memory,
    merge_states,
    redacting,
    with_state,
)


@attrs.frozen
class Acquaintance:
    """What the agent knows of one person."""

    talks: int = 0
    likes: tuple[str, ...] = ()


State: TypeAlias = AgentState[Acquaintance]


def listen(said: str, state: State) -> Generator[Now, object, tuple[str, State]]:
    """Answer to what was said, and learn from it."""
    now = yield from Now()
    known = attrs.evolve(state.data, talks=state.data.talks + 1)
    liking = re.search(r"\bI like (.+)", said)
    if liking is not None:
        known = attrs.evolve(known, likes=(*known.likes, liking[1].rstrip(".!")))
        answer = f"I will remember that you like {known.likes[-1]}."
    elif "like" in said:
        answer = f"You like {' and '.join(known.likes)}." if known.likes else "I do not know yet."
    else:
        answer = f"We have talked {known.talks} times."
    believed = state.beliefs.observed("enjoys our talks", f"talk {known.talks}", 0.5, time=now)
    memory = {**state.memory, f"talk {known.talks}": said}
    return answer, attrs.evolve(state, data=known, memory=memory, beliefs=believed)


def talk(name: str, said: str) -> Plan[Memory | Now, str]:
    """One talk with one person, whose state it loads and saves."""
    return with_state(
        "acquaintances",
        name,
        lambda state: listen(said, state),
        initial=AgentState(Acquaintance()),
        merge=merge_states,
        compaction=Compaction(most_memories=100, fading=1e-6, every=10),
        most_bytes=100_000,
    )


def production(path: str) -> Any:
    """Memory on disk, in which no secret is kept that somebody happens to mention."""
    return lmdb_memory(path).behind(redacting(email_addresses, card_numbers, api_keys))


def main() -> None:
    """Say something to the agent, as the arguments say."""
    if len(sys.argv) != 3:
        sys.exit(f'usage: {sys.argv[0]} NAME "WHAT TO SAY"')
    handlers = production(os.environ.get("LAMBDACAT_STORE", ".remembering"))
    print(trio.run(handlers.run, talk(sys.argv[1], sys.argv[2])))


if __name__ == "__main__":
    main()
