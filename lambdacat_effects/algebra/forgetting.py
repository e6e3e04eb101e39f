"""Two ways in which what was learnt fades with time. They are not the same, and each has its own name.

*Tempering* scales log-odds by `exp(-rate * elapsed)`: evidence from long ago weighs less, and fades towards none. It
is linear, so it can be applied to each piece of evidence alone, which is how beliefs decay.

*Markov forgetting* is for a proposition that itself may change from true to false and back, as a two-state Markov
chain in continuous time does: it moves the *probability* towards its long-run value, by the same factor. It is not
linear in log-odds, so it applies to a reading as a whole.
"""

from __future__ import annotations

import math

from lambdacat_effects.algebra._belief_odds import (
    checked_finite,
    checked_rate,
    checked_weight,
    kept,
    log_sum_exp,
)
from lambdacat_effects.errors import InvalidArgument

__all__ = ["markov_forget", "rate_of", "temper"]


def rate_of(half_life: float) -> float:
    """The rate, per second, at which half is left after `half_life` seconds. Infinity gives 0: nothing fades.

    Raises `InvalidArgument` unless it is more than 0.

    >>> round(temper(3.0, rate_of(60), elapsed=60), 12)
    1.5
    """
    if half_life == math.inf:
        return 0.0
    seconds = checked_finite("a half-life, in seconds,", half_life)
    if seconds < 1e-300:
        raise InvalidArgument(f"a half-life is a number of seconds, more than 0; got {half_life!r}")
    return math.log(2.0) / seconds


def temper(weight: float, rate: float, elapsed: float) -> float:
    """The weight, in log-odds, that is left of `weight` after `elapsed` seconds at `rate` per second.

    A certainty, of infinite weight, stays one; a clock that went backwards (`elapsed` below 0) fades nothing. Raises
    `InvalidArgument` for a negative rate, or what is no number.

    >>> round(temper(2.0, rate=0.1, elapsed=10), 3)
    0.736
    >>> temper(2.0, rate=0.1, elapsed=-10)
    2.0
    """
    weight = checked_weight("a weight", weight)
    share = kept(checked_rate(rate), checked_finite("elapsed", elapsed))
    return weight if math.isinf(weight) else weight * share


def markov_forget(weight: float, rate: float, elapsed: float, *, prior: float = 0.0) -> float:
    """The log-odds after `elapsed` seconds of a proposition that may have changed meanwhile.

    Its probability moves from that of `weight` to that of `prior`, its long-run log-odds, by
    `p' = r p + (1 - r) p_prior` with `r = exp(-rate * elapsed)`, where the rate is the sum of the chain's two rates
    of change, per second. Here certainties fade, too: what was certain may have changed. Computed in logarithms, so
    that neither p nor 1 - p is rounded away. A clock that went backwards forgets nothing.

    Raises `InvalidArgument` for a negative rate, or what is no number.

    >>> from lambdacat_effects.algebra._belief_odds import log_odds, probability
    >>> round(probability(markov_forget(log_odds(0.9), rate=0.1, elapsed=10, prior=log_odds(0.2))), 6)
    0.457516
    >>> markov_forget(math.inf, rate=1.0, elapsed=800.0)
    0.0
    """
    weight, prior = checked_weight("a weight", weight), checked_weight("a prior", prior)
    log_kept = -checked_rate(rate) * checked_finite("elapsed", elapsed)
    if log_kept >= 0.0 or weight == prior:
        return weight
    log_changed = math.log(-math.expm1(log_kept))

    def log_probability(of: float, long_run: float) -> float:
        return log_sum_exp((log_kept + _log_probability(of), log_changed + _log_probability(long_run)))

    return log_probability(weight, prior) - log_probability(-weight, -prior)


def _log_probability(weight: float) -> float:
    return -math.log1p(math.exp(-weight)) if weight >= 0.0 else weight - math.log1p(math.exp(weight))
