"""Questions to the world outside: written down, waited for, and answered by whoever comes by."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import trio

from lambdacat_effects.effects.ambient import Await
from lambdacat_effects.effects.durable import Ask
from lambdacat_effects.errors import JournalUnreadable, StoredValueMismatch
from lambdacat_effects.journal.keys import question_key, questions_of
from lambdacat_effects.journal.records import ANSWERS, QUESTIONS
from lambdacat_effects.journal.session import Session, Stopped
from lambdacat_effects.runtime.interpreter import drive
from lambdacat_effects.runtime.run import Scope
from lambdacat_effects.storage.leaves import type_name
from lambdacat_effects.storage.port import Delete, Put, Store
from lambdacat_effects.storage.transactions import change

__all__ = ["Open", "Questions", "open_questions", "without_questions"]


class Questions:
    """What one run asks, and who waits for it."""

    def __init__(self) -> None:
        self._waiting: dict[str, trio.Event] = {}
        self.session: Session

    async def ask(self, effect: Ask[Any], scope: Scope) -> Any:
        """Answer `Ask`: with the answer that was given, or when it is."""
        session = self.session
        key = question_key(session.header.run_id, session.header.generation, session.place(scope.path))
        session.asks = True
        if (data := await session.store.get(ANSWERS, key)) is None:
            await self._write(effect, key, scope)
        while data is None:
            if session.stopped:
                raise Stopped
            await self._wait(key, scope)
            data = await session.store.get(ANSWERS, key)
        from lambdacat_effects.storage.codec import decode  # loads cattrs

        try:
            return decode(data, effect.as_type)
        except StoredValueMismatch as error:
            # Asked again at once, so that it can be answered better.
            await session.commit(
                scope, [session.lease.stands, Delete(ANSWERS, key), Put(QUESTIONS, key, _question(effect))]
            )
            raise session.fail(
                StoredValueMismatch(
                    f"the answer to {effect.question!r} does not fit: {error}. Answer it again"
                )
            ) from None

    async def look(self) -> None:
        """Wake those whose answers have come."""
        for key, event in list(self._waiting.items()):  # a store may wait, and others ask meanwhile
            if await self.session.store.get(ANSWERS, key) is not None:
                event.set()

    async def _write(self, effect: Ask[Any], key: str, scope: Scope) -> None:
        session = self.session
        if await session.store.get(QUESTIONS, key) is None:
            question = Put(QUESTIONS, key, _question(effect))
            await session.commit(scope, [session.lease.stands, question])

    async def _wait(self, key: str, scope: Scope) -> None:
        session = self.session
        if scope.run.alone:
            session.stopped = session.suspended = True
            raise Stopped
        event = self._waiting.setdefault(key, trio.Event())
        # One that has a deadline is waited for: it ends by itself.
        patient = trio.current_effective_deadline() == float("inf")
        session.parked += patient
        session.look_around()
        try:
            await drive(Await(event.wait), *scope)
        except trio.Cancelled:
            if not session.stopped:  # nobody wants to know any more
                await change(session.store, Delete(QUESTIONS, key))
            raise
        finally:
            session.parked -= patient
            self._waiting.pop(key, None)


def _question(effect: Ask[Any]) -> bytes:
    return json.dumps({"question": effect.question, "type": type_name(effect.as_type)}).encode()


async def without_questions(store: Store, run_id: str) -> list[Delete]:
    """The changes that remove a run's questions and answers."""
    prefix = questions_of(run_id)
    return [
        Delete(space, key) for space in (QUESTIONS, ANSWERS) for key, _ in await store.scan(space, prefix)
    ]


class Open(NamedTuple):
    """A question that nobody has answered."""

    key: str
    text: str
    type: str
    """What its answer is to be."""
    data: bytes
    """The question as it lies in the store."""


async def open_questions(store: Store, run_id: str) -> list[Open]:
    """The questions of a run that nobody has answered. Raises `JournalUnreadable`."""
    found = await store.scan(QUESTIONS, questions_of(run_id))
    return [Open(key, *_read_question(run_id, data), data) for key, data in found]


def _read_question(run_id: str, data: bytes) -> tuple[str, str]:
    try:
        parts = json.loads(data)
        return str(parts["question"]), str(parts["type"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise JournalUnreadable(
            f"a question of the run {run_id!r} cannot be read ({type(error).__name__}: {error}): it is damaged. "
            "Nothing was changed; restore the store from a backup"
        ) from None
