"""Where handlers keep things: in a store that is open, or at a path, which is opened for as long as a run needs it.

Each handler opens the path for itself. That is no waste, nor a second store: handles on one place agree in
everything, and what belongs together is committed together (`Store.place`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeAlias, cast

from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.runtime.resource import Resource
from lambdacat_effects.storage.port import Store

__all__ = ["Place", "in_json", "in_lmdb", "in_redis", "in_sqlite", "kept_in"]

Place: TypeAlias = Store | Resource[Any]
"""A store that is open, or a resource of one, which whoever performs a plan opens."""


def kept_in(place: Place, caller: str) -> tuple[Callable[[], Store], tuple[Resource[Any], ...]]:
    """How to get the store, and what is to be opened before. Raises `InvalidArgument`, naming the caller."""
    if isinstance(place, Resource):
        resource = cast("Resource[Store]", place)
        return lambda: resource.value, (resource,)
    if not hasattr(place, "place"):
        what = caller.removeprefix("store_")
        raise InvalidArgument(
            f"{caller} takes a store that is open, or a Resource of one; got {place!r}. For a path there is "
            f"lmdb_{what}(path)"
        )
    return lambda: place, ()


def in_lmdb(path: str | os.PathLike[str], caller: str) -> Resource[Store]:
    """An `LmdbStore` in the directory."""
    where = _checked_path(path, caller, "a directory")

    def make() -> Store:
        from lambdacat_effects.storage import LmdbStore

        return LmdbStore(where)

    return _resource(where, caller, make)


def in_json(path: str | os.PathLike[str], caller: str) -> Resource[Store]:
    """A `JsonStore` in the directory."""
    where = _checked_path(path, caller, "a directory")

    def make() -> Store:
        from lambdacat_effects.storage import JsonStore

        return JsonStore(where)

    return _resource(where, caller, make)


def in_sqlite(path: str | os.PathLike[str], caller: str) -> Resource[Store]:
    """A `SqliteStore` in the file."""
    where = _checked_path(path, caller, "a file")

    def make() -> Store:
        from lambdacat_effects.storage import SqliteStore

        return SqliteStore(where)

    return _resource(where, caller, make)


def in_redis(url: str, caller: str) -> Resource[Store]:
    """A `RedisStore` in the server."""
    if not isinstance(cast(object, url), str) or "://" not in url:
        raise InvalidArgument(
            f"{caller} takes the address of a server, as in 'redis://localhost:6379'; got {url!r}"
        )

    def make() -> Store:
        from lambdacat_effects.storage import RedisStore

        return RedisStore(url)

    return _resource(url.rpartition("@")[2], caller, make)  # without the password


def _checked_path(path: str | os.PathLike[str], caller: str, what: str) -> str:
    if not isinstance(cast(object, path), (str, os.PathLike)) or not os.fspath(path):
        raise InvalidArgument(f"{caller} takes the path of {what}; got {path!r}")
    return os.path.abspath(path)


def _resource(where: str, caller: str, make: Callable[[], Store]) -> Resource[Store]:
    return Resource(f"the {caller.partition('_')[2]} in {where!r}", make)
