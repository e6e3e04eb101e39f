"""Durable runs: plans whose effects are answered once, whatever becomes of the process."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self, TypeAlias, TypeVar, TypeVarTuple, cast

import trio

from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.effects.ambient import (
    Ambient,
    Await,
    Blocking,
    Count,
    Log,
    NewId,
    Now,
    Random,
    Sleep,
)
from lambdacat_effects.effects.durable import Ask, ContinueAsNew, Patched
from lambdacat_effects.effects.effect import Effect, Performs
from lambdacat_effects.errors import InvalidArgument, JournalUnreadable, RunInUse
from lambdacat_effects.journal.entries import read_entries
from lambdacat_effects.journal.history import Step, steps_of
from lambdacat_effects.journal.keeping import beginning, cleared, forgotten, known, readable
from lambdacat_effects.journal.keys import entries_of
from lambdacat_effects.journal.opening import Opening, Performer, programs
from lambdacat_effects.journal.performing import outcome_of
from lambdacat_effects.journal.questions import Question, give_answer, open_questions
from lambdacat_effects.journal.records import CANCELS, ENTRIES, RUNS, Header
from lambdacat_effects.journal.sound import scanned
from lambdacat_effects.journal.standing import RunInfo, all_infos, info_of
from lambdacat_effects.runtime.events import Listener
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.runtime.resource import Resource
from lambdacat_effects.storage.exact.redaction import Redact, Redaction
from lambdacat_effects.storage.port import Expect, Put, Store

__all__ = ["Durable"]

A = TypeVar("A")
E = TypeVar("E", bound=Effect[Any])
Ts = TypeVarTuple("Ts")

_MOST_BYTES = 1 << 20

# What a plan may ask for, whatever the handlers. By name, though all but one are ambient: pyright subtracts only
# exact members of a union.
_Given: TypeAlias = (
    Ambient
    | Ask[Any]
    | Sleep
    | Now
    | Random
    | NewId
    | Log
    | Count
    | Blocking[Any]
    | Await[Any]
    | Patched
    | ContinueAsNew
)


class Durable:
    """Runs that are kept in a store, and go on where they stopped.

    *Effects answered are never repeated; an effect in flight at the crash is repeated with the same idempotency key.
    Memory writes, publishes and acknowledgements that live in the same store commit in one transaction with their
    journal entry, and so happen exactly once.*

    `store` is a `Store`, or the path of a directory for an `LmdbStore`. `lease` says for how many seconds a process
    that is gone without a trace keeps others from resuming its runs (on the same machine nobody has to wait).
    `most_bytes` bounds what one answer may take in the journal. `redact` names fields of effects, besides the usual
    ones, that are not written (see `record`); answers are written as they are, since runs are resumed with them.

    >>> import trio
    >>> from lambdacat_effects import Durable, in_memory, remember
    >>> from lambdacat_effects.storage import InMemoryStore
    >>> trio.run(lambda: Durable(InMemoryStore()).run("greet-1", remember, "cats", "felix", 9, handlers=in_memory()))
    """

    def __init__(
        self,
        store: Store | str | os.PathLike[str],
        *,
        lease: float = 30.0,
        most_bytes: int = _MOST_BYTES,
        redact: Redact = (),
    ) -> None:
        if isinstance(store, (str, os.PathLike)) and not os.fspath(store):
            raise InvalidArgument("Durable takes a store, or the path of a directory; got an empty path")
        if not lease > 0:
            raise InvalidArgument(f"lease is a number of seconds, more than 0; got {lease!r}")
        if most_bytes < 1:
            raise InvalidArgument(f"most_bytes is a number of bytes, at least 1; got {most_bytes!r}")
        self._resource: Resource[Store] = Resource(f"the journal in {store!r}", lambda: _opened_store(store))
        self._opening = Opening(self._resource, lease, most_bytes, Redaction(redact))

    # Performing

    async def run(
        self,
        run_id: str,
        make: Callable[[*Ts], Performs[E | _Given, A]],
        *args: *Ts,
        handlers: Handler[E],
        listen: Listener | None = None,
        note: str | None = None,
    ) -> A:
        """Perform the plan `make(*args)` as the run `run_id`, and answer its answer, or raise what it raises.

        `make` is a function at the top of a module, and its arguments can be stored: the plan is made again from them
        in another process. `note` is kept with the run.

        Raises `RunInUse` if there is a run of this id (`run_or_resume` goes on with it); `RunSuspended` when it can
        go on only after an answer; `RunCancelled` when it is cancelled; `LeaseLost` if another process has taken it
        over; `NotSerialisable` for an argument or an answer that cannot be kept, `LimitExceeded` for one that is too
        large; `InvalidArgument` for a function that is not found by its name.

        >>> import trio
        >>> from lambdacat_effects import Durable, in_memory, remember
        >>> from lambdacat_effects.storage import InMemoryStore
        >>> durable = Durable(InMemoryStore())
        >>> trio.run(lambda: durable.run("greet-1", remember, "cats", "felix", 9, handlers=in_memory()))
        >>> trio.run(durable.info, "greet-1").status
        'succeeded'
        """
        new = beginning(run_id, make, args, note)
        handler = self._opening.handler(run_id, handlers, new=new, if_found="refuse", make=make)
        performer = Performer(self._opening, run_id, handlers, make, listen)
        return cast(A, await performer.perform(handler, cast(Any, make)(*args)))

    async def run_or_resume(
        self,
        run_id: str,
        make: Callable[[*Ts], Performs[E | _Given, A]],
        *args: *Ts,
        handlers: Handler[E],
        listen: Listener | None = None,
        note: str | None = None,
    ) -> A:
        """Perform the plan `make(*args)` as the run `run_id`, whatever there is of it: begin it, let it go on where
        it stopped, or answer its outcome, if it has ended. For a service that may be restarted at any moment, and for
        requests that may come twice.

        Raises `RunMismatch` if there is a run of this id that was begun with another plan or other arguments;
        `RunInUse` while somebody else performs it; `JournalUnreadable`, `NondeterminismError` as `resume` does; and
        whatever `run` raises.

        >>> import trio
        >>> from lambdacat_effects import Durable, NewId, ambient
        >>> from lambdacat_effects.storage import InMemoryStore
        >>> async def drawn_twice():
        ...     durable = Durable(InMemoryStore())
        ...     drawn = [await durable.run_or_resume("draw-1", NewId, handlers=ambient) for _ in range(2)]
        ...     return drawn[0] == drawn[1]
        >>> trio.run(drawn_twice)
        True
        """
        new = beginning(run_id, make, args, note)
        handler = self._opening.handler(run_id, handlers, new=new, if_found="compare", make=make)
        async with self._resource as store:
            found = await store.get(RUNS, run_id)
            plan: Any = None
            if found is not None:
                header = Header.decode(run_id, found)
                new.check_is(header)
                if header.outcome is not None:
                    return cast(A, outcome_of(header))
                plan = programs(make).plan(header)
            performer = Performer(self._opening, run_id, handlers, make, listen)
            return cast(A, await performer.perform(handler, plan or cast(Any, make)(*args)))

    async def resume(
        self,
        run_id: str,
        *,
        handlers: Handler[Any],
        make: Callable[..., Performs[Any, Any]] | None = None,
        listen: Listener | None = None,
    ) -> Any:
        """Let a run go on where it stopped, and answer its answer. Of a run that has ended, its outcome.

        `make` is the function that makes its plan, where it cannot be imported by the name it had.

        Raises as `run` does; `UnknownRun` if there is none of this id, or its function cannot be imported;
        `NondeterminismError` if its plan asks for something else than it did; `JournalUnreadable` if what is kept of
        it is damaged, or of a newer format.

        >>> import trio
        >>> from lambdacat_effects import Durable, ambient, ask
        >>> from lambdacat_effects.errors import RunSuspended
        >>> from lambdacat_effects.storage import InMemoryStore
        >>> async def asked_and_answered():
        ...     durable = Durable(InMemoryStore())
        ...     try:
        ...         await durable.run("cat-1", ask, "Which cat?", handlers=ambient)
        ...     except RunSuspended:
        ...         await durable.answer("cat-1", "Felix")
        ...     return await durable.resume("cat-1", handlers=ambient)
        >>> trio.run(asked_and_answered)
        'Felix'
        """
        async with self._resource as store:
            header = await known(store, run_id)
            if header.outcome is not None:
                return outcome_of(header)
            handler = self._opening.handler(run_id, handlers, make=make)
            performer = Performer(self._opening, run_id, handlers, make, listen)
            return await performer.perform(handler, programs(make).plan(header))

    async def resume_all(
        self, *, handlers: Handler[Any] | Callable[[RunInfo], Handler[Any]], listen: Listener | None = None
    ) -> dict[str, Ok[Any] | Err[Exception]]:
        """Resume every run that nobody performs and that can go on, all at the same time; answers how each ended.

        `handlers` are those of all runs, or a function from a run to its own. A run that waits for an answer is left
        alone; one that cannot be read is among the answers, with its `JournalUnreadable`.

        >>> import trio
        >>> from lambdacat_effects import Durable, ambient, ask
        >>> from lambdacat_effects.errors import RunSuspended
        >>> from lambdacat_effects.storage import InMemoryStore
        >>> async def answered_meanwhile():
        ...     durable = Durable(InMemoryStore())
        ...     for name in ("one", "two"):
        ...         try:
        ...             await durable.run(name, ask, "Which cat?", handlers=ambient)
        ...         except RunSuspended:
        ...             pass
        ...     await durable.answer("two", "Felix")
        ...     return await durable.resume_all(handlers=ambient)
        >>> trio.run(answered_meanwhile)
        {'two': Ok(value='Felix')}
        """
        outcomes: dict[str, Ok[Any] | Err[Exception]] = {}
        given: Any = handlers

        async def one(info: RunInfo) -> None:
            try:
                theirs: Handler[Any] = given if issubclass(type(given), Handler) else given(info)
                outcomes[info.run_id] = Ok(await self.resume(info.run_id, handlers=theirs, listen=listen))
            except RunInUse:  # somebody was quicker
                return
            except Exception as error:
                outcomes[info.run_id] = Err(error)

        async with self._resource:
            infos = await self.runs()  # not in the nursery, which would make a group of its error
            async with trio.open_nursery() as nursery:
                for info in infos:
                    if info.status == "interrupted":
                        nursery.start_soon(one, info)
                    elif info.status == "unreadable":
                        outcomes[info.run_id] = Err(JournalUnreadable(info.problem))
        return outcomes

    def prepared(
        self,
        run_id: str,
        make: Callable[[*Ts], Performs[E | _Given, A]],
        *args: *Ts,
        handlers: Handler[E],
    ) -> tuple[Performs[Any, A], Handler[E]]:
        """A plan and the handlers that perform it as the run `run_id`, new or resumed: for `run_pure`, and for
        simulations, which perform plans themselves.

        Raises `InvalidArgument` and `NotSerialisable` as `run` does; all else is raised where the plan is performed.

        >>> from lambdacat_effects import Durable, in_memory, remember
        >>> from lambdacat_effects.storage import InMemoryStore
        >>> durable = Durable(InMemoryStore())
        >>> plan, handlers = durable.prepared("greet-1", remember, "cats", "felix", 9, handlers=in_memory())
        >>> handlers.run_pure(plan)
        """
        new = beginning(run_id, make, args, None)
        return cast(Any, make)(*args), self._opening.handler(run_id, handlers, new=new, make=make)

    # From outside

    async def questions(self, run_id: str) -> list[Question]:
        """What a run asks, and nobody has answered, in the order of the plan. Of each its text, where in the plan it
        is asked, and of which type its answer is to be.

        Raises `UnknownRun`, `JournalUnreadable`.

        >>> import trio
        >>> from lambdacat_effects import Durable, ambient, ask
        >>> from lambdacat_effects.errors import RunSuspended
        >>> from lambdacat_effects.storage import InMemoryStore
        >>> async def asked():
        ...     durable = Durable(InMemoryStore())
        ...     try:
        ...         await durable.run("cat-1", ask, "Which cat?", handlers=ambient)
        ...     except RunSuspended:
        ...         return await durable.questions("cat-1")
        >>> trio.run(asked)
        [Question(text='Which cat?', at='1', type='str')]
        """
        async with self._resource as store:
            await known(store, run_id)
            return await open_questions(store, run_id)

    async def answer(
        self, run_id: str, value: object, *, question: str | None = None, at: str | None = None
    ) -> None:
        """Answer what a run asks, from anywhere. It goes on when it is resumed, or at once where it is performed.

        If it asks several things, `question` is the text of the one that is answered, and `at` the place where it is
        asked (`Question.at`), which tells apart what has the same text. `value` is of the type that the question
        wants, or the plain JSON that is stored for it. If a class in that type cannot be imported here, the run
        checks the answer when it is resumed, and asks again if it does not fit.

        Raises `UnknownRun`; `InvalidArgument` if it asks nothing, or not that, or something whose answer is of
        another type; `NotSerialisable`; `JournalUnreadable`.

        >>> import trio
        >>> from lambdacat_effects import Durable, ambient, ask
        >>> from lambdacat_effects.errors import RunSuspended
        >>> from lambdacat_effects.storage import InMemoryStore
        >>> async def answered():
        ...     durable = Durable(InMemoryStore())
        ...     try:
        ...         await durable.run("cat-1", ask, "Which cat?", handlers=ambient)
        ...     except RunSuspended:
        ...         [question] = await durable.questions("cat-1")
        ...         await durable.answer("cat-1", "Felix", at=question.at)
        ...     return (await durable.info("cat-1")).questions
        >>> trio.run(answered)
        ()
        """
        async with self._resource as store:
            await known(store, run_id)
            await give_answer(store, run_id, value, question, at)

    async def cancel(self, run_id: str) -> None:
        """Ask a run to end: it is cancelled where it is performed, or when it is resumed, and its clean-up is done.
        Its outcome is `RunCancelled`.

        Does nothing if it has ended. Raises `UnknownRun`, `JournalUnreadable`.

        >>> import trio
        >>> from lambdacat_effects import Durable, ambient, ask
        >>> from lambdacat_effects.errors import RunCancelled, RunSuspended
        >>> from lambdacat_effects.storage import InMemoryStore
        >>> async def cancelled():
        ...     durable = Durable(InMemoryStore())
        ...     try:
        ...         await durable.run("cat-1", ask, "Which cat?", handlers=ambient)
        ...     except RunSuspended:
        ...         await durable.cancel("cat-1")
        ...     try:
        ...         await durable.resume("cat-1", handlers=ambient)
        ...     except RunCancelled as error:
        ...         return str(error)
        >>> trio.run(cancelled)
        "the run 'cat-1' was cancelled"
        """
        async with self._resource as store:
            while True:
                data = await store.get(RUNS, run_id)
                header = await known(store, run_id) if data is None else Header.decode(run_id, data)
                if header.outcome is not None:
                    return
                # Or it would be left for a run to come, where this one ends at the same moment and is forgotten.
                if await store.batch([Expect(RUNS, run_id, data), Put(CANCELS, run_id, b"{}")]):
                    return

    async def runs(self) -> list[RunInfo]:
        """All runs, the oldest first. Those that cannot be read come last, and say why.

        >>> import trio
        >>> from lambdacat_effects import Durable
        >>> from lambdacat_effects.storage import InMemoryStore
        >>> trio.run(Durable(InMemoryStore()).runs)
        []
        """
        async with self._resource as store:
            return await all_infos(store)

    async def info(self, run_id: str) -> RunInfo:
        """How a run stands. Raises `UnknownRun`, `JournalUnreadable`.

        >>> import trio
        >>> from lambdacat_effects import Durable, in_memory, remember
        >>> from lambdacat_effects.storage import InMemoryStore
        >>> durable = Durable(InMemoryStore())
        >>> trio.run(lambda: durable.run("greet-1", remember, "cats", "felix", 9, handlers=in_memory()))
        >>> info = trio.run(durable.info, "greet-1")
        >>> info.status, info.ended, info.questions
        ('succeeded', True, ())
        """
        async with self._resource as store:
            return await info_of(store, await known(store, run_id))

    async def history(self, run_id: str) -> list[Step]:
        """What a run has done, in order, since it last continued as new. Raises `UnknownRun`, `JournalUnreadable`.

        >>> import trio
        >>> from lambdacat_effects import Durable, in_memory, remember
        >>> from lambdacat_effects.storage import InMemoryStore
        >>> durable = Durable(InMemoryStore())
        >>> trio.run(lambda: durable.run("greet-1", remember, "cats", "felix", 9, handlers=in_memory()))
        >>> for step in trio.run(durable.history, "greet-1"):
        ...     print(step.place, step.effect, step.what)
        1 Remember(namespace='cats', key='felix', value=9) answered
        """
        async with self._resource as store:
            header = await known(store, run_id)
            return steps_of(read_entries(header, await scanned(store, ENTRIES, entries_of(header))).records)

    async def compact(self, run_id: str | None = None) -> int:
        """Remove the journal of a run that has ended, or of all of those; their outcomes stay. Answers how many
        records were removed. The store gives the room back with `Store.compact`.

        Runs that have not ended, or cannot be read, are left as they are. Raises `UnknownRun`, and
        `JournalUnreadable` if the run that is named cannot be read.

        >>> import trio
        >>> from lambdacat_effects import Durable, in_memory, remember
        >>> from lambdacat_effects.storage import InMemoryStore
        >>> durable = Durable(InMemoryStore())
        >>> trio.run(lambda: durable.run("greet-1", remember, "cats", "felix", 9, handlers=in_memory()))
        >>> trio.run(durable.compact)
        1
        """
        async with self._resource as store:
            headers = await readable(store) if run_id is None else [await known(store, run_id)]
            return sum([await cleared(store, header) for header in headers if header.outcome is not None])

    async def forget(self, run_id: str, *, force: bool = False) -> None:
        """Remove a run that has ended, altogether, so that its id is free.

        With `force` also one that has not, such as one whose code is gone: neither its clean-up nor its compensation
        is done, and what it has changed stays. And one that cannot be read.

        Raises `UnknownRun`; `RunInUse` if it has not ended, or, with `force`, while somebody performs it;
        `JournalUnreadable` without `force`.

        >>> import trio
        >>> from lambdacat_effects import Durable, in_memory, remember
        >>> from lambdacat_effects.storage import InMemoryStore
        >>> durable = Durable(InMemoryStore())
        >>> trio.run(lambda: durable.run("greet-1", remember, "cats", "felix", 9, handlers=in_memory()))
        >>> trio.run(durable.forget, "greet-1")
        >>> trio.run(durable.runs)
        []
        """
        async with self._resource as store:
            await forgotten(store, run_id, self._opening.lease, force=force)

    async def __aenter__(self) -> Self:
        """Open the store, for several runs."""
        await self._resource.__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        """Close it."""
        await self._resource.__aexit__()


@asynccontextmanager
async def _opened_store(given: Store | str | os.PathLike[str]) -> AsyncGenerator[Store, None]:
    if not isinstance(given, (str, os.PathLike)):
        yield given
        return
    from lambdacat_effects.storage.lmdb_store import LmdbStore  # loads lmdb

    async with LmdbStore(given) as store:
        yield store
