"""Searching memory by prefix, and changing it only if nobody else has."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects import (
    Handler,
    Marked,
    Memory,
    Plan,
    in_memory,
    parallel,
    recall,
    recall_marked,
    remember,
    remember_unless_changed,
    save_state,
    search_memory,
    store_memory,
)
from lambdacat_effects.cognition import AgentState
from lambdacat_effects.errors import (
    InvalidArgument,
    LimitExceeded,
    NotSerialisable,
    SimulationFailure,
    StoredValueMismatch,
    UnhandledEffect,
)
from lambdacat_effects.storage import InMemoryStore
from lambdacat_effects.testing import explore


class WaitingStore(InMemoryStore):
    """Of a class of its own, so that its handler is one for stores that may wait."""


@pytest.fixture(params=["at once", "waiting"])
def memory(request: pytest.FixtureRequest) -> Handler[Memory]:
    return in_memory() if request.param == "at once" else store_memory(WaitingStore())


keys = st.text("ab\U00010000\uffff", min_size=1, max_size=3)


@settings(deadline=None)
@given(
    st.dictionaries(keys, st.integers(), max_size=8),
    st.text("ab\uffff", max_size=2),
    st.none() | st.integers(1, 4),
)
def test_a_search_answers_what_a_dictionary_would(
    kept: dict[str, int], prefix: str, limit: int | None
) -> None:
    """In the order of code points, at most `limit`; other namespaces are apart."""
    memory = in_memory({("n", key): value for key, value in kept.items()} | {("m", "a"): "other"})
    expected = sorted((key, value) for key, value in kept.items() if key.startswith(prefix))[:limit]
    assert expected == memory.run_pure(search_memory("n", prefix, as_type=int, limit=limit))


async def test_a_search_sees_what_was_remembered_before(memory: Handler[Memory]) -> None:
    def plan() -> Plan[Memory, Any]:
        none = yield from search_memory("n", as_type=int)
        yield from remember("n", "b", 2)
        yield from remember("n", "a", 1)
        yield from remember("n", "c", None)
        return none, (yield from search_memory("n", as_type=int))

    assert ([], [("a", 1), ("b", 2)]) == await memory.run(plan())


def test_a_mismatch_names_the_key_and_one_beyond_the_limit_is_not_read() -> None:
    memory = in_memory({("n", "a"): 1, ("n", "b"): "x"})
    with pytest.raises(
        StoredValueMismatch, match=r"^\('n', 'b'\) cannot be recalled: .*expected int, found text"
    ):
        memory.run_pure(search_memory("n", as_type=int))
    assert [("a", 1)] == memory.run_pure(search_memory("n", as_type=int, limit=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"namespace": ""}, "namespace"),
        ({"namespace": "n", "prefix": 3}, "prefix of memory keys"),
        ({"namespace": "n", "limit": 0}, "limit of a search"),
        ({"namespace": "n", "limit": True}, "limit of a search"),
    ],
)
def test_what_to_search_for_is_checked_where_it_is_given(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        search_memory(**arguments, as_type=int)


async def test_what_is_kept_has_a_mark_until_something_else_is(memory: Handler[Memory]) -> None:
    def plan() -> Plan[Memory, None]:
        nothing = yield from recall_marked("n", "k", as_type=int)
        assert nothing.value is None
        one = yield from remember_unless_changed("n", "k", 1, since=nothing.mark)
        assert one is not None
        assert Marked(1, one) == (yield from recall_marked("n", "k", as_type=int))
        assert None is (yield from remember_unless_changed("n", "k", 2, since=nothing.mark))
        two = yield from remember_unless_changed("n", "k", 2, since=one)
        assert two not in (None, one)
        yield from remember("n", "k", 3)
        assert None is (yield from remember_unless_changed("n", "k", 4, since=str(two)))
        assert 3 == (yield from recall("n", "k", as_type=int))

    await memory.run(plan())


def test_a_remembered_none_is_something() -> None:
    memory = in_memory({("n", "k"): None})
    empty = in_memory().run_pure(recall_marked("n", "k", as_type=int))
    none = memory.run_pure(recall_marked("n", "k", as_type=int))
    assert none.value is None
    assert empty.mark != none.mark


def test_what_cannot_be_kept_is_refused_before_anything_is_compared() -> None:
    memory = in_memory({("n", "k"): 1}, most_bytes=10)
    with pytest.raises(NotSerialisable, match=r"\('n', 'k'\) cannot be remembered"):
        memory.run_pure(remember_unless_changed("n", "k", print, since="x"))
    with pytest.raises(LimitExceeded, match=r"\('n', 'k'\) cannot be remembered"):
        memory.run_pure(remember_unless_changed("n", "k", "x" * 20, since="x"))


@pytest.mark.parametrize("arguments", [("", "k", 1, "m"), ("n", "", 1, "m"), ("n", "k", 1, None)])
def test_where_to_keep_it_is_checked_where_it_is_given(arguments: Any) -> None:
    *where, since = arguments
    with pytest.raises(InvalidArgument):
        remember_unless_changed(*where, since=since)


def add_carefully() -> Generator[Any, Any, None]:
    mark = None
    while mark is None:
        found = yield from recall_marked("n", "k", as_type=int)
        mark = yield from remember_unless_changed("n", "k", (found.value or 0) + 1, since=found.mark)


def add_carelessly() -> Generator[Any, Any, None]:
    found = yield from recall_marked("n", "k", as_type=int)
    yield from remember("n", "k", (found.value or 0) + 1)


def adding(add: Any, store: Any) -> Any:
    def scenario() -> Any:
        memory = store_memory(store())

        def plan() -> Plan[Memory, int | None]:
            yield from parallel(*[add() for _ in range(4)])
            return (yield from recall("n", "k", as_type=int))

        def check(report: Any) -> None:
            assert 4 == report.value

        return plan(), memory, check

    return scenario


@pytest.mark.parametrize("store", [InMemoryStore, WaitingStore])
def test_no_update_is_lost_in_any_order(store: Any) -> None:
    """And exploring finds the one that does not look (a mutant)."""
    explore(adding(add_carefully, store), runs=300, seed=1)
    with pytest.raises(SimulationFailure):
        explore(adding(add_carelessly, store), runs=300, seed=1)


def test_saving_a_state_outside_of_with_state_says_what_to_do() -> None:
    with pytest.raises(UnhandledEffect, match=r"run the plan with with_state\(store, key, plan\)"):
        in_memory().run_pure(save_state(AgentState({})))
