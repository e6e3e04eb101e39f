"""Recordings as files: readable, whole or not at all, and never guessed at."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects import Effect, Plan, effect, parallel, tool
from lambdacat_effects.errors import LambdacatError, StoreUnusable
from lambdacat_effects.testing.recording import (
    RecordingMismatch,
    RecordingUnreadable,
    UnusedRecording,
    record,
    replay,
)


@effect
class Ask(Effect[Any]):
    key: str


@tool
async def search(query: str, limit: int = 5) -> list[str]:
    """Search."""
    return [query] * limit


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "recording.json"


def plan() -> Plan[Any, Any]:
    found = yield from Ask("ä")
    both = yield from parallel(Ask("b"), Ask("c"))
    return found, both


def answer(asked: Ask) -> Any:
    return {"size": (1, 2), "text": asked.key}


def recorded(file: Path) -> Path:
    record(Ask.by(answer), file).run_pure(plan())
    return file


READABLE = """{
  "$format": "lambdacat-effects recording",
  "$version": 1,
  "runs": [
    {
      "effects": [
        {
          "answer": {
            "size": {
              "$items": [
                1,
                2
              ],
              "$type": "tuple"
            },
            "text": "ä"
          },
          "asked": {
            "key": "ä"
          },
          "effect": "NAME:Ask",
          "path": "1"
        }
      ],
      "name": "asking",
      "run": 1
    }
  ]
}
"""


def test_a_file_is_readable(file: Path) -> None:
    """One entry for each effect, in the order of the plan, with sorted keys."""
    record(Ask.by(answer), file).run_pure(Ask("ä"), name="asking")
    assert READABLE.replace("NAME", __name__) == file.read_text(encoding="utf-8")


def test_a_changed_answer_changes_its_lines_only(file: Path) -> None:
    """So that a diff shows what has changed."""
    before = recorded(file).read_text().splitlines()
    changed = record(
        Ask.by(lambda asked: answer(asked) | ({"size": (1, 3)} if asked.key == "b" else {})), file, mode="all"
    )
    changed.run_pure(plan())
    after = file.read_text().splitlines()
    assert [(" 2", " 3")] == [(a[-2:], b[-2:]) for a, b in zip(before, after, strict=True) if a != b]


def test_files_are_made_with_their_folders_and_the_usual_rights(tmp_path: Path) -> None:
    """And nothing else is left there."""
    file = recorded(tmp_path / "some" / "where" / "recording.json")
    other = file.with_name("other")
    other.write_text("")
    assert stat.S_IMODE(other.stat().st_mode) == stat.S_IMODE(file.stat().st_mode)
    assert ["other", "recording.json"] == sorted(os.listdir(file.parent))


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Naming it; what was to be its folder stays what it is."""
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(StoreUnusable, match=r"the recording .*folder/recording.json' cannot be written"):
        recorded(tmp_path / "folder" / "recording.json")
    (tmp_path / "taken").mkdir()
    with pytest.raises(StoreUnusable):
        record(Ask.by(answer), tmp_path / "taken", mode="all").run_pure(plan())
    assert ["folder", "taken"] == sorted(os.listdir(tmp_path))


def test_a_recording_that_is_interrupted_leaves_the_old_file(file: Path) -> None:
    """Whole: a new one is put in its place at the end only."""
    before = recorded(file).read_bytes()
    seen: list[bytes] = []

    def looking(asked: Ask) -> Any:
        seen.append(file.read_bytes())
        assert [file.name] == os.listdir(file.parent)
        return answer(asked)

    record(Ask.by(looking), file, mode="all").run_pure(plan())
    assert [before] * 3 == seen


def test_a_replay_does_not_touch_the_file(file: Path) -> None:
    """Nor does mode "new", where there is nothing new."""
    recorded(file)
    os.utime(file, (1, 1))
    file.chmod(0o400)
    replay(file).run_pure(plan())
    record(Ask.by(answer), file, mode="new").run_pure(plan())
    record(Ask.by(answer), file, mode="once").run_pure(plan())
    assert file.stat().st_mtime == 1


async def test_it_is_kept_apart_from_other_event_loops(file: Path) -> None:
    """Each reads the file for itself."""
    recorded(file)
    handlers = replay(file)

    async def run() -> None:
        assert (await handlers.run(plan()))[0]["text"] == "ä"

    async with handlers:
        await trio.to_thread.run_sync(trio.run, run)
        await run()


# Files that are not as they were written.


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "line 1, column 1: it is no JSON"),
        ("{", "line 1, column 2: it is no JSON"),
        ("nonsense", "line 1, column 1: it is no JSON"),
        ("[]", "the top: it does not say"),
        ("{}", "the top: it does not say"),
        ('{"$format": "something else"}', "the top: it does not say"),
        ('{"$format": "lambdacat-effects recording"}', "the top: it is of version None"),
        (
            '{"$format": "lambdacat-effects recording", "$version": 2}',
            "the top: it is of version 2, and this release reads",
        ),
        ('{"$format": "lambdacat-effects recording", "$version": 1}', "the top: 'runs' is missing"),
        ('{"$format": "lambdacat-effects recording", "$version": 1, "runs": {}}', "the top: expected list"),
        ('{"$format": "lambdacat-effects recording", "$version": 1, "runs": [3]}', r"runs\[0\]: "),
        ("[" * 100_000, "all of it: it is nested too deeply"),
    ],
    ids=lambda value: value[:70],
)
def test_another_file_is_told_from_a_recording(content: str, told: str, file: Path) -> None:
    """With the place; it is left as it is."""
    file.write_text(content)
    for handlers in (replay(file), record(Ask.by(answer), file), record(Ask.by(answer), file, mode="new")):
        with pytest.raises(RecordingUnreadable, match=f"recording.json' cannot be read: {told}"):
            handlers.run_pure(plan())
    assert content == file.read_text()


def test_bytes_that_are_no_text_are_told(file: Path) -> None:
    """With the place."""
    file.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(RecordingUnreadable, match="byte 7: it is no UTF-8"):
        replay(file).run_pure(plan())


def test_a_folder_is_no_recording(tmp_path: Path) -> None:
    """Nor is what cannot be opened."""
    with pytest.raises(RecordingUnreadable, match="cannot be read"):
        replay(tmp_path).run_pure(plan())


CHANGES: dict[str, tuple[Any, str]] = {
    "no path": (lambda entry: entry.pop("path"), "'path' is missing"),
    "no effect": (lambda entry: entry.pop("effect"), "'effect' is missing"),
    "no outcome": (lambda entry: entry.pop("answer"), "it is to have one of .* and has none"),
    "two outcomes": (lambda entry: entry.update(unfinished=True), "and has answer, unfinished"),
    "a path of words": (lambda entry: entry.update(path="one"), "invalid literal"),
    "a path of numbers": (lambda entry: entry.update(path=1), "expected str, found int: '1'"),
    "a path twice": (lambda entry: entry.update(path="2"), "path 2 is there twice"),
    "asked nothing": (lambda entry: entry.update(asked=None), "expected dict, found NoneType"),
    "an error of text": (
        lambda entry: (entry.pop("answer"), entry.update(error="e")),
        "expected dict, found str",
    ),
    "a fate of its own": (
        lambda entry: (entry.pop("answer"), entry.update(branches=["lost"], cancelled=False)),
        "a branch is one of answered, cancelled, failed,",
    ),
    "a stream without end": (
        lambda entry: (entry.pop("answer"), entry.update(chunks=[], stream="async")),
        "'ended' is missing",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_entry_is_told_with_its_place(name: str, file: Path) -> None:
    """Before anything runs."""
    change, told = CHANGES[name]
    whole = json.loads(recorded(file).read_text())
    change(whole["runs"][0]["effects"][0])
    file.write_text(json.dumps(whole))
    with pytest.raises(RecordingUnreadable, match=rf"runs\[0\]\.effects\[[01]\]: .*{told}"):
        replay(file).run_pure(plan())


def test_a_run_twice_is_told(file: Path) -> None:
    """They could not be told apart."""
    whole = json.loads(recorded(file).read_text())
    whole["runs"] *= 2
    file.write_text(json.dumps(whole))
    with pytest.raises(RecordingUnreadable, match="run 1 of 'plan' is there twice"):
        replay(file).run_pure(plan())


@given(data=st.data())
@settings(deadline=None, max_examples=300)
def test_a_damaged_file_is_replayed_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With an error of ours, wherever it is truncated or a byte is changed; and it is left as it is."""
    file = recorded(tmp_path_factory.mktemp("damaged") / "recording.json")
    whole = file.read_bytes()
    if data.draw(st.booleans()):
        octets = whole[: data.draw(st.integers(0, len(whole) - 3))]
    else:
        place = data.draw(st.integers(0, len(whole) - 1))
        octets = whole[:place] + data.draw(st.binary(min_size=1, max_size=1)) + whole[place + 1 :]
    file.write_bytes(octets)
    with suppress(RecordingUnreadable, RecordingMismatch, UnusedRecording):
        replay(file).run_pure(plan())
    assert octets == file.read_bytes()


@given(length=st.integers(0, 10_000))
@settings(deadline=None, max_examples=100)
def test_a_truncated_file_is_never_replayed(length: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Not even in part."""
    file = recorded(tmp_path_factory.mktemp("truncated") / "recording.json")
    whole = file.read_bytes()
    file.write_bytes(whole[: length % (len(whole) - 2)])
    with pytest.raises(RecordingUnreadable) as caught:
        replay(file).run_pure(plan())
    assert isinstance(caught.value, LambdacatError)
