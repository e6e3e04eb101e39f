"""Time, chance, names and notes: as the world has them, or fixed, so that a run can be repeated.

`run` answers these effects live by itself, and `run_pure` from virtual time and a fixed seed. Compose one of these in
to have it otherwise: fixed in a run on Trio, or live within a part of a plan.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lambdacat_effects.effects.ambient import Count, Log, NewId, Now, Random, Sleep
from lambdacat_effects.errors import InvalidArgument, NotPure
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.runtime.live import LIVE
from lambdacat_effects.runtime.pure import located_id, located_random
from lambdacat_effects.runtime.run import Scope
from lambdacat_effects.runtime.table import LOCATED, Step

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "collect_counts",
    "collect_logs",
    "fixed_ids",
    "fixed_random",
    "fixed_time",
    "live_ids",
    "live_random",
    "live_time",
]


def live_time() -> Handler[Sleep | Now]:
    """A handler that sleeps on Trio and reads the run's clock, as `run` does by itself."""
    return Handler({Sleep: LIVE.bindings[Sleep], Now: LIVE.bindings[Now]})


def fixed_time(start: float | datetime = 0.0) -> Handler[Sleep | Now]:
    """A handler whose clock shows `start` until a `Sleep` moves it, at once.

    `start` is in seconds since the Unix epoch, or an aware datetime. All plans under the handler share its clock,
    from run to run: branches that sleep at the same time move it by the sum. Deadlines (`timeout=`) are kept by the
    run's clock, not by this one; for deadlines and branches in virtual time, use `run_pure` without it.

    Raises `InvalidArgument` for a naive datetime, whose moment depends on where it is read, and `NotPure` at a
    `Sleep` that never ends.

    >>> from lambdacat_effects import Now, Sleep, fixed_time
    >>> def nap():
    ...     yield from Sleep(90)
    ...     return (yield from Now())
    >>> fixed_time(1000).run_pure(nap())
    1090.0
    """
    time = _epoch_seconds(start)

    def sleep(effect: Sleep) -> None:
        nonlocal time
        if effect.seconds == math.inf:
            raise NotPure(
                "a plan that sleeps for ever never ends in fixed time: leave Sleep to the run's clock"
            )
        time += effect.seconds

    def now(_effect: Now) -> float:
        return time

    return Handler.of({Sleep: sleep, Now: now})


def _epoch_seconds(start: Any) -> float:
    from datetime import datetime

    if isinstance(start, datetime):
        if start.utcoffset() is None:
            raise InvalidArgument(
                f"{start!r} is a different moment in every time zone: give it one, as in datetime(..., tzinfo=UTC)"
            )
        return start.timestamp()
    if isinstance(start, bool) or not isinstance(start, (int, float)) or not math.isfinite(start):
        raise InvalidArgument(
            f"a time is a number of seconds since the Unix epoch or a datetime; got {start!r}"
        )
    return float(start)


def live_random() -> Handler[Random]:
    """A handler that draws from Python's shared generator, as `run` does by itself."""
    return Handler({Random: LIVE.bindings[Random]})


def fixed_random(seed: int | str) -> Handler[Random]:
    """A handler whose numbers depend on the seed and the place in the plan, never on timing.

    >>> from lambdacat_effects import Random, fixed_random
    >>> fixed_random(1).run_pure(Random()) == fixed_random(1).run_pure(Random())
    True
    """
    _check_seed("fixed_random", seed)

    def draw(_effect: Random, scope: Scope) -> float:
        return located_random(seed, scope)

    return Handler({Random: (Step(LOCATED, draw),)})


def live_ids() -> Handler[NewId]:
    """A handler that answers random UUIDs, as `run` does by itself."""
    return Handler({NewId: LIVE.bindings[NewId]})


def fixed_ids(seed: int | str) -> Handler[NewId]:
    """A handler whose identifiers depend on the seed and the place in the plan, never on timing.

    They are unique within a run. Another run of the same plan under the same name gets the same ones.
    """
    _check_seed("fixed_ids", seed)

    def new_id(_effect: NewId, scope: Scope) -> str:
        return located_id(seed, scope)

    return Handler({NewId: (Step(LOCATED, new_id),)})


def _check_seed(caller: str, seed: object) -> None:
    if isinstance(seed, bool) or not isinstance(seed, (int, str)):
        raise InvalidArgument(f"{caller} takes an int or a str as its seed; got {seed!r}")


def collect_logs(into: list[Log]) -> Handler[Log]:
    """A handler that appends each note to a list, in place of writing it.

    >>> from lambdacat_effects import collect_logs, log
    >>> notes = []
    >>> collect_logs(notes).run_pure(log("fed", cat="Felix"))
    >>> notes[0].message, notes[0].fields
    ('fed', {'cat': 'Felix'})
    """

    def collect(effect: Log) -> None:
        into.append(effect)

    return Handler.of({Log: collect})


def collect_counts(into: dict[str, float]) -> Handler[Count]:
    """A handler that adds each `Count` to the total of its name.

    >>> from lambdacat_effects import Count, collect_counts
    >>> totals = {}
    >>> collect_counts(totals).run_pure(Count("purrs", 3))
    >>> totals
    {'purrs': 3}
    """

    def collect(effect: Count) -> None:
        into[effect.name] = into.get(effect.name, 0) + effect.amount

    return Handler.of({Count: collect})
