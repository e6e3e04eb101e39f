"""Durable runs: answers and rows are those of the plan, and what asks waits for an answer of its type."""

from __future__ import annotations

from typing import Any, reveal_type

from domain import Hit, Search, calling, search_web, searching

from lambdacat_effects import (
    Ambient,
    Ask,
    Durable,
    Plan,
    Saga,
    Sleep,
    Tools,
    ambient,
    answer_tools,
    ask,
    continue_as_new,
    idempotency_key,
    on_cancel,
    patched,
    saga,
)


def counting(query: str, most: int = 3) -> Plan[Tools, int]:
    hits = yield from search_web(query, limit=most)
    return len(hits)


def approved(query: str) -> Plan[Tools | Ask[bool] | Ambient, int]:
    sure = yield from ask("Sure?", as_type=bool)
    reveal_type(sure)  # R: bool
    reveal_type((yield from patched("a change")))  # R: bool
    return (yield from counting(query)) if sure else 0


def asking() -> Plan[Ask[Any], Hit]:
    name = yield from ask("Who?")
    reveal_type(name)  # R: str
    reveal_type(ask("Which?", as_type=Hit))  # R: Ask[Hit]
    ask(3)  # E: ask
    ask("Who?", as_type=3)  # E: ask
    return (yield from ask(name, as_type=Hit))


def endless(n: int) -> Plan[Tools | Sleep | Ambient, int]:
    yield from Sleep(1)
    if n < 3:
        return (yield from continue_as_new(endless, n + 1))
    yield from continue_as_new(endless, "many")  # E: "int"
    yield from continue_as_new(endless)  # E: n
    yield from patched(3)  # E: "str"
    return n


async def performed(durable: Durable) -> None:
    reveal_type(await durable.run("r", counting, "cats", handlers=calling))  # R: int
    reveal_type(await durable.run("r", approved, "cats", handlers=calling))  # R: int
    reveal_type(await durable.run("r", asking, handlers=ambient))  # R: Hit
    reveal_type(await durable.run("r", endless, 1, handlers=calling))  # R: int
    reveal_type(idempotency_key())  # R: str | None
    reveal_type(await durable.run_or_resume("r", counting, "cats", handlers=calling))  # R: int
    reveal_type(await durable.run_or_resume("r", asking, handlers=ambient, note="of Ann"))  # R: Hit
    reveal_type(await durable.questions("r"))  # R: list[Question]
    await durable.run_or_resume("r", counting, "cats", handlers=searching)  # E: Tool
    await durable.run_or_resume("r", counting, 3, handlers=calling)  # E: str
    await durable.run_or_resume("r", counting("cats"), handlers=calling)  # E: run
    await durable.answer("r", True, at=3)  # E: str
    await durable.run("r", counting, "cats", handlers=searching)  # E: Tool
    await durable.run("r", counting, 3, handlers=calling)  # E: str
    await durable.run("r", counting("cats"), handlers=calling)  # E: run
    await durable.run(3, counting, "cats", handlers=calling)  # E: "str"
    await durable.answer(3, True)  # E: "str"
    plan, _ = durable.prepared("r", endless, 3, handlers=calling)
    reveal_type(await calling.run(plan))  # R: int


def stepped(steps: Saga) -> Plan[Tools | Search, int]:
    hits = yield from steps.step(search_web("cats"), lambda hits: Search(hits[0].url))
    reveal_type(hits)  # R: list[Hit]
    yield from on_cancel(search_web("dogs"), Search("dogs"))
    return len(hits)


def made_up_for() -> Plan[Tools | Search, int]:
    reveal_type((yield from saga(stepped)))  # R: int
    return (yield from saga(stepped))


def undeclared(steps: Saga) -> Plan[Tools, None]:
    yield from steps.step(search_web("cats"), lambda hits: Search(hits[0].url))  # E: Search
    yield from on_cancel(search_web("cats"), Search("cats"))  # E: Search
    yield from steps.step(search_web("cats"), lambda hits: hits.url)  # E: "url"
    yield from saga(stepped)  # E: Search


def check() -> None:
    pure = answer_tools({search_web: [Hit("cats")]}) | Search.by(lambda _: [])
    assert pure.run_pure(made_up_for()) == 1
