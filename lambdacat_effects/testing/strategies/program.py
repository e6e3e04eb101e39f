"""Recipes of plans. A plan is a generator and runs once; its recipe is a value, and makes it as often as needed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

import attrs

from lambdacat_effects.effects import (
    Effect,
    Performs,
    Plan,
    Sleep,
    attempt,
    call,
    fail,
    for_each,
    hedge,
    n_best,
    parallel,
    quorum,
    race,
    settle,
    shielded,
    span,
    timeout,
)
from lambdacat_effects.errors import InvalidArgument, UnhandledEffect
from lambdacat_effects.runtime.handler import Handler

__all__ = ["COMBINATORS", "UNTIMED", "Program"]

_UNANSWERED: Final[Any] = object()

_Parts: TypeAlias = "tuple[Program, ...]"


@attrs.frozen(init=False, repr=False)
class Program:
    """A recipe of a plan: what `programs` draws.

    A kind, the programs inside it, and settings by name. The leaves are "perform" (`effect=`, and perhaps the
    `answer=` that it is given), "sleep" (`seconds=`) and "fail" (`error=`); the others are in `COMBINATORS` and make
    what the combinator of that name does. "in_turn" performs one after the other and answers a tuple; "cleanup"
    performs its second part in the `finally` of its first, `shielded` or not.

    Its `repr` is the expression that makes it. Raises `InvalidArgument` for an unknown kind, and for parts and
    settings that do not fit it.

    >>> from lambdacat_effects import ambient
    >>> two = Program("parallel", Program("sleep", seconds=1), Program("attempt", Program("fail", error=OSError())))
    >>> ambient.run_pure(two.plan()), ambient.run_pure(two.plan())
    ((None, Err(error=OSError())), (None, Err(error=OSError())))
    """

    kind: str
    """"perform", "sleep", "fail", or one of `COMBINATORS`."""
    parts: _Parts
    """The programs inside."""
    settings: tuple[tuple[str, Any], ...]
    """Arguments besides the parts."""

    def __init__(self, kind: str, *parts: Program, **settings: Any) -> None:
        make = _MAKERS.get(kind)
        if make is None:
            raise InvalidArgument(f"a program is one of {', '.join(sorted(_MAKERS))}; got {kind!r}")
        strangers = [part for part in parts if type(part) is not Program]
        if strangers:
            raise InvalidArgument(f"the parts of a program are programs; got {strangers[0]!r}")
        try:
            inspect.signature(make).bind(*parts, **settings)
        except TypeError as error:
            raise InvalidArgument(
                f"{kind!r} was given {len(parts)} parts and the settings {sorted(settings)}: {error}"
            ) from None
        set_field = object.__setattr__  # it is frozen
        set_field(self, "kind", kind)
        set_field(self, "parts", parts)
        set_field(self, "settings", tuple(settings.items()))

    def plan(self) -> Plan[Any, Any]:
        """The plan, made anew."""
        made: Performs[Any, Any] = _MAKERS[self.kind](*self.parts, **dict(self.settings))
        return iter(made)

    @property
    def effects(self) -> tuple[Effect[Any], ...]:
        """The effects of its "perform" leaves, in the order they are written."""
        return tuple([dict(leaf.settings)["effect"] for leaf in self.walk() if leaf.kind == "perform"])

    def walk(self) -> Iterator[Program]:
        """It and all programs inside, outer before inner."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def handler(self) -> Handler[Any]:
        """A handler that answers its effects with their `answer=`, and raises those that are exceptions.

        Equal effects have one answer, the first that is written, so that it does not depend on their order. Raises
        `UnhandledEffect` at an effect without an answer.
        """
        answers: list[tuple[Any, Any]] = []
        for leaf in self.walk():
            given = dict(leaf.settings)
            if given.get("answer", _UNANSWERED) is not _UNANSWERED:
                answers.append((given["effect"], given["answer"]))

        def answer(effect: Any) -> Any:
            for known, given in answers:
                if known == effect:
                    if isinstance(given, Exception):
                        raise given.with_traceback(None)
                    return given
            raise UnhandledEffect(f"the program has no answer= for {effect!r}: compose in a handler of it")

        return Handler.of({type(effect): answer for effect, _ in answers})

    def __repr__(self) -> str:
        given = [repr(part) for part in self.parts] + [f"{name}={value!r}" for name, value in self.settings]
        return f"Program({', '.join([repr(self.kind), *given])})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002
        """The same over several lines, as Hypothesis shows it."""
        with printer.group(4, "Program(", ")"):
            printer.pretty(self.kind)
            for part in self.parts:
                printer.text(",")
                printer.breakable()
                printer.pretty(part)
            for name, value in self.settings:
                printer.text(",")
                printer.breakable()
                printer.text(f"{name}=")
                printer.pretty(value)


def _plans(parts: _Parts) -> list[Plan[Any, Any]]:
    return [part.plan() for part in parts]


def _perform(*, effect: Any, answer: Any = _UNANSWERED) -> Any:  # noqa: ARG001  (for the handler)
    return effect


def _in_turn(*parts: Program) -> Plan[Any, tuple[Any, ...]]:
    answers: tuple[Any, ...] = ()
    for part in parts:
        answers = (*answers, (yield from part.plan()))
    return answers


def _cleanup(body: Program, last: Program, /, *, shield: bool = True) -> Plan[Any, Any]:
    try:
        return (yield from body.plan())
    finally:
        yield from (shielded(last.plan()) if shield else last.plan())


def _size(answer: object) -> int:
    return len(repr(answer))


def _parallel(*parts: Program, **given: Any) -> Any:
    return parallel(*_plans(parts), **given)


def _race(*parts: Program, timeout: float | None = None) -> Any:
    return race(*_plans(parts), timeout=timeout)


def _n_best(*parts: Program, n: int = 1, timeout: float | None = None) -> Any:
    return n_best(*_plans(parts), n=n, score=_size, timeout=timeout)


def _quorum(*parts: Program, n: int = 1, timeout: float | None = None) -> Any:
    return quorum(*_plans(parts), n=n, timeout=timeout)


def _settle(*parts: Program, **given: Any) -> Any:
    return settle(*_plans(parts), **given)


def _for_each(*parts: Program, limit: int | None = None, timeout: float | None = None) -> Any:
    return for_each(parts, Program.plan, limit=limit, timeout=timeout)


def _hedge(part: Program, /, *, after: float, copies: int = 2) -> Any:
    return hedge(part.plan, after=after, copies=copies)


def _timeout(part: Program, /, *, seconds: float) -> Any:
    return timeout(seconds, part.plan())


def _attempt(part: Program, /) -> Any:
    return attempt(part.plan())


def _span(part: Program, /, *, name: str) -> Any:
    return span(name, part.plan())


def _call(part: Program, /) -> Any:
    return call(part.plan())


def _shielded(part: Program, /) -> Any:
    return shielded(part.plan())


def _sleep(*, seconds: float) -> Any:
    return Sleep(seconds)


def _fail(*, error: Exception) -> Any:
    return fail(error.with_traceback(None))


_COMBINED: dict[str, Callable[..., Any]] = {
    "in_turn": _in_turn,
    "parallel": _parallel,
    "race": _race,
    "n_best": _n_best,
    "quorum": _quorum,
    "hedge": _hedge,
    "for_each": _for_each,
    "timeout": _timeout,
    "settle": _settle,
    "attempt": _attempt,
    "span": _span,
    "call": _call,
    "shielded": _shielded,
    "cleanup": _cleanup,
}
_MAKERS: dict[str, Callable[..., Any]] = {
    "perform": _perform,
    "sleep": _sleep,
    "fail": _fail,
    **_COMBINED,
}

COMBINATORS: Final[tuple[str, ...]] = tuple(_COMBINED)
"""The kinds of programs that have others inside."""

UNTIMED: Final[tuple[str, ...]] = tuple(
    [kind for kind in COMBINATORS if kind not in ("race", "quorum", "hedge", "timeout")]
)
"""Those of `COMBINATORS` whose answer does not depend on who is first, as long as nothing fails: a program of these
answers the same under `run`, `run_pure` and every schedule."""
