"""Plans by name: a run that is resumed in another process makes its plan anew."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from lambdacat_effects.effects.effect import Performs
from lambdacat_effects.errors import (
    InvalidArgument,
    JournalUnreadable,
    NondeterminismError,
    NotSerialisable,
    UnknownRun,
)
from lambdacat_effects.journal.records import Header
from lambdacat_effects.journal.showing import shown
from lambdacat_effects.storage.exact.reading import read
from lambdacat_effects.storage.exact.writing import exactly
from lambdacat_effects.storage.leaves import Misfit

__all__ = [
    "arguments_of",
    "call_text",
    "called",
    "function_called",
    "name_of",
    "plan_made",
    "read_arguments",
    "same_call",
]

_LONGEST = 200


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
        if module == "__main__":
            raise UnknownRun(
                f"the run's plan is made by {name}, which was in the script that began it, and is not in this one: "
                "resume it in that script, or give the function, `resume(run_id, handlers=..., make=...)`"
            ) from None
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
            f"the argument {_argument(name, misfit.place)} of {name} cannot be kept, and a run is resumed with it: "
            f"it {misfit.problem}"
        ) from None
    except RecursionError:
        raise NotSerialisable(
            f"an argument of {name} cannot be kept: it is nested too deeply for JSON"
        ) from None


def _argument(name: str, place: str) -> str:
    """An argument, or what in it, by the name of its parameter."""
    found = re.fullmatch(r"\[0\]\[(\d+)\](.*)", place, re.DOTALL)
    if found is None:  # given by its name
        return place.removeprefix("[1]")
    index, within = int(found[1]), found[2]
    parameters = list(inspect.signature(function_called(name)).parameters.values())
    variadic = [i for i, parameter in enumerate(parameters) if parameter.kind is parameter.VAR_POSITIONAL]
    if variadic and index >= variadic[0]:
        return f"{parameters[variadic[0]].name}[{index - variadic[0]}]{within}"
    return f"{parameters[index].name}{within}"


def plan_made(
    header: Header, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
) -> Performs[Any, Any]:
    """The plan of a run, made with the arguments it began with.

    Raises `NondeterminismError` if the function does not take them any more.
    """
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        given = ", ".join([*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])
        raise NondeterminismError(
            f"the run {header.run_id!r} cannot be resumed: it began as {header.plan} with the arguments "
            f"({given if len(given) <= _LONGEST else given[:_LONGEST] + '...'}), and now that takes {signature}: "
            f"{error}. Give what is new a default, or resume the run with the code it began with"
        ) from None
    plan: Performs[Any, Any] = function(*args, **kwargs)
    return plan


def read_arguments(header: Header) -> tuple[list[Any], dict[str, Any]]:
    """The positional and keyword arguments of a run's plan. Raises `JournalUnreadable`."""
    try:
        args, kwargs = read(header.arguments)
    except Misfit as misfit:
        raise JournalUnreadable(
            f"the run {header.run_id!r} cannot be resumed: the arguments of {header.plan} cannot be read: "
            f"arguments{misfit.place} {misfit.problem}. Resume it with the code it began with"
        ) from None
    return args, kwargs


def call_text(plan: str, arguments: Any) -> str:
    """A plan and its arguments as JSON, for messages."""
    args, kwargs = arguments
    pairs = kwargs.get("$pairs") or list(kwargs.items())
    given = [*map(shown, args), *[f"{key}={shown(value)}" for key, value in pairs]]
    text = ", ".join(given)
    return f"{plan}({text if len(text) <= _LONGEST else text[:_LONGEST] + '...'})"


def same_call(one: Any, other: Any) -> bool:
    """Whether two plans with arguments, as JSON, are the same. (For Python 1, 1.0 and True are equal.)"""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
