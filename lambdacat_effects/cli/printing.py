"""What a command prints: answers to standard output, everything else to standard error."""

from __future__ import annotations

import sys
from pathlib import Path
from traceback import StackSummary, TracebackException
from typing import Any, cast

import outcome
import trio

import lambdacat_effects

__all__ = ["print_answer", "print_error", "say"]

_PACKAGE = Path(lambdacat_effects.__file__).parent
_LAYERS = ("algebra", "effects", "plan", "runtime", "storage", "journal", "handlers", "cli")
_MACHINERY = tuple(
    f"{folder}/"
    for folder in (
        *(_PACKAGE / layer for layer in _LAYERS),
        *(Path(module.__file__ or "").parent for module in (trio, outcome)),
    )
)


def say(text: str) -> None:
    """Tell something to the person at the terminal."""
    print(f"lambdacat: {text}", file=sys.stderr, flush=True)


def print_answer(answer: Any) -> None:
    """Print a plan's answer as it wants to be printed (`__rich__`, `__str__`), else its parts. Nothing for None."""
    kind = type(cast(object, answer))
    if answer is None:
        return
    if hasattr(kind, "__rich__"):
        from rich.console import Console

        Console().print(answer)
    elif issubclass(kind, str) or getattr(kind, "__str__", None) != object.__str__:
        print(answer)
    else:
        from rich.pretty import pretty_repr

        print(pretty_repr(answer))


def print_error(error: BaseException) -> None:
    """Print an error with the frames of plans, tools and handlers, and not with those of what runs them."""
    trace = TracebackException.from_exception(error)
    _trim(trace)
    print("".join(trace.format()), end="", file=sys.stderr, flush=True)


def _trim(trace: TracebackException) -> None:
    for inner in (trace.__cause__, trace.__context__, *(trace.exceptions or ())):
        if inner is not None:
            _trim(inner)
    # An error that no frame of the user's has part in keeps its frames: it is about this package.
    shown = [frame for frame in trace.stack if not frame.filename.startswith(_MACHINERY)]
    trace.stack = StackSummary.from_list(shown or list(trace.stack))
