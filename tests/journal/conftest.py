"""The stores that durable runs are tested on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from lambdacat_effects.storage import InMemoryStore, LmdbStore, Store


@pytest.fixture(params=["memory", "lmdb"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Store, None]:
    async with InMemoryStore() if request.param == "memory" else LmdbStore(tmp_path / "store") as store:
        yield store
