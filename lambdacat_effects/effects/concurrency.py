"""Plans performed at the same time, the policies that end them, and the combinators over plans of one type.

No task outlives the plan that started it: losers are cancelled *and awaited* before the answer arrives.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeGuard, TypeVar, cast

from lambdacat_effects.effects.ambient import Sleep
from lambdacat_effects.effects.control import Control, call, check_seconds, perform
from lambdacat_effects.effects.effect import Effect, Performs, Plan, effect, performable
from lambdacat_effects.errors import InvalidArgument

__all__ = [
    "ALL",
    "FIRST_COMPLETED",
    "N_BEST",
    "QUORUM",
    "SETTLE",
    "Concurrent",
    "Each",
    "Policy",
    "concurrent",
    "for_each",
    "hedge",
    "n_best",
    "quorum",
]

A = TypeVar("A")
T = TypeVar("T")
E = TypeVar("E", bound=Effect[Any])


class Policy(enum.Enum):
    """When concurrent branches have done enough, and what their answers amount to."""

    ALL = "all"
    """Every branch must succeed. The first failure cancels its siblings."""
    FIRST_COMPLETED = "first_completed"
    """The first branch to succeed answers; the rest are cancelled."""
    N_BEST = "n_best"
    """All run to their end or the deadline; the n with the highest scores answer."""
    QUORUM = "quorum"
    """n branches must succeed; the rest are cancelled, also once n can no longer be reached."""
    SETTLE = "settle"
    """All run to their end, whatever it is."""

    @property
    def combinator(self) -> str:
        """The function that performs plans under this policy, for messages."""
        return {"all": "parallel", "first_completed": "race"}.get(self.value, self.value)


ALL = Policy.ALL
FIRST_COMPLETED = Policy.FIRST_COMPLETED
N_BEST = Policy.N_BEST
QUORUM = Policy.QUORUM
SETTLE = Policy.SETTLE


class Each(Sequence[Performs[Any, Any]], Generic[T]):
    """Branches made when they start, one for each item: what `for_each` performs."""

    __slots__ = ("items", "make")

    def __init__(self, items: Sequence[T], make: Callable[[T], Performs[Any, Any]]) -> None:
        self.items: Sequence[T] = items
        self.make: Callable[[T], Performs[Any, Any]] = make

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return performable(self.make(cast(T, self.items[index])))


@effect
class Concurrent(Control[A]):
    """Perform `branches` at the same time, under a policy."""

    branches: Sequence[Performs[Any, Any]]
    policy: Policy
    n: int | None = None
    score: Callable[[Any], Any] | None = None
    timeout: float | None = None
    partial: bool = False
    limit: int | None = None
    rest: float | None = None
    """What is left of the `timeout`, in a run that was resumed in between."""

    @property
    def left(self) -> float | None:
        """How long it may take from now on; None: as long as it likes."""
        return self.timeout if self.rest is None else self.rest

    @property
    def combinator(self) -> str:
        """The name of the combinator that made it, for messages."""
        return "for_each" if isinstance(self.branches, Each) else self.policy.combinator

    def title(self) -> str:
        return f"{self.combinator} of {len(self.branches)}"


def n_best(
    *plans: Performs[E, A], n: int, score: Callable[[A], Any], timeout: float | None = None
) -> Plan[E, list[A]]:
    """Perform all plans to their end or the deadline and answer the `n` best answers, best first.

    `score` maps an answer to anything ordered, higher is better; equal scores keep declared order. Failed and
    unfinished plans do not take part, so the list may be shorter than `n`. When every plan that ended failed,
    an `ExceptionGroup` is raised; when none has ended by the deadline (`timeout`, seconds), the list is empty.

    Raises `InvalidArgument` when `n` is not between 1 and the number of plans.
    """
    _check_n("n_best", n, len(plans))
    if not callable(cast(object, score)):
        raise InvalidArgument(f"n_best needs score=, a function from an answer to a number; got {score!r}")
    return concurrent(plans, N_BEST, n=n, score=score, timeout=timeout)


def quorum(*plans: Performs[E, A], n: int, timeout: float | None = None) -> Plan[E, list[A]]:
    """Answer as soon as `n` plans have succeeded, with their `n` answers in declared order; cancel the rest.

    Once `n` successes cannot be reached any more the rest are cancelled, too, and an `ExceptionGroup` of the
    failures is raised. When the deadline (`timeout`, seconds) passes first, `PlanTimeout` is raised.
    """
    _check_n("quorum", n, len(plans))
    return concurrent(plans, QUORUM, n=n, timeout=timeout)


def for_each(
    items: Iterable[T],
    make: Callable[[T], Performs[E, A]],
    *,
    limit: int | None = None,
    timeout: float | None = None,
) -> Plan[E, list[A]]:
    """Perform `make(item)` for every item, at most `limit` at once, and answer the list of answers in order.

    A plan is made when its turn comes. The first failure cancels the others and raises an `ExceptionGroup`.
    """
    if limit is not None and not _is_count(limit):
        raise InvalidArgument(f"for_each needs a limit of at least 1 (or None, for no limit); got {limit!r}")
    if not callable(cast(object, make)):
        raise InvalidArgument(f"for_each needs a function that makes a plan for an item; got {make!r}")
    check_seconds("timeout", timeout)
    if not isinstance(cast(object, items), Iterable):
        raise InvalidArgument(
            f"for_each takes items and a function that makes a plan for one; got {items!r} as items"
        )
    return _answer_list(Concurrent(Each(tuple(items), make), ALL, timeout=timeout, limit=limit))


def hedge(make: Callable[[], Performs[E, A]], *, after: float, copies: int = 2) -> Plan[E | Sleep, A]:
    """Perform `make()`, and again after `after` seconds, then 2 x `after`, ...; the first success answers.

    `copies` is the number of plans at most, the first included. When all fail, an `ExceptionGroup` is raised.
    For idempotent requests with a long tail of latency (Dean and Barroso, "The Tail at Scale", 2013).
    """
    if not callable(cast(object, make)):
        raise InvalidArgument(
            f"hedge starts a plan more than once, so it needs a function that makes it; got {make!r}"
        )
    if not _is_count(copies):
        raise InvalidArgument(f"hedge needs at least 1 copy; got {copies!r}")
    check_seconds("after", after, optional=False)
    return concurrent(tuple(_delayed(k * after, make) for k in range(copies)), FIRST_COMPLETED)


def _delayed(seconds: float, make: Callable[[], Performs[E, A]]) -> Plan[E | Sleep, A]:
    if seconds:
        yield from Sleep(seconds)
    return (yield from call(make()))


def _answer_list(concurrent: Concurrent[tuple[A, ...]]) -> Plan[Any, list[A]]:
    return list((yield from concurrent))


def _is_count(n: object) -> TypeGuard[int]:
    return isinstance(n, int) and not isinstance(n, bool) and n >= 1


def _check_n(name: str, n: object, branches: int) -> None:
    if not _is_count(n) or n > branches:
        raise InvalidArgument(f"{name} needs n between 1 and the number of plans, {branches}; got n={n!r}")


def concurrent(
    plans: Sequence[Performs[Any, Any]],
    policy: Policy,
    *,
    n: int | None = None,
    score: Callable[[Any], Any] | None = None,
    timeout: float | None = None,
    partial: bool = False,
    empty: bool = False,
) -> Plan[Any, Any]:
    """The plan that performs `plans` under a policy; arguments are checked here, before anything runs."""
    if not plans and not empty:
        raise InvalidArgument(f"{policy.combinator} of no plans has no answer: give at least one")
    check_seconds("timeout", timeout)
    branches = tuple([performable(plan) for plan in plans])
    return perform(Concurrent(branches, policy, n, score, timeout, partial))
