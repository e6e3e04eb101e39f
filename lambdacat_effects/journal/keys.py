"""Where in a store the parts of journals lie."""

from __future__ import annotations

from lambdacat_effects.journal.records import Header, Place, place_text

__all__ = [
    "entries_of",
    "entries_of_all",
    "entry_key",
    "place_asked",
    "question_key",
    "questions_of",
    "run_number",
]


def entries_of(header: Header) -> str:
    """The prefix of the keys of a run's records."""
    return f"{entries_of_all(header)}{header.generation:x}."


def entries_of_all(header: Header) -> str:
    """The prefix of the keys of the records of all its generations."""
    return f"{header.number:x}."


def entry_key(prefix: str, number: int) -> str:
    """The key of record `number`: keys are in the order of numbers, which have 8 hexadecimal digits."""
    return f"{prefix}{number:08x}"


def run_number(key: str) -> str:
    """Of the key of a record, the number of its run, as text; `entries_of_all` begins with it."""
    return key.partition(".")[0]


def questions_of(run_id: str) -> str:
    """The prefix of the keys of a run's questions and answers."""
    return f"{run_id}\0"


def question_key(header: Header, place: Place) -> str:
    """The key of a question, and of its answer."""
    return f"{questions_of(header.run_id)}{header.generation}:{place_text(place)}"


def place_asked(key: str) -> Place:
    """Of the key of a question, where in the plan it is asked. Raises `ValueError` of other keys."""
    return tuple([int(step) for step in key.rpartition(":")[2].split(".")])
