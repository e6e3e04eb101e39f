"""A client of a Redis or Valkey server that any task of an event loop may use. No other module imports `coredis`.

coredis keeps its connections in a nursery that belongs to the task which opened the client, and that task must close
it. Stores are opened and closed by whoever comes first and last, so here a task of its own does both.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary

import trio

from lambdacat_effects.errors import LibraryMissing, NotPure, ResourceNotOpen, StoreUnusable

try:
    import coredis
    from coredis.exceptions import ConnectionError as Unreachable
    from coredis.exceptions import NoScriptError, RedisError
    from coredis.retry import NoRetryPolicy
except ModuleNotFoundError as _missing:
    raise LibraryMissing(
        f"a RedisStore needs coredis ({_missing}): pip install lambdacat-effects[redis]", name=_missing.name
    ) from None

__all__ = ["RedisClient", "Script"]

T = TypeVar("T")

_Work: TypeAlias = "Callable[[coredis.Redis[bytes]], Awaitable[T]]"

_logger = logging.getLogger("lambdacat_effects")

_MOST_CONNECTIONS: Final = 8


class Script:
    """A script in Lua, which the server runs as one step: nothing else happens meanwhile."""

    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        self.text: str = text
        self.sha: str = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class _Lease:
    """A client of coredis, and the task that holds it open until nobody uses it any more."""

    def __init__(self, url: str) -> None:
        self.client: coredis.Redis[bytes] = coredis.Redis.from_url(
            url,
            decode_responses=False,
            verify_version=False,
            max_connections=_MOST_CONNECTIONS,
            # coredis cannot know whether a command was carried out before its connection broke, and would repeat it.
            retry_policy=NoRetryPolicy(),
        )
        self.users = 0
        self.opened = trio.Event()
        self.ended = trio.Event()
        self._unused = trio.Event()
        self._retired = False

    async def hold(self) -> None:
        try:
            async with self.client:
                self.opened.set()
                await self._unused.wait()
        except Exception:
            # Those whom it concerns have met it already, and an error of a system task would end the whole program.
            _logger.debug("a connection to Redis has ended", exc_info=True)
        finally:
            self._retired = True
            self.opened.set()
            self.ended.set()

    @property
    def fresh(self) -> bool:
        return not self._retired

    def retire(self) -> None:
        self._retired = True
        if not self.users:
            self._unused.set()

    def left(self) -> None:
        self.users -= 1
        if self._retired and not self.users:
            self._unused.set()


class RedisClient:
    """Runs scripts on the server at `url`, each within `seconds`. `name` is what messages call the server."""

    def __init__(self, url: str, name: str, seconds: float) -> None:
        self._url = url
        self._name = name
        self._seconds = seconds
        self._closed = False
        self._leases: WeakKeyDictionary[trio.lowlevel.TrioToken, _Lease] = WeakKeyDictionary()

    async def ping(self) -> None:
        """Raises `StoreUnusable` if the server does not answer."""

        async def ping(client: coredis.Redis[bytes]) -> object:
            return await client.ping()

        await self._call(ping, None)

    async def read(self, script: Script, keys: Sequence[bytes], args: Sequence[bytes | int]) -> Any:
        """What a script answers that changes nothing. Where a connection turns out to be broken it is asked again."""
        return await self._call(_running(script, keys, args), None)

    async def change(self, script: Script, keys: Sequence[bytes], args: Sequence[bytes | int]) -> Any:
        """What a script answers that changes something: it is sent once, whatever happens."""
        return await self._call(
            _running(script, keys, args),
            "Whether the change was made is not known: look before making it again",
        )

    async def close(self) -> None:
        """Close what this event loop has open, once it is not in use."""
        self._closed = True
        if not trio.lowlevel.in_trio_run():
            return
        lease = self._leases.pop(trio.lowlevel.current_trio_token(), None)
        if lease is not None:
            lease.retire()
            with trio.CancelScope(shield=True):
                await lease.ended.wait()

    async def _call(self, work: _Work[T], doubt: str | None) -> T:
        if self._closed:
            raise ResourceNotOpen(
                f"the store at {self._name} has been closed: open it again with RedisStore(url)"
            )
        if not trio.lowlevel.in_trio_run():
            raise NotPure(
                f"the store at {self._name} is across a network, and there is no event loop under `run_pure`: "
                "use an in-memory handler, or `run`"
            )
        await trio.lowlevel.checkpoint_if_cancelled()
        # Once a command is on its way it is waited for. Cancelled, it would keep its place in the pool for good.
        with _shielded():
            try:
                return await self._once(work)
            except _Broken as broken:
                if doubt is not None:
                    self._fail(broken.error, doubt)
            try:  # the connection had lain idle, say, while the server was started anew
                return await self._once(work)
            except _Broken as broken:
                self._fail(broken.error, doubt)

    async def _once(self, work: _Work[T]) -> T:
        lease = self._lease()
        lease.users += 1
        late = trio.CancelScope(deadline=trio.current_time() + self._seconds)
        try:
            with late:
                await lease.opened.wait()
                return await work(lease.client)
        except Exception as error:
            if isinstance(error, RedisError) and not isinstance(error, Unreachable):
                self._fail(error, None)
            # Whatever else it was, the client is of no use any more: connections that failed stay in its pool.
            lease.retire()
            if not late.cancel_called:  # else that is the reason, whatever coredis has made of it
                raise _Broken(error) from error
        finally:
            lease.left()
        lease.retire()
        raise _Broken(trio.TooSlowError())

    def _lease(self) -> _Lease:
        loop = trio.lowlevel.current_trio_token()
        lease = self._leases.get(loop)
        if lease is None or not lease.fresh:
            lease = self._leases[loop] = _Lease(self._url)
            trio.lowlevel.spawn_system_task(lease.hold)
        return lease

    def _fail(self, error: Exception, doubt: str | None) -> NoReturn:
        if isinstance(error, trio.TooSlowError):
            found = f"it has not answered within {self._seconds:g} s. See whether it is overloaded"
        elif isinstance(error, RedisError) and not isinstance(error, Unreachable):
            found = f"it refused: {error}. See its settings, its memory and its rights"
        else:
            found = f"it cannot be reached ({_text(error)}). See that it is running, and that the address is right"
        raise StoreUnusable(
            f"the store at {self._name} cannot be used: {found}{'. ' + doubt if doubt else ''}"
        ) from error


@contextmanager
def _shielded() -> Generator[None, None, None]:
    with trio.CancelScope(shield=True):
        yield


class _Broken(Exception):
    """The connection failed, before or after the server had the command."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _text(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    return str(error) or type(error).__name__


def _running(
    script: Script, keys: Sequence[bytes], args: Sequence[bytes | int]
) -> Callable[[coredis.Redis[bytes]], Awaitable[Any]]:
    async def run(client: coredis.Redis[bytes]) -> Any:
        try:
            return await client.evalsha(script.sha, keys=keys, args=args)
        except NoScriptError:  # so it was not run
            return await client.eval(script.text, keys=keys, args=args)

    return run
