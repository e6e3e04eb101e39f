"""What a plan remembers is kept without its secrets, and still reads as its type."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections import OrderedDict
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects import (
    AgentState,
    Handler,
    Memory,
    answer_tools,
    api_keys,
    bearer_tokens,
    card_numbers,
    email_addresses,
    forget,
    in_memory,
    recall,
    recall_marked,
    redacting,
    remember,
    remember_unless_changed,
    search_memory,
    store_memory,
    tool,
    with_state,
)
from lambdacat_effects.errors import InvalidArgument, LimitExceeded, NotSerialisable
from lambdacat_effects.storage import InMemoryStore
from lambdacat_effects.storage.exact.redaction import Redaction
from lambdacat_effects.storage.plain import dumps
from lambdacat_effects.storage.redacting import redacted


class Plan(Enum):
    FREE = "free"
    PAID = "paid"


class Login(NamedTuple):
    user: str
    password: str


@attrs.frozen
class Account:
    name: str
    pin: int
    api_key: str | None = None
    born: dt.date | None = None
    plan: Plan = Plan.FREE
    logins: tuple[Login, ...] = ()
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Secrets:
    at: dt.datetime
    on: dt.date
    when: dt.time
    id: uuid.UUID
    octets: bytes
    path: Path
    amount: Decimal
    share: float
    active: bool
    plan: Plan
    nothing: None
    more: dict[str, list[str]]


def kept(value: object, *redact: Any) -> Any:
    """What a memory that redacts keeps of `value`, as plain JSON."""
    memory = in_memory().behind(redacting(*redact))
    memory.run_pure(remember("n", "k", value))
    return memory.run_pure(recall("n", "k", as_type=object))  # type: ignore[type-abstract]


def test_named_fields_are_redacted_and_the_value_reads_as_its_type() -> None:
    account = Account(
        "Ann", 1234, "sk-1234567", dt.date(1990, 1, 2), Plan.PAID, (Login("ann", "hunter2"),), ("x",)
    )
    memory = in_memory().behind(redacting("pin", "born"))
    memory.run_pure(remember("accounts", "7", account))
    assert Account(
        "Ann", 0, "[redacted]", dt.date.min, Plan.PAID, (Login("ann", "[redacted]"),), ("x",)
    ) == memory.run_pure(recall("accounts", "7", as_type=Account))


def test_none_stays_none() -> None:
    assert None is kept(Account("Ann", 1))["api_key"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"Password": "x", "X-API-Key": "y", "user": "z"},
            {"Password": "[redacted]", "X-API-Key": "[redacted]", "user": "z"},
        ),
        (
            [("Authorization", "Basic eA=="), ("Accept", "text")],
            [["Authorization", "[redacted]"], ["Accept", "text"]],
        ),
        (OrderedDict(token="t0ken99"), [["token", "[redacted]"]]),
        (
            {"credentials": {"user": "ann", "keys": ["a1", 5]}},
            {"credentials": {"[redacted]": "[redacted]", "[redacted] 2": ["[redacted]", 0]}},
        ),
        (
            {"before": "it is hunter22", "password": "hunter22"},
            {"before": "it is [redacted]", "password": "[redacted]"},
        ),
    ],
)
def test_names_count_wherever_they_are(value: object, expected: object) -> None:
    """In any case and spelling, in headers and mappings; what stood there also elsewhere, even before."""
    assert expected == kept(value)


def test_what_is_no_text_stays_of_its_type() -> None:
    secret = Secrets(
        dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
        dt.date(2026, 1, 2),
        dt.time(3),
        uuid.UUID(int=5),
        b"octets",
        Path("a/b"),
        Decimal("1.5"),
        0.5,
        True,
        Plan.PAID,
        None,
        {"a": ["b"]},
    )
    memory = in_memory().behind(redacting("all"))
    memory.run_pure(remember("n", "k", {"all": secret}))
    read = memory.run_pure(recall("n", "k", as_type=dict[str, Secrets]))
    assert read is not None
    assert Secrets(
        dt.datetime.min.replace(tzinfo=dt.UTC), dt.date.min, dt.time.min, uuid.UUID(int=0), b"[redacted]",
        Path("[redacted]"), Decimal(0), 0.0, True, Plan.PAID, None, {"[redacted]": ["[redacted]"]},
    ) == read["all"]  # fmt: skip


def shout(text: str) -> str:
    return text.replace("ann", "[A]")


def test_functions_see_every_text() -> None:
    """Also in bytes, paths, keys, and whole numbers of six digits or more."""
    value = {"ann": ["ann", b"\xffann", Path("home/ann"), {"x": "joanne"}]}
    assert {"[A]": ["[A]", "/1tBXQ==", "home/[A]", {"x": "jo[A]e"}]} == kept(value, shout)
    assert [0, 12345, 4111111111111112] == kept([4111111111111111, 12345, 4111111111111112], card_numbers)
    assert {"$type": "Account", "plan": "paid"}.items() <= kept(
        Account("b", 1, plan=Plan.PAID), shout
    ).items()


def test_keys_that_redaction_makes_one_stay_apart() -> None:
    value = {"a@x.org": 1, "b@x.org": 2, "[redacted] 2": 3}
    assert [1, 2, 3] == sorted(kept(value, email_addresses).values())
    with pytest.raises(NotSerialisable, match=r"has two keys that redaction makes one"):
        kept({(1, "a@x.org"): 1, (1, "b@x.org"): 2}, email_addresses)


def test_every_effect_that_keeps_something_is_redacted_and_the_others_pass() -> None:
    @tool
    def say(password: str) -> str: ...

    memory = (answer_tools({say: "hunter2"}) | in_memory()).behind(redacting())

    def plan() -> Any:
        found = yield from recall_marked("n", "k", as_type=dict)
        yield from remember_unless_changed("n", "k", {"password": (yield from say("x"))}, since=found.mark)
        pairs = yield from search_memory("n", as_type=dict)
        return pairs, (yield from forget("n", "k"))

    assert ([("k", {"password": "[redacted]"})], True) == memory.run_pure(plan())


def test_states_are_saved_without_secrets() -> None:
    def plan(state: AgentState[Any]) -> Any:
        return attrs.evolve(state, profile={"token": "abc12345"}, memory={"m": "abc12345"})
        yield

    store = InMemoryStore()
    memory = store_memory(store).behind(redacting())
    for _ in range(2):
        memory.run_pure(with_state("agents", "ada", plan))
    assert b"abc12345" not in (trio.run(store.get, "agents", "ada") or b"")


def test_limits_count_what_is_kept() -> None:
    store = store_memory(InMemoryStore(), most_bytes=20)
    with pytest.raises(LimitExceeded):
        store.run_pure(remember("n", "k", "x" * 40))
    store.behind(redacting(lambda text: text[:5])).run_pure(remember("n", "k", "x" * 40))
    assert "xxxxx" == store.run_pure(recall("n", "k", as_type=str))


deep: list[Any] = []
for _ in range(100_000):
    deep = [deep]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": print}, r"^\('n', 'k'\) cannot be remembered: value\['a'\] is of type"),
        (deep, "nested too deeply"),
    ],
)
def test_what_cannot_be_stored_is_named_as_without_redaction(value: Any, message: str) -> None:
    for memory in (in_memory(), in_memory().behind(redacting())):
        with pytest.raises(NotSerialisable, match=message):
            memory.run_pure(remember("n", "k", value))


@pytest.mark.parametrize("redact", [3, "", None, ["pin"]])
def test_what_to_redact_is_a_name_or_a_function(redact: Any) -> None:
    with pytest.raises(InvalidArgument, match="names of fields, and functions"):
        redacting(redact)


def test_a_function_answers_with_text() -> None:
    with pytest.raises(InvalidArgument, match="is to answer with text"):
        kept("a", lambda text: None)


any_key = st.text("abcdef @.-", max_size=8)
jsonish = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | any_key | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_key, inner, max_size=3),
    max_leaves=8,
)
SECRET = "s3cr3t-0f-ann"


def with_secret(value: Any) -> list[Any]:
    return [value, {"deep": [{"password": SECRET}]}, f"so {SECRET} it is", value]


@settings(deadline=None)
@given(jsonish)
def test_without_secrets_nothing_changes(value: Any) -> None:
    """Redaction is the identity on what has no secrets, and does it once: again changes nothing."""
    memory: list[Handler[Memory]] = [in_memory(), in_memory().behind(redacting("pin", shout))]
    for one in memory:
        one.run_pure(remember("n", "k", value))
    plain, without = [one.run_pure(recall("n", "k", as_type=object)) for one in memory]  # type: ignore[type-abstract]
    assert dumps(plain) == dumps(without)


def no_secret(value: Any, redact: Any) -> None:
    written = redact(value, Redaction())
    assert SECRET not in dumps(written)
    assert written == redact(written, Redaction())


@settings(deadline=None)
@given(jsonish)
def test_a_secret_is_nowhere_in_what_is_kept(value: Any) -> None:
    no_secret(with_secret(value), redacted)


def once(value: object, redaction: Redaction) -> Any:
    """A mutant: what stands before a secret is written when it is not known."""
    from lambdacat_effects.storage.exact.redaction import Redactor
    from lambdacat_effects.storage.plain import plain
    from lambdacat_effects.storage.redacting import Redacting

    return plain(value, Redacting(Redactor(redaction)))


def unredacted(value: object, redaction: Redaction) -> Any:
    from lambdacat_effects.storage.plain import plain

    return plain(value)


@pytest.mark.parametrize("mutant", [once, unredacted])
def test_the_property_finds_a_redaction_that_leaks(mutant: Any) -> None:
    with pytest.raises(AssertionError):
        no_secret([SECRET, {"password": SECRET}], mutant)


@pytest.mark.parametrize(
    ("function", "text", "expected"),
    [
        (email_addresses, "a@b.co, A.b-c+d@sub.example.org.", "[redacted], [redacted]."),
        (email_addresses, "grüße@bücher.example", "[redacted]"),
        (card_numbers, "5500-0055-5555-5559 378282246310005", "[redacted] [redacted]"),
        (card_numbers, "3782 822463 10005", "[redacted]"),
        (card_numbers, "6011 0009 9013 9424, 2026", "[redacted], 2026"),
        (card_numbers, "0001 4111 1111 1111 1111 02", "0001 [redacted] 02"),
        (bearer_tokens, "authorization: bearer abc.def-123 x", "authorization: bearer [redacted] x"),
        (bearer_tokens, "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSM", "[redacted]"),
        (api_keys, "sk-ant-api03-abcdefghijklmnop ghp_abcdefghijklmnopqrstuvwxyz", "[redacted] [redacted]"),
        (api_keys, 'my_api_key: "abcdef123"', 'my_api_key: "[redacted]"'),
        (api_keys, "password = hunter22", "password = [redacted]"),
        (
            api_keys,
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n.",
            "[redacted]\n.",
        ),
    ],
)
def test_ready_patterns_find_what_they_say(function: Any, text: str, expected: str) -> None:
    assert expected == function(text)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (email_addresses, "@home a@b 3 @ 4 a@b.1"),
        (card_numbers, "000000000000 1234567890123 41111111111111111111111"),
        (bearer_tokens, "basic research, the token economy, bearer of news"),
        (api_keys, "the secretary: Johnson; desk-lamp-with-a-shade; passwords matter"),
    ],
)
def test_ready_patterns_leave_the_rest(function: Any, text: str) -> None:
    assert text == function(text)


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=11, max_size=18))
def test_every_number_with_a_check_digit_is_a_card_and_no_other(digits: list[int]) -> None:
    """Against the definition: from the right, every second digit counts twice, by its digits."""

    def total(number: list[int]) -> int:
        return sum(d if i % 2 == 0 else sum(map(int, str(2 * d))) for i, d in enumerate(reversed(number)))

    for last in range(10):
        number = [*digits, last]
        text = "".join(map(str, number))
        is_card = total(number) % 10 == 0 and any(number)
        assert ("[redacted]" if is_card else text) == card_numbers(text)


@pytest.mark.parametrize("function", [email_addresses, card_numbers, bearer_tokens, api_keys])
@given(st.text())
def test_patterns_take_any_text(function: Any, text: str) -> None:
    """And what they answer, they leave alone."""
    assert function(text) == function(function(text))
