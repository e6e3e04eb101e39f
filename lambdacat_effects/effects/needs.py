"""Needs: dependencies that a plan asks for by type, such as a client or a clock of its own."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from lambdacat_effects.effects.effect import Effect, effect

__all__ = ["Need"]

A = TypeVar("A")


@effect
class Need(Effect[A]):
    """Ask for the thing of type `key`. `supply(key, thing)` provides it; each type has a handler of its own.

    >>> from lambdacat_effects import Need, supply
    >>> def greet():
    ...     name = yield from Need(str)
    ...     return f"Hello, {name}"
    >>> supply(str, "Ada").run_pure(greet())
    'Hello, Ada'
    """

    # Invariant in its type, else a need of `Db | Cache` would count as provided by either.
    key: type[A]

    dispatch_on: ClassVar[str | None] = "key"
