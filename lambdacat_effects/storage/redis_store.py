"""A store in a Redis or Valkey server: for programs on many machines."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Sequence
from typing import Any, Final, Self, cast
from urllib.parse import parse_qs, urlsplit

from lambdacat_effects.errors import InvalidArgument, LimitExceeded
from lambdacat_effects.storage.limits import checked_limit, value_in
from lambdacat_effects.storage.port import Change, Delete, Expect, Store
from lambdacat_effects.storage.redis_client import RedisClient, Script

__all__ = ["RedisStore"]

_SECONDS: Final = 30.0
_LONGEST: Final = 512 << 20  # what the protocol takes, unless the server is told otherwise


class RedisStore(Store):
    """A `Store` in the Redis or Valkey server at `url`: "redis://host:6379/0", "rediss://..." (TLS), "unix:///path".

    Every change is one script, which the server runs whole and alone. What was acknowledged is in the server's
    memory. **Whether it survives the server, its settings decide**: only with `appendonly yes` and `appendfsync
    always` is it on the disk before it is acknowledged (by default Redis writes now and then, and a crash loses up to
    minutes); `maxmemory-policy noeviction` keeps it from throwing things away; replicas may lag behind. It is meant
    for one server, with or without replicas, and not for a cluster.

    The keys it uses begin with `prefix`; stores of different prefixes share nothing. Each command has `seconds` to be
    answered. If the connection breaks while a change is under way, `StoreUnusable` says that it may have been made: a
    change is never sent twice. A value has at most 512 MiB. A change by which keys and values would have more than
    `most_bytes` is refused with `LimitExceeded`.

    Needs `pip install lambdacat-effects[redis]`. Any number of tasks and event loops may use it at once. Connections
    are made when they are needed; `async with` raises `StoreUnusable` if the server cannot be reached. Raises
    `InvalidArgument` for what is no address, prefix or limit.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "lambdacat",
        most_bytes: int | None = None,
        seconds: float = _SECONDS,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", prefix):
            raise InvalidArgument(f"a prefix has letters, digits, '_', '.' and '-'; got {prefix!r}")
        if not isinstance(cast(object, seconds), (int, float)) or not 0 < seconds < math.inf:
            raise InvalidArgument(f"seconds is a positive number; got {seconds!r}")
        address, server = _address(url)
        self._place = ("redis", server, prefix)
        self._client = RedisClient(address, server, seconds)
        self._prefix = prefix.encode()
        self._most_bytes = checked_limit(most_bytes)

    @property
    def place(self) -> Hashable:
        return self._place

    async def get(self, namespace: str, key: str) -> bytes | None:
        answer: bytes | None = await self._client.read(_GET, self._keys(namespace), [_utf8(key)])
        return answer

    async def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        start = _utf8(prefix)
        # No UTF-8 has the byte 0xff, so the end is above every text that begins so.
        found = await self._client.read(_SCAN, self._keys(namespace), [b"[" + start, b"(" + start + b"\xff"])
        return [
            (key.decode("utf-8", "surrogatepass"), value)
            for key, value in zip(found[::2], found[1::2], strict=True)
        ]

    async def delete(self, namespace: str, key: str) -> bool:
        return (await self._change([Delete(namespace, key)]))[1] > 0

    async def batch(self, changes: Sequence[Change]) -> bool:
        return (await self._change(changes))[0] == 1

    async def size(self) -> int:
        """The bytes of all keys and values. The server needs more for them, by its own rules."""
        answer: bytes | None = await self._client.read(_SIZE, [self._size_key], [])
        return int(answer or 0)

    async def compact(self) -> None:
        """There is nothing to give back: the server frees what was deleted, and writes its log anew by itself."""
        await self._client.ping()

    async def aclose(self) -> None:
        await self._client.close()

    async def __aenter__(self) -> Self:
        try:
            await self._client.ping()
        except BaseException:
            await self.aclose()
            raise
        return self

    def _keys(self, namespace: str) -> list[bytes]:
        name = _utf8(namespace)
        return [self._prefix + b":values:" + name, self._prefix + b":order:" + name]

    @property
    def _size_key(self) -> bytes:
        return self._prefix + b":size"

    async def _change(self, changes: Sequence[Change]) -> tuple[int, int]:
        """Whether all was as expected, and how many keys were deleted."""
        namespaces: dict[str, int] = {}
        args: list[bytes | int] = [self._most_bytes or 0]
        for change in changes:
            place = namespaces.setdefault(change.namespace, 2 * len(namespaces) + 2)
            args += [*_operation(change), place, _utf8(change.key)]
        keys = [self._size_key]
        for namespace in namespaces:
            keys += self._keys(namespace)
        answer: Any = await self._client.change(_CHANGE, keys, args)
        if answer[0] < 0:
            raise LimitExceeded(
                f"the store at {self._place[1]} would grow to {answer[1]:,} bytes, and may have "
                f"{self._most_bytes:,}: delete from it, or open it with a larger most_bytes="
            )
        return answer[0], answer[1]


def _operation(change: Change) -> list[bytes | int]:
    if isinstance(change, Delete):
        return [b"delete", b""]
    if isinstance(change, Expect):
        return [b"absent", b""] if change.value is None else [b"expect", bytes(change.value)]
    value = value_in(change)
    if len(value) > _LONGEST:
        raise LimitExceeded(
            f"the value under ({change.namespace!r}, {change.key!r:.80}) has {len(value):,} bytes, and Redis "
            f"takes {_LONGEST:,}: store it in parts, or elsewhere"
        )
    return [b"put", value]


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _address(url: object) -> tuple[str, str]:
    """The address as coredis takes it, and what may be shown of it: no password."""
    advice = InvalidArgument(
        f"an address is 'redis://host:6379/0', 'rediss://...' or 'unix:///path'; got {url!r:.200}"
    )
    if not isinstance(url, str):
        raise advice
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
    except ValueError:
        raise advice from None
    scheme = parts.scheme.replace("valkey", "redis").replace("redis+unix", "unix")
    database = parse_qs(parts.query).get("db", [parts.path.strip("/") or "0"])[0]
    if scheme == "unix" and parts.path:
        database = parse_qs(parts.query).get("db", ["0"])[0]
        return parts._replace(scheme=scheme).geturl(), f"unix://{parts.path}?db={database}"
    if scheme not in ("redis", "rediss") or not parts.hostname or not database.isdecimal():
        raise advice
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts._replace(scheme=scheme).geturl(), f"{scheme}://{host}:{port}/{database}"


# A hash has the values of a namespace, and a sorted set, all of whose members have one score, the order of its keys:
# by their bytes, which for UTF-8 is the order of the code points.

_GET: Final = Script("return redis.call('HGET', KEYS[1], ARGV[1])")

_SIZE: Final = Script("return redis.call('GET', KEYS[1])")

_SCAN: Final = Script("""
local keys = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], ARGV[2])
local found = {}
for first = 1, #keys, 1000 do
  local last = math.min(first + 999, #keys)
  local values = redis.call('HMGET', KEYS[1], unpack(keys, first, last))
  for i = first, last do
    found[2 * i - 1] = keys[i]
    found[2 * i] = values[i - first + 1]
  end
end
return found
""")

_CHANGE: Final = Script("""
local most = tonumber(ARGV[1])
for i = 2, #ARGV, 4 do
  local what, value, place, key = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  if what == 'expect' then
    if redis.call('HGET', KEYS[place], key) ~= value then return {0, 0} end
  elseif what == 'absent' then
    if redis.call('HEXISTS', KEYS[place], key) == 1 then return {0, 0} end
  end
end
local growth = 0
local sizes = {}
for i = 2, #ARGV, 4 do
  local what, value, place, key = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  if what == 'put' or what == 'delete' then
    local id = place .. ':' .. key
    local before = sizes[id]
    if before == nil then
      before = 0
      if redis.call('HEXISTS', KEYS[place], key) == 1 then
        before = #key + redis.call('HSTRLEN', KEYS[place], key)
      end
    end
    sizes[id] = what == 'put' and #key + #value or 0
    growth = growth + sizes[id] - before
  end
end
if most > 0 and growth > 0 then
  local size = tonumber(redis.call('GET', KEYS[1]) or '0') + growth
  if size > most then return {-1, size} end
end
local deleted = 0
for i = 2, #ARGV, 4 do
  local what, value, place, key = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
  if what == 'put' then
    redis.call('HSET', KEYS[place], key, value)
    redis.call('ZADD', KEYS[place + 1], 0, key)
  elseif what == 'delete' then
    deleted = deleted + redis.call('HDEL', KEYS[place], key)
    redis.call('ZREM', KEYS[place + 1], key)
  end
end
if growth ~= 0 then redis.call('INCRBY', KEYS[1], string.format('%.0f', growth)) end
return {1, deleted}
""")
