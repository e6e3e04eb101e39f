"""What can be told of a function by looking at it once: how it is performed, and what it is to be given."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from types import CoroutineType, GeneratorType
from typing import Any, Literal, Never, TypeAlias, cast

from lambdacat_effects.effects.ambient import Await
from lambdacat_effects.effects.control import Call
from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.effects.tools import Tool
from lambdacat_effects.errors import InvalidArgument, WrongHandlerKind

__all__ = [
    "ActionKind",
    "Running",
    "function_name",
    "kind_of",
    "performing",
    "state_of",
    "takes_ctx",
    "takes_second",
]

Fn: TypeAlias = Callable[..., Any]

Running: TypeAlias = Generator[Any, Any, Any]
"""A plan of any row and answer."""

ActionKind: TypeAlias = Literal["inline", "blocking", "async", "plan"]
"""Called in place; in a worker; awaited; a generator function, which is performed."""

_PLANS = (GeneratorType, Effect)
_UNFINISHED = (GeneratorType, Effect, CoroutineType)


def function_name(fn: object) -> str:
    """How reports call a function: its own name, or its class's.

    >>> function_name(str.strip)
    'strip'
    """
    inner = getattr(fn, "func", fn)
    return str(getattr(fn, "__name__", None) or getattr(inner, "__name__", None) or type(inner).__name__)


def kind_of(fn: Any) -> ActionKind:
    """How a function is performed, as far as the function itself tells. Raises `InvalidArgument`.

    >>> kind_of(str.strip)
    'blocking'
    """
    # What makes an effect is called in place: that costs nothing, and the effect belongs to the plan.
    if isinstance(fn, Tool) or (inspect.isclass(fn) and issubclass(fn, Effect)):
        return "inline"
    called = _called(fn)
    if inspect.isasyncgenfunction(called):
        raise InvalidArgument(
            f"{function_name(fn)} is an async generator function, which answers many times, and a plan wants one "
            "answer: use `async def` with `return`, or a generator function"
        )
    if inspect.iscoroutinefunction(called):
        return "async"
    return "plan" if inspect.isgeneratorfunction(called) else "blocking"


def _called(fn: Any) -> Any:
    """The function that a call of `fn` runs: of an instance, its class's `__call__`."""
    itself = inspect.isroutine(fn) or inspect.isclass(fn) or isinstance(fn, functools.partial)
    return cast(Any, fn) if itself else cast(Any, type(cast(object, fn))).__call__


def performing(fn: Fn) -> Callable[..., Running]:
    """A plain, async or generator function as a generator function. An effect or a plan that a plain function answers
    is performed: `lambda state: research(state)` is a plan, too."""
    if kind_of(fn) == "async":

        def awaiting(*args: Any) -> Running:
            return (yield Await(fn, args))

        return awaiting

    def run(*args: Any) -> Running:
        answer = fn(*args)
        if isinstance(answer, _PLANS):
            answer = yield Call(cast(Any, answer))
        elif type(answer) is CoroutineType:
            _refuse(fn, answer)
        return answer

    return run


def state_of(fn: Fn, answer: object) -> Any:
    """What a worker's function answered, if it is a value. Raises `WrongHandlerKind` for a plan or a coroutine."""
    if isinstance(answer, _UNFINISHED):
        _refuse(fn, cast(Any, answer))
    return answer


def _refuse(fn: Fn, answer: Any) -> Never:
    if hasattr(answer, "close"):
        answer.close()
    if type(answer) is CoroutineType:
        what, advice = "a coroutine", "make it `async def`"
    else:
        what, advice = "a plan", "make it a generator function, or register it with inline=True"
    raise WrongHandlerKind(f"the plain function {fn!r} answered with {what}, not with a state: {advice}")


def takes_second(fn: Fn) -> bool:
    """Whether a function must be given a second positional argument.

    >>> takes_second(lambda results, state: state), takes_second(lambda results, deep=True: deep)
    (True, False)
    """
    second = _second(_parameters(fn))
    return second is not None and second.default is inspect.Parameter.empty


def takes_ctx(name: str, fn: Fn) -> bool:
    """Whether an action is given the context. Raises `InvalidArgument` if it cannot be called as an action.

    >>> takes_ctx("a", lambda state, ctx: state), takes_ctx("b", lambda state, i=3: state)
    (True, False)
    """
    parameters = _parameters(fn)
    if parameters is None:
        return False
    needed = [
        p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if len(needed) > 2 or any(p.kind is p.KEYWORD_ONLY for p in needed) or not _positional(parameters, 1):
        raise InvalidArgument(
            f"the action {name!r} is {function_name(fn)}{inspect.signature(fn)}, and actions are called with "
            "the state, or with the state and a context: f(state) or f(state, ctx)"
        )
    # A default other than None is a setting, or a loop's variable captured by `lambda state, i=i: ...`.
    second = _second(parameters)
    return second is not None and (
        second.default is second.empty or second.default is None or second.name == "ctx"
    )


def _second(parameters: list[inspect.Parameter] | None) -> inspect.Parameter | None:
    positional = [p for p in parameters or () if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return positional[1] if len(positional) > 1 else None


def _positional(parameters: list[inspect.Parameter], least: int) -> bool:
    return sum(p.kind <= p.VAR_POSITIONAL for p in parameters) >= least


def _parameters(fn: Fn) -> list[inspect.Parameter] | None:
    """The parameters of a function written in Python; None for one in C, whose optional second parameter
    (`str.strip(text, chars)`) never means a context, and for a class or a tool."""
    inner: Any = fn
    while isinstance(inner, functools.partial):
        inner = inner.func
    if isinstance(inner, (type, Tool)):
        return None
    inner = inspect.unwrap(inner)
    if not (inspect.isfunction(inner) or inspect.ismethod(inner) or inspect.isfunction(type(inner).__call__)):
        return None
    try:
        return list(inspect.signature(fn).parameters.values())
    except (ValueError, TypeError):
        return None
