"""Questions of runs as they lie in a store, and their answers."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import attrs

from lambdacat_effects.effects.durable import Ask
from lambdacat_effects.errors import InvalidArgument, JournalUnreadable
from lambdacat_effects.journal.keys import place_asked, question_key, questions_of
from lambdacat_effects.journal.records import ANSWERS, QUESTIONS, Header, Place, place_text
from lambdacat_effects.journal.seals import sealed, unsealed
from lambdacat_effects.journal.sound import all_keys, scanned
from lambdacat_effects.journal.wanted import check_answer, written_type
from lambdacat_effects.storage.leaves import type_name
from lambdacat_effects.storage.port import Delete, Expect, Put, Store

__all__ = [
    "Question",
    "give_answer",
    "open_questions",
    "places_asked",
    "question_bytes",
    "read_answer",
    "without_questions",
]


@attrs.frozen
class Question:
    """What a run asks, and nobody has answered."""

    text: str
    at: str
    """Where in the plan, as a `Step` has it: two equal questions of a run are asked at different places."""
    type: str
    """What its answer is to be: "str", "bool", "list[int]", "shop.Size | None"."""


class _Kept(NamedTuple):
    """A question as it lies in the store."""

    question: Question
    wanted: Any
    key: str
    data: bytes


def question_bytes(run_id: str, effect: Ask[Any]) -> bytes:
    """A question of the run, to be kept."""
    kind = type_name(effect.as_type)
    kept = {"question": effect.question, "type": kind, "wanted": written_type(effect.as_type)}
    return sealed(json.dumps(kept).encode(), run_id)


async def open_questions(store: Store, run_id: str) -> list[Question]:
    """The questions of a run that nobody has answered, in the order of their places. Raises `JournalUnreadable`."""
    return [kept.question for kept in await _kept(store, run_id)]


async def places_asked(store: Store, header: Header) -> dict[Place, str]:
    """Where a run has asked something, and the key of the question."""
    found = await scanned(store, QUESTIONS, questions_of(header.run_id))
    keys = [key for key, _ in found]
    places = [(_place(header.run_id, key), key) for key in keys]
    return {place: key for place, key in places if key == question_key(header, place)}


async def without_questions(store: Store, run_id: str) -> list[Delete]:
    """The changes that remove a run's questions and answers."""
    prefix = questions_of(run_id)
    return [
        Delete(space, key) for space in (QUESTIONS, ANSWERS) for key in await all_keys(store, space, prefix)
    ]


async def give_answer(store: Store, run_id: str, value: object, text: str | None, at: str | None) -> None:
    """Answer the question of this text, at this place, if they are given.

    Raises `InvalidArgument` if there is no such question, or more than one, or its answer is of another type;
    `NotSerialisable`.
    """
    asked = await _kept(store, run_id)
    fitting = [
        kept for kept in asked if text in (None, kept.question.text) and at in (None, kept.question.at)
    ]
    if len(fitting) != 1:
        shown = "; ".join(f"{kept.question.text!r} (at {kept.question.at})" for kept in asked) or "nothing"
        told = len({kept.question.text for kept in fitting}) == len(fitting)
        raise InvalidArgument(
            f"the run {run_id!r} asks {shown}: "
            + (
                f"say which question is answered, with {'`question=`' if told else '`at=`'}"
                if fitting
                else "there is no such question"
            )
        )
    [kept] = fitting
    from lambdacat_effects.storage.codec import encode  # loads cattrs

    written = encode(value)
    plain = json.loads(written.decode("utf-8", "surrogatepass"))
    check_answer(kept.question.text, kept.wanted, kept.question.type, value, plain)
    given = await store.batch(
        [
            Expect(QUESTIONS, kept.key, kept.data),
            Delete(QUESTIONS, kept.key),
            Put(ANSWERS, kept.key, sealed(b"[%b]" % written, run_id)),
        ]
    )
    if not given:
        raise InvalidArgument(
            f"{kept.question.text!r} was answered by somebody else meanwhile, or is not asked any more"
        )


def read_answer(run_id: str, effect: Ask[Any], data: bytes) -> Any:
    """The answer to a question. Raises `StoredValueMismatch` if it is of another type, `JournalUnreadable`."""
    try:
        written = unsealed(data, run_id)[1:-1]
    except ValueError as error:
        raise _unreadable(f"the answer to {effect.question!r}", run_id, error) from None
    from lambdacat_effects.storage.codec import decode  # loads cattrs

    return decode(written, effect.as_type)


async def _kept(store: Store, run_id: str) -> list[_Kept]:
    found = await scanned(store, QUESTIONS, questions_of(run_id))
    kept = [(_place(run_id, key), key, data) for key, data in found]
    return [_read(run_id, place, key, data) for place, key, data in sorted(kept)]


def _place(run_id: str, key: str) -> Place:
    try:
        return place_asked(key)
    except ValueError as error:
        raise _unreadable("a question", run_id, error) from None


def _read(run_id: str, place: Place, key: str, data: bytes) -> _Kept:
    try:
        parts = json.loads(unsealed(data, run_id))
        question = Question(str(parts["question"]), place_text(place), str(parts["type"]))
        return _Kept(question, parts["wanted"], key, data)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _unreadable("a question", run_id, error) from None


def _unreadable(what: str, run_id: str, error: Exception) -> JournalUnreadable:
    return JournalUnreadable(
        f"{what} of the run {run_id!r} cannot be read ({type(error).__name__}: {error}): it is damaged. "
        "Nothing was changed; restore the store from a backup"
    )
