"""Live progress: it tells what goes on, costs little, and never gets in the way of a run."""

from __future__ import annotations

import io
import os
import pty
import re
from contextlib import suppress
from typing import Any, TextIO

import pytest
import trio

from lambdacat_effects import (
    Count,
    Err,
    Now,
    Plan,
    Sleep,
    ambient,
    attempt,
    call_tools,
    for_each,
    log,
    parallel,
    span,
    tool,
)
from lambdacat_effects.observability import Progress, progress
from lambdacat_effects.observability.progress import _Live
from lambdacat_effects.runtime.events import Branch, Root, Started


@tool
def shout(text: str) -> str:
    return text.upper()


def failing() -> Plan[Sleep, None]:
    yield from Sleep(0)
    raise ValueError


def lines_of(plan: Any, handlers: Any = ambient) -> list[str]:
    """What is shown on a stream that is no terminal, without the times."""
    stream = io.StringIO()
    with progress(stream) as shown:
        handlers.run_pure(plan, listen=shown)
    return [re.sub(r"^ +\d+\.\d{3} s  | \([^()]*\)$", "", line) for line in stream.getvalue().splitlines()]


def test_each_node_has_a_line_when_it_starts_and_one_when_it_ends() -> None:
    """Indented by what it is part of."""
    assert lines_of(span("speak", shout("hello")), call_tools(shout)) == [
        "started    speak",
        "  started    shout('hello')",
        "  done       shout('hello')",
        "done       speak",
    ]


def test_a_failure_and_a_cancellation_say_so() -> None:
    """Each line names how the node ended."""
    assert "failed     step" in lines_of(attempt(span("step", failing())))
    lines = trio.run(shown_live, parallel(span("step", failing()), Sleep(60)))
    assert [line for line in lines if line.startswith("cancelled")] == ["cancelled  Sleep(seconds=60)"]


async def shown_live(plan: Any) -> list[str]:
    stream = io.StringIO()
    with pytest.raises(ExceptionGroup), progress(stream) as shown:
        await ambient.run(plan, listen=shown)
    return [line.strip().split("s  ", 1)[1].split(" (")[0].strip() for line in stream.getvalue().splitlines()]


def test_effects_that_nobody_waits_for_are_not_shown() -> None:
    """There may be very many of them."""

    def plan() -> Plan[Any, None]:
        for _ in range(100):
            yield from Now()
            yield from Count("things")

    assert lines_of(plan()) == []


def test_notes_are_shown() -> None:
    """With their level and fields."""
    (line,) = lines_of(log("the milk is sour", level="warning", days=9))
    assert line.endswith("warning    the milk is sour days=9")


def test_long_arguments_are_shortened() -> None:
    """A line stays a line."""
    (started, _done) = lines_of(shout("long\n" * 100), call_tools(shout))
    assert len(started) < 90


def test_a_broken_pipe_breaks_no_run() -> None:
    """Nobody reads the progress any more: the run goes on."""

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with progress(Broken()) as shown:
        assert ambient.run_pure(span("on", Sleep(1)), listen=shown) is None


def test_a_repr_that_fails_breaks_no_run() -> None:
    """What is shown may be anything."""

    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    odd: Any = Odd()
    answer = call_tools(shout).run_pure(attempt(shout(odd)), listen=Progress(io.StringIO()))
    assert isinstance(answer, Err)
    assert isinstance(answer.error, AttributeError)


def drawn(shown: _Live) -> str:
    """What the live view shows now, as plain text."""
    from rich.console import Console

    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(shown._drawn())
    return console.export_text()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def live(stream: TextIO | None = None) -> _Live:
    shown = progress(stream or Terminal())
    assert isinstance(shown, _Live)
    return shown


def test_on_a_terminal_a_tree_shows_what_is_running(monkeypatch: pytest.MonkeyPatch) -> None:
    """A branch that is one node has no line of its own; what has ended says how."""
    monkeypatch.setenv("TERM", "xterm")
    shown = live()
    pictures: list[str] = []

    @tool
    def look() -> None:
        pictures.append(drawn(shown))

    def plan() -> Plan[Any, None]:
        yield from attempt(span("first", failing()))
        yield from span("second", parallel(look()))

    call_tools(look).run_pure(plan(), name="agent", listen=shown)
    (picture,) = pictures
    assert [line.split()[:-2] for line in picture.splitlines()] == [
        ["●", "agent"],
        ["├──", "✗", "first"],
        ["│", "└──", "✓", "Sleep(seconds=0)"],
        ["└──", "●", "second"],
        ["└──", "●", "look()"],
    ]


def test_the_tree_stays_small_however_much_is_going_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many branches some are shown, and how many more there are."""
    monkeypatch.setenv("TERM", "xterm")
    shown = live()
    shown(Started(("run",), Root("run"), 0.0))
    for n in range(1000):
        shown(Started(("run", 1, n), Branch(n, f"page {n}"), 0.0))
    assert len(drawn(shown).splitlines()) < 20
    assert "and 988 more" in drawn(shown)


def test_what_has_ended_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run needs no more memory than a short one."""
    monkeypatch.setenv("TERM", "xterm")
    shown = live()
    ambient.run_pure(for_each(range(1000), lambda n: span(f"page {n}", Sleep(0))), listen=shown)
    assert "and 996 more" in drawn(shown)
    assert len(drawn(shown).splitlines()) < 20


def test_a_real_terminal_is_left_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor is shown again, and notes stay."""
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream, live(stream) as shown:
        shown(Started(("run",), Root("run"), 0.0))
        shown.note("a [note] that stays")
    written = ""
    with suppress(OSError):  # at the end of a terminal there is an error, not an end
        while "\x1b[?25h" not in written:
            written += os.read(ours, 65536).decode()
    os.close(ours)
    assert "a [note] that stays" in written
    assert "[cyan]" not in written
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not move the cursor."""
    monkeypatch.setenv("TERM", "dumb")
    assert type(progress(Terminal())) is Progress
