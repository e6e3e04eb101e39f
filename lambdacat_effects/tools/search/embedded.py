"""Full-text search inside the process: no key, no network, one file.

SQLite's FTS5 does the finding (Porter stemming, BM25); questions are taken as plain words, so nothing in them
is ever read as FTS5 syntax.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Set
from contextlib import contextmanager
from itertools import pairwise
from math import log
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lambdacat_effects.errors import InvalidArgument, NotSerialisable, ResourceNotOpen
from lambdacat_effects.tools.search.index_file import (
    MEMORY,
    failures_named,
    fingerprint_of,
    open_index,
    replacing,
    transaction,
)
from lambdacat_effects.tools.search.passage import Passage
from lambdacat_effects.tools.search.terms import Term, light_stem, question_terms, words

__all__ = ["EmbeddedIndex"]

_TITLE_WEIGHT: Final = 3.0
_OPENING_WEIGHT: Final = 2.0  # on top of the 1.0 that the opening has as part of the text
_CANDIDATES: Final = 200  # how many of BM25's best are ranked again by the share of the question they match

_BEST: Final = f"""
    SELECT rowid, text, source, title, -bm25(passages, {_TITLE_WEIGHT}, {_OPENING_WEIGHT}, 1.0) AS score
    FROM passages WHERE passages MATCH :match ORDER BY score DESC, rowid LIMIT :count
"""


class EmbeddedIndex:
    """A full-text index of passages in one SQLite file, or in memory by default.

    Safe to use from any thread; one search runs at a time. Close it, or use it as a context manager. Raises
    `StoreUnusable` when the file cannot be opened, read or written, or is no such index, and when SQLite was
    built without FTS5; `ResourceNotOpen` after `close`.

    The score is BM25 (Robertson and Zaragoza, 2009, as in SQLite's `bm25()`), with title words counting three
    times and neighbours of the question scored as phrases too (the sequential dependence model of Metzler
    and Croft, 2005), times the share of the question's words, weighted by rarity, that the passage
    has, times up to two for a title that says what the question says.

    >>> with EmbeddedIndex() as index:
    ...     index.add([Passage("Remove common leading whitespace.", "textwrap.dedent")])
    ...     [found.source for found in index.search("How do I remove leading whitespaces?")]
    ['textwrap.dedent']
    """

    def __init__(self, path: str | os.PathLike[str] = MEMORY) -> None:
        self._path = os.fspath(path)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = open_index(self._path)

    @classmethod
    def build_or_open(
        cls, path: str | os.PathLike[str], fingerprint: str, make_passages: Callable[[], Iterable[Passage]]
    ) -> Self:
        """The index at `path` if it was built with this fingerprint, else a new one that takes its place.

        The new index is built beside `path` and renamed when it is complete: of two processes that start at
        once, both build, and neither ever sees half an index. A file at `path` that is no index is left
        alone (`StoreUnusable`); missing folders are made. What `make_passages` raises passes through, and
        then nothing has changed.
        """
        if os.fspath(path) == MEMORY:
            index = cls()
            index.add(make_passages())
            return index
        if fingerprint_of(os.fspath(path)) != fingerprint:
            with replacing(Path(path), fingerprint) as temporary, cls(temporary) as index:
                index.add(make_passages())
        return cls(path)

    def add(self, passages: Iterable[Passage]) -> None:
        """Store passages: all of them, or none if this raises. Their scores are not stored. Raises
        `NotSerialisable` for text that is not valid Unicode (a lone surrogate)."""
        rows = [
            (" ".join(words(p.title or p.source)), _opening(p.text), p.text, p.title, p.source)
            for p in passages
        ]
        with self._open() as connection, transaction(connection):
            try:
                connection.executemany("INSERT INTO passages VALUES (?, ?, ?, ?, ?)", rows)
            except UnicodeEncodeError as error:
                raise NotSerialisable(
                    f"a passage holds {error.object[error.start : error.end]!r}, which is half a character: "
                    "decode its document anew, with errors='replace' if need be"
                ) from error

    def search(self, query: str, limit: int = 5) -> list[Passage]:
        """The passages that fit a question best, best first, at most `limit`.

        Any string will do; one without a word worth searching for (empty, or "what is it?") finds nothing.
        Raises `InvalidArgument` if `limit` is less than one.
        """
        if limit < 1:
            raise InvalidArgument(
                f"limit={limit}: a search returns at least one passage, so ask for 1 or more"
            )
        terms = question_terms(query)
        if not terms:
            return []
        with self._open() as connection:
            found = connection.execute(
                _BEST,
                {"match": _any_of(terms), "count": max(_CANDIDATES, limit)},
            ).fetchall()
            shares = _matched_shares(connection, terms, [row[0] for row in found])
        asked = {light_stem(term.word) for term in terms}
        scored = [
            Passage(text, source, title, score * shares[rowid] * (1 + _likeness(asked, title or source)))
            for rowid, text, source, title, score in found
        ]
        return sorted(scored, key=lambda passage: -passage.score)[:limit]

    def close(self) -> None:
        """Release the file. Closing twice does nothing."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __len__(self) -> int:
        with self._open() as connection:
            (count,) = connection.execute("SELECT count(*) FROM passages").fetchone()
        return int(count)

    def __bool__(self) -> bool:
        # An index is there even when it is empty; `if index:` must not ask the database.
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection, None, None]:
        with self._lock, failures_named(self._path):
            if self._connection is None:
                raise ResourceNotOpen(f"the index {self._path!r} is closed: open it again, or close it later")
            yield self._connection


def _opening(text: str) -> str:
    """The first sentence, or at most 200 characters: where a docstring or a section says what it is about."""
    paragraph = text.strip().partition("\n\n")[0][:200]
    return re.split(r"(?<=[.!?])\s", paragraph, maxsplit=1)[0]


def _likeness(asked: Set[str], title: str) -> float:
    """How nearly a title consists of the question's words and they of its, from 0 to 1: the square of the
    cosine of their sets. It puts `list.sort` first for "how do I sort a list?"."""
    stems = {light_stem(word) for word in words(title)}
    return len(asked & stems) ** 2 / (len(asked) * len(stems)) if stems else 0.0


def _any_of(terms: list[Term]) -> str:
    """The FTS5 query for passages with any of the words, or any two neighbours as a phrase. Every word stands
    in quotes and holds letters and digits alone, so FTS5 sees no operator of its own."""
    singles = [_match(term) for term in terms]
    phrases = [f'{_columns(first, second)}"{first.word} {second.word}"' for first, second in pairwise(terms)]
    return " OR ".join(singles + phrases)


def _match(term: Term) -> str:
    return " OR ".join(f'{_columns(term)}"{word}"' for word in (term.word, *term.synonyms))


def _columns(*terms: Term) -> str:
    return "title_words : " if any(term.only_in_title for term in terms) else ""


def _matched_shares(connection: sqlite3.Connection, terms: list[Term], rowids: list[int]) -> dict[int, float]:
    """For each passage, the share of the question's words that it has, each weighted by its rarity (idf).

    BM25 alone lets a short passage that has one rare word pass one that has them all.
    """
    (total,) = connection.execute("SELECT count(*) FROM passages").fetchone()
    shares = dict.fromkeys(rowids, 0.0)
    weights = 0.0
    for term in terms:
        rows = connection.execute("SELECT rowid FROM passages WHERE passages MATCH ?", (_match(term),))
        having = {rowid for (rowid,) in rows}
        weight = log(1 + total / (1 + len(having)))
        weights += weight
        for rowid in having & shares.keys():
            shares[rowid] += weight
    return {rowid: share / weights for rowid, share in shares.items()}
