"""What memory is kept in: a dictionary or a store on disk. Both go through one codec, so they agree in everything."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar, cast

import trio

from lambdacat_effects.effects.memory import Forget, Memory, Recall, Remember, remember
from lambdacat_effects.errors import InvalidArgument, NotSerialisable, StoredValueMismatch
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.runtime.resource import Resource
from lambdacat_effects.storage.memory_store import InMemoryStore
from lambdacat_effects.storage.port import Store

__all__ = ["in_memory", "lmdb_memory", "store_memory"]

T = TypeVar("T")


def in_memory(initial: Mapping[tuple[str, str], object] | None = None) -> Handler[Memory]:
    """A handler that keeps memory in a dictionary of its own, from run to run, and forgets it with the process.

    `initial` has what is remembered at the start, by (namespace, key). Values are encoded as on disk, so what could
    not be stored there cannot be stored here.

    Raises `NotSerialisable`, and `InvalidArgument` for names that `remember` would not take.

    >>> from lambdacat_effects import in_memory, recall
    >>> in_memory({("cats", "lives"): 9}).run_pure(recall("cats", "lives", as_type=int))
    9
    """
    store = InMemoryStore()
    for name, value in (initial or {}).items():
        if not isinstance(cast(object, name), tuple) or len(name) != 2:
            raise InvalidArgument(
                f"in_memory takes a mapping from (namespace, key) to values; got the key {name!r}"
            )
        given = remember(*name, value)
        store.put(given.namespace, given.key, _encoded(given))
    return store_memory(store)


def store_memory(store: Store) -> Handler[Memory]:
    """A handler that keeps memory in `store`, calling it at once: for stores that do not block."""

    def kept(effect: Remember) -> None:
        store.put(effect.namespace, effect.key, _encoded(effect))

    def forgotten(effect: Forget) -> bool:
        return store.delete(effect.namespace, effect.key)

    return Handler.of({Remember: kept, Recall: _recalling(lambda: store), Forget: forgotten})


class _OnDisk(NamedTuple):
    store: Store
    writer: trio.CapacityLimiter


def lmdb_memory(path: str | os.PathLike[str]) -> Handler[Memory]:
    """A handler that keeps memory in an LMDB store in the directory `path`, which is made if it is not there.

    What `remember` and `forget` have answered is on the disk: it survives power cuts and the end of the process by
    whatever means. They write in a worker thread, which is waited for when the plan is cancelled, so that nothing is
    written after the plan's end. `recall` reads in the event loop's thread, since that takes microseconds. Several
    handlers, runs and processes may use one directory.

    Opened by `run`, which raises `StoreUnusable` if it cannot be, or by `async with`.
    """
    if not isinstance(cast(object, path), (str, os.PathLike)) or not os.fspath(path):
        raise InvalidArgument(f"lmdb_memory takes the path of a directory; got {path!r}")
    where = os.path.abspath(path)

    @asynccontextmanager
    async def opened() -> AsyncGenerator[_OnDisk, None]:
        from lambdacat_effects.storage.lmdb_store import LmdbStore  # loads lmdb

        # In the event loop's thread: it takes a millisecond, and cancelling has nothing to leave open.
        with LmdbStore(where) as store:
            # One thread at a time: LMDB writes one after the other, and waiting here keeps threads free for tools.
            yield _OnDisk(store, trio.CapacityLimiter(1))

    disk = Resource(f"the memory in {where!r}", opened)

    async def kept(effect: Remember) -> None:
        data = _encoded(effect)  # here, not in the thread: the plan may change the value once it is answered
        await write(disk.value.store.put, effect.namespace, effect.key, data)

    async def forgotten(effect: Forget) -> bool:
        return await write(disk.value.store.delete, effect.namespace, effect.key)

    async def write(method: Callable[..., T], *args: object) -> T:
        answer = await trio.to_thread.run_sync(method, *args, limiter=disk.value.writer)
        # It was waited for; but when it was cancelled meanwhile, its plan does not go on.
        await trio.lowlevel.checkpoint_if_cancelled()
        return answer

    recalled = _recalling(lambda: disk.value.store)
    return Handler.of({Remember: kept, Recall: recalled, Forget: forgotten}, [disk])


def _encoded(effect: Remember) -> bytes:
    from lambdacat_effects.storage.codec import encode  # loads cattrs

    try:
        return encode(effect.value)
    except NotSerialisable as error:
        raise NotSerialisable(f"{_named(effect)} cannot be remembered: {error}") from None


def _recalling(store: Callable[[], Store]) -> Callable[[Recall[Any]], Any]:
    def recalled(effect: Recall[Any]) -> Any:
        from lambdacat_effects.storage.codec import decode  # loads cattrs

        data = store().get(effect.namespace, effect.key)
        if data is None or data == b"null":  # a remembered None is an answer that every recall allows for
            return None
        try:
            return decode(data, effect.as_type)
        except StoredValueMismatch as error:
            raise StoredValueMismatch(f"{_named(effect)} cannot be recalled: {error}") from None

    return recalled


def _named(effect: Remember | Recall[Any]) -> str:
    return f"({effect.namespace!r}, {effect.key!r})"
