"""The laws of beliefs: how they merge, how evidence adds up and is taken back, how it fades."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar, Unpack

import attrs

from lambdacat_effects.algebra._belief_odds import probability as logistic
from lambdacat_effects.algebra.belief import Belief
from lambdacat_effects.algebra.forgetting import temper
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.testing.laws.inputs import Inputs, gathered
from lambdacat_effects.testing.laws.law import Checking, Law, Sides, trying

__all__ = ["Within", "belief_laws"]

B = TypeVar("B")

_Pair: TypeAlias = tuple[Any, Any]

# What rounding was measured to do, times four; in units of the spacing of floats at the size of the terms.
_EPS = sys.float_info.epsilon
_GROUP: Final = 4 * 1.3 * _EPS
_LINEAR: Final = 4 * 1.2 * _EPS
_COMPOSED: Final = 4 * 1.9 * _EPS
_OPPOSITE: Final = 4 * 2.2e-16

_ONE, _TWO = "a source of the laws", "another source of the laws"

_WEIGHTS: Final = (0.0, 0.1, -0.3, 3.0, 4.0, -4.0, 36.5, 800.0, -800.0)
_TIMES: Final = (0.0, 0.5, 60.0, 1e4)


def _examples() -> tuple[Belief, ...]:
    radar = Belief.of(0.2).observed("radar", 2.0, time=5.0)
    return (
        Belief(),
        Belief.of(0.9, time=3.0),
        radar,
        radar.observed("radar", -800.0, time=7.0).observed("gauge", 0.1),
        radar.retracted("radar", time=6.0),
        Belief().observed("radar", 1.0, time=9.0).observed("scout", 1e-9, time=1.0),
    )


@attrs.frozen
class Within:
    """A number that another may differ from by rounding."""

    value: float
    """What it would be without rounding."""
    slack: float
    """By how much it may be missed."""

    def __repr__(self) -> str:
        return f"{self.value!r} within {self.slack:.2g}"


def _told(belief: Any, source: str, weight: float, time: float) -> Any:
    return belief.observed(source, weight, time=time)


def _retracted(belief: Any, source: str) -> Any:
    return belief.retracted(source)


def _stated(belief: Any, weight: float) -> Any:
    return belief.stated(weight)


def _merged(a: Any, b: Any) -> Any:
    return a.merged(b)


def _read(belief: Any, now: float, rate: float) -> float:
    return float(belief.reading(now, rate=rate).log_odds)


def belief_laws(
    beliefs: Inputs[B] | None = None,
    weights: Inputs[float] = _WEIGHTS,
    times: Inputs[float] = _TIMES,
    *,
    rate: float = 0.01,
    merge: Callable[[B, B], B] = _merged,
    tell: Callable[[B, str, float, float], B] = _told,
    retract: Callable[[B, str], B] = _retracted,
    state: Callable[[B, float], B] = _stated,
    read: Callable[[B, float, float], float] = _read,
    fade: Callable[[float, float, float], float] = temper,
    probability: Callable[[float], float] = logistic,
    **how: Unpack[Checking],
) -> list[Law]:
    """The laws of beliefs, of this package or of one's own, within four times the rounding that was measured.

    `merge(a, b)` merges two agents' beliefs; `tell(belief, source, weight, time)` and `retract(belief, source)`
    change what a source says, `state(belief, weight)` the prior; `read(belief, now, rate)` gives the log-odds, with
    evidence faded by `exp(-rate * age)`, as `fade(weight, rate, elapsed)` does; `probability(log_odds)` maps them.
    Those of `Belief` unless given. `weights` are finite log-odds, `times` seconds from 0. `equal` and `observe` apply
    to merged beliefs.

    Raises `InvalidArgument` if there is nothing to check, or the rate is not above 0.

    >>> for law in belief_laws():
    ...     law.check()
    >>> clamping = lambda b, source, weight, time: b.observed(source, max(-5.0, min(weight, 5.0)), time=time)
    >>> [law for law in belief_laws(tell=clamping) if law.name == "evidence adds up"][0].check()
    Traceback (most recent call last):
    lambdacat_effects.errors.LawBroken: the law "evidence adds up" does not hold: ...
    """
    if not rate > 0.0:
        raise InvalidArgument(f"the rate at which the laws let evidence fade is more than 0; got {rate!r}")
    some = gathered("beliefs", _examples() if beliefs is None else beliefs)
    laws = _Laws(merge, tell, retract, state, read, fade, probability, rate)
    names = {
        "a": some,
        "b": some,
        "c": some,
        "v": gathered("weights", weights),
        "w": gathered("weights", weights),
        "s": gathered("times", times),
        "t": gathered("times", times),
    }

    def law(name: str, equation: str, sides: Sides, inputs: str, **how: Unpack[Checking]) -> Law:
        return Law(name, equation, sides, {name: names[name] for name in inputs}, **how)

    merging = [
        law("merging idempotence", "merge(a, a) == a", lambda a: (merge(a, a), a), "a", **how),
        law(
            "merging commutativity",
            "merge(a, b) == merge(b, a)",
            lambda a, b: (merge(a, b), merge(b, a)),
            "ab",
            **how,
        ),
        law(
            "merging associativity",
            "merge(merge(a, b), c) == merge(a, merge(b, c))",
            lambda a, b, c: (merge(merge(a, b), c), merge(a, merge(b, c))),
            "abc",
            **how,
        ),
    ]
    up_to_rounding = [*laws.of_evidence(), *laws.of_merging(), *laws.of_time(), *laws.of_numbers()]
    return merging + [law(*stated, **trying(how), equal=_near) for stated in up_to_rounding]


_Stated: TypeAlias = tuple[str, str, Any, str]
"""A name, an equation, its two sides, and the letters of its inputs."""


@attrs.frozen
class _Laws:
    """The equations that hold up to rounding: the right side says by how much it may be missed."""

    merge: Callable[[Any, Any], Any]
    tell: Callable[[Any, str, float, float], Any]
    retract: Callable[[Any, str], Any]
    state: Callable[[Any, float], Any]
    read: Callable[[Any, float, float], float]
    fade: Callable[[float, float, float], float]
    probability: Callable[[float], float]
    rate: float

    def now(self, belief: Any) -> float:
        return self.read(belief, 0.0, 0.0)

    def told(self, belief: Any, source: str, weight: float) -> Any:
        return self.tell(belief, source, weight, 0.0)

    def of_evidence(self) -> list[_Stated]:
        def any_order(a: Any, v: float, w: float) -> _Pair:
            there = self.told(self.told(a, _ONE, v), _TWO, w)
            return self.now(there), self.now(self.told(self.told(a, _TWO, w), _ONE, v))

        def adds_up(a: Any, v: float, w: float) -> _Pair:
            return self.now(self.told(self.told(a, _ONE, v), _TWO, w)), _sum(self.now(a), v, w)

        def cancels(a: Any, w: float) -> _Pair:
            return self.now(self.told(self.told(a, _ONE, w), _TWO, -w)), _sum(self.now(a), w, -w)

        def once(a: Any, v: float, w: float) -> _Pair:
            return self.now(self.told(self.told(a, _ONE, v), _ONE, w)), self.now(self.told(a, _ONE, w))

        def retracts(a: Any, w: float) -> _Pair:
            return self.now(self.retract(self.told(a, _ONE, w), _ONE)), self.now(a)

        in_order, in_turn = "read(tell(tell(a, one, v), two, w))", "read(tell(tell(a, two, w), one, v))"
        return [
            ("any order", f"{in_order} == {in_turn}", any_order, "avw"),
            ("evidence adds up", f"{in_order} == read(a) + v + w", adds_up, "avw"),
            ("evidence cancels", "read(tell(tell(a, one, w), two, -w)) == read(a)", cancels, "aw"),
            (
                "one source counts once",
                "read(tell(tell(a, one, v), one, w)) == read(tell(a, one, w))",
                once,
                "avw",
            ),
            ("retraction", "read(retract(tell(a, one, w), one)) == read(a)", retracts, "aw"),
        ]

    def of_merging(self) -> list[_Stated]:
        def stays(a: Any, w: float) -> _Pair:
            before = self.told(a, _ONE, w)
            after = self.retract(before, _ONE)
            return self.now(self.merge(after, before)), self.now(after)

        def shared(a: Any, v: float, w: float) -> _Pair:
            before = self.told(a, _ONE, v)
            after = self.told(before, _TWO, w)
            return self.now(self.merge(after, before)), self.now(after)

        def both(a: Any, v: float, w: float) -> _Pair:
            apart = self.merge(self.told(a, _ONE, v), self.told(a, _TWO, w))
            return self.now(apart), self.now(self.told(self.told(a, _ONE, v), _TWO, w))

        return [
            (
                "retraction survives merging",
                "read(merge(retract(b, one), b)) == read(retract(b, one)), where b = tell(a, one, w)",
                stays,
                "aw",
            ),
            (
                "shared evidence counts once",
                "read(merge(tell(b, two, w), b)) == read(tell(b, two, w)), where b = tell(a, one, v)",
                shared,
                "avw",
            ),
            (
                "merging hears both",
                "read(merge(tell(a, one, v), tell(a, two, w))) == read(tell(tell(a, one, v), two, w))",
                both,
                "avw",
            ),
        ]

    def of_time(self) -> list[_Stated]:
        def faded(a: Any, t: float) -> float:
            return self.read(a, t, self.rate)

        def fades(a: Any, w: float, t: float) -> _Pair:
            return faded(self.told(a, _ONE, w), t), _sum(faded(a, t), self.fade(w, self.rate, t))

        def prior(a: Any, w: float, t: float) -> _Pair:
            return faded(self.state(a, w), t), _sum(faded(self.state(a, 0.0), t), w)

        def backwards(a: Any, w: float, t: float) -> _Pair:
            return faded(self.tell(a, _ONE, w, t), 0.0), _sum(faded(a, 0.0), w)

        return [
            (
                "evidence fades",
                "read(tell(a, one, w), t) == read(a, t) + fade(w, t)",
                fades,
                "awt",
            ),
            (
                "the prior does not fade",
                "read(state(a, w), t) == read(state(a, 0.0), t) + w",
                prior,
                "awt",
            ),
            (
                "a clock that went backwards fades nothing",
                "read(tell(a, one, w, time=t), 0.0) == read(a, 0.0) + w",
                backwards,
                "awt",
            ),
        ]

    def of_numbers(self) -> list[_Stated]:
        def linear(v: float, w: float, t: float) -> _Pair:
            whole, parts = (
                self.fade(v + w, self.rate, t),
                (self.fade(v, self.rate, t), self.fade(w, self.rate, t)),
            )
            return whole, Within(sum(parts), _LINEAR * (abs(v) + abs(w)))

        def composes(w: float, s: float, t: float) -> _Pair:
            twice = self.fade(self.fade(w, self.rate, s), self.rate, t)
            once = self.fade(w, self.rate, s + t)
            # The smallest floats have fewer digits, so that nothing holds of them relatively.
            return twice, Within(once, _COMPOSED * (1 + self.rate * (s + t)) * abs(once) + 1e-300)

        def opposite(w: float) -> _Pair:
            return self.probability(w) + self.probability(-w), Within(1.0, _OPPOSITE)

        return [
            ("fading is linear", "fade(v + w, t) == fade(v, t) + fade(w, t)", linear, "vwt"),
            ("fading composes", "fade(fade(w, s), t) == fade(w, s + t)", composes, "wst"),
            ("opposite", "probability(w) + probability(-w) == 1", opposite, "w"),
        ]


def _sum(*terms: float) -> Within:
    return Within(math.fsum(terms), _GROUP * math.fsum(map(abs, terms)))


def _near(left: Any, right: Any) -> bool:
    if isinstance(right, Within):
        return bool(left == right.value or abs(left - right.value) <= right.slack)
    return bool(left == right)
