"""How a run asks the world outside: its question is written down, and waited for until somebody has answered."""

from __future__ import annotations

from typing import Any

import trio

from lambdacat_effects.effects.ambient import Await
from lambdacat_effects.effects.durable import Ask
from lambdacat_effects.errors import JournalUnreadable, StoredValueMismatch
from lambdacat_effects.journal.keys import question_key, questions_of
from lambdacat_effects.journal.questions import question_bytes, read_answer
from lambdacat_effects.journal.records import ANSWERS, QUESTIONS
from lambdacat_effects.journal.session import Session, Stopped
from lambdacat_effects.journal.sound import got, is_there
from lambdacat_effects.runtime.interpreter import drive
from lambdacat_effects.runtime.run import Scope
from lambdacat_effects.storage.port import Delete, Put
from lambdacat_effects.storage.transactions import change

__all__ = ["Questions"]


class Questions:
    """What one run asks, and who waits for it."""

    def __init__(self) -> None:
        self._waiting: dict[str, trio.Event] = {}
        self.open: dict[str, str] = {}
        """What has been asked, and not answered when the run came by: the text of each, by its key."""
        self.session: Session

    async def ask(self, effect: Ask[Any], scope: Scope) -> Any:
        """Answer `Ask`: with the answer that was given, or when it is."""
        session = self.session
        place = session.place(scope.path)
        key = question_key(session.header, place)
        session.asks = True
        try:
            if (data := await self._answer(key)) is None:
                self.open[key] = effect.question
                session.questions[place] = key
                await self._write(effect, key, scope)
            while data is None:
                if session.stopped:
                    raise Stopped
                await self._wait(key, scope)
                data = await self._answer(key)
        except trio.Cancelled:
            if not session.stopped:  # nobody wants to know any more
                self.open.pop(key, None)
                await change(session.store, Delete(QUESTIONS, key))
            raise
        self.open.pop(key, None)
        try:
            return read_answer(session.header.run_id, effect, data)
        except JournalUnreadable as error:
            raise session.fail(error) from None
        except StoredValueMismatch as error:
            # Asked again at once, so that it can be answered better.
            question = Put(QUESTIONS, key, question_bytes(session.header.run_id, effect))
            await session.commit(scope, [session.lease.stands, Delete(ANSWERS, key), question])
            raise session.fail(
                StoredValueMismatch(
                    f"the answer to {effect.question!r} does not fit: {error}. Answer it again"
                )
            ) from None

    async def look(self) -> None:
        """Wake those whose answers have come."""
        for key, event in list(self._waiting.items()):  # a store may wait, and others ask meanwhile
            if await is_there(self.session.store, ANSWERS, key):
                event.set()

    def stop(self) -> None:
        """Wake all, since the run is not performed any further: who asks in a shield is not reached otherwise."""
        for event in self._waiting.values():
            event.set()

    async def outlived(self) -> list[Delete]:
        """The changes that withdraw what former lives of the run asked, and this one does not."""
        found = await self.session.store.scan(QUESTIONS, questions_of(self.session.header.run_id))
        return [Delete(QUESTIONS, key) for key, _ in found if key not in self.open]

    async def _answer(self, key: str) -> bytes | None:
        try:
            return await got(self.session.store, ANSWERS, key)
        except Exception as error:  # not for the plan: it would be taken for the answer
            raise self.session.fail(error) from None

    async def _write(self, effect: Ask[Any], key: str, scope: Scope) -> None:
        session = self.session
        question = question_bytes(session.header.run_id, effect)
        if await session.store.get(QUESTIONS, key) != question:
            await session.commit(scope, [session.lease.stands, Put(QUESTIONS, key, question)])

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
        finally:
            session.parked -= patient
            self._waiting.pop(key, None)
