"""Async tests on Trio, with async fixtures around them: what the pytest plugin runs them by."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import pytest
import trio

from lambdacat_effects.errors import InvalidArgument

__all__ = ["Postponed", "on_trio", "postponed"]


class Postponed:
    """An async fixture, to be set up in the event loop of the test that asked for it."""

    def __init__(self, function: Callable[..., Any], given: dict[str, Any]) -> None:
        self.function = function
        self.given = given


def postponed(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Postponed | None:
    """What stands for an async fixture until the test begins; None for one that is not async.

    Fails where a plain fixture asks for an async one, whose value it cannot have yet.
    """
    function: Any = fixturedef.func
    given = {name: request.getfixturevalue(name) for name in fixturedef.argnames}
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        if request.instance is not None and hasattr(function, "__func__"):
            function = function.__func__.__get__(request.instance)
        return Postponed(function, given)
    early = [name for name, value in given.items() if isinstance(value, Postponed)]
    if early:
        pytest.fail(
            f"the plain fixture {fixturedef.argname!r} asks for the async fixture {early[0]!r}, which is set up "
            f"later, on Trio: make {fixturedef.argname!r} async, too",
            pytrace=False,
        )
    return None


def on_trio(test: Callable[..., Awaitable[object]]) -> Callable[..., None]:
    """A plain function that runs an async test on Trio, with its async fixtures around it.

    A fixture whose value is a clock or an instrument of Trio is given to `trio.run`.
    """

    @functools.wraps(test)
    def run(*args: Any, **given: Any) -> None:
        __tracebackhide__ = True
        clocks = [value for value in given.values() if isinstance(value, trio.abc.Clock)]
        if len(clocks) > 1:
            raise InvalidArgument(f"a test runs by one clock; its fixtures are {clocks!r}")
        instruments = [value for value in given.values() if isinstance(value, trio.abc.Instrument)]
        try:
            trio.run(
                functools.partial(_perform, functools.partial(test, *args), given),
                clock=clocks[0] if clocks else None,
                instruments=instruments,
            )
        except BaseExceptionGroup as group:
            leaf = _only_leaf(group)
            if isinstance(leaf, (pytest.skip.Exception, pytest.xfail.Exception)):
                raise leaf from None  # raised in a nursery, and meant for pytest
            raise

    return run


async def _perform(test: Callable[..., Awaitable[object]], given: dict[str, Any]) -> None:
    __tracebackhide__ = True
    failed: BaseException | None = None
    try:
        async with AsyncExitStack() as stack:
            values = await _ready(given, stack, {})
            try:
                await test(**values)
            except BaseException as error:
                # A fixture with a nursery must see that it is cancelled. Other errors are the test's own: through a
                # nursery they would come out as a group.
                if _is_cancelled(error):
                    raise
                failed = error
    except BaseException as error:
        if failed is None:
            raise
        raise BaseExceptionGroup("the test failed, and then its fixtures", [failed, error]) from None
    if failed is not None:
        raise failed


async def _ready(given: dict[str, Any], stack: AsyncExitStack, known: dict[Postponed, Any]) -> dict[str, Any]:
    """The arguments, with async fixtures set up, each once."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        if not isinstance(value, Postponed):
            values[name] = value
            continue
        if value not in known:
            inner = await _ready(value.given, stack, known)
            if inspect.isasyncgenfunction(value.function):
                function = cast("Callable[..., AsyncGenerator[Any, None]]", value.function)
                known[value] = await stack.enter_async_context(asynccontextmanager(function)(**inner))
            else:
                known[value] = await value.function(**inner)
        values[name] = known[value]
    return values


def _is_cancelled(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        members = cast("BaseExceptionGroup[BaseException]", error).exceptions
        return any(map(_is_cancelled, members))
    return isinstance(error, trio.Cancelled)


def _only_leaf(error: BaseException) -> BaseException | None:
    while isinstance(error, BaseExceptionGroup):
        members = cast("BaseExceptionGroup[BaseException]", error).exceptions
        if len(members) != 1:
            return None
        error = members[0]
    return error
