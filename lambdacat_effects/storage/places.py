"""Where a store is, as one text: for command lines and settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.storage.port import Store

__all__ = ["FORMS", "is_path", "open_store", "place_shown", "there_may_be"]

FORMS: Final = (
    "FOLDER (LMDB), FILE.sqlite or FILE.db (SQLite), json:FOLDER (files that people can read), or "
    "redis://HOST:PORT/DATABASE (Redis, Valkey)"
)
"""How places are written."""

_Engine: TypeAlias = Literal["lmdb", "sqlite", "json", "redis"]

_SCHEMES: Final = ("redis", "rediss", "valkey", "valkeys", "unix", "redis+unix")
_FILES: Final = (".sqlite", ".sqlite3", ".db")


def open_store(place: str | os.PathLike[str]) -> Store:
    """The store that a text names, to be used by `async with`.

    - `FOLDER`: an `LmdbStore`.
    - `FILE.sqlite`, `FILE.db`: a `SqliteStore` (unless it is a folder).
    - `json:FOLDER`: a `JsonStore`.
    - `redis://HOST:PORT/DATABASE` (also `rediss://`, `valkey://`, `unix://PATH`): a `RedisStore`.

    A folder or file that is not there is made. Raises `InvalidArgument` for a text of another form, and
    `StoreUnusable` for a store that cannot be opened.

    >>> import tempfile, trio
    >>> async def felix(place):
    ...     async with open_store(place) as store:
    ...         await store.put("cats", "felix", b"black")
    ...         return type(store).__name__, await store.get("cats", "felix")
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     print(trio.run(felix, directory + "/lmdb"))
    ...     print(trio.run(felix, directory + "/cats.sqlite"))
    ...     print(trio.run(felix, "json:" + directory + "/cats"))
    ('LmdbStore', b'black')
    ('SqliteStore', b'black')
    ('JsonStore', b'black')
    """
    # Each loads a library that only those who open such a store should pay for.
    engine, where = _taken_apart(place)
    if engine == "sqlite":
        from lambdacat_effects.storage.sqlite_store import SqliteStore

        return SqliteStore(where)
    if engine == "json":
        from lambdacat_effects.storage.json_store import JsonStore

        return JsonStore(where)
    if engine == "redis":
        from lambdacat_effects.storage.redis_store import RedisStore

        return RedisStore(where)
    from lambdacat_effects.storage.lmdb_store import LmdbStore

    return LmdbStore(where)


def there_may_be(place: str | os.PathLike[str]) -> bool:
    """Whether there may be a store already: False if opening it would make one. Of a server, and of what may not be
    looked at, only opening it tells.

    Raises `InvalidArgument` as `open_store` does.
    """
    engine, where = _taken_apart(place)
    if engine == "redis":
        return True
    try:
        return (Path(where) / "data.mdb" if engine == "lmdb" else Path(where)).exists()
    except PermissionError:
        return True


def is_path(place: str | os.PathLike[str]) -> bool:
    """Whether the place is just the path of a folder or file. Raises `InvalidArgument` as `open_store` does."""
    return _taken_apart(place)[0] in ("lmdb", "sqlite")


def place_shown(place: str | os.PathLike[str]) -> str:
    """The place for people to read: without a password.

    >>> place_shown("redis://ada:secret@cache:6379/0"), place_shown("json:runs")
    ('redis://ada:...@cache:6379/0', 'json:runs')
    """
    text = os.fspath(place)
    scheme, separator, rest = text.partition("://")
    if not separator or "@" not in rest:
        return text
    user, _, host = rest.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}:...@{host}"


def _taken_apart(place: str | os.PathLike[str]) -> tuple[_Engine, str]:
    text = os.fspath(place) if isinstance(cast(object, place), (str, os.PathLike)) else None
    if not isinstance(text, str) or not text:
        raise InvalidArgument(f"a store is named as {FORMS}; got {place!r}")
    scheme, separator, _ = text.partition("://")
    if separator:
        if scheme in _SCHEMES:
            return "redis", text
        raise InvalidArgument(f"a store is named as {FORMS}; got {place_shown(text)!r}")
    if text.startswith("json:"):
        if text == "json:":
            raise InvalidArgument(f"a store is named as {FORMS}; got {text!r}, without a folder")
        return "json", text.removeprefix("json:")
    if os.path.isdir(text):
        return "lmdb", text
    if text.endswith(_FILES):
        return "sqlite", text
    if os.path.isfile(text):
        raise InvalidArgument(f"a store is named as {FORMS}; {text!r} is a file, and no name of a database")
    return "lmdb", text
