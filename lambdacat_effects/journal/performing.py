"""Handlers with a journal: whatever performs a plan with them, performs it durably."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from shlex import quote
from typing import Any, TypeVar, cast

import attrs
import trio

from lambdacat_effects.effects.durable import Ask, Continued
from lambdacat_effects.effects.effect import Effect, Performs, performable, where
from lambdacat_effects.errors import (
    JournalUnreadable,
    Misuse,
    NondeterminismError,
    RecordedError,
    RunCancelled,
    RunSuspended,
)
from lambdacat_effects.journal.asking import Questions
from lambdacat_effects.journal.committing import Commit, Settle, committed, settled
from lambdacat_effects.journal.journal import Journal
from lambdacat_effects.journal.lookout import Lookout, watching
from lambdacat_effects.journal.questions import without_questions
from lambdacat_effects.journal.records import (
    CANCELS,
    RUNS,
    Header,
    Status,
)
from lambdacat_effects.journal.regions import Region
from lambdacat_effects.journal.session import Session, Stopped
from lambdacat_effects.journal.sound import is_there
from lambdacat_effects.journal.telling import Telling
from lambdacat_effects.runtime.events import Root
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.runtime.interpreter import drive
from lambdacat_effects.runtime.live import LIVE, LIVE_OBSERVED, waiting_often
from lambdacat_effects.runtime.run import Run, Scope
from lambdacat_effects.runtime.table import ASYNC, CONTROL, Chain, Key, Step, Table
from lambdacat_effects.runtime.tracebacks import last_line
from lambdacat_effects.storage.exact.classes import class_name
from lambdacat_effects.storage.exact.reading import read, read_error
from lambdacat_effects.storage.exact.writing import exactly
from lambdacat_effects.storage.leaves import Misfit
from lambdacat_effects.storage.port import Change, Delete, Put

__all__ = ["DurableHandler", "Programs", "outcome_of"]

E_con = TypeVar("E_con", bound=Effect[Any], contravariant=True)
A = TypeVar("A")

_TICKS = 5
"""How long a run has to be quiet before it is suspended: who has just been woken is about to go on."""


@attrs.frozen
class Programs:
    """How a run's plan is made from its header, and its header from a plan that it continues as."""

    plan: Callable[[Header], Performs[Any, Any]]
    header: Callable[[Header, Continued], Header]


class DurableHandler(Handler[E_con]):
    """Handlers whose run is kept in a journal. One object performs one run: by `run`, `run_pure` or in a
    simulation."""

    __slots__ = ("_journal", "_opening", "_programs", "_questions")

    def __init__(
        self,
        handlers: Handler[E_con],
        opening: Callable[[Run], AbstractAsyncContextManager[Session]],
        programs: Programs,
    ) -> None:
        self._opening = opening
        self._programs = programs
        self._journal = Journal()
        self._questions = Questions()
        bindings: dict[Key, Chain] = {
            Ask: (Step(CONTROL, self._questions.ask),),
            **handlers.bindings,
            Commit: (Step(ASYNC, committed),),
            Settle: (Step(ASYNC, settled),),
        }
        super().__init__(bindings, handlers.resources, [self._journal, *handlers.boundaries])

    @property
    def has_begun(self) -> bool:
        """Whether it has come to perform the run."""
        return self._journal.session is not None

    @property
    def waits_for(self) -> list[str]:
        """The keys of the questions for whose answers it was suspended."""
        return list(self._questions.open)

    async def perform(self, plan: Performs[Any, A], root: Table, run: Run, name: str) -> A:
        """Perform the run's plan, as far as it is not performed yet."""
        async with self._opening(run) as session:
            if session.header.outcome is not None:
                return cast(A, outcome_of(session.header))
            if session.header.generation:
                plan = self._programs.plan(session.header)
            self._journal.session = self._questions.session = session
            if run.listen is not None:
                run.listen = Telling(session, run.listen)
            scope = Scope(self.over(root), (name,), run)
            live = root is LIVE or root is LIVE_OBSERVED
            performance = _Performance(session, self._questions, self._programs, scope, live=live)
            return cast(A, await performance.perform(plan))


class _Performance:
    """One run, from where it is to its end, or to where it is stopped."""

    def __init__(
        self, session: Session, questions: Questions, programs: Programs, scope: Scope, *, live: bool
    ) -> None:
        self.session = session
        self.questions = questions
        self.programs = programs
        self.scope = scope
        self.live = live
        self.region: Region | None = None
        self.done = False
        self.woken = trio.Event()
        self.is_quiet = False
        self.renewal = math.inf
        """When the lease is to be renewed, by Trio's clock."""
        self.shield: trio.CancelScope

    async def perform(self, plan: Performs[Any, Any]) -> Any:
        session, run = self.session, self.scope.run
        cancelling = await is_there(session.store, CANCELS, session.header.run_id)
        if cancelling or not run.alone:
            self.region = Region(run, cancelled=cancelling)
        if run.alone:
            return await self._finish(plan)
        session.quiet = self._quieten
        self.renewal = trio.current_time() + session.lease.seconds / 3
        answer: Any = None
        failure: BaseException | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch)
                with self._pacing(), trio.CancelScope(shield=True) as self.shield:
                    try:
                        answer = await self._finish(plan)
                    except (Exception, Stopped) as error:
                        failure = error  # not through the nursery, which would make a group of it
                self.done = True
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:  # as it does of Ctrl-C
            failure = group.exceptions[0] if len(group.exceptions) == 1 else group
        if isinstance(failure, Stopped):
            await trio.lowlevel.checkpoint_if_cancelled()
        if failure is not None:
            raise failure
        return answer

    async def _finish(self, plan: Performs[Any, Any]) -> Any:
        """Perform it, and write down what became of it."""
        session = self.session
        answer: Any = None
        try:
            with self._within():
                path = self.scope.path
                answer = await self.scope.run.tell(self._to_the_end(plan), path, Root(str(path[0])))
                self._check_nothing_is_left()
                with self._shielded():
                    await self._write("succeeded", answer)
                return answer
        except Misuse as error:
            session.fail(error)  # to be mended and resumed: it is no outcome
        except Exception as error:
            if not session.stopped:
                with self._shielded():
                    await self._write("failed", error)
                raise
        except BaseException as error:
            if _is_foreign(error, self.scope.run):
                session.died = True
                raise
        else:
            if not session.stopped:
                cancelled = RunCancelled(f"the run {session.header.run_id!r} was cancelled")
                with self._shielded():
                    await self._write("cancelled", cancelled)
                raise cancelled
        if session.fatal is not None:  # which a clean-up has hidden, when its effects were refused
            session.died = True
            raise session.fatal
        with self._shielded():
            raise await self._stopped(plan)

    def _shielded(self) -> Any:
        return nullcontext() if self.scope.run.alone else trio.CancelScope(shield=True)

    async def _stopped(self, plan: Performs[Any, Any]) -> BaseException:
        """Leave the run for another time. Answers why, to be raised."""
        session = self.session
        failure = session.failure
        if isinstance(failure, NondeterminismError):
            # Who asks is known only now that the error has passed the plan.
            failure.args = (f"{failure}\n  The plan: {last_line(failure) or where(plan)}",)
        if failure is not None:
            return failure
        if not session.suspended:
            return Stopped()
        await self._write("suspended")
        run_id, questions = session.header.run_id, list(self.questions.open.values())
        return RunSuspended(
            f"the run {run_id!r} waits for an answer to {' and '.join(map(repr, questions))}: answer with "
            f"`Durable.answer({run_id!r}, ...)`, or `lambdacat answer {quote(run_id)} VALUE`, and resume it",
            run_id=run_id,
            questions=questions,
        )

    async def _to_the_end(self, plan: Performs[Any, Any]) -> Any:
        while True:
            try:
                return await drive(performable(plan), *self.scope)
            except Continued as continued:
                if self.session.stopped:
                    raise Stopped from None
                plan = continued.plan()
                header = self.programs.header(self.session.header, continued)
                asked = self.session.asks
                answered = await without_questions(self.session.store, header.run_id) if asked else ()
                await self.session.begin_anew(self.scope, header, answered)

    def _within(self) -> Any:
        if self.region is None:
            return nullcontext()
        if self.region.cancelled:
            return self.session.within((), self.region, concluded=False)
        return self.region

    def _check_nothing_is_left(self) -> None:
        session = self.session
        for place, slot in sorted(session.slots.items()):
            record = slot.final
            if slot.used or record is None or slot.was_cancelled:
                continue
            raise session.mismatch(place, record.text(), "nothing, and the plan has ended")

    async def _write(self, status: Status, outcome: Any = None) -> None:
        session = self.session
        if status != "suspended":
            await session.flush(self.scope)  # what was cancelled is a part of what has happened
        header = attrs.evolve(
            session.header,
            status=status,
            changed=self.scope.run.clock.now(),
            records=session.numbering.there,
        )
        changes: list[Change] = [*session.lease.released()]
        if status != "suspended":
            header.outcome = [self._outcome(outcome)]
            run_id = header.run_id
            changes.append(Delete(CANCELS, run_id))
            if session.asks:
                changes += await without_questions(session.store, run_id)
        elif (
            not self.scope.run.alone
        ):  # where the first question suspends a run, what others ask is not known
            changes += await self.questions.outlived()
        data = header.encode()
        session.header = header  # before: if the reply is lost, nobody writes the former one over it
        await session.commit(self.scope, [*changes, Put(RUNS, header.run_id, data)])
        session.lease.given_back = True

    def _outcome(self, outcome: Any) -> Any:
        if not isinstance(outcome, Exception):
            return self.session.written(outcome)
        try:
            return exactly().write(outcome)
        except Misfit:
            return exactly().write(RecordedError(class_name(type(outcome)), str(outcome)))

    def _pacing(self) -> Any:
        return waiting_often(self.scope.run) if self.live else nullcontext()

    def _quieten(self) -> None:
        self.is_quiet = True
        self.woken.set()

    async def _watch(self) -> None:
        """Look after the run from outside, until it has ended."""
        try:
            with watching(self, self.session.store) if self.live else nullcontext() as lookout:
                await self._look_after(lookout)
            self._stop()
            await trio.sleep_forever()
        except trio.Cancelled:
            if not self.done:
                # From outside. The run is not cancelled by that: it goes on when it is resumed.
                self.session.stopped = True
                self._stop()
            raise

    def _stop(self) -> None:
        self.shield.cancel()
        self.questions.stop()

    async def _look_after(self, lookout: Lookout | None) -> None:
        """Return when the run is to be stopped, and the session knows why."""
        session = self.session
        try:
            while True:
                await self._be_woken(lookout)
                if self.is_quiet:
                    self.is_quiet = False
                    if await self._stays_quiet():
                        session.stopped = session.suspended = True
                        return
                if lookout is not None and not await self._has_renewed():
                    session.lose_lease()
                    return
        except Exception as error:  # of the store
            session.fail(error)

    async def _be_woken(self, lookout: Lookout | None) -> None:
        until = math.inf if lookout is None else self.renewal
        looks = lookout is not None and lookout.is_with(self)
        if lookout is not None and looks:
            until = min(until, lookout.next_look)
        with trio.move_on_at(until):
            await self.woken.wait()
        self.woken = trio.Event()
        if lookout is not None and looks and trio.current_time() >= lookout.next_look:
            await lookout.look(self.session.store)

    async def _stays_quiet(self) -> bool:
        session = self.session
        for _ in range(_TICKS):
            await trio.lowlevel.checkpoint()
            await self.questions.look()
        return 0 < session.parked >= session.leaves and not session.stopped

    async def _has_renewed(self) -> bool:
        """Renew the lease, if it is time for that. By an absolute time: however often the run was woken meanwhile."""
        session = self.session
        if trio.current_time() < self.renewal:
            return True
        self.renewal = trio.current_time() + session.lease.seconds / 3
        return await session.store.batch(session.lease.renewed(self.scope.run.clock.now()))

    # As those see it who look out for it

    @property
    def run_id(self) -> str:
        return self.session.header.run_id

    def wake(self) -> None:
        self.woken.set()

    def cancel(self) -> None:
        if self.region is not None and not self.region.was_cut:
            self.region.cut_soon()

    async def look(self) -> None:
        await self.questions.look()


def _is_foreign(error: Any, run: Run) -> bool:
    """Whether it is none of ours: the process is to end."""
    if isinstance(error, BaseExceptionGroup):
        members: tuple[Any, ...] = cast(Any, error).exceptions
        return any(_is_foreign(member, run) for member in members)
    return not isinstance(error, (Exception, Stopped, run.cancelled))


def outcome_of(header: Header) -> Any:
    """What an ended run answered. Raises what it raised, and `JournalUnreadable` if that cannot be read any more."""
    try:
        if header.status == "succeeded":
            return read(header.outcome[0])
        error = read_error(header.outcome[0])
    except Misfit as misfit:
        raise JournalUnreadable(
            f"the outcome of the run {header.run_id!r} cannot be read: outcome{misfit.place} {misfit.problem}. Read "
            "it with the code it ended with, or restore the store from a backup"
        ) from None
    raise error
