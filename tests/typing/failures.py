"""Errors that a plan may expect: in its row, caught, attempted, raised."""

from __future__ import annotations

from typing import reveal_type

from domain import Denied, Limited, NotFound, Search, gather, riskier, risky, searching

from lambdacat_effects import Err, Fail, Ok, Plan, attempt, catch, fail, raising


def undeclared_error(query: str) -> Plan[Search, str]:
    hits = yield from Search(query)
    if not hits:
        yield from fail(NotFound())  # E: Fail[NotFound]
    return hits[0]


def undeclared_errors(query: str) -> Plan[Search | Fail[NotFound], str]:
    return (yield from risky(query))  # E: Fail[Limited]


def wider_error(query: str) -> Plan[Search | Fail[Exception], str]:
    return (yield from risky(query))


def first(query: str) -> Plan[Search | Fail[NotFound], str]:
    hits = (yield from Search(query)) or None
    if hits is None:
        return (yield from fail(NotFound()))
    return hits[0]


def first_without_return(query: str) -> Plan[Search | Fail[NotFound], str]:
    hits = (yield from Search(query)) or None
    if hits is None:
        yield from fail(NotFound())
    return hits[0]  # E: None


def never() -> Plan[Fail[NotFound], None]:
    reveal_type((yield from fail(NotFound())))  # R: Never


def bad_errors() -> None:
    Fail("not found")  # E: X_co
    fail(NotFound)  # E: NotFound
    fail(KeyboardInterrupt())  # E: KeyboardInterrupt


def one() -> Plan[Search | Fail[Limited], str]:
    reveal_type(catch(NotFound))  # R: Catch[NotFound]
    reveal_type(catch(NotFound)(Fail(NotFound())))  # R: Generator[Never, object, NotFound]
    caught = catch(NotFound)(risky("cats"))  # plugin
    reveal_type(caught)  # plugin  # R: Generator[Search | Fail[Limited], object, str | NotFound]
    left: Plan[Search | Fail[Limited], str | NotFound] = catch(NotFound)(risky("cats"))
    found = yield from left
    reveal_type(found)  # R: str | NotFound
    if isinstance(found, NotFound):
        return "nothing"
    reveal_type(found)  # R: str
    return found


def one_uncaught() -> Plan[Search, str | NotFound]:
    return (yield from catch(NotFound)(risky("cats")))  # E: Limited


def two() -> Plan[Search, str]:
    reveal_type(catch(NotFound, Limited))  # R: Catch2[NotFound, Limited]
    caught = catch(NotFound, Limited)(risky("cats"))
    reveal_type(caught)  # R: Generator[Search, object, str | NotFound | Limited]
    nested = catch(Limited)(catch(NotFound)(Fail(NotFound())))
    reveal_type(nested)  # R: Generator[Never, object, NotFound | Limited]
    return (yield from catch(NotFound, Limited)(risky("cats")))  # E: NotFound


def three() -> Plan[Search, str]:
    reveal_type(catch(NotFound, Limited, Denied))  # R: Catch3[NotFound, Limited, Denied]
    caught = catch(NotFound, Limited, Denied)(riskier("cats"))
    reveal_type(caught)  # R: Generator[Search, object, str | NotFound | Limited | Denied]
    return str((yield from caught))


def three_uncaught() -> Plan[Search, object]:
    return (yield from catch(NotFound, Limited)(riskier("cats")))  # E: Denied


def bad_catches() -> None:
    catch()  # E: catch
    catch(3)  # E: catch
    catch(KeyboardInterrupt)  # E: KeyboardInterrupt
    catch(NotFound)(risky)  # E: str
    catch(NotFound)(gather("cats"), 3)  # E


def attempted() -> Plan[Search | Fail[NotFound] | Fail[Limited], str]:
    ended = yield from attempt(risky("cats"))
    reveal_type(ended)  # R: Ok[str] | Err[Exception]
    match ended:
        case Ok(value):
            reveal_type(value)  # R: str
            return value
        case Err(error):
            reveal_type(error)  # R: Exception
            return str(error)


def attempt_handles_nothing() -> Plan[Search, object]:
    return (yield from attempt(risky("cats")))  # E: Fail


def attempt_is_no_answer() -> Plan[Search, list[str]]:
    return (yield from attempt(Search("cats")))  # E: Ok[list[str]]


async def run() -> None:
    reveal_type(raising)  # R: Handler[Fail[Exception]]
    reveal_type(await (searching | raising).run(risky("cats")))  # R: str
    reveal_type(await searching.run(catch(NotFound, Limited)(risky("cats"))))  # R: str | NotFound | Limited
    await searching.run(risky("cats"))  # E: Fail[NotFound]
    await raising.run(risky("cats"))  # E: Search
    await searching.run(catch(NotFound)(risky("cats")))  # E: Limited


def check() -> None:
    assert isinstance(searching.run_pure(catch(NotFound, Limited)(risky(""))), NotFound)
    assert isinstance(searching.run_pure(catch(NotFound, Limited, Denied)(riskier("secret"))), Denied)
    assert isinstance((searching | raising).run_pure(attempt(risky(""))), Err)
