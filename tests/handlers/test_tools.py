"""Calling tools for real, and answering their calls in a test."""

from __future__ import annotations

import functools
import threading
from collections.abc import Generator
from typing import Any

import pytest
import trio

from lambdacat_effects import (
    Blocking,
    CallTool,
    Handler,
    Ok,
    Plan,
    Sleep,
    Tools,
    answer_tools,
    answers,
    attempt,
    call_tools,
    parallel,
    tool,
)
from lambdacat_effects.errors import (
    InvalidArgument,
    NotPure,
    UnexpectedCall,
    UnhandledEffect,
    WrongHandlerKind,
)


@tool
async def search(query: str, *, limit: int = 5) -> list[str]:
    await trio.lowlevel.checkpoint()
    return [query] * limit


@tool
def thread_of(name: str) -> tuple[str, int]:
    return name, threading.get_ident()


@tool(inline=True)
def here(name: str) -> tuple[str, int]:
    return name, threading.get_ident()


@tool
def twice(query: str) -> Generator[Any, Any, list[str]]:
    yield from Sleep(1)
    first = yield from search(query, limit=1)
    second = yield from search(query, limit=1)
    return first + second


async def test_an_async_tool_is_awaited() -> None:
    assert await call_tools(search).run(search("cat", limit=2)) == ["cat", "cat"]


async def test_a_plain_tool_runs_in_a_worker_thread() -> None:
    name, thread = await call_tools(thread_of).run(thread_of("a"))
    assert name == "a"
    assert thread != threading.get_ident()


async def test_an_inline_tool_runs_in_the_event_loops_own_thread() -> None:
    assert await call_tools(here).run(here("a")) == ("a", threading.get_ident())


async def test_a_generator_tool_is_a_plan_and_may_call_other_tools(
    autojump_clock: trio.testing.MockClock,
) -> None:
    assert await call_tools(search, twice).run(twice("cat")) == ["cat", "cat"]
    assert trio.current_time() == pytest.approx(1)


def test_plain_and_generator_tools_run_without_an_event_loop() -> None:
    """A plain tool asks for a thread by an effect, which `run_pure` answers at once."""
    handlers = call_tools(thread_of, here, twice) | answer_tools({search: ["dog"]})
    assert handlers.run_pure(twice("cat")) == ["dog", "dog"]
    ours = threading.get_ident()
    assert handlers.run_pure(parallel(thread_of("a"), here("b"))) == (("a", ours), ("b", ours))


def test_whoever_handles_blocking_decides_where_plain_tools_run() -> None:
    asked: list[Any] = []

    def note(effect: Blocking[Any]) -> Any:
        asked.append(effect.fn)
        return "noted"

    answer: Any = (call_tools(thread_of) | Blocking.by(note)).run_pure(thread_of("a"))
    assert answer == "noted"
    assert asked == [thread_of.fn]


def test_an_async_tool_is_named_where_nothing_can_wait() -> None:
    with pytest.raises(NotPure, match=r"search\('cat'\) is answered by the async handler search "):
        call_tools(search).run_pure(search("cat"))


@tool
async def failing() -> None:
    raise ValueError("broken")


@tool
def failing_in_a_thread() -> None:
    raise ValueError("broken")


@pytest.mark.parametrize("fails", [failing, failing_in_a_thread])
async def test_what_a_tool_raises_reaches_the_plan(fails: Any) -> None:
    def plan() -> Plan[Tools, str]:
        try:
            yield from fails()
        except ValueError as error:
            return str(error)
        return "nothing"

    assert await call_tools(fails).run(plan()) == "broken"


async def test_wrong_arguments_are_the_callers_mistake() -> None:
    with pytest.raises(TypeError, match=r"search\(\) got an unexpected keyword argument 'colour'"):
        await call_tools(search).run(search("cat", colour="black"))  # type: ignore[call-arg]


@pytest.mark.parametrize("handlers", [call_tools(), call_tools(here)])
def test_a_tool_that_is_not_among_them_is_named(handlers: Handler[Any]) -> None:
    with pytest.raises(UnhandledEffect, match=r"no handler answers search\('cat', limit=1\).*call_tools"):
        handlers.run_pure(search("cat", limit=1))


def test_handlers_of_tools_merge() -> None:
    """Each tool has a place of its own, and the right one wins for each."""
    real = call_tools(here, thread_of)
    answer: Any = (real | answer_tools({thread_of: "prepared"})).run_pure(thread_of("a"))
    assert answer == "prepared"
    assert (real | answer_tools({thread_of: "prepared"})).run_pure(here("a"))[0] == "a"
    assert (answer_tools({thread_of: "prepared"}) | real).run_pure(thread_of("a"))[0] == "a"


def test_only_tools_can_be_called_or_answered() -> None:
    def function() -> None: ...

    givers: list[Any] = [call_tools, lambda thing: answer_tools({thing: 1})]
    for give in givers:
        for thing in (function, "search", None):
            with pytest.raises(
                InvalidArgument, match=r"_tools takes tools; got .*decorate its function with @tool"
            ):
                give(thing)
    with pytest.raises(InvalidArgument, match=r"takes a mapping from tools to answers"):
        answer_tools([search])  # type: ignore[arg-type]


def test_two_tools_of_one_name_cannot_be_told_apart() -> None:
    @tool(name="here")
    def other() -> None: ...

    givers: list[Any] = [call_tools, lambda *tools: answer_tools(dict.fromkeys(tools))]
    for give in givers:
        with pytest.raises(InvalidArgument, match=r"two tools of the name 'here'"):
            give(here, other)
        give(here, here)


async def test_a_plain_tool_must_answer_with_a_value() -> None:
    """A decorator that hides an async or generator function makes a plain one of it."""

    @tool
    @functools.wraps(search.fn)
    def wrapped(query: str) -> Any:
        return search.fn(query)

    @tool
    @functools.wraps(twice.fn)
    def planned(query: str) -> Any:
        return twice.fn(query)

    for hidden, what in ((wrapped, "coroutine"), (planned, "generator")):
        with pytest.raises(WrongHandlerKind, match=rf"with a {what}, not with"):
            call_tools(hidden).run_pure(hidden("cat"))
        with pytest.raises(WrongHandlerKind, match=rf"with a {what}, not with a value"):
            answer_tools({search: answers(hidden.fn)}).run_pure(search("cat"))
    with pytest.raises(WrongHandlerKind, match=r"answered with a coroutine"):
        await call_tools(wrapped).run(wrapped("cat"))
    with pytest.raises(WrongHandlerKind, match=r"answered with a generator, not with a value"):
        await call_tools(planned).run(planned("cat"))


# Answers prepared by a test


def test_anything_is_an_answer_the_same_each_time() -> None:
    hits = ["a"]
    handlers = answer_tools({search: hits, here: None, thread_of: search})
    first, second = handlers.run_pure(parallel(search("a"), search("b")))
    assert first is second is hits
    assert handlers.run_pure(here("a")) is None
    assert handlers.run_pure(thread_of("a")) is search  # type: ignore[comparison-overlap]


def test_a_function_is_called_with_the_arguments_of_the_call() -> None:
    handlers = answer_tools({search: lambda query, limit: [query, limit]})
    assert handlers.run_pure(search("cat", limit=3)) == ["cat", 3]


def test_a_generator_function_is_a_plan() -> None:
    """It may call other tools; its own goes outward, to the handlers around."""

    def shouted(query: str) -> Generator[Any, Any, list[str]]:
        name, _ = yield from here(query)
        return [name.upper(), *(yield from search(query))]

    inner = answer_tools({search: shouted, here: ("cat", 0)})
    assert answer_tools({search: ["outer"]}).run_pure(inner.handle(search("x"))) == ["CAT", "outer"]


async def test_an_async_function_needs_an_event_loop() -> None:
    async def slowly(query: str) -> list[str]:
        await trio.lowlevel.checkpoint()
        return [query]

    handlers = answer_tools({search: slowly})
    assert await handlers.run(search("cat")) == ["cat"]
    with pytest.raises(NotPure, match=r"async handler .*slowly"):
        handlers.run_pure(search("cat"))
    assert await answer_tools({search: answers(slowly)}).run(search("dog")) == ["dog"]


@pytest.mark.parametrize("error", [TimeoutError("late"), TimeoutError, KeyboardInterrupt])
def test_an_exception_is_raised_at_every_call(error: Any) -> None:
    handlers = answer_tools({search: error})
    depths = []
    for _ in range(2):
        with pytest.raises(BaseException, match=r"late|^$") as caught:
            handlers.run_pure(search("cat"))
        assert caught.value is error or type(caught.value) is error
        depths.append(len(caught.traceback))
    assert depths[0] == depths[1]  # the traces of earlier calls do not pile up on it


def test_answers_come_in_order_and_end() -> None:
    handlers = answer_tools(
        {search: answers(["a"], TimeoutError, lambda query: [query], twice.fn), here: ("h", 0)}
    )

    def plan() -> Plan[Tools, list[Any]]:
        first = yield from search("x")
        late = yield from attempt(search("x"))
        return [first, type(late.error) if not isinstance(late, Ok) else None, (yield from search("y"))]

    assert handlers.run_pure(plan()) == [["a"], TimeoutError, ["y"]]
    with pytest.raises(UnhandledEffect, match=r"no handler answers search"):
        handlers.run_pure(search("z"))  # `twice` is a plan that performs `search`, which goes outward
    with pytest.raises(
        UnexpectedCall, match=r"search\('more'\) was called once more than .*answers\(\['a'\], .*has 4$"
    ):
        handlers.run_pure(search("more"))


def test_each_handler_counts_its_own_answers() -> None:
    once = answers(1)
    for handlers in (answer_tools({search: once}), answer_tools({search: once})):
        assert handlers.run_pure(search("a")) == 1  # type: ignore[comparison-overlap]
    assert repr(answers(1, "a")) == "answers(1, 'a')"


def test_any_other_call_is_unexpected() -> None:
    """And no outcome: `attempt` does not hide it."""
    handlers = answer_tools({search: [], here: None})
    with pytest.raises(UnexpectedCall) as caught:
        handlers.run_pure(attempt(thread_of("a")))
    assert str(caught.value) == (
        "thread_of('a') was called, and there are answers for search, here: "
        "add thread_of to answer_tools({...}), or mend the plan"
    )
    with pytest.raises(UnexpectedCall, match="there are answers for no tool"):
        answer_tools({}).run_pure(here("a"))
    assert isinstance(caught.value, AssertionError)


def test_interposers_meet_every_call() -> None:
    seen = []

    def watch(call: CallTool[Any]) -> Generator[Any, Any, Any]:
        seen.append(repr(call))
        return (yield from call)

    handlers = answer_tools({search: []}).behind(watch) | call_tools(here).behind(watch)
    handlers.run_pure(parallel(search("a"), here("b")))
    assert seen == ["search('a')", "here('b')"]
