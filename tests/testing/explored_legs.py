"""Branches for explorations of the concurrency table: they note what they do, wait in all ways, and clean up.

A leg's clean-up waits under a shield, so whatever happens to a leg, it ends with the note `cleaned` and then with one
of `answered`, `failed` and `cancelled`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import trio

from lambdacat_effects import Effect, Handler, Sleep, effect, shielded
from lambdacat_effects.errors import FaultInjected

ENDINGS = ("answered", "failed", "cancelled")

CLEANING = 0.5
"""Seconds that the clean-up of a leg takes."""

Leg = Generator[Any, Any, Any]


@effect
class Touch(Effect[None]):
    """Answered at once."""

    leg: Any


@effect
class Fetch(Effect[None]):
    """Answered by an async function that waits twice, behind an interposer that retries."""

    leg: Any
    seconds: float = 1.0


@effect
class Ask(Effect[None]):
    """Answered by a plan that waits."""

    leg: Any
    seconds: float = 1.0


@effect
class Release(Effect[None]):
    """Clean-up that waits."""

    leg: Any


class Broken(Exception):
    """What a leg fails with."""


@attrs.frozen
class Note:
    """Something that a leg or a handler did."""

    leg: Any
    what: str
    at: float
    error: BaseException | None
    late: bool
    """Whether the task had been cancelled."""


@attrs.frozen
class Stopped:
    """How a combinator ended that was cancelled from outside."""

    error: BaseException


class Log:
    """What happened, in order."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.outcome: Any = None
        """How the combinator ended: `Ok`, `Err` or `Stopped`."""

    def note(self, leg: Any, what: str, error: BaseException | None = None) -> None:
        late = trio.current_effective_deadline() == -float("inf")
        self.notes.append(Note(leg, what, trio.current_time(), error, late))

    def ends(self) -> list[Note]:
        """How the legs ended, in the order in which they did."""
        return [note for note in self.notes if note.what in ENDINGS]

    def index(self, what: str, leg: Any) -> int:
        """The place of the one note that says so."""
        places = [i for i, note in enumerate(self.notes) if (note.what, note.leg) == (what, leg)]
        assert len(places) == 1, f"{leg} {what} {len(places)} times"
        return places[0]


def retried(asked: Fetch) -> Leg:
    """An interposer: once more, a while later."""
    try:
        return (yield from asked)
    except FaultInjected:
        yield from Sleep(0.25)
        return (yield from asked)


def handlers(log: Log) -> Handler[Any]:
    """The meanings of the effects of legs."""

    async def fetch(asked: Fetch) -> None:
        await trio.sleep(asked.seconds / 2)
        log.note(asked.leg, "fetches")
        await trio.sleep(asked.seconds / 2)

    def ask(asked: Ask) -> Leg:
        yield from Sleep(asked.seconds)
        yield from Touch(asked.leg)

    async def release(asked: Release) -> None:
        await trio.sleep(CLEANING)
        log.note(asked.leg, "releases")

    return (
        Touch.by(lambda asked: log.note(asked.leg, "touches"))
        | Fetch.by(fetch).behind(retried)
        | Ask.by(ask)
        | Release.by(release)
    )


def waiting(log: Log, leg: Any, what: Effect[Any]) -> Leg:
    """Perform an effect that waits; one that waits after the leg was cancelled must not end."""
    log.note(leg, "waits")
    yield from what
    log.note(leg, "waited")


def sleeps(log: Log, leg: Any, seconds: float = 1.0) -> Leg:
    yield from Touch(leg)
    yield from waiting(log, leg, Sleep(seconds))
    yield from Touch(leg)


def fetches(log: Log, leg: Any, seconds: float = 1.0) -> Leg:
    yield from waiting(log, leg, Fetch(leg, seconds))


def asks(log: Log, leg: Any, seconds: float = 1.0) -> Leg:
    yield from waiting(log, leg, Ask(leg, seconds))
    yield from Touch(leg)


def touches(log: Log, leg: Any) -> Leg:
    """No wait at all."""
    for _ in range(3):
        yield from Touch(leg)


def twice(log: Log, leg: Any, seconds: float = 1.0) -> Leg:
    """Two waits."""
    yield from waiting(log, leg, Sleep(seconds / 2))
    yield from waiting(log, leg, Fetch(leg, seconds / 2))


def breaks(log: Log, leg: Any, seconds: float = 1.0) -> Leg:
    yield from waiting(log, leg, Sleep(seconds))
    raise Broken(f"leg {leg}")


def messy(log: Log, leg: Any, seconds: float = 9.0) -> Leg:
    """Fails when it is cancelled."""
    done = False
    try:
        yield from waiting(log, leg, Sleep(seconds))
        done = True
    finally:
        if not done:
            raise Broken(f"the clean-up of leg {leg}")


def run_leg(log: Log, leg: Any, body: Callable[..., Leg], *args: Any) -> Leg:
    """The whole of a leg: its body, its clean-up, and a note of how it ended. It answers its name."""
    log.note(leg, "begins")
    try:
        try:
            yield from body(log, leg, *args)
        finally:
            try:
                yield from shielded(Release(leg))
            finally:
                log.note(leg, "cleaned")
    except Exception as error:
        log.note(leg, "failed", error)
        raise
    except BaseException as error:
        log.note(leg, "cancelled", error)
        raise
    log.note(leg, "answered")
    return leg


def legs(log: Log, *bodies: tuple[Any, ...] | Callable[..., Leg]) -> list[Leg]:
    """One leg for each body, or (body, argument, ...), named by its number."""
    parts = [body if isinstance(body, tuple) else (body,) for body in bodies]
    return [run_leg(log, leg, *part) for leg, part in enumerate(parts)]


class _Told(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.late: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.late.append(record.getMessage())


@contextmanager
def warnings_kept() -> Iterator[list[str]]:
    """What the package logs as warnings, kept here and told nobody else."""
    logger = logging.getLogger("lambdacat_effects")
    told = _Told()
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(told)
    try:
        yield told.late
    finally:
        logger.removeHandler(told)
        logger.propagate = propagated
