"""Combinators that are performed again: the branches one after the other, in one task, each to the end that it had.

What the effects answered does not depend on timing any more; who won, who was cancelled, and which deadline passed is
known as the combinator's own. So this needs neither nursery nor clock, and runs on Trio, under `run_pure` and in a
simulation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NoReturn, cast

from lambdacat_effects.effects.concurrency import Policy
from lambdacat_effects.errors import Misuse, PlanTimeout
from lambdacat_effects.journal.regions import Region
from lambdacat_effects.runtime.boundary import Decision
from lambdacat_effects.runtime.policies import UNENDED, Ended, conclude

__all__ = ["InTurn", "out_of_time", "perform_in_turn", "winners"]

_BY_THEMSELVES: Final = ("answered", "won", "failed")

_logger = logging.getLogger("lambdacat_effects")


class InTurn:
    """How the branches ended that were performed one after the other."""

    def __init__(self, decision: Decision, branches: int) -> None:
        self._decision = decision
        self._late: dict[int, Exception] = {}
        self.ended: Ended = Ended([UNENDED] * branches)
        self.fates: list[str] = ["not begun"] * branches
        """How each ended: a `Fate`, or "won"."""
        self.outer: BaseException | None = None
        """What cancelled them from outside."""

    def answered(self, index: int, answer: Any, fate: str) -> None:
        """A branch has answered."""
        self.fates[index] = fate
        self.ended.answers[index] = answer
        self.ended.ticks[index] = 0 if fate == "won" else 1

    def failed(self, index: int, error: Exception, *, late: bool) -> None:
        """A branch has failed, perhaps after it was cancelled."""
        self.fates[index] = "failed late" if late else "failed"
        (self._late if late else self.ended.errors)[index] = error

    def conclude(self) -> Any:
        """The combinator's answer. Raises what it raises."""
        if self.outer is not None:
            self.cancelled(self.outer)
        self._tell_late(cancelled=False)
        try:
            return conclude(self._decision.effect, self.ended).unwrap()
        finally:
            self._let_go()

    def cancelled(self, outer: BaseException) -> NoReturn:
        """Let the combinator be cancelled by `outer`, with the failures that there were."""
        self._tell_late(cancelled=True)
        asked, errors = self._decision.effect, [error for _, error in sorted(self.ended.errors.items())]
        self._let_go()
        if asked.policy is not Policy.ALL or not errors:
            raise outer
        raise BaseExceptionGroup(
            f"{asked.combinator}: cancelled while branches failed", [outer, *errors]
        ) from None

    def _tell_late(self, *, cancelled: bool) -> None:
        if self._decision.effect.policy is Policy.ALL and (self.ended.errors or cancelled):
            self.ended.errors.update(self._late)
            return
        for index, error in self._late.items():
            path = (*self._decision.path, index)
            _logger.warning("branch %s failed after it was cancelled: %r", path, error)

    def _let_go(self) -> None:
        self.ended.errors.clear()  # their tracebacks lead back to this frame
        self._late.clear()


async def perform_in_turn(
    decision: Decision,
    fates: Sequence[str | None],
    within: Callable[[int, Region], AbstractContextManager[Region]],
) -> InTurn:
    """Perform the branches of a combinator, each within a region of its own.

    `fates` has how each branch ended; None where that is not known: it ends by itself if it can, and is cut where it
    would do something new.
    """
    turns = InTurn(decision, len(fates))
    for index, fate in enumerate(fates):
        if fate == "not begun":
            continue
        turns.fates[index] = "cancelled"  # unless it ends by itself
        region = Region(decision.run, cancelled=fate not in _BY_THEMSELVES)
        try:
            with within(index, region):
                answer = await decision.branch(index)
                if fate != "cancelled":
                    turns.answered(index, answer, (fate or "won").removesuffix(" all the same"))
        except Misuse:
            raise
        except Exception as error:
            turns.failed(index, error, late=region.was_cut or fate in ("failed late", "cancelled"))
        except BaseException as error:
            # From outside. That cancels each branch by itself, so the others have still to come to their ends.
            turns.outer, failure = _parts(decision, error)
            if failure is not None:
                turns.failed(index, failure, late=True)
    return turns


def _parts(decision: Decision, error: BaseException) -> tuple[BaseException, Exception | None]:
    """What is cancellation of an error, and what is failure. Raises an error that is something else."""
    cancelled: BaseException | None = error if isinstance(error, decision.run.cancelled) else None
    failure: BaseException | None = None
    if isinstance(error, BaseExceptionGroup):
        cancelled, failure = cast("BaseExceptionGroup[BaseException]", error).split(decision.run.cancelled)
    if cancelled is None or not isinstance(failure, Exception | None):
        raise error
    return cancelled, failure


def out_of_time(decision: Decision) -> PlanTimeout:
    """The error of a `timeout` whose time is up."""
    seconds = decision.effect.seconds
    return PlanTimeout(f"the plan had not ended after {seconds:g} s", seconds=seconds)


def winners(decision: Decision, answer: Any) -> list[int]:
    """Which branches answered for all, where it depends on who was first: told by the identity of their answers."""
    policy = getattr(decision.effect, "policy", None)
    if policy is not Policy.FIRST_COMPLETED and policy is not Policy.QUORUM:
        return []
    answers: list[Any] = list(answer) if policy is Policy.QUORUM else [answer]
    found: list[int] = []
    for index, candidate in sorted(decision.answers.items()):
        if len(found) < len(answers) and candidate is answers[len(found)]:
            found.append(index)
    return found
