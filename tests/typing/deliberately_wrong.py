"""Markers that are all wrong: `test_typing.py` checks that its harness finds each of them."""

from __future__ import annotations

from typing import reveal_type

from domain import Archive, Search

from lambdacat_effects import Plan


def wrongly_marked(query: str) -> Plan[Search, None]:
    hits = yield from Search(query)  # E
    reveal_type(hits)  # R: list[bytes]
    len(hits)  # R: int
    yield from Archive("cats")
    yield from Archive("cats")  # E: another reason
