"""How each of several plans ended.

The overloads keep the type of each branch up to eight branches. Beyond that, and for `settle(*plans)`, the type is a
homogeneous tuple of any length.
"""

from __future__ import annotations

from typing import Any, overload

from lambdacat_effects.algebra.result import Err, Missing, Ok
from lambdacat_effects.effects.concurrency import SETTLE, concurrent
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

__all__ = ["settle"]


@overload
def settle(a1: Performs[E1, A1], /, *, timeout: None = None) -> Plan[E1, tuple[Ok[A1] | Err[Exception]]]: ...
@overload
def settle(
    a1: Performs[E1, A1], a2: Performs[E2, A2], /, *, timeout: None = None
) -> Plan[E1 | E2, tuple[Ok[A1] | Err[Exception], Ok[A2] | Err[Exception]]]: ...
@overload
def settle(
    a1: Performs[E1, A1], a2: Performs[E2, A2], a3: Performs[E3, A3], /, *, timeout: None = None
) -> Plan[E1 | E2 | E3, tuple[Ok[A1] | Err[Exception], Ok[A2] | Err[Exception], Ok[A3] | Err[Exception]]]: ...
@overload
def settle(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    /,
    *,
    timeout: None = None,
) -> Plan[
    E1 | E2 | E3 | E4,
    tuple[Ok[A1] | Err[Exception], Ok[A2] | Err[Exception], Ok[A3] | Err[Exception], Ok[A4] | Err[Exception]],
]: ...
@overload
def settle(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    /,
    *,
    timeout: None = None,
) -> Plan[
    E1 | E2 | E3 | E4 | E5,
    tuple[
        Ok[A1] | Err[Exception],
        Ok[A2] | Err[Exception],
        Ok[A3] | Err[Exception],
        Ok[A4] | Err[Exception],
        Ok[A5] | Err[Exception],
    ],
]: ...
@overload
def settle(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    a6: Performs[E6, A6],
    /,
    *,
    timeout: None = None,
) -> Plan[
    E1 | E2 | E3 | E4 | E5 | E6,
    tuple[
        Ok[A1] | Err[Exception],
        Ok[A2] | Err[Exception],
        Ok[A3] | Err[Exception],
        Ok[A4] | Err[Exception],
        Ok[A5] | Err[Exception],
        Ok[A6] | Err[Exception],
    ],
]: ...
@overload
def settle(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    a6: Performs[E6, A6],
    a7: Performs[E7, A7],
    /,
    *,
    timeout: None = None,
) -> Plan[
    E1 | E2 | E3 | E4 | E5 | E6 | E7,
    tuple[
        Ok[A1] | Err[Exception],
        Ok[A2] | Err[Exception],
        Ok[A3] | Err[Exception],
        Ok[A4] | Err[Exception],
        Ok[A5] | Err[Exception],
        Ok[A6] | Err[Exception],
        Ok[A7] | Err[Exception],
    ],
]: ...
@overload
def settle(
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
    timeout: None = None,
) -> Plan[
    E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8,
    tuple[
        Ok[A1] | Err[Exception],
        Ok[A2] | Err[Exception],
        Ok[A3] | Err[Exception],
        Ok[A4] | Err[Exception],
        Ok[A5] | Err[Exception],
        Ok[A6] | Err[Exception],
        Ok[A7] | Err[Exception],
        Ok[A8] | Err[Exception],
    ],
]: ...
@overload
def settle(*plans: Performs[E, A], timeout: None = None) -> Plan[E, tuple[Ok[A] | Err[Exception], ...]]: ...
@overload
def settle(
    a1: Performs[E1, A1], /, *, timeout: float
) -> Plan[E1, tuple[Ok[A1] | Err[Exception] | Missing]]: ...
@overload
def settle(
    a1: Performs[E1, A1], a2: Performs[E2, A2], /, *, timeout: float
) -> Plan[E1 | E2, tuple[Ok[A1] | Err[Exception] | Missing, Ok[A2] | Err[Exception] | Missing]]: ...
@overload
def settle(
    a1: Performs[E1, A1], a2: Performs[E2, A2], a3: Performs[E3, A3], /, *, timeout: float
) -> Plan[
    E1 | E2 | E3,
    tuple[
        Ok[A1] | Err[Exception] | Missing,
        Ok[A2] | Err[Exception] | Missing,
        Ok[A3] | Err[Exception] | Missing,
    ],
]: ...
@overload
def settle(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    /,
    *,
    timeout: float,
) -> Plan[
    E1 | E2 | E3 | E4,
    tuple[
        Ok[A1] | Err[Exception] | Missing,
        Ok[A2] | Err[Exception] | Missing,
        Ok[A3] | Err[Exception] | Missing,
        Ok[A4] | Err[Exception] | Missing,
    ],
]: ...
@overload
def settle(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    /,
    *,
    timeout: float,
) -> Plan[
    E1 | E2 | E3 | E4 | E5,
    tuple[
        Ok[A1] | Err[Exception] | Missing,
        Ok[A2] | Err[Exception] | Missing,
        Ok[A3] | Err[Exception] | Missing,
        Ok[A4] | Err[Exception] | Missing,
        Ok[A5] | Err[Exception] | Missing,
    ],
]: ...
@overload
def settle(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    a6: Performs[E6, A6],
    /,
    *,
    timeout: float,
) -> Plan[
    E1 | E2 | E3 | E4 | E5 | E6,
    tuple[
        Ok[A1] | Err[Exception] | Missing,
        Ok[A2] | Err[Exception] | Missing,
        Ok[A3] | Err[Exception] | Missing,
        Ok[A4] | Err[Exception] | Missing,
        Ok[A5] | Err[Exception] | Missing,
        Ok[A6] | Err[Exception] | Missing,
    ],
]: ...
@overload
def settle(
    a1: Performs[E1, A1],
    a2: Performs[E2, A2],
    a3: Performs[E3, A3],
    a4: Performs[E4, A4],
    a5: Performs[E5, A5],
    a6: Performs[E6, A6],
    a7: Performs[E7, A7],
    /,
    *,
    timeout: float,
) -> Plan[
    E1 | E2 | E3 | E4 | E5 | E6 | E7,
    tuple[
        Ok[A1] | Err[Exception] | Missing,
        Ok[A2] | Err[Exception] | Missing,
        Ok[A3] | Err[Exception] | Missing,
        Ok[A4] | Err[Exception] | Missing,
        Ok[A5] | Err[Exception] | Missing,
        Ok[A6] | Err[Exception] | Missing,
        Ok[A7] | Err[Exception] | Missing,
    ],
]: ...
@overload
def settle(
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
    timeout: float,
) -> Plan[
    E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8,
    tuple[
        Ok[A1] | Err[Exception] | Missing,
        Ok[A2] | Err[Exception] | Missing,
        Ok[A3] | Err[Exception] | Missing,
        Ok[A4] | Err[Exception] | Missing,
        Ok[A5] | Err[Exception] | Missing,
        Ok[A6] | Err[Exception] | Missing,
        Ok[A7] | Err[Exception] | Missing,
        Ok[A8] | Err[Exception] | Missing,
    ],
]: ...
@overload
def settle(
    *plans: Performs[E, A], timeout: float
) -> Plan[E, tuple[Ok[A] | Err[Exception] | Missing, ...]]: ...
def settle(*plans: Performs[Any, Any], timeout: float | None = None) -> Plan[Any, Any]:
    """Perform all plans to their end and answer how each ended: `Ok(value)` or `Err(error)`, in declared order.

    No failure cancels anybody. At the deadline (`timeout`, seconds) the unfinished are cancelled, and `MISSING`
    stands for them.
    """
    return concurrent(plans, SETTLE, timeout=timeout, empty=True)
