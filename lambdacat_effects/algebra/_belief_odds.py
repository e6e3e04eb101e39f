"""Probabilities and log-odds: the scale on which independent evidence adds up.

The log-odds of a probability p are `log(p / (1 - p))`, in nats. The *weight of evidence* of an observation (Good,
1950, "Probability and the Weighing of Evidence") is the logarithm of how much more likely it is if the proposition is
true than if it is false; by Bayes' theorem the log-odds after it are those before it plus the weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from lambdacat_effects.errors import Contradiction, InvalidArgument

__all__ = [
    "MOST_WEIGHT",
    "checked_finite",
    "checked_rate",
    "checked_weight",
    "kept",
    "log_odds",
    "log_opinion_pool",
    "log_sum_exp",
    "probability",
    "weight_of",
]

MOST_WEIGHT: Final = 1e300
"""The largest finite weight: so that a sum of them does not overflow."""


def probability(weight: float) -> float:
    """The probability of log-odds `weight`: 1.0 for infinity, 0.0 for minus infinity.

    By the logistic function, without overflow. `probability(-weight)` is the probability of the opposite, exact where
    `1 - probability(weight)` would be rounded. Raises `InvalidArgument` for NaN and for what is no number.

    >>> probability(0.0), probability(800), probability(-800)
    (0.5, 1.0, 0.0)
    """
    weight = checked_weight("a weight", weight)
    if weight >= 0.0:
        return 1.0 / (1.0 + math.exp(-weight))
    odds = math.exp(weight)
    return odds / (1.0 + odds)


def log_odds(probability: float) -> float:
    """The log-odds of a probability between 0 and 1, both excluded.

    Raises `InvalidArgument` otherwise: no evidence can move what is believed with probability 0 or 1, so certainty
    has to be asked for, as the weight `math.inf` or `-math.inf`.

    >>> log_odds(0.5)
    0.0
    >>> round(log_odds(0.9), 3)
    2.197
    """
    p = checked_finite("a probability", probability)
    if not 0.0 < p < 1.0:
        certain = f": for certainty give the weight {'' if p else '-'}math.inf" if p in (0.0, 1.0) else ""
        raise InvalidArgument(
            f"a probability lies between 0 and 1, both excluded; got {probability!r}{certain}"
        )
    return _log_ratio(p, 1.0 - p) if 0.25 <= p <= 0.75 else math.log(p) - math.log1p(-p)


def weight_of(p_if_true: float, p_if_false: float) -> float:
    """The weight of what is observed with probability `p_if_true` if the proposition is true, else `p_if_false`.

    Positive if it speaks for the proposition. Probabilities of 1 are fine. Raises `InvalidArgument` if one is 0: what
    is impossible under one of both decides with an infinite weight, which has to be asked for.

    >>> round(weight_of(0.9, 0.3), 3)
    1.099
    >>> weight_of(0.4, 0.4)
    0.0
    """
    likelihoods = (
        checked_finite("a likelihood", p_if_true),
        checked_finite("a likelihood", p_if_false),
    )
    for p in likelihoods:
        if not 0.0 < p <= 1.0:
            raise InvalidArgument(
                f"a likelihood is more than 0 and at most 1; got {p!r} of the pair {(p_if_true, p_if_false)!r}. "
                "What is impossible if the proposition is false has the weight math.inf, if it is true -math.inf"
            )
    return _log_ratio(*likelihoods)


def log_opinion_pool(opinions: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """One opinion from several whose overlap is unknown: the weighted mean of their log-odds.

    `opinions` are log-odds, `weights` how much each counts (equally, unless given; only their ratio matters). The
    logarithmic pool is externally Bayesian: to learn the same of all and pool is to pool and learn (Genest and Zidek,
    1986, "Combining Probability Distributions", Statistical Science 1). What all agree on stays what it is, so that
    nothing is counted twice; where the sources of evidence are known, merging beliefs keeps more. To pool the pools
    of two groups is not to pool all, so it takes all at once.

    Raises `InvalidArgument` for no opinions, negative weights, or weights that are all 0, and `Contradiction` if some
    are certain of the opposite of what others are certain of.

    >>> log_opinion_pool([2.0, 0.0, 1.0])
    1.0
    >>> log_opinion_pool([2.0, 0.0], weights=[3, 1])
    1.5
    """
    counted = [checked_weight("an opinion", opinion) for opinion in opinions]
    shares = (
        [1.0] * len(counted) if weights is None else [checked_finite("a pool's weight", w) for w in weights]
    )
    if not counted or len(shares) != len(counted):
        raise InvalidArgument(
            f"log_opinion_pool takes at least one opinion and as many weights; got {len(counted)} and {len(shares)}"
        )
    most = max(shares)
    if min(shares) < 0.0 or most == 0.0:
        raise InvalidArgument(f"the weights of a pool are at least 0, and one is more; got {list(shares)!r}")
    # By the largest share, so that neither sum nor product can overflow.
    parts = [(share / most, opinion) for share, opinion in zip(shares, counted, strict=True) if share > 0.0]
    certain = {opinion for _, opinion in parts if math.isinf(opinion)}
    if len(certain) == 2:
        raise Contradiction(
            "some opinions in the pool are certain of the proposition, and others of its opposite: leave out those "
            "that are wrong, or weigh them by 0"
        )
    if certain:
        return certain.pop()
    return math.fsum(share * opinion for share, opinion in parts) / math.fsum(share for share, _ in parts)


def log_sum_exp(terms: Sequence[float]) -> float:
    """`log(sum(exp(t) for t in terms))`, where no term can overflow; minus infinity for none.

    >>> round(log_sum_exp([800.0, 800.0]) - 800.0, 6)
    0.693147
    """
    most = max(terms, default=-math.inf)
    if math.isinf(most):
        return most
    return most + math.log(math.fsum(math.exp(term - most) for term in terms))


def checked_weight(what: str, weight: object) -> float:
    """`weight` as a float: finite and at most `MOST_WEIGHT`, or infinite. Raises `InvalidArgument`."""
    number = _number(what, weight)
    if math.isnan(number) or (abs(number) > MOST_WEIGHT and not math.isinf(number)):
        raise InvalidArgument(
            f"{what} is log-odds: a number up to {MOST_WEIGHT:g}, or math.inf for certainty; got {weight!r}"
        )
    return number + 0.0  # minus zero would be another value when stored, and say the same


def checked_finite(what: str, number: object) -> float:
    """`number` as a finite float. Raises `InvalidArgument`."""
    found = _number(what, number)
    if not math.isfinite(found):
        raise InvalidArgument(f"{what} is a finite number; got {number!r}")
    return found + 0.0


def _number(what: str, number: object) -> float:
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise InvalidArgument(f"{what} is a number; got {number!r}")
    try:
        return float(number)
    except OverflowError:  # an integer
        raise InvalidArgument(f"{what} is a number that a float can hold; got one beyond 1e308") from None


def _log_ratio(a: float, b: float) -> float:
    # Of near equals the difference is exact, where the logarithm of the rounded quotient is not.
    return math.log1p((a - b) / b) if 0.5 <= a / b <= 2.0 else math.log(a) - math.log(b)


def kept(rate: float, age: float) -> float:
    """The share of a weight that is left after `age` seconds: 1 if nothing fades, or the clock went backwards.

    >>> kept(0.0, 1e9), kept(0.1, -1.0)
    (1.0, 1.0)
    """
    return math.exp(-rate * age) if rate > 0.0 and age > 0.0 else 1.0


def checked_rate(rate: object) -> float:
    """`rate` as a float of at least 0. Raises `InvalidArgument`.

    >>> checked_rate(1)
    1.0
    """
    found = checked_finite("a rate", rate)
    if found < 0.0:
        raise InvalidArgument(f"a rate, per second, is at least 0 (rate_of(half_life) has it); got {rate!r}")
    return found
