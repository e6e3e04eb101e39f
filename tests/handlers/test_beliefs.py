"""Beliefs in plans: kept in any store, on the run's clock, and nothing lost however many observe at once."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects import (
    Ambient,
    Believing,
    Handler,
    Plan,
    Resource,
    Sleep,
    adopt,
    attempt,
    belief,
    believe,
    fixed_time,
    held_beliefs,
    in_memory_beliefs,
    observe,
    parallel,
    retract,
    store_beliefs,
)
from lambdacat_effects.algebra import Belief, Beliefs, Evidence, log_odds, rate_of, weight_of
from lambdacat_effects.effects import Observe
from lambdacat_effects.errors import (
    Contradiction,
    InvalidArgument,
    ResourceNotOpen,
    SimulationFailure,
    StoredValueMismatch,
)
from lambdacat_effects.plan import Actions, compile_plan, sequence
from lambdacat_effects.storage import InMemoryStore, LmdbStore
from lambdacat_effects.storage.codec import decode
from lambdacat_effects.storage.port import Change, Expect
from lambdacat_effects.storage.transactions import Transaction, enlisting
from lambdacat_effects.testing import Faults, Report, explore, record, replay
from lambdacat_effects.testing.laws import Law, handler_laws


def on_disk(path: Path) -> Handler[Believing]:
    return store_beliefs(Resource("the beliefs", lambda: LmdbStore(path)), rate=0.1)


Make = Callable[[], Handler[Believing]]


@pytest.fixture(params=["a dictionary", "any store", "on disk"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes handlers that keep beliefs in one place."""
    store = InMemoryStore()
    made = in_memory_beliefs(rate=0.1)
    kinds: dict[str, Make] = {
        "a dictionary": lambda: made,
        "any store": lambda: store_beliefs(store, rate=0.1),
        "on disk": lambda: on_disk(tmp_path),
    }
    return kinds[request.param]


def weather() -> Plan[Believing, tuple[float, float, bool, bool, float]]:
    yield from believe("it rains", 0.25)
    yield from observe("it rains", (0.9, 0.3), source="radar")
    yield from observe("it rains", (0.9, 0.3), source="radar")
    with_radar = (yield from belief("it rains")).log_odds
    yield from observe("it rains", 100.0, source="oracle")
    with_oracle = (yield from belief("it rains")).doubt
    taken_back = yield from retract("it rains", "oracle")
    again = yield from retract("it rains", "oracle")
    return with_radar, with_oracle, taken_back, again, (yield from belief("it rains", rate=0.0)).log_odds


async def test_a_plan_believes_observes_reads_and_retracts(make: Make) -> None:
    """The same in memory and on disk, and the next run goes on where it ended."""
    with_radar, with_oracle, taken_back, again, last = await (make() | fixed_time(1e9)).run(weather())
    expected = log_odds(0.25) + weight_of(0.9, 0.3)
    assert expected == last == with_radar
    assert with_oracle < 1e-40
    assert (True, False) == (taken_back, again)
    assert expected == (await make().run(belief("it rains", rate=0.0))).log_odds


def test_without_an_event_loop_the_answers_are_the_same() -> None:
    with_radar, *_, last = in_memory_beliefs(rate=0.1).run_pure(weather())
    assert log_odds(0.25) + weight_of(0.9, 0.3) == with_radar == last


def program(wrong: object = None) -> Plan[Believing, list[Any]]:
    found: list[Any] = [(yield from attempt(belief("it rains", rate=0.0)))]
    yield from observe("it rains", math.inf, source="radar")
    yield from observe("it rains", -math.inf, source="gauge")
    found.append((yield from attempt(belief("it rains"))))
    yield from retract("it rains", "gauge")
    yield from adopt(Beliefs().observed("it rains", "scout", 1.5, time=-5.0).stated("it snows", 0.5))
    found.append((yield from held_beliefs("it s")))
    everything = yield from held_beliefs()
    found.append(everything["it rains"].evidence["scout"])
    return found


@pytest.mark.parametrize(
    "law",
    handler_laws(lambda: in_memory_beliefs(), [program, [program, belief("it rains", rate=0.0)]]),
    ids=str,
)
def test_the_handler_in_memory_obeys_the_laws_of_handlers(law: Law) -> None:
    law.check()


async def test_contradictory_certainties_are_raised_in_the_plan_that_reads(make: Make) -> None:
    found = await make().run(program())
    assert isinstance(found[1].error, Contradiction)
    assert "'radar' is certain of 'it rains', and 'gauge' of its opposite" in str(found[1].error)
    assert ["it snows"] == list(found[2])
    assert Evidence(1, 1.5, -5.0) == found[3]


# Time


def test_evidence_fades_on_the_clock_of_the_run() -> None:
    def plan() -> Plan[Believing | Ambient, tuple[float, float, float]]:
        yield from believe("it rains", weight=1.0)
        yield from observe("it rains", 4.0, source="radar")
        yield from Sleep(60.0)
        yield from observe("it rains", 2.0, source="gauge")
        half = (yield from belief("it rains")).log_odds
        yield from Sleep(1e6)
        return (
            half,
            (yield from belief("it rains")).log_odds,
            (yield from belief("it rains", rate=0)).log_odds,
        )

    half, end, whole = in_memory_beliefs(rate=rate_of(60.0)).run_pure(plan())
    assert 1.0 + 2.0 + 2.0 == pytest.approx(half, rel=1e-15)
    assert (1.0, 7.0) == (end, whole)


def test_a_clock_that_runs_backwards_between_two_runs_fades_nothing() -> None:
    believing = in_memory_beliefs(rate=1.0)
    (believing | fixed_time(1000.0)).run_pure(observe("it rains", 4.0, source="radar"))
    assert 4.0 == (believing | fixed_time(0.0)).run_pure(belief("it rains")).log_odds
    assert 4.0 * math.exp(-1.0) == (believing | fixed_time(1001.0)).run_pure(belief("it rains")).log_odds


def test_the_limit_bounds_answers_and_not_what_is_kept() -> None:
    believing = in_memory_beliefs(limit=5.0)

    def plan() -> Plan[Believing, tuple[float, float]]:
        yield from observe("it rains", 3.0, source="a")
        yield from observe("it rains", 4.0, source="b")
        most = (yield from belief("it rains")).log_odds
        yield from observe("it rains", -4.0, source="c")
        return most, (yield from belief("it rains")).log_odds

    assert (5.0, 3.0) == believing.run_pure(plan())


# Many at once


def counts_of(names: Sequence[str]) -> Plan[Believing, None]:
    for name in names:
        yield from observe("it rains", 1.0, source=name)


def observers(make: Callable[[], Handler[Believing]]) -> Callable[[], Any]:
    """Three who observe the same at the same time: two apart, and one source that two of them hear."""

    def scenario() -> Any:
        def plan() -> Plan[Believing, float]:
            yield from parallel(counts_of(["a", "shared"]), counts_of(["b"]), counts_of(["shared"]))
            return (yield from belief("it rains")).log_odds

        def check(report: Report) -> None:
            assert report.value == 3.0

        return plan(), make(), check

    return scenario


def test_concurrent_observers_lose_nothing_and_count_nothing_twice() -> None:
    explored = explore(observers(in_memory_beliefs), runs=400, seed=1)
    assert explored.distinct > 100


class CarelessStore(InMemoryStore):
    """A store that writes whatever was expected: last writer wins."""

    async def batch(self, changes: Sequence[Change]) -> bool:
        return await super().batch([change for change in changes if not isinstance(change, Expect)])


def test_without_compare_and_swap_the_exploration_finds_the_lost_evidence() -> None:
    """The mutant that the test before is there to find."""
    with pytest.raises(SimulationFailure, match=r"assert (1|2)\.0 == 3\.0"):
        explore(observers(lambda: store_beliefs(CarelessStore())), runs=400, seed=1)


def test_an_observation_whose_answer_was_lost_can_be_made_again() -> None:
    """It counts once, since it has one source. (A counter that is told twice would not know.)"""

    def scenario() -> Any:
        def insisting(name: str) -> Plan[Believing, None]:
            while True:
                try:
                    return (yield from observe("it rains", 1.0, source=name))
                except ConnectionError:
                    pass

        def plan() -> Plan[Believing, float]:
            yield from parallel(insisting("a"), insisting("b"))
            while True:
                try:
                    return (yield from belief("it rains")).log_odds
                except ConnectionError:
                    pass

        def check(report: Report) -> None:
            assert report.value == 2.0

        return plan(), in_memory_beliefs(), check

    explore(scenario, runs=300, seed=2, faults=Faults(fail=0.05, lost_reply=0.1))


def test_evidence_fades_on_the_clock_of_a_simulation() -> None:
    def scenario() -> Any:
        def plan() -> Plan[Believing | Ambient, float]:
            yield from observe("it rains", 4.0, source="radar")
            yield from Sleep(60.0)
            return (yield from belief("it rains")).log_odds

        def check(report: Report) -> None:
            assert report.value == pytest.approx(2.0, rel=1e-12)

        return plan(), in_memory_beliefs(rate=rate_of(60.0)), check

    explore(scenario, runs=20, seed=1)


OBSERVER = """
import sys
import trio
from lambdacat_effects import Resource, observe, store_beliefs
from lambdacat_effects.storage import LmdbStore
path, name = sys.argv[1:]
def plan():
    for i in range(40):
        yield from observe("it rains", 1.0, source=f"{name} {i}")
trio.run(store_beliefs(Resource("the beliefs", lambda: LmdbStore(path))).run, plan())
"""


async def test_processes_that_share_a_store_lose_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OBSERVER, str(tmp_path)]
    with subprocess.Popen([*command, "one"]) as one, subprocess.Popen([*command, "other"]) as other:
        assert await trio.to_thread.run_sync(one.wait) == 0
        assert await trio.to_thread.run_sync(other.wait) == 0
    reading = await on_disk(tmp_path).run(belief("it rains", rate=0.0))
    assert (80, 80.0) == (reading.sources, reading.log_odds)


def test_agents_that_adopt_one_anothers_beliefs_agree_whatever_the_order() -> None:
    def scenario() -> Any:
        stores = [InMemoryStore(), InMemoryStore()]
        agents = [store_beliefs(store) for store in stores]

        def agent(own: int) -> Plan[Any, None]:
            yield from agents[own].handle(observe("it rains", 1.0 + own, source=f"agent {own}"))
            if own == 0:
                yield from agents[own].handle(observe("it rains", 9.0, source="oracle"))
                yield from agents[own].handle(retract("it rains", "oracle"))
            theirs = yield from agents[1 - own].handle(held_beliefs())
            yield from agents[own].handle(adopt(theirs))

        def plan() -> Plan[Any, list[Beliefs]]:
            yield from parallel(agent(0), agent(1))
            held: list[Beliefs] = []
            for one in agents:
                held.append((yield from one.handle(held_beliefs())))
            for one in agents:
                yield from one.handle(adopt(held[0].merged(held[1])))
            return list((yield from parallel(*[one.handle(held_beliefs()) for one in agents])))

        def check(report: Report) -> None:
            one, other = report.value
            assert one == other
            assert one.reading("it rains").log_odds == 3.0

        return plan(), Handler[Any]({}), check

    explore(scenario, runs=150, seed=3)


steps = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.floats(-10, 10), st.booleans()), min_size=1, max_size=6
)


@settings(max_examples=30, deadline=None)
@given(steps)
def test_the_effects_do_what_the_pure_functions_do(said: list[tuple[str, float, bool]]) -> None:
    model = Beliefs()

    def plan() -> Plan[Believing, Beliefs]:
        for source, weight, taken_back in said:
            yield from observe("it rains", weight, source=source)
            if taken_back:
                yield from retract("it rains", source)
        return (yield from held_beliefs())

    for source, weight, taken_back in said:
        model = model.observed("it rains", source, weight)
        if taken_back:
            model = model.retracted("it rains", source)
    assert model == in_memory_beliefs().run_pure(plan())


# In the DSL, in recordings, in transactions


def test_actions_of_the_dsl_believe() -> None:
    def look(state: dict[str, Any]) -> Plan[Believing, dict[str, Any]]:
        yield from observe("it rains", weight_of(0.9, 0.1), source=state["source"])
        return state

    def decide(state: dict[str, Any]) -> Plan[Believing, dict[str, Any]]:
        reading = yield from belief("it rains")
        return {**state, "umbrella": reading.probability > 0.8}

    actions = Actions.empty().register("look", look).register("decide", decide)
    program = compile_plan(sequence("look", "decide"), actions)
    assert in_memory_beliefs().run_pure(program({"source": "window"}))["umbrella"] is True


def test_what_was_believed_is_recorded_and_replayed(tmp_path: Path) -> None:
    file = tmp_path / "beliefs.json"
    live = trio.run(record(in_memory_beliefs(Beliefs({"it snows": Belief.of(0.1)})), file).run, program())
    replayed = replay(file).run_pure(program())
    assert [str(live[1].error), *live[2:]] == [str(replayed[1].error), *replayed[2:]]
    assert live[0] == replayed[0]


def test_in_a_transaction_beliefs_wait_to_be_committed_with_it() -> None:
    store = InMemoryStore()
    believing = store_beliefs(store)
    with enlisting(Transaction(store)) as transaction:
        believing.run_pure(observe("it rains", 2.0, source="radar"))
        believing.run_pure(observe("it rains", 1.0, source="gauge"))
        assert 3.0 == believing.run_pure(belief("it rains")).log_odds
        assert ["it rains"] == list(believing.run_pure(held_beliefs()))
    assert 0 == believing.run_pure(belief("it rains")).sources
    assert 2 == len(transaction.changes)
    assert trio.run(store.batch, transaction.changes)
    assert 3.0 == believing.run_pure(belief("it rains")).log_odds


class Slow(InMemoryStore):
    """A store that answers a while later, as one across a network does."""

    async def get(self, namespace: str, key: str) -> bytes | None:
        found = await super().get(namespace, key)
        await trio.lowlevel.checkpoint()
        return found


async def test_branches_in_one_transaction_lose_nothing() -> None:
    """As of one effect in a durable run, whose handler is a plan with branches."""
    store = Slow()
    believing = store_beliefs(store)
    with enlisting(Transaction(store)) as transaction:
        await believing.run(parallel(*[observe("it rains", 1.0, source=f"gauge {i}") for i in range(4)]))
    assert await store.batch([*transaction.expected, *transaction.changes])
    assert 4 == (await believing.run(belief("it rains"))).sources


# What is kept


def test_beliefs_are_kept_under_their_proposition_beside_other_things() -> None:
    store = InMemoryStore()
    store_beliefs(store, namespace="agent 1").run_pure(observe("it rains", 2.0, source="radar"))
    data = trio.run(store.get, "agent 1", "it rains")
    assert data is not None
    assert Belief().observed("radar", 2.0) == decode(data, Belief)
    assert 0 == store_beliefs(store).run_pure(belief("it rains")).sources


def test_beliefs_may_start_with_some() -> None:
    initial = Beliefs().observed("it rains", "radar", 2.0)
    one, two = in_memory_beliefs(initial), in_memory_beliefs(initial)
    one.run_pure(observe("it rains", 1.0, source="gauge"))
    assert 3.0 == one.run_pure(belief("it rains")).log_odds
    assert 2.0 == two.run_pure(belief("it rains")).log_odds


def test_what_else_is_kept_there_is_a_mismatch_and_stays() -> None:
    store = InMemoryStore()
    trio.run(store.put, "_beliefs", "it rains", b'{"$type":"Cat"}')
    for plan in (belief("it rains"), observe("it rains", 1.0, source="radar"), held_beliefs()):
        with pytest.raises(
            StoredValueMismatch, match=r"^the belief in 'it rains' cannot be read: .* stored Cat"
        ):
            store_beliefs(store).run_pure(plan)
    assert b'{"$type":"Cat"}' == trio.run(store.get, "_beliefs", "it rains")


async def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    closed = Handler[Believing](on_disk(tmp_path).bindings)  # without what it owns
    for plan in (belief("it rains"), observe("it rains", 1.0, source="radar"), held_beliefs()):
        with pytest.raises(ResourceNotOpen, match="the beliefs is not open"):
            await closed.run(plan)


async def test_a_cancelled_plan_does_not_go_on_after_its_observation(make: Make) -> None:
    """What was begun is in the store; what would have come next is not."""
    believing = make()
    async with believing:
        with trio.CancelScope() as scope:
            scope.cancel()
            await believing.run(counts_of(["a", "b"]))
        assert scope.cancelled_caught
        held = (await believing.run(held_beliefs())).of("it rains")
    assert "b" not in held.evidence


# What makes no sense


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: believe("it rains"),
        lambda: believe("it rains", 0.5, weight=1.0),
        lambda: believe("it rains", 1),
        lambda: believe("it rains", weight=math.nan),
        lambda: believe("", 0.5),
        lambda: observe("it rains", math.nan, source="radar"),
        lambda: observe("it rains", (0.0, 0.5), source="radar"),
        lambda: observe("it rains", (0.5, 0.5, 0.5), source="radar"),  # type: ignore[arg-type]
        lambda: observe("it rains", [0.5, 0.5], source="radar"),  # type: ignore[arg-type]
        lambda: observe("it rains", 1.0, source=""),
        lambda: observe("it rains", 1.0, source="radar", version=0),
        lambda: observe(3, 1.0, source="radar"),  # type: ignore[arg-type]
        lambda: belief(""),
        lambda: belief("it rains", rate=-1.0),
        lambda: retract("it rains", ""),
        lambda: retract(None, "radar"),  # type: ignore[arg-type]
        lambda: adopt({}),  # type: ignore[arg-type]
        lambda: held_beliefs(None),  # type: ignore[arg-type]
        lambda: in_memory_beliefs(rate=-1.0),
        lambda: in_memory_beliefs(limit=-1.0),
        lambda: in_memory_beliefs({}),  # type: ignore[arg-type]
        lambda: store_beliefs(InMemoryStore(), namespace=""),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_asked(wrong: Any) -> None:
    with pytest.raises(InvalidArgument):
        wrong()


def test_an_older_version_that_arrives_late_changes_nothing() -> None:
    def plan() -> Plan[Believing, float]:
        yield from observe("it rains", 2.0, source="radar", version=2)
        yield from observe("it rains", 1.0, source="radar", version=1)
        return (yield from belief("it rains")).log_odds

    assert 2.0 == in_memory_beliefs().run_pure(plan())
    assert Observe("it rains", "radar", 2.0, 2) == observe("it rains", 2, source="radar", version=2)


def test_importing_and_making_the_handlers_loads_no_codec() -> None:
    script = (
        "import sys, lambdacat_effects as l\n"
        "l.in_memory_beliefs(); l.observe('a', 1.0, source='b')\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('lmdb', 'cattrs')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert ("[]\n", "") == (done.stdout, done.stderr)
