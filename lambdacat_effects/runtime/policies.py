"""The decisions of concurrent plans, apart from the nursery that applies them: pure functions of what has ended.

`enough` says when the rest is to be cancelled; `conclude` says what it all amounts to, once everybody has ended. Neither
depends on the order in which branches of one scheduler tick ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from lambdacat_effects.algebra.result import MISSING, Err, Ok
from lambdacat_effects.effects.concurrency import Concurrent, Policy
from lambdacat_effects.errors import Misuse, PlanTimeout

__all__ = ["Ended", "Verdict", "conclude", "enough"]


class Ended(NamedTuple):
    """A branch that ended by itself: its number, in which tick (a counter), its answer or its error."""

    index: int
    tick: int
    answer: Any
    error: Exception | None


Verdict: TypeAlias = Ok[Any] | Err[Exception]


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


def conclude(asked: Concurrent[Any], ended: Sequence[Ended]) -> Verdict:
    """The answer or the error of a concurrent effect whose branches have ended, as far as they have.

    `ended` has the branches that ended by themselves, in any order; the others were cancelled, by a decision or the
    deadline.
    """
    for branch in sorted(ended):
        if isinstance(branch.error, Misuse):
            return Err(branch.error)
    return _RULES[asked.policy](asked, sorted(ended))


def _all(asked: Concurrent[Any], ended: list[Ended]) -> Verdict:
    total = len(asked.branches)
    failures = _failures(ended)
    if failures:
        return Err(_group(asked, failures))
    if len(ended) == total:
        return Ok(tuple([e.answer for e in ended]))
    if asked.partial:
        return Ok(_slots(asked, {e.index: e.answer for e in ended}))
    return Err(_late(asked, ended))


def _settle(asked: Concurrent[Any], ended: list[Ended]) -> Verdict:
    return Ok(_slots(asked, {e.index: Ok(e.answer) if e.error is None else Err(e.error) for e in ended}))


def _first(asked: Concurrent[Any], ended: list[Ended]) -> Verdict:
    succeeded = _earliest(ended)
    if succeeded:
        return Ok(succeeded[0].answer)
    return _none_left(asked, ended)


def _quorum(asked: Concurrent[Any], ended: list[Ended]) -> Verdict:
    wanted = asked.n or 0
    succeeded = _earliest(ended)
    if len(succeeded) >= wanted:
        return Ok([e.answer for e in sorted(succeeded[:wanted])])
    if len(asked.branches) - len(_failures(ended)) < wanted:
        return Err(_group(asked, _failures(ended)))
    return Err(_late(asked, ended))


def _n_best(asked: Concurrent[Any], ended: list[Ended]) -> Verdict:
    answers = [e.answer for e in ended if e.error is None]
    if not answers and ended:
        return Err(_group(asked, _failures(ended)))
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


def _earliest(ended: list[Ended]) -> list[Ended]:
    """Those that succeeded, by tick; within a tick the lowest index comes first."""
    return sorted([e for e in ended if e.error is None], key=lambda e: (e.tick, e.index))


def _failures(ended: list[Ended]) -> list[Exception]:
    return [e.error for e in ended if e.error is not None]


def _slots(asked: Concurrent[Any], by_index: dict[int, Any]) -> tuple[Any, ...]:
    return tuple([by_index.get(i, MISSING) for i in range(len(asked.branches))])


def _none_left(asked: Concurrent[Any], ended: list[Ended]) -> Verdict:
    if len(ended) == len(asked.branches):
        return Err(_group(asked, _failures(ended)))
    return Err(_late(asked, ended))


def _group(asked: Concurrent[Any], failures: list[Exception]) -> ExceptionGroup[Exception]:
    return ExceptionGroup(
        f"{asked.policy.value}: {len(failures)} of {len(asked.branches)} branches failed", failures
    )


def _late(asked: Concurrent[Any], ended: list[Ended]) -> PlanTimeout:
    seconds = asked.timeout if asked.timeout is not None else 0.0
    done = {e.index for e in ended}
    open_ = [i for i in range(len(asked.branches)) if i not in done]
    shown = ", ".join(map(str, open_[:8])) + (", ..." if len(open_) > 8 else "")
    late = PlanTimeout(
        f"{asked.policy.value}: {len(open_)} of {len(asked.branches)} branches ({shown}) had not ended after {seconds:g} s",
        seconds=seconds,
    )
    failures = _failures(ended)
    if failures:
        late.__cause__ = _group(asked, failures)
    return late
