"""Each effect that a run performed, put together from its events: where, how it ended, and within which spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

import attrs

from lambdacat_effects.effects.control import Control, Span
from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.observability.nodes import Nesting
from lambdacat_effects.runtime.events import Answered, Event, Failed, Path, Root, Started, path_text

__all__ = ["Deed", "Outcome", "deeds_of", "span_names"]

Outcome: TypeAlias = Literal["answered", "failed", "cancelled", "unfinished"]
"""How an effect ended, or that it had not ended at the last event."""


@attrs.define(eq=False)
class Deed:
    """One effect that was performed."""

    path: Path
    effect: Effect[Any]
    spans: tuple[str, ...]
    """The names of the spans around it, outermost first."""
    own: bool
    """Whether the plan performed it, rather than a handler or an interposer that answered the plan."""
    began: int
    """The number of the event that tells of its beginning."""
    ended: int
    """The number of the event that tells of its end; of an unfinished one, the number of events."""
    outcome: Outcome = "unfinished"
    answer: Any = None
    error: BaseException | None = None

    @property
    def control(self) -> bool:
        """Whether the runtime interprets it."""
        return isinstance(self.effect, Control)

    def __str__(self) -> str:
        path = path_text(self.path)
        within = f", under {' / '.join(self.spans)}" if self.spans else ""
        error = f" with {self.error!r}" if self.error is not None else ""
        # What the runtime interprets holds plans, whose `repr` is an address.
        effect = self.effect.title() if self.control else repr(self.effect)
        return f"{path}  {effect}  {self.outcome}{error}{within}"


@attrs.define(eq=False)
class _Open:
    """Something that has begun, and what the effects within it inherit."""

    spans: tuple[str, ...]
    own: bool
    run: int
    deed: Deed | None = None


def deeds_of(events: Sequence[Event]) -> tuple[Deed, ...]:
    """The effects that these events tell of, run by run, each in the order of the paths.

    >>> from lambdacat_effects import Sleep, ambient, parallel, span
    >>> from lambdacat_effects.observability import Recorder
    >>> recorder = Recorder()
    >>> _ = ambient.run_pure(span("rest", parallel(Sleep(1))), listen=recorder, name="naps")
    >>> for deed in deeds_of(recorder.events):
    ...     print(deed)
    naps/1  rest  answered
    naps/2  parallel of 1  answered, under rest
    naps/2/0/1  Sleep(seconds=1)  answered, under rest
    """
    nesting = Nesting[_Open]()
    deeds: list[tuple[int, Path, int, Deed]] = []
    runs = 0
    for number, event in enumerate(events):
        path, what, kind = event.path, event.what, _class_of(event.what)
        if not isinstance(event, Started):
            item = nesting.close(path, what)
            if item is not None and item.deed is not None:
                _end(item.deed, number, event)
            continue
        runs += issubclass(kind, Root)
        around = nesting.enclosing(path) or _Open((), True, runs)
        item = _Open(around.spans, around.own, around.run)
        if issubclass(kind, Effect):
            item.deed = Deed(path, what, around.spans, around.own, number, len(events))
            deeds.append((item.run, path, number, item.deed))
            item.own = item.own and item.deed.control  # what is within an effect's path answers it
            if issubclass(kind, Span):
                item.spans = (*around.spans, what.name)
        nesting.open(path, what, item)
    return tuple(deed for *_, deed in sorted(deeds, key=lambda entry: entry[:3]))


def span_names(events: Iterable[Event]) -> tuple[str, ...]:
    """The names of the spans that began, in the order in which they did."""
    return tuple(
        e.what.name for e in events if isinstance(e, Started) and issubclass(_class_of(e.what), Span)
    )


def _class_of(what: object) -> type[Any]:
    return type(what)


def _end(deed: Deed, number: int, event: Event) -> None:
    deed.ended = number
    if isinstance(event, Answered):
        deed.outcome, deed.answer = "answered", event.answer
    elif isinstance(event, Failed):
        deed.outcome, deed.error = "failed", event.error
    else:
        deed.outcome = "cancelled"
