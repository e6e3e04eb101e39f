"""How runs come to be performed: begun or taken up, under a lease, until they end or have to wait."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Literal, TypeAlias, TypeVar, cast

import attrs
import trio

from lambdacat_effects.effects.durable import Continued
from lambdacat_effects.effects.effect import Effect, Performs
from lambdacat_effects.errors import InvalidArgument, RunInUse, RunSuspended
from lambdacat_effects.journal.clearing import removed
from lambdacat_effects.journal.entries import read_entries
from lambdacat_effects.journal.keeping import Beginning, known, taken
from lambdacat_effects.journal.keys import entries_of_all
from lambdacat_effects.journal.leases import Lease, acquire
from lambdacat_effects.journal.naming import arguments_of, function_called, name_of, plan_made, read_arguments
from lambdacat_effects.journal.numbering import Numbering
from lambdacat_effects.journal.numbers import Numbers
from lambdacat_effects.journal.performing import DurableHandler, Programs
from lambdacat_effects.journal.questions import places_asked
from lambdacat_effects.journal.records import ANSWERS, ENTRIES, RUNS, Header
from lambdacat_effects.journal.session import Session
from lambdacat_effects.journal.sound import is_there, scanned
from lambdacat_effects.runtime.events import Listener
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.runtime.resource import Resource
from lambdacat_effects.runtime.run import Run
from lambdacat_effects.storage.exact.redaction import Redaction
from lambdacat_effects.storage.port import Change, Expect, Put, Store

__all__ = ["IfFound", "Make", "Opening", "Performer", "programs"]

E = TypeVar("E", bound=Effect[Any])

Make: TypeAlias = Callable[..., Performs[Any, Any]]

IfFound: TypeAlias = Literal["refuse", "compare", "take up"]
"""What becomes of a run that is there already when one is to be begun."""


@attrs.frozen
class Opening:
    """What all runs of one `Durable` are performed with."""

    resource: Resource[Store]
    lease: float
    """Seconds."""
    most_bytes: int
    redaction: Redaction
    numbers: Numbers = attrs.field(factory=Numbers)

    def handler(
        self,
        run_id: str,
        handlers: Handler[E],
        *,
        new: Beginning | None = None,
        if_found: IfFound = "take up",
        make: Make | None = None,
    ) -> DurableHandler[E]:
        """Handlers that perform the run, begun as `new` if there is none. `make` makes its plan, where that is not to
        be imported by its name. Raises `InvalidArgument`."""
        if not isinstance(cast(object, handlers), Handler):
            raise InvalidArgument(f"handlers= takes handlers, such as `call_tools(...)`; got {handlers!r}")

        def opening(run: Run) -> Any:
            return self._opened(run_id, run, new, if_found)

        return DurableHandler(handlers, opening, programs(make))

    @asynccontextmanager
    async def _opened(
        self, run_id: str, run: Run, new: Beginning | None, if_found: IfFound
    ) -> AsyncGenerator[Session, None]:
        async with self.resource as store:
            created: Header | None = None

            async def beginning() -> list[Change]:
                nonlocal created
                created = None
                found = await store.get(RUNS, run_id)
                if found is not None and new is not None:
                    _check(Header.decode(run_id, found), new, if_found)
                if found is not None or new is None:
                    return []
                created = new.header(await self.numbers.next(store, run), run.clock.now())
                return [Expect(RUNS, run_id, None), Put(RUNS, run_id, created.encode())]

            lease = await acquire(store, run_id, self.lease, run.clock.now(), beginning)
            session: Session | None = None
            before: Header | None = None
            try:
                if created is not None:
                    session = Session(store, created, lease, self.redaction, self.most_bytes)
                else:
                    header = await known(store, run_id)
                    session = await _load(store, header, lease, self.redaction, self.most_bytes)
                    before = attrs.evolve(header, records=session.numbering.there)
                    if (
                        header.outcome is None
                    ):  # not before the journal is read: else a damaged one is left as it is
                        header.status, header.changed = "running", run.clock.now()
                        await store.batch([lease.stands, Put(RUNS, run_id, header.encode())])
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
                        await store.batch([*lease.released(), *_interrupted(session, before, run)])


@attrs.frozen
class Performer:
    """Performs one run on Trio."""

    opening: Opening
    run_id: str
    handlers: Handler[Any]
    make: Make | None
    listen: Listener | None

    async def perform(self, handler: DurableHandler[Any], plan: Performs[Any, Any]) -> Any:
        """The answer of the run. Raises what it raises, and `RunSuspended` if it waits for an answer.

        An answer may come just when the run is being suspended. Whoever gives it is told that the run is being
        performed, and leaves the rest to that: so once it is suspended, it is looked for once more.
        """
        async with self.opening.resource as store:
            suspended: RunSuspended | None = None
            while True:
                try:
                    return await handler.run(plan, name=self.run_id, listen=self.listen)
                except RunSuspended as error:
                    suspended = error
                except RunInUse:
                    if suspended is None or handler.has_begun:
                        raise
                    raise suspended from None  # whoever has answered goes on with it
                if not any([await is_there(store, ANSWERS, key) for key in handler.waits_for]):
                    raise suspended
                handler = self.opening.handler(self.run_id, self.handlers, make=self.make)
                plan = programs(self.make).plan(await known(store, self.run_id))


def programs(make: Make | None = None) -> Programs:
    """How plans are made from headers, and headers from plans that runs continue as."""

    def plan(header: Header) -> Performs[Any, Any]:
        function = make if make is not None and not header.generation else function_called(header.plan)
        return plan_made(header, function, *read_arguments(header))

    def renamed(header: Header, continued: Continued) -> Header:
        effect = continued.effect
        name = name_of(effect.make)
        return attrs.evolve(
            header,
            plan=name,
            arguments=arguments_of(name, effect.args, effect.kwargs),
            generation=header.generation + 1,
            records=0,
            began=header.call,
        )

    return Programs(plan, renamed)


def _check(found: Header, new: Beginning, if_found: IfFound) -> None:
    if if_found == "refuse":
        raise taken(found)
    if if_found == "compare":
        new.check_is(found)


def _interrupted(session: Session | None, before: Header | None, run: Run) -> list[Change]:
    """The changes that say when a run was left that has not ended. `before` is how it was found."""
    if session is None or session.header.outcome is not None:
        return []
    header = attrs.evolve(session.header, changed=run.clock.now())
    if (
        before is not None
        and before.status == "suspended"
        and (before.generation, before.records) == (header.generation, session.numbering.there)
    ):
        # It has not gone on, since its code has changed, say: it waits for what it waited for.
        header.status, header.changed = before.status, before.changed
    return [Put(RUNS, header.run_id, header.encode())]


async def _load(store: Store, header: Header, lease: Lease, redaction: Redaction, most_bytes: int) -> Session:
    """The journal of a run. Raises `JournalUnreadable`."""
    session = Session(store, header, lease, redaction, most_bytes, asks=True)
    entries = read_entries(header, await scanned(store, ENTRIES, entries_of_all(header)))
    for record in entries.records:
        session.keep(record)
    session.numbering = Numbering(len(entries.records) + len(entries.missing), entries.missing)
    session.questions = dict(await places_asked(store, header))
    for batch in removed(entries.outlived):  # of a generation that a process died before it had removed
        await store.batch([lease.stands, *batch])
    return session
