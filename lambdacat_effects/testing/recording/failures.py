"""What can go wrong with a recording, and who must act."""

from __future__ import annotations

from lambdacat_effects.errors import LambdacatError, Misuse, NotSerialisable

__all__ = [
    "InterruptedRecording",
    "RecordedError",
    "RecordingMismatch",
    "RecordingUnreadable",
    "Unrecordable",
    "UnusedRecording",
]


class RecordingMismatch(Misuse, LookupError):
    """A replayed plan asked for what the recording has not. The plan, or what it is given, has changed since: undo
    that, or record anew. The message shows the nearest recorded effect and the fields that differ.

    >>> issubclass(RecordingMismatch, Misuse)  # no outcome: `attempt` and `race` let it pass
    True
    """


class RecordingUnreadable(Misuse, ValueError):
    """A recording is missing, truncated or corrupt, of another version, or names classes that are gone. The file is
    left as it is: restore it, or delete it and record anew.

    >>> issubclass(RecordingUnreadable, ValueError)
    True
    """


class Unrecordable(Misuse, NotSerialisable):
    """An answer cannot be written in a recording; the message names the effect and the place in the answer. The file
    has not been touched. Have the handler answer with data: attrs classes, dataclasses, enums, collections.

    >>> issubclass(Unrecordable, NotSerialisable)
    True
    """


class RecordedError(LambdacatError):
    """Raised by a replay in place of an error whose class cannot be imported any more.

    >>> RecordedError("shop:SoldOut", "no tea left").type_name
    'shop:SoldOut'
    """

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(type_name, message)
        self.type_name: str = type_name
        """The class it was of, as "module:name"."""
        self.message: str = message
        """What it said."""

    def __str__(self) -> str:
        return f"{self.type_name} was recorded here, which cannot be imported: {self.message}"


class UnusedRecording(UserWarning):
    """A replay ended, and the recording has effects that nobody asked for: the plan asks for less than it did.

    >>> issubclass(UnusedRecording, UserWarning)
    True
    """


class InterruptedRecording(UserWarning):
    """A replay came to where the recorded run was interrupted from outside, and waits there to be interrupted.

    >>> issubclass(InterruptedRecording, UserWarning)
    True
    """
