"""Effects and plans: answers, a forgotten `from`, undeclared effects, the ambient ones."""

from __future__ import annotations

from collections.abc import Generator
from typing import reveal_type

from domain import Archive, Publish, Search, archiving, gather, report, searching, searching_live

from lambdacat_effects import (
    Ambient,
    Effect,
    Log,
    NewId,
    Now,
    Performs,
    Plan,
    Random,
    Sleep,
    ambient,
    awaiting,
    blocking,
    isolated,
    log,
)


def answers(query: str) -> Plan[Search | Publish | Archive, int]:
    hits = yield from Search(query)
    reveal_type(hits)  # R: list[str]
    sent = yield from Publish(hits[0])
    reveal_type(sent)  # R: int
    reveal_type((yield from gather(query)))  # R: int
    return sent


def construction() -> None:
    reveal_type(Search("cats"))  # R: Search
    Search("cats", limit=3)
    Search()  # E: query
    Search(3)  # E: "str"
    Search("cats", limti=3)  # E: limti
    Search("cats").query = "dogs"  # E: query


def undeclared_effect(query: str) -> Plan[Search, int]:
    hits = yield from Search(query)
    yield from Archive(hits[0])  # E: "Archive"
    return len(hits)


def undeclared_plan(query: str) -> Plan[Search | Archive, int]:
    yield from report(query)  # E: Publish
    return (yield from gather(query))


def undeclared_ambient() -> Plan[Search, float]:
    return (yield from Now())  # E: "Now"


def forgotten_from(query: str) -> Plan[Search, int]:
    hits = yield Search(query)
    reveal_type(hits)  # R: object
    return len(hits)  # E: "object"


def forgotten_from_annotated(query: str) -> Plan[Search, int]:
    hits: list[str] = yield Search(query)  # E: "object"
    return len(hits)


def forgotten_from_before_a_plan(query: str) -> Plan[Search | Archive, int]:
    yield gather(query)  # E: Generator
    return 0


def wrong_answer(query: str) -> Plan[Search, int]:
    return (yield from Search(query))  # E: list[str]


def not_a_plan() -> Plan[Search, None]:
    yield from searching_live  # E: Handler


def another_send_type() -> Generator[Search, str, int]:
    reveal_type((yield Search("cats")))  # R: str
    return 1


async def sends(plan: Plan[Search, int], wrong: Generator[Search, str, int]) -> None:
    plan.send(3)
    reveal_type(await searching.run(plan))  # R: int
    await searching.run(wrong)  # E: str


def invariant(search: Search) -> None:
    same: Effect[list[str]] = search
    wider: Effect[object] = search  # E: Effect[object]
    performed: Performs[Search, object] = search
    narrower: Performs[Publish, object] = search  # E: Performs[Publish, object]
    del same, wider, performed, narrower


def rows_are_covariant(query: str) -> None:
    wider: Plan[Search | Archive | Publish, object] = gather(query)
    narrower: Plan[Search, object] = gather(query)  # E: Archive
    del wider, narrower


def slow(n: int, *, factor: float = 1) -> str:
    return str(n * factor)


async def fetch(url: str) -> bytes:
    return url.encode()


def ambients() -> Plan[Ambient, float]:
    reveal_type((yield from Now()))  # R: float
    reveal_type((yield from NewId()))  # R: str
    reveal_type((yield from log("found", hits=3)))  # R: None
    reveal_type((yield from blocking(slow, 3, factor=2)))  # R: str
    reveal_type((yield from isolated(slow, 3)))  # R: str
    reveal_type((yield from awaiting(fetch, "https://example.org")))  # R: bytes
    yield from Sleep("1")  # E: "float"
    yield from Log("found", "loud")  # E: loud
    yield from blocking(slow, "3")  # E: "int"
    yield from isolated(slow, 3, fcator=2)  # E: fcator
    yield from awaiting(slow, 3)  # E: Awaitable
    return (yield from Random())


def check() -> None:
    assert (searching | archiving).run_pure(gather("cats")) == 1
    assert ambient.run_pure(Now()) == 0
