"""Faults: what a simulation does to effects, other than answering them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Literal, Protocol, TypeAlias, cast, get_args

import attrs

from lambdacat_effects.effects.ambient import Count, Log, NewId, Now, Random, Sleep
from lambdacat_effects.effects.control import Control
from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.effects.failure import Fail
from lambdacat_effects.effects.needs import Need
from lambdacat_effects.effects.tools import CallTool, Tool
from lambdacat_effects.errors import FaultInjected, InvalidArgument
from lambdacat_effects.runtime.events import Path

__all__ = [
    "Crash",
    "Fault",
    "FaultKind",
    "Faults",
    "FaultsLike",
    "FaultsOf",
    "Injector",
    "check_probability",
    "is_injected",
    "listed",
]

FaultKind: TypeAlias = Literal["fail", "lost_reply", "delay", "duplicate", "crash"]
"""What happens to an effect.

`fail`: it does not happen, and raises. `lost_reply`: it happens, and then raises, as when the answer is lost on its
way. `delay`: it happens later. `duplicate`: it happens twice, and the first answer counts. `crash`: it does not
happen, and nothing does any more: the process is gone.
"""

_KINDS: tuple[str, ...] = get_args(FaultKind)
_OF_NO_WORLD = (Control, Sleep, Now, Random, NewId, Log, Count, Fail, Need)


class Crash(BaseException):
    """A simulation let the process die. No effect happens after it; `finally` is still run, as Python cannot not."""


@attrs.frozen
class Fault:
    """One thing that goes wrong: what, and to which effects.

    With `on` (an effect class, a tool, or an effect), `path` (the effect there and, where handlers perform effects
    of their own to answer it, those) and `step` (the number in the trace) it is told where; all that are given must
    fit. What none of them names exactly has to touch the world: control effects, time, chance, notes, `Fail` and
    `Need` do not fail by themselves. `probability` is drawn for each effect by its path, so that it does not depend
    on the schedule.

    >>> Fault("lost_reply", path=("transfer", 3))
    Fault('lost_reply', path=('transfer', 3))
    """

    kind: FaultKind
    on: Any = attrs.field(default=None, kw_only=True)
    path: Path | None = attrs.field(default=None, kw_only=True)
    step: int | None = attrs.field(default=None, kw_only=True)
    probability: float = attrs.field(default=1.0, kw_only=True)
    seconds: float = attrs.field(default=1.0, kw_only=True)
    """How long a `delay` is; at most, if it is drawn."""
    error: Any = attrs.field(default=None, kw_only=True)
    """What `fail` and `lost_reply` raise in place of `FaultInjected`: an exception or its class."""

    def __attrs_post_init__(self) -> None:
        place: Any = self.path
        if place is not None and not (isinstance(place, tuple) and place and isinstance(place[0], str)):
            raise InvalidArgument(f"a path is a tuple, such as ('research', 3, 0); got {place!r}")
        if self.step is not None and (type(self.step) is not int or self.step < 0):
            raise InvalidArgument(f"a step is a number in the trace, from 0; got {self.step!r}")
        if self.kind not in _KINDS:
            raise InvalidArgument(f"a fault is one of {', '.join(_KINDS)}; got {self.kind!r}")
        check_probability(self.kind, self.probability)
        if not (self.seconds >= 0 and math.isfinite(self.seconds)):
            raise InvalidArgument(f"a delay is a finite number of seconds, at least 0; got {self.seconds!r}")
        kind: Any = self.error if isinstance(self.error, type) else cast(object, type(self.error))
        if self.error is not None and not issubclass(kind, BaseException):
            raise InvalidArgument(f"a fault's error is an exception or its class; got {self.error!r}")
        if not (self.on is None or isinstance(self.on, (Effect, Tool)) or _is_effect_class(self.on)):
            raise InvalidArgument(f"a fault is on an effect class, a tool or an effect; got {self.on!r}")

    def __repr__(self) -> str:
        given = [
            f"{a.name}={_source(getattr(self, a.name))}"
            for a in attrs.fields(Fault)
            if a.kw_only and getattr(self, a.name) != a.default
        ]
        return f"Fault({', '.join([repr(self.kind), *given])})"

    def fits(self, step: int, path: Path, effect: object) -> bool:
        """Whether it is about this effect."""
        named = self.on is not None or self.step is not None or self.path == path
        if not named and isinstance(effect, _OF_NO_WORLD):
            return False
        return (
            (self.step is None or self.step == step)
            and (self.path is None or self.path == path[: len(self.path)])
            and (self.on is None or _is_on(self.on, effect))
        )


class FaultsOf(Protocol):
    """Something that is made of faults."""

    def faults(self) -> Iterable[Fault]: ...


FaultsLike: TypeAlias = "FaultsOf | Fault | Iterable[FaultsOf | Fault]"
"""What `faults=` takes."""


@attrs.frozen(kw_only=True)
class Faults:
    """Faults by probability, for each effect that touches the world, or for those that `on` names.

    >>> Faults(lost_reply=0.05, delay=0.1, seconds=30.0).faults()
    (Fault('lost_reply', probability=0.05, seconds=30.0), Fault('delay', probability=0.1, seconds=30.0))
    """

    fail: float = 0.0
    lost_reply: float = 0.0
    delay: float = 0.0
    duplicate: float = 0.0
    crash: float = 0.0
    on: Any = None
    """An effect class, a tool or an effect."""
    seconds: float = 10.0
    """The longest delay."""
    error: Any = None
    """What `fail` and `lost_reply` raise in place of `FaultInjected`."""

    def faults(self) -> tuple[Fault, ...]:
        """One for each kind that has a probability."""
        rates: dict[Any, float] = {kind: getattr(self, kind) for kind in _KINDS}
        for kind, rate in rates.items():
            check_probability(kind, rate)
        return tuple(
            [
                Fault(kind, on=self.on, probability=rate, seconds=self.seconds, error=self.error)
                for kind, rate in rates.items()
                if rate
            ]
        )

    def __attrs_post_init__(self) -> None:
        self.faults()


def check_probability(name: str, probability: Any) -> None:
    """Raise `InvalidArgument` unless it is a number from 0 to 1."""
    number = isinstance(probability, (int, float)) and not isinstance(probability, bool)
    if not (number and 0 <= probability <= 1):
        raise InvalidArgument(f"the probability of {name} is a number from 0 to 1; got {probability!r}")


def listed(faults: FaultsLike | None) -> tuple[Fault, ...]:
    """The faults one by one. Raises `InvalidArgument` for anything else."""
    if faults is None:
        return ()
    if isinstance(faults, Fault):
        return (faults,)
    if hasattr(faults, "faults"):
        return tuple(cast(FaultsOf, faults).faults())
    if isinstance(faults, (str, Mapping)) or not isinstance(cast(object, faults), Iterable):
        raise InvalidArgument(
            f"faults= takes Faults(...), a Fault(...), or a list of these; got {faults!r}, as in "
            "faults=Faults(fail=0.05) or faults=[Fault('fail', step=3)]"
        )
    return tuple([fault for part in cast("Iterable[Any]", faults) for fault in listed(part)])


class Injector:
    """Decides for each effect which fault, if any, it meets. It depends on the seed and the effect's path alone."""

    def __init__(self, faults: Iterable[Fault], seed: int | str) -> None:
        self._faults = tuple(faults)
        self._seed = seed
        self.injected: list[Fault] = []
        """What has happened, each with the exact path."""
        self.errors: list[BaseException] = []
        """What has been raised for it."""

    def at(self, step: int, path: Path, effect: object) -> Fault | None:
        """The fault that this effect meets."""
        for index, fault in enumerate(self._faults):
            if not fault.fits(step, path, effect):
                continue
            exact = Fault(fault.kind, path=path, seconds=fault.seconds, error=fault.error)
            if fault.probability < 1:
                chance, size = self._drawn(index, path)
                if chance >= fault.probability:
                    continue
                exact = attrs.evolve(exact, seconds=round(fault.seconds * size, 3))
            if exact.kind != "delay":
                exact = attrs.evolve(exact, seconds=1.0)
            if exact.kind not in ("fail", "lost_reply"):
                exact = attrs.evolve(exact, error=None)
            self.injected.append(exact)
            return exact
        return None

    def error(self, fault: Fault, effect: object) -> BaseException:
        """What to raise for it."""
        if fault.kind == "crash":
            error: BaseException = Crash(f"the process died before {effect!r}")
        elif fault.error is not None:
            error = fault.error() if isinstance(fault.error, type) else fault.error
        elif fault.kind == "fail":
            error = FaultInjected(f"{effect!r} failed: it did not happen")
        else:
            error = FaultInjected(f"the reply to {effect!r} was lost: it happened")
        self.errors.append(error)
        return error

    def _drawn(self, index: int, path: Path) -> tuple[float, float]:
        digest = blake2b(f"{self._seed}|{index}|{path}".encode(), digest_size=16).digest()
        return int.from_bytes(digest[:8]) / 2**64, int.from_bytes(digest[8:]) / 2**64


def is_injected(error: BaseException | None, injected: Iterable[BaseException]) -> bool:
    """Whether an error is nothing but injected faults, or was raised `from` one."""
    return error is not None and _comes_from(error, {id(e) for e in injected}, set())


def _comes_from(error: BaseException, known: set[int], above: set[int]) -> bool:
    if id(error) in known:
        return True
    if id(error) in above:  # raised from itself
        return False
    above = above | {id(error)}
    if isinstance(error, BaseExceptionGroup):
        members = cast("BaseExceptionGroup[BaseException]", error).exceptions
        if all(_comes_from(member, known, above) for member in members):
            return True
    return error.__cause__ is not None and _comes_from(error.__cause__, known, above)


def _is_effect_class(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Effect)


def _is_on(on: object, effect: object) -> bool:
    if isinstance(on, Tool):
        return issubclass(type(effect), CallTool) and cast(Any, effect).tool is on
    return isinstance(effect, on) if isinstance(on, type) else effect == on


def _source(value: object) -> str:
    if isinstance(value, Tool):
        return value.name
    return value.__name__ if isinstance(value, type) else repr(value)
