"""with_state: a state is loaded when a plan begins, and saved when it has ended, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects import (
    AgentState,
    Beliefs,
    Compaction,
    Effect,
    Handler,
    Plan,
    RecallMarked,
    SavedState,
    Sleep,
    attempt,
    data_lens,
    effect,
    fixed_time,
    forget,
    in_memory,
    memory_lens,
    merge_states,
    migration,
    parallel,
    race,
    recall,
    remember,
    save_state,
    scratch_lens,
    store_memory,
    timeout,
    versioned,
    with_state,
)
from lambdacat_effects.cognition import keeping
from lambdacat_effects.errors import (
    InvalidArgument,
    LimitExceeded,
    NotAPlan,
    NotSerialisable,
    PlanTimeout,
    SimulationFailure,
    StateConflict,
    StoredValueMismatch,
)
from lambdacat_effects.observability.report import Recorder
from lambdacat_effects.plan import Actions, compile_plan, focus, sequence
from lambdacat_effects.plan import parallel as dsl_parallel
from lambdacat_effects.storage import InMemoryStore
from lambdacat_effects.testing import Faults, Report, explore, performed, simulate

State = AgentState[Any]


@effect
class Ask(Effect[str]):
    question: str


answering = Ask.by(lambda asked: asked.question.upper())


def count(state: State) -> Plan[Any, State]:
    """A plan that counts its runs."""
    yield from Sleep(0)
    return data_lens.modify(state, lambda data: {**data, "n": data.get("n", 0) + 1})


def kept(memory: Handler[Any], where: str = "ada") -> State | None:
    """The state that is kept."""
    saved = memory.run_pure(recall("agents", where, as_type=SavedState[AgentState[Any]]))
    return None if saved is None else saved.state


def saves(memory: Handler[Any]) -> int:
    saved = memory.run_pure(recall("agents", "ada", as_type=SavedState[AgentState[Any]]))
    return 0 if saved is None else saved.saves


def changing(**data: Any) -> Callable[[State], Any]:
    def plan(state: State) -> Any:
        return data_lens.set(state, {**state.data, **data})
        yield

    return plan


# Loading and saving


def test_the_state_is_there_again_in_the_next_run() -> None:
    memory = in_memory()
    for n in (1, 2, 3):
        assert AgentState({"n": n}) == memory.run_pure(with_state("agents", "ada", count))
    assert (AgentState({"n": 3}), 3) == (kept(memory), saves(memory))


async def test_it_works_on_trio_and_in_every_store() -> None:
    class WaitingStore(InMemoryStore):
        pass

    memory = store_memory(WaitingStore())
    for _ in range(2):
        await memory.run(with_state("agents", "ada", count))
    assert AgentState({"n": 2}) == kept(memory)


def test_a_pair_is_an_answer_and_a_state() -> None:
    def plan(state: State) -> Plan[Ask, tuple[str, State]]:
        answer = yield from Ask("why?")
        return answer, memory_lens.set(state, {"why": answer})

    memory = in_memory()
    assert "WHY?" == (memory | answering).run_pure(with_state("agents", "ada", plan))
    assert AgentState({}, memory={"why": "WHY?"}) == kept(memory)


@attrs.frozen
class Notes:
    hits: tuple[str, ...] = ()
    best: str | None = None


def test_data_of_a_class_reads_back_as_that_class() -> None:
    def plan(state: AgentState[Notes]) -> Plan[Ask, AgentState[Notes]]:
        hit = yield from Ask(f"hit {len(state.data.hits)}")
        return attrs.evolve(state, data=Notes((*state.data.hits, hit), hit))

    memory = in_memory() | answering
    for _ in range(2):
        state = memory.run_pure(with_state("agents", "ada", plan, initial=AgentState(Notes())))
    assert Notes(("HIT 0", "HIT 1"), "HIT 1") == state.data


def test_as_type_says_what_the_class_of_the_data_does_not() -> None:
    def plan(state: AgentState[list[Notes]]) -> Any:
        return attrs.evolve(state, data=[*state.data, Notes()])
        yield

    memory = in_memory()
    for _ in range(2):
        run = with_state("agents", "ada", plan, initial=AgentState([]), as_type=AgentState[list[Notes]])
        assert all(isinstance(note, Notes) for note in memory.run_pure(run).data)
    with pytest.raises(
        NotSerialisable,
        match=r"the state of \('agents', 'bob'\) cannot be saved: value\.data\[0\] is "
        r"of type Notes and would come back as \{.*\}: declare its type",
    ):
        memory.run_pure(with_state("agents", "bob", plan, initial=AgentState([])))


@pytest.mark.parametrize(
    ("part", "place"),
    [
        (lambda s: memory_lens.set(s, {"a": [Notes()]}), r"value\.memory\['a'\]\[0\] is of type Notes"),
        (lambda s: memory_lens.set(s, {"a": {1: 2}}), r"value\.memory\['a'\] is of type dict"),
        (lambda s: data_lens.set(s, {"a": {"b"}}), r"value\.data\['a'\] is of type set"),
        (lambda s: data_lens.set(s, b"x"), r"value\.data is of type bytes"),
        (lambda s: data_lens.set(s, print), r"value\.data is of type builtin_function"),
    ],
)
def test_what_would_not_come_back_the_same_is_refused_and_nothing_is_saved(part: Any, place: str) -> None:
    """The second run would meet other values than the first one left."""

    def plan(state: State) -> Any:
        return part(state)
        yield

    memory = in_memory()
    memory.run_pure(with_state("agents", "ada", count))
    with pytest.raises(NotSerialisable, match=place):
        memory.run_pure(with_state("agents", "ada", plan))
    assert AgentState({"n": 1}) == kept(memory)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(plain, st.dictionaries(st.text(max_size=3), plain, max_size=3))
def test_any_plain_state_is_saved_and_is_there_again(data: Any, memories: dict[str, Any]) -> None:
    def plan(state: State) -> Any:
        return attrs.evolve(state, data=data, memory=memories, scratch={"x": object()})
        yield

    memory = in_memory()
    left = memory.run_pure(with_state("agents", "ada", plan))
    met: list[State] = []

    def look(state: State) -> Any:
        met.append(state)
        return state
        yield

    memory.run_pure(with_state("agents", "ada", look))
    assert repr(attrs.evolve(left, scratch={})) == repr(met[0])  # by repr, since NaN is not equal to itself
    assert list(memories) == list(met[0].memory)


def test_scratch_begins_as_the_initial_one_and_is_never_kept() -> None:
    seen: list[Any] = []

    def plan(state: State) -> Any:
        seen.append(dict(state.scratch))
        state = yield from save_state(
            scratch_lens.set(data_lens.set(state, {"n": len(seen)}), {"open": print})
        )
        seen.append(dict(state.scratch))
        return state

    initial = AgentState({}, scratch={"tries": 0})
    memory = in_memory()
    for _ in range(2):
        memory.run_pure(with_state("agents", "ada", plan, initial=initial))
    assert [{"tries": 0}, {"open": print}] * 2 == seen


def test_no_run_shares_objects_with_another() -> None:
    """Not with the initial state, nor with what is kept, though dicts can be changed in place."""

    def plan(state: State) -> Any:
        state.data.setdefault("seen", []).append(len(state.data.get("seen", ())))
        return state
        yield

    initial = AgentState({"seen": []})
    memory, other = in_memory(), in_memory()
    for _ in range(3):
        memory.run_pure(with_state("agents", "ada", plan, initial=initial))
    assert [0, 1, 2] == memory.run_pure(with_state("agents", "ada", same)).data["seen"]
    other.run_pure(with_state("agents", "ada", plan, initial=initial))
    assert {"seen": []} == initial.data


def same(state: State) -> Any:
    return state
    yield


def test_what_did_not_change_is_not_written_again() -> None:
    memory, recorder = in_memory(), Recorder()
    memory.run_pure(with_state("agents", "ada", same))
    assert 1 == saves(memory)  # at first, there was nothing
    memory.run_pure(with_state("agents", "ada", same), listen=recorder)
    assert 1 == saves(memory)
    performed(recorder).only(RecallMarked)


@versioned(2)
@attrs.frozen
class Job:
    title: str


@migration(Job, 1)
def named(old: dict[str, Any]) -> dict[str, Any]:
    return {"title": old["name"]}


def test_an_old_state_is_migrated() -> None:
    old = {"$type": "AgentState", "data": {"$type": "Job", "name": "cook"}, "memory": []}
    memory = in_memory({("agents", "ada"): {"$type": "SavedState", "$version": 1, "saves": 7, "state": old}})

    def promote(state: AgentState[Job]) -> Any:
        return attrs.evolve(state, data=Job("chief " + state.data.title))
        yield

    state = memory.run_pure(with_state("agents", "ada", promote, initial=AgentState(Job("none"))))
    assert (Job("chief cook"), 8) == (state.data, saves(memory))


def test_what_is_no_state_is_named_and_left_alone() -> None:
    memory = in_memory({("agents", "ada"): {"$type": "Job", "title": "x"}})
    with pytest.raises(
        StoredValueMismatch, match=r"\('agents', 'ada'\) cannot be recalled: .*found a stored Job"
    ):
        memory.run_pure(with_state("agents", "ada", count))


# Failing


class Broken(Exception):
    pass


def failing_after(save: bool) -> Callable[[State], Any]:
    def plan(state: State) -> Any:
        state = data_lens.set(state, {"n": 5})
        if save:
            yield from save_state(state)
        yield from Sleep(1)
        raise Broken

    return plan


def test_a_plan_that_fails_saves_nothing_but_what_it_was_asked_to() -> None:
    memory = in_memory()
    memory.run_pure(with_state("agents", "ada", count))
    for save, n in ((False, 1), (True, 5)):
        with pytest.raises(Broken):
            memory.run_pure(with_state("agents", "ada", failing_after(save)))
        assert AgentState({"n": n}) == kept(memory)


async def test_a_plan_that_is_cancelled_saves_nothing(autojump_clock: Any) -> None:
    memory = in_memory()

    def slow(state: State) -> Any:
        yield from Sleep(10)
        return data_lens.set(state, {"late": True})

    with pytest.raises(PlanTimeout):
        await memory.run(timeout(1, with_state("agents", "ada", slow)))
    await memory.run(race(with_state("agents", "ada", slow), Sleep(1)))
    with trio.move_on_after(1) as scope:
        await memory.run(with_state("agents", "ada", slow))
    assert scope.cancelled_caught
    assert kept(memory) is None


def test_saving_goes_on_from_what_was_saved_last() -> None:
    def plan(state: State) -> Any:
        for n in range(3):
            state = yield from save_state(data_lens.set(state, {"n": n}))
        return state

    memory = in_memory()
    assert AgentState({"n": 2}) == memory.run_pure(with_state("agents", "ada", plan))
    assert 3 == saves(memory)  # the end had nothing more to save


def test_states_may_be_nested() -> None:
    """`save_state` means the nearest."""

    def outer(state: State) -> Any:
        inner = yield from with_state("agents", "inner", saving_inner)
        return data_lens.set(state, {"inner": inner.data})

    def saving_inner(state: State) -> Any:
        return (yield from save_state(data_lens.set(state, {"is": "inner"})))

    memory = in_memory()
    memory.run_pure(with_state("agents", "outer", outer))
    assert AgentState({"is": "inner"}) == kept(memory, "inner")
    assert AgentState({"inner": {"is": "inner"}}) == kept(memory, "outer")


# Limits


def test_a_state_that_is_too_large_is_refused_before_anything_is_written() -> None:
    def plan(state: State) -> Any:
        return memory_lens.set(state, {"a": "x" * 1000})
        yield

    memory = in_memory()
    with pytest.raises(
        LimitExceeded,
        match=r"\('agents', 'ada'\) has [\d,]+ bytes, of which its memory has 1,0\d\d, "
        r"and may have 500",
    ):
        memory.run_pure(with_state("agents", "ada", plan, most_bytes=500))
    assert kept(memory) is None
    memory.run_pure(with_state("agents", "ada", plan, most_bytes=5000))


def test_compaction_comes_round_every_so_many_saves() -> None:
    def learn(state: State) -> Any:
        return memory_lens.set(state, {**state.memory, f"m{len(state.memory)}-{state.data['runs']}": 1})
        yield

    def run(state: State) -> Any:
        return (yield from learn(data_lens.set(state, {"runs": state.data.get("runs", 0) + 1})))

    memory, sizes = in_memory(), []
    for _ in range(9):
        state = memory.run_pure(
            with_state("agents", "ada", run, compaction=Compaction(most_memories=2, every=4))
        )
        sizes.append(len(state.memory))
    assert [1, 2, 3, 2, 3, 4, 5, 2, 3] == sizes


def test_compaction_asks_what_time_it_is() -> None:
    def believe(state: State) -> Any:
        beliefs = Beliefs().observed("p", "old", 1.0, time=0.0).observed("q", "new", 1.0, time=990.0)
        return attrs.evolve(state, beliefs=beliefs)
        yield

    handlers = in_memory() | fixed_time(1000.0)
    state = handlers.run_pure(with_state("agents", "ada", believe, compaction=Compaction(fading=0.1)))
    assert ["q"] == list(state.beliefs)


# Misuse


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"plan": count(AgentState({}))}, r"takes a function from a state to a plan"),
        ({"plan": None}, r"takes a function"),
        ({"initial": {}}, r"initial=\.\.\.\) is an AgentState"),
        ({"store": ""}, "namespace"),
        ({"key": 3}, "key"),
        ({"most_bytes": 0}, "most_bytes"),
        ({"compaction": {}}, "compaction"),
        ({"merge": True}, "merge"),
    ],
)
def test_arguments_are_checked_where_they_are_given(arguments: dict[str, Any], message: str) -> None:
    given: Any = {"store": "agents", "key": "ada", "plan": count, **arguments}
    with pytest.raises(InvalidArgument, match=message):
        with_state(given.pop("store"), given.pop("key"), given.pop("plan"), **given)


@pytest.mark.parametrize("answer", [None, {}, (1, 2), (1, AgentState({}), 3), "state"])
def test_a_plan_that_answers_no_state_is_named(answer: Any) -> None:
    def plan(state: State) -> Any:
        yield from Sleep(0)
        return answer

    memory = in_memory()
    with pytest.raises(InvalidArgument, match=r"\('agents', 'ada'\) is to answer its AgentState, or a pair"):
        memory.run_pure(with_state("agents", "ada", plan))
    assert kept(memory) is None


def test_a_plan_that_is_none_is_named() -> None:
    with pytest.raises(NotAPlan):
        in_memory().run_pure(with_state("agents", "ada", lambda state: state))
    with pytest.raises(InvalidArgument, match="save_state takes the AgentState"):
        save_state({})  # type: ignore[type-var]


# The DSL


def test_compiled_plans_keep_their_state() -> None:
    async def ask(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "asked": data.get("asked", 0) + 1}

    def note(memories: Any) -> dict[str, Any]:
        return {**memories, f"run {len(memories)}": True}

    def checkpoint(state: State) -> Any:
        return (yield from save_state(state))

    def left(state: State) -> State:
        return data_lens.modify(state, lambda d: {**d, "left": 1})

    def right(state: State) -> State:
        return attrs.evolve(state, profile={**state.profile, "right": 1})

    actions = Actions.of({"ask": ask, "note": note, "checkpoint": checkpoint, "left": left, "right": right})
    program = compile_plan(
        sequence(
            focus(data_lens, "ask"), "checkpoint", focus(memory_lens, "note"), dsl_parallel("left", "right")
        ),
        actions,
    )
    memory = in_memory()
    for _ in range(2):
        trio.run(memory.run, with_state("agents", "ada", program))
    expected = AgentState({"asked": 2, "left": 1}, {"run 0": True, "run 1": True}, profile={"right": 1})
    assert (expected, 4) == (kept(memory), saves(memory))


# Concurrency


def add(name: str) -> Callable[[State], Any]:
    def plan(state: State) -> Any:
        yield from Ask(name)
        return data_lens.set(state, {**state.data, name: state.data.get(name, 0) + 1})

    return plan


def interfering(state: State) -> Any:
    """While it works, somebody else saves."""
    yield from with_state("agents", "ada", changing(theirs=1))
    return data_lens.set(state, {**state.data, "ours": 1})


def test_a_state_that_somebody_else_saved_is_not_overwritten() -> None:
    memory = in_memory()
    memory.run_pure(with_state("agents", "ada", count))
    with pytest.raises(
        StateConflict,
        match=r"\('agents', 'ada'\) was saved by somebody else while a plan worked "
        r"on it \(it was at save 1 and is at 2\); nothing was saved\. Run the plan again",
    ):
        memory.run_pure(with_state("agents", "ada", interfering))
    assert AgentState({"n": 1, "theirs": 1}) == kept(memory)


def test_with_a_merge_both_changes_are_there() -> None:
    memory = in_memory()
    memory.run_pure(with_state("agents", "ada", count))
    state = memory.run_pure(with_state("agents", "ada", interfering, merge=merge_states))
    assert AgentState({"n": 1, "theirs": 1, "ours": 1}) == state == kept(memory)


def test_changes_that_cannot_be_merged_are_a_conflict_that_names_the_place() -> None:
    def plan(state: State) -> Any:
        yield from with_state("agents", "ada", changing(x=1))
        return data_lens.set(state, {"x": 2})

    memory = in_memory()
    with pytest.raises(StateConflict, match=r"cannot be merged.*state\.data\['x'\]"):
        memory.run_pure(with_state("agents", "ada", plan, merge=merge_states))
    assert AgentState({"x": 1}) == kept(memory)


@pytest.mark.parametrize("merge", [None, merge_states])
def test_a_plan_that_goes_on_after_a_conflict_does_not_overwrite_the_other(merge: Any) -> None:
    """It has not seen what they saved, so its end is as much of a conflict."""

    def plan(state: State) -> Any:
        yield from with_state("agents", "ada", changing(x=1))
        state = data_lens.set(state, {"x": 2})
        assert not (yield from attempt(save_state(state))).is_ok
        return state

    memory = in_memory()
    with pytest.raises(StateConflict):
        memory.run_pure(with_state("agents", "ada", plan, merge=merge))
    assert AgentState({"x": 1}) == kept(memory)


def test_a_merge_answers_a_state() -> None:
    with pytest.raises(InvalidArgument, match=r"merge=\.\.\.\) is to answer an AgentState; it answered None"):
        in_memory().run_pure(with_state("agents", "ada", interfering, merge=lambda base, states: None))


@pytest.mark.parametrize("merge", [None, merge_states])
def test_a_state_that_was_forgotten_meanwhile_is_a_conflict(merge: Any) -> None:
    def plan(state: State) -> Any:
        yield from forget("agents", "ada")
        return data_lens.set(state, {"x": 2})

    memory = in_memory()
    memory.run_pure(with_state("agents", "ada", count))
    with pytest.raises(StateConflict, match="was forgotten while a plan worked on it"):
        memory.run_pure(with_state("agents", "ada", plan, merge=merge))
    assert kept(memory) is None


def test_a_state_that_came_back_to_what_it_was_has_changed_all_the_same() -> None:
    def plan(state: State) -> Any:
        yield from with_state("agents", "ada", changing(x=1))
        yield from with_state("agents", "ada", changing(x=0))
        return data_lens.set(state, {"x": 2})

    memory = in_memory()
    memory.run_pure(with_state("agents", "ada", changing(x=0)))
    with pytest.raises(StateConflict, match="it was at save 1 and is at 3"):
        memory.run_pure(with_state("agents", "ada", plan))


def two_at_once(run: Callable[..., Any], merge: Any = None) -> Callable[[], Any]:
    """Three plans change one state at the same time; each adds 1 under a name of its own."""

    def scenario() -> Any:
        memory = in_memory() | answering

        def plan() -> Any:
            ended = yield from parallel(
                *[attempt(run("agents", "ada", add(name), merge=merge)) for name in ("a", "b", "c")]
            )
            return ended, (yield from recall("agents", "ada", as_type=SavedState[AgentState[Any]]))

        def check(report: Report) -> None:
            ended, saved = report.value
            succeeded = [name for name, one in zip("abc", ended, strict=True) if one.is_ok]
            errors = [one.error for one in ended if not one.is_ok]
            assert all(isinstance(error, StateConflict) for error in errors), errors
            assert dict.fromkeys(succeeded, 1) == saved.state.data
            assert len(succeeded) == saved.saves
            assert merge is None or not errors

        return plan(), memory, check

    return scenario


def careless(store: str, key: str, plan: Any, merge: Any = None) -> Any:
    """A mutant: it does not look whether somebody else has saved."""
    saved = yield from recall(store, key, as_type=SavedState[AgentState[Any]])
    state = yield from plan(saved.state if saved else AgentState({}))
    yield from remember(store, key, SavedState(saved.saves + 1 if saved else 1, state))
    return state


def looking(store: str, key: str, plan: Any, merge: Any = None) -> Any:
    """A mutant: it looks first, and writes then."""
    saved = yield from recall(store, key, as_type=SavedState[AgentState[Any]])
    state = yield from plan(saved.state if saved else AgentState({}))
    now = yield from recall(store, key, as_type=SavedState[AgentState[Any]])
    if now != saved:
        raise StateConflict("changed")
    yield from remember(store, key, SavedState(saved.saves + 1 if saved else 1, state))
    return state


@pytest.mark.parametrize("merge", [None, merge_states])
def test_in_every_order_nothing_is_lost_silently(merge: Any) -> None:
    """A plan that succeeded has its change in the state; one that lost says so; with a merge, none loses."""
    assert explore(two_at_once(with_state, merge), runs=400, seed=1).distinct > 30


@pytest.mark.parametrize("mutant", [careless, looking])
def test_exploring_finds_lost_updates(mutant: Any) -> None:
    with pytest.raises(SimulationFailure, match="AssertionError"):
        explore(two_at_once(mutant), runs=400, seed=1)


def first_only(base: Any, states: Sequence[Any]) -> Any:
    return states[0]


def test_exploring_finds_a_merge_that_loses() -> None:
    """A mutant: it takes their state and drops ours."""
    with pytest.raises(SimulationFailure, match="AssertionError"):
        explore(two_at_once(with_state, first_only), runs=400, seed=1)


def test_a_mutant_that_merges_with_the_first_base_again_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a second conflict the base is what the first one was merged with."""
    original = keeping._Keeping.merged

    def stale(self: Any, ours: Any) -> Any:
        before = self.base
        state = yield from original(self, ours)
        self.base = before
        return state

    def both(base: Any, states: Sequence[Any]) -> Any:
        merged = merge_states(base, states)
        added = sum(len(state.data) - len(base.data) for state in states)
        assert len(base.data) + added == len(merged.data), "something was counted twice"
        return merged

    explore(two_at_once(with_state, both), runs=400, seed=1)
    monkeypatch.setattr(keeping._Keeping, "merged", stale)
    with pytest.raises(SimulationFailure, match="counted twice"):
        explore(two_at_once(with_state, both), runs=400, seed=1)


def test_under_faults_what_is_kept_is_always_one_whole_state() -> None:
    """Effects fail and replies are lost: then a plan does not know, and the state is of before or after."""

    def scenario() -> Any:
        memory = in_memory() | answering

        def plan() -> Any:
            return (
                yield from parallel(
                    *[attempt(with_state("agents", "ada", add(n), merge=merge_states)) for n in "ab"]
                )
            )

        def check(report: Report) -> None:
            state = kept(memory)
            done = [] if report.error else [n for n, one in zip("ab", report.value, strict=True) if one.is_ok]
            found = {} if state is None else state.data
            assert set(done) <= found.keys() <= {"a", "b"}
            assert all(1 == n for n in found.values())

        return plan(), memory, check

    explore(scenario, runs=400, seed=1, faults=Faults(fail=0.1, lost_reply=0.1))


def test_one_seed_is_one_run() -> None:
    traces = [simulate(two_at_once(with_state, merge_states), seed=7).trace for _ in range(3)]
    assert traces[0] == traces[1] == traces[2]
