"""The research agent, tested in six ways: no key, no network, no waiting. Copy from it what fits your agent."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from research_agent import (  # mypy sees it as examples.research_agent
    Answer,
    Question,
    Research,
    index_docs,
    index_stdlib,
    research,
    research_dsl,
    search_docs,
    search_stdlib,
    synthesise,
)

from lambdacat_effects import (
    CallTool,
    Handler,
    Memory,
    Plan,
    Tool,
    Tools,
    answer_tools,
    call_tools,
    in_memory,
    lmdb_memory,
    parallel,
    recall,
    remember,
)
from lambdacat_effects.algebra import Monoid
from lambdacat_effects.effects import Recall, Remember
from lambdacat_effects.errors import LawBroken, SimulationFailure
from lambdacat_effects.plan import three_way_merge
from lambdacat_effects.testing import Fault, Faults, Recorder, Report, laws, performed, simulate
from lambdacat_effects.testing.pytest_plugin import Recording, Simulated
from lambdacat_effects.testing.scripts import in_any_order, on, script
from lambdacat_effects.testing.strategies import UNTIMED, Program, given_simulation, programs
from lambdacat_effects.tools.search import Passage

QUESTION = "How do I remove common leading whitespace from text?"
DOCS = [Passage("Plans are generators. Whitespace is removed from questions.", "docs/plans.md", "plans", 2.0)]
STDLIB = [Passage("Remove any common leading whitespace from text.", "textwrap.dedent", "dedent", 50.0)]

Agent: TypeAlias = Callable[[str], Plan[Tools | Memory, Answer]]
both_versions = pytest.mark.parametrize("agent", [research, research_dsl])


def tools(docs: object = DOCS, stdlib: object = STDLIB) -> Handler[Tools]:
    """Prepared answers for the tools that ask something of the world; the last one, which does not, is real."""
    prepared: dict[Tool[..., Any], object] = {
        search_docs: docs,
        search_stdlib: stdlib,
        synthesise: synthesise.fn,
    }
    return answer_tools({index_docs: None, index_stdlib: None, **prepared})


# 1. A plan only asks, so a unit test answers: no event loop, no mocks, microseconds. Then it looks at the answer, and
# at what was performed to get it.


@both_versions
def test_it_recalls_prepares_searches_and_remembers(agent: Agent) -> None:
    """Each once, and the writing between the searches and the remembering."""
    recorder = Recorder()
    answer = (tools() | in_memory()).run_pure(agent(QUESTION), listen=recorder)
    assert [sentence.source for sentence in answer.sentences] == ["textwrap.dedent"]
    did = performed(recorder).once(search_docs(QUESTION)).once(search_stdlib(QUESTION))
    did.in_order(Recall, search_docs, synthesise, Remember, finished=True)
    did.under("prepare").exactly(index_docs(), index_stdlib())


@both_versions
def test_a_known_answer_is_only_recalled(agent: Agent) -> None:
    """Without any tool, however the question is spaced."""
    memory, recorder = in_memory(), Recorder()
    answer = (tools() | memory).run_pure(agent(f"  {QUESTION} "))
    assert (answer_tools({}) | memory).run_pure(agent(QUESTION), listen=recorder) == answer
    performed(recorder).only(Recall)


@both_versions
def test_it_searches_when_both_indexes_are_prepared(agent: Agent) -> None:
    """A script answers in its order, and fails at whatever it does not expect."""
    prepared = in_any_order(on(index_docs()).answers(None), on(index_stdlib()).answers(None))
    searched = in_any_order(on(search_docs("sort")).answers([]), on(search_stdlib("sort")).answers([]))
    nothing = Answer(Question.parse("sort"), ())
    with script(prepared, searched, on(synthesise).answers(nothing)) as scripted:
        assert (scripted | in_memory()).run_pure(agent("sort")) == nothing


# 2. Unit tests run branches one after the other; the world does not. A simulation tries the orders in which things
# may happen, deadlines included, in virtual time, so that slow sources cost nothing.


def taking(seconds: float, found: list[Passage]) -> Callable[[str], Awaitable[list[Passage]]]:
    """A search that takes its time."""

    async def search(_question: str) -> list[Passage]:
        await trio.sleep(seconds)
        return found

    return search


def two_sources(agent: Agent, docs: float, stdlib: float) -> Any:
    """A scenario: the plan, its handlers and a check, all fresh. The sources take that many seconds."""
    memory = in_memory()

    def nothing_partial_is_remembered(report: Report) -> None:
        kept = memory.run_pure(recall("answers", QUESTION, as_type=Answer))
        assert kept is None or not kept.late
        if report.error is None:
            assert kept == (None if report.value.late else report.value)

    handlers = tools(taking(docs, DOCS), taking(stdlib, STDLIB)) | memory
    return agent(QUESTION), handlers, nothing_partial_is_remembered


@both_versions
def test_after_two_seconds_it_answers_from_what_is_there(simulated: Simulated, agent: Agent) -> None:
    """`schedule={}` is the plainest run, in which the clock moves on only when nobody else can."""
    report = simulated.once(partial(two_sources, agent, docs=60, stdlib=1), schedule={})
    assert (report.value.late, report.time) == (("docs",), 2)


@both_versions
def test_nothing_partial_is_remembered_at_the_deadline(simulated: Simulated, agent: Agent) -> None:
    """Both searches end shortly before it: on a busy machine it may pass before either goes on."""
    simulated(partial(two_sources, agent, docs=1.9, stdlib=1.9), runs=100)


# 3. Things fail, and replies get lost although the thing was done. Let that happen everywhere, and check what must
# hold all the same. And see a mistake found: a check that never fails proves nothing.


@both_versions
def test_whatever_fails_nothing_wrong_is_remembered(simulated: Simulated, agent: Agent) -> None:
    """A failure injected is none of the plan's, so only the check can fail."""
    faults = Faults(fail=0.1, lost_reply=0.1, delay=0.2)
    simulated(partial(two_sources, agent, docs=1, stdlib=1.5), faults=faults, runs=100)


@both_versions
def test_a_failing_search_is_not_a_late_one(simulated: Simulated, agent: Agent) -> None:
    """It raises, the other search is cancelled, and nothing is remembered."""
    down = Fault("fail", on=search_docs, error=ConnectionError("down"))
    report = simulated.once(partial(two_sources, agent, docs=0, stdlib=1), schedule={}, faults=down)
    assert isinstance(report.error, ExceptionGroup)
    did = performed(report).never(Remember)
    did.failed.exactly(search_docs)
    did.cancelled.exactly(search_stdlib)


def hasty(question: str) -> Plan[Tools | Memory, Answer]:
    """A mistake: it remembers whatever it has found."""
    searches = search_docs(question), search_stdlib(question)
    docs, stdlib = yield from parallel(*searches, timeout=2.0, partial=True)
    answer = yield from synthesise(Question.parse(question), docs, stdlib)
    yield from remember("answers", question, answer)
    return answer


def test_the_race_of_a_hasty_agent_is_found(simulated: Simulated) -> None:
    """It takes one switch. The failure tells it step by step, and ends with a line like the last one here."""
    in_time = partial(two_sources, hasty, docs=1.5, stdlib=1.5)
    with pytest.raises(SimulationFailure, match="shortened to 1 switch and 0 faults") as failed:
        simulated(in_time)
    with pytest.raises(AssertionError, match="late"):
        simulate(in_time, schedule=failed.value.report.schedule)


# 4. What prepared answers cannot tell is what the real tools find. Run them once; from then on the file in
# recordings/ answers, and its diff shows what has changed. To record anew: pytest --lambdacat-record=all.


def best(call: CallTool[Any]) -> Any:
    """An interposer that keeps the recording short."""
    return (yield from call)[:1]


async def test_it_answers_from_real_documents(recording: Recording) -> None:
    """The search finds a function by what it does, and the answer quotes its documentation."""
    searches = call_tools(search_docs, search_stdlib).behind(best)
    live = call_tools(index_docs, index_stdlib, synthesise) | searches | in_memory()
    answer = await recording(live).run(research(QUESTION))
    assert answer.sentences[0].source == "textwrap.dedent"
    assert answer.sentences[0].text == "Remove any common leading whitespace from every line in `text`."


# 5. A test in memory is worth something if the memory on disk does the same; branches can be merged without a thought
# if merging is a monoid. Laws check such things, and show the equation that is broken.

ASKED = Research(Question.parse(QUESTION))
FOUND = [ASKED, Research(ASKED.question, docs=DOCS), Research(ASKED.question, stdlib=STDLIB)]
MERGE = Monoid("merge", ASKED, lambda a, b: three_way_merge(ASKED, [a, b]))  # as the DSL's `parallel` does


@pytest.mark.parametrize("law", laws.monoid_laws(MERGE, FOUND, commutative=True, idempotent=True), ids=str)
def test_merging_what_was_found_obeys_the_law(law: laws.Law) -> None:
    """Each law is a test of its own name."""
    law.check()


def test_a_merge_that_loses_what_was_found_breaks_a_law() -> None:
    """The message has the equation, the values, and both sides."""
    broken = {law.name: law for law in laws.monoid_laws(Monoid("last", ASKED, lambda _, b: b), FOUND)}
    with pytest.raises(LawBroken, match=r"combine\(a, empty\) == a"):
        broken["right identity"].check()


def test_agents_remember_on_disk_as_in_memory(tmp_path: Path) -> None:
    """Two runs, one after the other, answer the same with either."""
    runs = [partial(research, QUESTION), partial(research_dsl, QUESTION)]
    fresh = (tmp_path / str(n) for n in itertools.count())
    on_disk, prepared = (lambda: tools() | lmdb_memory(next(fresh))), (lambda: tools() | in_memory())
    for law in laws.handler_laws(on_disk, [runs], model=prepared, live=True, max_examples=10):
        law.check()


# 6. Examples show what their author has thought of. Hypothesis draws the rest, and shrinks what fails. Async tests
# run on Trio.

quick = settings(deadline=None, max_examples=40)
words = st.lists(st.sampled_from(["sort", "list", "whitespace", "how", "the", "a"]), max_size=8)
texts = words.map(lambda some: " ".join(["Text", *some, "again."]))
passages = st.lists(st.builds(Passage, texts, st.sampled_from("abc"), texts, st.floats(0, 50)), max_size=4)


@quick
@given(question=texts, docs=passages, stdlib=passages)
async def test_both_versions_agree(question: str, docs: list[Passage], stdlib: list[Passage]) -> None:
    """On any question and documents; and they say nothing but what is in the documents."""
    answer = await (tools(docs, stdlib) | in_memory()).run(research(question))
    assert await (tools(docs, stdlib) | in_memory()).run(research_dsl(question)) == answer
    found = {(passage.text, passage.source) for passage in docs + stdlib}
    assert {(sentence.text, sentence.source) for sentence in answer.sentences} <= found


@both_versions
@quick
@given_simulation(docs=st.floats(0, 4), stdlib=st.floats(0, 4))
def test_a_source_that_takes_too_long_is_late(agent: Agent, docs: float, stdlib: float) -> Any:
    """Hypothesis draws how long the sources take, and a seed that decides the schedule."""
    plan, handlers, check = two_sources(agent, docs, stdlib)

    def checking(report: Report) -> None:
        check(report)
        assert {n for n, s in {"docs": docs, "stdlib": stdlib}.items() if s > 2} <= {*report.value.late}

    return plan, handlers, checking


searches = st.sampled_from([search_docs(QUESTION), search_stdlib(QUESTION)])


@quick
@given(program=programs(searches, answers=passages, combinators=UNTIMED, seconds=st.just(0.0)))
async def test_the_interposer_shortens_every_search(program: Program) -> None:
    """In any plan: one after another, in parallel, in spans and cleanups."""
    recorder = Recorder()
    await program.handler().behind(best).run(program.plan(), listen=recorder)
    assert all(len(deed.answer) <= 1 for deed in performed(recorder).of(CallTool).deeds)
