"""What memory is kept in: a store of any kind. All go through one codec, so they agree in everything."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping
from functools import cache
from hashlib import blake2b
from types import ModuleType
from typing import Any, Final, TypeAlias, cast

import trio

from lambdacat_effects.effects.memory import (
    Forget,
    Marked,
    Memory,
    Recall,
    RecallMarked,
    Remember,
    RememberUnlessChanged,
    SaveState,
    SearchMemory,
    remember,
)
from lambdacat_effects.errors import (
    InvalidArgument,
    LimitExceeded,
    NotSerialisable,
    StoredValueMismatch,
    UnhandledEffect,
)
from lambdacat_effects.handlers.places import Place, in_json, in_lmdb, in_redis, in_sqlite, kept_in
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.runtime.pure import at_once_if_it_can, finish
from lambdacat_effects.storage.limits import checked_limit
from lambdacat_effects.storage.memory_store import InMemoryStore
from lambdacat_effects.storage.port import Change, Delete, Expect, Put, Store
from lambdacat_effects.storage.transactions import change, look, search

__all__ = ["in_memory", "json_memory", "lmdb_memory", "redis_memory", "sqlite_memory", "store_memory"]

_Answering: TypeAlias = Callable[[Any], Coroutine[Any, Any, Any]]


def in_memory(
    initial: Mapping[tuple[str, str], object] | None = None, *, most_bytes: int | None = None
) -> Handler[Memory]:
    """A handler that keeps memory in a dictionary of its own, from run to run, and forgets it with the process.

    `initial` has what is remembered at the start, by (namespace, key). Values are encoded as on disk, so what could
    not be stored there cannot be stored here. For `most_bytes` see `store_memory`.

    Raises `NotSerialisable`, `LimitExceeded`, and `InvalidArgument` for names that `remember` would not take.

    >>> from lambdacat_effects import in_memory, recall
    >>> in_memory({("cats", "lives"): 9}).run_pure(recall("cats", "lives", as_type=int))
    9
    """
    checked_limit(most_bytes)
    store = InMemoryStore()
    keeper = _Keeper(lambda: store, most_bytes, waits=False)
    for name, value in (initial or {}).items():
        if not isinstance(cast(object, name), tuple) or len(name) != 2:
            raise InvalidArgument(
                f"in_memory takes a mapping from (namespace, key) to values; got the key {name!r}"
            )
        finish(keeper.remember(remember(*name, value)), "the store in memory")
    return keeper.handler()


def store_memory(store: Place, *, most_bytes: int | None = None) -> Handler[Memory]:
    """A handler that keeps memory in `store`, which whoever opened it closes.

    A `Resource` of a store, as in `Resource("the memory", lambda: MyStore(...))`, is opened by `run`, or by `async
    with`. A value that is larger than `most_bytes` when encoded is refused with `LimitExceeded`, and nothing is
    written. In a durable run on the same store, what is remembered is committed together with the run's journal.

    Raises `InvalidArgument` for what is no store.

    >>> import trio
    >>> from lambdacat_effects import recall, remember, store_memory
    >>> from lambdacat_effects.storage import InMemoryStore
    >>> store = InMemoryStore()
    >>> trio.run(store_memory(store).run, remember("cats", "lives", 9))
    >>> trio.run(store.get, "cats", "lives")
    b'9'
    """
    opened, resources = kept_in(store, "store_memory")
    checked_limit(most_bytes)
    # Of this very class: one derived from it may wait.
    keeper = _Keeper(opened, most_bytes, waits=type(store) is not InMemoryStore)
    return keeper.handler().using(*resources)


def lmdb_memory(path: str | os.PathLike[str], *, most_bytes: int | None = None) -> Handler[Memory]:
    """A handler that keeps memory in an `LmdbStore` in the directory `path`, which is made if it is not there.

    What `remember` and `forget` have answered is on the disk: it survives power cuts and the end of the process by
    whatever means. They are waited for when the plan is cancelled, so that nothing is written after the plan's end.
    `recall` reads in the event loop's thread, since that takes microseconds. Several handlers, runs and processes may
    use one directory: `lmdb_memory(path) | lmdb_beliefs(path)` in a run of `Durable(path)` is one store, and commits
    in one transaction. For `most_bytes` see `store_memory`.

    Opened by `run`, which raises `StoreUnusable` if it cannot be, or by `async with`.
    """
    return store_memory(in_lmdb(path, "lmdb_memory"), most_bytes=most_bytes)


def json_memory(path: str | os.PathLike[str], *, most_bytes: int | None = None) -> Handler[Memory]:
    """A handler that keeps memory in a `JsonStore` in the directory `path`: files that people can read.

    As durable as `lmdb_memory`, and slower: every change writes and renames files. For `most_bytes` see
    `store_memory`. Opened by `run`, which raises `StoreUnusable` if it cannot be, or by `async with`.
    """
    return store_memory(in_json(path, "json_memory"), most_bytes=most_bytes)


def sqlite_memory(path: str | os.PathLike[str], *, most_bytes: int | None = None) -> Handler[Memory]:
    """A handler that keeps memory in a `SqliteStore` in the file `path`, which is made if it is not there.

    As durable as `lmdb_memory`. For `most_bytes` see `store_memory`. Opened by `run`, which raises `StoreUnusable` if
    it cannot be, or by `async with`.
    """
    return store_memory(in_sqlite(path, "sqlite_memory"), most_bytes=most_bytes)


def redis_memory(url: str, *, most_bytes: int | None = None) -> Handler[Memory]:
    """A handler that keeps memory in a `RedisStore`: in the Redis or Valkey server at `url`, for many machines.

    How durable it is, the server's settings decide: see `RedisStore`. For `most_bytes` see `store_memory`. Opened by
    `run`, which raises `StoreUnusable` if the server cannot be reached, or by `async with`.
    """
    return store_memory(in_redis(url, "redis_memory"), most_bytes=most_bytes)


class _Keeper:
    """Answers the effects of memory, from whatever store is open."""

    def __init__(self, store: Callable[[], Store], most_bytes: int | None, *, waits: bool) -> None:
        self._store = store
        self._most_bytes = most_bytes
        self._waits = waits

    def handler(self) -> Handler[Memory]:
        kind = _waiting if self._waits else _at_once
        return Handler.of(
            {
                Remember: kind(self.remember),
                Recall: kind(self.recall),
                Forget: kind(self.forget),
                SaveState: _no_state,
                SearchMemory: kind(self.search),
                RecallMarked: kind(self.recall_marked),
                RememberUnlessChanged: kind(self.remember_unless_changed),
            }
        )

    async def remember(self, effect: Remember) -> None:
        data = self._encoded(effect)
        await self._change(Put(effect.namespace, effect.key, data))

    async def recall(self, effect: Recall[Any]) -> Any:
        return _decoded(effect, effect.key, await look(self._store(), effect.namespace, effect.key))

    async def recall_marked(self, effect: RecallMarked[Any]) -> Marked[Any]:
        data = await look(self._store(), effect.namespace, effect.key)
        return Marked(_decoded(effect, effect.key, data), _mark(data))

    async def remember_unless_changed(self, effect: RememberUnlessChanged) -> str | None:
        namespace, key = effect.namespace, effect.key
        data = self._encoded(effect)
        found = await look(self._store(), namespace, key)
        if _mark(found) != effect.since:
            return None
        kept = await self._change(Expect(namespace, key, found), Put(namespace, key, data))
        return _mark(data) if kept else None

    async def search(self, effect: SearchMemory[Any]) -> list[tuple[str, Any]]:
        found = await search(self._store(), effect.namespace, effect.prefix)
        pairs = [(key, data) for key, data in found if data != _NULL]
        return [(key, _decoded(effect, key, data)) for key, data in pairs[: effect.limit]]

    async def forget(self, effect: Forget) -> bool:
        namespace, key = effect.namespace, effect.key
        while (data := await look(self._store(), namespace, key)) is not None:
            # Expected, so that of two who forget at the same time one is told that there was something.
            if await self._change(Expect(namespace, key, data), Delete(namespace, key)):
                return True
        return False

    async def _change(self, *changes: Change) -> bool:
        done = await change(self._store(), *changes)
        if self._waits and trio.lowlevel.in_trio_run():
            # It was waited for; but when it was cancelled meanwhile, its plan does not go on.
            await trio.lowlevel.checkpoint_if_cancelled()
        return done

    def _encoded(self, effect: Remember | RememberUnlessChanged) -> bytes:
        try:
            data: bytes = _codec().encode(effect.value)
        except NotSerialisable as error:
            raise NotSerialisable(f"{_named(effect, effect.key)} cannot be remembered: {error}") from None
        if self._most_bytes is not None and len(data) > self._most_bytes:
            raise LimitExceeded(
                f"{_named(effect, effect.key)} cannot be remembered: encoded it has {len(data):,} bytes, and this "
                f"memory takes at most {self._most_bytes:,} for a value: remember less, or raise most_bytes="
            )
        return data


_NULL: Final = b"null"  # a remembered None is an answer that every recall allows for


def _no_state(effect: SaveState[Any]) -> Any:
    raise UnhandledEffect(
        f"{effect!r} was performed outside of with_state, which alone knows where the state is kept: run the plan "
        "with with_state(store, key, plan)"
    )


def _mark(data: bytes | None) -> str:
    return "nothing" if data is None else blake2b(data, digest_size=16).hexdigest()


def _decoded(
    effect: Recall[Any] | RecallMarked[Any] | SearchMemory[Any], key: str, data: bytes | None
) -> Any:
    if data is None or data == _NULL:
        return None
    try:
        return _codec().decode(data, effect.as_type)
    except StoredValueMismatch as error:
        raise StoredValueMismatch(f"{_named(effect, key)} cannot be recalled: {error}") from None


@cache
def _codec() -> ModuleType:
    from lambdacat_effects.storage import codec  # once, when there is something to write or read

    return codec


def _named(effect: Any, key: str) -> str:
    return f"({effect.namespace!r}, {key!r})"


def _at_once(answering: _Answering) -> Callable[[Any], Any]:
    """A plain handler function: the store never waits, so that there is nothing to await."""

    def answer(effect: Any) -> Any:
        return finish(answering(effect), "the store in memory")

    return answer


def _waiting(answering: _Answering) -> Callable[[Any], Any]:
    """An async handler function; some stores work under `run_pure`, too."""

    @at_once_if_it_can
    async def answer(effect: Any) -> Any:
        return await answering(effect)

    answer.__qualname__ = answering.__qualname__  # errors name it
    return answer
