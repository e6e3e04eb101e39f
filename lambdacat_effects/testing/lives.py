"""A durable run over several lives of its process. Each ends by a crash, or with the run; the store outlives it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from random import Random as Seeded
from typing import Any, TypeAlias, cast

import attrs
import trio

from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.effects.effect import Effect, Plan
from lambdacat_effects.effects.tools import CallTool
from lambdacat_effects.errors import InvalidArgument, RunSuspended
from lambdacat_effects.journal.durable import Durable
from lambdacat_effects.journal.idempotency import idempotency_key
from lambdacat_effects.journal.performing import outcome_of
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
    asked_text,
    place_text,
)
from lambdacat_effects.runtime.handler import Handler, ambient
from lambdacat_effects.storage.port import Store
from lambdacat_effects.testing.mortal import Contents, CrashPoint, Disk, Mortal
from lambdacat_effects.testing.simulation import Crash, Fault, Report
from lambdacat_effects.testing.simulation.faults import FaultsLike, listed
from lambdacat_effects.testing.simulation.running import perform_once
from lambdacat_effects.testing.simulation.schedules import RandomWalk
from lambdacat_effects.testing.simulation.trace import plain_text

__all__ = ["RUN_ID", "Answers", "Call", "Lives"]

Answers: TypeAlias = Mapping[str, object] | Callable[[str], object]
"""The answers to what a plan asks, by question, or a function of the question."""

RUN_ID = "swept"
"""The run's id."""
_asked: ContextVar[str | None] = ContextVar("asked", default=None)
"""The key of the call that is being answered."""
_JOURNAL = frozenset({ANSWERS, CANCELS, ENTRIES, FENCES, LEASES, NUMBERS, QUESTIONS, RUNS})
_FINAL = (Kind.ANSWERED, Kind.FAILED, Kind.CANCELLED)
_ADDED = (Kind.STARTED, Kind.CUT, Kind.DECIDED, Kind.PATCHED)
"""What a replay may add. Where branches end by themselves nothing has to be decided, but another schedule may do so
first; and a branch that was cancelled may come as far as a `patched` this time."""
_AFTER_CANCELLATION = (*_ADDED, Kind.CANCELLED)
"""The same for a run that was cancelled from outside: how far a branch comes until it is told depends on the
schedule. But it asks for nothing."""
_MOST_LIVES = 200


@attrs.frozen
class Call:
    """An effect that was asked of the handlers of a run."""

    key: str
    """Its idempotency key, without the run's number: that of a run that never began is gone for good."""
    effect: Effect[Any]
    life: int
    """In which life of the process, from 0."""
    number: str = "0"
    """The number of the run."""

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


class Lives:
    """One durable run, from its beginning to its end, however often its process dies meanwhile.

    `wrong` has what should not have been, told of each life and of all together.
    """

    def __init__(
        self,
        make: Callable[..., Any],
        args: tuple[Any, ...],
        handlers: Callable[[Store], Handler[Any]],
        *,
        answers: Answers | None = None,
        faults: FaultsLike | None = None,
        apart: Sequence[float] = (0.0,),
        hurry: float = 0.0,
    ) -> None:
        self._was_cancelled = False
        self.disk: Disk = Disk()
        self.calls: list[Call] = []
        self.reports: list[Report] = []
        """Of the last life: one for each time that the run was performed in it."""
        self.writes: list[str] = []
        """What the last life has written, for people."""
        self.deaths: list[str] = []
        self.wrong: list[str] = []
        self.hurry: float = hurry
        """The probability that a timer is over before work that could go on."""
        self._make = make
        self._args = args
        self._handlers = handlers
        self._answers: Answers = answers or {}
        self._faults = listed(faults)
        self._apart = apart
        self._pauses = Seeded(0)
        self._now = 0.0
        self.count: int = 0
        """How many lives there have been."""
        self.lost: int = 0
        """How many replies were lost."""

    # Living

    def live(self, seed: int | str, dies: CrashPoint | None = None) -> bool:
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
            self._now += self._pauses.choice(self._apart)
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

    def _perform(self, store: Mortal, seed: int | str, dies: CrashPoint | None) -> None:
        durable = Durable(store)

        def scenario() -> Any:
            handlers = self._handlers(store).behind(self._spy(store))
            return durable.prepared(RUN_ID, self._make, *self._args, handlers=handlers)

        while True:
            faults = self._faults
            if dies is not None and dies.what == "before step" and dies.performance == len(self.reports):
                faults = (Fault("crash", step=dies.at), *faults)
            again = f"{seed}/{len(self.reports)}"
            schedule = RandomWalk(again, hurry=self.hurry)
            report, _ = perform_once(scenario, schedule, faults, again, begins=self._now)
            self._now += report.time
            self.reports.append(report)
            self.lost += sum(fault.kind == "lost_reply" for fault in report.faults)
            error = report.outcome[1]
            if store.dead or _crashed(report) or not isinstance(error, RunSuspended):
                return
            for question in trio.run(durable.questions, RUN_ID):
                trio.run(_answer, durable, self._answer(question.text), question.at)

    def _answer(self, question: str) -> object:
        if callable(self._answers):
            return self._answers(question)
        if question not in self._answers:
            raise InvalidArgument(f"the run asks {question!r}, and answers= has nothing for that")
        return self._answers[question]

    def cancel(self) -> None:
        """Ask the run to end, as another process does while this one is dead. Nothing is asked of one that has not
        begun, or has ended."""
        header = self.header
        if header is not None and header.outcome is None:
            self._was_cancelled = True
            trio.run(Durable(self.disk).cancel, RUN_ID)

    def _spy(self, store: Mortal) -> Callable[[Any], Plan[Any, Any]]:
        life = self.count

        def spy(effect: Effect[Any]) -> Plan[Any, Any]:
            store.check_alive()
            key = idempotency_key()
            if key is None or key == (outer := _asked.get()):
                # The journal does not meet it: a `Need`, or what a handler asks for in order to answer.
                return (yield from effect)
            run_id, numbers, place = key.split(":")
            number, _, generation = numbers.partition(".")
            self.calls.append(Call(f"{run_id}:{generation}:{place}", effect, life, number))
            _asked.set(key)
            try:
                return (yield from effect)
            finally:
                _asked.set(outer)

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
    def result(self) -> Ok[Any] | Err[Exception]:
        """How it ended."""
        header = self.header
        assert header is not None
        try:
            return Ok(outcome_of(header))
        except Exception as error:
            return Err(error)

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
        if self._was_cancelled:  # (Where a clean-up failed, it has failed.)
            contents[CANCELS] = {RUN_ID: b"{}"}
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
        allowed = _AFTER_CANCELLATION if header.status == "cancelled" else _ADDED
        for key, data in again.contents().get(ENTRIES, {}).items():
            if key not in contents.get(ENTRIES, {}) and Record.decode(RUN_ID, data).kind not in allowed:
                self.wrong.append(f"a replay of the whole journal has added to it: {data.decode()}")

    def _check_life(self, before: Contents, calls: Sequence[Call]) -> None:
        now = self.disk.contents()
        header = self.header
        kept = f".{header.generation:x}." if header is not None else ""
        answered: set[str] = set()
        for key, data in before.get(ENTRIES, {}).items():
            record = Record.decode(RUN_ID, data)
            found = now.get(ENTRIES, {}).get(key)
            if found is None and kept in key:
                self.wrong.append(f"the record of {record.text()} at {place_text(record.place)} is lost")
            elif found not in (None, data):
                self.wrong.append(f"the record of {record.text()} at {place_text(record.place)} has changed")
            if record.kind in _FINAL:
                generation = int(key.split(".")[1], 16)
                answered.add(f"{RUN_ID}:{generation}:{place_text(record.place)}")
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
        for (generation, asked), said in self._patches().items():
            if len(said) > 1:
                self.wrong.append(f"{asked_text(asked)} was answered both ways in generation {generation}")
        if len({call.number for call in self.calls}) > 1:
            self.wrong.append("a run that had begun has another number")
        calls = [(call.key, call.life) for call in self.calls if isinstance(call.effect, CallTool)]
        self.wrong += [
            f"{twice} was called twice in one life" for twice in {c for c in calls if calls.count(c) > 1}
        ]

    def _patches(self) -> dict[tuple[int, str], set[bool]]:
        """What `patched` was answered, by generation and what was asked."""
        found: dict[tuple[int, str], set[bool]] = {}
        for key, data in self.disk.contents().get(ENTRIES, {}).items():
            record = Record.decode(RUN_ID, data)
            if record.kind is Kind.PATCHED:
                found.setdefault((int(key.split(".")[1], 16), record.asked), set()).add(record.data)
        return found

    def story(self) -> str:
        """The journal and the calls, for people."""
        entries = sorted(self.disk.contents().get(ENTRIES, {}).items())
        lines = [f"  {json.dumps(json.loads(data), ensure_ascii=False)[:110]}" for _, data in entries]
        calls = [f"  life {call.life}: {call}"[:110] for call in self.calls]
        return "\n".join(["The journal:", *lines, "What was asked of the handlers:", *calls])


async def _answer(durable: Durable, value: object, at: str) -> None:
    await durable.answer(RUN_ID, value, at=at)


def _crashed(report: Report) -> bool:
    return isinstance(report.outcome[1], Crash)
