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
from proof_plans import PROOFS, Proof, handlers
from proof_seeds import endure

from lambdacat_effects import NewId, Plan, ask, call_tools, remember, store_memory, tool
from lambdacat_effects.errors import InvalidArgument, SimulationFailure
from lambdacat_effects.testing import Swept, crash_sweep

BY_NAME = {proof.name: proof for proof in PROOFS}
LONG = ("every combinator",)
NAMES = [proof.name for proof in PROOFS]


def swept(proof: Proof, seed: int, **options: Any) -> Swept:
    return crash_sweep(
        proof.make,
        *proof.args,
        handlers=handlers,
        answers=proof.answers,
        timing=proof.timing,
        seed=seed,
        **options,
    )


@pytest.mark.parametrize("proof", PROOFS, ids=NAMES)
def test_a_run_survives_a_crash_at_every_point(proof: Proof) -> None:
    """Also a second one while it recovers; and what is in the journal is never asked again."""
    points: Iterable[int] | None = range(1, 240, 6) if proof.name in LONG else None
    done = swept(proof, 0, twice=True, points=points)
    assert done.points > 20
    assert done.deaths > done.points
    assert done.repeated > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "proof", [p for p in PROOFS if p.name not in LONG], ids=[n for n in NAMES if n not in LONG]
)
def test_a_run_survives_crashes_in_other_schedules(proof: Proof, seed: int) -> None:
    """At some of the points."""
    assert swept(proof, seed, twice=True, points=range(seed, 26, 4)).points >= 5


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
        swept(BY_NAME[name], 0)


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


def drawing() -> Plan[Any, str]:
    return (yield from NewId())


def world(store: Any) -> Any:
    return call_tools(charge) | store_memory(store)


def test_a_sweep_counts_what_it_did() -> None:
    """A call for each tool and each change of memory; and it dies before and after each write."""
    done = crash_sweep(order, [1, 2], handlers=world)
    assert done.calls == 3
    assert done.points == done.deaths
    assert done == crash_sweep(order, [1, 2], handlers=world)


def test_some_points_of_a_sweep() -> None:
    """By their numbers, from 1."""
    assert crash_sweep(order, [1], handlers=world, points=[1, 5]).points == 2
    with pytest.raises(InvalidArgument, match="numbered from 1 to"):
        crash_sweep(order, [1], handlers=world, points=[0])


def test_a_sweep_answers_questions() -> None:
    """Those that it was given answers for."""
    assert crash_sweep(asking, handlers=world, answers={"Who?": "Felix"}).points > 10
    with pytest.raises(InvalidArgument, match=r"asks 'Who\?', and answers= has nothing"):
        crash_sweep(asking, handlers=world)


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
    assert crash_sweep(drawing, handlers=world, timing=True).points > 5
