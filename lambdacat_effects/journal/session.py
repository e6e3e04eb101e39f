"""The journal of one run, open: what it holds, and what is added to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import attrs
import trio

from lambdacat_effects.effects.durable import Patched
from lambdacat_effects.errors import (
    LeaseLost,
    LimitExceeded,
    NondeterminismError,
    NotSerialisable,
)
from lambdacat_effects.journal.asked import describe
from lambdacat_effects.journal.clearing import deleted
from lambdacat_effects.journal.committing import commit, settle
from lambdacat_effects.journal.keys import entries_of, entry_key
from lambdacat_effects.journal.leases import Lease
from lambdacat_effects.journal.numbering import Numbering
from lambdacat_effects.journal.records import (
    ENTRIES,
    QUESTIONS,
    RUNS,
    Header,
    Kind,
    Place,
    Record,
    asked_text,
    place_text,
    shortened,
)
from lambdacat_effects.journal.regions import Region
from lambdacat_effects.runtime.boundary import Decision
from lambdacat_effects.runtime.events import Path
from lambdacat_effects.runtime.run import Run, Scope
from lambdacat_effects.storage.exact.redaction import Redaction, Redactor
from lambdacat_effects.storage.exact.writing import Writer, exactly
from lambdacat_effects.storage.leaves import Misfit
from lambdacat_effects.storage.port import Change, Delete, Expect, Put, Store

__all__ = ["Session", "Slot", "Stopped"]


class Stopped(BaseException):
    """The run is not performed any further here: effects are refused, in its clean-up, too, which belongs to its end.
    It goes on when it is resumed."""


@attrs.define(eq=False)
class Slot:
    """What is known of one place."""

    final: Record | None = None
    """How it ended."""
    started: Record | None = None
    cut: Record | None = None
    used: bool = False
    """Whether the plan has come by since the journal was opened."""

    @property
    def was_cancelled(self) -> bool:
        """Whether it was cancelled: perhaps before it came to ask, this time."""
        return self.final is not None and self.final.kind is Kind.CANCELLED


@attrs.define(eq=False)
class Session:
    """The journal of one run, in use by whoever holds its lease."""

    store: Store
    header: Header
    lease: Lease
    redaction: Redaction
    """What of the arguments of effects is not written."""
    most_bytes: int
    """How long a record may be."""
    slots: dict[Place, Slot] = attrs.field(factory=dict[Place, Slot])
    numbering: Numbering = attrs.field(factory=Numbering)
    questions: dict[Place, str] = attrs.field(factory=dict[Place, str])
    """Where something was asked of somebody outside, and the key of the question."""
    pending: list[tuple[Record, Sequence[Change]]] = attrs.field(
        factory=list[tuple[Record, Sequence[Change]]]
    )
    """Cancellations that nobody need know of until the plan has gone on after them."""
    landing: set[trio.Event] = attrs.field(factory=set[trio.Event])
    """The commits under way that have such cancellations: each event is set when one is over."""
    deadlines: dict[Place, tuple[trio.CancelScope, float]] = attrs.field(
        factory=dict[Place, tuple[trio.CancelScope, float]]
    )
    """Those that count only from where something new is asked within, by Trio's clock."""
    regions: dict[Place, Region] = attrs.field(factory=dict[Place, Region])
    concluded: set[Place] = attrs.field(factory=set[Place])
    """The regions in which nothing is left to be done."""
    asks: bool = False
    """Whether there may be questions of the run in the store, or answers to them."""
    stopped: bool = False
    """Whether the run is not performed any further here."""
    suspended: bool = False
    """Whether that is since it waits for an answer."""
    died: bool = False
    """Whether the process is to end, so that nothing may be written any more."""
    failure: BaseException | None = None
    """Why, if something went wrong with the journal or the program, and not with the plan."""
    fatal: BaseException | None = None
    """What ends the process, such as Ctrl-C."""
    leaves: int = 1
    """How many tasks perform the plan, without those that wait for others."""
    parked: int = 0
    """How many of them wait for an answer from outside."""
    quiet: Callable[[], object] | None = None
    """Called when nobody can go on without an answer."""
    _describing: Writer | None = None
    _exactly: Writer = attrs.field(factory=exactly)
    forks: set[Place] = attrs.field(factory=set[Place])
    """The combinators that the plan has come by, whose branches go on side by side."""
    patches: dict[str, bool] = attrs.field(factory=dict[str, bool])
    """What `Patched` was answered, by what was asked."""
    deciding: dict[str, bool] = attrs.field(factory=dict[str, bool])
    """The same, before it is in the store."""
    _turn: trio.Event | None = None
    """Set when whoever does something in turn has done it."""
    _begun: dict[Place, Record] = attrs.field(factory=dict[Place, Record])
    """The beginnings of combinators that are written with whatever is written next."""
    _prefix: str = attrs.field(init=False)
    """What the keys of the records begin with."""
    _last: dict[Place, int] = attrs.field(factory=dict[Place, int])
    """Of each plan and combinator within which there are records, the highest number of an effect or a branch."""
    _unnumbered: dict[Path, int] = attrs.field(factory=dict[Path, int])
    """How many effects of a plan have no number in the journal."""

    def __attrs_post_init__(self) -> None:
        self._prefix = entries_of(self.header)

    # What it holds

    def place(self, path: Path) -> Place:
        """The place of an effect in the journal: its path, in which `patched` does not count."""
        if not self._unnumbered:
            return tuple([int(step) for step in path[1:]])
        return tuple([int(path[i]) - self._unnumbered.get(path[:i], 0) for i in range(1, len(path))])

    def leave_out(self, path: Path) -> None:
        """Count the effect at `path` no more: the next one has its place."""
        self._unnumbered[path[:-1]] = self._unnumbered.get(path[:-1], 0) + 1

    def knows(self, path: Path, effect: object) -> bool:
        """Whether an effect has been answered before, so that even a cancelled plan comes by it."""
        if isinstance(effect, Patched):
            return self.asked(effect) in self.patches
        place = self.place(path)
        slot = self.slots.get(place)
        if slot is not None and slot.final is not None:
            return not slot.was_cancelled
        # Also what has no record of its own: a combinator that ended by itself, a span, a log.
        return self.has_begun(place) or self.is_past(place)

    def is_past(self, place: Place) -> bool:
        """Whether the plan of an effect, or one around that, has gone on after it: what is new is too late."""
        if self.has_gone_on(place, 0):
            return True
        return any(concluded and not region.cancelled for region, concluded in self.around(place))

    def has_gone_on(self, place: Place, since: int) -> bool:
        """Whether something is known that comes after it, in its own plan or in one of those around that, of which
        the first `since` steps of the place are left out."""
        for length in range(since, len(place)):
            before = place[:length]
            # (The branches of a combinator do not follow one another.)
            if self._last.get(before, 0) > place[length] and before not in self.forks:
                return True
        return False

    def has_begun(self, place: Place) -> bool:
        """Whether something is known of what a branch or a combinator performs."""
        return place in self._last

    def is_replaying(self, place: Place) -> bool:
        """Whether something that is known has still to be asked for again, here or in another branch."""
        if place in self.slots or self.is_past(place):
            return True
        return any(not slot.used and not slot.was_cancelled for slot in self.slots.values())

    def asked(self, effect: Any) -> str:
        """What an effect asks for, as the journal has it."""
        writer = self._describing
        if writer is None or writer.redactor.knows_secrets:
            # Another one: a redactor that remembered the secrets it has seen would make texts depend on the order.
            writer = self._describing = Writer(Redactor(self.redaction), exactly=False)
        return shortened(describe(effect, writer))

    def keep(self, record: Record, *, used: bool = False) -> None:
        """Note a record that is in the store."""
        if record.kind is Kind.PATCHED:
            self.patches[record.asked] = bool(record.data)
            return
        slot = self.slots.setdefault(record.place, Slot())
        slot.used = slot.used or used
        if record.kind is Kind.STARTED:
            slot.started = record
        elif record.kind is Kind.CUT:
            slot.cut = record
        else:
            slot.final = record
        place = record.place
        for length in range(len(place)):
            before = place[:length]
            self._last[before] = max(place[length], self._last.get(before, 0))

    def mismatch(self, place: Place, recorded: str, asked: str) -> BaseException:
        """Stop, as the plan is not the one that the journal tells of. Answers the error, to be raised."""
        return self.fail(
            NondeterminismError(
                f"the run {self.header.run_id!r} cannot be resumed at {place_text(place)}:\n"
                f"  recorded: {recorded}\n"
                f"  asked:    {asked}\n"
                "Its plan has changed since, or depends on something that is no effect (a clock, chance, a global). "
                "Guard new lines with `if (yield from patched(...))`, or resume the run with the code it began with"
            )
        )

    # What is added

    def written(self, value: object, asked: object = None) -> Any:
        """The answer to `asked`, or else that of the plan, as JSON, exactly. Raises `NotSerialisable`, and stops, if
        that cannot be."""
        try:
            return self._exactly.write(value)
        except Misfit as misfit:
            raise self.fail(
                NotSerialisable(self._unkept(asked, f"answer{misfit.place} {misfit.problem}"))
            ) from None
        except RecursionError:
            raise self.fail(NotSerialisable(self._unkept(asked, "it is nested too deeply"))) from None

    def _unkept(self, asked: object, why: str) -> str:
        whose = "the plan" if asked is None else asked_text(self.asked(asked))
        return (
            f"the answer of {whose} cannot be kept in the journal: {why}. The run has stopped there: resume it with "
            f"{'a plan' if asked is None else 'a handler'} whose answers can be kept"
        )

    def withdrawn(self, place: Place) -> list[Change]:
        """The changes that withdraw what is asked at a place, which has been cancelled, or by what answers there."""
        asked = self.questions.items()
        return [Delete(QUESTIONS, key) for where, key in asked if where[: len(place)] == place]

    def begin(self, place: Place, asked: str) -> None:
        """Note that a combinator begins. That is written with the first thing that is known of its branches."""
        slot = self.slots.get(place)
        if slot is None or slot.started is None:
            self._begun[place] = Record(Kind.STARTED, place, asked)

    def end(self, place: Place) -> None:
        """Note that it is over: if nothing was written meanwhile, nobody need know that it began."""
        self._begun.pop(place, None)

    async def flush(self, scope: Scope) -> None:
        """Write the cancellations that were not urgent, since the plan is about to go on after them."""
        while self.pending or self.landing:
            if self.pending:
                await self.append(scope)
                continue
            # Another branch is writing them, and perhaps one of this plan's is among them.
            try:
                await settle(next(iter(self.landing)), scope)
            except Exception as error:
                raise self.fail(error) from None
            if self.failure is not None:
                raise Stopped

    async def append(
        self,
        scope: Scope,
        *records: Record,
        changes: Sequence[Change] = (),
        expected: Sequence[Expect] = (),
    ) -> bool:
        """Write records, and make `changes` with them: all or nothing, whatever is cancelled meanwhile. Answers
        whether what was `expected` was so; else nothing is written."""
        if self.failure is not None:
            raise Stopped
        while expected and self._begun:
            await self.append(scope)  # what is written on a condition may not be written
        begun, self._begun = list(self._begun.values()), {}
        records = (*begun, *records)
        pending, self.pending = self.pending, []
        if not pending:
            return await self._append(scope, [], records, changes, expected)
        over = trio.Event()
        self.landing.add(over)
        try:
            return await self._append(scope, pending, records, changes, expected)
        finally:
            self.landing.remove(over)
            over.set()

    async def _append(
        self,
        scope: Scope,
        pending: list[tuple[Record, Sequence[Change]]],
        records: Sequence[Record],
        changes: Sequence[Change],
        expected: Sequence[Expect],
    ) -> bool:
        written = [*(record for record, _ in pending), *records]
        batch: list[Change] = [self.lease.stands, *expected]
        for _, theirs in pending:
            batch += theirs
        batch += changes
        numbers = self.numbering.take(len(written))
        after = self.numbering.after(numbers)
        for number, record in zip(numbers, written, strict=True):
            record.after = after
            data = record.encode(self.header.run_id)
            self._check_size(record, data)
            batch.append(Put(ENTRIES, entry_key(self._prefix, number), data))
        if not await self.commit(scope, batch, conditional=bool(expected)):
            self.numbering.give_back(numbers)
            self.pending = [*pending, *self.pending]
            return False
        self.numbering.written(numbers)
        for record in written:
            self.keep(record, used=True)
        return True

    async def commit(self, scope: Scope, changes: Sequence[Change], *, conditional: bool = False) -> bool:
        """Make changes that expect the lease to stand, and perhaps something else. Stops if they cannot be made."""
        try:
            made = await commit(self.store, changes, scope)
            if not made and conditional:
                # Not necessarily the lease.
                fence = self.lease.stands
                if await self.store.get(fence.namespace, fence.key) == fence.value:
                    return False
        except Exception as error:
            raise self.fail(error) from None
        if not made:
            raise self.lose_lease()
        return True

    def _check_size(self, record: Record, data: bytes) -> None:
        if len(data) > self.most_bytes:
            raise self.fail(
                LimitExceeded(
                    f"the answer of {record.text()} at {place_text(record.place)} takes {len(data)} bytes in the "
                    f"journal, and at most {self.most_bytes} are allowed: answer with a reference to where it is "
                    "kept, or raise the limit (`Durable(most_bytes=)`)"
                )
            )

    def lose_lease(self) -> BaseException:
        """Stop, since the run has been taken over. Answers the error, to be raised."""
        return self.fail(
            LeaseLost(
                f"the run {self.header.run_id!r} was taken over, by another process or another task of this one, as "
                f"its lease of {self.lease.seconds:g} s was not renewed in time: it goes on there"
            )
        )

    def fail(self, error: BaseException) -> BaseException:
        """Stop, because of this, unless it has failed before. Answers the error, to be raised."""
        if self.failure is None:
            self.failure = error
        self.stopped = True
        return error

    async def begin_anew(self, scope: Scope, header: Header, changes: Sequence[Change]) -> None:
        """Continue as a new generation, with an empty journal, and make `changes` with that."""
        await self.flush(scope)  # what was cancelled may have changed something
        await self.commit(scope, [self.lease.stands, *changes, Put(RUNS, header.run_id, header.encode())])
        old, count = self._prefix, self.numbering.count
        self.header, self._prefix = header, entries_of(header)
        self.numbering = Numbering()
        self.questions.clear()
        # (Not the regions: one that is cancelled by now goes on to be, around the new plan.)
        known: list[Any] = [self.slots, self.forks, self.patches, self.deciding]
        for kept in [*known, self._begun, self._last, self._unnumbered]:
            kept.clear()
        self.pending.clear()
        for batch in deleted(old, count):
            await self.commit(scope, [self.lease.stands, *batch])

    def arm(self, place: Place) -> None:
        """Something new is asked here: the deadlines around it count from now on."""
        if self.deadlines:
            for length in range(len(place) + 1):
                scope, until = self.deadlines.pop(place[:length], (None, 0.0))
                if scope is not None:
                    scope.deadline = until

    @asynccontextmanager
    async def in_turn(self, scope: Scope) -> AsyncGenerator[None, None]:
        """Do something that others may not do at the same time."""
        while self._turn is not None:
            await settle(self._turn, scope)
        turn = self._turn = trio.Event()
        try:
            yield
        finally:
            self._turn = None
            turn.set()

    # Who goes on

    def was_cancelled(self, run: Run, error: BaseException) -> bool:
        """Whether the plan was cancelled by itself, to go on afterwards. Whatever else ends it, ends it here only."""
        if not self.stopped and not _is_cancellation(run, error):
            self.stopped = True
            self.fatal = error
        return not self.stopped

    @contextmanager
    def branching(self, decision: Decision) -> Generator[None, None, None]:
        """Perform a combinator: its branches are tasks of their own, for which this one waits."""
        decision.began, decision.ended = self._branch_began, self._branch_ended
        self.leaves -= 1
        try:
            yield
        finally:
            self.leaves += 1

    def _branch_began(self, _index: int) -> None:
        self.leaves += 1

    def _branch_ended(self, _index: int) -> None:
        self.leaves -= 1
        self.look_around()

    def look_around(self) -> None:
        """See whether anybody can go on."""
        if self.parked >= max(1, self.leaves) and self.quiet is not None:
            self.quiet()

    # Regions

    @contextmanager
    def within(self, place: Place, region: Region, *, concluded: bool) -> Generator[Region, None, None]:
        """Perform a branch in a region of its own."""
        self.regions[place] = region
        region.depth = len(place)
        if concluded:
            self.concluded.add(place)
            region.shield()
        try:
            with region:
                yield region
        finally:
            del self.regions[place]
            self.concluded.discard(place)

    def around(self, place: Place) -> Iterable[tuple[Region, bool]]:
        """The regions around a place, the innermost first, and whether nothing is left to be done there."""
        if self.regions:
            for length in range(len(place) - 1, -1, -1):
                region = self.regions.get(place[:length])
                if region is not None:
                    yield region, place[:length] in self.concluded


def _is_cancellation(run: Run, error: BaseException) -> bool:
    """Whether an error is cancellation, alone or with failures of branches."""
    if isinstance(error, BaseExceptionGroup):
        members = cast("BaseExceptionGroup[BaseException]", error).exceptions
        return all(_is_cancellation(run, e) or isinstance(e, Exception) for e in members)
    return isinstance(error, run.cancelled)
