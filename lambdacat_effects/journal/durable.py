"""Durable runs: plans whose effects are answered once, whatever becomes of the process."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Self, TypeAlias, TypeVar, TypeVarTuple, cast

import attrs
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
from lambdacat_effects.effects.durable import Ask, ContinueAsNew, Continued, Patched
from lambdacat_effects.effects.effect import Effect, Performs
from lambdacat_effects.errors import InvalidArgument, RunCancelled, RunInUse, UnknownRun
from lambdacat_effects.journal.asking import Open, open_questions, without_questions
from lambdacat_effects.journal.clearing import removed
from lambdacat_effects.journal.history import Step, steps_of
from lambdacat_effects.journal.keys import entries_of, entries_of_all
from lambdacat_effects.journal.leases import acquire, is_held
from lambdacat_effects.journal.naming import arguments_of, function_called, name_of, read_arguments
from lambdacat_effects.journal.numbers import Numbers
from lambdacat_effects.journal.performing import DurableHandler, Programs, outcome_of
from lambdacat_effects.journal.records import (
    ANSWERS,
    CANCELS,
    ENTRIES,
    FENCES,
    LEASES,
    QUESTIONS,
    RUNS,
    Header,
)
from lambdacat_effects.journal.session import Session, exactly, load, read_record
from lambdacat_effects.runtime.events import Listener
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.runtime.resource import Resource
from lambdacat_effects.runtime.run import Run
from lambdacat_effects.storage.exact.redaction import Redact, Redaction
from lambdacat_effects.storage.port import Change, Delete, Expect, Put, Store

__all__ = ["Durable", "RunInfo"]

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


@attrs.frozen
class RunInfo:
    """How a run stands."""

    run_id: str
    plan: str
    """The function that makes its plan, as "module:function"."""
    status: str
    """"running" (somebody performs it), "interrupted" (nobody does: resume it), "suspended" (it waits for an answer),
    "succeeded", "failed" or "cancelled"."""
    created: float
    """Seconds since the Unix epoch."""
    changed: float
    """When its status changed last, in seconds since the Unix epoch."""
    generation: int
    """How often it has continued as new."""
    questions: tuple[str, ...] = ()
    """What it asks, and nobody has answered."""
    note: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it has an outcome."""
        return self.status in ("succeeded", "failed", "cancelled")


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
        self._lease = lease
        self._most_bytes = most_bytes
        self._numbers = Numbers()
        self._redaction = Redaction(redact)
        self._resource: Resource[Store] = Resource(f"the journal in {store!r}", lambda: _opened_store(store))

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

        Raises `RunInUse` if there is a run of this id; `RunSuspended` when it can go on only after an answer;
        `RunCancelled` when it is cancelled; `NotSerialisable` for an argument or an answer that cannot be kept.
        """
        header = self._header(run_id, make, args, note)
        handler = self._handler(run_id, handlers, header=header, only_new=True)
        return await handler.run(cast(Any, make)(*args), name=run_id, listen=listen)

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

        Raises as `run` does; `UnknownRun` if there is none of this id, and `NondeterminismError` if its plan asks for
        something else than it did.
        """
        async with self._resource as store:
            header = await _known(store, run_id)
            if header.outcome is not None:
                return outcome_of(header)
            handler = self._handler(run_id, handlers, make=make)
            return await handler.run(self._programs(make).plan(header), name=run_id, listen=listen)

    async def resume_all(
        self, *, handlers: Handler[Any] | Callable[[RunInfo], Handler[Any]], listen: Listener | None = None
    ) -> dict[str, Ok[Any] | Err[Exception]]:
        """Resume every run that nobody performs and that can go on, all at the same time; answers how each ended.

        `handlers` are those of all runs, or a function from a run to its own. A run that waits for an answer is left
        alone.
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
                    if info.status == "interrupted" or (info.status == "suspended" and not info.questions):
                        nursery.start_soon(one, info)
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

        >>> from lambdacat_effects import Durable, NewId, ambient
        >>> from lambdacat_effects.storage import InMemoryStore
        >>> def draw():
        ...     return (yield from NewId())
        """
        header = self._header(run_id, make, args, None)
        return cast(Any, make)(*args), self._handler(run_id, handlers, header=header, make=make)

    # From outside

    async def answer(self, run_id: str, value: object, *, question: str | None = None) -> None:
        """Answer what a run asks, from anywhere. It goes on when it is resumed, or at once where it is performed.

        `question` is the question's text, if there are several.

        Raises `UnknownRun`; `InvalidArgument` if it asks nothing, or not that, or something whose answer is of
        another type; `NotSerialisable`.
        """
        async with self._resource as store:
            await _known(store, run_id)
            asked = await open_questions(store, run_id)
            fitting = [one for one in asked if question is None or one.text == question]
            if len(fitting) != 1:
                shown = "; ".join(repr(one.text) for one in asked) or "nothing"
                raise InvalidArgument(
                    f"the run {run_id!r} asks {shown}: "
                    + ("say which question is answered" if len(fitting) > 1 else "there is no such question")
                )
            [found] = fitting
            _check_type(found, value)
            from lambdacat_effects.storage.codec import encode  # loads cattrs

            written = await store.batch(
                [
                    Expect(QUESTIONS, found.key, found.data),
                    Delete(QUESTIONS, found.key),
                    Put(ANSWERS, found.key, encode(value)),
                ]
            )
            if not written:
                raise InvalidArgument(
                    f"{found.text!r} was answered by somebody else meanwhile, or is not asked any more"
                )

    async def cancel(self, run_id: str) -> None:
        """Ask a run to end: it is cancelled where it is performed, or when it is resumed, and its clean-up is done.

        Does nothing if it has ended. Raises `UnknownRun`.
        """
        async with self._resource as store:
            while True:
                data = await store.get(RUNS, run_id)
                header = await _known(store, run_id) if data is None else Header.decode(run_id, data)
                if header.outcome is not None:
                    return
                # Or it would be left for a run to come, where this one ends at the same moment and is forgotten.
                if await store.batch([Expect(RUNS, run_id, data), Put(CANCELS, run_id, b"{}")]):
                    return

    async def runs(self) -> list[RunInfo]:
        """All runs, the oldest first."""
        async with self._resource as store:
            headers = [Header.decode(run_id, data) for run_id, data in await store.scan(RUNS)]
            return [await _info(store, header) for header in sorted(headers, key=lambda h: h.number)]

    async def info(self, run_id: str) -> RunInfo:
        """How a run stands. Raises `UnknownRun`."""
        async with self._resource as store:
            return await _info(store, await _known(store, run_id))

    async def history(self, run_id: str) -> list[Step]:
        """What a run has done, in order, since it last continued as new. Raises `UnknownRun`, `JournalUnreadable`."""
        async with self._resource as store:
            header = await _known(store, run_id)
            records = [
                read_record(header, key, data) for key, data in await store.scan(ENTRIES, entries_of(header))
            ]
            return steps_of(records)

    async def compact(self, run_id: str | None = None) -> int:
        """Remove the journal of a run that has ended, or of all of those; their outcomes stay. Answers how many
        records were removed. The store gives the room back with `Store.compact`."""
        async with self._resource as store:
            if run_id is None:
                headers = [Header.decode(key, data) for key, data in await store.scan(RUNS)]
            else:
                headers = [await _known(store, run_id)]
            return sum([await _cleared(store, header) for header in headers if header.outcome is not None])

    async def forget(self, run_id: str, *, force: bool = False) -> None:
        """Remove a run that has ended, altogether, so that its id is free.

        With `force` also one that has not, such as one whose code is gone: neither its clean-up nor its compensation
        is done, and what it has changed stays.

        Raises `UnknownRun`; `RunInUse` if it has not ended, or, with `force`, while somebody performs it.
        """
        async with self._resource as store:
            header = await _known(store, run_id)
            if header.outcome is None:
                if not force:
                    raise RunInUse(
                        f"the run {run_id!r} has not ended: cancel it first, and resume it; or, if its code is gone, "
                        "`forget` it with `force=True`, without its clean-up"
                    )
                header = await _ended(store, run_id, self._lease)
            await _cleared(store, header)
            data = await store.get(RUNS, run_id)
            if data is not None and Header.decode(run_id, data).number == header.number:
                # Else another process has forgotten it, too, and perhaps begun a new one.
                gone = [Delete(space, run_id) for space in (RUNS, FENCES, LEASES, CANCELS)]
                await store.batch([Expect(RUNS, run_id, data), *gone])

    async def __aenter__(self) -> Self:
        """Open the store, for several runs."""
        await self._resource.__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        """Close it."""
        await self._resource.__aexit__()

    # How runs are opened

    def _header(
        self, run_id: str, make: Any, args: tuple[Any, ...], note: str | None
    ) -> Callable[[int, float], Header]:
        if not isinstance(cast(object, run_id), str) or not run_id or "\0" in run_id:
            raise InvalidArgument(f"a run id is a non-empty text without NUL; got {run_id!r}")
        name = name_of(make)
        arguments = arguments_of(name, args, {})
        return lambda number, now: Header(
            run_id, number, name, arguments, "running", now, changed=now, note=note
        )

    def _programs(self, make: Callable[..., Performs[Any, Any]] | None) -> Programs:
        def plan(header: Header) -> Performs[Any, Any]:
            function = make if make is not None and not header.generation else function_called(header.plan)
            args, kwargs = read_arguments(header.arguments)
            return function(*args, **kwargs)

        def renamed(header: Header, continued: Continued) -> Header:
            effect = continued.effect
            name = name_of(effect.make)
            arguments = arguments_of(name, effect.args, effect.kwargs)
            return attrs.evolve(header, plan=name, arguments=arguments, generation=header.generation + 1)

        return Programs(plan, renamed)

    def _handler(
        self,
        run_id: str,
        handlers: Handler[E],
        *,
        header: Callable[[int, float], Header] | None = None,
        make: Callable[..., Performs[Any, Any]] | None = None,
        only_new: bool = False,
    ) -> DurableHandler[E]:
        if not isinstance(cast(object, handlers), Handler):
            raise InvalidArgument(f"handlers= takes handlers, such as `call_tools(...)`; got {handlers!r}")

        def opening(run: Run) -> Any:
            return self._opened(run_id, run, header, only_new=only_new)

        return DurableHandler(handlers, opening, self._programs(make))

    @asynccontextmanager
    async def _opened(
        self, run_id: str, run: Run, new: Callable[[int, float], Header] | None, *, only_new: bool
    ) -> AsyncGenerator[Session, None]:
        async with self._resource as store:
            created: Header | None = None

            async def beginning() -> list[Change]:
                nonlocal created
                created = None
                found = await store.get(RUNS, run_id)
                if found is not None and only_new:
                    raise RunInUse(_taken(Header.decode(run_id, found)))
                if found is not None or new is None:
                    return []
                created = new(await self._numbers.next(store, run), run.clock.now())
                return [Expect(RUNS, run_id, None), Put(RUNS, run_id, created.encode())]

            lease = await acquire(store, run_id, self._lease, run.clock.now(), beginning)
            session: Session | None = None
            try:
                if created is None:
                    header = await _known(store, run_id)
                    session = await load(store, header, lease, self._redaction, self._most_bytes)
                else:
                    session = Session(store, created, lease, self._redaction, self._most_bytes)
                yield session
            except (Exception, trio.Cancelled):
                raise
            except BaseException:
                if session is not None and not session.stopped:
                    session.died = True
                raise
            finally:
                lease.forget()
                if not lease.given_back and (session is None or not session.died):
                    with nullcontext() if run.alone else trio.CancelScope(shield=True):
                        await store.batch(lease.released())


@asynccontextmanager
async def _opened_store(given: Store | str | os.PathLike[str]) -> AsyncGenerator[Store, None]:
    if not isinstance(given, (str, os.PathLike)):
        yield given
        return
    from lambdacat_effects.storage.lmdb_store import LmdbStore  # loads lmdb

    async with LmdbStore(given) as store:
        yield store


async def _known(store: Store, run_id: str) -> Header:
    data = await store.get(RUNS, run_id)
    if data is None:
        raise UnknownRun(
            f"there is no run {run_id!r} in this store: see `Durable.runs()` for those there are"
        )
    return Header.decode(run_id, data)


def _taken(header: Header) -> str:
    ended = header.outcome is not None
    what = f"has {header.status}" if ended else "has not ended"
    do = "`forget` it" if ended else "`resume` it"
    return f"there is a run {header.run_id!r} already, of {header.plan}, which {what}: {do}, or choose another id"


async def _info(store: Store, header: Header) -> RunInfo:
    status: str = header.status
    questions = await open_questions(store, header.run_id) if header.outcome is None else []
    if header.outcome is None and await is_held(store, header.run_id, time.time()):
        status = "running"
    elif status == "running":
        status = "interrupted"
    return RunInfo(
        header.run_id,
        header.plan,
        status,
        header.created,
        header.changed,
        header.generation,
        tuple([question.text for question in questions]),
        header.note,
    )


async def _ended(store: Store, run_id: str, seconds: float) -> Header:
    """End a run that nobody performs, where it is. It has an outcome before its journal goes: what is left of that is
    never taken for the whole."""
    lease = await acquire(store, run_id, seconds, time.time())
    try:
        header = await _known(store, run_id)
        if header.outcome is None:
            error = RunCancelled(f"the run {run_id!r} was forgotten before it had ended")
            header.status, header.outcome = "cancelled", [exactly().write(error)]
            await store.batch([lease.stands, Put(RUNS, run_id, header.encode())])
        return header
    finally:
        lease.forget()
        await store.batch(lease.released())


async def _cleared(store: Store, header: Header) -> int:
    # Those of former generations, too, if a process died before it had removed them.
    entries = await store.scan(ENTRIES, entries_of_all(header))
    for batch in removed([key for key, _ in reversed(entries)]):
        await store.batch(batch)
    await store.batch(await without_questions(store, header.run_id))
    return len(entries)


_TYPES: Mapping[str, type] = {
    "str": str,
    "bool": bool,
    "int": int,
    "float": float,
    "list": list,
    "dict": dict,
}


def _check_type(question: Open, value: object) -> None:
    expected = _TYPES.get(question.type)
    if expected is None or type(value) is expected or (expected is float and type(value) is int):
        return
    raise InvalidArgument(
        f"{question.text!r} is to be answered with a value of type {question.type}; got {value!r}"
    )
