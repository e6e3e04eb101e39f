"""Runs are looked at by whoever may read their directory, while somebody else performs them."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from lambdacat_effects import Durable, NewId, ambient, ask
from lambdacat_effects.errors import RunSuspended
from lambdacat_effects.storage import LmdbStore, Put

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="gives up its rights as Linux has it")

HERE = Path(__file__).parent


@contextmanager
def only_to_be_read(directory: Path, *, lock: int) -> Generator[None, None, None]:
    """Nobody may write there, but for the lock file, if its mode says so."""
    (directory / "lock.mdb").chmod(lock)
    (directory / "data.mdb").chmod(0o444)
    directory.chmod(0o555)
    try:
        yield
    finally:
        directory.chmod(0o755)


async def reader(directory: Path, scans: int) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "reading_only.py"), str(directory), str(scans)]
    done = await trio.run_process(command, capture_stdout=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def begin(durable: Durable) -> str:
    answer = await durable.run("done", NewId, handlers=ambient)
    with pytest.raises(RunSuspended):
        await durable.run("asking", ask, "Who?", handlers=ambient)
    return answer


@pytest.mark.parametrize("lock", [0o666, 0o444])
@pytest.mark.parametrize("in_use", [False, True])
async def test_a_directory_that_may_only_be_read(tmp_path: Path, lock: int, in_use: bool) -> None:
    """Everything is told; what would be a change says that it is not allowed, and nothing is changed."""
    async with LmdbStore(tmp_path) as store:
        answer = await begin(Durable(store))
        if in_use:
            with only_to_be_read(tmp_path, lock=lock):
                found = await reader(tmp_path, 1)
    if not in_use:
        with only_to_be_read(tmp_path, lock=lock):
            found = await reader(tmp_path, 1)
    refusals = found.pop("refusals")
    assert found == {
        "runs": [["done", "succeeded"], ["asking", "suspended"]],
        "info": ["Who?"],
        "questions": ["Who?"],
        "history": [answer],
        "outcome": answer,
        "scans": [0],
    }
    for refusal in refusals:
        assert "can only be read by this process, and nothing was written: give its user the right" in refusal
    async with Durable(tmp_path) as durable:
        assert [(info.run_id, info.status) for info in await durable.runs()] == [
            ("done", "succeeded"),
            ("asking", "suspended"),
        ]


async def test_what_is_read_while_others_write(tmp_path: Path) -> None:
    """Is as of one moment, though the writers do not know of the reader, and use the pages again that it reads."""
    keys = [f"{n:05}" for n in range(4500)]
    changing = keys[::300]  # so few that they are put in their places at once
    written = 0

    async def writing(store: LmdbStore) -> None:
        nonlocal written
        while True:
            written += 1
            value = b"%08d" % written
            await store.batch([Put("together", key, value) for key in changing])
            await trio.lowlevel.checkpoint()

    found: dict[str, Any] = {}
    async with LmdbStore(tmp_path) as store:
        await begin(Durable(store))
        await store.batch([Put("together", key, b"the same") for key in keys])
        with only_to_be_read(tmp_path, lock=0o444):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(writing, store)
                found = await reader(tmp_path, 60)
                nursery.cancel_scope.cancel()
    assert written > 20
    assert set(found["scans"]) == {2}  # that which is always the same, and another
