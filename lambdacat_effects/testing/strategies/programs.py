"""Random programs over a user's effects."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias, TypeVar, cast

from hypothesis import strategies as st

from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.testing.strategies.program import COMBINATORS, Program

__all__ = ["programs"]

E = TypeVar("E", bound=Effect[Any])

_Programs: TypeAlias = st.SearchStrategy[Program]

_MOST_PARTS = 4
_SECONDS = st.integers(0, 5)


def programs(
    effects: st.SearchStrategy[E] | None = None,
    *,
    answers: st.SearchStrategy[Any] | Callable[[E], st.SearchStrategy[Any]] | None = None,
    errors: st.SearchStrategy[Exception] | None = None,
    combinators: Collection[str] = COMBINATORS,
    seconds: st.SearchStrategy[float] = _SECONDS,
    max_leaves: int = 10,
) -> st.SearchStrategy[Program]:
    """Random programs: `effects` under all `combinators`, as recipes that make the same plan again and again.

    - `effects` draws the effects; without it, programs only sleep and fail.
    - `answers` draws what `program.handler()` answers to them: for all alike, or a function from the effect to a
      strategy. What is an exception is raised.
    - `errors` draws what programs fail with; without it they have no `fail`.
    - `combinators` may leave some of `COMBINATORS` out; `UNTIMED` are those whose answer does not depend on timing.
      Without "timeout" nothing has a deadline.
    - `seconds` draws sleeps and deadlines, and `max_leaves` is about how many leaves there are at most.

    A counter-example shrinks towards one leaf, of no seconds. Raises `InvalidArgument`.

    >>> from hypothesis import find
    >>> from lambdacat_effects import Now
    >>> find(programs(st.just(Now())), lambda program: program.kind == "race")
    Program('race', Program('perform', effect=Now()))
    """
    unknown = sorted({*combinators} - {*COMBINATORS})
    if isinstance(combinators, str) or unknown:
        raise InvalidArgument(
            f"combinators are a collection of {', '.join(COMBINATORS)}; got {unknown or combinators}"
        )
    leaves: _Programs = seconds.map(lambda s: Program("sleep", seconds=s))
    if effects is not None:
        leaves = _performs(effects, answers) | leaves
    elif answers is not None:
        raise InvalidArgument(
            "programs() was given answers= and no effects: give the strategy of effects first"
        )
    if errors is not None:
        leaves |= errors.map(lambda error: Program("fail", error=error))
    chosen = [kind for kind in COMBINATORS if kind in combinators]
    if not chosen:
        return leaves

    def extend(inner: _Programs) -> _Programs:
        # Composed, as the `repr` of a `one_of` would hold that of `inner` some fifty times over.
        @st.composite
        def combined(draw: st.DrawFn) -> Program:
            kind = draw(st.sampled_from(chosen))
            least, most = _SIZES.get(kind, (1, _MOST_PARTS))
            parts = draw(st.lists(inner, min_size=least, max_size=most))
            deadline = "timeout" in chosen and draw(st.booleans())
            return Program(kind, *parts, **_settings(draw, kind, len(parts), seconds, deadline))

        return combined()

    return st.recursive(leaves, extend, max_leaves=max_leaves)


def _performs(
    effects: st.SearchStrategy[E],
    answers: st.SearchStrategy[Any] | Callable[[E], st.SearchStrategy[Any]] | None,
) -> _Programs:
    if answers is None:
        return effects.map(lambda effect: Program("perform", effect=effect))
    draw_answer = answers

    def answered(effect: E) -> _Programs:
        some: st.SearchStrategy[Any] = (
            cast(Any, draw_answer) if isinstance(draw_answer, st.SearchStrategy) else draw_answer(effect)
        )
        return some.map(lambda answer: Program("perform", effect=effect, answer=answer))

    return effects.flatmap(answered)


_SIZES: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("in_turn", "parallel", "settle", "for_each"), (0, _MOST_PARTS)),
    **dict.fromkeys(("hedge", "timeout", "attempt", "span", "call", "shielded"), (1, 1)),
    "cleanup": (2, 2),
}


def _settings(
    draw: st.DrawFn, kind: str, size: int, seconds: st.SearchStrategy[float], deadline: bool
) -> dict[str, Any]:
    given: dict[str, Any] = {}
    match kind:
        case "n_best" | "quorum":
            given["n"] = draw(st.integers(1, size))
        case "hedge":
            return {"after": draw(seconds), "copies": draw(st.integers(1, 3))}
        case "for_each":
            given["limit"] = draw(st.none() | st.integers(1, 3))
        case "timeout":
            return {"seconds": draw(seconds)}
        case "span":
            return {"name": draw(st.sampled_from(["a part", "another"]))}
        case "cleanup":
            return {"shield": draw(st.booleans())}
        case "parallel" | "race" | "settle":
            pass
        case _:
            return given
    if deadline:
        given["timeout"] = draw(seconds)
        if kind == "parallel":
            given["partial"] = draw(st.booleans())
    return given
