"""Recordings of answers that come in chunks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from lambdacat_effects import Effect, Plan, awaiting, call_tools, effect, tool
from lambdacat_effects.testing.recording import RecordingMismatch, Unrecordable, record, replay


@effect
class Chat(Effect[Any]):
    prompt: str


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "recording.json"


async def words(prompt: str) -> AsyncIterator[Any]:
    for word in prompt.split():
        await trio.sleep(1)
        if word == "boom":
            raise ConnectionError("lost", 3)
        yield (word, len(word))


@tool
async def chat(prompt: str) -> AsyncIterator[Any]:
    """Answer word by word."""
    return words(prompt)


async def all_of(chunks: AsyncIterator[Any]) -> Any:
    taken: list[Any] = []
    try:
        async for chunk in chunks:
            taken.append(chunk)
    except ConnectionError as error:
        taken.append(repr(error))
    return taken


async def some_of(chunks: Any, number: int) -> Any:
    taken = [await anext(chunks) for _ in range(number)]
    await chunks.aclose()
    return taken


def virtually(handlers: Any, plan: Any) -> Any:
    return trio.run(handlers.run, plan, clock=MockClock(autojump_threshold=0))


def in_plan(prompt: str) -> Plan[Any, Any]:
    """Consumes the stream itself, in its own code: no effect stands between."""
    chunks = yield from chat(prompt)
    return chunks


async def consuming(handlers: Any, prompt: str, take: Any = all_of, *args: Any) -> Any:
    async with handlers:
        return await take(await handlers.run(in_plan(prompt)), *args)


def consumed(handlers: Any, *args: Any) -> Any:
    return trio.run(consuming, handlers, *args, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("prompt", ["", "one", "to be or not", "to be boom"])
def test_a_stream_is_replayed_chunk_by_chunk(prompt: str, file: Path) -> None:
    """With the error in its middle, and no handler."""
    live = consumed(record(call_tools(chat), file), prompt)
    assert live == consumed(replay(file), prompt)


def test_chunks_are_taken_as_they_come(file: Path) -> None:
    """A recorder does not hold up what it records."""

    async def timed(chunks: Any) -> list[float]:
        return [trio.current_time() async for _ in chunks]

    assert consumed(record(call_tools(chat), file), "a b c", timed) == [1.0, 2.0, 3.0]
    assert consumed(replay(file), "a b c", timed) == [0.0, 0.0, 0.0]


def test_a_stream_is_recorded_as_far_as_it_is_consumed(file: Path) -> None:
    """A replay that asks for more is told."""
    live = consumed(record(call_tools(chat), file), "a b c", some_of, 2)
    (entry,) = json.loads(file.read_text())["runs"][0]["effects"]
    assert ("async", 2, False) == (entry["stream"], len(entry["chunks"]), entry["ended"])
    assert live == consumed(replay(file), "a b c", some_of, 2)
    with pytest.raises(RecordingMismatch, match="of which 2 chunks were consumed when it was recorded"):
        consumed(replay(file), "a b c", some_of, 3)


def test_a_plain_iterator_stays_one(file: Path) -> None:
    """Without an event loop."""

    def answer(asked: Chat) -> Iterator[str]:
        return iter(asked.prompt.split())

    def plan() -> Plan[Any, Any]:
        chunks = yield from Chat("to be")
        return next(chunks), list(chunks)

    live = record(Chat.by(answer), file).run_pure(plan())
    assert live == ("to", ["be"])
    assert live == replay(file).run_pure(plan())


def test_a_plain_iterator_that_fails_fails_again(file: Path) -> None:
    """After the same chunks."""

    def failing() -> Iterator[str]:
        yield "to"
        raise ConnectionError("lost")

    def plan() -> Plan[Any, Any]:
        chunks = yield from Chat("to be")
        taken = [next(chunks)]
        try:
            next(chunks)
        except ConnectionError as error:
            taken.append(repr(error))
        return taken

    @Chat.by
    async def answering(_asked: Chat) -> Any:
        return failing()

    live = virtually(record(answering, file), plan())
    assert live == ["to", "ConnectionError('lost')"]
    assert live == replay(file).run_pure(plan())


def test_a_generator_may_be_closed(file: Path) -> None:
    """Then what it holds is released, as without a recording."""
    closed: list[str] = []

    @Chat.by
    async def answering(asked: Chat) -> Any:
        def generate() -> Iterator[str]:
            try:
                yield from asked.prompt.split()
            finally:
                closed.append(asked.prompt)

        return generate()

    def plan() -> Plan[Any, Any]:
        chunks = yield from Chat("to be")
        first = next(chunks)
        chunks.close()
        return first

    assert virtually(record(answering, file), plan()) == "to"
    assert closed == ["to be"]
    assert virtually(replay(file), plan()) == "to"


def test_a_stream_may_be_consumed_by_an_effect(file: Path) -> None:
    """Whose answer is then recorded as well; it is the same replayed."""

    def plan() -> Plan[Any, Any]:
        chunks = yield from chat("a b c")
        first = yield from awaiting(chunks.__anext__)
        return first, (yield from awaiting(all_of, chunks))

    live = virtually(record(call_tools(chat), file), plan())
    assert live == (("a", 1), [("b", 1), ("c", 1)])
    assert live == virtually(replay(file), plan())


def test_a_chunk_that_cannot_be_written_is_refused(file: Path) -> None:
    """Where it is taken, and nothing is written."""

    def plan() -> Plan[Any, Any]:
        return list((yield from Chat("a")))

    with pytest.raises(Unrecordable, match=r"the answer of Chat\(prompt='a'\) at plan/1"):
        record(Chat.by(lambda _: iter([1, object()])), file).run_pure(plan())
    assert not file.exists()


def test_a_stream_that_outlives_its_recording_says_so(file: Path) -> None:
    """What it answers then would be missing in a replay."""
    chunks = record(Chat.by(lambda _: iter("ab")), file).run_pure(Chat("a"))
    with pytest.raises(
        Unrecordable, match="consumed after its recording was written: consume it in the plan"
    ):
        next(chunks)


@pytest.mark.parametrize(
    "mutant",
    [
        lambda entry: entry["chunks"].pop(),
        lambda entry: entry["chunks"].reverse(),
        lambda entry: entry.update(ended=False),
        lambda entry: entry.pop("error", None) or entry.update(ended=True, chunks=entry["chunks"][:1]),
    ],
)
def test_a_recording_with_a_mistake_is_found_out(mutant: Any, file: Path) -> None:
    """A check that accepted it would say nothing about ours."""
    found: list[bool] = []
    for prompt in ("to be or", "to be boom"):
        live = consumed(record(call_tools(chat), file, mode="all"), prompt)
        whole = json.loads(file.read_text())
        mutant(whole["runs"][0]["effects"][0])
        file.write_text(json.dumps(whole))
        try:
            found.append(live != consumed(replay(file), prompt))
        except RecordingMismatch:
            found.append(True)
    assert any(found)
