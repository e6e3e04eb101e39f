"""Journals of every format that there has been are resumed, and come to what they came to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from golden_plans import GOLDEN, handlers

from lambdacat_effects.errors import JournalUnreadable
from lambdacat_effects.journal import Durable
from lambdacat_effects.journal.records import ENTRIES, FORMAT, RUNS
from lambdacat_effects.journal.seals import sealed, unsealed
from lambdacat_effects.testing.lives import RUN_ID, Disk, Lives

HERE = Path(__file__).parent
JOURNALS = sorted(HERE.glob("format-*/*.json"))
NAMES = [f"{path.parent.name} {path.stem}" for path in JOURNALS]


def resumed(journal: dict[str, Any]) -> Lives:
    make, args = GOLDEN[journal["plan"]]
    store = {
        space: {key: text.encode("utf-8", "surrogatepass") for key, text in values.items()}
        for space, values in journal["store"].items()
    }
    lives = Lives(make, args, handlers, answers={"Send it?": True})
    lives.disk = Disk.of(store)
    lives.to_the_end(2)
    return lives


def came_to(lives: Lives) -> Any:
    memory = {
        space: {key: data.decode() for key, data in values.items()} for space, values in lives.memory.items()
    }
    calls = sorted(str(call) for call in lives.calls)
    return json.loads(json.dumps({"outcome": lives.outcome, "calls": calls, "memory": memory}))


def test_there_are_journals_of_every_format() -> None:
    """Of each plan, in each format up to this one."""
    expected = {f"format-{n}/{name}.json" for n in range(1, FORMAT + 1) for name in GOLDEN}
    assert expected == {f"{path.parent.name}/{path.name}" for path in JOURNALS}


@pytest.mark.parametrize("path", JOURNALS, ids=NAMES)
def test_a_golden_journal_is_resumed(path: Path) -> None:
    """To the same outcome and memory, with the calls that were left to be made, and no others."""
    journal = json.loads(path.read_text())
    lives = resumed(journal)
    assert lives.wrong == []
    assert journal["expected"] == came_to(lives)


@pytest.mark.parametrize("name", ["sequence", "approval"])
def test_an_answer_that_was_changed_shows(name: str) -> None:
    """A journal is what a run is resumed from: one in which an answer differs comes to something else. (Its checksum
    has to be mended: else it is not read.)"""
    journal = json.loads((HERE / f"format-{FORMAT}" / f"{name}.json").read_text())
    entries = journal["store"][ENTRIES]
    for key, text in entries.items():
        changed = unsealed(text.encode(), RUN_ID).replace(b"all about", b"nothing about")
        entries[key] = sealed(changed, RUN_ID).decode()
    assert journal["expected"] != came_to(resumed(journal))


def test_a_newer_format_is_refused() -> None:
    """With an error that names the run, both formats, and what to do; and nothing is changed."""
    journal = json.loads(JOURNALS[0].read_text())
    header = json.loads(journal["store"][RUNS][RUN_ID])
    journal["store"][RUNS][RUN_ID] = json.dumps({**header, "format": FORMAT + 1})
    disk = Disk.of(
        {space: {key: text.encode() for key, text in v.items()} for space, v in journal["store"].items()}
    )
    before = disk.contents()

    async def resume() -> None:
        await Durable(disk).resume(RUN_ID, handlers=handlers(disk))

    with pytest.raises(
        JournalUnreadable, match=f"'{RUN_ID}' has a journal of format {FORMAT + 1}.*up to {FORMAT}"
    ):
        trio.run(resume)
    assert before == disk.contents()
