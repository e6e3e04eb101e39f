"""The laws of handlers: what composing and wrapping must not change, and agreement with a model."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, NoReturn, TypeAlias, Unpack, cast

import attrs

from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.errors import InvalidArgument, LambdacatError, UnhandledEffect
from lambdacat_effects.runtime.handler import Handler, ambient
from lambdacat_effects.runtime.table import Key
from lambdacat_effects.testing.laws.inputs import Inputs, gathered, is_strategy
from lambdacat_effects.testing.laws.law import Checking, Law, Sides, trying
from lambdacat_effects.testing.laws.outcomes import (
    Answered,
    Outcome,
    Program,
    comparable,
    on_trio,
    on_trio_at_once,
    purely,
)

__all__ = ["Make", "RivalAnswered", "handler_laws"]

Make: TypeAlias = "Handler[Any] | Callable[[], Handler[Any]]"
"""A handler without a state of its own, or a function that makes a fresh one."""


class RivalAnswered(LambdacatError):
    """An effect reached one of the handlers that the laws of `|` compose with yours: it raises instead of answering,
    which tells them apart. Only programs that these laws perform see it."""


def handler_laws(
    make: Make,
    programs: Inputs[Program | Sequence[Program]],
    *,
    model: Make | None = None,
    others: Iterable[Make] = (),
    live: bool = False,
    **how: Unpack[Checking],
) -> list[Law]:
    """The laws of a handler: it composes, interposers that change nothing are invisible, and it agrees with a model.

    `make` makes a fresh handler for each side of each equation, so that a state begins anew; give the handler itself
    if it has none. `programs` are effects, functions that make a plan, or sequences of these, which run one after
    the other on one handler, so that its state carries over. Two sides are equal if every program answers equal
    values, or raises errors of equal type and arguments. `equal` and `observe` apply to what a program answers.

    The programs run under `run_pure`, and on Trio with virtual time, which has to agree: so their answers may depend
    neither on timing nor on chance. With `live=True`, for handlers that wait for the world, they run on Trio in real
    time only. `model` is a handler of the same effects that needs no event loop. The laws of `|` compose the handler
    with `others`, and with rivals that name the same effects and raise.

    Raises `InvalidArgument` if there is nothing to check, or no handler to check it on.

    >>> from lambdacat_effects import Effect, effect
    >>> @effect
    ... class Next(Effect[int]): ...
    >>> def counter(step=1):
    ...     counts = iter(range(0, 100, step))
    ...     return Next.by(lambda _: next(counts))
    >>> for law in handler_laws(counter, [[Next(), Next()]]):
    ...     law.check()
    >>> handler_laws(lambda: counter(2), [[Next()], [Next(), Next()]], model=counter)[-1].check()
    Traceback (most recent call last):
    lambdacat_effects.errors.LawBroken: the law "agrees with its model" does not hold for <handler of Next>:
    run(handler, p) == run_pure(model, p)
        p = [Next(), Next()]
      left side:  [answered 0, answered 2]
      right side: [answered 0, answered 1]
    """
    handler = _Maker("the handler", make)
    sample = handler()
    perform = on_trio if live else purely
    observe = how.get("observe", _itself)

    def ends(made: Handler[Any], p: Any, perform: Any = perform, *, partly: bool = False) -> list[Outcome]:
        found: list[Outcome] = perform(made, _steps(p))
        return [_observed(outcome, observe, partly) for outcome in found]

    def law(name: str, equation: str, sides: Sides, **inputs: Any) -> Law:
        inputs["p"] = p
        same = functools.partial(_same, how.get("equal", operator.eq))
        return Law(name, equation, sides, inputs, about=repr(sample), **trying(how), equal=same)

    def unchanged(name: str, equation: str, change: Callable[[Handler[Any]], Handler[Any]]) -> Law:
        return law(name, equation, lambda p: (ends(change(handler()), p), ends(handler(), p)))

    p = gathered("programs", programs)
    if not is_strategy(p):
        for program in cast("Iterable[Any]", p):
            _check_program(program)
    rival, half = _rivals(list(sample.bindings))
    any_of = (handler, rival, half, *(_Maker(f"others[{i}]", other) for i, other in enumerate(others)))
    laws = [
        unchanged(
            "identity interposer",
            "run(h.behind(identity), p) == run(h, p), where identity only asks the next one",
            lambda h: h.behind(_identity),
        ),
        unchanged("ambient on the left", "run(ambient | h, p) == run(h, p)", lambda h: ambient | h),
        unchanged("ambient on the right", "run(h | ambient, p) == run(h, p)", lambda h: h | ambient),
        unchanged(
            "over a rival",
            "run(rival | h, p) == run(h, p): the right one answers what both name",
            lambda h: rival() | h,
        ),
        law(
            "under a rival",
            "run(h | rival, p) == run(rival, p): the right one answers what both name",
            lambda p: (ends(handler() | rival(), p), ends(rival(), p)),
        ),
        law(
            "associativity",
            "run((a | b) | c, p) == run(a | (b | c), p)",
            lambda a, b, c, p: (
                ends((a() | b()) | c(), p, partly=True),
                ends(a() | (b() | c()), p, partly=True),
            ),
            a=any_of,
            b=any_of,
            c=any_of,
        ),
    ]
    if not live:
        laws.append(
            law(
                "run agrees with run_pure",
                "run(h, p) == run_pure(h, p)",
                lambda p: (ends(handler(), p, on_trio_at_once), ends(handler(), p)),
            )
        )
    if model is not None:
        standard = _Maker("the model", model)
        laws.append(
            law(
                "agrees with its model",
                "run(handler, p) == run_pure(model, p)",
                lambda p: (ends(handler(), p), ends(standard(), p, purely)),
            )
        )
    return laws


@attrs.frozen(repr=False)
class _Maker:
    """What makes a fresh handler, under the name that messages give it."""

    name: str
    make: Make

    def __call__(self) -> Handler[Any]:
        given: Any = self.make
        made: Any = cast(Any, given)() if callable(given) else given
        if issubclass(type(made), Handler):
            return cast("Handler[Any]", made)
        raise InvalidArgument(
            f"{self.name} of handler_laws() is {made!r}. Give a Handler, or a function that makes one."
        )

    def __repr__(self) -> str:
        return self.name


def _itself(value: Any) -> Any:
    return value


def _identity(effect: Effect[Any]) -> Generator[Any, Any, Any]:
    return (yield from effect)


def _rivals(keys: list[Key]) -> tuple[_Maker, _Maker]:
    """A handler of all these effects, and one of every second."""

    def refusing(name: str, some: list[Key]) -> _Maker:
        def refuse(_effect: Effect[Any]) -> NoReturn:
            raise RivalAnswered(name)

        return _Maker(name, Handler.of(dict.fromkeys(some, refuse)))

    return refusing("a rival", keys), refusing("a rival of half", keys[::2])


def _steps(p: Any) -> Sequence[Program]:
    return cast("Sequence[Program]", p) if isinstance(p, (list, tuple)) else (p,)


def _observed(outcome: Outcome, observe: Callable[[Any], Any], partly: bool) -> Outcome:
    if isinstance(outcome, Answered):
        return Answered(comparable(observe(outcome.value)))
    if not partly and outcome.type is UnhandledEffect:
        # Else both sides would agree, since neither gets anywhere.
        raise InvalidArgument(
            f"a program performs what the handler does not answer: {outcome.args[0]}. "
            "Give programs of its effects, or compose it with handlers of the rest."
        )
    return outcome


def _same(equal: Callable[[Any, Any], object], left: list[Outcome], right: list[Outcome]) -> bool:
    return len(left) == len(right) and all(
        bool(equal(a.value, b.value)) if isinstance(a, Answered) and isinstance(b, Answered) else a == b
        for a, b in zip(left, right, strict=True)
    )


def _check_program(program: Any) -> None:
    if isinstance(program, (list, tuple)):
        for part in cast("Sequence[Any]", program):
            _check_program(part)
    elif isinstance(program, Generator):
        raise InvalidArgument(
            f"{program!r} is a plan, which runs once, and a law performs it often: give the function that makes it"
        )
    elif callable(program):
        try:
            inspect.signature(program).bind()
        except TypeError as error:
            raise InvalidArgument(
                f"a program is a function without arguments; {program!r}: {error}"
            ) from None
        except ValueError:  # of a builtin, which has no signature to look at
            return
