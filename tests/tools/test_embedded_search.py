"""Search over documents on the machine finds what a person would, and never breaks on a question."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects.errors import InvalidArgument, NotSerialisable, ResourceNotOpen, StoreUnusable
from lambdacat_effects.tools.search import (
    EmbeddedIndex,
    Passage,
    corpora,
    folder_fingerprint,
    folder_passages,
    stdlib_fingerprint,
    stdlib_passages,
)
from lambdacat_effects.tools.search.splitting import PASSAGE_LIMIT, chunks

CATS = Passage("Cats purr when they are content, and also when they are ill.", "cats.md#Purring", "Purring")
DOGS = Passage("Dogs bark at strangers. They seldom purr.", "dogs.md#Barking", "Barking")
MICE = Passage("Mice squeak.", "mice.md", "mice")
PETS = [CATS, DOGS, MICE]


@pytest.fixture(scope="module")
def documentation() -> tuple[list[Passage], set[str]]:
    """The passages of the standard library, and the modules that reading them imported."""
    before = set(sys.modules)
    passages = list(stdlib_passages())
    return passages, set(sys.modules) - before


@pytest.fixture(scope="module")
def stdlib(
    tmp_path_factory: pytest.TempPathFactory, documentation: tuple[list[Passage], set[str]]
) -> Iterator[EmbeddedIndex]:
    path = tmp_path_factory.mktemp("index") / "stdlib.sqlite"
    with EmbeddedIndex.build_or_open(path, stdlib_fingerprint(), lambda: documentation[0]) as index:
        yield index


@pytest.fixture(scope="module")
def pets() -> Iterator[EmbeddedIndex]:
    with EmbeddedIndex() as index:
        index.add(PETS)
        yield index


def sources(index: EmbeddedIndex, question: str, limit: int = 3) -> list[str]:
    return [passage.source for passage in index.search(question, limit)]


class TestSearch:
    def test_a_question_in_plain_words_finds_its_passage(self, pets: EmbeddedIndex) -> None:
        """Function words are ignored and endings do not matter."""
        best = pets.search("Why is a cat purring?")[0]
        assert (CATS.text, CATS.source, CATS.title) == (best.text, best.source, best.title)

    def test_best_comes_first(self, pets: EmbeddedIndex) -> None:
        """Scores fall, and are above zero: a passage without any word of the question is not found."""
        scores = [passage.score for passage in pets.search("Do cats and dogs purr?")]
        assert sorted(scores, reverse=True) == scores
        assert all(score > 0 for score in scores)
        assert "mice.md" not in sources(pets, "Do cats and dogs purr?")

    def test_more_of_the_questions_words_beat_one_of_them_repeated(self) -> None:
        """Two words asked for outweigh one that a passage is full of."""
        with EmbeddedIndex() as index:
            index.add([Passage("tower tower tower", "one"), Passage("a tower of blue bricks", "both"), *PETS])
            assert sources(index, "blue tower") == ["both", "one"]

    def test_a_word_in_the_title_weighs_more(self) -> None:
        """Of two passages that differ only in where the word stands, the titled one is better."""
        with EmbeddedIndex() as index:
            index.add([Passage("about towers", "text", "bricks"), Passage("about bricks", "title", "towers")])
            assert sources(index, "tower")[0] == "title"

    def test_a_named_function_word_is_looked_for_in_titles(self) -> None:
        """`with` is a stop word, but not in "the with statement"."""
        with EmbeddedIndex() as index:
            index.add([Passage("a statement, with words", "text"), Passage("a statement", "title", "with")])
            assert sources(index, "the with statement")[0] == "title"

    @pytest.mark.parametrize("query", ["", "   ", "?!", "what is it?", "\0", '"', "***"])
    def test_a_query_without_content_finds_nothing(self, pets: EmbeddedIndex, query: str) -> None:
        """Nothing to look for is no error."""
        assert pets.search(query) == []

    @pytest.mark.parametrize(
        "query",
        ['"cats', "cats*", "cats NEAR purr", "cats AND (", "text:cats", "-cats", "^cats + purr", "{cats}"],
    )
    def test_fts5_syntax_is_only_words(self, pets: EmbeddedIndex, query: str) -> None:
        """What FTS5 would take for operators finds what the bare words find."""
        assert sources(pets, query)[0] == "cats.md#Purring"

    def test_a_limit_below_one_is_refused(self, pets: EmbeddedIndex) -> None:
        """A search for no passages is a mistake."""
        with pytest.raises(InvalidArgument, match="limit=0"):
            pets.search("cats", limit=0)

    @settings(deadline=None)
    @given(
        st.text()
        | st.lists(st.sampled_from(['"', "AND", "NEAR(", "*", ":", "cats", "purr", "the"])).map(" ".join)
    )
    def test_any_string_can_be_asked(self, pets: EmbeddedIndex, query: str) -> None:
        """No string raises, and never more than the limit comes back."""
        assert len(pets.search(query, limit=2)) <= 2

    @settings(deadline=None, max_examples=30)
    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=20))
    def test_each_passage_is_found_by_its_rare_word(self, texts: list[str]) -> None:
        """Whatever else a passage says."""
        with EmbeddedIndex() as index:
            index.add(Passage(f"{text} zyx{number}q", str(number)) for number, text in enumerate(texts))
            assert len(index) == len(texts)
            for number, text in enumerate(texts):
                assert [f"{text} zyx{number}q"] == [found.text for found in index.search(f"zyx{number}q?")]

    def test_threads_search_at_once(self, stdlib: EmbeddedIndex) -> None:
        """One index serves many threads, each with its own answer."""
        questions = ["temporary directory", "shallow and deep copy", "command line arguments"] * 8
        alone = [stdlib.search(question) for question in questions]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(stdlib.search, questions))
        assert alone == together


class TestFiles:
    def test_an_index_is_there_after_reopening(self, tmp_path: Path) -> None:
        """What was added is in the file."""
        with EmbeddedIndex(tmp_path / "index") as index:
            index.add(PETS)
        with EmbeddedIndex(tmp_path / "index") as index:
            assert len(index) == 3
            assert sources(index, "purring cats")[0] == "cats.md#Purring"

    def test_a_refused_passage_takes_the_others_with_it(self, tmp_path: Path) -> None:
        """`add` stores all or nothing."""
        with EmbeddedIndex(tmp_path / "index") as index:
            with pytest.raises(NotSerialisable, match="half a character"):
                index.add([CATS, Passage("\ud800", "surrogate")])
            assert len(index) == 0
            index.add([CATS])
            assert len(index) == 1

    def test_a_closed_index_says_so(self) -> None:
        """Closing twice is fine, searching after it is not."""
        index = EmbeddedIndex()
        index.close()
        index.close()
        with pytest.raises(ResourceNotOpen, match="closed"):
            index.search("cats")

    @pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
    def test_a_broken_file_is_named(self, tmp_path: Path, content: bytes) -> None:
        """And left as it is, whether opened or to be built."""
        path = tmp_path / "index"
        path.write_bytes(content)
        with pytest.raises(StoreUnusable, match=r"index.*cannot be used"):
            EmbeddedIndex(path)
        with pytest.raises(StoreUnusable, match=r"index.*cannot be used"):
            EmbeddedIndex.build_or_open(path, "1", lambda: PETS)
        assert content == path.read_bytes()

    def test_damage_met_while_searching_is_named(self, tmp_path: Path) -> None:
        """The header may be whole and the rest not."""
        path = tmp_path / "index"
        with EmbeddedIndex(path) as index:
            index.add(Passage(f"cats {number} " + "purr " * 200, "x") for number in range(100))
        content = bytearray(path.read_bytes())
        content[4096 * 2 :] = b"\xff" * (len(content) - 4096 * 2)
        path.write_bytes(content)
        with (
            pytest.raises(StoreUnusable, match="delete the file and build it anew"),
            EmbeddedIndex(path) as index,
        ):
            index.search("cats purr")

    def test_another_programs_database_is_left_alone(self, tmp_path: Path) -> None:
        """A mistyped path must not cost anyone their data."""
        path = tmp_path / "accounts"
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE account (id)")
        other.close()
        before = path.read_bytes()
        with pytest.raises(StoreUnusable, match="no search index"):
            EmbeddedIndex(path)
        with pytest.raises(StoreUnusable, match="no search index"):
            EmbeddedIndex.build_or_open(path, "1", lambda: PETS)
        assert before == path.read_bytes()

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        """A folder that is a file holds no index."""
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreUnusable, match="Check"):
            EmbeddedIndex(tmp_path / "file" / "index")
        with pytest.raises(StoreUnusable, match="Check"):
            EmbeddedIndex.build_or_open(tmp_path / "file" / "index", "1", lambda: PETS)
        with pytest.raises(StoreUnusable, match="Check"):
            EmbeddedIndex.build_or_open(tmp_path, "1", lambda: PETS)

    def test_another_format_is_refused_or_replaced(self, tmp_path: Path) -> None:
        """Opening says so; `build_or_open` builds anew, since the file is ours."""
        path = tmp_path / "index"
        EmbeddedIndex.build_or_open(path, "1", lambda: PETS).close()
        future = sqlite3.connect(path)
        future.execute("PRAGMA user_version = 999")
        future.close()
        with pytest.raises(StoreUnusable, match="format 999"):
            EmbeddedIndex(path)
        with EmbeddedIndex.build_or_open(path, "1", lambda: PETS) as index:
            assert len(index) == 3

    def test_sqlite_without_fts5_is_explained(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """The message says what to do."""

        class WithoutFts5(sqlite3.Connection):
            def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                if "fts5" in sql:
                    raise sqlite3.OperationalError("no such module: fts5")
                return super().execute(sql, *arguments)

        monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=WithoutFts5))
        with pytest.raises(StoreUnusable, match="built without FTS5: use a Python"):
            EmbeddedIndex(tmp_path / "index")


class TestBuildOrOpen:
    def test_an_equal_fingerprint_opens(self, tmp_path: Path) -> None:
        """Without making the passages again."""
        path = tmp_path / "new" / "folder" / "index"
        EmbeddedIndex.build_or_open(path, "1", lambda: PETS).close()
        with EmbeddedIndex.build_or_open(path, "1", lambda: pytest.fail("built again")) as index:
            assert len(index) == 3

    def test_another_fingerprint_builds_anew(self, tmp_path: Path) -> None:
        """And nothing is left of what was there, nor beside it."""
        path = tmp_path / "index"
        EmbeddedIndex.build_or_open(path, "1", lambda: PETS).close()
        with EmbeddedIndex.build_or_open(path, "2", lambda: [MICE]) as index:
            assert len(index) == 1
        assert [path] == list(tmp_path.iterdir())

    def test_one_that_is_open_keeps_its_passages(self, tmp_path: Path) -> None:
        """A new index takes the path, not the file from under those who read it."""
        path = tmp_path / "index"
        with (
            EmbeddedIndex.build_or_open(path, "1", lambda: PETS) as old,
            EmbeddedIndex.build_or_open(path, "2", lambda: [MICE]) as new,
        ):
            assert (3, 1) == (len(old), len(new))

    def test_a_failed_build_changes_nothing(self, tmp_path: Path) -> None:
        """The error passes through, the old index stays, no temporary file is left."""
        path = tmp_path / "index"
        EmbeddedIndex.build_or_open(path, "1", lambda: PETS).close()

        def broken() -> Iterator[Passage]:
            yield MICE
            raise RuntimeError("no more")

        with pytest.raises(RuntimeError, match="no more"):
            EmbeddedIndex.build_or_open(path, "2", broken)
        with EmbeddedIndex.build_or_open(path, "1", lambda: pytest.fail("built again")) as index:
            assert len(index) == 3
        assert [path] == list(tmp_path.iterdir())

    def test_two_that_start_at_once_both_get_a_whole_index(self, tmp_path: Path) -> None:
        """They meet while both are building."""
        barrier = threading.Barrier(2, timeout=10)

        def passages() -> Iterator[Passage]:
            yield CATS
            barrier.wait()
            yield DOGS

        def build(_: int) -> int:
            with EmbeddedIndex.build_or_open(tmp_path / "index", "1", passages) as index:
                return len(index)

        with ThreadPoolExecutor(2) as pool:
            assert [2, 2] == list(pool.map(build, range(2)))

    def test_in_memory(self) -> None:
        """Every call builds its own."""
        with EmbeddedIndex.build_or_open(":memory:", "1", lambda: PETS) as index:
            assert len(index) == 3


class TestFolder:
    def test_markdown_is_cut_at_headings(self, tmp_path: Path) -> None:
        """A `#` in fenced code is no heading."""
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / "guide.md").write_text(
            "Preface.\n\n# Install\n\n```sh\n# not a heading\n\npip install it\n```\n\nUse\n---\n\nCall it.\n"
        )
        assert [
            Passage("Preface.", "docs/guide.md", "guide"),
            Passage(
                "```sh\n# not a heading\n\npip install it\n```", "docs/guide.md#Install", "guide: Install"
            ),
            Passage("Call it.", "docs/guide.md#Use", "guide: Use"),
        ] == list(folder_passages(tmp_path))

    def test_only_text_that_matches_is_read(self, tmp_path: Path) -> None:
        """Binary, undecodable, hidden and other files are skipped; a byte order mark is no text."""
        (tmp_path / "binary.txt").write_bytes(b"a\0b")
        (tmp_path / "latin.txt").write_bytes("für".encode("latin-1"))
        (tmp_path / "code.py").write_text("print()")
        (tmp_path / ".git").mkdir()
        (tmp_path / ".git" / "notes.txt").write_text("hidden")
        (tmp_path / "good.txt").write_text("für alle", encoding="utf-8-sig")
        assert [Passage("für alle", "good.txt", "good")] == list(folder_passages(tmp_path))
        assert ["code.py"] == [passage.source for passage in folder_passages(tmp_path, ["*.py"])]

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
    def test_a_file_name_need_not_be_unicode(self, tmp_path: Path) -> None:
        """Its passages can be indexed all the same."""
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).write_text("odd name")
        with EmbeddedIndex() as index:
            index.add(folder_passages(tmp_path))
            assert sources(index, "odd name") == ["\ufffd.txt"]

    def test_a_folder_that_is_not_there_is_refused_at_once(self, tmp_path: Path) -> None:
        """Not only when the first passage is asked for."""
        with pytest.raises(InvalidArgument, match="no folder"):
            folder_passages(tmp_path / "missing")

    def test_the_fingerprint_follows_the_documents(self, tmp_path: Path) -> None:
        """It changes with a document and with nothing else."""
        (tmp_path / "a.txt").write_text("one")
        first = folder_fingerprint(tmp_path)
        (tmp_path / "a.py").write_text("no document")
        assert first == folder_fingerprint(tmp_path)
        (tmp_path / "b.txt").write_text("two")
        assert first != folder_fingerprint(tmp_path)

    @given(st.lists(st.text("ab .\n`#", max_size=40)).map("".join), st.integers(1, 60))
    def test_chunks_fit_and_lose_only_whitespace(self, text: str, limit: int) -> None:
        """For any text and any limit."""
        found = chunks(text, limit=limit)
        assert all(0 < len(chunk) <= limit for chunk in found)
        assert "".join(text.split()) == "".join("".join(found).split())


class TestStandardLibrary:
    @pytest.mark.parametrize(
        ("question", "source"),
        [
            ("How do I remove common leading whitespace from text?", "textwrap.dedent"),
            ("How does the with statement work?", "python language reference: with"),
            ("What does functools.lru_cache do?", "functools.lru_cache"),
            ("How do I compare floating point numbers approximately?", "math.isclose"),
            ("How can I run a subprocess with a timeout?", "subprocess.run"),
            ("How to parse command line arguments?", "argparse.ArgumentParser"),
            ("What is the difference between shallow and deep copy?", "copy"),
            ("What is a context variable?", "contextvars.ContextVar.get"),
            ("How do I create a temporary directory?", "tempfile.TemporaryDirectory"),
            ("How do I sort a list?", "list.sort"),
            ("How do I group consecutive items by key?", "itertools.groupby"),
            ("How does the for loop work?", "python language reference: for"),
        ],
    )
    def test_questions_find_their_source(self, stdlib: EmbeddedIndex, question: str, source: str) -> None:
        """Within the first three."""
        assert source in sources(stdlib, question)

    def test_passages_fit(self, documentation: tuple[list[Passage], set[str]]) -> None:
        """Each is within the limit and says where it comes from; none comes from a test."""
        found, _ = documentation
        assert all(0 < len(passage.text) <= PASSAGE_LIMIT for passage in found)
        assert not [
            p.source for p in found if not p.source or p.source.startswith(("test.", "idlelib.", "_pyio"))
        ]
        assert len(found) > 3000

    def test_nothing_is_imported_to_be_read(self, documentation: tuple[list[Passage], set[str]]) -> None:
        """Importing `this` would print, `antigravity` would open a browser."""
        found, imported = documentation
        assert any(passage.source.startswith("turtle.") for passage in found)
        assert not {"turtle", "this", "antigravity", "tkinter"} & imported

    def test_without_the_language_reference_the_rest_is_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And the fingerprint differs, so that the index is built anew when it comes."""
        complete = stdlib_fingerprint()
        monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
        assert complete != stdlib_fingerprint()
        monkeypatch.setattr(
            corpora, "_parsed_docstrings", lambda: iter([("json.dumps", "Serialise an object.")])
        )
        found = [passage.source for passage in stdlib_passages()]
        assert "json.dumps" in found
        assert not [source for source in found if source.startswith("python language reference")]
