"""What a store takes, and what it does not."""

from __future__ import annotations

from typing import cast

from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.storage.port import Put

__all__ = ["checked_limit", "value_in"]


def checked_limit(most_bytes: object) -> int | None:
    """`most_bytes`, if it is a number of bytes or None. Raises `InvalidArgument`.

    >>> checked_limit(1 << 20)
    1048576
    """
    if most_bytes is None or (type(most_bytes) is int and most_bytes >= 1):
        return most_bytes
    raise InvalidArgument(f"most_bytes is a number of bytes, at least 1, or None; got {most_bytes!r}")


def value_in(change: Put) -> bytes:
    """The value to keep. Raises `InvalidArgument` for what is no bytes: `bytes(5)` would be five zeros.

    >>> value_in(Put("cats", "felix", bytearray(b"black")))
    b'black'
    """
    if type(change.value) is bytes:
        return change.value
    value = cast(object, change.value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(cast(bytearray, value))
    raise InvalidArgument(
        f"a store keeps bytes; got {value!r:.80} for ({change.namespace!r}, {change.key!r:.80}). Encode it first, or "
        "keep it with `remember`, which takes values of many types"
    )
