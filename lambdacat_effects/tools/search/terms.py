"""The words of a question that are worth searching for."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

__all__ = ["STOP_WORDS", "Term", "light_stem", "question_terms", "words"]

_WORD: Final = re.compile(r"[^\W_]+")
_CAMEL_BORDER: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ARTICLES: Final = frozenset({"a", "an", "the"})

_STOP_WORDS: Final = """
    a about above after again all also am an and any are aren as at be because been before being below both
    but by can cannot could couldn d did didn do does doesn doing don done during each either else ever for
    from get gets had hadn has hasn have haven having he her here hers him his how i if in into is isn it its
    itself just let ll m may me might mine must my no nor not of off on once only or our ours out over own
    please re s shall she should shouldn so some such t than that the their theirs them then there these they
    this those through to too under until up us use used using ve very want was wasn we were weren what when
    where whether which while who whom whose why will with won work works would wouldn you your yours
"""

_SAME_MEANING: Final = """
    approximately close nearly roughly
    argument parameter
    asynchronous async
    character char
    compare comparison equal
    concatenate join
    copy duplicate
    delay sleep
    dictionary dict
    directory folder
    error exception
    execute run
    integer int
    remove delete strip
    serialize serialise
    string str
"""

STOP_WORDS: Final = frozenset(_STOP_WORDS.split())
"""English function words, and the few verbs with which people wrap a question ("how can I use ...")."""


@frozen
class Term:
    """One word to search for, and the others that would do."""

    word: str
    """The word in lower case."""
    only_in_title: bool = False
    """True for a function word that is *named* ("the with statement"): it tells nothing in running text,
    where it is everywhere, but very much in a title."""
    synonyms: tuple[str, ...] = ()
    """Words that documents use where people who ask use this one."""


def words(text: str) -> list[str]:
    """The words of a text in lower case and in order; `lru_cache` gives two, `ContextVar` gives three: itself
    and its parts, since people ask for "a context variable" and for `ContextVar`.

    >>> words("functools.lru_cache, ContextVar")
    ['functools', 'lru', 'cache', 'contextvar', 'context', 'var']
    """
    found: list[str] = []
    for match in _WORD.findall(text):
        found.append(match.lower())
        parts = _CAMEL_BORDER.split(match)
        if len(parts) > 1:
            found.extend(part.lower() for part in parts)
    return found


def question_terms(question: str, *, limit: int = 32) -> list[Term]:
    """The distinct words of a question worth searching for, in order, at most `limit`.

    Function words are dropped, except where an article and a content word enclose one: no sentence puts
    "the with ..." together unless it speaks *about* "with".

    >>> [term.word for term in question_terms("How does the with statement work?")]
    ['with', 'statement']
    >>> question_terms("What is it?")
    []
    """
    plain = words(question)
    terms: dict[str, Term] = {}
    for index, word in enumerate(plain):
        if word not in STOP_WORDS:
            terms[word] = Term(word, synonyms=_SYNONYMS.get(light_stem(word), ()))
        elif word not in terms and _is_named(plain, index):
            terms[word] = Term(word, only_in_title=True)
    return list(terms.values())[:limit]


def _is_named(plain: list[str], index: int) -> bool:
    return (
        0 < index < len(plain) - 1
        and plain[index - 1] in _ARTICLES
        and plain[index] not in _ARTICLES
        and plain[index + 1] not in STOP_WORDS
    )


def light_stem(word: str) -> str:
    """A lower-case word without its commonest English endings, so that "parsing" meets "parse".

    A shortened Porter (1980): plurals, -ed, -ing, -ly, a final e or y, and the doubled consonant they leave.
    Only good for comparing, since the result need not be a word.

    >>> [light_stem(word) for word in ("parsing", "parses", "running", "copies", "process")]
    ['pars', 'pars', 'run', 'cop', 'process']
    """
    stem = word
    if stem.endswith("ies") and len(stem) > 4:
        stem = stem[:-2]
    elif stem.endswith("s") and not stem.endswith(("ss", "us", "is")) and len(stem) > 3:
        stem = stem[:-1]
    for ending in ("ing", "ed", "ly"):
        if stem.endswith(ending) and len(stem) - len(ending) >= 3:
            stem = stem[: -len(ending)]
            if stem[-1] == stem[-2] and stem[-1] not in "lsz":
                stem = stem[:-1]
            break
    return stem.rstrip("eiy") if len(stem) > 3 else stem


def _synonyms() -> dict[str, tuple[str, ...]]:
    """The thesaurus by stem. It is short on purpose: each synonym brings in passages on other matters too."""
    groups = [line.split() for line in _SAME_MEANING.strip().splitlines()]
    return {
        light_stem(word): tuple(other for other in group if other != word)
        for group in groups
        for word in group
    }


_SYNONYMS: Final = _synonyms()
