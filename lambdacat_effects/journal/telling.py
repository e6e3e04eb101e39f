"""What a durable run tells whoever listens: the same as any other, and what of it was done before or is left."""

from __future__ import annotations

from lambdacat_effects.effects.control import Control, Span
from lambdacat_effects.effects.durable import Ask
from lambdacat_effects.journal.session import Session
from lambdacat_effects.runtime.events import Branch, Cancelled, Event, Listener, Path, Root, Started

__all__ = ["Telling"]


class Telling:
    """A listener that marks the events of a durable run, and passes them on."""

    def __init__(self, session: Session, listen: Listener) -> None:
        self._session = session
        self._listen = listen
        self._again: dict[Path, bool] = {}
        """What is open, and whether it was done before: of what contains others, whether nothing in it is new."""
        self._spans: dict[Path, list[Path]] = {}
        self._asks: set[Path] = set()

    def __call__(self, event: Event) -> None:
        """Mark one event, and pass it on."""
        path, what = event.path, event.what
        if path[:-1] in self._asks:  # how an answer is waited for is the journal's own affair
            return
        if isinstance(event, Started):
            event.again = self._begins(path, what)
        else:
            event.again = self._ends(path, what)
            if isinstance(event, Cancelled):
                event.left = self._session.stopped
        self._listen(event)

    def _begins(self, path: Path, what: object) -> bool:
        session, place = self._session, self._session.place(path)
        slot = session.slots.get(place)
        if isinstance(what, (Root, Branch, Control)):
            self._again[path] = True
            if isinstance(what, Span):
                self._spans.setdefault(path[:-1], []).append(path)
            # What is in a span carries on the counter of the plan around it, so it is known by what follows it.
            return slot is not None or session.has_begun(place) or session.is_past(place)
        again = self._again[path] = slot is not None and slot.final is not None
        if not again:
            self._is_new(path)
        if isinstance(what, Ask):
            self._asks.add(path)
        return again

    def _is_new(self, path: Path) -> None:
        for length in range(1, len(path)):
            around = path[:length]
            for open_one in (around, *self._spans.get(around, ())):
                if open_one in self._again:
                    self._again[open_one] = False

    def _ends(self, path: Path, what: object) -> bool:
        self._asks.discard(path)
        if isinstance(what, Span) and path in (spans := self._spans.get(path[:-1], [])):
            spans.remove(path)
            if not spans:
                del self._spans[path[:-1]]
        return self._again.pop(path, False)
