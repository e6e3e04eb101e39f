"""Plans by name: a run that is resumed in another process makes its plan anew."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, cast

from lambdacat_effects.errors import InvalidArgument, NotSerialisable, UnknownRun
from lambdacat_effects.journal.session import exactly
from lambdacat_effects.storage.exact.reading import read
from lambdacat_effects.storage.leaves import Misfit

__all__ = ["arguments_of", "called", "function_called", "name_of", "read_arguments"]


def name_of(make: Any) -> str:
    """The name of a function that makes a plan, as "module:function".

    Raises `InvalidArgument` if the function cannot be found by it.
    """
    name = called(make)
    try:
        found = function_called(name)
    except UnknownRun:
        found = None
    if found is not make:
        raise InvalidArgument(
            f"a durable run is resumed by the name of its plan's function, and {name!r} is not found by its own: "
            "define it with `def` at the top of a module. (Of the DSL: `def flow(state): return program(state)`)"
        )
    return name


def called(make: Any) -> str:
    """How a function calls itself."""
    if not callable(make):
        raise InvalidArgument(
            f"a durable run takes a function that makes a plan, and its arguments; got {make!r}. Write "
            "`run(run_id, research, question)`, not `run(run_id, research(question))`"
        )
    return f"{getattr(make, '__module__', '?')}:{getattr(make, '__qualname__', type(make).__qualname__)}"


def function_called(name: str) -> Callable[..., Any]:
    """The function of this name. Raises `UnknownRun` if there is none."""
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnknownRun(
            f"the run's plan is made by {name}, which cannot be imported ({error}): run where it can be, or give the "
            "function, `resume(run_id, handlers=..., make=...)`"
        ) from None
    return cast("Callable[..., Any]", found)


def arguments_of(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Arguments as JSON. Raises `NotSerialisable`, naming the place."""
    try:
        return exactly().write([list(args), dict(kwargs)])
    except Misfit as misfit:
        raise NotSerialisable(
            f"an argument of {name} cannot be kept, and a run is resumed with it: arguments{misfit.place} "
            f"{misfit.problem}"
        ) from None
    except RecursionError:
        raise NotSerialisable(f"an argument of {name} cannot be kept: it is nested too deeply") from None


def read_arguments(plain: Any) -> tuple[list[Any], dict[str, Any]]:
    """What `arguments_of` wrote."""
    args, kwargs = read(plain)
    return args, kwargs
