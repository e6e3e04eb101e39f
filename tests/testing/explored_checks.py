"""What must hold of every row of the concurrency table, whatever the schedule and the faults.

Each check is a function of one run, and raises `Wrong` with its own name; the oracle says from the order in which the
legs ended, and from nothing else, what a row has to answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import attrs
from explored_legs import CLEANING, ENDINGS, Log, Note, Stopped

from lambdacat_effects import MISSING, Err, Ok
from lambdacat_effects.errors import PlanTimeout

Outcome = Any


class Wrong(AssertionError):
    """A run broke a promise."""


@attrs.frozen
class Row:
    """One row of the table: what to perform, and what must hold."""

    make: Callable[[Log], Any]
    policy: str
    total: int
    n: int = 0
    score: Callable[[Any], Any] = lambda answer: answer
    deadline: float | None = None
    partial: bool = False
    limit: int | None = None
    after: float = 0.0
    outside: float | None = None
    """When it is cancelled from outside."""
    attempted: bool = False
    """Whether each leg is under `attempt`, which makes an answer of a failure."""


@attrs.frozen
class Ran:
    """One run of a row."""

    row: Row
    log: Log
    late: list[str]
    """What was logged."""
    events: list[Any]
    delays: float
    """Of all injected faults together, in seconds; infinite if the clock went on although others could."""

    @property
    def outcome(self) -> Outcome:
        return self.log.outcome

    @property
    def ends(self) -> list[Note]:
        return self.log.ends()

    def out_of_time(self, leg: Any) -> float:
        """When a leg is to be cancelled at the latest."""
        begun = self.log.notes[self.log.index("begins", leg)].at if self.row.policy == "each" else 0.0
        inside = math.inf if self.row.deadline is None else begun + self.row.deadline
        return min(inside, math.inf if self.row.outside is None else self.row.outside)

    def failures(self) -> list[Note]:
        return [note for note in self.ends if note.what == "failed"]


class OneOf:
    """Equal to any of these."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values

    def __eq__(self, other: object) -> bool:
        return other in self.values

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"one of {self.values}"


def wrong(check: Callable[..., None], what: str) -> NoReturn:
    raise Wrong(f"{check.__name__}: {what}")


def leaves(error: BaseException | None) -> list[BaseException]:
    """The exceptions in a group of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in leaves(part)]
    return [] if error is None else [error]


def nothing_after_the_answer(ran: Ran) -> None:
    """Neither a leg nor a handler does anything once the combinator has answered."""
    at = ran.log.index("has its answer", "plan")
    after = [note for note in ran.log.notes[at + 1 :] if note.leg != "plan"]
    if after:
        wrong(nothing_after_the_answer, f"{after[0].leg} {after[0].what}")
    over: list[Any] = []
    for event in ran.events:
        name = type(event).__name__
        above = [path for path in over if event.path[: len(path)] == path]
        if above:
            wrong(nothing_after_the_answer, f"{name} at {event.path} after {above[0]} had ended")
        if name != "Started" and type(event.what).__name__ in ("Concurrent", "Timeout", "Branch"):
            over.append(event.path)


def everybody_ended(ran: Ran) -> None:
    """Each leg that began has cleaned up and ended, once, before the answer."""
    at = ran.log.index("has its answer", "plan")
    before = ran.log.notes[:at]
    for leg in {note.leg for note in before if note.what == "begins"}:
        said = [note.what for note in before if note.leg == leg and note.what in ("cleaned", *ENDINGS)]
        if len(said) != 2 or said[0] != "cleaned" or said[1] not in ENDINGS:
            wrong(everybody_ended, f"of leg {leg} is only known: {said}")


def nobody_waits_on(ran: Ran) -> None:
    """Nobody ends a wait that was begun after the decision, or after the deadline."""
    decided = decision(ran)
    for i, note in enumerate(ran.log.notes):
        if note.what != "waits":
            continue
        ended = next((n for n in ran.log.notes[i:] if (n.leg, n.what) == (note.leg, "waited")), None)
        # A sibling that cancels may itself be late, where the clock hurries.
        known = ran.row.outside is None or ran.delays < math.inf
        too_late = known and note.at > ran.out_of_time(note.leg)
        too_late = too_late or (decided is not None and i > decided)
        if ended is not None and too_late:
            wrong(nobody_waits_on, f"leg {note.leg} began to wait at {note.at} and went on at {ended.at}")


def nobody_is_cancelled_for_nothing(ran: Ran) -> None:
    """A leg is cancelled only after the decision, or at a deadline."""
    decided = decision(ran)
    for i, note in enumerate(ran.log.notes):
        if note.what != "cancelled" or (decided is not None and i > decided):
            continue
        if note.at < ran.out_of_time(note.leg):
            wrong(nobody_is_cancelled_for_nothing, f"leg {note.leg}, at {note.at}")


def no_failure_is_lost(ran: Ran) -> None:
    """Each failure is in what was raised or answered, or logged, unless the policy does without it."""
    known = leaves(getattr(ran.outcome, "error", None))
    for error in list(known):
        known += leaves(error.__cause__)
    captured = ran.row.policy in ("settle", "each")
    if isinstance(ran.outcome, Ok) and captured:
        known += [leaf for slot in ran.outcome.value if isinstance(slot, Err) for leaf in leaves(slot.error)]
    outvoted = ran.row.policy in ("race", "quorum", "n_best") and isinstance(ran.outcome, (Ok, Stopped))
    outvoted = outvoted or (captured and isinstance(ran.outcome, Stopped))
    for note in ran.failures():
        for failure in leaves(note.error):
            told = any(one is failure for one in known) or any(repr(note.error) in line for line in ran.late)
            dropped = outvoted and not note.late
            if not (told or dropped or (ran.row.attempted and isinstance(ran.outcome, Stopped))):
                wrong(no_failure_is_lost, f"{failure!r} of leg {note.leg}; known are {known} and {ran.late}")


def at_most_limit_at_once(ran: Ran) -> None:
    """Never more legs than the limit."""
    running: set[Any] = set()
    for note in ran.log.notes:
        if note.what == "begins":
            running.add(note.leg)
        elif note.what in ENDINGS:
            running.discard(note.leg)
        if ran.row.limit is not None and len(running) > ran.row.limit:
            wrong(at_most_limit_at_once, f"{sorted(running)} of {ran.row.limit}")


def deadline_is_kept(ran: Ran) -> None:
    """Nobody is out of time before the time is up, and the answer comes no later than what was going on allows."""
    at = ran.log.notes[ran.log.index("has its answer", "plan")].at
    error = getattr(ran.outcome, "error", None)
    values = ran.outcome.value if isinstance(ran.outcome, Ok) else ()
    gaps = isinstance(values, tuple) and any(value is MISSING for value in values)
    over = [d for d in (ran.row.deadline, ran.row.outside) if d is not None]
    if (isinstance(error, PlanTimeout) or isinstance(ran.outcome, Stopped) or gaps) and at < min(over):
        wrong(deadline_is_kept, f"out of time at {at}, before {min(over)}")
    if isinstance(error, PlanTimeout) and error.seconds != ran.row.deadline:
        wrong(deadline_is_kept, f"{error} says {error.seconds}, for {ran.row.deadline}")
    if over and at > min(over) + ran.row.total * CLEANING + ran.delays:
        wrong(deadline_is_kept, f"the answer came at {at}, for {min(over)}")


def copies_start_on_time(ran: Ran) -> None:
    """Copy k of a hedge starts no sooner than after k times `after`."""
    for leg, note in enumerate([note for note in ran.log.notes if note.what == "begins"]):
        if note.at < leg * ran.row.after:
            wrong(copies_start_on_time, f"copy {leg} at {note.at}")


def decision(ran: Ran) -> int | None:
    """The place of the note that decides, if one does."""
    answered = failed = 0
    for i, note in enumerate(ran.log.notes):
        answered += note.what == "answered"
        failed += note.what == "failed" and not note.late
        if _decides(ran.row, answered, failed):
            return i
    return None


def _decides(row: Row, answered: int, failed: int) -> bool:
    if row.policy == "all":
        return failed > 0
    if row.policy == "race":
        return answered > 0
    if row.policy == "quorum":
        return answered >= row.n or row.total - failed < row.n
    return False


def answer_is_right(ran: Ran) -> None:
    """What the combinator answers follows from how its legs ended, and in which order."""
    if isinstance(ran.outcome, Stopped):
        return
    expected = _ORACLES[ran.row.policy](ran.row, ran.ends)
    got = ran.outcome
    if isinstance(expected, Ok):
        if ran.row.policy == "each":
            got = Ok(tuple([_kind(slot) for slot in got.value]))
        if got != expected:
            wrong(answer_is_right, f"{got} in place of {expected}")
    elif expected is PlanTimeout:
        if not (isinstance(got, Err) and isinstance(got.error, PlanTimeout)):
            wrong(answer_is_right, f"{got} in place of PlanTimeout")
    elif not isinstance(got, Err) or _in_order(ran.row, leaves(got.error)) != _in_order(ran.row, expected):
        wrong(answer_is_right, f"{got} in place of a group of {expected}")


def _in_order(row: Row, errors: Sequence[BaseException]) -> list[int]:
    # Copies of a hedge are numbered as they begin, and two that are due at once may begin in either order.
    return sorted(map(id, errors)) if row.after else list(map(id, errors))


def _failures(ends: Sequence[Note], *, late: bool) -> list[BaseException]:
    notes = [note for note in ends if note.what == "failed" and (late or not note.late)]
    return [leaf for note in sorted(notes, key=lambda n: n.leg) for leaf in leaves(note.error)]


def _kind(slot: Any) -> Any:
    return "out of time" if isinstance(slot, Err) and isinstance(slot.error, PlanTimeout) else slot


def _failed(ends: Sequence[Note]) -> int:
    return sum(note.what == "failed" and not note.late for note in ends)


def _answers(ends: Sequence[Note]) -> list[Any]:
    return [note.leg for note in ends if note.what == "answered"]


def _all(row: Row, ends: Sequence[Note]) -> Any:
    answered = _answers(ends)
    if _failed(ends):
        return _failures(ends, late=True)
    if len(answered) == row.total:
        return Ok(tuple(range(row.total)))
    if row.partial:
        return Ok(tuple([leg if leg in answered else MISSING for leg in range(row.total)]))
    return PlanTimeout


def _one(_row: Row, ends: Sequence[Note]) -> Any:
    """Without siblings a plan's own failure counts, even if it came with the deadline."""
    if ends[0].what == "failed":
        return leaves(ends[0].error)
    return Ok((0,)) if ends[0].what == "answered" else PlanTimeout


def _each(row: Row, ends: Sequence[Note]) -> Any:
    """Plans under `attempt(timeout(...))`: each ends for itself."""
    slots: list[Any] = ["out of time"] * row.total
    for note in ends:
        if note.what != "cancelled":
            slots[note.leg] = Ok(note.leg) if note.what == "answered" else Err(note.error)
    return Ok(tuple(slots))


def ties(ends: Sequence[Note], nth: int) -> list[Any]:
    """The legs that answered in the tick of the `nth` answer: it, and those after it that were not cancelled yet."""
    answered = [note for note in ends if note.what == "answered"][nth:]
    return [note.leg for i, note in enumerate(answered) if i == 0 or not note.late or unsure(ends, nth)]


def unsure(ends: Sequence[Note], nth: int) -> bool:
    """Whether the `nth` answer came after a cancellation from outside, so that others do not show if they tie."""
    return [note for note in ends if note.what == "answered"][nth].late


def _race(row: Row, ends: Sequence[Note]) -> Any:
    if _answers(ends):
        # Which of a hedge's copies is the first of those that tie, their numbers do not say.
        return Ok(OneOf(ties(ends, 0)) if row.after or unsure(ends, 0) else min(ties(ends, 0)))
    return _failures(ends, late=False) if _failed(ends) == row.total else PlanTimeout


def _quorum(row: Row, ends: Sequence[Note]) -> Any:
    answered = _answers(ends)
    if len(answered) >= row.n:
        tied = ties(ends, row.n - 1)
        wins = [sorted([*answered[: row.n - 1], leg]) for leg in tied]
        return Ok(OneOf(wins) if unsure(ends, row.n - 1) else wins[tied.index(min(tied))])
    return _failures(ends, late=False) if row.total - _failed(ends) < row.n else PlanTimeout


def _n_best(row: Row, ends: Sequence[Note]) -> Any:
    answered, failed = sorted(_answers(ends)), _failures(ends, late=False)
    if not answered and failed:
        return failed
    return Ok(sorted(answered, key=row.score, reverse=True)[: row.n])


def _settle(row: Row, ends: Sequence[Note]) -> Any:
    slots: list[Any] = [MISSING] * row.total
    for note in ends:
        if note.what == "answered":
            slots[note.leg] = Ok(note.leg)
        elif note.what == "failed" and not note.late:
            slots[note.leg] = Err(note.error)
    return Ok(tuple(slots))


_ORACLES: dict[str, Callable[[Row, Sequence[Note]], Any]] = {
    "all": _all,
    "each": _each,
    "one": _one,
    "race": _race,
    "quorum": _quorum,
    "n_best": _n_best,
    "settle": _settle,
}

ALWAYS = (
    nothing_after_the_answer,
    everybody_ended,
    nobody_waits_on,
    nobody_is_cancelled_for_nothing,
    no_failure_is_lost,
    at_most_limit_at_once,
    deadline_is_kept,
    copies_start_on_time,
)
CHECKS = (*ALWAYS, answer_is_right)
