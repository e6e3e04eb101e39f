"""`record` and `replay`: handlers whose runs are kept in a file."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args

from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.errors import InvalidArgument, Misuse, RecordingMismatch, UnusedRecording
from lambdacat_effects.runtime.handler import Handler, ambient
from lambdacat_effects.runtime.resource import Resource, opened
from lambdacat_effects.storage.exact.redaction import Redact, Redaction
from lambdacat_effects.testing.recording.recorder import Recorder
from lambdacat_effects.testing.recording.session import Session
from lambdacat_effects.testing.recording.tape import Tape
from lambdacat_effects.testing.recording.tape_file import load, save

__all__ = ["Mode", "Recorded", "record", "replay"]

E_con = TypeVar("E_con", bound=Effect[Any], contravariant=True)

Mode: TypeAlias = Literal["once", "none", "new", "all"]
"""What to do with a recording: "once" replays it, or records it if there is none; "none" only replays; "new" replays
what is there and records what is not; "all" records everything anew."""


class Recorded(Handler[E_con]):
    """Handlers whose runs are recorded or replayed: what `record` and `replay` make. Composes as any handler does."""

    __slots__ = ("_file", "_has_recorded", "_mode", "_redaction", "_strict", "_tape", "_wrapped")

    def __init__(
        self,
        handlers: Handler[E_con],
        file: str,
        mode: Mode,
        redaction: Redaction,
        *,
        strict: bool,
        alone: bool,
    ) -> None:
        self._wrapped = handlers
        self._file = file
        self._mode: Mode = mode
        self._redaction = redaction
        self._strict = strict
        self._tape = Tape(file)
        self._has_recorded = False
        kept: Resource[Session] = Resource(f"the recording {file!r}", self._kept)
        recorder = Recorder(lambda: kept.value, alone=alone)
        super().__init__(handlers.bindings, [kept], [recorder, *handlers.boundaries])

    @property
    def tape(self) -> Tape:
        """What the recording holds, as of when it was last opened: its `effects`, and which of them are `unused`."""
        return self._tape

    @asynccontextmanager
    async def _kept(self) -> AsyncGenerator[Session, None]:
        if self._has_recorded:  # else this run would be answered from the one before, or written over it
            raise RecordingMismatch(
                f"these handlers have recorded a run in {self._file!r} already. Perform several runs that belong to "
                "one recording within `async with handlers:`; to replay it, or record another, call `record` again"
            )
        there = os.path.exists(self._file)
        replays = self._mode != "all" and (there or self._mode == "none")
        records = self._mode in ("all", "new") or not replays
        self._tape = load(self._file) if replays else Tape(self._file)
        session = Session(self._tape, self._redaction, replays=replays, records=records)
        handled = sys.exception()  # by whoever runs this
        try:
            # The real handlers' resources are not opened for a replay: there may be no database where the tests run.
            async with opened(self._wrapped.resources if records else ()):
                yield session
        finally:
            session.closed = True
            failure = None if sys.exception() is handled else sys.exception()
            if session.broken is not None and failure is None:  # the plan has swallowed it
                raise session.broken
            if records:
                # Of a program that is mistaken there is nothing to keep.
                if session.changed and session.broken is None and not isinstance(failure, Misuse):
                    save(self._tape, session.redactor)
                    self._has_recorded = True
            elif failure is None:
                self._report_unused()

    def _report_unused(self) -> None:
        unused = self._tape.unused
        if not unused:
            return
        shown = "".join(f"\n  {line}" for line in unused[:10])
        more = f"\n  and {len(unused) - 10} more" if len(unused) > 10 else ""
        text = (
            f"{len(unused)} recorded effects in {self._file!r} were not asked for:{shown}{more}\n"
            'The plan asks for less than it did: record it anew with mode="all"'
        )
        if self._strict:
            raise RecordingMismatch(text)
        warnings.warn(UnusedRecording(text), stacklevel=2)


def record(
    handlers: Handler[E_con],
    path: str | os.PathLike[str],
    *,
    mode: Mode = "once",
    redact: Redact = (),
    strict: bool = False,
) -> Recorded[E_con]:
    """Handlers that keep what their runs were answered in the file `path`, and answer from it the next time.

    Modes: "once" (replay the file; if there is none, record it), "none" (replay only), "new" (replay what is there,
    record what is not), "all" (record everything anew).

    What the plan asks is recorded, not what handlers and interposers do to answer it: a call that was retried three
    times is one entry. Answers and errors come back equal and of the same classes, streams chunk by chunk. Needs,
    `Fail`, `Log` and `Count` ask nothing of the world: they are not recorded, and answered as without a recording.

    An effect is recognised by its path in the run and by what it asks; runs of the same name are told apart by
    their order. A replay asks no handler, opens none of their resources, and takes no time: each effect is answered
    at once, the branches of a combinator are performed one after the other, and each ends as it ended when it was
    recorded. So losers are cancelled where they were, and deadlines pass that passed, whatever the timing now. What
    this cannot replay: branches that share more than effects, such as a list both append to, find it in another
    order.

    - `redact`: names of fields (in any case, "-" or "_"), and functions from text to text, besides the usual
      `SECRET_NAMES`. Neither what is in such a field nor, elsewhere, the same text is written. A replay answers with
      "[redacted]" in its place.
    - `strict`: a replay in which recorded effects were not asked for is an error (`RecordingMismatch`), not only a
      warning (`UnusedRecording`).

    The file is read when the first run begins, and written, whole or not at all, when the last has ended, whether or
    not it failed. To record several runs in one file, perform them within `async with recorded:`; outside of it, a
    second run of handlers that have recorded one is refused, as it would be answered from the first.

    Raises `InvalidArgument` for an unknown mode. Runs raise `RecordingMismatch` where the plan asks for something
    else, `RecordingUnreadable` for a file that is missing or corrupt, and `Unrecordable` for an answer that cannot be
    written.

    >>> import tempfile
    >>> from lambdacat_effects import answer_tools, tool
    >>> @tool
    ... async def search(query: str) -> list[str]: ...
    >>> file = tempfile.mkdtemp() + "/search.json"
    >>> record(answer_tools({search: ["a cat"]}), file).run_pure(search("cats"))
    ['a cat']
    >>> record(answer_tools({}), file).run_pure(search("cats"))
    ['a cat']
    """
    if not isinstance(cast(object, handlers), Handler):
        raise InvalidArgument(f"record takes handlers and the path of a file; got {handlers!r} as handlers")
    if mode not in get_args(Mode):
        raise InvalidArgument(f'a mode is "once", "none", "new" or "all"; got {mode!r}')
    return Recorded(handlers, _file("record", path), mode, Redaction(redact), strict=strict, alone=False)


def replay(path: str | os.PathLike[str], *, redact: Redact = (), strict: bool = False) -> Recorded[Any]:
    """A handler that answers everything from the recording `path`, with no other handlers: on Trio, under `run_pure`
    and in a simulation. `redact` and `strict` are as for `record`; give the `redact` it was recorded with.

    Needs are not in a recording: compose in what is asked for, `replay(path) | supply(Settings, settings)`.

    >>> import tempfile
    >>> from lambdacat_effects import NewId, ambient
    >>> file = tempfile.mkdtemp() + "/id.json"
    >>> first = record(ambient, file).run_pure(NewId())
    >>> replay(file).run_pure(NewId()) == first
    True
    """
    return Recorded(ambient, _file("replay", path), "none", Redaction(redact), strict=strict, alone=True)


def _file(caller: str, path: str | os.PathLike[str]) -> str:
    if not isinstance(cast(object, path), (str, os.PathLike)) or not os.fspath(path):
        raise InvalidArgument(f"{caller} takes the path of a file; got {path!r}")
    return os.path.abspath(os.fspath(path))
