"""Who looks whether somebody outside has cancelled a run, or answered it: one run for all of its event loop.

Other processes leave both in the store, which has to be asked for them again and again. That each run asked by itself
would cost a process with thousands of them, most of which wait, more than what they do.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable
from contextlib import contextmanager
from typing import Final, Protocol

import trio

from lambdacat_effects.journal.records import CANCELS
from lambdacat_effects.journal.sound import all_keys
from lambdacat_effects.storage.port import Store

__all__ = ["EVERY", "Lookout", "Watched", "watching"]

EVERY: Final = 0.25
"""Seconds between two looks."""


class Watched(Protocol):
    """A run that is performed."""

    @property
    def run_id(self) -> str:
        """Its id."""
        ...

    def wake(self) -> None:
        """Have it see to what is to be done: to look out from now on, say."""
        ...

    def cancel(self) -> None:
        """Somebody has cancelled it. Called at each look."""
        ...

    async def look(self) -> None:
        """Look for answers to what it asks."""
        ...


class Lookout:
    """The runs of one event loop in one store. The one that came first looks out for all."""

    def __init__(self) -> None:
        self._runs: dict[int, Watched] = {}
        self._looked = trio.current_time()

    def is_with(self, run: Watched) -> bool:
        """Whether it is this one that looks out."""
        return next(iter(self._runs.values()), None) is run

    @property
    def next_look(self) -> float:
        """When it is time for it, by Trio's clock."""
        return self._looked + EVERY

    async def look(self, store: Store) -> None:
        """Look for what others have left in the store. Raises what the store raises."""
        cancelled = set(await all_keys(store, CANCELS))
        for run in list(self._runs.values()):  # a store may wait, and runs come and go
            if run.run_id in cancelled:
                run.cancel()
            await run.look()
        self._looked = trio.current_time()

    def _join(self, run: Watched) -> None:
        self._runs[id(run)] = run

    def _leave(self, run: Watched) -> bool:
        """Answers whether that was the last one."""
        was_first = self.is_with(run)
        del self._runs[id(run)]
        if was_first and self._runs:
            next(iter(self._runs.values())).wake()
        return not self._runs


_lookouts: trio.lowlevel.RunVar[dict[Hashable, Lookout]] = trio.lowlevel.RunVar("lookouts")


@contextmanager
def watching(run: Watched, store: Store) -> Generator[Lookout, None, None]:
    """Have a run watched. Whoever is watched looks out when it is its turn."""
    try:
        lookouts = _lookouts.get()
    except LookupError:
        lookouts = dict[Hashable, Lookout]()
        _lookouts.set(lookouts)
    place = store.place
    lookout = lookouts.setdefault(place, Lookout())
    lookout._join(run)  # pyright: ignore[reportPrivateUsage]
    try:
        yield lookout
    finally:
        if lookout._leave(run):  # pyright: ignore[reportPrivateUsage]
            del lookouts[place]
