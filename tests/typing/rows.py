"""Rows: what handlers and `catch` leave of them, in deep compositions and in generic code."""

from __future__ import annotations

from typing import Any, TypeVar, reveal_type

from domain import (
    Archive,
    Limited,
    NotFound,
    Search,
    archiving,
    gather,
    publishing,
    report,
    risky,
    searching,
)

from lambdacat_effects import (
    CallTool,
    Effect,
    Fail,
    Handler,
    Performs,
    Plan,
    Recall,
    Tools,
    catch,
    parallel,
    quorum,
    raising,
    span,
)

A = TypeVar("A")
E = TypeVar("E", bound=Effect[Any])


class NoSuchPage(NotFound): ...


def lookup() -> Plan[Search | Fail[NoSuchPage] | Fail[Limited], str]:
    yield from Search("x")
    return (yield from Fail(NoSuchPage()))


def subclasses() -> None:
    caught = catch(NotFound)(lookup())  # plugin
    reveal_type(caught)  # plugin  # R: Generator[Search | Fail[Limited], object, str | NotFound]
    # pyright takes one member of a union for one type parameter: the rest stays, which is safe.
    for left in raising.handle(risky("x")):
        reveal_type(left)  # R: Search  # R[pyright]: Search | Fail[NotFound]


def catch_all() -> Plan[Search | Archive, str]:
    return str((yield from catch(Limited, NotFound)(risky("x"))))


def nested() -> None:
    one = archiving.handle(searching.handle(span("report", report("x"))))  # plugin
    reveal_type(one)  # plugin  # R: Generator[Publish, object, str]
    none = publishing.handle(archiving.handle(searching.handle(report("x"))))  # plugin
    reveal_type(none)  # plugin  # R: Generator[Never, object, str]
    both = parallel(searching.handle(report("x")), searching.handle(span("x", catch_all())))  # plugin
    reveal_type(both)  # plugin  # R: Generator[Archive | Publish, object, tuple[str, str]]
    most = quorum(searching.handle(report("x")), archiving.handle(gather("x")), n=1)  # plugin
    reveal_type(most)  # plugin  # R: Generator[Archive | Publish | Search, object, list[str | int]]


def alternatives(flag: bool, handler: Handler[Search] | Handler[Archive]) -> None:
    plan = gather("cats") if flag else Search("cats")
    reveal_type(searching.handle(plan))  # plugin  # R: Generator[Archive, object, int | list[str]]
    handled = handler.handle(gather("cats"))
    reveal_type(handled)  # R: Generator[Archive, object, int] | Generator[Search, object, int]
    handler.run_pure(gather("cats"))  # E: Archive  # E[mypy-plugin]: answers "Archive"
    (searching | archiving).run_pure(plan)


def with_search(plan: Performs[E | Search, A]) -> Plan[E, A]:
    return searching.handle(plan)


def generic() -> None:
    reveal_type(with_search(gather("cats")))  # R: Generator[Archive, object, int]
    # A function of the user's own, which the plugin does not know.
    left: Plan[Archive | Search, str] = with_search(risky("x"))  # E
    del left


def performing(plan: Performs[E, A], handlers: Handler[E]) -> A:
    none = handlers.handle(plan)
    reveal_type(none)  # R: Generator[Never, object, A]  # R[pyright]: Generator[Never, object, A@performing]
    searching.run_pure(plan)  # E: E
    reveal_type((searching | handlers).run_pure(plan))  # R: A  # R[pyright]: A@performing
    return handlers.run_pure(span("part", plan))


def dynamic(tools: Plan[Tools, str], number: Handler[CallTool[int]], anything: Handler[Any]) -> None:
    reveal_type(number.handle(tools))  # R: Generator[Never, object, str]
    reveal_type(anything.handle(gather("cats")))  # R: Generator[Never, object, int]
    number.run_pure(tools)
    anything.run_pure(report("cats"))


def dynamic_plans(
    plan: Plan[Any, str], recalled: Plan[Recall[list[Any]], int], memory: Handler[Recall[Any]]
) -> None:
    searching.run_pure(plan)
    reveal_type(memory.handle(recalled))  # R: Generator[Never, object, int]
    searching.run_pure(*[plan])


def check() -> None:
    assert archiving.run_pure(with_search(gather("cats"))) == 1
