"""Redaction: no secret is ever written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects import (
    Effect,
    Plan,
    answer_tools,
    awaiting,
    blocking,
    call_tools,
    effect,
    tool,
)
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.testing.recording import REDACTED, SECRET_NAMES, RecordingMismatch, record, replay

SECRET = "sk-live-0123456789"


@effect
class Login(Effect[Any]):
    user: str
    password: Any = None
    headers: Any = None


@attrs.define
class Session:
    user: str
    api_key: Any


@attrs.define
class Profile:
    name: str
    _token: str


@tool
async def fetch(url: str, api_key: str, *, headers: Any = None) -> Any:
    """Fetch."""


def login(user: str, password: str) -> str:
    return f"welcome {user}"


async def login_later(user: str, password: str) -> str:
    return f"welcome {user}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "recording.json"


def fails(error: Exception) -> Callable[..., Any]:
    def failing(*_args: Any, **_kwargs: Any) -> Any:
        raise error

    return failing


def noted(error: Exception, note: str) -> Exception:
    error.add_note(note)
    return error


CASES: dict[str, tuple[Callable[[], Any], Any]] = {
    "a field of an effect": (lambda: Login("ada", SECRET), "ok"),
    "a field that holds more than text": (
        lambda: Login("ada", {"now": [SECRET], "then": Session("a", SECRET)}),
        "ok",
    ),
    "a header": (lambda: Login("ada", None, {"Authorization": f"Bearer {SECRET}"}), "ok"),
    "a header in a list of pairs": (
        lambda: Login("ada", None, [("X-Api-Key", SECRET), ("Accept", "*")]),
        "ok",
    ),
    "a header in a tuple of lists": (lambda: Login("ada", None, (["Set-Cookie", SECRET],)), "ok"),
    "an argument of a tool": (lambda: fetch("u", api_key=SECRET), "ok"),
    "an argument given by position": (lambda: fetch("u", SECRET), "ok"),
    "an argument deep inside": (lambda: fetch("u", "k" * 9, headers={"a": [{"cookie": SECRET}]}), "ok"),
    "an argument of a function": (lambda: blocking(login, "ada", SECRET), None),
    "an argument of an async function": (lambda: awaiting(login_later, "ada", SECRET), None),
    "a field of the answer": (lambda: Login("ada"), Session("ada", SECRET)),
    "a private field of the answer": (lambda: Login("ada"), {"p": [Profile("ada", SECRET)]}),
    "an item of the answer": (lambda: Login("ada"), {"Refresh-Token": SECRET}),
    "an item whose keys are no text": (lambda: Login("ada"), {1: 2, "passwd": SECRET}),
    "an echo in the answer": (lambda: Login("ada", SECRET), f"you said {SECRET}!"),
    "an echo in the bytes of the answer": (lambda: Login("ada", SECRET), f"you said {SECRET}!".encode()),
    "an echo as a key": (lambda: Login("ada", SECRET), {SECRET: 1}),
    "an echo as a key that is sorted otherwise": (lambda: Login("ada", SECRET), {"z": 1, SECRET: 1}),
    "an echo of a header": (lambda: Login("ada", None, {"authorization": f"Bearer {SECRET}"}), SECRET),
    "a secret of bytes": (lambda: Login("ada", SECRET.encode()), f"echo {SECRET}"),
    "an error that quotes it": (lambda: Login("ada", SECRET), fails(ValueError(f"wrong: {SECRET}", SECRET))),
    "an error with an attribute": (lambda: Login("ada", SECRET), fails(OSError(5, SECRET, f"/{SECRET}"))),
    "an error with a note": (lambda: Login("ada", SECRET), fails(noted(ValueError(), f"with {SECRET}"))),
    "a group of errors": (lambda: Login("ada", SECRET), fails(ExceptionGroup(SECRET, [ValueError(SECRET)]))),
    "a tool's error": (lambda: fetch("u", SECRET), fails(ConnectionError(f"401 for {SECRET}"))),
    "a stream": (lambda: consumed(Login("ada", SECRET)), lambda _: iter([SECRET, {"token": SECRET}])),
    "what is known to be secret only later": (lambda: first_then(), SECRET),
}


def first_then() -> Plan[Any, Any]:
    given = yield from Login("ada")
    yield from Login("ada", given)
    return given


def consumed(asked: Login) -> Plan[Any, Any]:
    return list((yield from asked))


def handlers(answer: Any) -> Any:
    function = answer if callable(answer) else lambda *_args, **_kwargs: answer
    return Login.by(lambda asked: function(asked)) | answer_tools({fetch: function})


def ending(run: Any, plan: Any) -> Any:
    try:
        return run(plan)
    except Exception as error:
        return error


def written(name: str, file: Path) -> bytes:
    make, answer = CASES[name]
    ending(record(handlers(answer), file).run_pure, make())
    return file.read_bytes()


@pytest.mark.parametrize("name", CASES)
def test_a_secret_is_not_in_the_file(name: str, file: Path) -> None:
    """Wherever it was; and the rest of the file is."""
    octets = written(name, file)
    assert SECRET.encode() not in octets
    assert (
        REDACTED.encode() in octets
        or b"W3JlZGFjdGVkXQ" in octets
        or b"eW91IHNhaWQgW3JlZGFjdGVkXSE=" in octets
    )


@pytest.mark.parametrize("name", CASES)
def test_a_replay_recognises_what_was_redacted(name: str, file: Path) -> None:
    """Also with another secret, or none: what is compared is redacted, too."""
    written(name, file)
    make, _ = CASES[name]
    error = ending(replay(file).run_pure, make())
    assert not isinstance(error, RecordingMismatch)
    assert SECRET not in repr(error)


def test_another_secret_will_do(file: Path) -> None:
    """As where a replay runs there is none."""
    record(handlers("ok"), file).run_pure(Login("ada", SECRET))
    assert replay(file).run_pure(Login("ada", "none")) == "ok"
    with pytest.raises(RecordingMismatch) as caught:
        replay(file).run_pure(Login("bob", SECRET))
    assert "user: 'ada' -> 'bob'" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_the_live_run_has_the_secret(file: Path) -> None:
    """And the replay has what stands for it."""
    live = handlers(Session("ada", SECRET))
    assert Session("ada", SECRET) == record(live, file).run_pure(Login("ada"))
    assert Session("ada", REDACTED) == record(live, file).run_pure(Login("ada"))


def test_names_of_ones_own(file: Path) -> None:
    """In any case, with "-" or "_", one or several."""
    for redact in ("Pin-Code", ["pin_code"], ("x", "PIN CODE")):
        record(Login.by(lambda _: {"Pin_Code": SECRET}), file, mode="all", redact=redact).run_pure(
            Login("ada")
        )
        assert SECRET not in file.read_text()
    record(Login.by(lambda _: {"Pin_Code": SECRET}), file, mode="all").run_pure(Login("ada"))
    assert SECRET in file.read_text()


def test_functions_of_text(file: Path) -> None:
    """Every text passes them, that of answers, arguments and errors."""

    def cards(text: str) -> str:
        return re.sub(r"\d{4}-\d{4}", "[card]", text)

    def failing(asked: Login) -> Any:
        raise ValueError(f"no {asked.user}")

    for function in (failing, lambda asked: {"card": [asked.user]}):
        for redact in (cards, ["x", cards]):
            ending(record(Login.by(function), file, mode="all", redact=redact).run_pure, Login("1234-5678"))
            assert "1234-5678" not in file.read_text()
            assert "[card]" in file.read_text()
    assert replay(file, redact=cards).run_pure(Login("8765-4321")) == {"card": ["[card]"]}


@pytest.mark.parametrize("redact", [3, [None], [""], ["a", 3]])
def test_what_is_neither_is_refused_at_once(redact: Any, file: Path) -> None:
    """A misspelt redaction would let a secret out."""
    with pytest.raises(InvalidArgument, match="redact= takes names of fields, and functions"):
        record(handlers("ok"), file, redact=redact)


def test_a_function_that_forgets_to_answer_is_refused(file: Path) -> None:
    """And nothing is written."""
    forgetful: Any = lambda text: None  # noqa: E731
    with pytest.raises(InvalidArgument, match="is to answer with text"):
        record(handlers("ok"), file, redact=forgetful).run_pure(Login("ada"))
    assert not file.exists()


def test_short_secrets_do_not_redact_everything(file: Path) -> None:
    """They are looked for as whole texts."""
    record(handlers(["a", "banana"]), file).run_pure(Login("ada", "a"))
    assert replay(file).run_pure(Login("ada", "a")) == [REDACTED, "banana"]


def test_numbers_of_tokens_are_no_tokens(file: Path) -> None:
    """Names are compared whole."""
    record(handlers({"max_tokens": 5, "tokens": 3}), file).run_pure(Login("ada"))
    assert replay(file).run_pure(Login("ada")) == {"max_tokens": 5, "tokens": 3}


async def test_what_a_tool_does_is_not_changed(file: Path) -> None:
    """It is called with the secret."""
    given: list[str] = []

    @tool
    async def ask(token: str) -> str:
        given.append(token)
        return "ok"

    assert await record(call_tools(ask), file).run(ask(SECRET)) == "ok"
    assert given == [SECRET]


@given(
    name=st.sampled_from(sorted(SECRET_NAMES)),
    secret=st.text(st.characters(categories=["L", "N"]), min_size=8, max_size=20),
    style=st.sampled_from([str.lower, str.upper, str.title, lambda name: name.replace("_", "-")]),
    depth=st.integers(0, 3),
)
@settings(deadline=None, max_examples=100)
def test_no_secret_gets_out(
    name: str, secret: str, style: Any, depth: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Under any of the names, in any spelling, at any depth."""
    file = tmp_path_factory.mktemp("secrets") / "recording.json"
    answer: Any = {style(name): secret, "echo": f"<{secret}>"}
    for _ in range(depth):
        answer = [{"inner": (answer,)}]
    record(handlers(answer), file).run_pure(Login("ada", None, answer), name="run")
    asked = file.read_text(encoding="utf-8")
    assert secret not in asked.replace(f"{__name__}:Login", "")
