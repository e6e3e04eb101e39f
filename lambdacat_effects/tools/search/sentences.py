"""The sentences of technical prose, with everything that is not prose left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

__all__ = ["prose_sentences"]

_SHORTEST_SENTENCE: Final = 4
_SHORTEST_LINE: Final = 5
"""Words at least, with and without a full stop: less is a heading, a label, or a cell of a table."""

_ABBREVIATIONS: Final = re.compile(
    r"(?:al|approx|cf|ch|dr|e\.g|eq|etc|fig|i\.e|mr|mrs|ms|no|nos|pp?|prof|sec|st|viz|vs|[a-z])\.",
    re.IGNORECASE,
)  # a single letter is an initial ("J. Smith")
_BORDER: Final = re.compile(r"""(?<=[.!?])(?P<closing>["'”’)\]*`]*)\s+(?=[^a-z\s])""")
_LIST_ITEM: Final = re.compile(r"\s*(?:[-*+•–]|\(?(?:\d{1,2}|[a-z])[.)]|#\.)\s+")
_FIELD: Final = re.compile(r"\s*(?:[:@]\w+[^:]*:|\*{0,2}\w+\*{0,2}(?:\s?\([^)]*\))?\s*(?::|--|—))\s")
_FENCE: Final = re.compile(r"\s*(?:```|~~~)")
_TABLE: Final = re.compile(r"\s*(?:\||\+[-=]|[-=~*^#_]{3,}\s*$|=+\s+=|.*\w\s{3,}\S)")
_CODE: Final = re.compile(
    r"""
      ^\s*(?:>>>|\.\.\s|\.\.\.|\$\s|%\s|\#)              # a prompt, a directive, a comment
    | ::=|:=|\s->\s|^\s*@\w                              # grammar, a signature, a decorator
    | ^\s*[\w.\[\]'"]+(?:,\s*[\w.]+)*\s*[-+*/|&]?=\s*\S  # an assignment
    | ^\s*[\w.]+\([^)]*\)?:?\s*(?:[\#=].*)?$             # a call and nothing else
    | ^\s*(?:async\s+)?(?:def|class)\s+\w+\s*[(:]
    | ^\s*(?:from\s+[\w.]+\s+)?import\s+[\w.]+(?:\s+as\s+\w+|,\s*\w+)*\s*$
    | ^\s*(?:if|elif|else|for|while|with|try|except|finally)\b[^.]*:\s*(?:\#.*)?$
    | ^\s*(?:return|yield|raise|await)\s+(?:from\s+)?[\w.]*[(\[<]
    | ^\s*[\])}]+[,;]?\s*$ | [;{]\s*$                    # what closes a bracket, what opens a block
    """,
    re.VERBOSE,
)
_POINTER: Final = re.compile(r"\(?See\b|For (?:full|further|more)\b")
_WORD: Final = re.compile(r"[^\W\d_]+")


@frozen
class _Block:
    lines: list[str]
    begins_cut: bool
    """True right after something left out: the block may begin in the middle of a sentence."""
    ends_cut: bool


def prose_sentences(text: str) -> list[str]:
    """The sentences of a docstring or a Markdown, reStructuredText or plain document, in order.

    Each is verbatim but for whitespace, which becomes single spaces. Code, doctests, grammar, tables and
    headings are left out, and so are fragments of a few words, and sentences that only announce code ("For
    example:") or point elsewhere ("See also ...").

    >>> prose_sentences("Remove margins, e.g. tabs, from text. Keep the rest of it.\\n\\n    >>> dedent(x)")
    ['Remove margins, e.g. tabs, from text.', 'Keep the rest of it.']
    """
    return [sentence for block in _blocks(text) for sentence in _whole(block) if _is_readable(sentence)]


def _blocks(text: str) -> Iterator[_Block]:
    """Runs of prose lines that belong together: a paragraph, an item of a list, the account of a parameter."""
    lines: list[str] = []
    indentation: int | None = 0
    cut = False
    for line in _prose_lines(text):
        depth = len(line or "") - len((line or "").lstrip())
        item = _LIST_ITEM.match(line or "")
        starts = item is not None or _FIELD.match(line or "") is not None
        # Lines of a paragraph stand at one depth; those of an item at any one depth below its first.
        if lines and (not line or starts or (indentation is not None and depth != indentation)):
            yield _Block(lines, cut, ends_cut=line is None)
            lines, cut = [], False
        if line:
            indentation = None if starts else depth
            lines.append(" ".join(line[item.end() if item else 0 :].split()))
        elif line is None:
            cut = True  # and stays so over empty lines: code is often set off by them
    if lines:
        yield _Block(lines, cut, ends_cut=False)


def _prose_lines(text: str) -> Iterator[str | None]:
    """The lines of a text: "" for an empty one, None for one that is no prose."""
    fenced = False
    example = False  # inside a doctest, whose output looks like anything and ends at an empty line
    for line in text.expandtabs().splitlines():
        if _FENCE.match(line):
            fenced = not fenced
            yield ""
            continue
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if not line.strip():
            yield ""
        elif fenced or example or _TABLE.match(line) or _CODE.search(line):
            yield None
        else:
            yield line


def _whole(block: _Block) -> list[str]:
    """The sentences of a block, less those of which a part may have been left out."""
    found = list(_split(" ".join(block.lines)))
    if block.ends_cut and not _is_complete(found[-1]):
        found.pop()
    if block.begins_cut and found and found[0][0].islower():
        found.pop(0)
    return found


def _split(block: str) -> Iterator[str]:
    start = 0
    for border in _BORDER.finditer(block):
        if not _ends_in_abbreviation(block[start : border.start()]):
            yield block[start : border.end("closing")]
            start = border.end()
    yield block[start:]


def _ends_in_abbreviation(sentence: str) -> bool:
    return _ABBREVIATIONS.fullmatch(sentence.rpartition(" ")[2].lstrip("([\"'")) is not None


def _is_complete(sentence: str) -> bool:
    return sentence.rstrip("\"'”’)]*`").endswith((".", "!", "?"))


def _is_readable(sentence: str) -> bool:
    words = _WORD.findall(sentence)
    shortest = _SHORTEST_SENTENCE if _is_complete(sentence) else _SHORTEST_LINE
    if len(words) < shortest or sentence.endswith((":", ",", ";", "(")) or _POINTER.match(sentence):
        return False
    # In prose most characters stand in words; in code, and in tables of numbers, they do not.
    return sum(map(len, words)) >= 0.6 * len(sentence.replace(" ", ""))
