"""Each check of the explored rows fails for a runtime that breaks its promise, and an exploration finds it."""

from __future__ import annotations

import math
from typing import Any

import explored_checks as checks
import pytest
import trio
from explored_legs import warnings_kept
from explored_rows import ROWS, exploring

from lambdacat_effects.effects import concurrency
from lambdacat_effects.errors import SimulationFailure
from lambdacat_effects.runtime import live, policies
from lambdacat_effects.runtime.interpreter import drive
from lambdacat_effects.testing.simulation import explore, interpretation

_FIELDS = ("branches", "policy", "n", "score", "timeout", "partial", "limit")
_concurrent = interpretation.concurrent


async def leave_losers_behind(effect: Any, scope: Any) -> Any:
    """The first answer, while the rest goes on."""
    send, receive = trio.open_memory_channel[Any](math.inf)

    async def branch(plan: Any, index: int) -> None:
        path = (*scope.path, index)
        await scope.run.begin(path)
        send.send_nowait(await drive(plan, scope.table, path, scope.run))

    for index, plan in enumerate(effect.branches):
        trio.lowlevel.spawn_system_task(branch, plan, index)
    return await receive.receive()


def changed(name: str, change: Any) -> Any:
    """The runtime, but it takes one argument of the combinator for another."""

    async def concurrent(effect: Any, scope: Any) -> Any:
        fields = {field: getattr(effect, field) for field in _FIELDS}
        fields[name] = change(fields[name])
        return await _concurrent(type(effect)(**fields), scope)

    return concurrent


def latest(ended: Any) -> list[int]:
    """The winners, last first."""
    return [index for _, index in sorted(((tick, i) for i, tick in ended.ticks.items()), reverse=True)]


def only_last_failure(asked: Any, ended: Any) -> Any:
    return ExceptionGroup("some", [error for _, error in sorted(ended.errors.items())][-1:])


def at_the_first_end(policy: Any, n: Any, branches: int, succeeded: int, failed: int) -> bool:
    return succeeded + failed > 0


def at_once(seconds: float, make: Any) -> Any:
    return (yield from make())


def backwards(asked: Any, ended: Any) -> Any:
    return policies.Ok(tuple(reversed(ended.answers)))


def unranked(asked: Any, ended: Any) -> Any:
    return policies.Ok([answer for answer in ended.answers if answer is not policies.UNENDED][: asked.n])


def leaky_settle(asked: Any, ended: Any) -> Any:
    return policies.Ok(
        tuple([policies.MISSING if a is policies.UNENDED else policies.Ok(a) for a in ended.answers])
    )


RULES = policies._RULES
ALL, SETTLE, N_BEST = concurrency.ALL, concurrency.SETTLE, concurrency.N_BEST

MUTANTS = {
    "losers go on": (
        checks.nothing_after_the_answer,
        "race",
        interpretation,
        "concurrent",
        leave_losers_behind,
    ),
    "losers are not awaited": (
        checks.everybody_ended,
        "race",
        interpretation,
        "concurrent",
        leave_losers_behind,
    ),
    "losers are not cancelled": (checks.nobody_waits_on, "race", live, "enough", lambda *counts: False),
    "siblings of a failure are not cancelled": (
        checks.nobody_waits_on,
        "parallel, one fails",
        live,
        "enough",
        lambda *counts: False,
    ),
    "a deadline that cancels nobody": (
        checks.nobody_waits_on,
        "settle, timeout",
        interpretation,
        "concurrent",
        changed("timeout", lambda seconds: seconds + 4),
    ),
    "cancelled too early": (
        checks.nobody_is_cancelled_for_nothing,
        "quorum",
        live,
        "enough",
        at_the_first_end,
    ),
    "settle that fails fast": (
        checks.nobody_is_cancelled_for_nothing,
        "settle",
        live,
        "enough",
        at_the_first_end,
    ),
    "late failures are not told": (
        checks.no_failure_is_lost,
        "race, at once",
        live._Branches,
        "tell_late",
        lambda self: None,
    ),
    "one failure of several": (
        checks.no_failure_is_lost,
        "parallel, one fails",
        policies,
        "_group",
        only_last_failure,
    ),
    "settle drops failures": (checks.no_failure_is_lost, "settle", RULES, SETTLE, leaky_settle),
    "one more than the limit": (
        checks.at_most_limit_at_once,
        "for_each",
        interpretation,
        "concurrent",
        changed("limit", lambda limit: limit + 1),
    ),
    "a deadline too early": (
        checks.deadline_is_kept,
        "parallel, partial",
        interpretation,
        "concurrent",
        changed("timeout", lambda seconds: seconds / 4),
    ),
    "a deadline too late": (
        checks.deadline_is_kept,
        "n_best",
        interpretation,
        "concurrent",
        changed("timeout", lambda seconds: seconds + 4),
    ),
    "copies begin at once": (checks.copies_start_on_time, "hedge", concurrency, "_delayed", at_once),
    "the last one wins": (checks.answer_is_right, "race", policies, "_earliest", latest),
    "the last ones make the quorum": (checks.answer_is_right, "quorum", policies, "_earliest", latest),
    "answers out of order": (checks.answer_is_right, "for_each", RULES, ALL, backwards),
    "the first, not the best": (checks.answer_is_right, "n_best", RULES, N_BEST, unranked),
    "an incomplete group": (checks.answer_is_right, "race, all fail", policies, "_group", only_last_failure),
}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    monkeypatch.delenv("LAMBDACAT_RUNS", raising=False)
    monkeypatch.delenv("LAMBDACAT_SEED", raising=False)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_promise_is_found(name, monkeypatch):
    """A runtime with this defect fails its check, and a handful of switches is enough to show it."""
    check, row, place, attribute, mutant = MUTANTS[name]
    if isinstance(place, dict):
        monkeypatch.setitem(place, attribute, mutant)
    else:
        monkeypatch.setattr(place, attribute, mutant)
    with warnings_kept() as late, pytest.raises(SimulationFailure) as caught:
        explore(exploring(ROWS[row], late, checks=[check]), runs=400, seed=1)
    assert isinstance(caught.value.__cause__, checks.Wrong)
    assert caught.value.__cause__.args[0].startswith(check.__name__)
    assert caught.value.report.switches <= 3


def test_every_check_has_a_mutant():
    """No check of the rows is there that could not fail."""
    assert set(checks.CHECKS) == {check for check, *_ in MUTANTS.values()}
