"""What a journal is made of: a header for each run, and a record for each thing that its plan may not see twice.

All of it is JSON in a store, with checksums. A run has a number, so that its records lie side by side in the order
they were written, and a generation, which `continue_as_new` counts up.
"""

from __future__ import annotations

import json
from enum import Enum
from hashlib import blake2b
from typing import Any, Final, Literal, TypeAlias

import attrs

from lambdacat_effects.errors import JournalUnreadable
from lambdacat_effects.journal.asked import Asked
from lambdacat_effects.journal.damage import check_header, check_record
from lambdacat_effects.journal.json_text import dumps
from lambdacat_effects.journal.seals import sealed, unsealed

__all__ = [
    "ANSWERS",
    "CANCELS",
    "ENTRIES",
    "FENCES",
    "FORMAT",
    "LEASES",
    "NUMBERS",
    "QUESTIONS",
    "RUNS",
    "Header",
    "Kind",
    "Place",
    "Record",
    "Status",
    "asked_text",
    "counted",
    "place_text",
    "shortened",
    "told_apart",
]

FORMAT: Final = 1
"""The version of what is written here. A newer one is not read, an older one always is."""

RUNS: Final = "_runs"  # memory takes no namespace with such a name: in one store each has its own
"""The namespace of headers, by run id."""
ENTRIES: Final = "_j"
"""The namespace of records: short, as it is part of every key."""
FENCES: Final = "_fences"
LEASES: Final = "_leases"
ANSWERS: Final = "_answers"
QUESTIONS: Final = "_questions"
CANCELS: Final = "_cancels"
NUMBERS: Final = "_numbers"

Place: TypeAlias = tuple[int, ...]
"""A path without the run's name: a journal has one run."""

Status: TypeAlias = Literal["running", "suspended", "succeeded", "failed", "cancelled"]
"""How a run stands. A run whose process died is "running" until it is resumed."""

_LONGEST_ASKED: Final = 240


class Kind(Enum):
    """What a record tells."""

    ANSWERED = "a"
    """An effect was answered: the answer."""
    FAILED = "e"
    """An effect raised: the error."""
    CANCELLED = "c"
    """An effect, or a combinator (with the fates of its branches), was cancelled, and its plan went on."""
    STARTED = "s"
    """A sleep or a combinator began: when it is over, in seconds since the Unix epoch, None without one."""
    CUT = "k"
    """A combinator has decided, and is about to cancel the rest: the fates of those that have ended."""
    DECIDED = "d"
    """A combinator has ended: the fate of each branch, and who won."""
    PATCHED = "p"
    """Whether the run performs the new code of a change. It has no place of its own: that is the next effect's."""


_KINDS: Final = {kind.value: kind for kind in Kind}


@attrs.define
class Record:
    """One line of a journal."""

    kind: Kind
    place: Place
    asked: str
    """The effect, as `shortened` has it."""
    data: Any = None
    after: int | None = None
    """The records with lower numbers than this were in the store when it was written; None: all that precede it.
    Branches write at the same time, and if the process dies, a later one may be there and an earlier one not."""

    def encode(self, run_id: str) -> bytes:
        """The record as bytes, which no other run takes for its own."""
        # In pieces, as the effect is text already.
        data = "null" if self.data is None else dumps(self.data)
        after = "" if self.after is None else f",{self.after}"
        text = f'["{self.kind.value}","{place_text(self.place)}",{self.asked},{data}{after}]'
        return sealed(text.encode("utf-8", "surrogatepass"), run_id)

    @staticmethod
    def decode(run_id: str, data: bytes) -> Record:
        """The record that `encode` made these bytes of, for this run. Raises `ValueError` for others."""
        parts: Any = json.loads(unsealed(data, run_id).decode("utf-8", "surrogatepass"))
        check_record(parts)
        kind, place, asked, plain, *after = parts
        return Record(_KINDS[kind], _place(place), dumps(asked), plain, *after)

    def text(self) -> str:
        """The effect, for messages."""
        return asked_text(self.asked)


def place_text(place: Place) -> str:
    """A place as it is written: `3.0.1`."""
    return ".".join(map(str, place))


def _place(text: str) -> Place:
    return tuple([int(step) for step in text.split(".")])


def shortened(asked: Asked) -> str:
    """What an effect asks, as JSON, to be compared and shown: in full where it is short, else by its hash and its
    beginning.

    >>> shortened(Asked("Sleep", {"seconds": 1}))
    '["Sleep",{"seconds":1}]'
    >>> shortened(Asked("Ask", {"q": "x" * 500}))[:40]
    '["Ask","#cff5f05c71df4e17674ea056","Ask('
    """
    written = dumps([asked.effect, asked.fields])
    if len(written) <= _LONGEST_ASKED:
        return written
    digest = blake2b(
        json.dumps(asked.fields, sort_keys=True).encode("utf-8", "surrogatepass"), digest_size=12
    ).hexdigest()
    return dumps([asked.effect, f"#{digest}", asked.text()[:80] + "..."])


def asked_text(asked: str) -> str:
    """What was asked, for messages."""
    parts = json.loads(asked)
    if len(parts) == 3:
        return f"{parts[2]} ({parts[1]})"
    return Asked(str(parts[0]), dict(parts[1])).text()


def told_apart(recorded: str, asked: str) -> tuple[str, str]:
    """Two things that were asked, for messages: as JSON, if else they look the same, as of a class that has moved."""
    texts = asked_text(recorded), asked_text(asked)
    return texts if texts[0] != texts[1] else (recorded, asked)


@attrs.define
class Header:
    """What is known of a run without reading its journal."""

    run_id: str
    number: int
    plan: str
    """The function that makes the plan, as "module:function"."""
    arguments: Any
    """Its positional and keyword arguments, as JSON."""
    status: Status
    created: float
    """Seconds since the Unix epoch."""
    generation: int = 0
    """How often it has continued as new."""
    changed: float = 0.0
    """When the status changed last, in seconds since the Unix epoch."""
    outcome: Any = None
    """The answer or the error, as JSON, once it has ended."""
    records: int = 0
    """How many records its journal had when it ended."""
    note: str | None = None
    """What whoever started it wrote down to find it again."""
    began: Any = None
    """Its first plan and arguments, once it has continued as another."""

    @property
    def call(self) -> Any:
        """The plan and the arguments that it was begun with, as JSON."""
        return self.began or [self.plan, self.arguments]

    def encode(self) -> bytes:
        """The header as bytes."""
        text = dumps({"format": FORMAT, **attrs.asdict(self, recurse=False)})
        return sealed(text.encode("utf-8", "surrogatepass"))

    @staticmethod
    def decode(run_id: str, data: bytes) -> Header:
        """The header that `encode` made these bytes of. Raises `JournalUnreadable`."""
        try:
            parts: Any = json.loads(data.decode("utf-8", "surrogatepass"))
            version = parts.pop("format")
            if type(version) is int and version <= FORMAT:  # a newer one may be sealed otherwise
                unsealed(data)
                del parts["sum"]
                check_header(run_id, parts)
                return Header(**parts)
        except (ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
            raise JournalUnreadable(
                f"the header of the run {run_id!r} cannot be read ({type(error).__name__}: {error}): it is damaged. "
                "Nothing was changed; restore the store from a backup, or `forget` the run with `force=True`"
            ) from None
        raise JournalUnreadable(
            f"the run {run_id!r} has a journal of format {version!r}, and this version of the package reads "
            f"formats up to {FORMAT}: resume it with the version that wrote it, or a newer one"
        )


def counted(data: bytes | None, what: str) -> int:
    """A number as it lies in a store, 0 if there is none. Raises `JournalUnreadable`, naming `what` it is."""
    try:
        return int(data or b"0")
    except ValueError as error:
        raise JournalUnreadable(
            f"{what} cannot be read ({error}): it is damaged. Nothing was changed; restore the store from a backup"
        ) from None
