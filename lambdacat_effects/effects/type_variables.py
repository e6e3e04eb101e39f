"""Type variables of combinators over up to eight branches: their answers and their rows."""

from __future__ import annotations

from typing import Any, TypeVar

from lambdacat_effects.effects.effect import Effect

__all__ = [
    "A1",
    "A2",
    "A3",
    "A4",
    "A5",
    "A6",
    "A7",
    "A8",
    "E1",
    "E2",
    "E3",
    "E4",
    "E5",
    "E6",
    "E7",
    "E8",
    "A",
    "E",
]

A = TypeVar("A")
E = TypeVar("E", bound=Effect[Any])
A1 = TypeVar("A1")
A2 = TypeVar("A2")
A3 = TypeVar("A3")
A4 = TypeVar("A4")
A5 = TypeVar("A5")
A6 = TypeVar("A6")
A7 = TypeVar("A7")
A8 = TypeVar("A8")
E1 = TypeVar("E1", bound=Effect[Any])
E2 = TypeVar("E2", bound=Effect[Any])
E3 = TypeVar("E3", bound=Effect[Any])
E4 = TypeVar("E4", bound=Effect[Any])
E5 = TypeVar("E5", bound=Effect[Any])
E6 = TypeVar("E6", bound=Effect[Any])
E7 = TypeVar("E7", bound=Effect[Any])
E8 = TypeVar("E8", bound=Effect[Any])
