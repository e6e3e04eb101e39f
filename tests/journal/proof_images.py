"""Images of a store's file, opened in another process: LMDB might kill the one that opens a damaged file.

python proof_images.py DIRECTORY NUMBER...
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import trio

from lambdacat_effects.errors import LambdacatError, StoreUnusable
from lambdacat_effects.journal.records import ANSWERS, ENTRIES, FENCES, LEASES, NUMBERS, QUESTIONS, RUNS
from lambdacat_effects.storage.lmdb_store import LmdbStore

SPACES = (
    *(RUNS, ENTRIES, FENCES, LEASES, NUMBERS, QUESTIONS, ANSWERS),
    *("results", "agents", "witnesses", "waiting", "count", "rounds", "ended", "_beliefs"),
)

Contents = dict[tuple[str, str], bytes]

_AT_ONCE = 100


async def contents(path: str) -> Contents:
    """What is in a store."""
    async with LmdbStore(path) as store:
        return {(space, key): data for space in SPACES for key, data in await store.scan(space)}


def digest(found: Contents) -> str:
    """The same for the same contents."""
    return blake2b(repr(sorted(found.items())).encode(), digest_size=12).hexdigest()


def opened(images: Sequence[bytes]) -> list[str]:
    """What each is: the digest of its contents, "refused" by `StoreUnusable`, or what else became of it."""
    said: list[str] = []
    while len(said) < len(images):
        some = images[len(said) : len(said) + _AT_ONCE]
        with tempfile.TemporaryDirectory(prefix="images") as directory:
            for number, image in enumerate(some):
                path = Path(directory, str(number))
                path.mkdir()
                (path / "data.mdb").write_bytes(image)
            opening = subprocess.run(
                [sys.executable, __file__, directory, *map(str, range(len(some)))],
                capture_output=True,
                text=True,
                check=False,
            )
        said += opening.stdout.splitlines()
        if opening.returncode:
            said.append(f"the process ended: {opening.returncode} {opening.stderr[-300:]}")
    return said


def main() -> None:
    directory, *numbers = sys.argv[1:]
    for number in numbers:
        try:
            said = digest(trio.run(contents, str(Path(directory, number))))
        except StoreUnusable:
            said = "refused"
        except LambdacatError as error:
            said = repr(error).replace("\n", " ")
        print(said, flush=True)


if __name__ == "__main__":
    main()
