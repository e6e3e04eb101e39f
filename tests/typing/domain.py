"""What a user's project defines: the effects, tools, errors, plans and handlers that the other files here use.

Nothing in this file is marked: it must be free of errors under every checker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambdacat_effects import CallTool, Effect, Fail, Need, Plan, Sleep, Tools, effect, fail, tool


@effect
class Search(Effect[list[str]]):
    query: str
    limit: int = 5


@effect
class Publish(Effect[int]):
    message: str


@effect
class Archive(Effect[None]):
    url: str


@dataclass
class Hit:
    url: str


@dataclass
class Paper:
    title: str


@dataclass
class Answer:
    text: str


class NotFound(Exception): ...


class Limited(Exception): ...


class Denied(Exception): ...


class Db:
    def get(self, key: str) -> str:
        return key


class Cache:
    size = 3


@tool
async def search_web(query: str, *, limit: int = 5) -> list[Hit]:
    return [Hit(query)] * limit


@tool(inline=True)
def search_papers(query: str) -> list[Paper]:
    return [Paper(query)]


@tool
def ask_twice(query: str) -> Plan[Search, int]:
    return len((yield from Search(query))) + len((yield from Search(query)))


def gather(query: str) -> Plan[Search | Archive, int]:
    hits = yield from Search(query)
    yield from Archive(hits[0])
    return len(hits)


def report(query: str) -> Plan[Search | Archive | Publish, str]:
    n = yield from gather(query)
    return str((yield from Publish(str(n))))


def risky(query: str) -> Plan[Search | Fail[NotFound] | Fail[Limited], str]:
    hits = yield from Search(query)
    if not hits[0]:
        yield from fail(NotFound())
    if len(hits) > 9:
        yield from Fail(Limited())
    return hits[0]


def riskier(query: str) -> Plan[Search | Fail[NotFound] | Fail[Limited] | Fail[Denied], str]:
    if query == "secret":
        yield from fail(Denied())
    return (yield from risky(query))


def stored(key: str) -> Plan[Need[Db] | Need[Cache], str]:
    cache = yield from Need(Cache)
    db = yield from Need(Db)
    return db.get(key) * cache.size


@Search.by
async def searching_live(search: Search) -> list[str]:
    return [search.query]


@Search.by
def searching(search: Search) -> list[str]:
    return [search.query]


@Search.by
def searching_slowly(search: Search) -> Plan[Sleep, list[str]]:
    yield from Sleep(1)
    return [search.query]


@Archive.by
def archiving(_archive: Archive) -> None: ...


publishing = Publish.by(lambda publish: len(publish.message))


@CallTool[Any].by
def calling(_call: Tools) -> Any:
    return []
