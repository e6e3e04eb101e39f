"""The fixture `recording`: a file for each test, made once and replayed from then on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from inner_pytest import RECORDED

pytest_plugins = "pytester"


def test_a_recording_is_made_once_and_then_replayed(run: Any, pytester: pytest.Pytester) -> None:
    """By its file, named after the test; nothing is asked the second time."""
    source = RECORDED + (
        """
def test_it(recording):
    assert recording(Ask.by(live)).run_pure(dialogue("tea?")) == "TEA?"
    print("asked", asked)
    print("file", recording.path.name)
"""
    )
    run(source, "-s", passed=1).stdout.fnmatch_lines(["*asked [[]'tea[?]'[]]", "file test_it.json"])
    file = pytester.path / "recordings" / "test_it" / "test_it.json"
    assert json.loads(file.read_text())["runs"]
    run(source, "-s", passed=1).stdout.fnmatch_lines(["*asked [[][]]"])
    run(source, "-s", "--lambdacat-record=all", passed=1).stdout.fnmatch_lines(["*asked [[]'tea[?]'[]]"])
    run(source, "-s", ini="lambdacat_record = all", passed=1).stdout.fnmatch_lines(["*asked [[]'tea[?]'[]]"])
    file.unlink()
    result = run(source, "--lambdacat-record=none", failed=1)
    result.stdout.fnmatch_lines(["*RecordingUnreadable: there is no recording *test_it.json*"])
    assert not file.exists()


def test_the_mode_of_the_option_wins(run: Any, pytester: pytest.Pytester) -> None:
    """Over `mode=`, which wins over the ini file."""
    source = RECORDED + (
        """
def test_it(recording):
    recording(Ask.by(live), mode="none").run_pure(dialogue("tea?"))
"""
    )
    run(source, ini="lambdacat_record = all", failed=1)
    run(source, "--lambdacat-record=once", passed=1)


def test_every_test_has_a_file_of_its_own(run: Any, pytester: pytest.Pytester) -> None:
    """Whatever its parameters are: slashes, letters of any alphabet, cases, and what is too long."""
    run(
        RECORDED
        + """
@pytest.mark.parametrize("q", ["a/b", "a-b", "../up", "żółw", "A", "a", "x" * 300, "", "a::b", "."])
def test_it(recording, q):
    assert recording(Ask.by(live)).run_pure(dialogue("?" + q)) == "?" + q.upper()

class TestIt:
    def test_it(self, recording):
        assert recording(Ask.by(live)).run_pure(dialogue("tea?")) == "TEA?"
        assert recording(Ask.by(live), name="more").run_pure(dialogue("coffee?")) == "COFFEE?"
""",
        passed=11,
    )
    folder = pytester.path / "recordings" / "test_it"
    names = [path.name for path in folder.rglob("*")]
    assert 12 == len({name.lower() for name in names})
    assert {"TestIt.test_it.json", "TestIt.test_it.more.json", "test_it[a-b].json"} <= {*names}
    assert all(len(name) < 130 and name.isascii() for name in names)
    assert ["recordings"] == [
        path.name for path in pytester.path.iterdir() if path.is_dir() and path.name[0] == "r"
    ]


def test_two_recordings_of_one_test_need_names(run: Any) -> None:
    """They would overwrite one another."""
    result = run(
        RECORDED
        + """
def test_it(recording):
    recording(Ask.by(live))
    recording(Ask.by(live))
""",
        failed=1,
    )
    result.stdout.fnmatch_lines(["*InvalidArgument*already*name=*"])


def test_recordings_of_async_tests(run: Any) -> None:
    """`run` in an async test, and a redacted secret."""
    source = RECORDED + (
        """
async def test_it(recording):
    recorded = recording(Ask.by(live), redact=["question"])
    assert await recorded.run(dialogue("tea?")) == "TEA?"
    assert "tea?" not in recording.path.read_text()
"""
    )
    run(source, passed=1)
    run(source, "--lambdacat-record=none", passed=1)
