"""Memory: typed recall, and the example of the project's introduction."""

from __future__ import annotations

from typing import reveal_type

import trio
from domain import Answer, Hit, Paper, Search, search_papers, search_web

import lambdacat_effects.algebra
import lambdacat_effects.storage
from lambdacat_effects import (
    Memory,
    Plan,
    Tools,
    answer_tools,
    call_tools,
    forget,
    in_memory,
    lmdb_memory,
    parallel,
    recall,
    remember,
    span,
)


def synthesise(question: str, hits: list[Hit], papers: list[Paper]) -> Plan[Tools, Answer]:
    yield from search_web(question)
    return Answer(f"{len(hits)} {len(papers)}")


def research(question: str) -> Plan[Tools | Memory, Answer]:
    known = yield from recall("answers", question, as_type=Answer)
    reveal_type(known)  # R: Answer | None
    if known is not None:
        return known
    web, papers = yield from parallel(search_web(question), search_papers(question), timeout=2.0)
    reveal_type(web)  # R: list[Hit]
    reveal_type(papers)  # R: list[Paper]
    answer = yield from span("synthesise", synthesise(question, web, papers))
    reveal_type(answer)  # R: Answer
    yield from remember("answers", question, answer)
    return answer


def research_without_memory(question: str) -> Plan[Tools, Answer]:
    known = yield from recall("answers", question, as_type=Answer)  # E: Recall
    if known is not None:
        return known
    web, papers = yield from parallel(search_web(question), search_papers(question), timeout=2.0)
    answer = yield from span("synthesise", synthesise(question, web, papers))
    yield from remember("answers", question, answer)  # E: Remember
    return answer


def research_without_tools(question: str) -> Plan[Memory, Answer]:
    web, papers = yield from parallel(search_web(question), search_papers(question))  # E: CallTool
    return (yield from span("synthesise", synthesise(question, web, papers)))  # E: CallTool


def unpacked_wrongly(question: str) -> Plan[Tools, int]:
    web, papers, _more = yield from parallel(search_web(question), search_papers(question))  # E: 3
    return len(web) + len(papers)


def recalled() -> Plan[Memory, int]:
    n = yield from recall("site", "visits", as_type=int)
    reveal_type(n)  # R: int | None
    reveal_type((yield from recall("site", "hits", as_type=list[Hit])))  # R: list[Hit] | None
    reveal_type((yield from remember("site", "visits", 3)))  # R: None
    reveal_type((yield from forget("site", "visits")))  # R: bool
    return n  # E: "int"


def bad_arguments() -> Plan[Memory, None]:
    yield from recall("site", "visits")  # E: as_type
    yield from recall("site", "visits", as_type=3)  # E: type[
    yield from recall(3, "visits", as_type=int)  # E: "str"
    yield from remember("site", "visits")  # E: value
    yield from remember("site", 3, "visits")  # E: "str"
    yield from Search("cats")  # E: Search


def production() -> None:
    tools, memory = call_tools(search_web, search_papers), lmdb_memory("state")
    reveal_type(trio.run((tools | memory).run, research("why do cats purr?")))  # R: Answer
    trio.run(tools.run, research("why do cats purr?"))  # E: CallTool
    memory.run_pure(research("why do cats purr?"))  # E: Tool


def check() -> None:
    pure = answer_tools({search_web: [Hit("cats")], search_papers: []}) | in_memory()
    answer: Answer = pure.run_pure(research("why do cats purr?"))
    assert answer == Answer("1 0")
    assert pure.run_pure(recall("answers", "why do cats purr?", as_type=Answer)) == answer


def names_that_are_not_there() -> None:
    """Though some of the package's names are imported only when they are asked for."""
    lambdacat_effects.recal("answers", "why?")  # E: recal
    lambdacat_effects.storage.LmbdStore("state")  # E: LmbdStore
    lambdacat_effects.algebra.Beleif()  # E: Beleif
    reveal_type(lambdacat_effects.storage.JsonStore("state"))  # R: JsonStore
    reveal_type(lambdacat_effects.algebra.Belief())  # R: Belief
