"""The laws of stores: what every engine of the `Store` port keeps to, so that others need not know which it is."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, TypeVar, Unpack, cast

import trio

from lambdacat_effects.errors import InvalidArgument, ResourceNotOpen
from lambdacat_effects.storage.port import Change, Delete, Expect, Put, Store
from lambdacat_effects.testing.laws.inputs import Inputs
from lambdacat_effects.testing.laws.law import Checking, Law, Sides

__all__ = ["MakeStore", "StoreProgram", "store_laws"]

T = TypeVar("T")

MakeStore: TypeAlias = Callable[[Path], Store]
"""Opens a store. It is given a path where nothing is yet, unless it has made a store there before: then it opens that
one again. An engine that keeps nothing in files takes `path.name`, which is unique, for the name of the store."""

StoreProgram: TypeAlias = Sequence[Change | Sequence[Change]]
"""Changes made one after the other; those of an inner sequence in one batch."""

_Place: TypeAlias = tuple[str, str]
_Contents: TypeAlias = dict[_Place, bytes]

_NAMES: Final = (
    "a", "b", "B", "aa", "a/b", "..", ".hidden", "%41", "A", " ", "", "\0", "a\0b", "é", "e\u0301", "\uffff",
    "\U0001f408", "\ud800", "\ud83d\udc08", "con", "k" * 511, "k" * 512, "k" * 600 + "b", "k" * 600 + "a", "é" * 300,
)  # fmt: skip
_NAMESPACES: Final = ("n", "", "N", "n\0", "m" * 511, "m" * 512)
_PLACES: Final = (
    *(("n", name) for name in _NAMES),
    *((namespace, "a") for namespace in _NAMESPACES),
    # However namespace and key are cut, no two of these are one.
    ("", "abc"), ("a", "bc"), ("ab", "c"), ("abc", ""), ("a\0", "bc"), ("a", "\0bc"), ("\x01a", "bc"), ("a/b", "c"),
)  # fmt: skip
_VALUES: Final = (
    b"",
    b"value",
    b'{"a": 1}',
    b'{"a":1}',
    b"1.0",
    b"1e5",
    b"NaN",
    b"\0\xff\r\n",
    bytes(70_000),
)
_PROGRAMS: Final[tuple[StoreProgram, ...]] = (
    [Put("n", "k", b"1"), Put("n", "k", b"2"), Delete("n", "k"), Delete("n", "k"), Put("n", "k", b"")],
    [[Put("n", "a", b"1"), Put("m", "b", b"2")], [Delete("n", "a"), Put("n", "c", b"3")], Delete("m", "b")],
    [[Put("n", "k", b"1"), Delete("n", "k")], [Delete("n", "k"), Put("n", "k", b"2")], []],
    [[Put("n", "k", b"1"), Expect("n", "k", None)], [Put("n", "k", b"2"), Expect("n", "k", b"2")]],
    [[Expect("n", "k", None), Put("n", "k", b"1")], [Expect("n", "k", None), Put("n", "k", b"2")]],
    [Put("n", "k", b"1"), [Expect("n", "k", b"1"), Expect("n", "l", b""), Delete("n", "k")]],
    [
        Put("n", "k", b""),
        [Expect("n", "k", None), Put("n", "l", b"1")],
        [Expect("n", "k", b""), Delete("n", "k")],
    ],
)
_WRITERS: Final = 8


def store_laws(
    make: MakeStore,
    *,
    places: Inputs[tuple[str, str]] = _PLACES,
    values: Inputs[bytes] = _VALUES,
    programs: Inputs[StoreProgram] = _PROGRAMS,
    lasting: bool = True,
    **how: Unpack[Checking],
) -> list[Law]:
    """The laws of an engine of the `Store` port, whose stores `make(path)` opens.

    Each is checked on Trio, in stores of its own: give them to synchronous tests. `places` are (namespace, key),
    `programs` are what "agrees with a dictionary" performs. With `lasting=False`, for a store that ends when it is
    closed, the laws of reopening and of several handles are left out.

    They cannot tell what survives a crash of the process or of the machine.

    >>> from lambdacat_effects.storage import InMemoryStore
    >>> from lambdacat_effects.testing import laws
    >>> for law in laws.store_laws(lambda path: InMemoryStore(), lasting=False):
    ...     law.check()
    """
    if not callable(cast(object, make)):
        raise InvalidArgument(f"store_laws() takes a function that opens a store at a path; got {make!r}")

    def on(work: Callable[[Store], Awaitable[T]]) -> T:
        return _in_store(make, work)

    stated = [*_of_places(on, places, values), *_of_changes(on, values, programs), *_of_the_store(on)]
    if lasting:
        stated += _of_handles(make, places)
    return [Law(*each, **how) for each in stated]


class _On(Protocol):
    """Does some work on a store of its own."""

    def __call__(self, work: Callable[[Store], Awaitable[T]]) -> T: ...


_Stated: TypeAlias = tuple[str, str, Sides, dict[str, Any]]
"""A name, an equation, its two sides, and its inputs."""


def _of_places(on: _On, p: Inputs[_Place], v: Inputs[bytes]) -> list[_Stated]:
    return [
        (
            "what is put is got",
            "after put(p, v): get(p) == v, scan finds it, and a second put replaces it, for any place p",
            lambda p: (on(lambda store: _put_and_get(store, p, b"v")), (None, b"v", [(p[1], b"v")], b"w")),
            {"p": p},
        ),
        (
            "every value comes back",
            "after put(p, v): get(p) == v, and scan finds it, byte for byte",
            lambda v: (on(lambda store: _put_and_get(store, ("n", "k"), v)), (None, v, [("k", v)], b"w")),
            {"v": v},
        ),
        (
            "what is deleted is gone",
            "after put(p, v): delete(p) is True, get(p) is None, delete(p) is False",
            lambda p: (on(lambda store: _delete(store, p)), (True, None, False, [])),
            {"p": p},
        ),
        (
            "places are apart, and in the order of text",
            "after put(p, i) for all p: get(p) == i, and scan(n, prefix) is sorted as Python sorts text",
            lambda places: (on(lambda store: _fill(store, places)), _filled(places)),
            {"places": [tuple(cast("Iterable[_Place]", p))] if isinstance(p, (list, tuple)) else [_PLACES]},
        ),
    ]


def _of_changes(on: _On, v: Inputs[bytes], programs: Inputs[StoreProgram]) -> list[_Stated]:
    return [
        (
            "a batch is made whole or not at all",
            "batch([Put(p, v), Expect(q, wrong), Put(r, w)]) is False and changes nothing",
            lambda v: (on(lambda store: _refused(store, v)), (False, False, [("k", v)])),
            {"v": v},
        ),
        (
            "compare and swap loses nothing",
            f"{_WRITERS} tasks that each add 1 by compare_and_swap have added {_WRITERS}",
            lambda: (on(lambda store: _count([store])), _WRITERS),
            {},
        ),
        (
            "what is cancelled is made whole or not at all",
            "a batch that is cancelled has made all of its changes when it ends, or none, and makes none later",
            lambda: (on(_cancelled), True),
            {},
        ),
        (
            "agrees with a dictionary",
            "performing a program on a store == performing it on a dict",
            lambda program: (on(lambda store: _perform(store, program)), _expected(program)),
            {"program": programs},
        ),
    ]


def _of_the_store(on: _On) -> list[_Stated]:
    return [
        (
            "compacting keeps everything",
            "scan(n) after compact() == scan(n) before, and size() does not grow when everything is deleted",
            lambda: (on(_compacted), (True, True)),
            {},
        ),
        (
            "a closed store says so",
            "after aclose(), twice: every method raises ResourceNotOpen",
            lambda: (on(_closed), ["ResourceNotOpen"] * 7),
            {},
        ),
    ]


def _of_handles(make: MakeStore, p: Inputs[_Place]) -> list[_Stated]:
    return [
        (
            "what was put outlives the handle",
            "get(p) after put(p, v), aclose() and opening again == v",
            lambda p: (_reopened(make, p), b"kept"),
            {"p": p},
        ),
        (
            "two handles are one store",
            "place is equal, what one puts the other gets, and compare_and_swap by both loses nothing",
            lambda: (_two_handles(make), (True, b"1", _WRITERS)),
            {},
        ),
    ]


def _in_path(work: Callable[[Path], Awaitable[T]]) -> T:
    with tempfile.TemporaryDirectory(prefix="store-") as directory:
        return trio.run(work, Path(directory) / Path(directory).name)


def _in_store(make: MakeStore, work: Callable[[Store], Awaitable[T]]) -> T:
    async def run(path: Path) -> T:
        async with make(path) as store:
            return await work(store)
        raise AssertionError("a store's `async with` has swallowed an error")

    return _in_path(run)


async def _put_and_get(store: Store, p: _Place, v: bytes) -> object:
    before = await store.get(*p)
    await store.put(*p, v)
    kept, found = await store.get(*p), await store.scan(p[0], p[1])
    await store.put(*p, b"w")
    return before, kept, found, await store.get(*p)


async def _delete(store: Store, p: _Place) -> object:
    await store.put(*p, b"v")
    found = await store.delete(*p)
    return found, await store.get(*p), await store.delete(*p), await store.scan(p[0])


async def _fill(store: Store, places: Sequence[_Place]) -> object:
    for i, place in enumerate(places):
        await store.put(*place, b"%d" % i)
    kept = {place: await store.get(*place) for place in places}
    scans = {(n, prefix): await store.scan(n, prefix) for n, prefix in _scanned(places)}
    return kept, scans


def _filled(places: Sequence[_Place]) -> object:
    kept = {place: b"%d" % i for i, place in enumerate(places)}
    return kept, {(n, prefix): _scan(kept, n, prefix) for n, prefix in _scanned(places)}


def _scanned(places: Sequence[_Place]) -> list[_Place]:
    # A key is a prefix of itself, and its beginnings are prefixes of it and of others.
    prefixes = {(n, key[:length]) for n, key in places for length in (0, 1, 2, 480, 512, len(key))}
    return sorted({*prefixes, ("nothing", "")})


def _scan(contents: _Contents, namespace: str, prefix: str) -> list[tuple[str, bytes]]:
    return sorted((k, v) for (n, k), v in contents.items() if n == namespace and k.startswith(prefix))


async def _refused(store: Store, v: bytes) -> object:
    await store.put("n", "k", v)
    changes: list[Change] = [Put("n", "k", b"other"), Expect("n", "k", v + b"?"), Put("m", "l", b"w")]
    refused = await store.batch(changes)
    swapped = await store.compare_and_swap("n", "k", None, b"w")
    return refused, swapped, [*(await store.scan("n")), *(await store.scan("m"))]


async def _count(stores: Sequence[Store]) -> object:
    async def add(store: Store) -> None:
        while True:
            before = await store.get("n", "count")
            after = b"%d" % (int(before or 0) + 1)
            await trio.lowlevel.checkpoint()
            if await store.compare_and_swap("n", "count", before, after):
                return

    async with trio.open_nursery() as nursery:
        for i in range(_WRITERS):
            nursery.start_soon(add, stores[i % len(stores)])
    return int(await stores[0].get("n", "count") or 0)


async def _cancelled(store: Store) -> object:
    whole = True
    for ticks in range(4):
        names = [f"{ticks}-{i}" for i in range(3)]

        async def write(names: Sequence[str] = names) -> None:
            await store.batch([Put("n", name, b"v") for name in names])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            for _ in range(ticks):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        there = [await store.get("n", name) for name in names]
        await store.put("other", "k", b"")  # what was still under way would be there after this
        whole = whole and there in ([b"v"] * 3, [None] * 3)
        whole = whole and there == [await store.get("n", name) for name in names]
    return whole


async def _compacted(store: Store) -> object:
    for i in range(40):
        await store.put("n", str(i), bytes(5_000))
    before, size = await store.scan("n"), await store.size()
    await store.compact()
    kept = await store.scan("n") == before
    await store.batch([Delete("n", str(i)) for i in range(40)])
    await store.compact()
    return kept, await store.size() <= size


async def _closed(store: Store) -> object:
    await store.aclose()
    await store.aclose()
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: store.get("n", "k"),
        lambda: store.scan("n"),
        lambda: store.put("n", "k", b""),
        lambda: store.delete("n", "k"),
        lambda: store.compare_and_swap("n", "k", None, b""),
        lambda: store.batch([Put("n", "k", b"")]),
        store.size,
    ]
    found: list[str] = []
    for call in calls:
        try:
            found.append(repr(await call()))
        except ResourceNotOpen as error:
            found.append(type(error).__name__)
    return found


async def _perform(store: Store, program: StoreProgram) -> object:
    answers: list[object] = []
    for step in program:
        if isinstance(step, Put):
            await store.put(*step)
            answers.append(None)
        elif isinstance(step, Delete):
            answers.append(await store.delete(*step))
        else:
            answers.append(await store.batch(_changes(step)))
    return answers, {n: await store.scan(n) for n in _namespaces(program)}


def _expected(program: StoreProgram) -> object:
    contents: _Contents = {}
    answers: list[object] = []
    for step in program:
        if isinstance(step, Put):
            answers.append(None)
        elif isinstance(step, Delete):
            answers.append((step.namespace, step.key) in contents)
        else:
            met = all(
                contents.get((change.namespace, change.key)) == change.value
                for change in _changes(step)
                if isinstance(change, Expect)
            )
            answers.append(met)
            if not met:
                continue
        for change in _changes(step):
            if isinstance(change, Put):
                contents[change.namespace, change.key] = change.value
            elif isinstance(change, Delete):
                contents.pop((change.namespace, change.key), None)
    return answers, {n: _scan(contents, n, "") for n in _namespaces(program)}


def _changes(step: Change | Sequence[Change]) -> Sequence[Change]:
    return (step,) if isinstance(step, (Put, Delete, Expect)) else step


def _namespaces(program: StoreProgram) -> list[str]:
    return sorted({change.namespace for step in program for change in _changes(step)})


def _reopened(make: MakeStore, p: _Place) -> object:
    async def run(path: Path) -> object:
        async with make(path) as store:
            await store.put(*p, b"kept")
        async with make(path) as store:
            return await store.get(*p)

    return _in_path(run)


def _two_handles(make: MakeStore) -> object:
    async def run(path: Path) -> object:
        async with make(path) as one, make(path) as two:
            await one.put("n", "k", b"1")
            return one.place == two.place, await two.get("n", "k"), await _count([one, two])

    return _in_path(run)
