"""Search without a key or a network: full-text search over documents that are on the machine."""

from __future__ import annotations

from lambdacat_effects.tools.search.corpora import (
    folder_fingerprint,
    folder_passages,
    stdlib_fingerprint,
    stdlib_passages,
)
from lambdacat_effects.tools.search.embedded import EmbeddedIndex
from lambdacat_effects.tools.search.passage import Passage

__all__ = [
    "EmbeddedIndex",
    "Passage",
    "folder_fingerprint",
    "folder_passages",
    "stdlib_fingerprint",
    "stdlib_passages",
]
