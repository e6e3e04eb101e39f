"""The decisions of concurrent plans, apart from the nursery that applies them: pure functions of what has ended.

`enough` says when the rest is to be cancelled; `conclude` says what it all amounts to, once everybody has ended.
Neither depends on the order in which branches of one scheduler tick ended.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

from lambdacat_effects.algebra.result import MISSING, Err, Ok
from lambdacat_effects.effects.concurrency import Concurrent, Policy
from lambdacat_effects.errors import Misuse, PlanTimeout

__all__ = ["UNENDED", "Ended", "Verdict", "conclude", "enough"]

Verdict: TypeAlias = Ok[Any] | Err[Exception]

UNENDED: Any = object()
"""Stands for the answer of a branch that has none: it failed, or was cancelled."""


@attrs.define
class Ended:
    """How branches ended, as far as they did by themselves; the others were cancelled."""

    answers: list[Any]
    """The answer of each branch, or `UNENDED`."""
    errors: dict[int, Exception] = attrs.field(factory=dict[int, Exception])
    """The errors of those that failed."""
    ticks: dict[int, int] = attrs.field(factory=dict[int, int])
    """In which tick (a counter) each success came, where the policy asks who was first."""


def enough(policy: Policy, n: int | None, branches: int, succeeded: int, failed: int) -> bool:
    """Whether the branches that are still running are to be cancelled."""
    if policy is Policy.ALL:
        return failed > 0
    if policy is Policy.FIRST_COMPLETED:
        return succeeded > 0
    if policy is Policy.QUORUM:
        wanted = n or 0
        return succeeded >= wanted or branches - failed < wanted
    return False


def conclude(asked: Concurrent[Any], ended: Ended) -> Verdict:
    """The answer or the error of a concurrent effect, once all its branches have ended or been cancelled."""
    for _, error in sorted(ended.errors.items()):
        if isinstance(error, Misuse):
            return Err(error)
    return _RULES[asked.policy](asked, ended)


def _all(asked: Concurrent[Any], ended: Ended) -> Verdict:
    if ended.errors:
        return Err(_group(asked, ended))
    if not any(answer is UNENDED for answer in ended.answers):
        return Ok(tuple(ended.answers))
    if asked.partial:
        return Ok(tuple([MISSING if a is UNENDED else a for a in ended.answers]))
    return Err(_late(asked, ended))


def _settle(_asked: Concurrent[Any], ended: Ended) -> Verdict:
    slots: list[Any] = [MISSING if a is UNENDED else Ok(a) for a in ended.answers]
    for index, error in ended.errors.items():
        slots[index] = Err(error)
    return Ok(tuple(slots))


def _first(asked: Concurrent[Any], ended: Ended) -> Verdict:
    succeeded = _earliest(ended)
    if succeeded:
        return Ok(ended.answers[succeeded[0]])
    if len(ended.errors) == len(ended.answers):
        return Err(_group(asked, ended))
    return Err(_late(asked, ended))


def _quorum(asked: Concurrent[Any], ended: Ended) -> Verdict:
    wanted = asked.n or 0
    succeeded = _earliest(ended)
    if len(succeeded) >= wanted:
        return Ok([ended.answers[i] for i in sorted(succeeded[:wanted])])
    if len(ended.answers) - len(ended.errors) < wanted:
        return Err(_group(asked, ended))
    return Err(_late(asked, ended))


def _n_best(asked: Concurrent[Any], ended: Ended) -> Verdict:
    answers = [a for a in ended.answers if a is not UNENDED]
    if not answers and ended.errors:
        return Err(_group(asked, ended))
    assert asked.score is not None
    try:
        ranked = sorted(answers, key=asked.score, reverse=True)  # stable: equal scores keep declared order
    except Exception as error:
        return Err(error)
    return Ok(ranked[: asked.n])


_RULES = {
    Policy.ALL: _all,
    Policy.SETTLE: _settle,
    Policy.FIRST_COMPLETED: _first,
    Policy.QUORUM: _quorum,
    Policy.N_BEST: _n_best,
}


def _earliest(ended: Ended) -> list[int]:
    """Those that succeeded, by tick; within a tick the lowest index comes first."""
    return [index for _, index in sorted((tick, index) for index, tick in ended.ticks.items())]


def _group(asked: Concurrent[Any], ended: Ended) -> ExceptionGroup[Exception]:
    failures = [error for _, error in sorted(ended.errors.items())]
    return ExceptionGroup(
        f"{asked.combinator}: {len(failures)} of {len(ended.answers)} branches failed", failures
    )


def _late(asked: Concurrent[Any], ended: Ended) -> PlanTimeout:
    seconds = asked.timeout if asked.timeout is not None else 0.0
    running = [i for i, a in enumerate(ended.answers) if a is UNENDED and i not in ended.errors]
    shown = ", ".join(map(str, running[:8])) + (", ..." if len(running) > 8 else "")
    late = PlanTimeout(
        f"{asked.combinator}: {len(running)} of {len(ended.answers)} branches ({shown}) "
        f"had not ended after {seconds:g} s",
        seconds=seconds,
    )
    if ended.errors:
        late.__cause__ = _group(asked, ended)
    return late
