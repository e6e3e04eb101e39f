"""Answers put together from sentences of the passages found. No model: nothing in them is invented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from math import log, sqrt
from typing import Final

from attrs import frozen

from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.tools.search.passage import Passage
from lambdacat_effects.tools.search.sentences import prose_sentences
from lambdacat_effects.tools.search.terms import STOP_WORDS, light_stem, question_terms, words

__all__ = ["CitedSentence", "extractive_summary"]

_RELEVANCE_AGAINST_NOVELTY: Final = 0.7  # Carbonell and Goldstein's lambda
_WORTH_SAYING: Final = 0.35  # of the best sentence's relevance; a short answer beats a padded one
_FROM_TITLE: Final = (
    0.6  # what a word counts that the sentence leaves to its title ("Return a shallow copy.")
)
_ORDER: Final = 0.25  # how much of the relevance depends on standing early in the passage


@frozen
class CitedSentence:
    """A sentence of an answer, and where it comes from."""

    text: str
    """Verbatim from its passage, but for whitespace."""
    source: str
    """The passage's source."""
    score: float
    """Its relevance to the question, from 0 to 1; comparable only within one summary."""


@frozen
class _Candidate:
    sentence: CitedSentence
    vector: Mapping[str, float]
    """TF-IDF weights by stem, of length one."""


def extractive_summary(question: str, passages: Sequence[Passage], sentences: int = 4) -> list[CitedSentence]:
    """The sentences of the passages that answer the question best, in descending relevance.

    At most `sentences`; fewer if no others are relevant, none if no sentence has to do with the question.
    The same arguments give the same answer. Raises `InvalidArgument` if `sentences` is less than one.

    A sentence's relevance is the share of the question's words that it has, weighted by their rarity among
    the sentences at hand (idf), times the passage's score relative to the best (where no passage has a score,
    all count alike), with a part for standing early in its passage (Edmundson, "New Methods in Automatic
    Extracting", 1969). Among relevant sentences, Maximal Marginal Relevance (Carbonell and Goldstein, 1998)
    prefers those unlike the ones already chosen.

    >>> [found.text for found in extractive_summary("How do I copy a list?", [
    ...     Passage("Return a shallow copy of the list. Raises no error at all, ever.", "list.copy"),
    ... ], sentences=1)]
    ['Return a shallow copy of the list.']
    """
    if sentences < 1:
        raise InvalidArgument(
            f"sentences={sentences}: a summary has at least one sentence, so ask for 1 or more"
        )
    candidates = _candidates(question, passages)
    if not candidates:
        return []
    threshold = _WORTH_SAYING * max(candidate.sentence.score for candidate in candidates)
    relevant = [candidate for candidate in candidates if candidate.sentence.score >= threshold]
    chosen = _unlike_each_other(relevant, sentences)
    return sorted((candidate.sentence for candidate in chosen), key=lambda sentence: -sentence.score)


def _candidates(question: str, passages: Sequence[Passage]) -> list[_Candidate]:
    """Every sentence that shares a word with the question, itself or through its title, with its relevance."""
    terms = question_terms(question)
    asked = [{light_stem(word) for word in (term.word, *term.synonyms)} for term in terms]
    ignored = STOP_WORDS - {term.word for term in terms}
    found = [
        (passage, position, sentence, _stems(sentence, ignored))
        for passage in passages
        for position, sentence in enumerate(prose_sentences(passage.text))
    ]
    rarity = _inverse_document_frequencies([stems for *_, stems in found])
    best = max((passage.score for passage in passages), default=0.0)
    candidates: list[_Candidate] = []
    for passage, position, sentence, stems in found:
        title = _stems(passage.title or passage.source, ignored)
        standing = max(passage.score, 0.0) / best if best > 0 else 1.0
        order = 1 - _ORDER + _ORDER / (1 + position)
        relevance = _overlap(asked, stems.keys(), title.keys(), rarity) * standing * order
        if relevance > 0:
            cited = CitedSentence(sentence, passage.source, relevance)
            candidates.append(_Candidate(cited, _unit_vector(stems, rarity)))
    return candidates


def _stems(text: str, ignored: Set[str]) -> Counter[str]:
    return Counter(light_stem(word) for word in words(text) if word not in ignored)


def _inverse_document_frequencies(sentences: Sequence[Mapping[str, int]]) -> dict[str, float]:
    having = Counter(stem for stems in sentences for stem in stems)
    return {stem: log(1 + len(sentences) / count) for stem, count in having.items()}


def _overlap(
    asked: Sequence[Set[str]], sentence: Set[str], title: Set[str], rarity: Mapping[str, float]
) -> float:
    """The share of the question's words that a sentence has, weighted by rarity: from 0 to 1. Each word asked
    for comes as the stems that would do. A word that no sentence has is left out, as it tells none apart."""
    had = total = 0.0
    for stems in asked:
        weight = max((rarity[stem] for stem in stems if stem in rarity), default=0.0)
        total += weight
        had += weight * (1.0 if stems & sentence else _FROM_TITLE if stems & title else 0.0)
    return had / total if total else 0.0


def _unit_vector(stems: Mapping[str, int], rarity: Mapping[str, float]) -> dict[str, float]:
    weights = {stem: count * rarity[stem] for stem, count in stems.items()}
    length = sqrt(sum(weight * weight for weight in weights.values()))
    return {stem: weight / length for stem, weight in weights.items()}


def _unlike_each_other(candidates: Sequence[_Candidate], count: int) -> list[_Candidate]:
    """Maximal Marginal Relevance: take, again and again, the sentence with the best balance of relevance and
    distance from the nearest one taken. Of equals, the first."""
    best = max(candidate.sentence.score for candidate in candidates)
    nearest = [0.0] * len(candidates)  # each candidate's likeness to the chosen sentence most like it
    left = list(range(len(candidates)))
    chosen: list[_Candidate] = []
    while left and len(chosen) < count:
        gains = {
            index: _RELEVANCE_AGAINST_NOVELTY * candidates[index].sentence.score / best
            - (1 - _RELEVANCE_AGAINST_NOVELTY) * nearest[index]
            for index in left
        }
        taken = max(left, key=gains.__getitem__)
        chosen.append(candidates[taken])
        left = [index for index in left if candidates[index].sentence.text != candidates[taken].sentence.text]
        for index in left:
            nearest[index] = max(nearest[index], _cosine(candidates[index].vector, candidates[taken].vector))
    return chosen


def _cosine(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    return sum(weight * second.get(stem, 0.0) for stem, weight in first.items())
