"""The laws of stores find out what is wrong with one: each has a mutant that it must not let pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import strategies as st

from lambdacat_effects.errors import InvalidArgument, LawBroken
from lambdacat_effects.storage import Delete, Expect, InMemoryStore, Put, Store
from lambdacat_effects.storage.port import Change
from lambdacat_effects.testing import laws


class Lasting(InMemoryStore):
    """A store that keeps what it has under its path, so that the laws of reopening apply."""

    kept: dict[Path, dict[str, dict[str, bytes]]]

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._namespaces = type(self).kept.setdefault(path, {})

    def __init_subclass__(cls) -> None:
        cls.kept = {}

    @property
    def place(self) -> Path:
        return self.path


class Sound(Lasting):
    """No mutant."""


class DropsEmpty(Lasting):
    async def put(self, namespace: str, key: str, value: bytes) -> None:
        if value:
            await super().put(namespace, key, value)


class NeverReplaces(Lasting):
    async def put(self, namespace: str, key: str, value: bytes) -> None:
        if await self.get(namespace, key) is None:
            await super().put(namespace, key, value)


class DeletesNothing(Lasting):
    async def delete(self, namespace: str, key: str) -> bool:
        return await self.get(namespace, key) is not None


class SaysItDeleted(Lasting):
    async def delete(self, namespace: str, key: str) -> bool:
        await super().delete(namespace, key)
        return True


class FoldsCase(Lasting):
    async def put(self, namespace: str, key: str, value: bytes) -> None:
        await super().put(namespace, key.lower(), value)

    async def get(self, namespace: str, key: str) -> bytes | None:
        return await super().get(namespace, key.lower())


class OneNamespace(Lasting):
    async def put(self, namespace: str, key: str, value: bytes) -> None:
        await super().put("", namespace + key, value)

    async def get(self, namespace: str, key: str) -> bytes | None:
        return await super().get("", namespace + key)


class CutsKeys(Lasting):
    async def put(self, namespace: str, key: str, value: bytes) -> None:
        await super().put(namespace, key[:511], value)

    async def get(self, namespace: str, key: str) -> bytes | None:
        return await super().get(namespace, key[:511])


class InOrderOfUtf16(Lasting):
    async def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        found = await super().scan(namespace, prefix)
        return sorted(found, key=lambda item: item[0].encode("utf-16-be", "surrogatepass"))


class LikeSqlGlob(Lasting):
    async def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        return await super().scan(namespace, prefix.split("\0")[0])


class MakesPartOfABatch(Lasting):
    async def batch(self, changes: Sequence[Change]) -> bool:
        for change in changes:
            if not await super().batch([change]):
                return False
        return True


class ExpectsNothing(Lasting):
    async def batch(self, changes: Sequence[Change]) -> bool:
        return await super().batch([change for change in changes if not isinstance(change, Expect)])


class DeletesLast(Lasting):
    async def batch(self, changes: Sequence[Change]) -> bool:
        return await super().batch(sorted(changes, key=lambda change: isinstance(change, Delete)))


class SwapsInTwoSteps(Lasting):
    async def compare_and_swap(
        self, namespace: str, key: str, expected: bytes | None, value: bytes | None
    ) -> bool:
        if await self.get(namespace, key) != expected:
            return False
        await trio.lowlevel.cancel_shielded_checkpoint()
        assert value is not None
        await self.put(namespace, key, value)
        return True


class StopsHalfWay(Lasting):
    async def batch(self, changes: Sequence[Change]) -> bool:
        for change in changes:
            await super().batch([change])
            await trio.lowlevel.checkpoint()
        return True


class WritesLater(Lasting):
    async def batch(self, changes: Sequence[Change]) -> bool:
        token = trio.lowlevel.current_trio_token()
        token.run_sync_soon(self._make, list(changes))
        while any(await self.get(c.namespace, c.key) is None for c in changes if isinstance(c, Put)):
            await trio.lowlevel.checkpoint()
        return True

    def _make(self, changes: list[Change]) -> None:
        for change in changes:
            if isinstance(change, Put):
                self._namespaces.setdefault(change.namespace, {})[change.key] = change.value


class CompactsTooMuch(Lasting):
    async def compact(self) -> None:
        self._namespaces.clear()


class NeverShrinks(Lasting):
    largest = 0

    async def size(self) -> int:
        self.largest += 1
        return self.largest


class StaysOpen(Lasting):
    async def aclose(self) -> None:
        """Do nothing."""


class SizesWhenClosed(Lasting):
    async def size(self) -> int:
        return 0


class Forgets(Lasting):
    async def aclose(self) -> None:
        await super().aclose()
        self._namespaces.clear()


class IsNoPlace(Lasting):
    @property
    def place(self) -> Any:
        return self, self.path


class Caches(Lasting):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._namespaces = {n: dict(values) for n, values in self._namespaces.items()}


MUTANTS: dict[type[Lasting], str] = {
    DropsEmpty: "every value comes back",
    NeverReplaces: "what is put is got",
    DeletesNothing: "what is deleted is gone",
    SaysItDeleted: "what is deleted is gone",
    FoldsCase: "places are apart, and in the order of text",
    OneNamespace: "places are apart, and in the order of text",
    CutsKeys: "places are apart, and in the order of text",
    InOrderOfUtf16: "places are apart, and in the order of text",
    LikeSqlGlob: "places are apart, and in the order of text",
    MakesPartOfABatch: "a batch is made whole or not at all",
    ExpectsNothing: "a batch is made whole or not at all",
    DeletesLast: "agrees with a dictionary",
    SwapsInTwoSteps: "compare and swap loses nothing",
    StopsHalfWay: "what is cancelled is made whole or not at all",
    WritesLater: "what is cancelled is made whole or not at all",
    CompactsTooMuch: "compacting keeps everything",
    NeverShrinks: "compacting keeps everything",
    StaysOpen: "a closed store says so",
    SizesWhenClosed: "a closed store says so",
    Forgets: "what was put outlives the handle",
    IsNoPlace: "two handles are one store",
    Caches: "two handles are one store",
}
LAWS = [str(law) for law in laws.store_laws(Sound)]


@pytest.mark.parametrize("law", laws.store_laws(Sound), ids=str)
def test_a_sound_store_obeys_them(law: laws.Law) -> None:
    law.check()


def test_each_law_has_a_mutant() -> None:
    assert set(MUTANTS.values()) == set(LAWS)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_no_mutant_passes(mutant: Callable[[Path], Store]) -> None:
    (law,) = [law for law in laws.store_laws(mutant) if str(law) == MUTANTS[mutant]]  # type: ignore[index]
    with pytest.raises(LawBroken, match=f'the law "{law}" does not hold'):
        law.check()


def test_a_store_that_ends_when_it_is_closed_has_fewer() -> None:
    shorter = laws.store_laws(lambda path: InMemoryStore(), lasting=False)
    assert [str(law) for law in shorter] == LAWS[: len(shorter)]
    assert set(LAWS) - {str(law) for law in shorter} == {
        "what was put outlives the handle",
        "two handles are one store",
    }


def test_programs_may_be_drawn() -> None:
    change = st.builds(Put, st.just("n"), st.sampled_from("ab"), st.binary(max_size=2))
    drawn = laws.store_laws(NeverReplaces, programs=st.lists(change, max_size=4))
    (law,) = [law for law in drawn if str(law) == "agrees with a dictionary"]
    with pytest.raises(LawBroken, match=r"Put\(namespace='n', key='a'"):
        law.check()


def test_what_makes_no_stores_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="takes a function that opens a store at a path; got <"):
        laws.store_laws(InMemoryStore())  # type: ignore[arg-type]
