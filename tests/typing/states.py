"""Plans with a state: what with_state asks for and answers, and memory searched and marked."""

from __future__ import annotations

from typing import reveal_type

import attrs
from domain import Answer, Hit, search_web

from lambdacat_effects import (
    AgentState,
    Memory,
    Plan,
    Tools,
    answer_tools,
    in_memory,
    merge_states,
    recall_marked,
    remember_unless_changed,
    save_state,
    search_memory,
    with_state,
)

State = AgentState[Answer]


def learn(state: State) -> Plan[Tools | Memory, State]:
    hits = yield from search_web("cats")
    state = attrs.evolve(state, data=Answer(f"{len(hits)}"))
    reveal_type((yield from save_state(state)))  # R: AgentState[Answer]
    return state


def answer(state: State) -> Plan[Tools, tuple[int, State]]:
    hits = yield from search_web("cats")
    return len(hits), state


def number(state: State) -> Plan[Tools, int]:
    hits = yield from search_web("cats")
    return len(hits)


def production() -> None:
    memory, tools = in_memory(), answer_tools({search_web: [Hit("cats")]})
    initial = AgentState(Answer("none"))
    learning = with_state("agents", "ada", learn, initial=initial)
    reveal_type((memory | tools).run_pure(learning))  # R: AgentState[Answer]
    memory.run_pure(learning)  # E: Tool
    answering = with_state("agents", "ada", answer, initial=initial, as_type=State, merge=merge_states)
    reveal_type((memory | tools).run_pure(answering))  # R: int
    tools.run_pure(answering)  # E: Remember
    with_state("agents", "ada", number, initial=initial)  # E: with_state
    with_state("agents", "ada", learn, initial=AgentState(3))  # E
    with_state("agents", "ada", learn(initial), initial=initial)  # E: with_state
    with_state("agents", 3, learn, initial=initial)  # E: with_state


def searched() -> Plan[Memory, None]:
    reveal_type((yield from search_memory("hits", "a", as_type=Hit)))  # R: list[tuple[str, Hit]]
    found = yield from recall_marked("hits", "a", as_type=Hit)
    reveal_type(found.value)  # R: Hit | None
    reveal_type((yield from remember_unless_changed("hits", "a", 3, since=found.mark)))  # R: str | None
    yield from search_memory("hits", 3, as_type=Hit)  # E: "str"
    yield from remember_unless_changed("hits", "a", 3)  # E: since


def check() -> None:
    handlers = in_memory() | answer_tools({search_web: [Hit("cats")]})
    state: State = handlers.run_pure(with_state("agents", "ada", learn, initial=AgentState(Answer("none"))))
    assert state.data == Answer("1")
    assert handlers.run_pure(with_state("agents", "ada", answer, initial=AgentState(Answer("none")))) == 1
