"""Tools: typed functions that plans call by asking, so that whoever runs the plan decides what a call means."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Never, ParamSpec, TypeAlias, TypeVar, cast, overload

from lambdacat_effects.effects.effect import EMPTY, Effect, effect
from lambdacat_effects.errors import InvalidArgument, NotAPlan

__all__ = ["CallTool", "Tool", "Tools", "tool"]

A = TypeVar("A")
P = ParamSpec("P")


@effect
class CallTool(Effect[A]):
    """Call a tool. Made by calling the tool: `search_web("cats", limit=3)`."""

    tool: Tool[..., A]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = EMPTY

    dispatch_on: ClassVar[str | None] = "tool"

    def title(self) -> str:
        return self.tool.name

    def __repr__(self) -> str:
        given = [repr(a) for a in self.args] + [f"{k}={v!r}" for k, v in self.kwargs.items()]
        return f"{self.tool.name}({', '.join(given)})"


Tools: TypeAlias = CallTool[Any]
"""The row label of plans that call tools."""


class Tool(Generic[P, A]):
    """A typed constructor of `CallTool[A]`, made by `@tool`. Two tools are equal when they are one object."""

    def __init__(self, fn: Callable[..., Any], name: str, *, inline: bool) -> None:
        self.fn: Callable[..., Any] = fn
        """The function, as it was written."""
        self.name: str = name
        """How the tool is called in logs, traces and by models."""
        self.inline: bool = inline
        """Whether a plain function runs in the event loop's own thread, as it must never block there."""
        self.__doc__ = fn.__doc__
        self.__name__ = name
        self.__qualname__: str = getattr(fn, "__qualname__", name)
        self.__module__ = fn.__module__
        self.__wrapped__ = fn

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> CallTool[A]:
        return CallTool(self, args, kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.name}>"

    if not TYPE_CHECKING:  # for a checker, a tool is not iterable

        def __iter__(self) -> Never:
            raise NotAPlan(f"the tool {self.name} is not a plan: call it, `yield from {self.name}(...)`")


@overload
def tool(fn: Callable[P, Awaitable[A]], /) -> Tool[P, A]: ...
@overload
def tool(fn: Callable[P, Generator[Any, Any, A]], /) -> Tool[P, A]: ...
@overload
def tool(fn: Callable[P, A], /) -> Tool[P, A]: ...
@overload
def tool(*, name: str | None = None, inline: bool = False) -> _MakeTool: ...
def tool(fn: Callable[..., Any] | None = None, /, *, name: str | None = None, inline: bool = False) -> Any:
    """Make a tool of an async, plain or generator function. Calling it then gives a `CallTool`, and calls nothing.

    An async function runs in Trio; a plain one in a worker thread (in the event loop with `inline=True`, for
    functions that never block); a generator function is a plan whose effects go to the handlers around the tools.

    >>> from lambdacat_effects import tool
    >>> @tool
    ... def add(a: int, b: int) -> int:
    ...     return a + b
    >>> add(1, b=2)
    add(1, b=2)
    """
    make = _MakeTool(name, inline)
    return make if fn is None else make(fn)


class _MakeTool:
    def __init__(self, name: str | None, inline: bool) -> None:
        self.name = name
        self.inline = inline

    @overload
    def __call__(self, fn: Callable[P, Awaitable[A]], /) -> Tool[P, A]: ...
    @overload
    def __call__(self, fn: Callable[P, Generator[Any, Any, A]], /) -> Tool[P, A]: ...
    @overload
    def __call__(self, fn: Callable[P, A], /) -> Tool[P, A]: ...
    def __call__(self, fn: Callable[..., Any], /) -> Any:
        if not callable(cast(object, fn)):
            raise InvalidArgument(f"@tool takes a function; got {fn!r}")
        name = self.name or getattr(fn, "__name__", "")
        if not name or name == "<lambda>":
            raise InvalidArgument("a tool needs a name: define it with `def`, or give @tool(name=...)")
        made: Tool[..., Any] = Tool(fn, name, inline=self.inline)
        return made
