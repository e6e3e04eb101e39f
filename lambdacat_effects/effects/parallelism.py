"""All of several plans at the same time.

The overloads keep the type of each branch up to eight branches. Beyond that, and for `parallel(*plans)`, the type is
a homogeneous tuple of any length: the answer *is* a tuple, however many branches there are.
"""

from __future__ import annotations

from typing import Any, Literal, overload

from lambdacat_effects.algebra.result import Missing
from lambdacat_effects.effects.concurrency import ALL, concurrent
from lambdacat_effects.effects.effect import Performs, Plan
from lambdacat_effects.effects.type_variables import (
    A1,
    A2,
    A3,
    A4,
    A5,
    A6,
    A7,
    A8,
    E1,
    E2,
    E3,
    E4,
    E5,
    E6,
    E7,
    E8,
    A,
    E,
)
from lambdacat_effects.errors import InvalidArgument

__all__ = ["parallel"]


@overload
def parallel(
    a1: Performs[E1, A1], /, *, timeout: float | None = None, partial: Literal[False] = False
) -> Plan[E1, tuple[A1]]: ...
@overload
def parallel(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    /,
    *,
    timeout: float | None = None,
    partial: Literal[False] = False,
) -> Plan[E1 | E2, tuple[A1, A2]]: ...
@overload
def parallel(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    /,
    *,
    timeout: float | None = None,
    partial: Literal[False] = False,
) -> Plan[E1 | E2 | E3, tuple[A1, A2, A3]]: ...
@overload
def parallel(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    /,
    *,
    timeout: float | None = None,
    partial: Literal[False] = False,
) -> Plan[E1 | E2 | E3 | E4, tuple[A1, A2, A3, A4]]: ...
@overload
def parallel(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    /,
    *,
    timeout: float | None = None,
    partial: Literal[False] = False,
) -> Plan[E1 | E2 | E3 | E4 | E5, tuple[A1, A2, A3, A4, A5]]: ...
@overload
def parallel(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    a6: Performs[E6, A6],
    /,
    *,
    timeout: float | None = None,
    partial: Literal[False] = False,
) -> Plan[E1 | E2 | E3 | E4 | E5 | E6, tuple[A1, A2, A3, A4, A5, A6]]: ...
@overload
def parallel(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    a6: Performs[E6, A6],
    a7: Performs[E7, A7],
    /,
    *,
    timeout: float | None = None,
    partial: Literal[False] = False,
) -> Plan[E1 | E2 | E3 | E4 | E5 | E6 | E7, tuple[A1, A2, A3, A4, A5, A6, A7]]: ...
@overload
def parallel(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    a6: Performs[E6, A6],
    a7: Performs[E7, A7],
    a8: Performs[E8, A8],
    /,
    *,
    timeout: float | None = None,
    partial: Literal[False] = False,
) -> Plan[E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8, tuple[A1, A2, A3, A4, A5, A6, A7, A8]]: ...
@overload
def parallel(
    *plans: Performs[E, A], timeout: float | None = None, partial: Literal[False] = False
) -> Plan[E, tuple[A, ...]]: ...
@overload
def parallel(
    a1: Performs[E1, A1], /, *, timeout: float | None = None, partial: Literal[True]
) -> Plan[E1, tuple[A1 | Missing]]: ...
@overload
def parallel(
    a1: Performs[E1, A1], a2: Performs[E2, A2], /, *, timeout: float | None = None, partial: Literal[True]
) -> Plan[E1 | E2, tuple[A1 | Missing, A2 | Missing]]: ...
@overload
def parallel(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    /,
    *,
    timeout: float | None = None,
    partial: Literal[True],
) -> Plan[E1 | E2 | E3, tuple[A1 | Missing, A2 | Missing, A3 | Missing]]: ...
@overload
def parallel(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    /,
    *,
    timeout: float | None = None,
    partial: Literal[True],
) -> Plan[E1 | E2 | E3 | E4, tuple[A1 | Missing, A2 | Missing, A3 | Missing, A4 | Missing]]: ...
@overload
def parallel(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    /,
    *,
    timeout: float | None = None,
    partial: Literal[True],
) -> Plan[
    E1 | E2 | E3 | E4 | E5, tuple[A1 | Missing, A2 | Missing, A3 | Missing, A4 | Missing, A5 | Missing]
]: ...
@overload
def parallel(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    a6: Performs[E6, A6],
    /,
    *,
    timeout: float | None = None,
    partial: Literal[True],
) -> Plan[
    E1 | E2 | E3 | E4 | E5 | E6,
    tuple[A1 | Missing, A2 | Missing, A3 | Missing, A4 | Missing, A5 | Missing, A6 | Missing],
]: ...
@overload
def parallel(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    a6: Performs[E6, A6],
    a7: Performs[E7, A7],
    /,
    *,
    timeout: float | None = None,
    partial: Literal[True],
) -> Plan[
    E1 | E2 | E3 | E4 | E5 | E6 | E7,
    tuple[A1 | Missing, A2 | Missing, A3 | Missing, A4 | Missing, A5 | Missing, A6 | Missing, A7 | Missing],
]: ...
@overload
def parallel(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    a6: Performs[E6, A6],
    a7: Performs[E7, A7],
    a8: Performs[E8, A8],
    /,
    *,
    timeout: float | None = None,
    partial: Literal[True],
) -> Plan[
    E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8,
    tuple[
        A1 | Missing,
        A2 | Missing,
        A3 | Missing,
        A4 | Missing,
        A5 | Missing,
        A6 | Missing,
        A7 | Missing,
        A8 | Missing,
    ],
]: ...
@overload
def parallel(
    *plans: Performs[E, A], timeout: float | None = None, partial: Literal[True]
) -> Plan[E, tuple[A | Missing, ...]]: ...
def parallel(
    *plans: Performs[Any, Any], timeout: float | None = None, partial: bool = False
) -> Plan[Any, Any]:
    """Perform all plans at the same time and answer a tuple of their answers, in declared order.

    The first failure cancels the siblings; once they have ended, an `ExceptionGroup` of all failures is raised.

    - `timeout`: a limit in seconds on all of it. When it passes, `PlanTimeout` is raised, or, with
      `partial=True`, the finished branches answer and `MISSING` stands for the rest.

    >>> from lambdacat_effects import Now, NewId, in_memory, parallel
    >>> in_memory().run_pure(parallel(Now(), Now()))
    (0.0, 0.0)
    """
    if partial and timeout is None:
        raise InvalidArgument("partial=True says what to do at a deadline, so it needs timeout=")
    return concurrent(plans, ALL, timeout=timeout, partial=partial, empty=True)
