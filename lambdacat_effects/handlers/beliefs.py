"""What beliefs are kept in: a store of any kind, one entry per proposition, changed by compare-and-swap.

The handlers are plans: they ask for the time with `Now`, so it is the run's (live, virtual or simulated), and each
look and each change is a step of its own, so that a simulation tries every interleaving of observers.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, TypeAlias, TypedDict, TypeVar, Unpack

import trio

from lambdacat_effects.algebra._belief_evidence import checked_name
from lambdacat_effects.algebra._belief_odds import checked_rate, checked_weight
from lambdacat_effects.algebra.belief import Belief, Beliefs, Reading
from lambdacat_effects.effects.ambient import Ambient, Await, Now
from lambdacat_effects.effects.beliefs import (
    Adopt,
    Believe,
    Believing,
    HeldBeliefs,
    Observe,
    ReadBelief,
    Retract,
    adopt,
)
from lambdacat_effects.effects.effect import Plan
from lambdacat_effects.errors import InvalidArgument, StoredValueMismatch
from lambdacat_effects.handlers.places import Place, in_json, in_lmdb, in_redis, in_sqlite, kept_in
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.runtime.pure import finish
from lambdacat_effects.storage.codec import decode, encode
from lambdacat_effects.storage.memory_store import InMemoryStore
from lambdacat_effects.storage.port import Expect, Put, Store
from lambdacat_effects.storage.transactions import change, look, search

__all__ = [
    "Holding",
    "in_memory_beliefs",
    "json_beliefs",
    "lmdb_beliefs",
    "redis_beliefs",
    "sqlite_beliefs",
    "store_beliefs",
]

A = TypeVar("A")

_Change: TypeAlias = Callable[[Belief, float], Belief]

_NAMESPACE: Final = "_beliefs"


class Holding(TypedDict, total=False):
    """How beliefs are held: the options of `store_beliefs`."""

    namespace: str
    """Whose they are, of agents that share a store."""
    rate: float
    """How evidence fades, per second."""
    limit: float | None
    """What readings are bounded by, in log-odds."""


def in_memory_beliefs(
    initial: Beliefs | None = None, *, rate: float = 0.0, limit: float | None = None
) -> Handler[Believing]:
    """A handler that keeps beliefs in a dictionary of its own, from run to run, and forgets them with the process.

    `initial` is what is believed at the start. For `rate` and `limit` see `store_beliefs`. Works under `run_pure`, on
    Trio and in simulation.

    >>> from lambdacat_effects import Sleep, belief, in_memory_beliefs, observe
    >>> from lambdacat_effects.algebra import rate_of
    >>> def plan():
    ...     yield from observe("the kettle is hot", 3.0, source="touch")
    ...     yield from Sleep(600.0)
    ...     return (yield from belief("the kettle is hot")).log_odds
    >>> in_memory_beliefs(rate=rate_of(600.0)).run_pure(plan())
    1.5
    """
    store = InMemoryStore()
    keeper = _Keeper(lambda: store, _NAMESPACE, rate, limit)
    for proposition, belief in adopt(Beliefs() if initial is None else initial).beliefs.items():
        finish(store.put(_NAMESPACE, proposition, _encoded(belief)), "the store in memory")
    return keeper.handler()


def store_beliefs(
    store: Place, *, namespace: str = _NAMESPACE, rate: float = 0.0, limit: float | None = None
) -> Handler[Believing]:
    """A handler that keeps beliefs in `store`, one entry per proposition. Whoever opened the store closes it.

    Concurrent observers lose nothing, be they branches, runs, or processes that share the store. In a durable run on
    the same store, a change commits together with the run's journal. A `Resource` of a store, as in
    `Resource("the beliefs", lambda: MyStore(...))`, is opened by `run`, or by `async with`.

    Agents that share a store and are to believe different things have a `namespace` each, which memory does not use.
    Evidence fades by `rate` per second (see `rate_of`) when it is read, unless the reading asks for another; `limit`,
    in log-odds, bounds what readings answer, and nothing that is kept.

    Raises `InvalidArgument` for a negative rate or limit, for a namespace that begins with "_", and for what is no
    store; performing raises `StoredValueMismatch` where something else is kept under a proposition.

    >>> import trio
    >>> from lambdacat_effects import belief, observe, store_beliefs
    >>> from lambdacat_effects.storage import InMemoryStore
    >>> believing = store_beliefs(InMemoryStore())
    >>> trio.run(believing.run, observe("it rains", (0.9, 0.3), source="radar"))
    >>> round(trio.run(believing.run, belief("it rains")).probability, 3)
    0.75
    """
    opened, resources = kept_in(store, "store_beliefs")
    return _Keeper(opened, namespace, rate, limit).handler().using(*resources)


def lmdb_beliefs(path: str | os.PathLike[str], **how: Unpack[Holding]) -> Handler[Believing]:
    """A handler that keeps beliefs in an `LmdbStore` in the directory `path`, which is made if it is not there.

    With `lmdb_memory(path)` and `Durable(path)` it shares one store: in a durable run all commit in one transaction.
    `how` has the options of `store_beliefs`: `namespace`, `rate` and `limit`. Opened by `run`, which raises
    `StoreUnusable` if it cannot be, or by `async with`.

    >>> import tempfile, trio
    >>> from lambdacat_effects import belief, lmdb_beliefs, observe
    >>> with tempfile.TemporaryDirectory() as path:
    ...     trio.run(lmdb_beliefs(path).run, observe("it rains", 2.0, source="radar"))
    ...     trio.run(lmdb_beliefs(path).run, belief("it rains")).log_odds
    2.0
    """
    return store_beliefs(in_lmdb(path, "lmdb_beliefs"), **how)


def json_beliefs(path: str | os.PathLike[str], **how: Unpack[Holding]) -> Handler[Believing]:
    """A handler that keeps beliefs in a `JsonStore` in the directory `path`: files that people can read.

    `how` has the options of `store_beliefs`: `namespace`, `rate` and `limit`. Opened by `run`, which raises
    `StoreUnusable` if it cannot be, or by `async with`.
    """
    return store_beliefs(in_json(path, "json_beliefs"), **how)


def sqlite_beliefs(path: str | os.PathLike[str], **how: Unpack[Holding]) -> Handler[Believing]:
    """A handler that keeps beliefs in a `SqliteStore` in the file `path`, which is made if it is not there.

    `how` has the options of `store_beliefs`: `namespace`, `rate` and `limit`. Opened by `run`, which raises
    `StoreUnusable` if it cannot be, or by `async with`.
    """
    return store_beliefs(in_sqlite(path, "sqlite_beliefs"), **how)


def redis_beliefs(url: str, **how: Unpack[Holding]) -> Handler[Believing]:
    """A handler that keeps beliefs in a `RedisStore`: in the Redis or Valkey server at `url`, for many machines.

    `how` has the options of `store_beliefs`: `namespace`, `rate` and `limit`. Opened by `run`, which raises
    `StoreUnusable` if the server cannot be reached, or by `async with`.
    """
    return store_beliefs(in_redis(url, "redis_beliefs"), **how)


class _Keeper:
    """Answers the effects of beliefs, from whatever store is open."""

    def __init__(self, store: Callable[[], Store], namespace: str, rate: float, limit: float | None) -> None:
        self._store = store
        self._namespace = checked_name("a namespace", namespace)
        if namespace.startswith("_") and namespace != _NAMESPACE:
            raise InvalidArgument(
                f"a namespace of beliefs does not begin with '_', as that of a run's journal does; got {namespace!r}"
            )
        self._rate = checked_rate(rate)
        if limit is not None and checked_weight("a limit", limit) < 0.0:
            raise InvalidArgument(f"a limit, in log-odds, is at least 0; got {limit!r}")
        self._limit = limit

    def handler(self) -> Handler[Believing]:
        return Handler.of(
            {
                Believe: self._believe,
                Observe: self._observe,
                Retract: self._retract,
                ReadBelief: self._read,
                Adopt: self._adopt,
                HeldBeliefs: self._held,
            }
        )

    def _believe(self, effect: Believe) -> Plan[Ambient, None]:
        yield from self._change(
            effect.proposition, lambda belief, now: belief.stated(effect.weight, time=now)
        )

    def _observe(self, effect: Observe) -> Plan[Ambient, None]:
        def observed(belief: Belief, now: float) -> Belief:
            return belief.observed(effect.source, effect.weight, time=now, version=effect.version)

        yield from self._change(effect.proposition, observed)

    def _retract(self, effect: Retract) -> Plan[Ambient, bool]:
        before, after = yield from self._change(
            effect.proposition, lambda belief, now: belief.retracted(effect.source, time=now)
        )
        return after != before

    def _adopt(self, effect: Adopt) -> Plan[Ambient, None]:
        for proposition, theirs in effect.beliefs.items():
            yield from self._change(proposition, _merging(theirs))

    def _read(self, effect: ReadBelief) -> Plan[Ambient, Reading]:
        now = yield from Now()
        proposition = effect.proposition
        data = yield from Await(look, (self._store(), self._namespace, proposition))
        rate = self._rate if effect.rate is None else effect.rate
        return _decoded(proposition, data).read(repr(proposition), now, rate, self._limit)

    def _held(self, effect: HeldBeliefs) -> Plan[Ambient, Beliefs]:
        found = yield from Await(search, (self._store(), self._namespace, effect.prefix))
        return Beliefs([(proposition, _decoded(proposition, data)) for proposition, data in found])

    def _change(self, proposition: str, step: _Change) -> Plan[Ambient, tuple[Belief, Belief]]:
        """Change what is believed; answers what it was and what it is. Begins again if somebody else was faster."""
        now = yield from Now()
        while True:
            data = yield from Await(look, (self._store(), self._namespace, proposition))
            before = _decoded(proposition, data)
            after = step(before, now)
            if after == before or (yield from Await(self._replace, (proposition, data, after))):
                return before, after

    async def _replace(self, proposition: str, expected: bytes | None, belief: Belief) -> bool:
        done = await change(
            self._store(),
            Expect(self._namespace, proposition, expected),
            Put(self._namespace, proposition, _encoded(belief)),
        )
        if trio.lowlevel.in_trio_run():
            # A change is waited for; but when it was cancelled meanwhile, its plan does not go on.
            await trio.lowlevel.checkpoint_if_cancelled()
        return done


def _merging(theirs: Belief) -> _Change:
    return lambda ours, _now: ours.merged(theirs)


def _encoded(belief: Belief) -> bytes:
    return encode(belief)


def _decoded(proposition: str, data: bytes | None) -> Belief:
    if data is None:
        return Belief()
    try:
        return decode(data, Belief)
    except StoredValueMismatch as error:
        raise StoredValueMismatch(f"the belief in {proposition!r} cannot be read: {error}") from None
