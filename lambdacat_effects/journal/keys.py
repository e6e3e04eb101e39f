"""Where in a store the parts of journals lie."""

from __future__ import annotations

from lambdacat_effects.journal.records import Header, Place, place_text

__all__ = ["entries_of", "entries_of_all", "entry_key", "question_key", "questions_of"]


def entries_of(header: Header) -> str:
    """The prefix of the keys of a run's records."""
    return f"{entries_of_all(header)}{header.generation:x}."


def entries_of_all(header: Header) -> str:
    """The prefix of the keys of the records of all its generations."""
    return f"{header.number:x}."


def entry_key(prefix: str, number: int) -> str:
    """The key of record `number`: keys are in the order of numbers, which have 8 hexadecimal digits."""
    return f"{prefix}{number:08x}"


def questions_of(run_id: str) -> str:
    """The prefix of the keys of a run's questions and answers."""
    return f"{run_id}\0"


def question_key(run_id: str, generation: int, place: Place) -> str:
    """The key of a question, and of its answer."""
    return f"{questions_of(run_id)}{generation}:{place_text(place)}"
