"""Values as the journal has them are shown as the program would show them, and none of its classes is imported."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from lambdacat_effects.errors import RecordedError
from lambdacat_effects.journal.history import Step
from lambdacat_effects.journal.showing import error_text, shown
from lambdacat_effects.storage.exact.writing import exactly


@frozen
class Receipt:
    number: str
    parts: Any = ()


class Size(Enum):
    SMALL = 1


class SoldOut(Exception):
    pass


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 3, 2.5, "it's", [], [1, "a"], {}, {"b": 1, "a": [2]}, {1: "x"}),
        *((), (1,), (1, 2), {1}, set[int](), frozenset[int](), frozenset([1]), b"x", bytearray(b"x")),
        *(10**2000, Decimal("1.5"), "\ud800", deque([1, 2]), Counter(a=2)),
        *(Receipt("r-1", (Receipt("r-2"),)), [Receipt("r-1", {"a": 1})], SoldOut("no tea", 3)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_shown_as_its_repr(value: Any) -> None:
    if isinstance(value, int) and value > 10**400:
        assert shown(exactly().write(value)) == hex(value)
        return
    expected = repr(value)
    if isinstance(value, deque):
        expected = "deque([1, 2])"
    assert shown(exactly().write(value)) == expected


FEWER: list[tuple[Any, str]] = [
    (Size.SMALL, "Size.SMALL"),
    (float("inf"), "inf"),
    (OrderedDict(b=1), "OrderedDict({'b': 1})"),
    (timedelta(seconds=3), "timedelta(days=0, seconds=3, microseconds=0)"),
    (Path("a"), "PosixPath('a')"),
]


@pytest.mark.parametrize(("value", "text"), FEWER)
def test_some_values_are_shown_in_fewer_words(value: Any, text: str) -> None:
    assert shown(exactly().write(value)) == text


@pytest.mark.parametrize(
    "plain", [{"$type": "tuple"}, {"$type": "tuple", "$items": 3}, {"$type": 5}, {"$type": []}]
)
def test_what_is_damaged_is_shown_all_the_same(plain: Any) -> None:
    assert shown(plain)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SoldOut("no tea is left"), "SoldOut: no tea is left"),
        (SoldOut(), "SoldOut"),
        (KeyError("tea"), "KeyError: tea"),
        (
            ExceptionGroup("both", [SoldOut("a"), ValueError("b")]),
            "ExceptionGroup: both (SoldOut: a; ValueError: b)",
        ),
        (RecordedError("shop:Burnt", "the toast"), "Burnt: the toast"),
    ],
)
def test_an_error_is_shown_as_in_a_traceback(error: Exception, text: str) -> None:
    assert error_text(exactly().write(error)) == text


@pytest.mark.parametrize(
    ("what", "effect", "outcome", "told"),
    [
        ("began", "race(branches=2)", None, "began"),
        (
            "decided",
            "race(branches=3)",
            ["answered", "cancelled", "cancelled"],
            "branch 0 answered; the others are cancelled",
        ),
        ("ended", "race(branches=2)", ["cancelled", "won"], "branch 1 won; branch 0 was cancelled"),
        (
            "ended",
            "n_best(branches=9)",
            ["won"] * 2 + ["cancelled"] * 7,
            "branches 0, 1 won; 7 branches were cancelled",
        ),
        ("ended", "Timeout(seconds=5)", ["cancelled"], "cancelled, out of time"),
        (
            "cancelled",
            "race(branches=2)",
            ["answered", "not begun"],
            "cancelled (branch 0 answered; branch 1 was not begun)",
        ),
        ("cancelled", "search()", None, "cancelled"),
        ("patched", "Patched(name='lawyer')", True, "the new code"),
        ("patched", "Patched(name='lawyer')", False, "the old code"),
        ("answered", "Sleep(seconds=5)", None, "over"),
        ("answered", "Observe(proposition='buys', evidence=1.0)", None, "done"),
        ("answered", "search()", None, "None"),
    ],
)
def test_a_step_says_what_became_of_it(what: str, effect: str, outcome: Any, told: str) -> None:
    assert Step(1, "3.0.1", what, effect, outcome, outcome).told() == told
