"""Handlers: composing, running, partial handling, interposers, dependencies, and what is missing."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, reveal_type

import trio
from domain import (
    Archive,
    Cache,
    Db,
    Publish,
    Search,
    archiving,
    gather,
    publishing,
    report,
    risky,
    searching,
    searching_live,
    searching_slowly,
    stored,
)

from lambdacat_effects import Ambient, Event, Handler, Need, Now, Plan, Sleep, ambient, raising, supply


def wrong_plain(search: Search) -> int:
    return len(search.query)


async def wrong_async(search: Search) -> int:
    return len(search.query)


def wrong_generator(search: Search) -> Plan[Sleep, int]:
    yield from Sleep(1)
    return len(search.query)


async def right(search: Search) -> list[str]:
    return [search.query]


def made() -> None:
    reveal_type(searching)  # R: Handler[Search]
    reveal_type(searching_live)  # R: Handler[Search]
    reveal_type(searching_slowly)  # R: Handler[Search]
    reveal_type(publishing)  # R: Handler[Publish]
    Search.by(right)
    Search.by(wrong_plain)  # E: int
    Search.by(wrong_async)  # E: int
    Search.by(wrong_generator)  # E: int
    Search.by(lambda search: len(search.query))  # E: int
    Search.by(lambda search: [search.qwery])  # E: qwery
    Publish.by(right)  # E: Search
    Search.by(["a"])  # E: list[str]


def composed() -> None:
    reveal_type(searching | archiving)  # R: Handler[Search | Archive]
    reveal_type(searching | archiving | publishing)  # R: Handler[Search | Archive | Publish]
    reveal_type(ambient | searching)  # R: Handler[Search]
    wider: Handler[Search] = searching | archiving
    narrower: Handler[Search | Archive] = searching  # E: Handler[Search | Archive]
    searching | 3  # E: Handler[Search]
    del wider, narrower


def listen(_event: Event) -> None: ...


async def run() -> None:
    both = searching | archiving
    reveal_type(await both.run(gather("cats")))  # R: int
    reveal_type(await both.run(Search("cats")))  # R: list[str]
    reveal_type(await (both | publishing).run(gather("cats"), name="gather", listen=listen))  # R: int
    await searching.run(gather("cats"))  # E: Archive
    await both.run(report("cats"))  # E: Publish  # E[mypy-plugin]: No handler here answers "Publish"
    await ambient.run(Search("cats"))  # E: Search
    await both.run(gather)  # E: str
    await both.run(right(Search("cats")))  # E: Coroutine
    await both.run(gather("cats"), listen=gather)  # E: str
    await searching.run(risky("cats"))  # E: Fail[NotFound]  # E[mypy-plugin]: "handlers | raising"
    reveal_type(await (searching | raising).run(risky("cats")))  # R: str
    wrong: str = await both.run(gather("cats"))  # E: str
    del wrong


def run_pure() -> None:
    both = searching | archiving
    reveal_type(both.run_pure(gather("cats")))  # R: int
    reveal_type(both.run_pure(Search("cats")))  # R: list[str]
    both.run_pure(report("cats"))  # E: Publish


def run_with_trio() -> None:
    both = searching | archiving
    reveal_type(trio.run(both.run, gather("cats")))  # R: int
    reveal_type(trio.run(both.run, Search("cats")))  # R: list[str]
    trio.run(both.run, report("cats"))  # E: Publish
    trio.run(both.run, 3)  # E: Performs


def ticking() -> Plan[Search | Ambient, float]:
    yield from Search("cats")
    yield from Sleep(1)
    return (yield from Now())


def ambient_effects() -> None:
    reveal_type(searching.run_pure(ticking()))  # R: float
    reveal_type(ambient.run_pure(Now()))  # R: float
    archiving.run_pure(ticking())  # E: Search
    reveal_type(Now.by(lambda _: 0.0) | searching)  # R: Handler[Now | Search]
    reveal_type((Now.by(lambda _: 0.0) | searching).run_pure(ticking()))  # R: float


def handle() -> None:
    reveal_type(searching.handle(gather("cats")))  # R: Generator[Archive, object, int]
    reveal_type((searching | archiving).handle(gather("cats")))  # R: Generator[Never, object, int]
    reveal_type(archiving.handle(searching.handle(gather("cats"))))  # R: Generator[Never, object, int]
    reveal_type((searching | archiving).handle(report("cats")))  # R: Generator[Publish, object, str]
    reveal_type(searching.handle(Search("cats")))  # R: Generator[Never, object, list[str]]
    reveal_type(publishing.handle(Search("cats")))  # R: Generator[Search, object, list[str]]
    reveal_type(searching.handle(report("cats")))  # plugin  # R: Generator[Archive | Publish, object, str]
    left: Plan[Archive | Publish, str] = searching.handle(report("cats"))
    forgotten: Plan[Archive, str] = searching.handle(report("cats"))  # E: Publish
    archiving.run_pure((searching | publishing).handle(report("cats")))
    archiving.run_pure(searching.handle(report("cats")))  # E: Publish
    searching.handle(3)  # E: handle
    del left, forgotten


def polite(search: Search) -> Generator[Any, Any, list[str]]:
    return [hit + ", please" for hit in (yield from search)]


def behind() -> None:
    reveal_type(searching.behind(polite))  # R: Handler[Search]
    reveal_type((searching | archiving).behind(polite, polite))  # R: Handler[Search | Archive]
    searching.behind(polite(Search("cats")))  # E: Generator
    searching.behind(wrong_plain)  # E: int
    searching.behind(right)  # E: Coroutine
    searching.behind(polite).run_pure(gather("cats"))  # E: Archive


def needs() -> Plan[Need[Db], str]:
    db = yield from Need(Db)
    reveal_type(db)  # R: Db
    yield from Need(Cache)  # E: Need[Cache]
    yield from Need("db")  # E: type[
    return db.get("x")


def asked() -> Plan[Need[Db], Db]:
    return (yield from Need(Db))


def either(key: type[Db | Cache]) -> Plan[Need[Db | Cache], Db | Cache]:
    return (yield from Need(key))


def supplied(one: Handler[Need[Db | Cache]]) -> None:
    db, cache = supply(Db, Db()), supply(Cache, Cache())
    reveal_type(db)  # R: Handler[Need[Db]]
    reveal_type((db | cache).run_pure(stored("x")))  # R: str
    reveal_type(db.handle(stored("x")))  # R: Generator[Need[Cache], object, str]
    db.run_pure(stored("x"))  # E: Need[Cache]  # E[mypy-plugin]: "handlers | supply(...)"
    one.run_pure(stored("x"))  # E: Need[
    one.run_pure(either(Db))
    (db | cache).run_pure(either(Db))  # E: Need[Db | Cache]
    supply(Db, Cache()).run_pure(asked())  # E: Need[


def check() -> None:
    everything = searching | archiving | publishing
    assert everything.run_pure(report("cats")) == "1"
    assert trio.run(everything.run, searching_slowly.handle(archiving.handle(gather("cats")))) == 1
    assert searching.behind(polite).run_pure(Search("cats")) == ["cats, please"]
    assert (supply(Db, Db()) | supply(Cache, Cache())).run_pure(stored("x")) == "xxx"
    assert Archive("x") == Archive("x")
