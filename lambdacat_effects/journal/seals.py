"""Checksums in what a journal keeps: what was changed by accident is never taken for what was written."""

from __future__ import annotations

from typing import Final
from zlib import crc32

__all__ = ["sealed", "unsealed"]

_LENGTHS: Final = {b"]": 12, b"}": 18}


def sealed(text: bytes) -> bytes:
    """A JSON list or object that is not empty, with its checksum (CRC-32) as the last part: JSON still.

    >>> sealed(b'[1,2]')
    b'[1,2,"e907e236"]'
    >>> sealed(b'{"a":1}')
    b'{"a":1,"sum":"a702fc6e"}'
    """
    body = text[:-1]
    if text[-1:] == b"]":
        return b'%b,"%08x"]' % (body, crc32(body))
    return b'%b,"sum":"%08x"}' % (body, crc32(body))


def unsealed(data: bytes) -> bytes:
    """What `sealed` was given. Raises `ValueError` if these bytes are not what it made.

    >>> unsealed(sealed(b'[1,2]'))
    b'[1,2]'
    """
    end = data[-1:]
    text = data[: -_LENGTHS.get(end, len(data))] + end
    if len(text) < 2 or sealed(text) != data:
        raise ValueError("its checksum is another one")
    return text
