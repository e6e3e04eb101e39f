"""What tool calls mean: the tool's own function, or answers prepared by a test."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from types import CoroutineType, GeneratorType
from typing import Any, Final, NoReturn, cast

from lambdacat_effects.effects.ambient import Await, Blocking
from lambdacat_effects.effects.tools import CallTool, Tool
from lambdacat_effects.errors import InvalidArgument, UnexpectedCall, WrongHandlerKind
from lambdacat_effects.runtime.handler import Handler, step_of
from lambdacat_effects.runtime.table import ASYNC, GENERATOR, PLAIN, Chain, Key, Step

__all__ = ["answer_tools", "answers", "call_tools"]

_UNANSWERED: Final = (CoroutineType, GeneratorType)


def call_tools(*tools: Tool[..., Any]) -> Handler[CallTool[Any]]:
    """A handler that calls these tools, each in the way its function asks for.

    An async function is awaited in Trio; a plain one runs in a worker thread, by way of `Blocking`, or at once if it
    was made with `inline=True`; a generator function is a plan, and its effects go to the handlers around the tools.
    Calls of other tools are left to other handlers.

    Raises `InvalidArgument` for what is no tool, and for two tools of one name.

    >>> from lambdacat_effects import call_tools, tool
    >>> @tool
    ... def add(a: int, b: int) -> int:
    ...     return a + b
    >>> call_tools(add).run_pure(add(1, b=2))
    3
    """
    _check_tools("call_tools", tools)
    return Handler({(CallTool, tool): (_calling(tool),) for tool in tools})


def _check_tools(caller: str, tools: tuple[object, ...]) -> None:
    by_name: dict[str, object] = {}
    for tool in tools:
        if not isinstance(tool, Tool):
            raise InvalidArgument(
                f"{caller} takes tools; got {tool!r}: decorate its function with @tool, and give that"
            )
        name = cast("Tool[..., Any]", tool).name
        if by_name.setdefault(name, cast(object, tool)) is not tool:
            raise InvalidArgument(
                f"{caller} was given two tools of the name {name!r}, which logs, traces and models could not tell "
                "apart: rename one with @tool(name=...)"
            )


def _calling(tool: Tool[..., Any]) -> Step:
    kind, fn = step_of(tool.fn)
    if kind == PLAIN and not tool.inline:
        return Step(GENERATOR, _in_a_thread(tool))
    return Step(kind, _applied(fn))


def _applied(fn: Callable[..., Any]) -> Callable[[CallTool[Any]], Any]:
    """`fn` as a handler function of the same kind, under its own name, since errors name it."""

    def apply(call: CallTool[Any]) -> Any:
        return fn(*call.args, **call.kwargs)

    return _named(apply, fn)


def _named(handler: Callable[..., Any], fn: object) -> Callable[..., Any]:
    handler.__qualname__ = getattr(fn, "__qualname__", None) or repr(fn)
    handler.__module__ = getattr(fn, "__module__", None) or handler.__module__
    return handler


def _in_a_thread(tool: Tool[..., Any]) -> Callable[[CallTool[Any]], Any]:
    def call_in_a_thread(call: CallTool[Any]) -> Generator[Blocking[Any], Any, Any]:
        return _value((yield from Blocking(tool.fn, call.args, call.kwargs)), tool.fn)

    return _named(call_in_a_thread, tool.fn)


def _value(answer: Any, fn: Callable[..., Any]) -> Any:
    """The answer of a plain function, as the interpreter takes it from a plain handler."""
    if isinstance(answer, cast(Any, _UNANSWERED)):
        answer.close()
        raise WrongHandlerKind(
            f"the plain function {getattr(fn, '__qualname__', fn)} answered with a "
            f"{'coroutine' if isinstance(answer, CoroutineType) else 'generator'}, not with a value: "
            "give the async or generator function itself"
        )
    return answer


class answers:
    """Answers for `answer_tools` to give to one call each, in this order. A further call raises `UnexpectedCall`.

    >>> from lambdacat_effects import answer_tools, answers, tool
    >>> @tool
    ... def dice() -> int: ...
    >>> def two():
    ...     return (yield from dice()), (yield from dice())
    >>> answer_tools({dice: answers(6, 1)}).run_pure(two())
    (6, 1)
    """

    __slots__ = ("values",)

    def __init__(self, *values: object) -> None:
        self.values: tuple[object, ...] = values

    def __repr__(self) -> str:
        return f"answers({', '.join(map(repr, self.values))})"


def answer_tools(prepared: Mapping[Tool[..., Any], object]) -> Handler[CallTool[Any]]:
    """A handler that calls no tool, and answers from what a test has prepared, without an event loop.

    For each tool give a function, which is called with the arguments of the call (a generator function is a plan, an
    async function needs `run`); or an exception or a class of exceptions, which is raised; or `answers(...)`, with
    one of these for each call; or anything else, another tool included, which is the answer to every call, always
    the same object.

    Calling any other tool raises `UnexpectedCall`. Raises `InvalidArgument` for what is no tool.

    >>> from lambdacat_effects import answer_tools, tool
    >>> @tool
    ... async def search(query: str) -> list[str]: ...
    >>> answer_tools({search: ["a cat"]}).run_pure(search("cats"))
    ['a cat']
    >>> answer_tools({search: lambda query: [query.upper()]}).run_pure(search("cats"))
    ['CATS']
    """
    if not isinstance(cast(object, prepared), Mapping):
        raise InvalidArgument(f"answer_tools takes a mapping from tools to answers; got {prepared!r}")
    _check_tools("answer_tools", tuple(prepared))
    names = ", ".join(tool.name for tool in prepared) or "no tool"
    bindings: dict[Key, Chain] = {
        (CallTool, tool): (_answering(answer),) for tool, answer in prepared.items()
    }

    def unexpected(call: CallTool[Any]) -> NoReturn:
        raise UnexpectedCall(
            f"{call!r} was called, and there are answers for {names}: "
            f"add {call.tool.name} to answer_tools({{...}}), or mend the plan"
        )

    bindings[CallTool] = (Step(PLAIN, unexpected),)
    return Handler(bindings)


def _answering(answer: Any) -> Step:
    if isinstance(answer, answers):
        return Step(GENERATOR, _in_turn(answer))
    if isinstance(answer, BaseException) or _is_exception_class(answer):
        return Step(PLAIN, _raising(answer))
    if callable(answer) and not isinstance(answer, Tool):
        kind, fn = step_of(answer)
        return Step(kind, _applied(fn))
    return Step(PLAIN, _constantly(answer))


def _constantly(answer: Any) -> Callable[[CallTool[Any]], Any]:
    def constant(_call: CallTool[Any]) -> Any:
        return answer

    return constant


def _is_exception_class(answer: Any) -> bool:
    return isinstance(answer, type) and issubclass(answer, BaseException)


def _raising(error: BaseException | type[BaseException]) -> Callable[[CallTool[Any]], NoReturn]:
    def fail(_call: CallTool[Any]) -> NoReturn:
        if isinstance(error, BaseException):
            raise error.with_traceback(None)  # else the traces of all calls would pile up on it
        raise error

    return fail


def _in_turn(prepared: answers) -> Callable[[CallTool[Any]], Any]:
    steps: Iterator[Step] = iter([_answering(answer) for answer in prepared.values])

    def answer_in_turn(call: CallTool[Any]) -> Generator[Any, Any, Any]:
        step = next(steps, None)
        if step is None:
            raise UnexpectedCall(
                f"{call!r} was called once more than there are answers: {prepared!r} has {len(prepared.values)}"
            )
        if step.kind == ASYNC:
            return (yield from Await(step.fn, (call,)))
        if step.kind == GENERATOR:
            plan: Generator[Any, Any, Any] = step.fn(call)
            return (yield from plan)
        return _value(step.fn(call), step.fn)

    return answer_in_turn
