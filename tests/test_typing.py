"""Type checkers see what plans ask for: they reject what is wrong, and infer what is right.

The files in `tests/typing` are written as users write, and marked line by line:

- `# E` must be rejected; `# E: text`, with a message that has `text` in it;
- `# R: type` must be revealed as this type (the order of unions and the modules of names do not matter);
- `# plugin`: for mypy without our plugin, nothing is claimed of this line;
- `# E[mypy]: text`, `# R[pyright]: type`: what only this checker says. `mypy` is with and without the plugin.

A line without a mark must be accepted.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = Path(__file__).parent / "typing"
WRONG = "deliberately_wrong.py"
SUITE = sorted(path.name for path in FOLDER.glob("*.py") if path.name != WRONG)
CHECKERS = ("mypy", "mypy-plugin", "pyright")


class Marks(NamedTuple):
    """What is expected of one line, by checker; under "" of every checker that is not named."""

    errors: Mapping[str, str]
    reveals: Mapping[str, str]
    plugin: bool


class Found(NamedTuple):
    """What a checker said about one line."""

    errors: list[str]
    reveals: list[str]


def marks_of(line: str) -> Marks:
    errors: dict[str, str] = {}
    reveals: dict[str, str] = {}
    plugin = False
    for comment in line.split("#")[1:]:
        mark = re.fullmatch(r"(E|R|plugin)(?:\[([\w-]+)\])?(?:: (.+))?", comment.strip())
        if mark is None:
            continue
        kind, checker, text = mark.groups(default="")
        if kind == "E":
            errors[checker] = text
        elif kind == "R":
            reveals[checker] = text
        else:
            plugin = True
    return Marks(errors, reveals, plugin)


def meant_for(checker: str, expected: Mapping[str, str]) -> str | None:
    family = checker.partition("-")[0]
    return expected.get(checker, expected.get(family, expected.get("")))


def complaints(checker: str, name: str, found: Mapping[tuple[str, int], Found]) -> list[str]:
    """How what a checker found in one file differs from the file's marks."""
    told: list[str] = []
    for number, line in enumerate((FOLDER / name).read_text().splitlines(), 1):
        marks = marks_of(line)
        if marks.plugin and checker == "mypy":
            continue
        errors, reveals = found.get((name, number), Found([], []))
        error, reveal = meant_for(checker, marks.errors), meant_for(checker, marks.reveals)
        told += [
            f"{name}:{number}: {problem}\n        {line.strip()}"
            for problem in (*_differing_errors(error, errors), *_differing_reveals(reveal, reveals))
        ]
    return told


def _differing_errors(expected: str | None, errors: list[str]) -> list[str]:
    if expected is None:
        return [f"false positive: {error}" for error in errors]
    if not errors:
        return ["missed: this must be rejected"]
    if not any(expected in error for error in errors):
        return [f"rejected without saying {expected!r}: {error}" for error in errors]
    return []


def _differing_reveals(expected: str | None, reveals: list[str]) -> list[str]:
    if expected is None:
        return []
    return [
        f"revealed as {reveal}, expected {expected}"
        for reveal in reveals or ["nothing"]
        if normal(reveal) != normal(expected)
    ]


def normal(revealed: str) -> str:
    """A type as text, without modules, its unions sorted.

    >>> normal("typing.Generator[a.Search | a.Publish, object, None]")
    'Generator[Publish | Search, object, None]'
    """
    return _sorted_unions(re.sub(r"\b(?:[a-z_]\w*\.)+(?=\w)", "", revealed))


def _sorted_unions(text: str) -> str:
    parts = [
        " | ".join(sorted(_sorted_arguments(m) for m in _split(part, "|"))) for part in _split(text, ",")
    ]
    return ", ".join(parts)


def _sorted_arguments(text: str) -> str:
    head, bracket, rest = text.strip().partition("[")
    return f"{head}[{_sorted_unions(rest[:-1])}]" if bracket and rest.endswith("]") else text.strip()


def _split(text: str, separator: str) -> list[str]:
    parts, depth = [""], 0
    for char in text:
        depth += (char in "[(") - (char in ")]")
        if char == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


@functools.cache
def found_by(checker: str) -> Mapping[tuple[str, int], Found]:
    """What a checker says about all files, by file and line. Each runs once."""
    module = checker.partition("-")[0]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: pip install lambdacat-effects[lint]")
    return _pyright() if module == "pyright" else _mypy(plugin=checker == "mypy-plugin")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Not through a shell, and in the folder, so that the files there import each other.
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=FOLDER,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        pytest.fail(f"{' '.join(arguments)} did not work:\n{done.stdout}\n{done.stderr}")
    return done


def _mypy(*, plugin: bool) -> Mapping[tuple[str, int], Found]:
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "mypy.ini"
        config.write_text(
            f"[mypy]\nstrict = true\nmypy_path = {ROOT}\nfollow_imports = silent\ncache_dir = {directory}\n"
            + ("plugins = lambdacat_effects.mypy\n" if plugin else "")
        )
        done = _run("mypy", "--config-file", str(config), "--no-pretty", "--no-error-summary", *SUITE, WRONG)
    found: defaultdict[tuple[str, int], Found] = defaultdict(lambda: Found([], []))
    for name, line, severity, text in re.findall(r"^(\S+?):(\d+): (\w+): (.*)$", done.stdout, re.M):
        revealed = re.fullmatch(r'Revealed type is "(.*)"', text)
        if revealed:
            found[name, int(line)].reveals.append(revealed[1])
        elif severity == "error":
            found[name, int(line)].errors.append(text)
    return found


def _pyright() -> Mapping[tuple[str, int], Found]:
    done = _run("pyright", "--project", ".", "--outputjson", "--pythonpath", sys.executable)
    found: defaultdict[tuple[str, int], Found] = defaultdict(lambda: Found([], []))
    for said in json.loads(done.stdout)["generalDiagnostics"]:
        here = found[Path(said["file"]).name, said["range"]["start"]["line"] + 1]
        revealed = re.fullmatch(r'Type of ".*" is "(.*)"', said["message"], re.S)
        if revealed and said["severity"] == "information":
            here.reveals.append(revealed[1])
        elif said["severity"] != "information":
            here.errors.append(said["message"])
    return found


@pytest.mark.parametrize("checker", CHECKERS)
def test_checker_agrees_with_every_mark(checker: str) -> None:
    """Each line is accepted or rejected as it is marked, and each type is what it is said to be."""
    told = [complaint for name in SUITE for complaint in complaints(checker, name, found_by(checker))]
    assert not told, f"{checker}, {len(told)} times:\n    " + "\n    ".join(told)


@pytest.mark.parametrize("checker", CHECKERS)
def test_wrong_marks_are_found(checker: str) -> None:
    """The harness sees a missing error, a false positive, a wrong type, a missing type and a wrong reason."""
    told = [t.splitlines()[0].partition(": ")[2] for t in complaints(checker, WRONG, found_by(checker))]
    assert [t.partition(":")[0].partition(",")[0] for t in told] == [
        "missed",
        "revealed as list[str]",
        "revealed as nothing",
        "false positive",
        "rejected without saying 'another reason'",
    ]


def test_files_are_marked_well() -> None:
    """Enough is claimed, and no mark is misspelt."""
    lines = [line for name in SUITE for line in (FOLDER / name).read_text().splitlines()]
    marks = [marks_of(line) for line in lines]
    assert sum(bool(m.errors) for m in marks) >= 30
    assert sum(bool(m.reveals) for m in marks) >= 30
    for line in lines:
        comments = [comment for comment in line.split("#")[1:] if re.match(r"\s*(E|R|plugin)\b", comment)]
        known = marks_of(line)
        assert len(comments) == len(known.errors) + len(known.reveals) + known.plugin, line


@pytest.mark.parametrize("name", SUITE)
def test_file_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the checkers accept also imports, and does what it says in `check`."""
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    check = runpy.run_path(str(FOLDER / name)).get("check")
    assert check is not None or name == "domain.py"
    if check is not None:
        check()


@pytest.mark.parametrize(
    ("revealed", "expected"),
    [
        ("typing.Generator[b.B | a.A, object, None]", "Generator[A | B, object, None]"),
        ("tuple[builtins.int | builtins.str, ...]", "tuple[str | int, ...]"),
        ("(q: b.B | a.A) -> list[b.B | a.A]", "(q: b.B | a.A) -> list[b.B | a.A]"),
    ],
)
def test_types_compare_as_text(revealed: str, expected: str) -> None:
    assert normal(revealed) == normal(expected)
