"""Beliefs: what a plan holds likely, and on whose word. Wherever they are kept, time comes from the run's clock."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

from lambdacat_effects.algebra._belief_evidence import Evidence, checked_name, next_version
from lambdacat_effects.algebra._belief_odds import checked_rate, log_odds, weight_of
from lambdacat_effects.algebra.belief import Beliefs, Reading
from lambdacat_effects.effects.effect import Effect, effect
from lambdacat_effects.errors import InvalidArgument

__all__ = [
    "Adopt",
    "Believe",
    "Believing",
    "HeldBeliefs",
    "Observe",
    "ReadBelief",
    "Retract",
    "adopt",
    "belief",
    "believe",
    "held_beliefs",
    "observe",
    "retract",
]


@effect
class Believe(Effect[None]):
    """State what is believed of `proposition` before any evidence, in log-odds, in place of what was stated."""

    proposition: str
    weight: float


@effect
class Observe(Effect[None]):
    """Take note that `source` says `weight`, in log-odds, of `proposition`, in place of what it said before."""

    proposition: str
    source: str
    weight: float
    version: int | None = None


@effect
class Retract(Effect[bool]):
    """Take back what `source` said of `proposition`; answers whether it counted."""

    proposition: str
    source: str


@effect
class ReadBelief(Effect[Reading]):
    """What the belief in `proposition` comes to now. `rate`, per second, is how evidence fades, if not as it does."""

    proposition: str
    rate: float | None = None


@effect
class Adopt(Effect[None]):
    """Merge another agent's beliefs into one's own: the newest version from each source."""

    beliefs: Beliefs


@effect
class HeldBeliefs(Effect[Beliefs]):
    """All beliefs whose proposition begins with `prefix`, with their evidence: to be read apart, or sent."""

    prefix: str = ""


Believing: TypeAlias = Believe | Observe | Retract | ReadBelief | Adopt | HeldBeliefs
"""The row label of plans that believe."""


def believe(proposition: str, probability: float | None = None, *, weight: float | None = None) -> Believe:
    """State what is believed of `proposition` before any evidence; it does not fade.

    Give a probability between 0 and 1, or log-odds as `weight`: `math.inf` is certainty, which no evidence moves.
    Raises `InvalidArgument` for both or neither, and for probabilities of 0 and 1.

    >>> from lambdacat_effects import believe, belief, in_memory_beliefs
    >>> def plan():
    ...     yield from believe("it rains", 0.25)
    ...     return (yield from belief("it rains")).probability
    >>> in_memory_beliefs().run_pure(plan())
    0.25
    """
    checked_name("a proposition", proposition)
    if (probability is None) == (weight is None):
        raise InvalidArgument(
            f"believe({proposition!r}, ...) takes a probability or weight=, in log-odds: one of them"
        )
    stated = log_odds(cast(float, probability)) if weight is None else weight
    return Believe(proposition, Evidence(1, stated).weight)


def observe(
    proposition: str, weight: float | tuple[float, float], *, source: str, version: int | None = None
) -> Observe:
    """Take note of evidence: what `source` says of `proposition`, in place of what it said before.

    `weight` is in log-odds (it is no probability: 0.9 is weak evidence), or the pair of how likely the observation is
    if the proposition is true and if it is false. `source` is whoever, if asked again, would repeat itself: what
    correlates has one source, what is independent has several. `version` numbers what a source says, where it may
    arrive out of order: an older one changes nothing.

    Raises `InvalidArgument` for NaN, for likelihoods of 0, and for a version below 1.

    >>> observe("it rains", (0.9, 0.9), source="radar")
    Observe(proposition='it rains', source='radar', weight=0.0, version=None)
    """
    checked_name("a proposition", proposition)
    checked_name("a source", source)
    if isinstance(weight, tuple):
        pair: tuple[Any, ...] = weight
        if len(pair) != 2:
            raise InvalidArgument(f"likelihoods are a pair, (if true, if false); got {pair!r}")
        weight = weight_of(*pair)
    elif not isinstance(cast(object, weight), (int, float)):
        raise InvalidArgument(
            f"observe({proposition!r}, ...) takes a weight in log-odds, or a pair of likelihoods, "
            f"(if true, if false); got {weight!r}"
        )
    next_version(0, version)
    return Observe(proposition, source, Evidence(1, weight).weight, version)


def retract(proposition: str, source: str) -> Retract:
    """Take back what `source` said of `proposition`; answers whether it counted.

    It stays retracted when an older copy of it is adopted from another agent.

    >>> retract("it rains", "radar")
    Retract(proposition='it rains', source='radar')
    """
    return Retract(checked_name("a proposition", proposition), checked_name("a source", source))


def belief(proposition: str, *, rate: float | None = None) -> ReadBelief:
    """How likely `proposition` is now: a `Reading`, with `probability`, `log_odds`, and what speaks for and against.

    Of what nobody has said anything about, the probability is 0.5, and `sources` is 0. `rate`, per second, is how
    evidence fades for this reading (see `rate_of`), unless as the handler has it. Raises `InvalidArgument` for a
    negative rate; performing it raises `Contradiction` if sources are certain of opposites.

    >>> from lambdacat_effects import belief, in_memory_beliefs, observe
    >>> def plan():
    ...     yield from observe("it rains", 2.0, source="radar")
    ...     yield from observe("it rains", 2.0, source="radar")
    ...     return (yield from belief("it rains")).log_odds
    >>> in_memory_beliefs().run_pure(plan())
    2.0
    """
    checked_name("a proposition", proposition)
    return ReadBelief(proposition, None if rate is None else checked_rate(rate))


def adopt(beliefs: Beliefs) -> Adopt:
    """Merge another agent's beliefs into one's own: the newest version from each source, so nothing counts twice.

    Each proposition is merged by itself. Raises `InvalidArgument` for what is no `Beliefs`.

    >>> from lambdacat_effects.algebra import Beliefs
    >>> adopt(Beliefs())
    Adopt(beliefs=Beliefs(entries=()))
    """
    if not isinstance(cast(object, beliefs), Beliefs):
        raise InvalidArgument(f"adopt takes Beliefs, as held_beliefs() answers them; got {beliefs!r}")
    return Adopt(beliefs)


def held_beliefs(prefix: str = "") -> HeldBeliefs:
    """All beliefs whose proposition begins with `prefix`: a `Beliefs` to be read apart, or sent to another agent.

    >>> held_beliefs("weather/")
    HeldBeliefs(prefix='weather/')
    """
    if not isinstance(cast(object, prefix), str):
        raise InvalidArgument(f"a prefix of propositions is a string; got {prefix!r}")
    return HeldBeliefs(prefix)
