"""Stores that are named by a text."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_engines import valkey

from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.storage import JsonStore, LmdbStore, RedisStore, SqliteStore, Store, open_store
from lambdacat_effects.storage.places import is_path, place_shown, there_may_be


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("{}/a", LmdbStore),
        ("{}/a.sqlite", SqliteStore),
        ("{}/a.sqlite3", SqliteStore),
        ("{}/a.db", SqliteStore),
        ("json:{}/a", JsonStore),
        ("redis", RedisStore),
    ],
)
async def test_a_text_names_a_store(tmp_path: Path, place: str, kind: type[Store]) -> None:
    """What is put there is there when it is opened again."""
    named = valkey().url if place == "redis" else place.format(tmp_path)
    assert there_may_be(named) == (place == "redis")
    for _ in range(2):
        async with open_store(named) as store:
            assert type(store) is kind
            await store.put("places", "here", b"it is")
            assert await store.get("places", "here") == b"it is"
    assert there_may_be(named)
    assert is_path(named) == (kind in (LmdbStore, SqliteStore))


async def test_a_folder_is_one_whatever_it_is_called(tmp_path: Path) -> None:
    """Also as a path."""
    (tmp_path / "a.db").mkdir()
    async with open_store(tmp_path / "a.db") as store:
        assert isinstance(store, LmdbStore)


@pytest.mark.parametrize("place", ["", "json:", "ftp://host/x", "postgres://ada:secret@host/x", 5, __file__])
def test_what_names_no_store_is_told_the_four_forms(place: str) -> None:
    """Without its password."""
    with pytest.raises(InvalidArgument) as caught:
        open_store(place)
    for form in ("FOLDER (LMDB)", "FILE.sqlite or FILE.db (SQLite)", "json:FOLDER", "redis://HOST:PORT"):
        assert form in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_place_is_shown_without_its_password() -> None:
    """It is printed in commands."""
    assert place_shown("redis://:secret@host:6379/1") == "redis://:...@host:6379/1"
    assert place_shown("unix:///run/cache") == "unix:///run/cache"
