"""Many runs of a scenario, in search of one that goes wrong."""

from __future__ import annotations

import os
import re
import secrets
import traceback
from typing import Any, cast

import attrs

from lambdacat_effects.errors import InvalidArgument, NondeterminismError, SimulationFailure
from lambdacat_effects.testing.simulation.faults import FaultsLike, listed
from lambdacat_effects.testing.simulation.report import MOST_STEPS, Report
from lambdacat_effects.testing.simulation.running import (
    Scenario,
    check_seed,
    perform_once,
    verdict,
)
from lambdacat_effects.testing.simulation.schedules import (
    Preemptions,
    Priorities,
    RandomWalk,
    Schedule,
    Written,
)
from lambdacat_effects.testing.simulation.shrinking import Failing, raised_at, shrunk, sign
from lambdacat_effects.testing.simulation.story import by_chance, called, line, story

__all__ = ["Exploration", "explore", "failure", "schedule_for", "seed_in_force"]


@attrs.frozen
class Exploration:
    """What an exploration without a failure has seen."""

    seed: int | str
    runs: int
    distinct: int
    """How many of the runs differed in schedule or faults."""
    steps: int
    """Of all runs together."""


def explore(
    scenario: Scenario,
    *,
    runs: int = 500,
    seed: int | str | None = None,
    faults: FaultsLike | None = None,
    most_steps: int = MOST_STEPS,
) -> Exploration:
    """Run a scenario under many schedules and faults; raise the shortest failure found.

    A run fails if the scenario's `check(report)` raises, or if the plan does, unless the check looked at
    `report.error` and let it pass, or the error is nothing but injected faults; and if it is stopped, since nobody
    could go on (`Deadlock`) or it did not end (`Endless`). The first run is the plainest; the
    others take turns among random walks, random priorities (PCT) and a few preemptions of the plainest run. With
    `faults=Faults(...)` four of five have faults.

    A failing run is done a second time, and then made shorter: fewer switches, fewer faults, smaller values.

    The environment variables `LAMBDACAT_RUNS` and `LAMBDACAT_SEED` win over `runs` and `seed`. Without either, each
    exploration has a seed of its own, which the failure prints.

    Raises `SimulationFailure`, with the seed, the steps, and a line that repeats them; `NondeterminismError` if the
    second run differs, naming the step. Answers how much was seen otherwise.

    >>> from lambdacat_effects import ambient, parallel, Sleep
    >>> explore(lambda: (parallel(Sleep(1), Sleep(1)), ambient), runs=50, seed=1).runs
    50
    """
    seed = seed_in_force(seed)
    runs = _runs(runs)
    wanted = listed(faults)
    certain = tuple([fault for fault in wanted if fault.probability == 1])
    seen: set[tuple[Any, ...]] = set()
    steps = length = 0
    for number in range(runs):
        some = certain if number % 5 == 4 else wanted
        report, check = perform_once(
            scenario, schedule_for(seed, number, length), some, f"{seed}/{number}", most_steps
        )
        error = verdict(report, check)
        if error is not None:
            again, check = perform_once(
                scenario, schedule_for(seed, number, length), some, f"{seed}/{number}", most_steps
            )
            _compare(report, again, f"seed {seed!r}, run {number}")
            _compare_ends(error, verdict(again, check), f"seed {seed!r}, run {number}")
            failing = Failing(report, error)
            least = shrunk(scenario, failing, most_steps)
            if number and not (least.report.schedule or least.report.faults or by_chance(least.report)):
                raise _differs(
                    f"seed {seed!r}, the plainest",
                    f"in that it passed as the first, and then ended by {least.error!r}",
                )
            raise failure(
                called(scenario),
                seed,
                f"seed {seed!r}, run {number + 1} of {runs}",
                failing,
                least,
            ) from least.error
        steps += len(report.trace)
        length = max(length, len(report.trace))
        seen.add((*sorted(report.schedule.items()), *[(f.kind, f.path) for f in report.faults]))
    return Exploration(seed, runs, len(seen), steps)


def schedule_for(seed: int | str, number: int, length: int) -> Schedule:
    """The schedule of one of many runs: number 0 is the plainest, and `length` is about how many steps there are."""
    if number == 0:
        return Written()
    own = f"{seed}/{number}"
    kinds: list[Schedule] = [
        Preemptions(own, count=1, steps=length),
        RandomWalk(own),
        Priorities(own, changes=1, steps=length),
        Preemptions(own, count=2, steps=length),
        RandomWalk(own, switch=0.1, hurry=0.02),
        Priorities(own, changes=2, steps=length),
        Preemptions(own, count=3, steps=length),
        RandomWalk(own, switch=0.9, hurry=0.3),
    ]
    return kinds[number % len(kinds)]


def _compare(one: Report, other: Report, what: str) -> None:
    for first, second in zip(one.trace, other.trace, strict=False):
        if first != second:
            raise _differs(
                what,
                f"at step {first.step}: {first.where} {first.text()}, "
                f"and then {second.where} {second.text()}",
            )
    if len(one.trace) != len(other.trace):
        raise _differs(what, f"in its length: {len(one.trace)} steps, and then {len(other.trace)}")


def _compare_ends(one: BaseException, other: BaseException | None, what: str) -> None:
    if other is None or sign(one) != sign(other):
        raise _differs(what, f"only in how it ended: by {one!r}, and then by {other!r}")


def _differs(what: str, difference: str) -> NondeterminismError:
    return NondeterminismError(
        f"the same run ({what}) was done twice, and differed {difference}.\n"
        "Something besides the answers of effects decides: `random`, `time`, the order of a set, a child task of a "
        "handler, or state that the scenario does not make anew"
    )


def failure(scenario: str, seed: int | str, run: str, found: Failing, least: Failing) -> SimulationFailure:
    """What is raised of a failing run: `scenario` is the expression that is pasted, `run` says which run it was."""
    from lambdacat_effects import __version__

    report, error = least.report, least.error
    counted = f"{_many(len(report.schedule), 'switch')} and {_many(len(report.faults), 'fault')}"
    before = f"{len(found.report.schedule)} and {len(found.report.faults)}"
    parts = [
        _raised(error),
        "",
        f"  plan {report.plan} (fingerprint {report.fingerprint}), lambdacat_effects {__version__}",
        f"  {run}; shortened to {counted} (from {before})",
        "",
        story(report),
        "",
        *[f"  fault: {fault!r}" for fault in report.faults],
        "To do it again, put this into a test:",
        "",
        f"    {line(report, scenario, checked=error is not report.unexpected)}",
        "",
    ]
    return SimulationFailure("\n".join(parts), seed=seed, report=report)


def _raised(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        members = cast("BaseExceptionGroup[BaseException]", error).exceptions
        told = "\n".join(_raised(member) for member in members).replace("\n", "\n  ")
        return f"{cast(Any, error).__class__.__name__}: {cast(Any, error)}\n  {told}"
    said = "".join(traceback.format_exception_only(error)).rstrip()
    last = raised_at(error)
    if last is None:
        return said
    return f"{said}\n  at {last.filename}:{last.lineno}" + (f": {last.line}" if last.line else "")


def _many(n: int, what: str) -> str:
    plural = what + ("es" if what.endswith("ch") else "s")
    return f"{n} {what if n == 1 else plural}"


def seed_in_force(seed: int | str | None) -> int | str:
    """The seed from `LAMBDACAT_SEED`, or else this one, or else a new one."""
    given = os.environ.get("LAMBDACAT_SEED")
    if given:
        return int(given) if re.fullmatch("-?[0-9]+", given) else given
    if seed is None:
        return secrets.randbelow(2**32)
    check_seed(seed)
    return seed


def _runs(runs: Any) -> int:
    given = os.environ.get("LAMBDACAT_RUNS")
    if given:
        if not re.fullmatch("[0-9]+", given) or int(given) < 1:
            raise InvalidArgument(f"LAMBDACAT_RUNS is a number of runs, at least 1; got {given!r}")
        return int(given)
    if not isinstance(runs, int) or isinstance(runs, bool) or runs < 1:
        raise InvalidArgument(f"explore needs at least 1 run; got runs={runs!r}")
    return runs
