"""What reports and live views call the parts of a run, and which part is inside which."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

from lambdacat_effects.effects.ambient import Await, Blocking
from lambdacat_effects.effects.control import Control, Span
from lambdacat_effects.effects.durable import ContinueAsNew
from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.effects.tools import CallTool
from lambdacat_effects.runtime.events import Path

__all__ = ["Nesting", "is_machinery", "is_span", "node_of"]

T = TypeVar("T")

_PACKAGE = __name__.partition(".")[0]


def node_of(what: Any) -> str | None:
    """The name of a node: a span's own, a tool's, that of a plain or async function, else of the effect's class.

    None for what gives a run its structure alone: the run itself, branches, and the effects that hold them.

    >>> from lambdacat_effects import Sleep, parallel, span
    >>> node_of(Sleep(1)), node_of(next(span("search", Sleep(1)))), node_of(next(parallel(Sleep(1))))
    ('Sleep', 'search', None)
    """
    kind: type[Any] = type(cast(object, what))
    if issubclass(kind, Span):
        return str(what.name)
    if issubclass(kind, CallTool):
        return str(what.tool.name)
    if issubclass(kind, (Blocking, Await)):
        return _function_name(what.fn)
    # (The plan goes on as another one: nothing is called, nor fails.)
    structural = issubclass(kind, (Control, ContinueAsNew))
    return kind.__name__ if issubclass(kind, Effect) and not structural else None


def is_span(what: object) -> bool:
    """Whether it is a span, which names a part of a run, and does no work of its own."""
    return isinstance(what, Span)


def is_machinery(what: object) -> bool:
    """Whether it is how a handler of this package answers an effect: a call to one of the package's own functions.

    >>> import time
    >>> from lambdacat_effects import blocking
    >>> is_machinery(blocking(node_of, 1)), is_machinery(blocking(time.time))
    (True, False)
    """
    if not isinstance(what, (Blocking, Await)):
        return False
    fn: Any = cast(Any, what).fn
    module = getattr(getattr(fn, "func", fn), "__module__", None) or ""
    return str(module).partition(".")[0] == _PACKAGE


def _function_name(fn: Any) -> str:
    inner = getattr(fn, "func", fn)  # of a functools.partial
    return str(getattr(inner, "__name__", None) or type(inner).__name__)


class Nesting(Generic[T]):
    """What is open, by its path, and what encloses what. A reader of events puts an item of its own for each."""

    __slots__ = ("_open", "_spans")

    def __init__(self) -> None:
        self._open: dict[Path, T] = {}
        # A span does not lengthen the path: what is inside it carries on the counter of the plan that holds it.
        self._spans: dict[Path, list[T]] = {}

    def items(self) -> list[T]:
        """All that is open, in the order in which it began."""
        return list(self._open.values())

    def enclosing(self, path: Path) -> T | None:
        """The innermost open item that holds `path`."""
        while path := path[:-1]:
            if path in self._spans:
                return self._spans[path][-1]
            if path in self._open:
                return self._open[path]
        return None

    def open(self, path: Path, what: object, item: T) -> None:
        """`item` stands for `what`, which has begun."""
        self._open[path] = item
        if is_span(what):
            self._spans.setdefault(path[:-1], []).append(item)

    def close(self, path: Path, what: object) -> T | None:
        """The item of what has ended, or None if there is none."""
        if is_span(what) and path[:-1] in self._spans:
            within = self._spans[path[:-1]]
            within.pop()
            if not within:
                del self._spans[path[:-1]]
        return self._open.pop(path, None)
