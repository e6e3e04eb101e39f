"""What people read about runs that are kept: how they stand, what they have done, and what goes on."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from textwrap import dedent
from typing import Any

import attrs
import pytest
import trio

from lambdacat_effects import Durable, lmdb_memory
from lambdacat_effects.cli import main
from lambdacat_effects.cli.listing import ago
from lambdacat_effects.cli.targets import Target
from lambdacat_effects.errors import RunSuspended
from lambdacat_effects.journal.records import RUNS, Header
from lambdacat_effects.observability import Tally, progress
from lambdacat_effects.storage import LmdbStore

Said = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[2]
CLI = [sys.executable, "-m", "lambdacat_effects.cli"]

SHOP = '''
    from attrs import frozen

    from lambdacat_effects import Durable, Sleep, ask, call_tools, parallel, remember, span, timeout, tool


    @frozen
    class Receipt:
        number: str

        def __str__(self):
            return f"receipt {self.number}"


    class SoldOut(Exception):
        pass


    @tool
    def charge(card: str) -> Receipt:
        return Receipt(f"r-{card}")


    @tool
    def reserve(tea: str) -> str:
        raise SoldOut(f"no {tea} is left")


    def order(card: str):
        """Charge a card, and ask."""
        receipt = yield from span("pay", charge(card))
        yield from remember("receipts", card, receipt)
        yield from parallel(charge("a"), charge("b"), timeout=3600)
        if (yield from ask("Ship it?", as_type=bool)):
            yield from charge("shipping")
        return receipt


    def plain():
        yield from charge("visa")
        return {"lives": 9}


    def failing():
        yield from reserve("oolong")


    def long():
        yield from charge("x" * 500)
        yield from ask("Why?")


    def napping():
        yield from Sleep(3600)
        yield from ask("Awake?")


    def hurried():
        yield from timeout(3600, charge("visa"))
        yield from ask("Done?")
'''


@pytest.fixture
def shop(here: Path) -> Path:
    """A working directory with `shop.py` in it."""
    (here / "shop.py").write_text(dedent(SHOP))
    return here


@pytest.fixture
def told(shop: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """`lambdacat ...` there, in this process: its exit status, and what it printed to either stream."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main([*arguments])
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def kept(told: Said) -> Said:
    """The same, without progress and report."""
    return lambda *arguments: told(*arguments, "--quiet")


def forget_the_shop(shop: Path) -> None:
    """Its file is gone, and this process has not loaded it."""
    (shop / "shop.py").unlink()
    del sys.modules["shop"]
    sys.path[:] = [folder for folder in sys.path if folder != str(shop)]


# What goes on


def test_progress_sums_up_what_was_answered_before(told: Said, kept: Said) -> None:
    """And shows what is new, as the report does: nothing is shown as if it were done twice."""
    assert kept("run", "shop.py:order", "visa", "--durable", "a")[0] == 75
    status, answer, text = told("answer", "a", "yes")
    assert (status, answer) == (0, "receipt r-visa\n")
    shown = [line.split(" s  ", 1)[1].strip() for line in text.splitlines() if " s  " in line[:13]]
    assert [re.sub(r" \([^()]*s\)$", "", line) for line in shown] == [
        "4 effects answered before",
        "started    Ask 'Ship it?'",
        "done       Ask 'Ship it?'",
        "started    charge('shipping')",
        "done       charge('shipping')",
    ]
    table = text.partition("node")[2]
    assert re.search(r"^ +charge +1 ", table, re.MULTILINE)
    assert "pay" not in table
    assert "Remember" not in table


def test_a_question_is_shown_to_wait(told: Said) -> None:
    """It was not cancelled, and how it is waited for is nobody's affair."""
    status, _, text = told("run", "shop.py:order", "visa", "--durable", "a")
    assert status == 75
    assert re.search(r" s  waits      Ask 'Ship it\?' \(for an answer\)$", text, re.MULTILINE)
    assert not re.search(r" cancelled  ", text.partition("node")[0])
    assert "wait()" not in text
    assert re.search(r"^ +Ask +1 +[\d.]+ ", text, re.MULTILINE)  # without a cancellation


async def test_events_tell_what_is_done_again(shop: Path) -> None:
    """To any listener; a span in which nothing is new is told so when it ends."""
    sys.path.insert(0, str(shop))
    plans: Any = importlib.import_module("shop")
    store = str(shop / "store")
    handlers = plans.call_tools(plans.charge) | lmdb_memory(store)
    async with Durable(store) as durable:
        with pytest.raises(RunSuspended):
            await durable.run("a", plans.order, "visa", handlers=handlers)
        await durable.answer("a", True)
        heard: list[Any] = []
        lines, tally = StringIO(), Tally()
        with progress(lines) as shown:

            def listen(event: Any) -> None:
                heard.append((type(event).__name__, type(event.what).__name__, event.again))
                tally(event)
                shown(event)

            await durable.resume("a", handlers=handlers, listen=listen)
    assert ("Started", "Span", True) in heard
    assert ("Answered", "Span", True) in heard
    new = [kind for name, kind, again in heard if name == "Started" and not again]
    assert new == ["Ask", "CallTool", "Blocking"]
    assert [row.node for row in tally.report().rows] == ["Ask", "charge"]
    assert "4 effects answered before" in lines.getvalue()


def plans_memory(store: str) -> Any:
    from lambdacat_effects import lmdb_memory

    return lmdb_memory(store)


# What a run has done


def test_a_history_reads_as_the_program_does(kept: Said, told: Said, shop: Path) -> None:
    """Values as the program shows them, though none of its classes is imported, and how the run stands."""
    assert kept("run", "shop.py:order", "visa", "--durable", "a")[0] == 75
    forget_the_shop(shop)
    status, lines, text = told("history", "a")
    assert status == 0
    rows = [line.split("\t") for line in lines.splitlines()]
    assert [number for number, *_ in rows] == [str(n) for n in range(1, len(rows) + 1)]
    assert rows[0][1:] == ["2", "charge(card='visa')", "Receipt(number='r-visa')"]
    assert rows[1][2:] == [
        "Remember(namespace='receipts', key='visa', value=Receipt(number='r-visa'))",
        "done",
    ]
    assert any(re.fullmatch(r"began, until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row[3]) for row in rows)
    assert text == "lambdacat: 'a' of shop.py:order waits for an answer to 'Ship it?'\n"
    assert not any("$type" in cell for row in rows for cell in row)


def test_what_was_raised_is_shown_as_in_a_traceback(kept: Said, told: Said) -> None:
    assert kept("run", "shop.py:failing", "--durable", "a")[0] == 1
    assert told("history", "a")[1] == "1\t1\treserve(tea='oolong')\tfailed: SoldOut: no oolong is left\n"


def test_a_long_answer_is_cut_unless_all_of_it_is_asked_for(kept: Said, told: Said) -> None:
    """With `--full`; JSON has it always."""
    assert kept("run", "shop.py:long", "--durable", "a")[0] == 75
    [line] = told("history", "a")[1].splitlines()
    assert line.endswith(" ...")
    assert len(line) < 400
    full = f"Receipt(number='r-{'x' * 500}')"
    assert told("history", "a", "--full")[1].rstrip("\n").endswith(full)
    [step] = json.loads(told("history", "a", "--json")[1])
    assert step["outcome"] == {"$type": "shop:Receipt", "number": f"r-{'x' * 500}"}
    assert step["number"] == 1


def test_a_sleep_that_goes_on_says_how_long_it_takes(shop: Path, told: Said) -> None:
    """A deadline that nobody waits for any more does not."""
    words = [*CLI, "run", "shop.py:napping", "--durable", "a"]
    with subprocess.Popen(words, cwd=shop, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "started    Sleep(seconds=3600)" in process.stderr.readline()
        while "began" not in (line := told("history", "a")[1]):
            assert process.poll() is None
        assert re.search(r"\tbegan, until [\d: -]+ \(in (59 min|1 h)\)\n$", line)
        assert "is running" in told("history", "a")[2]
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    [run] = json.loads(told("runs", "--json")[1])
    assert run["status"] == "interrupted"
    assert run["changed"] > run["created"]
    assert told("run", "shop.py:hurried", "--durable", "b", "--quiet")[0] == 75
    assert re.search(r"^1\t1\tTimeout\(seconds=3600\)\tbegan, until [\d: -]+$", told("history", "b")[1], re.M)


def test_times_are_said_by_one_unit() -> None:
    assert [ago(0.0, at) for at in (0.0, 59.9, 60.0, 3599.0, 7300.0, 900_000.0)] == [
        *("0 s ago", "59 s ago", "1 min ago", "59 min ago", "2 h ago", "10 d ago"),
    ]
    assert ago(7300.0, 0.0) == "in 2 h"


def alike(text: str) -> list[str]:
    """Lines without what differs from time to time: colours, ids, times, the widths of columns."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    for pattern, instead in [
        (r"'[0-9a-f]{32}'", "ID"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d", "DATE"),
        (r"\d+ s ago", "AGO"),
        (r"\b\d{10}\.\d+", "TIME"),
        (r"─+", "─"),
        (r" +", " "),
    ]:
        text = re.sub(pattern, instead, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_the_session_of_the_page(kept: Said, told: Said, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That in docs/command-line.md, as it looks on a terminal."""
    (here / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "approval.py", here / "examples")
    page = (ROOT / "docs" / "command-line.md").read_text()
    session = re.findall(r"^\$ lambdacat (.*)\n((?:(?!\$|```).*\n)*)", page, re.MULTILINE)
    assert len(session) == 8
    monkeypatch.setenv("COLUMNS", "130")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for typed, printed in session:
        _, out, err = told(*shlex.split(typed))
        assert sorted(alike(out + err)) == sorted(alike(printed))


# What has ended


def test_an_outcome_needs_no_file(kept: Said, told: Said, shop: Path) -> None:
    """What was answered is in the store: plain, or else shown as it is kept. The status is that of the run."""
    assert kept("run", "shop.py:plain", "--durable", "a")[0] == 0
    assert kept("run", "shop.py:order", "visa", "--durable", "b")[0] == 75
    assert kept("answer", "b", "no")[0] == 0
    assert kept("run", "shop.py:failing", "--durable", "c")[0] == 1
    assert told("resume", "b")[:2] == (0, "receipt r-visa\n")
    forget_the_shop(shop)
    assert told("resume", "a") == (
        0,
        "{'lives': 9}\n",
        "lambdacat: 'a' has succeeded before; this is its outcome\n",
    )
    status, answer, text = told("resume", "b")
    assert (status, answer) == (0, "Receipt(number='r-visa')\n")
    assert "the answer is shown as it is kept: " in text
    assert "shop:Receipt, which cannot be imported" in text
    assert told("resume", "c") == (
        *(1, ""),
        "lambdacat: 'c' has failed before; this is its outcome\nSoldOut: no oolong is left\n",
    )


# What cannot be resumed


def test_a_plan_that_takes_more_arguments_now_is_named(kept: Said, told: Said, shop: Path) -> None:
    """One line says what it began with, and what would help."""
    assert kept("run", "shop.py:order", "visa", "--durable", "a", "--store", "s")[0] == 75
    assert kept("answer", "a", "yes", "--no-resume", "--store", "s")[0] == 0
    del sys.modules["shop"]
    file = shop / "shop.py"
    file.write_text(file.read_text().replace("def order(card: str)", "def order(card: str, tea: str)"))
    status, answer, text = told("resume", "a", "--store", "s")
    assert (status, answer) == (2, "")
    assert (
        "it began as shop:order with the arguments (card='visa'), and now that takes (card: str, tea: str)"
        in text
    )
    assert "missing a required argument: 'tea'. Give what is new a default" in text
    assert "Traceback" not in text


SCRIPT = """
    import trio
    from lambdacat_effects import Durable, ambient, ask
    from lambdacat_effects.errors import RunSuspended

    def plan():
        return (yield from ask("Who?"))

    async def main():
        try:
            await Durable(".lambdacat").run("a", plan, handlers=ambient)
        except RunSuspended:
            pass

    trio.run(main)
"""


def test_a_run_of_a_script_is_resumed_in_that_script(told: Said, shop: Path) -> None:
    """As nobody else can import what it defines. What it asks can be answered from anywhere."""
    (shop / "script.py").write_text(dedent(SCRIPT))
    subprocess.run([sys.executable, "script.py"], cwd=shop, check=True, timeout=60)
    for words in (["resume", "a"], ["resume", "a", "--file", "script.py"]):
        status, answer, text = told(*words)
        assert (status, answer) == (2, "")
        assert "let it go on in the script itself" in text
        assert text.count("\n") == 1
    status, _, text = told("answer", "a", "Felix")
    assert status == 2
    assert "answered; but the run cannot go on here: the run was begun by a script" in text
    assert json.loads(told("runs", "--json")[1])[0]["status"] == "interrupted"


def test_what_cannot_be_read_can_be_forgotten(kept: Said, told: Said, shop: Path) -> None:
    """By force, as nobody knows whether it has ended."""
    assert kept("run", "shop.py:plain", "--durable", "a")[0] == 0

    async def spoil() -> None:
        async with LmdbStore(shop / ".lambdacat") as store:
            await store.put(RUNS, "a", b"{")

    trio.run(spoil)
    assert told("forget", "a")[0] == 1
    assert told("forget", "a", "--force") == (0, "", "")
    assert told("runs")[:2] == (0, "")


# How runs stand


def test_lines_have_the_same_columns_and_tables_fit_the_terminal(
    kept: Said, told: Said, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a thousand runs as of one. No colour goes into a pipe."""
    for run_id, plan in (("first", "plain"), ("a run of a very long name " * 4, "long")):
        kept("run", f"shop.py:{plan}", "--durable", run_id)

    async def copy() -> None:
        async with LmdbStore(shop / ".lambdacat") as store:
            header = Header.decode("first", await store.get(RUNS, "first") or b"")
            for n in range(1000):
                copied = attrs.evolve(header, run_id=f"run {n}", number=n + 10)
                await store.put(RUNS, f"run {n}", copied.encode())

    trio.run(copy)
    status, lines, _ = told("runs")
    assert status == 0
    assert lines.count("\n") == 1002
    assert {line.count("\t") for line in lines.splitlines()} == {5}
    assert "\x1b" not in lines
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    table = told("runs")[1]
    assert max(len(re.sub("\x1b\\[[0-9;]*m", "", line)) for line in table.splitlines()) <= 80
    assert "succeeded" in table
    assert "Why?" in table


@pytest.mark.parametrize(
    "target",
    [
        Target("/a b/it's.py", "order", "it's", "/a b"),
        Target("/shop/trio.py", "order", "lambdacat_run_trio", "/shop"),
        Target("shop.orders", "order", "shop.orders", "/somewhere else"),
    ],
)
def test_a_note_is_a_command_that_is_read_again(target: Target) -> None:
    """By people, too."""
    assert target.note().startswith("lambdacat run ")
    assert Target.noted(target.note()) == target


@pytest.mark.parametrize(
    "note", [None, "", "mine", "lambdacat run", "lambdacat run x", "it's", "lambdacat run a:b in"]
)
def test_other_notes_are_left_to_those_who_wrote_them(note: str | None) -> None:
    assert Target.noted(note) is None
