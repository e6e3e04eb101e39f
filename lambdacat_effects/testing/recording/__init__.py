"""Runs kept in files: recorded with real handlers, replayed without."""

from lambdacat_effects.errors import (
    InterruptedRecording,
    RecordedError,
    RecordingMismatch,
    RecordingUnreadable,
    Unrecordable,
    UnusedRecording,
)
from lambdacat_effects.storage.exact.redaction import REDACTED, SECRET_NAMES, Redact
from lambdacat_effects.testing.recording.tape import Tape
from lambdacat_effects.testing.recording.taping import Mode, Recorded, record, replay

__all__ = [
    "REDACTED",
    "SECRET_NAMES",
    "InterruptedRecording",
    "Mode",
    "Recorded",
    "RecordedError",
    "RecordingMismatch",
    "RecordingUnreadable",
    "Redact",
    "Tape",
    "Unrecordable",
    "UnusedRecording",
    "record",
    "replay",
]
