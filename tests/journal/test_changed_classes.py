"""Runs that are resumed after the classes of their answers, or the parameters of their plans, have changed."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lambdacat_effects import Durable, ambient, call_tools
from lambdacat_effects.errors import JournalUnreadable, NondeterminismError, RunMismatch, RunSuspended
from lambdacat_effects.storage import InMemoryStore

NAME = "a_shop_that_changes"
PLAN = """
from attrs import Factory, frozen
from lambdacat_effects import ask, migration, tool, versioned

{}

@tool(inline=True)
def look():
    return globals().get("Client", globals().get("Customer"))("ada", ("May", "June"))

def serve():
    customer = yield from look()
    yield from ask("Go on?", as_type=bool)
    return repr(customer)
"""
CUSTOMER = "@frozen\nclass Customer:\n    name: str\n    visited: tuple\n"
ARGUMENTS = """
from lambdacat_effects import ask

def serve({}):
    yield from ask("Go on?", as_type=bool)
    return {}
"""

Deploy = Callable[[str], ModuleType]


@pytest.fixture
def deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deploy]:
    """Deploys this text as the program."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def deployed(text: str) -> ModuleType:
        (tmp_path / f"{NAME}.py").write_text(text)
        sys.modules.pop(NAME, None)
        importlib.invalidate_caches()
        return importlib.import_module(NAME)

    yield deployed
    sys.modules.pop(NAME, None)


def handlers(shop: ModuleType) -> Any:
    return call_tools(shop.look) if hasattr(shop, "look") else ambient


async def waiting(shop: ModuleType, *args: object) -> Durable:
    """A run that waits for an answer, which has been given."""
    durable = Durable(InMemoryStore())
    with pytest.raises(RunSuspended):
        await durable.run("r", shop.serve, *args, handlers=handlers(shop))
    await durable.answer("r", True)
    return durable


NEW_FIELD = CUSTOMER + "    vip: bool = False\n    tags: list = Factory(list)\n"
MIGRATED = """
@versioned(2)
@frozen
class Customer:
    name: str
    visited: tuple
    visits: int = 0

@migration(Customer, 1)
def count_visits(old):
    return {**old, "name": old["name"].title(), "visits": len(old["visited"])}
"""
RENAMED = CUSTOMER.replace("@frozen", '@versioned(was="Customer")\n@frozen').replace("Customer:", "Client:")


@pytest.mark.parametrize(
    ("now", "answer"),
    [
        (NEW_FIELD, "Customer(name='ada', visited=('May', 'June'), vip=False, tags=[])"),
        (MIGRATED, "Customer(name='Ada', visited=('May', 'June'), visits=2)"),
        (RENAMED, "Client(name='ada', visited=('May', 'June'))"),
    ],
    ids=["a new field", "a migration", "another name"],
)
async def test_an_answer_is_read_as_its_class_is_today(deploy: Deploy, now: str, answer: str) -> None:
    """And the tool is not called again."""
    durable = await waiting(deploy(PLAN.format(CUSTOMER)))
    shop = deploy(PLAN.format(now))
    assert await durable.resume("r", handlers=handlers(shop)) == answer


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (CUSTOMER + "    vip: bool\n", "fields have changed since: vip. Give a new field a default"),
        (CUSTOMER.replace("    name: str\n", ""), "fields have changed since: name"),
        (
            "@versioned(2)\n" + CUSTOMER,
            r"of version 1, and the class is at version 2: write @migration\(Customer, 1\)",
        ),
    ],
    ids=["a new field without a default", "a field less", "a version without a migration"],
)
async def test_what_does_not_read_as_its_class_is_today(deploy: Deploy, now: str, told: str) -> None:
    """The error says what mends it; then the run goes on."""
    durable = await waiting(deploy(PLAN.format(CUSTOMER)))
    shop = deploy(PLAN.format(now))
    with pytest.raises(JournalUnreadable, match=told):
        await durable.resume("r", handlers=handlers(shop))
    shop = deploy(PLAN.format(NEW_FIELD))
    assert "vip=False" in await durable.resume("r", handlers=handlers(shop))


@pytest.mark.parametrize(
    ("before", "args", "now", "answer"),
    [
        ("a, n=1", ("x", 7), 'a, vip="no", n=1', {"a": "x", "vip": "no", "n": 7}),
        ("a, n=1", ("x", 7), "n, a", {"a": "x", "n": 7}),
        ("a, n=1", ("x", 7), "*, n, a", {"a": "x", "n": 7}),
        ("a, /, n=1", ("x", 7), "b, /, vip=0, n=1", {"b": "x", "vip": 0, "n": 7}),
        ("a, *rest", ("x", 7, 8), "a, vip=0, *rest", {"a": "x", "vip": 0, "rest": (7, 8)}),
        ("a, /, *rest", ("x", 7), "a, /, *rest, n=1", {"a": "x", "rest": (7,), "n": 1}),
        ("a, /", ("x",), "a, /, n=1", {"a": "x", "n": 1}),
        ("a", ("x",), "**named", {"named": {"a": "x"}}),
    ],
    ids=str,
)
async def test_arguments_are_given_by_name(
    deploy: Deploy, before: str, args: tuple[Any, ...], now: str, answer: dict[str, Any]
) -> None:
    """So a new parameter shifts none of them."""
    durable = await waiting(deploy(ARGUMENTS.format(before, "locals()")), *args)
    deploy(ARGUMENTS.format(now, "locals()"))
    assert await durable.resume("r", handlers=ambient) == answer


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ("a, n", "a", "it has no parameter 'n' any more"),
        ("a, n", "a, m=1", "it has no parameter 'n' any more"),
        ("a, n", "a, /, n", "missing a required argument: 'a'"),
        ("a, n", "a, n, m", "missing a required argument: 'm'"),
        ("a, n, /", "a, /", "too many positional arguments"),
    ],
)
async def test_a_plan_that_does_not_take_its_arguments_any_more(
    deploy: Deploy, before: str, now: str, told: str
) -> None:
    """The error shows what it was given and what it takes now."""
    durable = await waiting(deploy(ARGUMENTS.format(before, "locals()")), "x", 7)
    deploy(ARGUMENTS.format(now, "locals()"))
    given = "('x', 7)" if "/" in before else "(a='x', n=7)"
    with pytest.raises(
        NondeterminismError, match=re.escape(f"arguments {given}, and now that takes ({now}")
    ) as e:
        await durable.resume("r", handlers=ambient)
    assert told in str(e.value)


async def test_a_call_is_the_same_with_its_defaults_left_out_or_given(deploy: Deploy) -> None:
    """Also with a parameter that is new; another value of it is another call."""
    durable = await waiting(deploy(ARGUMENTS.format("a, n=1", "locals()")), "x")
    shop = deploy(ARGUMENTS.format("a, vip=0, n=1", "locals()"))
    for args in (("x", 1), ("y",), ("x", 0, 2), ("x", False)):
        with pytest.raises(RunMismatch, match=r"begun:     a_shop_that_changes:serve\(a='x'\)\n"):
            await durable.run_or_resume("r", shop.serve, *args, handlers=ambient)
    for args in (("x",), ("x", 0), ("x", 0, 1)):
        assert await durable.run_or_resume("r", shop.serve, *args, handlers=ambient) == {
            "a": "x",
            "vip": 0,
            "n": 1,
        }


async def test_a_call_is_the_same_when_a_class_of_its_arguments_has_changed(deploy: Deploy) -> None:
    """If what was given reads as what is given."""
    text = "from attrs import frozen\n" + CUSTOMER + "{}" + ARGUMENTS.format("customer", "customer.name")
    shop = deploy(text.format(""))
    durable = await waiting(shop, shop.Customer("ada", ()))
    shop = deploy(text.format("    vip: bool = False\n"))
    with pytest.raises(RunMismatch):
        await durable.run_or_resume("r", shop.serve, shop.Customer("ada", (), True), handlers=ambient)
    customer = shop.Customer("ada", ())
    assert await durable.run_or_resume("r", shop.serve, customer, handlers=ambient) == "ada"
