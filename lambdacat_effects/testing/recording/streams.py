"""Answers that come in chunks: iterators whose chunks are recorded as they are consumed, and replayed one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol, Self, cast

import attrs

from lambdacat_effects.errors import RecordingMismatch

__all__ = ["AsyncChunks", "Chunks", "Replayed", "Track", "is_stream"]


def is_stream(answer: object) -> bool:
    """Whether an answer is to be taken chunk by chunk.

    >>> is_stream(iter([1])), is_stream([1])
    (True, False)
    """
    return isinstance(answer, (Iterator, AsyncIterator))


class Track(Protocol):
    """Where the chunks of a stream are written while it is consumed."""

    def chunk(self, value: Any) -> None:
        """One more chunk."""
        ...

    def end(self, error: Exception | None) -> None:
        """The stream has ended, or failed."""
        ...


@attrs.define
class Replayed:
    """The chunks of a recorded stream, and how it ended."""

    chunks: list[Any]
    error: BaseException | None
    ended: bool
    """Whether it was consumed to its end; else nobody knows what came next."""
    where: str
    """The effect that was answered with it, for messages."""
    taken: int = 0

    def next(self) -> Any:
        """The next chunk. Raises `StopIteration` at the end, what the stream raised, or `RecordingMismatch`."""
        if self.taken < len(self.chunks):
            self.taken += 1
            return self.chunks[self.taken - 1]
        if self.error is not None:
            error, self.error, self.ended = self.error, None, True
            raise error
        if not self.ended:
            raise RecordingMismatch(
                f"{self.where} was answered with a stream of which {self.taken} chunks were consumed when it was "
                'recorded, and now one more is asked for: record it anew, with mode="all"'
            )
        raise StopIteration


class Chunks(Iterator[Any]):
    """A plain iterator, recorded or replayed."""

    def __init__(self, source: Iterator[Any] | Replayed, track: Track | None = None) -> None:
        self._source = source
        self._track = track

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if isinstance(self._source, Replayed):
            return self._source.next()
        track = cast(Track, self._track)
        try:
            chunk = next(self._source)
        except StopIteration:
            track.end(None)
            raise
        except Exception as error:
            track.end(error)
            raise
        track.chunk(chunk)
        return chunk

    def close(self) -> None:
        """Close what is iterated, if it can be closed."""
        close = getattr(self._source, "close", None)
        if close is not None:
            close()


class AsyncChunks(AsyncIterator[Any]):
    """An async iterator, recorded or replayed. A replay never waits."""

    def __init__(self, source: AsyncIterator[Any] | Replayed, track: Track | None = None) -> None:
        self._source = source
        self._track = track

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if isinstance(self._source, Replayed):
            try:
                return self._source.next()
            except StopIteration:
                raise StopAsyncIteration from None
        track = cast(Track, self._track)
        try:
            chunk = await anext(self._source)
        except StopAsyncIteration:
            track.end(None)
            raise
        except Exception as error:
            track.end(error)
            raise
        track.chunk(chunk)
        return chunk

    async def aclose(self) -> None:
        """Close what is iterated, if it can be closed."""
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()
