"""Beliefs as a part of a state: changing what is believed by an amount of log-odds, in one pure step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from lambdacat_effects.algebra._belief_odds import checked_weight
from lambdacat_effects.algebra.belief import Beliefs
from lambdacat_effects.algebra.lens import Lens, as_lens, attr, identity, key
from lambdacat_effects.errors import Contradiction, InvalidArgument

__all__ = ["update_belief"]

S = TypeVar("S")


def update_belief(
    proposition: str,
    delta_logit: float,
    state: S,
    *,
    source: str = "update_belief",
    time: float | None = None,
    lens: object | None = None,
) -> S:
    """`state`, where `delta_logit`, in log-odds, has been added to what is believed of `proposition`.

    `state` is `Beliefs`, a mapping with the key "beliefs", or an attrs class, dataclass or named tuple with that
    field; `lens` says otherwise where they are. Updates add up, as those of one `source`: two agents that update
    apart give two sources, or merging keeps the updates of one of them only. Where the evidence has a source of its
    own, which may correct itself, `Beliefs.observed` is the better choice. `time`, in seconds, is when; that of the
    last update unless given, and it never goes backwards.

    Raises `LensMismatch` if the state has no beliefs, `InvalidArgument` if they are no `Beliefs`, and `Contradiction`
    if one update is certain and another of the opposite.

    >>> from lambdacat_effects.algebra.belief import Beliefs
    >>> state = {"beliefs": Beliefs(), "n": 1}
    >>> state = update_belief("it rains", 2.0, update_belief("it rains", -0.5, state))
    >>> state["beliefs"].reading("it rains").log_odds
    1.5
    """
    beliefs_in = _lens_of(state) if lens is None else as_lens(lens)
    beliefs: object = beliefs_in.get(state)
    if not isinstance(beliefs, Beliefs):
        raise InvalidArgument(
            f"the beliefs of a state are Beliefs; got {beliefs!r}. Begin with Beliefs(), or give lens="
        )
    delta = checked_weight("delta_logit", delta_logit)
    held = beliefs.of(proposition).evidence.get(source)
    before, began = (held.weight, held.time) if held else (0.0, 0.0 if time is None else time)
    if math.isinf(before) and before == -delta:
        raise Contradiction(
            f"{source!r} was certain of {proposition!r}, or of its opposite, and is now certain of the other: "
            "retract it first, or update by a finite amount"
        )
    when = began if time is None else max(began, time)
    changed = beliefs.observed(proposition, source, before + delta, time=when)
    return cast(S, beliefs_in.set(state, changed))


def _lens_of(state: object) -> Lens[Any, Any]:
    if isinstance(state, Beliefs):
        return identity
    return key("beliefs") if isinstance(state, Mapping) else attr("beliefs")
