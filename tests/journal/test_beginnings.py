"""How combinators begin in a journal: with the first that is known of their branches, at no cost of a commit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytest
from durable_plans import TOOLS, fetch

from lambdacat_effects import (
    Durable,
    Plan,
    attempt,
    belief,
    call_tools,
    observe,
    parallel,
    race,
    store_beliefs,
    timeout,
)
from lambdacat_effects.journal.records import ENTRIES, Kind, Record
from lambdacat_effects.storage import Change, InMemoryStore, Put


class Noting(InMemoryStore):
    """Notes the records of each commit, as kind and place."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[list[str]] = []

    async def batch(self, changes: Sequence[Change]) -> bool:
        made = await super().batch(changes)
        records = [
            Record.decode("r", bytes(c.value))
            for c in changes
            if isinstance(c, Put) and c.namespace == ENTRIES
        ]
        if made and records:
            self.commits.append([f"{r.kind.value} {'.'.join(map(str, r.place))}" for r in records])
        return made


def pure() -> Plan[Any, int]:
    yield from ()
    return 1


def two() -> Plan[Any, Any]:
    yield from parallel(fetch("a"), fetch("b"))


def nested() -> Plan[Any, Any]:
    yield from timeout(0.5, parallel(fetch("a"), race(fetch("b"))))


def nothing_to_do() -> Plan[Any, Any]:
    yield from parallel(pure(), pure())
    yield from fetch("a")


def failing() -> Plan[Any, Any]:
    yield from attempt(parallel(_broken(), _broken()))
    yield from fetch("a")


def _broken() -> Plan[Any, Any]:
    yield from ()
    raise ValueError("broken")


def on_a_condition() -> Plan[Any, Any]:
    yield from parallel(observe("it rains", 1.0, source="window"), belief("it snows"))


def with_a_deadline() -> Plan[Any, Any]:
    yield from timeout(5, fetch("a"))


BEGUN: dict[Any, list[list[str]]] = {
    two: [["s 1", "a 1.0.1"], ["a 1.1.1"]],
    nested: [["s 1", "s 1.1", "a 1.1.0.1"], ["s 1.1.1.1", "a 1.1.1.1.0.1"]],
    nothing_to_do: [["a 2"]],
    failing: [["a 3"]],
    with_a_deadline: [["s 1"], ["a 1.1"]],
}


async def performed(make: Any, store: InMemoryStore) -> Any:
    handlers = call_tools(*TOOLS) | store_beliefs(store)
    return await Durable(store).run("r", make, handlers=handlers)


@pytest.mark.parametrize("make", BEGUN, ids=lambda make: make.__name__)
async def test_a_beginning_is_written_with_what_follows(make: Any) -> None:
    """A deadline alone is written at once, since it passes while nobody performs the run."""
    store = Noting()
    await performed(make, store)
    commits = [commit for commit in store.commits if commit[0][0] not in "dk"]
    assert len(BEGUN[make]) == len(commits)
    assert sorted(chain(*BEGUN[make])) == sorted(chain(*commits))


async def test_a_beginning_does_not_hang_on_a_condition() -> None:
    """What is written if somebody else has changed nothing meanwhile may not be written at all."""
    store = Noting()
    await performed(on_a_condition, store)
    assert store.commits[0] == ["s 1"] or store.commits[0] == ["s 1", "a 1.1.1"]
    assert len(store.commits) in (2, 3)


async def test_what_began_is_compared() -> None:
    """Each combinator's record tells what it was."""
    store = Noting()
    await performed(two, store)
    first = Record.decode("r", sorted(store._namespaces[ENTRIES].items())[0][1])
    assert (Kind.STARTED, (1,), "parallel(branches=2)", None) == (
        first.kind,
        first.place,
        first.text(),
        first.data,
    )
