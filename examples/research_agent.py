"""An agent that answers questions from documents on this machine: no key, no network, no language model.

    lambdacat run examples/research_agent.py:research "How do I remove common leading whitespace from text?"

It is written twice: `research` is a generator, `research_dsl` is composed of named steps. Both ask for the same.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TypeAlias

import trio
from attrs import evolve, frozen

from lambdacat_effects import (
    MISSING,
    Memory,
    Missing,
    Plan,
    Tools,
    call_tools,
    lmdb_memory,
    parallel,
    recall,
    remember,
    span,
    tool,
)
from lambdacat_effects import plan as dsl
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.tools import search
from lambdacat_effects.tools.search.terms import question_terms
from lambdacat_effects.tools.summarise import CitedSentence, extractive_summary

Found: TypeAlias = list[search.Passage] | Missing
"""What a source has found; MISSING if it was too late."""


@frozen
class Question:
    text: str
    terms: tuple[str, ...]

    @staticmethod
    def parse(text: str) -> Question:
        terms = tuple([term.word for term in question_terms(text)])
        if not terms:
            raise InvalidArgument(f"{text!r} has no word to search for: ask, say, 'how do I sort a list?'")
        return Question(" ".join(text.split()), terms)


@frozen
class Answer:
    question: Question
    sentences: tuple[CitedSentence, ...]
    late: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = [f"  {sentence.text}\n      -- {sentence.source}" for sentence in self.sentences]
        nothing = [f"  Nothing found about {', '.join(self.question.terms)}."]
        late = [f"  ({source} did not answer in time)" for source in self.late]
        kind = ["", "An extractive summary (no language model): each sentence is verbatim from its source."]
        return "\n".join([self.question.text, "", *(said or nothing), *late, *(kind if said else [])])


# The tools. They are plain functions, which run in threads, so that two searches go on at the same time.

PROJECT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lambdacat"
MARKDOWN = ["*.md"]


def docs() -> search.EmbeddedIndex:
    """The index of this project's documents, built if they have changed."""
    if not (PROJECT / "lambdacat_effects").is_dir():
        return search.EmbeddedIndex()  # this file is not where it came from, so there is nothing to find
    now = search.folder_fingerprint(PROJECT, MARKDOWN)
    passages = partial(search.folder_passages, PROJECT, MARKDOWN)
    return search.EmbeddedIndex.build_or_open(CACHE / "docs.db", now, passages)


def stdlib() -> search.EmbeddedIndex:
    """The index of Python's own documentation. Building it takes some seconds."""
    now = search.stdlib_fingerprint()
    return search.EmbeddedIndex.build_or_open(CACHE / "stdlib.db", now, search.stdlib_passages)


@tool
def index_docs() -> None:
    docs().close()


@tool
def index_stdlib() -> None:
    stdlib().close()


@tool
def search_docs(question: str, *, limit: int = 8) -> list[search.Passage]:
    with docs() as index:
        return index.search(question, limit)


@tool
def search_stdlib(question: str, *, limit: int = 8) -> list[search.Passage]:
    with stdlib() as index:
        return index.search(question, limit)


@tool
def synthesise(question: Question, docs: Found, stdlib: Found) -> Answer:
    found = {"docs": docs, "stdlib": stdlib}
    # Scores of two indexes are not comparable, so the best passage of each counts as 1.
    passages = [
        evolve(p, score=p.score / (ps[0].score or 1))
        for ps in found.values()
        if ps is not MISSING
        for p in ps
    ]
    late = tuple([source for source, passages in found.items() if passages is MISSING])
    return Answer(question, tuple(extractive_summary(question.text, passages)), late)


# The agent as a generator.


def research(question: str) -> Plan[Tools | Memory, Answer]:
    """Answer a question from documents on this machine, and say where each sentence comes from."""
    asked = Question.parse(question)
    known = yield from recall("answers", asked.text, as_type=Answer)
    if known is not None:
        return known
    yield from span("prepare", parallel(index_docs(), index_stdlib()))
    docs, stdlib = yield from parallel(
        search_docs(asked.text), search_stdlib(asked.text), timeout=2.0, partial=True
    )
    answer = yield from synthesise(asked, docs, stdlib)
    if not answer.late:  # else the next run may find more
        yield from remember("answers", asked.text, answer)
    return answer


# The same agent, composed of steps from one state to the next.


@frozen
class Research:
    question: Question
    docs: Found = MISSING
    stdlib: Found = MISSING
    answer: Answer | None = None


Step: TypeAlias = Plan[Tools | Memory, Research]


def recall_answer(state: Research) -> Step:
    return evolve(state, answer=(yield from recall("answers", state.question.text, as_type=Answer)))


def prepare(state: Research) -> Step:
    yield from parallel(index_docs(), index_stdlib())
    return state


def find_docs(state: Research) -> Step:
    return evolve(state, docs=(yield from search_docs(state.question.text)))


def find_stdlib(state: Research) -> Step:
    return evolve(state, stdlib=(yield from search_stdlib(state.question.text)))


def write(state: Research) -> Step:
    return evolve(state, answer=(yield from synthesise(state.question, state.docs, state.stdlib)))


def remember_answer(state: Research) -> Step:
    if state.answer is not None and not state.answer.late:
        yield from remember("answers", state.question.text, state.answer)
    return state


steps = [recall_answer, prepare, find_docs, find_stdlib, write, remember_answer]
actions = dsl.Actions.of({step.__name__: step for step in steps})

searches = dsl.parallel("find_docs", "find_stdlib", timeout_s=2.0, partial=True)
work = dsl.sequence("prepare", searches, "write", "remember_answer")
agent = dsl.sequence("recall_answer", dsl.loop_while(lambda state: state.answer is None, work))
program = dsl.compile_plan(agent, actions)


def research_dsl(question: str) -> Plan[Tools | Memory, Answer]:
    """The same as `research`."""
    answer: Answer = (yield from program(Research(Question.parse(question)))).answer
    return answer


if __name__ == "__main__":
    live = call_tools(index_docs, index_stdlib, search_docs, search_stdlib, synthesise)
    print(trio.run((live | lmdb_memory(".lambdacat")).run, research(" ".join(sys.argv[1:]))))
