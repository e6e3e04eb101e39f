"""Redaction before memory: what a plan remembers is kept without its secrets, wherever it is kept."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, cast

import attrs

from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.errors import NotSerialisable
from lambdacat_effects.runtime.handler import Interposer

__all__ = ["redacting"]


def redacting(*redact: str | Callable[[str], str]) -> Interposer:
    """An interposer for memory: what passes it is kept without secrets, by the names of fields and by pattern.

    Takes names of fields, and functions from a text to the text to keep instead (`email_addresses`, `card_numbers`,
    `bearer_tokens`, `api_keys`, or your own). What is called password, token, api_key and the like is always
    redacted.

    - A name counts in any case, with "-" or "_", as a field, as a key of a mapping, and as the first of a pair.
      Under it each text becomes "[redacted]", each number 0, each date the first there is, and so on, so that the
      value still reads as its type; None, booleans and enums stay. What stood there is redacted wherever else in
      the value.
    - Functions see every text, also in bytes and paths and as keys, and whole numbers of six digits or more as
      text; where a function changes such a number, it becomes 0.

    What was remembered before stays as it is, and so do namespaces and keys: give people numbers there, not
    addresses.

    Raises `InvalidArgument` for what is neither a name nor a function. A value that cannot be stored raises
    `NotSerialisable`, as without it.

    >>> from lambdacat_effects import email_addresses, in_memory, recall, redacting, remember
    >>> memory = in_memory().behind(redacting("pin", email_addresses))
    >>> memory.run_pure(remember("users", "7", {"pin": 1234, "note": "ann@example.org, pin 1234"}))
    >>> memory.run_pure(recall("users", "7", as_type=dict))
    {'note': '[redacted], pin 1234', 'pin': 0}
    """
    from lambdacat_effects.effects.memory import Remember, RememberUnlessChanged
    from lambdacat_effects.storage.exact.redaction import Redaction

    redaction = Redaction(redact)

    def redacted_first(effect: Effect[Any]) -> Generator[Any, Any, Any]:
        if not isinstance(effect, (Remember, RememberUnlessChanged)):
            return (yield from effect)
        from lambdacat_effects.storage.leaves import Misfit
        from lambdacat_effects.storage.redacting import redacted  # loads what encoding needs

        try:
            value = redacted(effect.value, redaction)
        except Misfit as misfit:
            raise NotSerialisable(
                f"({effect.namespace!r}, {effect.key!r}) cannot be remembered: value{misfit.place} {misfit.problem}"
            ) from None
        except RecursionError:
            raise NotSerialisable(
                f"({effect.namespace!r}, {effect.key!r}) cannot be remembered: value is nested too deeply"
            ) from None
        kept: Effect[Any] = attrs.evolve(cast(Any, effect), value=value)
        return (yield from kept)

    return redacted_first
