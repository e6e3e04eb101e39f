"""A summary says only what its passages say, and says who says it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.tools.search import Passage
from lambdacat_effects.tools.search.sentences import prose_sentences
from lambdacat_effects.tools.summarise import CitedSentence, extractive_summary

CATS = Passage(
    "Cats purr when they are content. Nobody knows the mechanism in full detail. They also purr when ill.",
    "cats.md#Purring",
    "Purring cats",
    score=3.0,
)
DOGS = Passage(
    "Dogs bark at strangers in the street. They are said to be loyal.", "dogs.md", "Dogs", score=1.0
)

fragments = st.sampled_from(
    [
        *(
            "Cats purr.",
            "Why do cats purr loudly at night?",
            "See cats.",
            "e.g. cats",
            "purr = cats()",
            ">>> purr",
        ),
        *(
            "- Cats are animals that purr.",
            "``cats``  and\tdogs purr together.",
            "::",
            "```",
            "\n",
            "\n\n",
            "   ",
        ),
        *(
            "cats: those who purr all day long",
            "1. Purr like a cat does.",
            "| a | b |",
            "=====",
            "class cats.",
            "\ufeff",
        ),
    ]
)
documents = st.lists(fragments | st.text(max_size=10)).map(" ".join) | st.lists(fragments).map("\n".join)


def normalised(text: str) -> str:
    return " ".join(text.split())


class TestSummary:
    def test_the_sentence_that_answers_comes_first(self) -> None:
        """With its source."""
        best = extractive_summary("When do cats purr?", [DOGS, CATS])[0]
        assert ("Cats purr when they are content.", "cats.md#Purring") == (best.text, best.source)

    def test_relevance_falls(self) -> None:
        """And stays within 0 and 1."""
        scores = [sentence.score for sentence in extractive_summary("When do cats purr?", [CATS, DOGS])]
        assert sorted(scores, reverse=True) == scores
        assert all(0 < score <= 1 for score in scores)

    def test_what_is_beside_the_question_is_left_out(self) -> None:
        """Rather a short answer than a padded one."""
        assert "dogs.md" not in {
            found.source for found in extractive_summary("When do cats purr?", [CATS, DOGS])
        }

    @pytest.mark.parametrize("question", ["", "What is it?", "Which quasar is the brightest?"])
    def test_no_answer_is_better_than_a_made_up_one(self, question: str) -> None:
        """A question that no sentence has to do with has no answer here."""
        assert extractive_summary(question, [CATS, DOGS]) == []
        assert extractive_summary(question, []) == []

    def test_nothing_is_said_twice(self) -> None:
        """Two sources may say the same."""
        copy = Passage(CATS.text, "copy.md", CATS.title, CATS.score)
        texts = [found.text for found in extractive_summary("When do cats purr?", [CATS, copy])]
        assert sorted(set(texts)) == sorted(texts)

    def test_something_new_is_preferred(self) -> None:
        """Maximal Marginal Relevance: of two sentences as relevant, the one unlike what has been said."""
        says = [
            "Cats purr when they are content.",
            "Cats purr when they are quite content.",
            "Cats purr to heal bones.",
        ]
        found = extractive_summary("When do cats purr?", [Passage(text, text) for text in says], 2)
        assert {says[0], says[2]} == {sentence.text for sentence in found}

    def test_a_better_passage_is_believed_first(self) -> None:
        """Of equal sentences, the one from the passage with the higher score."""
        low = Passage("Cats purr at night, it is said.", "low.md", score=1.0)
        high = Passage("Cats purr at noon, it is said.", "high.md", score=2.0)
        assert extractive_summary("When do cats purr?", [low, high], 1)[0].source == "high.md"

    def test_passages_without_scores_count_alike(self) -> None:
        """They need not come from a search."""
        found = extractive_summary("Who barks?", [Passage("The dogs bark at strangers.", "dogs")])
        assert [CitedSentence("The dogs bark at strangers.", "dogs", 1.0)] == found

    def test_fewer_than_one_sentence_is_refused(self) -> None:
        """A summary says something."""
        with pytest.raises(InvalidArgument, match="sentences=0"):
            extractive_summary("Why?", [CATS], sentences=0)

    @given(st.text() | documents, st.lists(documents, max_size=4), st.integers(1, 5))
    def test_every_sentence_is_verbatim(self, question: str, texts: list[str], count: int) -> None:
        """For any question and any documents; and the same arguments give the same answer."""
        passages = [Passage(text, str(number), score=float(number)) for number, text in enumerate(texts)]
        found = extractive_summary(question, passages, count)
        assert len(found) <= count
        for sentence in found:
            assert sentence.text in normalised(texts[int(sentence.source)])
        assert found == extractive_summary(question, passages, count)


class TestSentences:
    def test_abbreviations_end_no_sentence(self) -> None:
        """Nor do initials and dotted names."""
        text = "Use it, e.g. with J. Smith et al. in os.path cases. It works, i.e. Returns at once."
        assert prose_sentences(text) == [
            "Use it, e.g. with J. Smith et al. in os.path cases.",
            "It works, i.e. Returns at once.",
        ]

    def test_code_is_left_out(self) -> None:
        """Doctests with their output, fenced and indented code, grammar, signatures."""
        text = """
Return the sum of two numbers, as anyone would.

>>> add(1, 2)
This is output and not prose.

```python
This is fenced and not prose either.
```

    total = add(1, 2)
    import math

with_stmt ::= "with" item ":" suite and some more words
add(a, b) -> the sum of both numbers
"""
        assert prose_sentences(text) == ["Return the sum of two numbers, as anyone would."]

    def test_prose_that_looks_like_code_stays(self) -> None:
        """A line may begin with a keyword by chance."""
        text = (
            "Only for compound objects (like lists or\nclass instances) and for\nwhile nothing else matters."
        )
        assert prose_sentences(text) == [normalised(text)]

    def test_a_sentence_broken_by_code_is_left_out(self) -> None:
        """Half a sentence may say the opposite of the whole."""
        assert prose_sentences(
            "Never write the following statement\nx = 1\nwithout having asked. It fails badly here."
        ) == ["It fails badly here."]

    def test_items_of_a_list_are_apart(self) -> None:
        """Their marks are left out."""
        assert prose_sentences(
            "- first item has five words\n  and goes on here\n- second item has words too\n"
        ) == [
            "first item has five words and goes on here",
            "second item has words too",
        ]

    def test_fragments_announcements_and_pointers_are_left_out(self) -> None:
        """They say nothing by themselves."""
        assert (
            prose_sentences("Deprecated.\n\nThe following code does it:\n\nSee also the section on cats.")
            == []
        )

    def test_markup_stays(self) -> None:
        """Only whitespace changes."""
        assert prose_sentences("Use ``dedent``  to *remove*\nmargins [1]_.") == [
            "Use ``dedent`` to *remove* margins [1]_."
        ]
