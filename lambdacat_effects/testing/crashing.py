"""The crash sweep: a durable run whose process dies at every point that there is, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random as Seeded
from typing import Any, TypeVar, TypeVarTuple, cast

import attrs

from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.effects.ambient import Ambient
from lambdacat_effects.effects.durable import Ask
from lambdacat_effects.effects.effect import Effect, Performs
from lambdacat_effects.errors import InvalidArgument, SimulationFailure
from lambdacat_effects.journal.committing import Commit
from lambdacat_effects.runtime.events import Branch, Root, path_text
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.storage.port import Store
from lambdacat_effects.testing.lives import Answers, Lives
from lambdacat_effects.testing.mortal import Contents, CrashPoint, told
from lambdacat_effects.testing.simulation import Report
from lambdacat_effects.testing.simulation.faults import FaultsLike
from lambdacat_effects.testing.simulation.trace import Advanced, Decided, Resumed, Turn

__all__ = ["Swept", "crash_sweep"]

E = TypeVar("E", bound=Effect[Any])
A = TypeVar("A")
Ts = TypeVarTuple("Ts")

_HURRY = 0.1


@attrs.frozen
class Swept:
    """What a sweep has done."""

    outcome: Ok[Any] | Err[Exception]
    """How the run ends that nobody interrupts."""
    points: tuple[CrashPoint, ...]
    """Where the process has died, with the effect that stood at each."""
    deaths: int
    """How often it has died, also while it recovered."""
    calls: int
    """How many calls an uninterrupted run makes."""
    repeated: int
    """How many calls were made again, in all, with the key that they had: those in flight at a crash."""


def crash_sweep(
    make: Callable[[*Ts], Performs[E | Ambient | Ask[Any], A]],
    *args: *Ts,
    handlers: Callable[[Store], Handler[E]],
    answers: Answers | None = None,
    seed: int = 0,
    timing: bool = False,
    apart: float | Sequence[float] = 0.0,
    twice: bool = False,
    cancel: bool = False,
    faults: FaultsLike | None = None,
    points: Iterable[int] | None = None,
) -> Swept:
    """Let a durable run's process die at every point, one after the other, resume the run, and check what came of it.

    The run is that of `Durable.run(run_id, make, *args, handlers=handlers(store))`. It is simulated, in virtual time,
    which goes on only when nobody else can: first without interruption, then dying before and after each write of the
    journal, and before each step. Each time it is resumed, as a new process would, with another schedule, until it
    has ended. Then this is checked:

    - what was in the journal is there as it was, and was not asked of the handlers again;
    - what was asked again had been in flight, so its plan had not gone on; and with the same idempotency key, which
      stands for nothing else;
    - the journal alone, without any handlers, gives the same outcome;
    - the outcome, what is left in the store, and the calls with their keys are those of the uninterrupted run.

    `handlers` is a function from the store to the handlers of one life of the process; what is to be in one
    transaction with the journal is kept there, as by `store_memory(store)`. `answers` has the answers to what the
    plan asks, by question, or is a function of the question.

    A crash takes no time: the next process begins at the moment in which the last one died. With `apart` it begins so
    many seconds later; of several numbers, each time after another one of them.

    `timing` says that the outcome depends on who is first, as it does in a race of calls, or on how long something
    takes: of two calls before one deadline the second is too late when a crash lets the first begin anew. Then the
    last check is left out, and in the lives after the first a timer may be over before work that could go on.

    With `twice` the process dies again while the run recovers. With `cancel` the run is cancelled while its process
    is dead: it ends so, its clean-up done, or else as without. `faults` happen besides. `points` chooses some of the
    points by their numbers.

    Raises `SimulationFailure` with the point, what is wrong, and the journal; `InvalidArgument` for a question
    without an answer, a point that does not exist, or a time that is none.

    >>> from lambdacat_effects import remember, store_memory
    >>> from lambdacat_effects.testing import crash_sweep
    >>> swept = crash_sweep(remember, "cats", "felix", 9, handlers=store_memory)
    >>> swept.outcome
    Ok(value=None)
    >>> print(swept.points[5])
    point 6, after write 3: Remember(namespace='cats', key='felix', value=9) answered
    """
    pauses = _seconds(apart)

    def lives() -> Lives:
        return Lives(make, args, handlers, answers=answers, faults=faults, apart=pauses)

    base = lives()
    base.live(seed)
    base.to_the_end(seed)
    _judge(base, None, seed, "without any crash")
    expected = None if timing else _Expected(base.outcome, base.memory, frozenset(_calls(base)))
    every = _points(base)
    deaths = repeated = 0
    died: list[CrashPoint] = []
    for point in every if points is None else _chosen(every, points):
        trial = lives()
        if trial.live(seed, point):
            died.append(point)
            trial.hurry = _HURRY if timing else 0.0
            if cancel:
                trial.cancel()
            if twice:
                again = f"{seed}/{point.number}"
                trial.live(again, _another(f"{seed}|{point.number}", len(base.writes)))
            trial.to_the_end(f"{seed}/{point.number}")
        was_cancelled = cancel and not trial.wrong and trial.outcome[0] == "cancelled"
        _judge(trial, None if was_cancelled else expected, seed, f"at {point}")
        deaths += len(trial.deaths)
        repeated += trial.repeated
    return Swept(base.result, tuple(died), deaths, len(base.calls), repeated)


def _seconds(apart: float | Sequence[float]) -> tuple[float, ...]:
    pauses = tuple(apart) if isinstance(apart, Sequence) else (apart,)
    if not pauses or not all(isinstance(cast(object, each), (int, float)) and each >= 0 for each in pauses):
        raise InvalidArgument(f"apart= is a number of seconds, at least 0, or several; got {apart!r}")
    return pauses


def _chosen(every: Sequence[CrashPoint], numbers: Iterable[int]) -> Iterable[CrashPoint]:
    for number in numbers:
        if not 0 < number <= len(every):
            raise InvalidArgument(
                f"the points of this sweep are numbered from 1 to {len(every)}; got {number!r}"
            )
        yield every[number - 1]


def _another(seed: str, writes: int) -> CrashPoint:
    """Where the process dies that recovers, if it comes so far."""
    chance = Seeded(seed)
    return CrashPoint(chance.choice(("before write", "after write")), chance.randrange(1, writes + 2))


@attrs.frozen
class _Expected:
    outcome: tuple[str, Any]
    memory: Contents
    calls: frozenset[tuple[str, str]]


def _calls(lives: Lives) -> set[tuple[str, str]]:
    return {(call.key, str(call)) for call in lives.calls}


def _points(base: Lives) -> list[CrashPoint]:
    """Where a life can end that goes as this one went."""
    writes = [
        CrashPoint(what, at, effect=effect)
        for at, effect in enumerate(base.writes, 1)
        for what in ("before write", "after write")
    ]
    steps = [
        CrashPoint("before step", turn.step, performance, _stood(turn))
        for performance, report in enumerate(base.reports)
        for turn in _steps(report)
    ]
    return [attrs.evolve(point, number=number) for number, point in enumerate([*writes, *steps], 1)]


def _stood(turn: Turn) -> str:
    if isinstance(turn.effect, Commit):
        return f"to write: {told(turn.effect.changes)}"
    return f"{path_text(turn.path)} {turn.text()}"


def _steps(report: Report) -> Iterable[Turn]:
    """The steps before which a process can die: those at which something is asked of a handler, or of the disk."""
    turns = [
        turn
        for turn in report.trace
        if not isinstance(turn.effect, (Resumed, Advanced, Decided, Branch, Root))
    ]
    forwarded = {(turn.path, turn.text()) for turn in turns}
    return [turn for turn in turns if ((*turn.path, 1), turn.text()) not in forwarded]


def _judge(lives: Lives, expected: _Expected | None, seed: int, where: str) -> None:
    """Raise what is wrong with a run that has ended, or should have."""
    if not lives.wrong:
        lives.check_calls()
        lives.check_replay()
    if expected is not None and not lives.wrong:
        _compare(lives, expected)
    if lives.wrong:
        report: Sequence[Report | None] = lives.reports or [None]
        raise SimulationFailure(
            f"a durable run whose process died {where} (seed {seed}):\n  "
            + "\n  ".join(lives.wrong[:5])
            + f"\n{lives.story()}",
            seed=seed,
            report=report[-1],
        )


def _compare(lives: Lives, expected: _Expected) -> None:
    if lives.outcome != expected.outcome:
        lives.wrong.append(f"it ended otherwise: {lives.outcome} for {expected.outcome}")
    if lives.memory != expected.memory:
        lives.wrong.append(f"it left something else in the store: {lives.memory} for {expected.memory}")
    if _calls(lives) ^ expected.calls:
        lives.wrong.append(f"other calls were made: {_differences(_calls(lives), expected.calls)}")
    if lives.wrong:
        lives.wrong.append(
            "(if that depends on who is first, or on how long something takes, say `timing=True`)"
        )


def _differences(these: set[tuple[str, str]], those: frozenset[tuple[str, str]]) -> str:
    more = [f"+ {text}" for _, text in sorted(these - those)]
    less = [f"- {text}" for _, text in sorted(those - these)]
    return ", ".join([*more, *less])
