"""The agent's state survives the end of its process, by whatever means."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from lambdacat_effects import AgentState, SavedState, fixed_time, in_memory, lmdb_memory, recall

EXAMPLES = Path(__file__).parents[2] / "examples"
AGENT = EXAMPLES / "remembering_agent.py"


def say(store: Path, name: str, said: str) -> str:
    """What the agent answers, in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(AGENT), name, said],
        env={**os.environ, "LAMBDACAT_STORE": str(store)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_what_it_learnt_is_there_in_another_process(tmp_path: Path) -> None:
    assert "I will remember that you like green tea." == say(tmp_path, "Ada", "I like green tea.")
    assert "I will remember that you like walks." == say(tmp_path, "Ada", "I like walks!")
    assert "You like green tea and walks." == say(tmp_path, "Ada", "What do I like?")
    assert "I do not know yet." == say(tmp_path, "Bob", "What do I like?")
    assert "We have talked 4 times." == say(tmp_path, "Ada", "Mail ada@example.org, card 4111111111111111")


async def test_what_is_on_disk_is_the_state_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(tmp_path, "Ada", "My address is ada@example.org")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from remembering_agent import Acquaintance

    saved = await lmdb_memory(tmp_path).run(
        recall("acquaintances", "Ada", as_type=SavedState[AgentState[Acquaintance]])
    )
    assert saved is not None
    assert (1, Acquaintance(talks=1)) == (saved.saves, saved.state.data)
    assert {"talk 1": "My address is [redacted]"} == saved.state.memory
    assert ["enjoys our talks"] == list(saved.state.beliefs)
    assert b"example.org" not in (tmp_path / "data.mdb").read_bytes()


KILLED = """
import os, signal, sys
import trio
from remembering_agent import listen, production
from lambdacat_effects import AgentState, save_state, with_state
from remembering_agent import Acquaintance

def plan(state):
    _, state = yield from listen("I like tea", state)
    yield from save_state(state)
    os.write(1, b"saved\\n")
    _, state = yield from listen("I like rain", state)
    os.kill(os.getpid(), signal.SIGKILL)

trio.run(production(sys.argv[1]).run, with_state("acquaintances", "Ada", plan, initial=AgentState(Acquaintance())))
"""


def test_what_was_saved_survives_a_kill_and_nothing_is_half_saved(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(EXAMPLES)},
        capture_output=True,
        timeout=60,
    )
    assert (-signal.SIGKILL, b"saved\n") == (killed.returncode, killed.stdout)
    assert "You like tea." == say(tmp_path, "Ada", "What do I like?")


def test_the_agent_needs_neither_a_disk_nor_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from remembering_agent import talk

    handlers = in_memory() | fixed_time(0.0)
    assert "I will remember that you like tea." == handlers.run_pure(talk("Ada", "I like tea"))
    assert "You like tea." == handlers.run_pure(talk("Ada", "What do I like?"))
    assert trio.run(handlers.run, talk("Ada", "Hello")) == "We have talked 3 times."
