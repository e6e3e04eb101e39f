"""A passage: the unit that a search finds and an answer cites."""

from __future__ import annotations

from attrs import frozen

__all__ = ["Passage"]


@frozen
class Passage:
    """A piece of text small enough to read at a glance, and where it comes from.

    >>> Passage("Remove any common leading whitespace.", source="textwrap.dedent").score
    0.0
    """

    text: str
    """The text itself, verbatim from its document."""
    source: str
    """What to cite: `textwrap.dedent`, or `docs/guide.md#Installing`."""
    title: str = ""
    """What the passage is about; a word found here weighs more than one found in the text."""
    score: float = 0.0
    """How well it fits the question it was found for. Higher is better, without a unit, and comparable only
    within one search. Zero for a passage that no search has found."""
