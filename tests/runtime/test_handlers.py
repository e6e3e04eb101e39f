"""The handler algebra: composition, interposers, partial handling, dispatch, resources."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from lambdacat_effects import (
    CallTool,
    Effect,
    Handler,
    Need,
    Now,
    Plan,
    Resource,
    Sleep,
    ambient,
    effect,
    parallel,
    supply,
    tool,
)
from lambdacat_effects.errors import NotPure, ResourceNotOpen, UnhandledEffect, WrongHandlerKind


@effect
class Ask(Effect[str]):
    key: str


@effect
class Loud(Ask):
    pass


@effect
class Other(Effect[str]):
    pass


def both() -> Plan[Ask | Other, tuple[str, str]]:
    return (yield from Ask("k")), (yield from Other())


def answering(text: str) -> Handler[Ask]:
    return Ask.by(lambda asked: f"{text}({asked.key})")


def test_all_three_kinds_of_function_answer() -> None:
    """A plain, an async and a generator function are handlers alike."""

    async def later(asked: Ask) -> str:
        await trio.lowlevel.checkpoint()
        return asked.key

    def planned(asked: Ask) -> Generator[Any, Any, str]:
        yield from Sleep(0)
        return asked.key

    class Object:
        async def __call__(self, asked: Ask) -> str:
            return asked.key

    for function in (lambda asked: asked.key, later, planned, Object()):
        assert trio.run(Ask.by(function).run, Ask("k")) == "k"


def test_the_right_one_answers_what_both_name() -> None:
    """`a | b` handles both rows."""
    handlers = answering("left") | Other.by(lambda _: "other") | answering("right")
    assert handlers.run_pure(both()) == ("right(k)", "other")


@given(st.lists(st.sampled_from(["ask1", "ask2", "other1", "other2"]), min_size=3, max_size=3))
def test_composition_is_associative_with_ambient_as_identity(names: list[str]) -> None:
    """`(a | b) | c == a | (b | c)`, and `ambient` changes nothing, observed on every effect."""
    made: dict[str, Handler[Any]] = {
        "ask1": answering("1"),
        "ask2": answering("2"),
        "other1": Other.by(lambda _: "1"),
        "other2": Other.by(lambda _: "2"),
    }
    a, b, c = (made[name] for name in names)

    def observe(handlers: Handler[Any]) -> list[str]:
        found = []
        for asked in (Ask("k"), Loud("k"), Other()):
            try:
                found.append(handlers.run_pure(asked))
            except UnhandledEffect:
                found.append("unhandled")
        return found

    assert observe((a | b) | c) == observe(a | (b | c))
    assert observe(ambient | a) == observe(a) == observe(a | ambient)


def test_an_effect_meets_the_interposers_in_order_then_the_handler() -> None:
    """`h.behind(first, second)`: first, then second, then h; each sees the answer on its way back."""
    log: list[str] = []

    def interposer(name: str) -> Any:
        def interpose(asked: Ask) -> Generator[Any, Any, str]:
            log.append(f"{name} asks")
            answer = yield from asked
            log.append(f"{name} got {answer}")
            return f"{name}:{answer}"

        return interpose

    handlers = answering("h").behind(interposer("first"), interposer("second"))
    assert handlers.run_pure(Ask("k")) == "first:second:h(k)"
    assert log == ["first asks", "second asks", "second got h(k)", "first got second:h(k)"]
    assert answering("h").behind().run_pure(Ask("k")) == "h(k)"


def test_an_interposer_may_ask_again_and_change_the_question() -> None:
    """It is a plan: it can retry, wait, ask differently or not ask at all."""
    calls: list[str] = []

    def flaky(asked: Ask) -> str:
        calls.append(asked.key)
        if len(calls) < 3:
            raise ConnectionError("down")
        return asked.key

    def retry(asked: Ask) -> Generator[Any, Any, str]:
        for attempt in range(5):
            try:
                return (yield from Ask(f"{asked.key}{attempt}"))
            except ConnectionError:
                yield from Sleep(2**attempt)
        raise AssertionError

    def timed() -> Plan[Ask | Now, tuple[str, float]]:
        answer = yield from Ask("k")
        return answer, (yield from Now())

    assert Ask.by(flaky).behind(retry).run_pure(timed()) == ("k2", 3.0)


def test_an_interposers_other_effects_go_to_the_handlers_of_the_run() -> None:
    """It sees its siblings in the composition, in whatever order they were composed."""

    def tagging(asked: Ask) -> Generator[Any, Any, str]:
        tag = yield from Other()
        return f"{tag}:{(yield from asked)}"

    tagged = answering("h").behind(tagging)
    other = Other.by(lambda _: "tag")
    assert (tagged | other).run_pure(Ask("k")) == "tag:h(k)"
    assert (other | tagged).run_pure(Ask("k")) == "tag:h(k)"


def test_a_generator_handler_forwards_its_own_effect_outward() -> None:
    """Performed inside its own handler an effect means the next handler outward, never the same one again."""

    def decorated(asked: Ask) -> Generator[Any, Any, str]:
        return f"[{(yield from asked)}]"

    inner = Ask.by(decorated)
    assert answering("outer").run_pure(inner.handle(Ask("k"))) == "[outer(k)]"
    assert answering("outer").run_pure(inner.handle(inner.handle(Ask("k")))) == "[[outer(k)]]"
    with pytest.raises(UnhandledEffect, match="Ask"):
        inner.run_pure(Ask("k"))


def test_handlers_that_ask_one_another_end() -> None:
    """Two generator handlers that perform each other's effect run out of handlers, not out of stack."""

    def ask(asked: Ask) -> Generator[Any, Any, str]:
        return (yield from Other())

    def other(_other: Other) -> Generator[Any, Any, str]:
        return (yield from Ask("again"))

    with pytest.raises(UnhandledEffect, match="Ask"):
        (Ask.by(ask) | Other.by(other)).run_pure(Ask("k"))


def test_handle_takes_effects_out_of_the_row() -> None:
    """`h.handle(plan)` answers its effects for that plan only, also in its branches; others pass outward."""

    def plan() -> Plan[Ask | Other, list[Any]]:
        inside = yield from answering("inner").handle(parallel(both(), both()))
        outside = yield from Ask("k")
        return [inside, outside]

    handlers = answering("outer") | Other.by(lambda _: "other")
    assert handlers.run_pure(plan()) == [(("inner(k)", "other"), ("inner(k)", "other")), "outer(k)"]


def test_dispatch_follows_the_classes_of_an_effect() -> None:
    """A handler of a class answers its subclasses; in a scope the most specific wins, between scopes the nearest."""
    general, special = answering("general"), Loud.by(lambda asked: f"loud({asked.key})")
    assert general.run_pure(Loud("k")) == "general(k)"
    assert (special | general).run_pure(Loud("k")) == "loud(k)"
    assert special.run_pure(general.handle(Loud("k"))) == "general(k)"
    with pytest.raises(UnhandledEffect):
        special.run_pure(Ask("k"))


class Db:
    pass


class Cache:
    pass


def test_needs_are_supplied_by_type() -> None:
    """Each type has a handler of its own: supplying one does not supply the other."""

    def plan() -> Plan[Need[Db] | Need[Cache], tuple[Db, Cache]]:
        return (yield from Need(Db)), (yield from Need(Cache))

    db, cache = Db(), Cache()
    assert (supply(Db, db) | supply(Cache, cache)).run_pure(plan()) == (db, cache)
    with pytest.raises(UnhandledEffect, match="Cache"):
        supply(Db, db).run_pure(plan())


@tool
def one() -> int:
    """One."""
    return 1


@tool
def two() -> int:
    """Two."""
    return 2


def test_handlers_of_single_tools_merge() -> None:
    """Tools dispatch one by one, so `|` merges sets of tools instead of replacing them."""
    first: Handler[Any] = Handler.of({(CallTool, one): lambda _: "first"})
    second: Handler[Any] = Handler.of({(CallTool, two): lambda _: "second"})
    rest: Handler[Any] = Handler.of({CallTool: lambda asked: f"any {asked!r}"})
    assert (first | second).run_pure(parallel(one(), two())) == ("first", "second")
    assert (first | rest).run_pure(parallel(one(), two())) == ("first", "any two()")


def test_a_million_kinds_of_key_do_not_stay_in_memory() -> None:
    """Tools made on the fly are forgotten again."""
    rest: Handler[Any] = Handler.of({CallTool: lambda _: 1})

    def plan() -> Plan[Any, None]:
        for i in range(10_000):
            yield from tool(name=f"t{i}")(lambda: 1)()

    rest.run_pure(plan())
    (table,) = rest._tables.values()
    assert len(table) <= 4096


def test_an_interposer_that_meets_thousands_of_tools_still_forwards_outward() -> None:
    """Forgetting what was looked up never forgets where a handler's own effect goes."""
    rest: Handler[Any] = Handler.of({CallTool: lambda _: 1})

    def curious(asked: Ask) -> Generator[Any, Any, str]:
        for i in range(5_000):
            yield from tool(name=f"t{i}")(lambda: 1)()
        return (yield from asked)

    assert (answering("h").behind(curious) | rest).run_pure(Ask("k")) == "h(k)"


def test_run_pure_names_the_handler_that_would_wait() -> None:
    """`NotPure` says which handler cannot be used without an event loop."""

    async def over_the_network(asked: Ask) -> str:
        return asked.key

    with pytest.raises(NotPure, match=r"Ask\(key='k'\).*over_the_network"):
        Ask.by(over_the_network).run_pure(Ask("k"))


# Resources


def resource(log: list[str], name: str, fails: bool = False) -> Resource[str]:
    @asynccontextmanager
    async def opening() -> AsyncGenerator[str, None]:
        if fails:
            raise OSError(f"cannot open {name}")
        log.append(f"open {name}")
        try:
            yield name
        finally:
            log.append(f"close {name}")

    return Resource(name, opening)


def using(owned: Resource[str]) -> Handler[Ask]:
    return Ask.by(lambda _: owned.value).using(owned)


async def test_run_opens_what_it_needs_and_closes_it() -> None:
    """Composition composes resources: each opened once, closed in reverse order, also on failure."""
    log: list[str] = []
    a, b = resource(log, "a"), resource(log, "b")
    handlers = using(a) | Other.by(lambda _: b.value).using(b).behind() | using(a)
    assert await handlers.run(both()) == ("a", "b")
    assert log == ["open a", "open b", "close b", "close a"]
    log.clear()

    def failing() -> Plan[Ask, None]:
        yield from Ask("k")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await handlers.run(failing())
    assert log == ["open a", "open b", "close b", "close a"]


async def test_cancellation_closes_resources(autojump_clock: trio.testing.MockClock) -> None:
    """Also then."""
    log: list[str] = []
    with trio.move_on_after(1):
        await using(resource(log, "a")).run(Sleep(9))
    assert log == ["open a", "close a"]


async def test_async_with_keeps_resources_open_across_runs() -> None:
    """`async with handlers` opens once for many runs, even at the same time."""
    log: list[str] = []
    handlers = using(resource(log, "a"))
    async with handlers as live:
        assert live is handlers
        assert await handlers.run(Ask("k")) == "a"
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(handlers.run, Ask("k"))
        assert log == ["open a"]
    assert log == ["open a", "close a"]


async def test_runs_at_the_same_time_share_a_resource(autojump_clock: trio.testing.MockClock) -> None:
    """The first run opens it, slowly; the others wait for it; the last one closes it."""
    log: list[str] = []

    @asynccontextmanager
    async def slowly() -> AsyncGenerator[str, None]:
        await trio.sleep(1)
        log.append("open")
        yield "slow"
        await trio.sleep(1)
        log.append("close")

    handlers = using(Resource("slow", slowly))

    async def one_run(delay: float) -> None:
        await trio.sleep(delay)
        assert await handlers.run(Ask("k")) == "slow"

    async with trio.open_nursery() as nursery:
        for delay in (0, 0, 0.5, 1.5):
            nursery.start_soon(one_run, delay)
    assert log == ["open", "close"] * (len(log) // 2)
    assert len(log) <= 4


async def test_what_was_opened_is_closed_when_the_next_one_fails_to_open() -> None:
    """A failure while opening leaves nothing open."""
    log: list[str] = []
    handlers = using(resource(log, "a")) | Other.by(lambda _: "").using(resource(log, "b", fails=True))
    with pytest.raises(OSError, match="cannot open b"):
        await handlers.run(both())
    assert log == ["open a", "close a"]
    log.clear()
    with pytest.raises(OSError, match="cannot open b"):
        async with handlers:
            pass
    assert log == ["open a", "close a"]


async def test_a_handler_with_resources_can_handle_a_part_of_a_plan() -> None:
    """`handle` opens them around that part."""
    log: list[str] = []

    def plan() -> Plan[Any, str]:
        log.append("before")
        answer = yield from using(resource(log, "a")).handle(Ask("k"))
        log.append("after")
        return answer

    assert await ambient.run(plan()) == "a"
    assert log == ["before", "open a", "close a", "after"]


def test_a_resource_that_is_not_open_says_so() -> None:
    """Using it outside of a run is an error that says what to do."""
    owned = resource([], "the database")
    with pytest.raises(ResourceNotOpen, match=r"the database is not open.*async with"):
        _ = owned.value


def test_a_resource_that_does_not_wait_works_without_an_event_loop() -> None:
    """`run_pure` opens and closes it, and says so if it would have to wait."""
    log: list[str] = []
    assert using(resource(log, "a")).run_pure(Ask("k")) == "a"
    assert log == ["open a", "close a"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (42, "got 42.*lambda effect"),
        ("text", "got 'text'"),
        (None, "got None"),
    ],
)
def test_what_is_no_function_is_no_handler(function: Any, message: str) -> None:
    """`by` takes functions."""
    with pytest.raises(WrongHandlerKind, match=message):
        Ask.by(function)


def test_an_async_generator_is_no_handler() -> None:
    """It would answer many times."""

    async def many(_asked: Ask) -> AsyncGenerator[str, None]:
        yield "one"

    with pytest.raises(WrongHandlerKind, match=r"many.*async generator.*one answer"):
        Ask.by(many)  # type: ignore[arg-type]


def test_a_plain_function_that_answers_with_a_coroutine_or_generator_is_refused() -> None:
    """A forgotten `async` or `yield from` is an error of ours, and the coroutine is closed."""

    async def fetch() -> str:
        return "x"

    def plan() -> Plan[Ask, str]:
        return (yield from Ask("x"))

    with pytest.raises(WrongHandlerKind, match=r"a coroutine.*async def"):
        Ask.by(lambda _: fetch()).run_pure(Ask("k"))
    with pytest.raises(WrongHandlerKind, match=r"a generator.*generator function"):
        Ask.by(lambda _: plan()).run_pure(Ask("k"))


def test_an_interposer_must_be_a_generator_function() -> None:
    """A plain function could neither ask on nor wait."""

    def nothing(asked: Ask) -> str:
        return asked.key

    with pytest.raises(WrongHandlerKind, match=r"nothing.*generator function.*yield from effect"):
        answering("h").behind(nothing)  # type: ignore[arg-type]


def test_handlers_say_what_they_handle() -> None:
    """Their repr names effects, tools and needs."""
    handlers = answering("h") | supply(Db, Db()) | Handler.of({(CallTool, one): lambda _: 1})
    assert repr(handlers) == "<handler of Ask, Db, one>"
    assert repr(ambient) == "<handler of nothing>"
