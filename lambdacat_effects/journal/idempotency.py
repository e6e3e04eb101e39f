"""The key by which a tool, and whoever it calls, recognises a call that is repeated."""

from __future__ import annotations

from contextvars import ContextVar

from lambdacat_effects.journal.records import Header, Place, place_text

__all__ = ["idempotency_key", "in_flight"]

_place: ContextVar[tuple[Header, Place] | None] = ContextVar("run and place of the effect", default=None)


def idempotency_key() -> str | None:
    """The key of the effect that is being answered, the same each time a durable run repeats it; None elsewhere.

    Call it in a tool or a handler, and pass it on, as an `Idempotency-Key` header say: an effect in flight when its
    process dies is repeated with the same key when the run is resumed, and so is one that an interposer retries.
    """
    place = _place.get()
    if place is None:
        return None
    header, steps = place
    # The number, since a run that is begun again after it was forgotten asks anew.
    return f"{header.run_id}:{header.number}.{header.generation}:{place_text(steps)}"


class in_flight:
    """Answer an effect of a run."""

    __slots__ = ("_before", "_place")

    def __init__(self, header: Header, place: Place) -> None:
        self._place = (header, place)

    def __enter__(self) -> None:
        self._before = _place.get()
        _place.set(self._place)

    def __exit__(self, *exc_info: object) -> None:
        _place.set(
            self._before
        )  # not `reset`, which would refuse when an abandoned run is closed from elsewhere
