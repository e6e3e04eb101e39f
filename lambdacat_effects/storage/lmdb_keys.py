"""Where LMDB keeps what: places for any text, in the order of text.

LMDB orders its keys by bytes, and UTF-8 has the order of code points. They have 1 to 511 bytes: a length and the
namespace, so that no namespace is a prefix of another, and then the key. What is too long for that is cut, and a hash
takes the place of the rest; the whole key is in the record. Cut keys have exactly 511 bytes and others fewer.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import Final

__all__ = ["LONGEST", "chosen", "hashed", "place_of", "record_of", "start_of", "value_of"]

LONGEST: Final = 511
_HASH: Final = 32
_CUT: Final = LONGEST - _HASH
_LONGEST_NAMESPACE: Final = 128
_HASHED_NAMESPACE: Final = b"\xff"


def place_of(namespace: str, key: str) -> bytes:
    """The LMDB key for a key in a namespace."""
    place = _namespace(namespace) + _utf8(key)
    return place if len(place) <= _CUT else place[:_CUT] + _hash(place)


def hashed(place: bytes) -> bool:
    """Whether it is of a namespace that is too long for it, and so has any bytes."""
    return place.startswith(_HASHED_NAMESPACE)


def record_of(place: bytes, key: str, value: bytes) -> bytes:
    """What is kept at the place."""
    if len(place) < LONGEST:
        return bytes(value)
    name = _utf8(key)
    return b"".join((len(name).to_bytes(4, "big"), name, value))


def value_of(place: bytes, record: bytes) -> bytes:
    """The value in the record at the place."""
    return record if len(place) < LONGEST else _of_long(record)[1]


def start_of(namespace: str, prefix: str) -> bytes:
    """What all places of keys in a namespace that begin with `prefix` begin with."""
    return (_namespace(namespace) + _utf8(prefix))[:_CUT]


def chosen(found: Iterable[tuple[bytes, bytes]], namespace: str, prefix: str) -> list[tuple[str, bytes]]:
    """The keys that begin with `prefix`, in order, with their values, out of places and records."""
    length, wanted = len(_namespace(namespace)), _utf8(prefix)
    pairs = [
        (place[length:], record) if len(place) < LONGEST else _of_long(record) for place, record in found
    ]
    # Cut keys that begin alike are ordered by their hashes, and not all of them begin with the prefix.
    pairs.sort(key=itemgetter(0))
    return [(key.decode("utf-8", "surrogatepass"), value) for key, value in pairs if key.startswith(wanted)]


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # any text, so half of a surrogate pair, too


def _hash(data: bytes) -> bytes:
    return blake2b(data, digest_size=_HASH).digest()


@lru_cache(maxsize=256)
def _namespace(namespace: str) -> bytes:
    name = _utf8(namespace)
    if len(name) > _LONGEST_NAMESPACE:
        return _HASHED_NAMESPACE + _hash(name)
    return bytes([len(name)]) + name


def _of_long(record: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(record[:4], "big")
    return record[4:end], record[end:]
