"""Lines that were added before a combinator whose process died while it was under way."""

from __future__ import annotations

from typing import Any

import pytest

from lambdacat_effects import (
    Durable,
    Handler,
    Plan,
    Tools,
    attempt,
    call_tools,
    for_each,
    parallel,
    patched,
    quorum,
    settle,
    tool,
)
from lambdacat_effects.errors import NondeterminismError
from lambdacat_effects.journal import idempotency_key
from lambdacat_effects.storage import InMemoryStore
from lambdacat_effects.testing import Crash, Fault, simulate

code: str = "old"
paid: list[tuple[str | None, str]] = []


@tool(inline=True)
def pay(whom: str) -> str:
    """A call to the world."""
    paid.append((idempotency_key(), whom))
    return whom


@tool(inline=True)
def wait() -> str:
    """In flight when the process dies."""
    return "waited"


def added() -> Plan[Any, None]:
    if code == "unguarded" or (code == "guarded" and (yield from patched("greet first"))):
        yield from pay("greeting")


COMBINED = {
    "parallel": lambda: parallel(pay("Ann"), pay("Bob")),
    "settle": lambda: settle(pay("Ann"), pay("Bob")),
    "for_each": lambda: for_each(["Ann", "Bob"], pay),
    "quorum": lambda: quorum(pay("Ann"), pay("Bob"), n=2),
    "attempt": lambda: attempt(parallel(pay("Ann"), pay("Bob"))),
}


def ordering(combined: str) -> Plan[Tools, str]:
    yield from added()
    yield from COMBINED[combined]()
    return (yield from wait())


def handlers() -> Handler[Any]:
    return call_tools(pay, wait)


DIED = Fault("crash", on=wait)


@pytest.mark.parametrize("combined", COMBINED)
def test_an_unguarded_line_is_refused_before_anything_is_done(
    combined: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is paid again, and the code that the run began with goes on."""
    store = InMemoryStore()
    paid.clear()

    def live(**given: Any) -> Any:
        return simulate(
            lambda: Durable(store).prepared("r", ordering, combined, handlers=handlers()), **given
        )

    assert isinstance(live(faults=DIED).error, Crash)
    before = list(paid)
    monkeypatch.setitem(globals(), "code", "unguarded")
    refused = live()
    assert isinstance(refused.error, NondeterminismError)
    assert before == paid
    monkeypatch.setitem(globals(), "code", "old")
    assert live().value == "waited"
    assert sorted(whom for _, whom in paid) == ["Ann", "Bob"]


@pytest.mark.parametrize("combined", COMBINED)
def test_a_guarded_line_is_left_out(combined: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run went by before it existed."""
    store = InMemoryStore()
    paid.clear()

    def live(**given: Any) -> Any:
        return simulate(
            lambda: Durable(store).prepared("r", ordering, combined, handlers=handlers()), **given
        )

    assert isinstance(live(faults=DIED).error, Crash)
    monkeypatch.setitem(globals(), "code", "guarded")
    assert live().value == "waited"
    assert sorted(whom for _, whom in paid) == ["Ann", "Bob"]
