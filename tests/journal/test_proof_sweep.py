"""The crash sweep and chance: durable runs keep their guarantee, and a journal that does not is found out.

`python -m bench.durability` does the same at length.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import proof_mutants
import pytest
from proof_plans import PROOFS, Proof, sweep
from proof_seeds import endure

from lambdacat_effects import (
    NewId,
    Plan,
    Sleep,
    answer_tools,
    ask,
    call_tools,
    on_cancel,
    parallel,
    remember,
    store_memory,
    timeout,
    tool,
)
from lambdacat_effects.algebra import Err, Ok
from lambdacat_effects.errors import InvalidArgument, SimulationFailure
from lambdacat_effects.testing import crash_sweep

BY_NAME = {proof.name: proof for proof in PROOFS}
LONG = ("every combinator",)
NAMES = [proof.name for proof in PROOFS]


@pytest.mark.parametrize("proof", PROOFS, ids=NAMES)
def test_a_run_survives_a_crash_at_every_point(proof: Proof) -> None:
    """Also a second one while it recovers; and what is in the journal is never asked again."""
    points: Iterable[int] | None = range(1, 240, 6) if proof.name in LONG else None
    done = sweep(proof, twice=True, points=points)
    assert len(done.points) > 15
    assert done.deaths > len(done.points)
    assert done.repeated > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "proof", [p for p in PROOFS if p.name not in LONG], ids=[n for n in NAMES if n not in LONG]
)
def test_a_run_survives_crashes_in_other_schedules(proof: Proof, seed: int) -> None:
    """At some of the points."""
    assert len(sweep(proof, seed=seed, twice=True, points=range(seed, 17, 4)).points) == 4


@pytest.mark.parametrize("proof", PROOFS, ids=NAMES)
def test_a_run_that_is_cancelled_at_any_point_ends_so(proof: Proof) -> None:
    """While its process is dead: its clean-up is done once, whatever becomes of the process meanwhile."""
    points: Iterable[int] | None = range(1, 240, 12) if proof.name in LONG else None
    assert len(sweep(proof, cancel=True, points=points).points) > 15
    assert sweep(proof, cancel=True, twice=True, points=range(2, 20, 3)).deaths > 6


def test_runs_endure_crashes_and_lost_replies() -> None:
    """Of tools, of memory, and of the journal's own commits: 220 seeds here, 3,000 in `bench.durability`."""
    happened = endure(range(220))
    assert happened["runs"] == 220
    assert min(happened["crashes"], happened["lost replies"], happened["calls made again"]) > 50


@pytest.mark.parametrize(
    ("mutant", "name"), proof_mutants.MUTANTS, ids=[f"{m.__name__} in {n}" for m, n in proof_mutants.MUTANTS]
)
def test_a_sweep_finds_a_journal_that_breaks_the_guarantee(mutant: Any, name: str) -> None:
    """Each mutant, with one of the plans."""
    with mutant(), pytest.raises(SimulationFailure):
        sweep(BY_NAME[name])


@pytest.mark.parametrize("mutant", proof_mutants.RARE, ids=lambda mutant: mutant.__name__)
def test_chance_finds_a_journal_that_breaks_the_guarantee(mutant: Any) -> None:
    """Also in what takes two branches and a deadline to happen."""
    some = [BY_NAME["calls cancelled on the way"], BY_NAME["with_state"]]
    with mutant(), pytest.raises(AssertionError, match=", seed "):
        endure(range(2000), some)


# The sweep as a tool


@tool
async def charge(amount: int) -> str:
    return f"charged {amount}"


def order(amounts: list[int]) -> Plan[Any, int]:
    for amount in amounts:
        yield from charge(amount)
    yield from remember("orders", "paid", sum(amounts))
    return sum(amounts)


_made: list[int] = []


def careless() -> Plan[Any, str]:
    """Depends on something that is no effect."""
    _made.append(1)
    return (yield from charge(len(_made)))


def asking() -> Plan[Any, str]:
    return (yield from ask("Who?"))


def unlucky() -> Plan[Any, None]:
    yield from charge(1)
    raise ValueError("no luck")


def in_time() -> Plan[Any, list[str]]:
    found = [(yield from timeout(5, charge(1)))]
    found.append((yield from parallel(charge(2), timeout=60))[0])
    try:
        yield from timeout(10, Sleep(11))
    except TimeoutError:
        found.append("too late")
    return found


@tool
async def give_back(what: str) -> None: ...


def careful() -> Plan[Any, str]:
    return (yield from on_cancel(charge(1), give_back("perhaps 1")))


def drawing() -> Plan[Any, str]:
    return (yield from NewId())


def world(store: Any) -> Any:
    return call_tools(charge) | store_memory(store)


def test_a_sweep_tells_what_it_did() -> None:
    """How the run ends undisturbed; each point, and the effect that stood there; and how many calls there are."""
    done = crash_sweep(order, [1, 2], handlers=world)
    assert done.outcome == Ok(3)
    assert done.calls == 3
    assert len(done.points) == done.deaths
    assert [point.number for point in done.points] == [*range(1, done.deaths + 1)]
    told = [str(point) for point in done.points]
    assert "point 5, before write 3: charge(amount=1) answered" in told
    assert "point 6, after write 3: charge(amount=1) answered" in told
    assert any("before step" in text and text.endswith("order/1/1 charge(1)") for text in told)
    assert done == crash_sweep(order, [1, 2], handlers=world)


def test_a_sweep_of_a_plan_that_fails() -> None:
    """An error is an outcome, which has to be the same each time."""
    done = crash_sweep(unlucky, handlers=world)
    assert isinstance(done.outcome, Err)
    assert repr(done.outcome.error) == "ValueError('no luck')"
    assert done.repeated > 0


def test_some_points_of_a_sweep() -> None:
    """By their numbers, from 1."""
    done = crash_sweep(order, [1], handlers=world, points=[1, 5])
    assert [point.number for point in done.points] == [1, 5]
    with pytest.raises(InvalidArgument, match="numbered from 1 to"):
        crash_sweep(order, [1], handlers=world, points=[0])


def test_a_sweep_answers_questions() -> None:
    """Those that it was given answers for, or by a function of the question."""
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return "Felix"

    assert crash_sweep(asking, handlers=world, answers={"Who?": "Felix"}).outcome == Ok("Felix")
    assert crash_sweep(asking, handlers=world, answers=answer).outcome == Ok("Felix")
    assert set(asked) == {"Who?"}
    with pytest.raises(InvalidArgument, match=r"asks 'Who\?', and answers= has nothing"):
        crash_sweep(asking, handlers=world)


@pytest.mark.parametrize("seed", range(6))
def test_deadlines_need_no_option(seed: int) -> None:
    """Time goes on when nobody else can, and a crash takes none: what is in time is so in every schedule."""
    done = crash_sweep(in_time, handlers=world, seed=seed, twice=True)
    assert done.outcome == Ok(["charged 1", "charged 2", "too late"])
    assert len(done.points) > 20


def test_a_crash_may_take_time() -> None:
    """Then a deadline may have passed before the next life: which the sweep says, unless it was told."""
    with pytest.raises(SimulationFailure, match="it ended otherwise") as failed:
        crash_sweep(in_time, handlers=world, apart=3600)
    assert "say `timing=True`" in str(failed.value)
    done = crash_sweep(in_time, handlers=world, apart=(0, 3600), timing=True)
    assert done.outcome == Ok(["charged 1", "charged 2", "too late"])
    for wrong in (-1, (), "soon"):
        with pytest.raises(InvalidArgument, match="apart= is a number of seconds"):
            crash_sweep(in_time, handlers=world, apart=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(4))
def test_with_timing_too_the_sweep_goes_through_all_of_the_plan(seed: int) -> None:
    """The run that nobody interrupts is not out of time at its first step."""
    assert crash_sweep(in_time, handlers=world, timing=True, seed=seed).calls == 2


def test_a_sweep_of_a_run_that_is_cancelled() -> None:
    """It ends so, unless nothing was left to be done; its clean-up is a part of it."""
    cancelled = 0

    def note(what: str) -> None:
        nonlocal cancelled
        cancelled += 1

    handlers = call_tools(charge) | answer_tools({give_back: note})
    done = crash_sweep(careful, handlers=lambda _store: handlers, cancel=True)
    assert done.outcome == Ok("charged 1")
    assert cancelled > 2


def test_a_failure_says_where_the_process_died_and_shows_the_journal() -> None:
    """And how to do it again: the seed and the point."""
    with pytest.raises(SimulationFailure) as failed:
        crash_sweep(careless, handlers=world)
    told = str(failed.value)
    assert "seed 0" in told
    assert "The journal:" in told
    assert "What was asked of the handlers:" in told


def test_the_example_of_the_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a module of its own, since durable runs find their plans by name."""
    page = (Path(__file__).parents[2] / "docs" / "durability.md").read_text()
    (block,) = re.findall(r"```py\n(.*?)```", page, re.DOTALL)
    (tmp_path / "sold_in_docs.py").write_text(block)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("sold_in_docs").test_a_sale_survives_any_crash()


def test_what_is_drawn_stays_as_it_was() -> None:
    """An id that is drawn by an effect is the same in all lives of a run."""
    assert len(crash_sweep(drawing, handlers=world, timing=True).points) > 5
