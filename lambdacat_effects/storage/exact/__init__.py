"""Values written with their classes, so that they read back equal without being told a type: for recordings and
journals, which keep what anybody answered."""

from __future__ import annotations

from lambdacat_effects.storage.exact.reading import read, read_error
from lambdacat_effects.storage.exact.redaction import Redact, Redaction, Redactor
from lambdacat_effects.storage.exact.writing import Writer

__all__ = ["Redact", "Redaction", "Redactor", "Writer", "read", "read_error"]
