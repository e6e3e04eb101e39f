"""The research agent: one agent, written twice, under three interpretations."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from lambdacat_effects import (
    Handler,
    Plan,
    Sleep,
    answer_tools,
    blocking,
    call_tools,
    in_memory,
    lmdb_memory,
    recall,
)
from lambdacat_effects.cli.loading import load
from lambdacat_effects.effects.tools import CallTool
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.observability import Recorder
from lambdacat_effects.runtime.events import Started
from lambdacat_effects.tools.search import Passage

FILE = Path(__file__).parents[2] / "examples" / "research_agent.py"
QUESTION = "How do I remove common leading whitespace from text?"

DOCS = [Passage("Plans are generators. Whitespace is removed from questions.", "docs/plans.md", "plans", 2.0)]
STDLIB = [
    Passage("Remove any common leading whitespace from text.", "textwrap.dedent", "textwrap.dedent", 50.0),
    Passage("Return a copy of the text with leading whitespace removed.", "str.lstrip", "str.lstrip", 20.0),
]

Agent = Callable[[str], Plan[Any, Any]]


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    """The example, loaded as `lambdacat run` loads it."""
    path = [*sys.path]
    module = load(str(FILE))
    yield module
    sys.path[:] = path


@pytest.fixture(params=["research", "research_dsl"])
def agent(request: pytest.FixtureRequest, example: Any) -> Agent:
    """Each of the two versions."""
    return getattr(example, request.param)  # type: ignore[no-any-return]


def tools(example: Any, **answers: Any) -> Handler[Any]:
    """The agent's tools, with prepared answers; the last step is the real one."""
    return answer_tools(
        {
            example.index_docs: None,
            example.index_stdlib: None,
            example.search_docs: answers.get("docs", DOCS),
            example.search_stdlib: answers.get("stdlib", STDLIB),
            example.synthesise: example.synthesise.fn,
        }
    )


def calls(recorder: Recorder) -> list[str]:
    """The tool calls of a run, in the order of the plan."""
    started = [e for e in recorder.events if isinstance(e, Started) and isinstance(e.what, CallTool)]
    return [repr(event.what) for event in sorted(started, key=lambda event: event.path)]


def test_both_versions_do_the_same(example: Any) -> None:
    """They call the same tools with the same arguments, and give equal answers."""
    generator, dsl = Recorder(), Recorder()
    answer = (tools(example) | in_memory()).run_pure(example.research(QUESTION), listen=generator)
    assert (tools(example) | in_memory()).run_pure(example.research_dsl(QUESTION), listen=dsl) == answer
    assert calls(dsl) == calls(generator)
    assert [call.partition("(")[0] for call in calls(dsl)] == [
        "index_docs",
        "index_stdlib",
        "search_docs",
        "search_stdlib",
        "synthesise",
    ]


def test_each_sentence_comes_from_a_passage(example: Any, agent: Agent) -> None:
    """And the answer says which."""
    answer = (tools(example) | in_memory()).run_pure(agent(QUESTION))
    texts = {passage.source: passage.text for passage in (*DOCS, *STDLIB)}
    assert answer.sentences
    assert all(sentence.text in texts[sentence.source] for sentence in answer.sentences)
    shown = str(answer)
    assert shown.startswith(QUESTION)
    assert "  Remove any common leading whitespace from text.\n      -- textwrap.dedent" in shown
    assert "extractive summary (no language model)" in shown


def test_an_answer_is_remembered(example: Any, agent: Agent) -> None:
    """The next question of the same words calls no tool."""
    memory = in_memory()
    answer = (tools(example) | memory).run_pure(agent(QUESTION))
    again = answer_tools({}) | memory
    assert again.run_pure(agent(f"  {QUESTION} ")) == answer


def test_one_late_source_does_not_lose_the_other(example: Any, agent: Agent) -> None:
    """After two seconds the answer is made of what is there, says what is not, and is not kept."""

    def late(_question: str) -> Plan[Sleep, list[Passage]]:
        yield from Sleep(5)
        return DOCS

    memory = in_memory()
    answer = (tools(example, docs=late) | memory).run_pure(agent(QUESTION))
    assert answer.late == ("docs",)
    assert {sentence.source for sentence in answer.sentences} <= {"textwrap.dedent", "str.lstrip"}
    assert "(docs did not answer in time)" in str(answer)
    assert memory.run_pure(recall("answers", QUESTION, as_type=example.Answer)) is None


def test_sources_that_find_nothing_give_an_answer_that_says_so(example: Any, agent: Agent) -> None:
    answer = (tools(example, docs=[], stdlib=[]) | in_memory()).run_pure(agent(QUESTION))
    assert answer.sentences == ()
    assert "Nothing found about remove, common, leading, whitespace, text." in str(answer)


@pytest.mark.parametrize("question", ["", "   ", "what is it?"])
def test_a_question_without_a_word_to_search_for_is_refused(agent: Agent, question: str) -> None:
    """Before anything is asked of anybody."""
    with pytest.raises(InvalidArgument, match="no word to search for"):
        in_memory().run_pure(agent(question))


async def test_the_two_searches_overlap(example: Any, agent: Agent) -> None:
    """Each waits, in its thread, until the other is there, too."""
    meeting = Barrier(2, timeout=20)

    def meet(_question: str) -> Plan[Any, list[Passage]]:
        yield from blocking(meeting.wait)
        return DOCS

    recorder = Recorder()
    handlers = tools(example, docs=meet, stdlib=meet) | in_memory()
    answer = await handlers.run(agent(QUESTION), listen=recorder)
    assert answer.late == ()
    overlap = {row.node: row.overlap for row in recorder.report().rows}
    assert overlap["search_docs"] > 0
    assert overlap["search_stdlib"] > 0
    assert recorder.report().overlap > 0


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the indexes are kept, so that they are built once for all tests."""
    return tmp_path_factory.mktemp("cache")


async def test_it_answers_live_and_recalls_from_the_store(
    example: Any, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real documents, threads and LMDB; the second run and the other version call no tool."""
    monkeypatch.setattr(example, "CACHE", cache / "lambdacat")
    made = [value for value in vars(example).values() if type(value) is type(example.search_docs)]
    first, second, third = Recorder(), Recorder(), Recorder()
    live = call_tools(*made) | lmdb_memory(tmp_path)
    answer = await live.run(example.research(QUESTION), listen=first)
    assert answer.sentences[0].text == "Remove any common leading whitespace from every line in `text`."
    assert answer.sentences[0].source == "textwrap.dedent"
    assert len(calls(first)) == 5

    reopened = call_tools(*made) | lmdb_memory(tmp_path)
    assert await reopened.run(example.research(QUESTION), listen=second) == answer
    assert await reopened.run(example.research_dsl(QUESTION), listen=third) == answer
    assert calls(second) == calls(third) == []


def test_the_demo(cache: Path, tmp_path: Path) -> None:
    """`make demo` as it is: the answer, its sources, a table; and once more, recalled."""
    words = [sys.executable, "-m", "lambdacat_effects.cli", "run", f"{FILE}:research", QUESTION]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    first, second = (
        subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        for _ in range(2)
    )
    assert first.stdout == second.stdout
    assert "textwrap.dedent" in first.stdout
    for node in (
        "prepare",
        "index_docs",
        "index_stdlib",
        "search_docs",
        "search_stdlib",
        "synthesise",
        "Remember",
    ):
        assert f"\n  {node} " in first.stderr
        assert node not in second.stderr
    assert "\n  Recall " in second.stderr


def test_it_is_a_program_too(cache: Path, tmp_path: Path) -> None:
    """`python examples/research_agent.py "question"`: nothing but a library."""
    words = [sys.executable, str(FILE), "How", "do", "I", "sort", "a", "list?"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert "list.sort" in done.stdout
    assert done.stderr == ""
