"""What can be read of a store of which a part cannot: a run that is damaged is no concern of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from lambdacat_effects.errors import JournalUnreadable, StoreDamaged
from lambdacat_effects.storage.port import Store

__all__ = ["all_keys", "got", "is_there", "scanned", "sound_part"]


async def got(store: Store, namespace: str, key: str) -> bytes | None:
    """What `Store.get` answers. Raises `JournalUnreadable` if that is damaged."""
    try:
        return await store.get(namespace, key)
    except StoreDamaged as error:
        _unreadable(error)


async def is_there(store: Store, namespace: str, key: str) -> bool:
    """Whether there is anything under the key, be it damaged."""
    try:
        return await store.get(namespace, key) is not None
    except StoreDamaged:
        return True


async def scanned(store: Store, namespace: str, prefix: str) -> Sequence[tuple[str, bytes]]:
    """What `Store.scan` answers. Raises `JournalUnreadable` if any of that is damaged."""
    try:
        return await store.scan(namespace, prefix)
    except StoreDamaged as error:
        _unreadable(error)


async def sound_part(
    store: Store, namespace: str, prefix: str = ""
) -> tuple[Sequence[tuple[str, bytes]], Mapping[str, str]]:
    """The keys that can be read, with their values, and those that cannot, with what is wrong."""
    try:
        return await store.scan(namespace, prefix), {}
    except StoreDamaged as error:
        return error.found, error.damaged


async def all_keys(store: Store, namespace: str, prefix: str = "") -> list[str]:
    """All keys that begin with `prefix`, in order, whether or not their values can be read."""
    found, damaged = await sound_part(store, namespace, prefix)
    return sorted([*(key for key, _ in found), *damaged])


def _unreadable(error: StoreDamaged) -> NoReturn:
    raise JournalUnreadable(str(error)) from None
