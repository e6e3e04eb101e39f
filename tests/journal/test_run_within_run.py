"""What a review found: runs within runs, questions in a shield, lost replies, decisions that take long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio

from lambdacat_effects import (
    Durable,
    Plan,
    ask,
    call_tools,
    parallel,
    recall,
    remember,
    saga,
    shielded,
    store_memory,
    timeout,
    tool,
)
from lambdacat_effects.errors import RunCancelled, RunSuspended
from lambdacat_effects.journal.records import RUNS, Header
from lambdacat_effects.storage import Change, InMemoryStore, Put

calls: list[str] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


@tool
async def fetch(what: str) -> str:
    """A call to the world."""
    calls.append(what)
    return what


@tool
async def dawdle(what: str) -> str:
    """A call that takes its time."""
    calls.append(what)
    await trio.sleep(0.1)
    calls.append(f"{what} done")
    return what


def inner(n: int) -> Plan[Any, int | None]:
    yield from remember("numbers", "n", n)
    return (yield from recall("numbers", "n", as_type=int))


async def test_a_run_within_a_run_keeps_what_it_remembers() -> None:
    """Its own journal tells of it, whatever becomes of the tool that performs it."""
    store = InMemoryStore()

    @tool
    async def perform(n: int) -> int | None:
        await Durable(store).run("inner", inner, n, handlers=store_memory(store))
        raise KeyboardInterrupt

    async def outer() -> None:
        await Durable(store).run("outer", _outer, handlers=call_tools(perform))

    global _perform
    _perform = perform
    with pytest.raises(BaseException) as caught:
        await outer()
    assert isinstance(caught.value, KeyboardInterrupt)
    assert [("n", b"7")] == await store.scan("numbers")
    assert (await Durable(store).info("inner")).status == "succeeded"


_perform: Any = None


def _outer() -> Plan[Any, Any]:
    return (yield from _perform(7))


def trip() -> Plan[Any, str]:
    def steps(saga: Any) -> Plan[Any, None]:
        yield from saga.step(fetch("flight"), lambda flight: ask(f"Give back the {flight}. Done?"))
        raise ValueError("no car")

    try:
        yield from saga(steps)
    except ValueError:
        return "undone"
    return "on the way"


async def test_a_compensation_may_ask(autojump_clock: Any) -> None:
    """The run is suspended in the middle of it, and goes on there."""
    durable = Durable(InMemoryStore())
    with trio.fail_after(60), pytest.raises(RunSuspended):
        await durable.run("r", trip, handlers=call_tools(fetch))
    await durable.answer("r", "yes")
    assert await durable.resume("r", handlers=call_tools(fetch)) == "undone"
    assert calls == ["flight"]


class Losing(InMemoryStore):
    """Loses the reply to the commit that ends a run."""

    losing = False

    async def batch(self, changes: Sequence[Change]) -> bool:
        made = await super().batch(changes)
        ends = [c for c in changes if isinstance(c, Put) and c.namespace == RUNS]
        if self.losing and any(Header.decode("r", bytes(c.value)).outcome is not None for c in ends):
            self.losing = False
            raise OSError("connection lost")
        return made


def cleaning_up() -> Plan[Any, str]:
    try:
        yield from ask("Go on?")
    finally:
        yield from shielded(fetch("clean"))
    return "done"


@pytest.mark.parametrize("cancelled", [True, False])
async def test_an_outcome_stands_though_the_reply_was_lost(autojump_clock: Any, cancelled: bool) -> None:
    """Nobody writes another header over it."""
    store = Losing()
    durable = Durable(store)
    with pytest.raises(RunSuspended):
        await durable.run("r", cleaning_up, handlers=call_tools(fetch))
    await (durable.cancel("r") if cancelled else durable.answer("r", "yes"))
    store.losing = True
    with pytest.raises(OSError, match="connection lost"):
        await durable.resume("r", handlers=call_tools(fetch))
    assert (await durable.info("r")).status == ("cancelled" if cancelled else "succeeded")
    if cancelled:
        with pytest.raises(RunCancelled):
            await durable.resume("r", handlers=call_tools(fetch))
    else:
        assert await durable.resume("r", handlers=call_tools(fetch)) == "done"
    assert calls == ["clean"]


class Slow(InMemoryStore):
    """Takes its time for each commit, as a disk does."""

    async def batch(self, changes: Sequence[Change]) -> bool:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.002)
        return await super().batch(changes)


def beside_a_question() -> Plan[Any, Any]:
    def other() -> Plan[Any, str]:
        try:
            yield from timeout(0.05, dawdle("a"))
        except TimeoutError:
            calls.append("too late")
        return (yield from dawdle("b"))

    return list((yield from parallel(ask("Go on?"), other())))


async def test_a_run_is_not_suspended_while_a_branch_goes_on(autojump_clock: Any) -> None:
    """Also while that one's decision is being written."""
    with pytest.raises(RunSuspended):
        await Durable(Slow()).run("r", beside_a_question, handlers=call_tools(dawdle))
    assert calls == ["a", "too late", "b", "b done"]
