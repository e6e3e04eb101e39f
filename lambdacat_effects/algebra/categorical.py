"""Beliefs about which one of several outcomes holds: log-weights, summed up by source as those of two outcomes are.

Evidence is the logarithm of how likely each outcome makes what was observed. Only differences between outcomes
matter, so a constant may be added to all. A reading adds prior and faded evidence and divides by the sum, by
`log_sum_exp`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

import attrs

from lambdacat_effects.algebra._belief_evidence import (
    Entries,
    checked_name,
    checked_version,
    entry_named,
    newest,
    next_version,
    order_of,
    sorted_entries,
)
from lambdacat_effects.algebra._belief_odds import (
    checked_finite,
    checked_rate,
    checked_weight,
    kept,
    log_sum_exp,
)
from lambdacat_effects.errors import Contradiction, InvalidArgument

__all__ = ["Categorical", "Likelihoods"]

_Weights: TypeAlias = "Mapping[str, float] | Iterable[tuple[str, float]]"


def _version(version: Any) -> int:
    return checked_version(version)


def _time(time: Any) -> float:
    return checked_finite("a time, in seconds,", time)


def _weights(weights: _Weights) -> tuple[tuple[str, float], ...]:
    by_outcome = sorted_entries("an outcome", object, weights)
    found = [(outcome, checked_weight(f"the log-weight of {outcome!r}", w)) for outcome, w in by_outcome]
    for outcome, weight in found:
        if weight == math.inf:
            raise InvalidArgument(
                f"the log-weight of {outcome!r} is infinite: to be certain of one outcome, give the others -math.inf"
            )
    return tuple(found)


@attrs.frozen
class Likelihoods:
    """What one source says of each outcome: log-likelihoods, since `time`, in its `version`.

    Minus infinity rules an outcome out; one that is not there has 0. Without any it is what was retracted. Raises
    `InvalidArgument` for NaN and infinity.

    >>> Likelihoods(1, {"tea": 0.0, "jam": -2.0}).weights
    (('jam', -2.0), ('tea', 0.0))
    """

    version: int = attrs.field(converter=_version)
    """Counts up whenever the source speaks; merging keeps the highest."""
    weights: tuple[tuple[str, float], ...] = attrs.field(default=(), converter=_weights)
    """Each outcome with its log-likelihood, sorted by outcome. May be given as a mapping."""
    time: float = attrs.field(default=0.0, converter=_time)
    """When it was said, in seconds."""

    @property
    def order(self) -> tuple[int, float, bool, tuple[tuple[str, float], ...]]:
        """What decides which of two is newer: version, then time, then what was retracted.

        >>> Likelihoods(2).order > Likelihoods(1, {"tea": 0.0}).order
        True
        """
        return self.version, self.time, not self.weights, self.weights


def _entries(entries: Entries[Likelihoods]) -> tuple[tuple[str, Likelihoods], ...]:
    return sorted_entries("a source", Likelihoods, entries)


@attrs.frozen
class Categorical:
    """What is believed of outcomes of which exactly one holds: a prior, which does not fade, and evidence by source.

    A value, merged and retracted from as a `Belief` is. Its outcomes are those of the prior.

    >>> drink = Categorical.of({"tea": 2, "jam": 1, "milk": 1})
    >>> drink = drink.observed("smell", {"tea": -1.0, "jam": 0.0, "milk": 0.0})
    >>> {outcome: round(p, 3) for outcome, p in drink.probabilities().items()}
    {'jam': 0.366, 'milk': 0.366, 'tea': 0.269}
    """

    prior: Likelihoods
    """The log-weight of each outcome before any evidence, with a version of its own."""
    entries: tuple[tuple[str, Likelihoods], ...] = attrs.field(default=(), converter=_entries)
    """Each source with what it says, sorted by source. May be given as a mapping."""

    def __attrs_post_init__(self) -> None:
        if not isinstance(cast(object, self.prior), Likelihoods) or len(self.prior.weights) < 2:
            raise InvalidArgument(f"the prior of a Categorical has two outcomes or more; got {self.prior!r}")

    @staticmethod
    def of(proportions: Mapping[str, float], *, time: float = 0.0) -> Categorical:
        """A belief with this prior: what each outcome's probability is in proportion to.

        Raises `InvalidArgument` for proportions that are not above 0: to rule an outcome out from the start, give
        `Categorical(Likelihoods(1, ...))` its log-weight, `-math.inf`.

        >>> Categorical.of({"heads": 1, "tails": 1}).probabilities()
        {'heads': 0.5, 'tails': 0.5}
        """
        given = [(outcome, checked_finite("a proportion", share)) for outcome, share in proportions.items()]
        for outcome, share in given:
            if share <= 0.0:
                raise InvalidArgument(
                    f"the proportion of {outcome!r} is {share!r}, and has to be more than 0. To rule it out, give "
                    "Categorical(Likelihoods(1, {...})) its log-weight, -math.inf"
                )
        return Categorical(Likelihoods(1, [(outcome, math.log(share)) for outcome, share in given], time))

    @property
    def outcomes(self) -> tuple[str, ...]:
        """What may be the case, sorted.

        >>> Categorical.of({"tails": 1, "heads": 1}).outcomes
        ('heads', 'tails')
        """
        return tuple(outcome for outcome, _ in self.prior.weights)

    def observed(
        self, source: str, weights: Mapping[str, float], *, time: float = 0.0, version: int | None = None
    ) -> Categorical:
        """The belief after `source` has said how likely each outcome makes what it saw, in place of what it said.

        `weights` are log-likelihoods, one for each outcome: `{outcome: math.log(p)}`, or `-math.inf` to rule it out.
        Raises `InvalidArgument` unless they are of these outcomes.

        >>> coin = Categorical.of({"fair": 9, "double": 1})
        >>> coin.observed("toss", {"fair": math.log(0.5), "double": 0.0}).probabilities()["double"] > 0.18
        True
        """
        checked_name("a source", source)
        held = entry_named(self.entries, source)
        said = Likelihoods(next_version(held.version if held else 0, version), weights, time)
        if tuple(outcome for outcome, _ in said.weights) != self.outcomes:
            named = ", ".join(repr(outcome) for outcome, _ in said.weights)
            raise InvalidArgument(
                f"the source {source!r} gives log-likelihoods for {named or 'no outcome'}; give one for each of "
                f"{', '.join(map(repr, self.outcomes))} (0.0 for all says nothing)"
            )
        return self._with(source, said)

    def retracted(self, source: str, *, time: float = 0.0, version: int | None = None) -> Categorical:
        """The belief without what `source` said; merging an older copy does not bring it back.

        >>> coin = Categorical.of({"fair": 1, "double": 1})
        >>> told = coin.observed("friend", {"fair": -5.0, "double": 0.0})
        >>> told.retracted("friend").merged(told).probabilities()["fair"]
        0.5
        """
        checked_name("a source", source)
        held = entry_named(self.entries, source)
        if version is None and (held is None or not held.weights):
            return self
        following = next_version(held.version if held else 0, version)
        return self._with(source, Likelihoods(following, time=time))

    def merged(self, other: Categorical) -> Categorical:
        """Both: the newest version from each source, and of the prior. Idempotent, commutative, associative.

        If the priors have different outcomes, those of the newer one are kept, and evidence on others does not count.
        Raises `InvalidArgument` for what is no `Categorical`.

        >>> coin = Categorical.of({"fair": 1, "double": 1})
        >>> coin.merged(coin) == coin
        True
        """
        if not isinstance(cast(object, other), Categorical):
            raise InvalidArgument(f"a Categorical is merged with a Categorical; got {other!r}")
        return Categorical(max(self.prior, other.prior, key=order_of), newest(self.entries, other.entries))

    def log_probabilities(self, now: float | None = None, *, rate: float = 0.0) -> dict[str, float]:
        """The logarithm of each outcome's probability as of `now`; evidence fades by `exp(-rate * age)`.

        What was ruled out stays so. Raises `Contradiction` if every outcome is, and `InvalidArgument` for a rate
        without `now`.

        >>> Categorical.of({"heads": 1, "tails": 1}).log_probabilities()["heads"] == math.log(0.5)
        True
        """
        if checked_rate(rate) > 0.0 and now is None:
            raise InvalidArgument("evidence fades with its age: give now=, the time in seconds, with rate=")
        moment = 0.0 if now is None else checked_finite("now", now)
        terms: dict[str, list[float]] = {outcome: [weight] for outcome, weight in self.prior.weights}
        for _, said in self.entries:
            share = kept(rate, moment - said.time)
            for outcome, weight in said.weights:
                if outcome in terms:
                    terms[outcome].append(weight if math.isinf(weight) else weight * share)
        totals = {outcome: math.fsum(weights) for outcome, weights in terms.items()}
        most = max(totals.values())
        if most == -math.inf:
            raise Contradiction(
                f"every outcome, of {', '.join(map(repr, totals))}, is ruled out: retract a source that is wrong, or "
                "give it finite log-likelihoods"
            )
        # Relative to the largest: beside a large constant, the logarithm of the sum would be rounded away.
        every = log_sum_exp([total - most for total in totals.values()])
        return {outcome: total - most - every for outcome, total in totals.items()}

    def probabilities(self, now: float | None = None, *, rate: float = 0.0) -> dict[str, float]:
        """Each outcome's probability as of `now`: `log_probabilities`, as probabilities, which sum to 1.

        >>> Categorical.of({"heads": 3, "tails": 1}).probabilities()["tails"]
        0.25
        """
        return {outcome: math.exp(log) for outcome, log in self.log_probabilities(now, rate=rate).items()}

    def _with(self, source: str, said: Likelihoods) -> Categorical:
        return attrs.evolve(self, entries=newest(self.entries, [(source, said)]))
