"""A durable run over several lives of its process. Each ends by a crash, or with the run; the store outlives it."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from random import Random as Seeded
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, cast

import attrs
import trio

from lambdacat_effects.effects.effect import Effect, Plan
from lambdacat_effects.effects.tools import CallTool
from lambdacat_effects.errors import InvalidArgument, RunSuspended
from lambdacat_effects.journal.durable import Durable
from lambdacat_effects.journal.idempotency import idempotency_key
from lambdacat_effects.journal.records import (
    ANSWERS,
    CANCELS,
    ENTRIES,
    FENCES,
    LEASES,
    NUMBERS,
    QUESTIONS,
    RUNS,
    Header,
    Kind,
    Record,
    place_text,
)
from lambdacat_effects.runtime.handler import Handler, ambient
from lambdacat_effects.storage.memory_store import InMemoryStore
from lambdacat_effects.storage.port import Change, Delete, Expect, Put, Store
from lambdacat_effects.testing.simulation import Crash, Fault, Report
from lambdacat_effects.testing.simulation.faults import FaultsLike, listed
from lambdacat_effects.testing.simulation.running import perform_once
from lambdacat_effects.testing.simulation.schedules import RandomWalk
from lambdacat_effects.testing.simulation.trace import plain_text

__all__ = ["RUN_ID", "Call", "Contents", "Disk", "Lives", "Mortal", "Point"]

RUN_ID = "swept"
"""The run's id."""
_JOURNAL = frozenset({ANSWERS, CANCELS, ENTRIES, FENCES, LEASES, NUMBERS, QUESTIONS, RUNS})
_FINAL = (Kind.ANSWERED, Kind.FAILED, Kind.CANCELLED)
_MOST_LIVES = 200
_PAUSES = (0.0, 0.1, 2.0, 40.0, 3600.0)
"""Seconds between the death of a process and the next one's birth, where that makes a difference."""

Contents: TypeAlias = dict[str, dict[str, bytes]]
"""What a store keeps, by namespace and key."""


@attrs.frozen
class Point:
    """Where a process dies."""

    what: Literal["before write", "after write", "before step"]
    """A write of the store, or a step of the simulation."""
    number: int
    """Of the write, from 1; of the step, from 0."""
    run: int = 0
    """In which performance of the life, if an answer to a question let the run go on."""
    of: str = ""
    """The step, for people."""

    def __str__(self) -> str:
        return f"{self.what} {self.number}" + (f" ({self.of})" if self.of else "")


@attrs.frozen
class Call:
    """An effect that was asked of the handlers of a run."""

    key: str
    """Its idempotency key."""
    effect: Effect[Any]
    life: int
    """In which life of the process, from 0."""

    def __str__(self) -> str:
        return f"{plain_text(self.effect)} ({self.key})"

    @property
    def generation(self) -> str:
        """The run, and how often it had continued as new."""
        return self.key.rpartition(":")[0]

    @property
    def place(self) -> tuple[int, ...]:
        """Where in the plan."""
        return tuple(map(int, self.key.rpartition(":")[2].split(".")))

    def comes_after(self, other: Call) -> bool:
        """Whether the plan that asked for the other had gone on when this was asked for."""
        depth = len(other.place) - 1
        return (
            self.generation == other.generation
            and self.place[:depth] == other.place[:depth]
            and self.place[depth : depth + 1] > other.place[depth:]
        )


class Disk(InMemoryStore):
    """What outlives the process."""

    def contents(self) -> Contents:
        """All that it keeps, by namespace and key."""
        return {namespace: dict(values) for namespace, values in self._namespaces.items()}

    @staticmethod
    def of(contents: Contents) -> Disk:
        """One that keeps this."""
        disk = Disk()
        disk._namespaces = {namespace: dict(values) for namespace, values in contents.items()}
        return disk


class Mortal(Store):
    """A process's way to the disk, which ends with the process.

    A write waits, before the disk has it and after, as a real one does.
    """

    def __init__(self, disk: Disk, dies: Point | None) -> None:
        self.disk: Disk = disk
        self.dead: bool = False
        self.writes: int = 0
        self._dies = dies

    def check_alive(self) -> None:
        """Raise `Crash` if the process is gone."""
        if self.dead:
            raise Crash("the process is dead")

    @property
    def place(self) -> Hashable:
        return self.disk

    async def get(self, namespace: str, key: str) -> bytes | None:
        self.check_alive()
        return await self.disk.get(namespace, key)

    async def scan(self, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
        self.check_alive()
        return await self.disk.scan(namespace, prefix)

    async def put(self, namespace: str, key: str, value: bytes) -> None:
        await self.batch([Put(namespace, key, value)])

    async def delete(self, namespace: str, key: str) -> bool:
        found = await self.get(namespace, key) is not None
        await self.batch([Delete(namespace, key)])
        return found

    async def compare_and_swap(
        self, namespace: str, key: str, expected: bytes | None, value: bytes | None
    ) -> bool:
        change = Delete(namespace, key) if value is None else Put(namespace, key, value)
        return await self.batch([Expect(namespace, key, expected), change])

    async def batch(self, changes: Sequence[Change]) -> bool:
        self.check_alive()
        self.writes += 1
        number = self.writes
        await trio.lowlevel.cancel_shielded_checkpoint()
        self._die_at("before write", number)
        made = await self.disk.batch(changes)
        self._die_at("after write", number)
        await trio.lowlevel.cancel_shielded_checkpoint()
        self.check_alive()
        return made

    async def size(self) -> int:
        return await self.disk.size()

    async def compact(self) -> None:
        await self.disk.compact()

    async def aclose(self) -> None:
        """The disk stays."""
        self.check_alive()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The disk stays."""

    def _die_at(self, what: str, number: int) -> None:
        point = self._dies
        if point is not None and (point.what, point.number) == (what, number):
            self.dead = True
        self.check_alive()


class Lives:
    """One durable run, from its beginning to its end, however often its process dies meanwhile.

    `wrong` has what should not have been, told of each life and of all together.
    """

    def __init__(
        self,
        make: Callable[..., Any],
        args: tuple[Any, ...],
        handlers: Callable[[Store], Handler[Any]],
        answers: Mapping[str, object],
        faults: FaultsLike | None,
        timing: bool,
    ) -> None:
        self.disk: Disk = Disk()
        self.calls: list[Call] = []
        self.reports: list[Report] = []
        """Of the last life: one for each time that the run was performed in it."""
        self.writes: int = 0
        """How often the last life has written."""
        self.deaths: list[str] = []
        self.wrong: list[str] = []
        self._make = make
        self._args = args
        self._handlers = handlers
        self._answers = answers
        self._faults = listed(faults)
        self._timing = timing
        self._pauses = Seeded(0)
        self._now = 0.0
        self.count: int = 0
        """How many lives there have been."""
        self.lost: int = 0
        """How many replies were lost."""

    # Living

    def live(self, seed: int | str, dies: Point | None = None) -> bool:
        """Perform the run until the process dies, or the run has ended, or stops. Answers whether it died."""
        before = self.disk.contents()
        store = Mortal(self.disk, dies)
        first = len(self.calls)
        self.reports = []
        died = False
        try:
            self._perform(store, seed, dies)
        except Crash:
            died = True
        died |= store.dead or any(_crashed(report) for report in self.reports)
        self.writes = store.writes
        self.count += 1
        if died:
            self.deaths.append(str(dies) if dies is not None else "at random")
            self._now += self._pauses.choice(_PAUSES) if self._timing else 0.0
        self._check_life(before, self.calls[first:])
        return died

    def to_the_end(self, seed: int | str) -> None:
        """Live until the run has ended."""
        while self.header is None or self.header.outcome is None:
            if self.count >= _MOST_LIVES:
                self.wrong.append(f"the run has not ended after {_MOST_LIVES} lives")
                return
            died = self.live(f"{seed}/{self.count}")
            error = self.reports[-1].outcome[1] if self.reports else None
            ended = self.header is not None and self.header.outcome is not None
            if not died and not ended and not self.reports[-1].injected:
                self.wrong.append(f"the run cannot go on: {error!r}")
                return

    def _perform(self, store: Mortal, seed: int | str, dies: Point | None) -> None:
        durable = Durable(store)

        def scenario() -> Any:
            handlers = self._handlers(store).behind(self._spy(store))
            return durable.prepared(RUN_ID, self._make, *self._args, handlers=handlers)

        while True:
            faults = self._faults
            if dies is not None and dies.what == "before step" and dies.run == len(self.reports):
                faults = (Fault("crash", step=dies.number), *faults)
            again = f"{seed}/{len(self.reports)}"
            report, _ = perform_once(scenario, RandomWalk(again), faults, again, begins=self._now)
            self._now += report.time
            self.reports.append(report)
            self.lost += sum(fault.kind == "lost_reply" for fault in report.faults)
            error = report.outcome[1]
            if store.dead or _crashed(report) or not isinstance(error, RunSuspended):
                return
            for question in error.questions:
                if question not in self._answers:
                    raise InvalidArgument(f"the run asks {question!r}, and answers= has nothing for that")
                trio.run(_answer, durable, self._answers[question], question)

    def _spy(self, store: Mortal) -> Callable[[Any], Plan[Any, Any]]:
        life = self.count

        def spy(effect: Effect[Any]) -> Plan[Any, Any]:
            store.check_alive()
            self.calls.append(Call(idempotency_key() or "none", effect, life))
            return (yield from effect)

        return spy

    # What became of it

    @property
    def header(self) -> Header | None:
        """The run's header, if it has begun."""
        data = self.disk.contents().get(RUNS, {}).get(RUN_ID)
        return None if data is None else Header.decode(RUN_ID, data)

    @property
    def outcome(self) -> tuple[str, Any]:
        """How it ended, as the journal has it."""
        header = self.header
        assert header is not None
        return header.status, header.outcome

    @property
    def memory(self) -> Contents:
        """What it has left in the store, without its journal."""
        return {name: values for name, values in self.disk.contents().items() if name not in _JOURNAL}

    @property
    def repeated(self) -> int:
        """How many calls were made again."""
        return len(self.calls) - len({call.key for call in self.calls})

    def check_replay(self) -> None:
        """Perform it once more from the journal alone, with no handlers: it ends the same, and does nothing."""
        header = self.header
        assert header is not None
        contents = self.disk.contents()
        contents[RUNS][RUN_ID] = attrs.evolve(header, status="running", outcome=None).encode()
        again = Disk.of(contents)
        durable = Durable(again)
        report, _ = perform_once(
            lambda: durable.prepared(RUN_ID, self._make, *self._args, handlers=cast(Any, ambient)),
            RandomWalk(7),
            (),
            7,
            begins=self._now,
        )
        now = Header.decode(RUN_ID, again.contents()[RUNS][RUN_ID])
        if now.outcome is None:
            self.wrong.append(f"it cannot be replayed from its journal alone: {report.outcome[1]!r}")
        elif (now.status, now.outcome) != self.outcome:
            self.wrong.append(
                f"replayed from its journal it ends otherwise: {now.outcome} for {header.outcome}"
            )
        for key, data in again.contents().get(ENTRIES, {}).items():
            # (Where branches end by themselves nothing has to be decided, but another schedule may do so first.)
            if key not in contents.get(ENTRIES, {}) and Record.decode(data).kind not in (
                Kind.CUT,
                Kind.DECIDED,
            ):
                self.wrong.append(f"a replay of the whole journal has added to it: {data.decode()}")

    def _check_life(self, before: Contents, calls: Sequence[Call]) -> None:
        now = self.disk.contents()
        header = self.header
        kept = f".{header.generation:x}." if header is not None else ""
        answered: set[str] = set()
        for key, data in before.get(ENTRIES, {}).items():
            record = Record.decode(data)
            found = now.get(ENTRIES, {}).get(key)
            if found is None and kept in key:
                self.wrong.append(f"the record of {record.text()} at {place_text(record.place)} is lost")
            elif found not in (None, data):
                self.wrong.append(f"the record of {record.text()} at {place_text(record.place)} has changed")
            if record.kind in _FINAL:
                generation = int(key.split(".")[1], 16)
                answered.add(f"{RUN_ID}{f'#{generation}' if generation else ''}:{place_text(record.place)}")
        self.wrong += [f"{call} was answered, and is asked again" for call in calls if call.key in answered]

    def check_calls(self) -> None:
        """Whether only what was in flight was asked again, and each key stands for one call."""
        seen: dict[str, Call] = {}
        latest: list[Call] = []
        for call in self.calls:
            earlier = seen.setdefault(call.key, call)
            if earlier.effect != call.effect:
                self.wrong.append(f"one key stands for two calls: {earlier} and {call}")
            elif earlier is not call:
                # (A life in which it was cancelled before it asked could not know that it was in flight.)
                lives = {other.life for other in latest if other.key == call.key}
                later = next((one for one in latest if one.life in lives and one.comes_after(call)), None)
                if later is not None:
                    self.wrong.append(f"{call} is asked again, though its plan had gone on to {later}")
            latest.append(call)
        calls = [(call.key, call.life) for call in self.calls if isinstance(call.effect, CallTool)]
        self.wrong += [
            f"{twice} was called twice in one life" for twice in {c for c in calls if calls.count(c) > 1}
        ]

    def story(self) -> str:
        """The journal and the calls, for people."""
        entries = sorted(self.disk.contents().get(ENTRIES, {}).items())
        lines = [f"  {json.dumps(json.loads(data), ensure_ascii=False)[:110]}" for _, data in entries]
        calls = [f"  life {call.life}: {call}"[:110] for call in self.calls]
        return "\n".join(["The journal:", *lines, "What was asked of the handlers:", *calls])


async def _answer(durable: Durable, value: object, question: str) -> None:
    await durable.answer(RUN_ID, value, question=question)


def _crashed(report: Report) -> bool:
    return isinstance(report.outcome[1], Crash)
