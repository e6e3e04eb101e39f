"""Concurrency: each row of the combinators' table, with the types of its answers and the rows of its branches."""

from __future__ import annotations

from typing import reveal_type

from domain import (
    Archive,
    Hit,
    Publish,
    Search,
    archiving,
    calling,
    gather,
    report,
    search_papers,
    search_web,
    searching,
)

from lambdacat_effects import (
    Ambient,
    Effect,
    Missing,
    Ok,
    Plan,
    Sleep,
    Tools,
    attempt,
    call,
    effect,
    for_each,
    hedge,
    n_best,
    parallel,
    quorum,
    race,
    settle,
    shielded,
    span,
    timeout,
)


@effect
class A(Effect[int]): ...


@effect
class B(Effect[str]): ...


@effect
class C(Effect[bytes]): ...


def a() -> Plan[A, int]:
    return (yield from A())


def parallel_keeps_each_type() -> Plan[A | B | C, None]:
    reveal_type((yield from parallel(a())))  # R: tuple[int]
    reveal_type((yield from parallel(a(), B())))  # R: tuple[int, str]
    reveal_type((yield from parallel(a(), B(), C())))  # R: tuple[int, str, bytes]
    reveal_type((yield from parallel(a(), B(), C(), A())))  # R: tuple[int, str, bytes, int]
    reveal_type((yield from parallel(a(), B(), C(), A(), B())))  # R: tuple[int, str, bytes, int, str]
    six = yield from parallel(a(), B(), C(), A(), B(), C())
    reveal_type(six)  # R: tuple[int, str, bytes, int, str, bytes]
    seven = yield from parallel(a(), B(), C(), A(), B(), C(), A())
    reveal_type(seven)  # R: tuple[int, str, bytes, int, str, bytes, int]
    eight = yield from parallel(a(), B(), C(), A(), B(), C(), A(), B())
    reveal_type(eight)  # R: tuple[int, str, bytes, int, str, bytes, int, str]
    reveal_type(parallel(a(), B(), C()))  # R: Generator[A | B | C, object, tuple[int, str, bytes]]


def parallel_of_many(queries: list[str]) -> Plan[Search | Archive | Publish | A, None]:
    reveal_type((yield from parallel(*[Search(q) for q in queries])))  # R: tuple[list[str], ...]
    reveal_type((yield from parallel(*(gather(q) for q in queries), timeout=1)))  # R: tuple[int, ...]
    nine = yield from parallel(A(), A(), A(), A(), A(), A(), A(), A(), A())
    reveal_type(nine)  # R: tuple[int, ...]
    plans = [gather(q) for q in queries]
    reveal_type((yield from parallel(*plans)))  # R: tuple[int, ...]
    mixed = yield from parallel(*[gather("cats"), Publish("cats"), report("cats")])  # plugin
    reveal_type(mixed)  # plugin  # R: tuple[int | str, ...]
    more = yield from parallel(A(), *[gather("x"), Publish("x")], *plans)  # plugin
    reveal_type(more)  # plugin  # R: tuple[int, ...]


def parallel_partial() -> Plan[A | B, None]:
    one, two = yield from parallel(A(), B(), timeout=1.0, partial=True)
    reveal_type(one)  # R: int | Missing
    reveal_type(two)  # R: str | Missing
    reveal_type((yield from parallel(A(), timeout=1.0, partial=True)))  # R: tuple[int | Missing]
    reveal_type((yield from parallel(*[A(), A()], timeout=1.0, partial=True)))  # R: tuple[int | Missing, ...]
    if not isinstance(one, Missing):
        reveal_type(one)  # R: int
    one + 1  # E: Missing


def parallel_undeclared(queries: list[str]) -> Plan[Search | A, None]:
    yield from parallel(Search("cats"), Publish("cats"))  # E: Publish
    yield from parallel(A(), gather("cats"), Search("cats"))  # E: Archive
    yield from parallel(*[gather(q) for q in queries])  # E: Archive
    yield from parallel(*[A(), Publish("cats")])  # E: Publish  # E[mypy]
    yield from parallel(A(), A(), A(), A(), A(), A(), A(), A(), Publish("cats"))  # E: Publish  # E[mypy]
    yield from parallel(A(), timeout="1")  # E: parallel
    yield from parallel(A, A())  # E: A
    yield from parallel(3)  # E: parallel
    yield from parallel([A(), A()])  # E: list[A]


def races(queries: list[str]) -> Plan[Search | Archive | Publish | A | B | C, None]:
    reveal_type((yield from race(A(), B())))  # R: int | str
    reveal_type((yield from race(a(), B(), C(), timeout=1.0)))  # R: int | str | bytes
    reveal_type((yield from race(A(), A())))  # R: int
    reveal_type((yield from race(*[Search(q) for q in queries])))  # R: list[str]
    reveal_type(race(A(), B(), gather("x")))  # R: Generator[A | B | Search | Archive, object, int | str]
    reveal_type((yield from race(*[A(), Publish("x")])))  # plugin  # R: int


def race_undeclared() -> Plan[A, None]:
    yield from race(A(), B())  # E: B
    won: int = yield from race(A(), gather("x"))  # E: Search
    lost: str = yield from race(A(), A())  # E: "str"
    del won, lost


def settles() -> Plan[A | B, None]:
    one, two = yield from settle(A(), B())
    reveal_type(one)  # R: Ok[int] | Err[Exception]
    reveal_type(two)  # R: Ok[str] | Err[Exception]
    in_time = yield from settle(A(), B(), timeout=1.0)
    reveal_type(in_time[0])  # R: Ok[int] | Err[Exception] | Missing
    reveal_type((yield from settle(*[A(), A()])))  # R: tuple[Ok[int] | Err[Exception], ...]
    mixed = yield from settle(*[A(), B()])  # plugin
    if isinstance(mixed[0], Ok):  # plugin
        reveal_type(mixed[0].value)  # plugin  # R: int | str
    yield from settle(A(), Search("cats"))  # E: Search


def n_bests() -> Plan[A | Search | Archive, None]:
    reveal_type((yield from n_best(A(), a(), n=1, score=float)))  # R: list[int]
    best = yield from n_best(Search("x"), Search("y"), n=1, score=len, timeout=1.0)
    reveal_type(best)  # R: list[list[str]]
    reveal_type((yield from n_best(A(), gather("x"), n=1, score=lambda n: -n)))  # plugin  # R: list[int]
    yield from n_best(A(), a(), n=1)  # E: score
    yield from n_best(A(), a(), n=1, score=len)  # E: int
    yield from n_best(Publish("x"), Publish("y"), n=1, score=float)  # E: Publish


def quorums() -> Plan[A | B | Search | Archive, None]:
    reveal_type((yield from quorum(A(), a(), A(), n=2, timeout=1.0)))  # R: list[int]
    reveal_type((yield from quorum(A(), gather("x"), n=2)))  # plugin  # R: list[int]
    reveal_type((yield from quorum(A(), B(), n=2)))  # plugin  # R: list[int | str]
    wider: Plan[A | B, list[object]] = quorum(A(), B(), n=2)
    yield from quorum(A(), a())  # E: "n"
    yield from quorum(Publish("x"), Publish("y"), n=1)  # E: Publish
    del wider


def hedges() -> Plan[A | Sleep, int]:
    reveal_type(hedge(a, after=0.1))  # R: Generator[A | Sleep, object, int]
    reveal_type((yield from hedge(lambda: A(), after=0.1, copies=3)))  # R: int
    yield from hedge(a(), after=0.1)  # E: Performs
    yield from hedge(lambda: Search("cats"), after=0.1)  # E: Search
    return (yield from hedge(a))  # E: after


def hedge_sleeps() -> Plan[A, int]:
    return (yield from hedge(a, after=0.1))  # E: Sleep


def for_eachs(queries: list[str]) -> Plan[Search | Archive, list[int]]:
    reveal_type((yield from for_each(queries, Search, limit=3)))  # R: list[list[str]]
    reveal_type((yield from for_each(queries, lambda q: Search(q + "!"))))  # R: list[list[str]]
    yield from for_each(queries, report)  # E: Publish
    yield from for_each([1, 2], gather)  # E: int
    yield from for_each(queries, gather("cats"))  # E: Performs
    return (yield from for_each(queries, gather, timeout=1.0))


def timeouts() -> Plan[A, int]:
    reveal_type((yield from timeout(1.0, a())))  # R: int
    reveal_type((yield from timeout(1.0, A())))  # R: int
    yield from timeout(1.0, B())  # E: "B"
    yield from timeout(A(), 1.0)  # E: "A"
    yield from timeout("1", A())  # E: "float"
    return (yield from timeout(1.0, attempt(A())))  # E: Ok[int]


def wrappers() -> Plan[Tools | A, list[Hit]]:
    reveal_type((yield from shielded(a())))  # R: int
    reveal_type((yield from span("part", A(), attempt=3)))  # R: int
    reveal_type((yield from call(search_papers("cats"))))  # R: list[Paper]
    reveal_type(span("part", parallel(A(), B())))  # R: Generator[A | B, object, tuple[int, str]]
    yield from shielded(B())  # E: "B"
    yield from span("part", Search("cats"))  # E: Search
    yield from span(A())  # E: plan
    yield from call(Publish("cats"))  # E: Publish
    yield from call(gather)  # E: str
    return (yield from span("search", call(search_web("cats"))))


def countdown(n: int) -> Plan[Ambient, int]:
    yield from Sleep(1)
    return 0 if n == 0 else 1 + (yield from call(countdown(n - 1)))


def nested() -> Plan[Search | Archive | A | B, int]:
    both = yield from parallel(race(A(), a()), timeout(1.0, settle(B(), gather("cats"))))
    reveal_type(both)  # R: tuple[int, tuple[Ok[str] | Err[Exception], Ok[int] | Err[Exception]]]
    yield from parallel(race(A(), Publish("cats")), B())  # E: Publish
    return both[0]


async def run() -> None:
    both = searching | archiving
    reveal_type(await both.run(parallel(gather("cats"), Search("cats"))))  # R: tuple[int, list[str]]
    await both.run(parallel(gather("cats"), Publish("cats")))  # E: Publish
    won = await calling.run(race(search_web("cats"), search_papers("cats")))
    reveal_type(won)  # R: list[Hit] | list[Paper]


def check() -> None:
    both = searching | archiving
    assert both.run_pure(parallel(gather("cats"), Search("cats"))) == (1, ["cats"])
    assert searching.run_pure(for_each(["a", "b"], Search)) == [["a"], ["b"]]
    assert A.by(lambda _: 7).run_pure(hedge(a, after=0.1)) == 7
    assert both.run_pure(countdown(3)) == 3
