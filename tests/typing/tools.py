"""Tools: typed constructors of `CallTool`, made from async, plain and generator functions."""

from __future__ import annotations

from typing import Any, reveal_type

from domain import Hit, Search, ask_twice, calling, search_papers, search_web, searching

from lambdacat_effects import CallTool, Plan, Tools, parallel, tool


def kinds() -> None:
    made = search_papers
    reveal_type(made)  # R: Tool[(query: str), list[Paper]]  # R[mypy]: Tool[[query: str], list[Paper]]
    reveal_type(search_web("cats"))  # R: CallTool[list[Hit]]
    reveal_type(search_papers("cats"))  # R: CallTool[list[Paper]]
    reveal_type(ask_twice("cats"))  # R: CallTool[int]


def calls(query: str) -> Plan[Tools, int]:
    hits = yield from search_web(query, limit=3)
    reveal_type(hits)  # R: list[Hit]
    reveal_type(hits[0].url)  # R: str
    reveal_type((yield from ask_twice(query)))  # R: int
    web, papers = yield from parallel(search_web(query), search_papers(query), timeout=2.0)
    reveal_type(papers)  # R: list[Paper]
    return len(web) + len(papers)


def bad_calls() -> Plan[Tools, None]:
    yield from search_web(3)  # E: "str"
    yield from search_web()  # E: query
    yield from search_web("cats", limti=3)  # E: limti
    yield from search_web("cats", 3)  # E: ositional argument
    yield from search_papers(["cats"])  # E: "str"
    yield from search_web  # E: Tool[


def bad_answers(query: str) -> Plan[Tools, int]:
    hits: list[str] = yield from search_web(query)  # E: list[Hit]
    first = (yield from search_papers(query))[0]
    first.url  # E: "url"
    return hits  # E: list[str]


def undeclared_tool(query: str) -> Plan[Search, list[Hit]]:
    return (yield from search_web(query))  # E: CallTool


@tool(name="web", inline=True)
def named(query: str) -> str:
    return query


def named_calls() -> Plan[CallTool[str], str]:
    reveal_type(named("cats"))  # R: CallTool[str]
    yield from named(3)  # E: "str"
    yield from search_web("cats")  # E: CallTool[list[Hit]]
    return (yield from named("cats"))


def labels(precise: Plan[CallTool[str], str], loose: Plan[Tools, str]) -> None:
    wider: Plan[Tools, str] = precise
    narrower: Plan[CallTool[str], str] = loose
    del wider, narrower


async def handled() -> None:
    reveal_type(calling)  # R: Handler[CallTool[Any]]
    reveal_type(await calling.run(calls("cats")))  # R: int
    reveal_type(await calling.run(search_web("cats")))  # R: list[Hit]
    await searching.run(calls("cats"))  # E: Tool
    tool(3)  # E: tool
    tool(name=3)  # E: tool


def check() -> None:
    calls = CallTool[Any].by(lambda call: [Hit(*call.args)] * call.kwargs["limit"])
    assert calls.run_pure(search_web("cats", limit=3)) == [Hit("cats")] * 3
    assert named("cats") == named("cats")
