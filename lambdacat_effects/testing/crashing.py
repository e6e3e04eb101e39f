"""The crash sweep: a durable run whose process dies at every point that there is, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random as Seeded
from typing import Any, TypeVar, TypeVarTuple

import attrs

from lambdacat_effects.effects.ambient import Ambient
from lambdacat_effects.effects.durable import Ask
from lambdacat_effects.effects.effect import Effect, Performs
from lambdacat_effects.errors import InvalidArgument, SimulationFailure
from lambdacat_effects.runtime.events import Branch, Root, path_text
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.storage.port import Store
from lambdacat_effects.testing.lives import Contents, Lives, Point
from lambdacat_effects.testing.simulation import Report
from lambdacat_effects.testing.simulation.faults import FaultsLike
from lambdacat_effects.testing.simulation.trace import Advanced, Decided, Resumed

__all__ = ["Swept", "crash_sweep"]

E = TypeVar("E", bound=Effect[Any])
A = TypeVar("A")
Ts = TypeVarTuple("Ts")


@attrs.frozen
class Swept:
    """What a sweep has done."""

    points: int
    """At how many points the process has died."""
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
    answers: Mapping[str, object] | None = None,
    seed: int = 0,
    timing: bool = False,
    twice: bool = False,
    faults: FaultsLike | None = None,
    points: Iterable[int] | None = None,
) -> Swept:
    """Let a durable run's process die at every point, one after the other, resume the run, and check what came of it.

    The run is that of `Durable.run(run_id, make, *args, handlers=handlers(store))`. It is simulated: first without
    interruption, then dying before and after each write of the journal, and before each step. Each time it is
    resumed, as a new process would, with another schedule, until it has ended. Then this is checked:

    - what was in the journal is there as it was, and was not asked of the handlers again;
    - what was asked again had been in flight, so its plan had not gone on; and with the same idempotency key, which
      stands for nothing else;
    - the journal alone, without any handlers, gives the same outcome;
    - the outcome, what is left in the store, and the calls with their keys are those of the uninterrupted run, unless
      they depend on `timing`, as they do in a race.

    `handlers` is a function from the store to the handlers of one life of the process; what is to be in one
    transaction with the journal is kept there, as by `store_memory(store)`. `answers` has the answers to what the
    plan asks, by question. With `twice` the process dies again while the run recovers. `faults` happen besides.
    `points` chooses some of the points, which are numbered from 1.

    Raises `SimulationFailure` with the point, what is wrong, and the journal. With `timing`, time passes between
    a death and the next life.

    >>> from lambdacat_effects import remember, store_memory
    >>> from lambdacat_effects.testing import crash_sweep
    >>> crash_sweep(remember, "cats", "felix", 9, handlers=store_memory).points > 5
    True
    """

    def lives() -> Lives:
        return Lives(make, args, handlers, answers or {}, faults, timing)

    base = lives()
    base.live(seed)
    base.to_the_end(seed)
    _judge(base, None, seed, "without any crash")
    expected = None if timing else _Expected(base.outcome, base.memory, frozenset(_calls(base)))
    deaths = repeated = count = 0
    every = _points(base)
    for number in range(1, len(every) + 1) if points is None else points:
        if not 0 < number <= len(every):
            raise InvalidArgument(
                f"the points of this sweep are numbered from 1 to {len(every)}; got {number!r}"
            )
        trial = lives()
        where = f"point {number}, {every[number - 1]}"
        if trial.live(seed, every[number - 1]):
            count += 1
            if twice:
                again = Seeded(f"{seed}|{number}").randrange(1, base.writes + 2)
                trial.live(
                    f"{seed}/{number}", Point(Seeded(number).choice(("before write", "after write")), again)
                )
            trial.to_the_end(f"{seed}/{number}")
        _judge(trial, expected, seed, f"at {where}")
        deaths += len(trial.deaths)
        repeated += trial.repeated
    return Swept(count, deaths, len(base.calls), repeated)


@attrs.frozen
class _Expected:
    outcome: tuple[str, Any]
    memory: Contents
    calls: frozenset[tuple[str, str]]


def _calls(lives: Lives) -> set[tuple[str, str]]:
    return {(call.key, str(call)) for call in lives.calls}


def _points(base: Lives) -> list[Point]:
    """Where a life can end that goes as this one went."""
    writes = [
        Point(what, number)
        for number in range(1, base.writes + 1)
        for what in ("before write", "after write")
    ]
    steps = [
        Point("before step", turn.step, run, f"{path_text(turn.path)} {turn.text()}")
        for run, report in enumerate(base.reports)
        for turn in report.trace
        if not isinstance(turn.effect, (Resumed, Advanced, Decided, Branch, Root))
    ]
    return [*writes, *steps]


def _judge(lives: Lives, expected: _Expected | None, seed: int, where: str) -> None:
    """Raise what is wrong with a run that has ended, or should have."""
    if not lives.wrong:
        lives.check_calls()
        lives.check_replay()
    if expected is not None and not lives.wrong:
        if lives.outcome != expected.outcome:
            lives.wrong.append(f"it ended otherwise: {lives.outcome} for {expected.outcome}")
        if lives.memory != expected.memory:
            lives.wrong.append(f"it left something else in the store: {lives.memory} for {expected.memory}")
        if _calls(lives) ^ expected.calls:
            lives.wrong.append(f"other calls were made: {_differences(_calls(lives), expected.calls)}")
    if lives.wrong:
        report: Sequence[Report | None] = lives.reports or [None]
        raise SimulationFailure(
            f"a durable run whose process died {where} (seed {seed}):\n  "
            + "\n  ".join(lives.wrong[:5])
            + f"\n{lives.story()}",
            seed=seed,
            report=report[-1],
        )


def _differences(these: set[tuple[str, str]], those: frozenset[tuple[str, str]]) -> str:
    more = [f"+ {text}" for _, text in sorted(these - those)]
    less = [f"- {text}" for _, text in sorted(those - these)]
    return ", ".join([*more, *less])
