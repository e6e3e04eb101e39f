"""Numbers for runs: no two runs of a store have the same, whichever processes begin them."""

from __future__ import annotations

from contextlib import nullcontext

import trio

from lambdacat_effects.journal.keeping import readable
from lambdacat_effects.journal.keys import run_number
from lambdacat_effects.journal.records import ENTRIES, NUMBERS, counted
from lambdacat_effects.journal.seals import sealed, unsealed
from lambdacat_effects.journal.sound import all_keys
from lambdacat_effects.runtime.run import Run
from lambdacat_effects.storage.port import Expect, Put, Store

__all__ = ["Numbers"]

_KEY = "runs"
_MOST = 256


class Numbers:
    """Numbers that one process has taken and not given to a run yet.

    It takes twice as many each time, so that hundreds of runs that begin together do not wait for one another.
    """

    def __init__(self) -> None:
        self._free: list[int] = []
        self._next_time = 1
        self._taking = trio.Lock()

    async def next(self, store: Store, run: Run) -> int:
        """A number that no run has."""
        if not self._free:
            async with nullcontext() if run.alone else self._taking:
                while not self._free:
                    await self._take(store)
        return self._free.pop()

    async def _take(self, store: Store) -> None:
        last = await store.get(NUMBERS, _KEY)
        # With a checksum: a run with the number of another one would write over its journal.
        if last is None:
            highest = await _highest(store)
        else:
            highest = counted(_unsealed(last), "the number of the last run of this store")
        first, count = highest + 1, self._next_time
        taken = sealed(b"[%d]" % (first + count - 1))
        if await store.batch([Expect(NUMBERS, _KEY, last), Put(NUMBERS, _KEY, taken)]):
            self._free = [*range(first + count - 1, first - 1, -1)]
            self._next_time = min(_MOST, 2 * count)


async def _highest(store: Store) -> int:
    """The highest number that a run may have in a store whose counter was lost, 0 in one without runs."""
    headers = [header.number for header in await readable(store)]
    # Also of records: the header of a run may be damaged.
    records = [_number(key) for key in await all_keys(store, ENTRIES)]
    highest = max([*headers, *records], default=0)
    return highest and highest + _MOST  # a process may have taken so many more, and not begun the runs yet


def _number(key: str) -> int:
    try:
        return int(run_number(key), 16)
    except ValueError:
        return 0  # of no run: whoever reads that run's journal is told


def _unsealed(data: bytes) -> bytes:
    try:
        return unsealed(data)[1:-1]
    except ValueError:
        return b"damaged"
