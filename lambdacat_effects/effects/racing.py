"""The first of several plans to succeed.

The overloads keep the type of each branch up to eight branches. Beyond that, and for `race(*plans)`, they
share one type.
"""

from __future__ import annotations

from typing import Any, overload

from lambdacat_effects.effects.concurrency import FIRST_COMPLETED, concurrent
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

__all__ = ["race"]


@overload
def race(a1: Performs[E1, A1], /, *, timeout: float | None = None) -> Plan[E1, A1]: ...
@overload
def race(
    a1: Performs[E1, A1], a2: Performs[E2, A2], /, *, timeout: float | None = None
) -> Plan[E1 | E2, A1 | A2]: ...
@overload
def race(
    a1: Performs[E1, A1], a2: Performs[E2, A2], a3: Performs[E3, A3], /, *, timeout: float | None = None
) -> Plan[E1 | E2 | E3, A1 | A2 | A3]: ...
@overload
def race(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    /,
    *,
    timeout: float | None = None,
) -> Plan[E1 | E2 | E3 | E4, A1 | A2 | A3 | A4]: ...
@overload
def race(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    /,
    *,
    timeout: float | None = None,
) -> Plan[E1 | E2 | E3 | E4 | E5, A1 | A2 | A3 | A4 | A5]: ...
@overload
def race(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    a6: Performs[E6, A6],
    /,
    *,
    timeout: float | None = None,
) -> Plan[E1 | E2 | E3 | E4 | E5 | E6, A1 | A2 | A3 | A4 | A5 | A6]: ...
@overload
def race(
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
) -> Plan[E1 | E2 | E3 | E4 | E5 | E6 | E7, A1 | A2 | A3 | A4 | A5 | A6 | A7]: ...
@overload
def race(
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
) -> Plan[E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8, A1 | A2 | A3 | A4 | A5 | A6 | A7 | A8]: ...
@overload
def race(*plans: Performs[E, A], timeout: float | None = None) -> Plan[E, A]: ...
def race(*plans: Performs[Any, Any], timeout: float | None = None) -> Plan[Any, Any]:
    """Answer with the first plan to succeed, after the others have been cancelled and have ended.

    A plan that fails is out of the race; when all fail, an `ExceptionGroup` of the failures is raised. Plans that
    succeed in the same scheduler tick tie, and the first declared wins. When `timeout` (seconds) passes with
    no winner, `PlanTimeout` is raised.
    """
    return concurrent(plans, FIRST_COMPLETED, timeout=timeout)
