"""Durable runs from the command line: they go on where they stopped, from anywhere, and errors are one clear line."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from threading import Timer

import pytest
import trio

from lambdacat_effects.cli import main
from lambdacat_effects.journal.records import RUNS
from lambdacat_effects.storage import LmdbStore

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Said = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[2]
CLI = [sys.executable, "-m", "lambdacat_effects.cli"]

KEPT = '''
    from pathlib import Path
    import time

    from attrs import frozen

    from lambdacat_effects import Sleep, ask, blocking, continue_as_new, parallel, recall, remember, shielded, tool
    from lambdacat_effects.plan import Actions, sequence


    @frozen
    class Word:
        text: str

        def __str__(self):
            return self.text


    @tool
    def note(what: str) -> Word:
        with open("noted", "a") as file:
            file.write(f"{what}\\n")
        return Word(what)


    def wait_for(name):
        Path(f"{name} waits").touch()
        while not Path(name).exists():
            time.sleep(0.01)


    @tool
    def hold(name: str) -> str:
        wait_for(name)
        return name


    def waiting(*, word: str = "word"):
        """Note a word, wait for a file, and remember the word."""
        try:
            noted = yield from note(word)
            yield from hold("go on")
            yield from remember("words", "last", noted)
            return noted
        finally:
            yield from shielded(note("cleaned"))


    def last():
        return (yield from recall("words", "last", as_type=Word))


    def fall_asleep():
        Path("asleep").touch()


    def sleeping():
        try:
            yield from blocking(fall_asleep)
            yield from Sleep(3600)
        finally:
            yield from shielded(note("cleaned"))


    def rounds(n: int):
        yield from note(f"round {n}")
        if n == 2:
            yield from hold("go on")
        if n < 3:
            yield from continue_as_new(rounds, n + 1)
        return n


    def failing():
        yield from note("before")
        raise ValueError("the milk is sour")


    def unkept():
        yield from note("before")
        yield from blocking(object)


    def asking(count: int = 1):
        if count == 1:
            return (yield from ask("How many?", as_type=int))
        return (yield from parallel(ask("How many?", as_type=int), ask("Who?")))


    def asking_noted():
        yield from note("before it asks")
        return (yield from ask("How many?", as_type=int))


    def asking_late():
        yield from hold("go on")
        return (yield from ask("Now?"))


    def coloured():
        return (yield from ask("Which?", as_type=list[Word]))


    def adding(state):
        yield from note(f"added to {state}")
        return state + 1


    actions = Actions.empty().register("adding", adding)
    twice = sequence("adding", "adding")
'''


@pytest.fixture
def kept(here: Path) -> Path:
    """A working directory with `kept.py` in it."""
    (here / "kept.py").write_text(dedent(KEPT))
    return here


@pytest.fixture
def said(kept: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """`lambdacat ...` there, in this process: its exit status, and what it printed to either stream."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        quiet = ["--quiet"] if arguments[0] in ("run", "resume", "answer", "cancel") else []
        status = main([*arguments, *quiet])
        return (status, *capsys.readouterr())

    return run


@contextmanager
def performing(folder: Path, *arguments: str, until: str) -> Iterator[subprocess.Popen[str]]:
    """`lambdacat ...` in a process of its own, once the file `until` is there; it is killed at the end."""
    with subprocess.Popen(
        [*CLI, *arguments], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        watchdog = Timer(60, process.kill)  # so that a test that waits for it in vain fails
        watchdog.start()
        try:
            while not (folder / until).exists():
                assert process.poll() is None, process.communicate()
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def kill(folder: Path, *arguments: str, until: str = "go on waits") -> None:
    """Perform that, and `kill -9` it in the middle."""
    with performing(folder, *arguments, until=until) as process:
        process.kill()
        assert process.wait() == -signal.SIGKILL
    (folder / until).unlink()


def noted(folder: Path) -> list[str]:
    return (folder / "noted").read_text().splitlines()


# The story that the README tells


def shell_block(page: Path, after: str) -> str:
    """The first block of shell commands under a heading of a page."""
    found = re.search(r"```sh\n(.*?)```", page.read_text().partition(after)[2], re.DOTALL)
    assert found is not None
    return found[1]


def test_the_commands_of_the_readme(tmp_path: Path) -> None:
    """As they stand there; only its `sleep` ends when one index is built and the other is being built."""
    programs = tmp_path / "programs"
    programs.mkdir()
    cache = "$XDG_CACHE_HOME/lambdacat"
    (programs / "sleep").write_text(
        f'#!/bin/sh\nuntil [ -e "{cache}/docs.db" ]; do {shutil.which("sleep")} 0.01; done\n'
        f'[ ! -e "{cache}/stdlib.db" ]\n'
    )
    (programs / "lambdacat").write_text(f'#!/bin/sh\nexec {" ".join(CLI)} "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "TMPDIR": str(tmp_path), "LC_ALL": "C"}
    commands = shell_block(ROOT / "README.md", "survive `kill -9`")
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Killed" in done.stderr
    assert re.search(r"^1\t1\tRecall\(.*\)\tNone$", done.stdout, re.MULTILINE)
    assert "-- list.sort" in done.stdout


WATCHED = f"""
    import sys
    from pathlib import Path

    sys.path.insert(0, {str(ROOT / "examples")!r})

    from lambdacat_effects import answer_tools, blocking, call_tools, lmdb_memory
    from lambdacat_effects.tools.search import Passage
    from kept import note, wait_for
    import research_agent
    from research_agent import research

    FOUND = Passage("Remove any common leading whitespace from text.", "textwrap.dedent", "textwrap.dedent", 50.0)

    def watched(called):
        yield from blocking(note.fn, called.tool.name)
        if called.tool is research_agent.synthesise:
            yield from blocking(wait_for, "go on")
        return (yield from called)

    def handlers(store):
        prepared = {{research_agent.index_stdlib: None, research_agent.search_stdlib: [FOUND]}}
        real = call_tools(research_agent.index_docs, research_agent.search_docs, research_agent.synthesise)
        return (real | answer_tools(prepared)).behind(watched) | lmdb_memory(store)
"""


def test_the_research_agent_survives_kill_9(kept: Path, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed when both searches are answered: neither is repeated, and the answer is that of a run left alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept / "cache"))
    (kept / "watched.py").write_text(dedent(WATCHED))
    question = "How do I remove common leading whitespace?"
    command = ["run", "watched.py:research", question, "--durable", "asked"]
    kill(kept, *command)
    before = noted(kept)
    assert sorted(before) == ["index_docs", "index_stdlib", "search_docs", "search_stdlib", "synthesise"]
    (kept / "go on").touch()
    status, answer, _ = said("resume", "asked")
    assert status == 0
    assert "-- textwrap.dedent" in answer
    assert noted(kept)[len(before) :] == ["synthesise"]  # which was in flight

    alone = ["run", "watched.py:research", question, "--durable", "alone", "--store", "another"]
    assert said(*alone)[:2] == (0, answer)
    assert sorted(noted(kept)[len(before) + 1 :]) == sorted(before)  # so that a repeated one would be seen

    again = ["run", "watched.py:research", question, "--durable", "again"]
    assert said(*again)[:2] == (0, answer)
    assert len(noted(kept)) == 2 * len(before) + 1  # it is remembered in the same store


# An approval


@pytest.fixture
def asked(kept: Path, said: Said) -> list[str]:
    """The run `issue-7` of examples/approval.py, which waits for an answer; what was said then."""
    target = str(ROOT / "examples" / "approval.py:newsletter")
    status, answer, text = said("run", target, "Ten tricks", "--durable", "issue-7")
    assert (status, answer) == (75, "")
    return text.splitlines()


def outbox(folder: Path) -> list[str]:
    path = folder / "outbox.txt"
    return sorted(line.partition("\t")[2] for line in path.read_text().splitlines()) if path.exists() else []


def test_a_run_that_asks_says_what_to_type(kept: Path, said: Said, asked: list[str]) -> None:
    """The question, and the command that answers it. Nothing is sent yet, and `runs` has the question, too."""
    assert asked == [
        "lambdacat: 'issue-7' asks: Send 'News: Ten tricks' to 2 readers? (yes or no)",
        "  lambdacat answer issue-7 VALUE",
    ]
    assert outbox(kept) == []
    status, listed, _ = said("runs")
    run_id, stands, plan, _, _, question = listed.strip().split("\t")
    assert (status, run_id, stands) == (0, "issue-7", "suspended")
    assert plan.endswith("approval.py:newsletter")
    assert question == "Send 'News: Ten tricks' to 2 readers?"


@pytest.mark.parametrize(
    ("value", "answer", "letters"),
    [
        ("yes", "sent to Ada, Grace\n", ["Ada\tNews: Ten tricks", "Grace\tNews: Ten tricks"]),
        ("False", "not sent\n", []),
    ],
)
def test_an_answer_lets_it_go_on(
    kept: Path, said: Said, asked: list[str], value: str, answer: str, letters: list[str]
) -> None:
    """To its end; what it did before is as it was."""
    before = json.loads(said("history", "issue-7", "--json")[1])
    assert said("answer", "issue-7", value)[:2] == (0, answer)
    assert outbox(kept) == letters
    assert json.loads(said("history", "issue-7", "--json")[1])[: len(before)] == before


def test_an_answer_may_be_given_by_who_does_not_perform_the_run(
    kept: Path, said: Said, asked: list[str]
) -> None:
    """With `--no-resume` it is kept, for whoever resumes the run."""
    status, answer, text = said("answer", "issue-7", "yes", "--no-resume")
    assert (status, answer) == (0, "")
    assert text.endswith("answered; the run goes on with\n  lambdacat resume issue-7\n")
    assert outbox(kept) == []
    assert said("resume", "issue-7")[:2] == (0, "sent to Ada, Grace\n")
    assert len(outbox(kept)) == 2
    status, answer, text = said("resume", "issue-7")
    assert (status, answer) == (0, "sent to Ada, Grace\n")
    assert text == "lambdacat: 'issue-7' has succeeded before; this is its outcome\n"
    assert len(outbox(kept)) == 2


def test_the_commands_of_the_page(kept: Path) -> None:
    """Those in docs/command-line.md, as they stand there."""
    (kept / "examples").symlink_to(ROOT / "examples")
    (kept / "lambdacat").write_text(f'#!/bin/sh\nexec {" ".join(CLI)} "$@"\n')
    (kept / "lambdacat").chmod(0o755)
    environment = {**os.environ, "PATH": f"{kept}{os.pathsep}{os.environ['PATH']}"}
    commands = shell_block(ROOT / "docs" / "command-line.md", "that asks")
    done = subprocess.run(
        ["bash", "-c", commands], cwd=kept, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "sent to Ada, Grace\n" in done.stdout
    assert len(outbox(kept)) == 2


def test_of_several_questions_each_is_answered_by_its_text(said: Said) -> None:
    """As JSON, where no text is wanted."""
    status, _, text = said("run", "kept.py:asking", "2", "--durable", "two things")
    assert status == 75
    assert text.splitlines() == [
        "lambdacat: 'two things' asks: How many? (int, as JSON)",
        "  lambdacat answer 'two things' VALUE --question 'How many?'",
        "lambdacat: 'two things' asks: Who? (text)",
        "  lambdacat answer 'two things' VALUE --question 'Who?'",
    ]
    assert "name the one that is answered, --question TEXT" in said("answer", "two things", "3")[2]
    assert said("answer", "two things", "-3", "--question", "How many?")[0] == 75
    assert said("answer", "two things", "7")[:2] == (0, "(-3, '7')\n")


def test_an_answer_may_be_of_any_class(said: Said) -> None:
    """And one that does not fit is refused, as the command knows the classes of the run's file."""
    assert said("run", "kept.py:coloured", "--durable", "c")[0] == 75
    status, _, text = said("answer", "c", '[{"txet": "red"}]')
    assert status == 2
    assert "'Which?' is to be answered with a value of type list[kept.Word]" in text
    assert "[0].text: is missing" in text
    assert said("answer", "c", '[{"text": "red"}]')[:2] == (0, "[Word(text='red')]\n")


def test_a_run_that_is_not_kept_cannot_ask(said: Said) -> None:
    """The message says how to keep it."""
    status, _, text = said("run", "kept.py:asking")
    assert status == 2
    assert "the plan asks 'How many?'" in text
    assert "--durable ID" in text


# Finding the plan again


def test_memory_is_in_the_same_store(kept: Path, said: Said) -> None:
    """What a durable run remembers, others recall."""
    (kept / "go on").touch()
    assert said("run", "kept.py:waiting", "--word", "tea", "--durable", "a")[:2] == (0, "tea\n")
    assert said("run", "kept.py:last")[:2] == (0, "tea\n")


@pytest.mark.parametrize("target", ["kept.py:waiting", "kept:waiting"])
def test_a_run_goes_on_from_any_directory(
    kept: Path, tmp_path_factory: pytest.TempPathFactory, target: str
) -> None:
    """With the option that the plan was given, from the store that is named."""
    kill(kept, "run", target, "--word", "tea", "--durable", "a")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "go on").touch()
    words = [*CLI, "resume", "a", "--store", str(kept / ".lambdacat")]
    done = subprocess.run(words, cwd=elsewhere, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "tea\n"), done.stderr
    assert noted(kept) == ["tea"]
    assert noted(elsewhere) == ["cleaned"]


@pytest.mark.parametrize(
    ("target", "arguments", "answer", "done"),
    [
        ("kept.py:rounds", ["0"], "3\n", ["round 0", "round 1", "round 2", "round 3"]),
        ("kept:waiting", [], "word\n", ["word", "cleaned"]),
        ("called/trio.py:waiting", ["--word", "x"], "x\n", ["x", "cleaned"]),
    ],
    ids=["continued as new", "by its dotted name", "called like a library"],
)
def test_a_killed_run_finds_its_plan(
    kept: Path, said: Said, target: str, arguments: list[str], answer: str, done: list[str]
) -> None:
    """What was noted before is not noted again."""
    (kept / "called").mkdir()
    (kept / "called" / "trio.py").write_text((kept / "kept.py").read_text())
    kill(kept, "run", target, *arguments, "--durable", "a")
    (kept / "go on").touch()
    assert said("resume", "a")[:2] == (0, answer)
    assert noted(kept) == done


def test_a_dsl_plan_can_be_kept(kept: Path, said: Said) -> None:
    """It has no function of its own, and is compiled anew."""
    assert said("run", "kept.py:twice", "40", "--durable", "a")[:2] == (0, "42\n")
    assert said("resume", "a")[:2] == (0, "42\n")
    assert noted(kept) == ["added to 40", "added to 41"]
    assert "\tkept.py:twice\t" in said("runs")[1]


def test_a_file_that_was_moved_is_asked_for(kept: Path, said: Said) -> None:
    """And named with `--file`."""
    kill(kept, "run", "kept.py:waiting", "--durable", "a")
    (kept / "go on").touch()
    (kept / "moved").mkdir()
    (kept / "kept.py").rename(kept / "moved" / "new.py")
    status, _, text = said("resume", "a")
    assert status == 2
    assert f"plan was in {kept / 'kept.py'}, and there is no such file any more" in text
    assert "no file nowhere.py" in said("resume", "a", "--file", "nowhere.py")[2]
    assert said("resume", "a", "--file", "moved/new.py")[:2] == (0, "word\n")


def test_a_plan_that_was_renamed_is_named(kept: Path, said: Said) -> None:
    """With the nearest there is."""
    kill(kept, "run", "kept.py:waiting", "--durable", "a")
    (kept / "kept.py").write_text((kept / "kept.py").read_text().replace("def waiting(", "def awaiting("))
    status, _, text = said("resume", "a")
    assert status == 2
    assert "kept.py has no plan 'waiting' (did you mean awaiting?)" in text


def test_a_run_of_a_program_can_be_resumed(kept: Path, said: Said) -> None:
    """By the names in its journal, which have to be importable from here."""
    program = """
        import trio, kept
        from lambdacat_effects import Durable, call_tools, lmdb_memory
        handlers = call_tools(kept.note, kept.hold) | lmdb_memory(".lambdacat")
        trio.run(lambda: Durable(".lambdacat").run("a", kept.waiting, handlers=handlers, note="mine"))
    """
    with subprocess.Popen([sys.executable, "-c", dedent(program)], cwd=kept) as process:
        while not (kept / "go on waits").exists():
            assert process.poll() is None
        process.kill()
    (kept / "go on").touch()
    [run] = json.loads(said("runs", "--json")[1])
    assert (run["plan"], run["note"], run["status"]) == ("kept:waiting", "mine", "interrupted")
    assert said("resume", "a")[:2] == (0, "word\n")


# All at once


def test_all_runs_that_can_go_on_do(kept: Path, said: Said) -> None:
    """The others are named. Of two files, one module's name can be but one's."""
    (kept / "other").mkdir()
    shutil.copy(kept / "kept.py", kept / "other" / "kept.py")
    for n, file in enumerate(["kept.py", "kept.py", "other/kept.py"]):
        kill(kept, "run", f"{file}:waiting", "--word", f"w{n}", "--durable", f"run {n}")
    assert said("run", "kept.py:asking", "--durable", "asking")[0] == 75
    assert said("run", "kept.py:failing", "--durable", "failing")[0] == 1
    (kept / "go on").touch()
    status, listed, text = said("resume", "--all")
    lines = sorted(listed.splitlines())
    assert status == 2
    assert lines[:2] == ["run 0\tsucceeded\tw0", "run 1\tsucceeded\tw1"]
    assert lines[2].startswith("run 2\tinterrupted\tCommandError: ")
    assert "a process of its own" in lines[2]
    assert len(lines) == 3
    assert text == ("lambdacat: 'asking' asks: How many? (int, as JSON)\n  lambdacat answer asking VALUE\n")
    alone = subprocess.run([*CLI, "resume", "--all"], cwd=kept, capture_output=True, text=True, timeout=60)
    assert (alone.returncode, alone.stdout) == (0, "run 2\tsucceeded\tw2\n")


def test_a_run_that_comes_to_ask_is_suspended(kept: Path, said: Said) -> None:
    """Among all of them, too; another that is done is no matter."""
    kill(kept, "run", "kept.py:asking_late", "--durable", "a")
    kill(kept, "run", "kept.py:waiting", "--durable", "b")
    (kept / "go on").touch()
    status, listed, text = said("resume", "--all")
    assert status == 75
    assert sorted(listed.splitlines()) == ["a\tsuspended\tNow?", "b\tsucceeded\tword"]
    assert text == "lambdacat: 'a' asks: Now? (text)\n  lambdacat answer a VALUE\n"


def test_nothing_to_resume_is_no_failure(said: Said) -> None:
    assert said("run", "kept.py:twice", "1", "--durable", "a")[0] == 0
    assert said("resume", "--all") == (0, "", "lambdacat: there is nothing to resume\n")


# Ctrl-C, cancel, and whoever else performs it


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_interrupts_the_run(kept: Path, said: Said, number: signal.Signals, status: int) -> None:
    """It says how to resume it. The clean-up of the plan is done when the plan ends."""
    with performing(kept, "run", "kept.py:waiting", "--durable", "a", until="go on waits") as process:
        process.send_signal(number)
        assert process.stderr is not None
        while "interrupting" not in (line := process.stderr.readline()):
            assert line
        (kept / "go on").touch()  # a thread cannot be stopped
        answer, text = process.communicate(timeout=60)
    assert (process.returncode, answer) == (status, "")
    assert text.endswith("lambdacat: 'a' is interrupted, and goes on with\n  lambdacat resume a\n")
    assert "Traceback" not in text
    assert noted(kept) == ["word"]
    assert said("resume", "a")[:2] == (0, "word\n")
    assert noted(kept) == ["word", "cleaned"]


def test_a_cancelled_run_does_its_clean_up(kept: Path, said: Said) -> None:
    """At once, or when it is resumed."""
    for run_id, *options in (["a"], ["b", "--no-resume"]):
        kill(kept, "run", "kept.py:waiting", "--durable", run_id)
        assert noted(kept)[-1] == "word"
        assert said("cancel", run_id, *options)[0] == 0
    assert noted(kept) == ["word", "cleaned", "word"]
    assert said("resume", "b")[0] == 1
    assert noted(kept) == ["word", "cleaned", "word", "cleaned"]
    assert [run["status"] for run in json.loads(said("runs", "--json")[1])] == ["cancelled", "cancelled"]
    status, _, text = said("cancel", "a")
    assert (status, text) == (
        2,
        "lambdacat: the run 'a' was cancelled before: there is nothing to cancel\n",
    )


def test_a_run_that_waits_for_an_answer_can_be_cancelled(said: Said) -> None:
    """Then it asks nothing any more."""
    assert said("run", "kept.py:asking", "--durable", "a")[0] == 75
    assert said("cancel", "a") == (0, "", "lambdacat: the run 'a' was cancelled\n")
    assert "asks nothing" in said("answer", "a", "3")[2]


def test_a_run_that_is_performed_elsewhere(kept: Path, said: Said) -> None:
    """Nobody else can perform it; it can be cancelled where it is."""
    with performing(kept, "run", "kept.py:sleeping", "--durable", "a", until="asleep") as process:
        status, _, text = said("resume", "a")
        assert status == 2
        assert f"the run 'a' is being performed by process {process.pid} of this machine" in text
        assert "a\trunning\tkept.py:sleeping" in said("runs")[1]
        elsewhere = "lambdacat: the run is being performed elsewhere, and is cancelled there\n"
        assert said("cancel", "a") == (0, "", elsewhere)
        answer, text = process.communicate(timeout=60)
    assert (process.returncode, answer) == (1, "")
    assert text.endswith("lambdacat: the run 'a' was cancelled\n")
    assert noted(kept) == ["cleaned"]


# What is printed


def test_runs_and_histories_are_tables_on_a_terminal(
    said: Said, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pipe they are lines, with tabs between the columns, and as JSON they have everything."""
    assert said("run", "kept.py:twice", "40", "--durable", "a")[0] == 0
    line = said("runs")[1]
    when = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(rf"a\tsucceeded\tkept\.py:twice\t{when}\t{when}\t\n", line)
    first, *_ = said("history", "a")[1].splitlines()
    assert first == "1\t3\tnote(what='added to 40')\tWord(text='added to 40')"
    [run] = json.loads(said("runs", "--json")[1])
    assert (run["run_id"], run["status"], run["plan"], run["generation"], run["questions"], run["note"]) == (
        *("a", "succeeded", "kept.py:twice", 0, [], None),
    )
    step, _ = json.loads(said("history", "a", "--json")[1])
    assert step == {
        "number": 1,
        "place": "3",
        "what": "answered",
        "effect": "note(what='added to 40')",
        "outcome": {"$type": "kept:Word", "text": "added to 40"},
    }
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    table = said("runs")[1]
    assert "status" in table
    assert "───" in table
    assert "added to 40" in said("history", "a")[1]


def test_without_runs_there_is_nothing_to_list(kept: Path, said: Said) -> None:
    """It says how to begin one."""
    assert said("run", "kept.py:last")[0] == 0  # makes the store
    status, listed, text = said("runs")
    assert (status, listed) == (0, "")
    assert "--durable ID" in text
    assert json.loads(said("runs", "--json")[1]) == []


def test_a_run_that_has_ended_can_be_compacted_and_forgotten(said: Said) -> None:
    """Its outcome stays, until its id is free again."""
    assert said("run", "kept.py:twice", "40", "--durable", "a")[0] == 0
    assert said("compact")[2].startswith("lambdacat: 2 records removed; .lambdacat had ")
    told = "'a' of kept.py:twice has succeeded; its journal has been removed, or it never had one"
    assert said("history", "a")[1:] == ("", f"lambdacat: {told}\n")
    assert said("resume", "a")[1] == "42\n"
    assert said("forget", "a") == (0, "", "")
    assert said("runs")[1] == ""
    assert said("run", "kept.py:twice", "1", "--durable", "a")[:2] == (0, "3\n")


def test_a_run_whose_code_is_gone_is_forgotten_by_force(said: Said, kept: Path) -> None:
    """As it cannot be resumed, not even to be cancelled."""
    status, _, _ = said("run", "kept.py:asking", "--durable", "a")
    assert status == 75
    (kept / "kept.py").unlink()
    status, _, text = said("forget", "a")
    assert status != 0
    assert "`lambdacat forget a --force`" in text
    assert said("forget", "a", "--force") == (0, "", "")
    assert said("runs")[1] == ""


def test_a_plan_that_fails_has_its_own_frames(said: Said) -> None:
    """Resumed, it fails as it did, though nobody knows where any more."""
    status, _, text = said("run", "kept.py:failing", "--durable", "a")
    assert status == 1
    assert "in failing" in text
    assert text.endswith("ValueError: the milk is sour\n")
    assert "lambdacat_effects/" not in text
    expected = "lambdacat: 'a' has failed before; this is its outcome\nValueError: the milk is sour\n"
    assert said("resume", "a") == (1, "", expected)


# What may go wrong


def test_an_answer_that_cannot_be_kept_is_named(kept: Path, said: Said) -> None:
    """The run is not lost by it."""
    status, _, text = said("run", "kept.py:unkept", "--durable", "a")
    assert status == 1
    assert "Traceback" not in text
    assert "the answer of object() cannot be kept" in text
    assert "goes on with\n  lambdacat resume a" in text


def test_a_plan_that_has_changed_is_refused(kept: Path, said: Said) -> None:
    """Showing what was recorded and what is asked now."""
    kill(kept, "run", "kept.py:waiting", "--durable", "a")
    (kept / "go on").touch()
    text = (kept / "kept.py").read_text()
    (kept / "kept.py").write_text(text.replace("yield from note(word)", "yield from note(word.upper())"))
    status, _, said_then = said("resume", "a")
    assert status == 2
    assert "recorded: note(what='word')" in said_then
    assert "asked:    note(what='WORD')" in said_then
    assert "Traceback" not in said_then
    forget_module("kept")
    (kept / "kept.py").write_text(text)
    assert said("resume", "a")[:2] == (0, "word\n")


def test_a_run_whose_code_has_changed_is_told_what_helps(kept: Path, said: Said) -> None:
    """And waits for what it waited for."""
    assert said("run", "kept.py:asking_noted", "--durable", "a")[0] == 75
    text = (kept / "kept.py").read_text()
    (kept / "kept.py").write_text(text.replace('note("before it asks")', 'note("before")'))
    forget_module("kept")
    status, _, said_then = said("answer", "a", "7", "--file", "kept.py")
    assert status == 2
    assert "It goes on with the code that it was performed with" in said_then
    assert said_then.endswith("\n  lambdacat resume a --file kept.py\n")
    assert "VALUE" not in said_then
    forget_module("kept")
    (kept / "kept.py").write_text(text)
    assert said("resume", "a")[:2] == (0, "7\n")


def test_a_suspended_run_that_cannot_go_on_stays_so(kept: Path, said: Said) -> None:
    """Since it has not gone on."""
    assert said("run", "kept.py:asking_noted", "--durable", "a")[0] == 75
    before = said("runs", "--json")[1]
    text = (kept / "kept.py").read_text()
    (kept / "kept.py").write_text(text.replace('note("before it asks")', 'note("before")'))
    forget_module("kept")
    assert said("resume", "a")[0] == 2
    assert said("runs", "--json")[1] == before
    assert json.loads(before)[0]["status"] == "suspended"


def test_what_cannot_be_read_without_its_class_says_so(kept: Path, said: Said) -> None:
    """It is not interrupted, to go on with the same code."""
    kill(kept, "run", "kept.py:waiting", "--durable", "a")
    text = (kept / "kept.py").read_text()
    (kept / "kept.py").write_text(text.replace("class Word:", "class Term:").replace("Word", "Term"))
    status, _, said_then = said("resume", "a")
    assert status == 1
    assert "once what is kept of it can be read again" in said_then
    assert said_then.endswith("\n  lambdacat forget a --force\n")
    assert "interrupted" not in said_then


# Begun twice


def test_a_run_that_is_begun_twice_goes_on(kept: Path, said: Said) -> None:
    """Or says how it ended, on standard error."""
    kill(kept, "run", "kept.py:waiting", "--word", "tea", "--durable", "a")
    (kept / "go on").touch()
    again = ["run", "kept.py:waiting", "--word", "tea", "--durable", "a"]
    assert said(*again) == (
        0,
        "tea\n",
        "lambdacat: 'a' of kept.py:waiting was begun before: it goes on, and is not begun again\n",
    )
    assert noted(kept) == ["tea", "cleaned"]
    assert said(*again) == (0, "tea\n", "lambdacat: 'a' has succeeded before; this is its outcome\n")
    assert noted(kept) == ["tea", "cleaned"]


@pytest.mark.parametrize("ended", [False, True])
def test_a_run_of_this_id_that_is_another_one_is_refused(said: Said, ended: bool) -> None:
    """Both are shown."""
    first = ["kept.py:twice", "1"] if ended else ["kept.py:asking"]
    assert said("run", *first, "--durable", "a")[0] == (0 if ended else 75)
    for other in (["kept.py:twice", "2"], ["kept.py:asking", "2"]):
        status, answer, text = said("run", *other, "--durable", "a")
        assert (status, answer) == (2, "")
        assert "there is a run 'a' already, and it is another one" in text


# Renamed


@pytest.mark.parametrize("plan", ["awaiting", "kept.py:awaiting", "moved.py:awaiting"])
@pytest.mark.parametrize("arguments", [[], ["--word", "tea"]])
def test_a_plan_that_was_renamed_goes_on(kept: Path, said: Said, plan: str, arguments: list[str]) -> None:
    """By its new name, `--plan`."""
    kill(kept, "run", "kept.py:waiting", *arguments, "--durable", "a")
    text = (kept / "kept.py").read_text().replace("def waiting(", "def awaiting(")
    (kept / "kept.py").rename(kept / ("moved.py" if "moved" in plan else "kept.py"))
    (kept / ("moved.py" if "moved" in plan else "kept.py")).write_text(text)
    (kept / "go on").touch()
    assert said("resume", "a", "--plan", plan)[:2] == (0, f"{arguments[-1] if arguments else 'word'}\n")
    assert noted(kept) == [arguments[-1] if arguments else "word", "cleaned"]


# Stores


@pytest.mark.parametrize("store", ["kept.sqlite", "kept.db", "json:kept", "folder"])
def test_any_store_keeps_runs_and_their_memory(kept: Path, said: Said, store: str) -> None:
    """All commands take it."""
    where = ["--store", store]
    run_id = f"in {store}"
    (kept / "go on").touch()
    assert said("run", "kept.py:waiting", "--durable", run_id, *where)[:2] == (0, "word\n")
    assert said("run", "kept.py:last", *where)[:2] == (0, "word\n")
    status, _, text = said("run", "kept.py:asking", "--durable", "b", *where)
    assert status == 75
    assert text.endswith(f"lambdacat answer b VALUE --store {store}\n")
    assert said("answer", "b", "3", *where)[:2] == (0, "3\n")
    assert [line.split("\t")[:2] for line in said("runs", *where)[1].splitlines()] == [
        [run_id, "succeeded"],
        ["b", "succeeded"],
    ]
    assert said("history", "b", *where)[0] == 0
    assert said("compact", *where)[0] == 0
    for each in (run_id, "b"):
        assert said("forget", each, *where)[0] == 0


# Cancelling


def test_a_run_that_is_to_be_cancelled_says_so(said: Said) -> None:
    """In the list, in its history, and to whoever answers it."""
    assert said("run", "kept.py:asking", "--durable", "a")[0] == 75
    assert json.loads(said("runs", "--json")[1])[0]["cancelling"] is False
    assert said("cancel", "a", "--no-resume")[0] == 0
    assert said("runs")[1].split("\t")[1] == "suspended, cancelling"
    assert json.loads(said("runs", "--json")[1])[0]["cancelling"] is True
    assert "waits for an answer to 'How many?', and is to be cancelled" in said("history", "a")[2]
    status, _, text = said("answer", "a", "3", "--no-resume")
    assert status == 0
    assert "somebody has asked the run 'a' to end: whatever the answer, it is cancelled" in text
    assert said("resume", "a")[0] == 1
    assert said("runs")[1].split("\t")[1] == "cancelled"


def forget_module(name: str) -> None:
    del sys.modules[name]


def test_a_store_that_cannot_be_made_is_named(said: Said) -> None:
    """In one line."""
    status, answer, text = said("run", "kept.py:twice", "1", "--durable", "a", "--store", "kept.py/x")
    assert (status, answer) == (1, "")
    assert "kept.py/x" in text
    assert text.count("\n") == 1


WRONG = [
    (["resume", "nobody"], "there is no run 'nobody' in .lambdacat: `lambdacat runs` lists"),
    (["history", "nobody"], "there is no run 'nobody'"),
    (["answer", "nobody", "yes"], "there is no run 'nobody'"),
    (["cancel", "nobody"], "there is no run 'nobody'"),
    (["forget", "nobody"], "there is no run 'nobody'"),
    (["compact", "nobody"], "there is no run 'nobody'"),
    (["runs", "--store", "nowhere"], "there is no store in nowhere"),
    (["resume", "--all", "--store", "nowhere"], "there is no store in nowhere"),
    (["resume"], "`lambdacat resume ID`, or all of them"),
    (["resume", "asking", "--all"], "`lambdacat resume ID`, or all of them"),
    (["resume", "--all", "--file", "kept.py"], "name the run"),
    (["resume", "--all", "--plan", "asking"], "name the run"),
    (["resume", "asking", "--plan", "kept.py:asking", "--file", "kept.py"], "leave --file out"),
    (["resume", "asking", "--plan", "askin"], "did you mean asking?"),
    (["runs", "--store", "kept.py"], "FOLDER (LMDB), FILE.sqlite or FILE.db (SQLite), json:FOLDER"),
    (
        ["runs", "--store", "ftp://nowhere"],
        "or redis://HOST:PORT/DATABASE (Redis, Valkey); got 'ftp://nowhere'",
    ),
    (["runs", "--store", "no.sqlite"], "there is no store in no.sqlite"),
    (["runs", "--store", "json:no"], "there is no store in json:no"),
    (["run", "kept.py:twice", "1", "--durable", ""], "a run id is a non-empty text"),
    (["answer", "asking", "many"], "with JSON of type int, such as 3; got 'many'"),
    (["answer", "asking", "true"], "type int"),
    (["answer", "asking", "3", "--question", "Why?"], "does not ask 'Why?', but 'How many?'"),
    (["answer", "ended", "3"], "asks nothing"),
    (["forget", "asking"], "an answer to 'How many?': end it with `lambdacat cancel asking`"),
    (["compact", "asking"], "waits for an answer to 'How many?': its journal is needed"),
]


@pytest.mark.parametrize(("words", "part"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_an_error_is_one_line(said: Said, words: list[str], part: str) -> None:
    """It says what there is, and what to type. The status is 2."""
    assert said("run", "kept.py:asking", "--durable", "asking")[0] == 75
    assert said("run", "kept.py:twice", "1", "--durable", "ended")[0] == 0
    before = said("runs")[1]
    status, answer, text = said(*words)
    assert (status, answer) == (2, "")
    assert part in text
    assert text.startswith("lambdacat: ")
    assert text.count("\n") == 1
    assert said("runs")[1] == before


@pytest.mark.parametrize("words", [["runs"], ["resume", "a"], ["resume", "--all"], ["history", "a"]])
@pytest.mark.parametrize("damage", ["a newer format", "a damaged header", "no store"])
def test_what_cannot_be_read_is_left_alone(kept: Path, said: Said, words: list[str], damage: str) -> None:
    """One line, and status 1."""

    async def spoil() -> None:
        async with LmdbStore(kept / ".lambdacat") as store:
            found = await store.get(RUNS, "a") or b""
            newer = json.dumps({**json.loads(found), "format": 999}).encode()
            await store.put(RUNS, "a", newer if damage == "a newer format" else found[:-5])

    assert said("run", "kept.py:twice", "1", "--durable", "a")[0] == 0
    if damage == "no store":
        (kept / ".lambdacat" / "data.mdb").write_bytes(b"no LMDB" * 2000)
    else:
        trio.run(spoil)
    before = (kept / ".lambdacat" / "data.mdb").read_bytes()
    status, answer, text = said(*words)
    assert status == 1
    if damage != "no store" and words[0] == "runs":
        assert answer == "a\tunreadable\t\t\t\t\n"  # the others can be read
    elif damage != "no store" and words[-1] == "--all":
        assert answer.startswith("a\tunreadable\tJournalUnreadable: ")
        answer, text = "", f"lambdacat: {answer}"
    else:
        assert answer == ""
    assert {"a newer format": "format 999", "a damaged header": "damaged", "no store": ".lambdacat"}[
        damage
    ] in text
    assert text.startswith("lambdacat: ")
    assert text.count("\n") == 1
    assert (kept / ".lambdacat" / "data.mdb").read_bytes() == before
