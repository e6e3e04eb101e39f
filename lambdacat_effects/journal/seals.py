"""Checksums in what a journal keeps: what was changed by accident is never taken for what was written."""

from __future__ import annotations

from typing import Final
from zlib import crc32

__all__ = ["sealed", "unsealed"]

_LENGTHS: Final = {b"]": 12, b"}": 18}


def sealed(text: bytes, owner: str = "") -> bytes:
    """A JSON list or object that is not empty, with its checksum (CRC-32) as the last part: JSON still. The checksum
    begins with the id of the run that it is of, its `owner`, if it is of one: to another run it looks damaged.

    >>> sealed(b'[1,2]')
    b'[1,2,"e907e236"]'
    >>> sealed(b'{"a":1}')
    b'{"a":1,"sum":"a702fc6e"}'
    """
    body = text[:-1]
    checksum = crc32(body, crc32(owner.encode("utf-8", "surrogatepass")))
    if text[-1:] == b"]":
        return b'%b,"%08x"]' % (body, checksum)
    return b'%b,"sum":"%08x"}' % (body, checksum)


def unsealed(data: bytes, owner: str = "") -> bytes:
    """What `sealed` was given. Raises `ValueError` if these bytes are not what it made for this owner.

    >>> unsealed(sealed(b'[1,2]'))
    b'[1,2]'
    """
    end = data[-1:]
    text = data[: -_LENGTHS.get(end, len(data))] + end
    if len(text) < 2 or sealed(text, owner) != data:
        raise ValueError("its checksum is another one")
    return text
