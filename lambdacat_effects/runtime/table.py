"""Which handler function answers which effect: scopes of bindings, resolved once and then looked up.

A scope is what one `run` or `handle` installs. Within a scope the most specific class wins; between scopes the
nearest wins. While a handler function performs effects of its own, they meet the scope it was found in, except that
*its* effect means the next handler outward: the interposer behind it, the handler behind that, then the outer scope.
So a handler can forward what it handles, and no chain of handlers can call itself for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, cast

from lambdacat_effects.effects.effect import Effect

__all__ = [
    "ASYNC",
    "CALL",
    "CONTROL",
    "GENERATOR",
    "HANDLED",
    "KEYED",
    "LOCATED",
    "NOT_AN_EFFECT",
    "OBSERVED",
    "PLAIN",
    "SPAN",
    "UNHANDLED",
    "Chain",
    "Entry",
    "Key",
    "Step",
    "Table",
]

Key: TypeAlias = Any
"""An effect class, or (effect class, value of its `dispatch_on` field)."""

# Kinds are small integers compared in the interpreter's loop, in the order of how often they occur.
PLAIN = 0
"""A plain function: answers at once."""
ASYNC = 1
"""An async function: waits."""
GENERATOR = 2
"""A generator function: a plan whose effects are forwarded outward."""
KEYED = 3
"""Look again with the value of the effect's `dispatch_on` field."""
CALL = 4
"""Perform the effect's plan on the interpreter's stack."""
LOCATED = 5
"""A plain function that is told the effect's path and the run."""
CONTROL = 6
"""An async function of the runtime that is told the effect's scope."""
HANDLED = 7
"""Perform the effect's plan with another table."""
SPAN = 8
"""Perform the effect's plan; its begin and end are events."""
OBSERVED = 9
"""Somebody listens: perform the entry in place of the function, and tell."""
UNHANDLED = 10
NOT_AN_EFFECT = 11


class Step(NamedTuple):
    """One handler function and its kind."""

    kind: int
    fn: Callable[..., Any]


Chain: TypeAlias = tuple[Step, ...]
"""What an effect meets in one scope: interposers, then the handler itself."""


# An exact tuple, since CPython unpacks those fastest: kind, function, and what the same effect meets when it is
# performed inside that function: the next entry, or, for the last of a scope, the table of the scope around it.
Entry: TypeAlias = "tuple[int, Any, Any]"
"""What an effect meets first, and what comes after that."""


_MOST_CACHED = 4096


class Table(dict[Key, Entry]):
    """The bindings of one scope over those of the scopes around it. Reading it resolves and remembers."""

    __slots__ = ("adapt", "bindings", "insides", "observed", "outer", "pinned")

    def __init__(
        self,
        bindings: Mapping[Key, Chain],
        outer: Table | None,
        *,
        observed: bool,
        adapt: Callable[[Step, bool], Step] | None,
    ) -> None:
        super().__init__()
        self.bindings: Mapping[Key, Chain] = bindings
        self.outer: Table | None = outer
        self.observed: bool = observed
        self.adapt: Callable[[Step, bool], Step] | None = adapt
        """What this kind of run puts in place of a handler function: where nothing can wait, say, an async one is
        replaced by one that raises `NotPure`. It is told whether the function answers, and is no interposer."""
        self.pinned: dict[Key, Entry] = {}
        """What is set rather than resolved."""
        self.insides: dict[Key, Table] = {}

    def over(self, bindings: Mapping[Key, Chain]) -> Table:
        """A scope within this one."""
        return Table(bindings, self, observed=self.observed, adapt=self.adapt)

    def inside(self, key: Key, after: Entry | Table | None) -> Table:
        """The scope in which the handler of `key` performs its own effects. Kept in `insides`."""
        if after is None or isinstance(after, Table):  # the handler itself: on to the scope around its own
            after = _unhandled(key) if after is None else after[key]
        table = self.insides[key] = self.over({})
        table.pinned[key] = table[key] = after
        return table

    def __missing__(self, key: Key) -> Entry:
        if len(self) >= _MOST_CACHED:  # keys hold tools and types, which a long run may make without end
            self.clear()
            self.insides.clear()
            self.update(self.pinned)
        entry = self[key] = self._resolve(key)
        return entry

    def _resolve(self, key: Key) -> Entry:
        cls, keyed = _parts(key)
        if not keyed and _is_effect(cls) and cls.dispatch_on is not None:
            return (KEYED, None, None)
        # A loop, not recursion: plans may be handled within plans to any depth.
        scope: Table | None = self
        while scope is not None:
            chain = scope._find(cls, key)
            if chain is not None:
                return scope._linked(chain)
            scope = scope.outer
            if scope is not None and (known := scope.get(key)) is not None:
                return known
        return _unhandled(key)

    def _find(self, cls: type, key: Key) -> Chain | None:
        if key is not cls:
            for base in cls.__mro__:
                chain = self.bindings.get((base, key[1]))
                if chain is not None:
                    return chain
        for base in cls.__mro__:
            chain = self.bindings.get(base)
            if chain is not None:
                return chain
        return None

    def _linked(self, chain: Chain) -> Entry:
        entry = self._entry(chain[-1], self.outer, True)
        for step in reversed(chain[:-1]):
            entry = self._entry(step, entry, False)
        return entry

    def _entry(self, step: Step, after: Any, answers: bool) -> Entry:
        kind, fn = step if self.adapt is None else self.adapt(step, answers)
        if self.observed and kind not in (CALL, HANDLED):
            return (OBSERVED, (kind, fn, after), after)
        return (kind, fn, after)


def _unhandled(key: Key) -> Entry:
    cls, _ = _parts(key)
    return (UNHANDLED if _is_effect(cls) else NOT_AN_EFFECT, None, None)


def _parts(key: Key) -> tuple[Any, bool]:
    """The class of a key, and whether the key goes on to name a value that is dispatched on."""
    return (cast("tuple[Any, Any]", key)[0], True) if isinstance(key, tuple) else (key, False)


def _is_effect(cls: type) -> bool:
    return issubclass(cls, Effect)
