"""Cutting documents into passages, at the borders their authors drew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["PASSAGE_LIMIT", "chunks", "sections"]

PASSAGE_LIMIT: Final = 1200
"""Characters in a passage at most: a screenful, two or three paragraphs."""

_ATX_HEADING: Final = re.compile(r"#{1,6}\s+(.+?)\s*#*\s*$")
_UNDERLINE: Final = re.compile(r"([=\-~*^#])\1{2,}\s*$")
_FENCE: Final = re.compile(r"\s*(```|~~~)")


def sections(text: str, *, markdown: bool = False) -> list[tuple[str, str]]:
    """A document as (heading, body) pairs; what stands before the first heading has the heading `""`.

    A heading is a line underlined with punctuation at least as long as itself (reStructuredText, plain text,
    Markdown's setext) and, where `markdown` is true, a line that starts with `#`. Fenced code has none.

    >>> sections("# One\\nfirst\\n## Two\\nsecond", markdown=True)
    [('One', 'first'), ('Two', 'second')]
    """
    found: list[tuple[str, list[str]]] = [("", [])]
    fenced = False
    for line in text.splitlines():
        body = found[-1][1]
        if _FENCE.match(line):
            fenced = not fenced
        atx = _ATX_HEADING.match(line) if markdown and not fenced else None
        if atx is not None:
            found.append((atx[1], []))
        elif not fenced and _underlines(line, body):
            title = body.pop().strip()
            if body and _UNDERLINE.match(body[-1]):
                body.pop()  # reStructuredText may draw a line above its title too
            found.append((title, []))
        else:
            body.append(line)
    joined = [(heading, "\n".join(body).strip("\n")) for heading, body in found]
    return [(heading, body) for heading, body in joined if body.strip()]


def _underlines(line: str, body: list[str]) -> bool:
    """Whether `line` makes a heading of the line before it. Its length tells it from a horizontal rule and
    from the end of YAML front matter."""
    if not body or not _UNDERLINE.match(line) or _UNDERLINE.match(body[-1]):
        return False
    title = body[-1].rstrip()
    alone = len(body) == 1 or not body[-2].strip() or _UNDERLINE.match(body[-2]) is not None
    return alone and title != "" and not title[0].isspace() and len(line.rstrip()) >= len(title)


def chunks(text: str, *, limit: int = PASSAGE_LIMIT) -> list[str]:
    """A text in pieces of at most `limit` characters, cut between paragraphs where that is possible, else
    between lines, else between words, else anywhere. Only whitespace at the cuts is lost.

    >>> chunks("one\\n\\ntwo\\n\\nthree", limit=9)
    ['one\\n\\ntwo', 'three']
    """
    pieces = [piece for paragraph in _paragraphs(text) for piece in _fitting(paragraph, limit)]
    packed: list[str] = []
    for piece in pieces:
        if packed and len(packed[-1]) + 2 + len(piece) <= limit:
            packed[-1] = f"{packed[-1]}\n\n{piece}"
        else:
            packed.append(piece)
    return packed


def _paragraphs(text: str) -> Iterator[str]:
    """Runs of lines between blank ones; fenced code counts as one, or its tail would be taken for prose."""
    lines: list[str] = []
    fenced = False
    for line in text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        if line.strip() or fenced:
            lines.append(line.rstrip())
        elif lines:
            yield "\n".join(lines)
            lines = []
    if any(line.strip() for line in lines):
        yield "\n".join(lines)


def _fitting(paragraph: str, limit: int) -> Iterator[str]:
    start = 0
    while len(paragraph) - start > limit:
        stop = start + limit
        cut = paragraph.rfind("\n", start + 1, stop + 1)
        if cut < 0:
            cut = paragraph.rfind(" ", start + 1, stop + 1)
        piece = paragraph[start : cut if cut > 0 else stop].rstrip()
        if piece:
            yield piece
        start = cut + 1 if cut > 0 else stop
    if paragraph[start:].strip():
        yield paragraph[start:]
