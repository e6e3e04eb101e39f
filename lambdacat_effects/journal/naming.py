"""Plans by name: a run that is resumed in another process makes its plan anew."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections import OrderedDict
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
    """Arguments as JSON: those that have only a position, and the others by the names of their parameters, so that
    a parameter that is new shifts none. Raises `NotSerialisable`, naming the place."""
    signature = inspect.signature(function_called(name))
    try:
        positions, named = _by_name(signature, args, kwargs)
    except TypeError:  # it does not take them, and says so itself when it is called
        positions, named = list(args), dict(kwargs)
    try:
        return exactly().write([positions, named])
    except Misfit as misfit:
        raise NotSerialisable(
            f"the argument {_argument(signature, misfit.place)} of {name} cannot be kept, and a run is resumed with "
            f"it: it {misfit.problem}"
        ) from None
    except RecursionError:
        raise NotSerialisable(
            f"an argument of {name} cannot be kept: it is nested too deeply for JSON"
        ) from None


def _by_name(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    positions: list[Any] = []
    named: dict[str, Any] = {}
    for key, value in signature.bind(*args, **kwargs).arguments.items():
        kind = signature.parameters[key].kind
        if kind is inspect.Parameter.POSITIONAL_ONLY:
            positions.append(value)
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            positions += value
        elif kind is inspect.Parameter.VAR_KEYWORD:
            named |= value
        else:
            named[key] = value
    return positions, named


def _bound(
    signature: inspect.Signature, positions: list[Any], named: dict[str, Any]
) -> inspect.BoundArguments:
    """What `_by_name` took apart, as today's function takes it. Raises `TypeError`."""
    positions, named = list(positions), dict(named)
    bound = inspect.BoundArguments(signature, OrderedDict())
    for key, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            bound.arguments[key], positions = tuple(positions), []
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            bound.arguments[key], named = named, {}
        elif parameter.kind is inspect.Parameter.POSITIONAL_ONLY and positions:
            bound.arguments[key] = positions.pop(0)
        elif parameter.kind is not inspect.Parameter.POSITIONAL_ONLY and key in named:
            bound.arguments[key] = named.pop(key)
        elif parameter.default is parameter.empty:
            raise TypeError(f"missing a required argument: {key!r}")
    if named:
        raise TypeError(f"it has no parameter {', '.join(map(repr, named))} any more")
    if positions:
        raise TypeError("too many positional arguments")
    bound.apply_defaults()  # else what follows a parameter that is new would be given by its name
    return bound


def _argument(signature: inspect.Signature, place: str) -> str:
    """An argument, or what in it, by the name of its parameter."""
    found = re.fullmatch(r"\[1\]\['(\w+)'\](.*)", place, re.DOTALL)
    if found is not None:
        return f"{found[1]}{found[2]}"
    found = re.fullmatch(r"\[0\]\[(\d+)\](.*)", place, re.DOTALL)
    if found is None:
        return place.removeprefix("[1]")
    index, within = int(found[1]), found[2]
    kinds = inspect.Parameter
    alone = [key for key, one in signature.parameters.items() if one.kind is kinds.POSITIONAL_ONLY]
    rest = [key for key, one in signature.parameters.items() if one.kind is kinds.VAR_POSITIONAL]
    return f"{alone[index]}{within}" if index < len(alone) else f"{rest[0]}[{index - len(alone)}]{within}"


def plan_made(
    header: Header, function: Callable[..., Any], positions: list[Any], named: dict[str, Any]
) -> Performs[Any, Any]:
    """The plan of a run, made with the arguments it began with.

    Raises `NondeterminismError` if the function does not take them any more.
    """
    signature = inspect.signature(function)
    try:
        bound = _bound(signature, positions, named)
    except TypeError as error:
        given = ", ".join([*map(repr, positions), *(f"{key}={value!r}" for key, value in named.items())])
        raise NondeterminismError(
            f"the run {header.run_id!r} cannot be resumed: it began as {header.plan} with the arguments "
            f"({given if len(given) <= _LONGEST else given[:_LONGEST] + '...'}), and now that takes {signature}: "
            f"{error}. Give what is new a default, keep the names of parameters, or resume the run with the code it "
            "began with"
        ) from None
    plan: Performs[Any, Any] = function(*bound.args, **bound.kwargs)
    return plan


def read_arguments(header: Header) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a run's plan: those that have only a position, and the others by name. Raises
    `JournalUnreadable`."""
    try:
        positions, named = read(header.arguments)
    except Misfit as misfit:
        raise JournalUnreadable(
            f"the run {header.run_id!r} cannot be resumed: the arguments of {header.plan} cannot be read: "
            f"arguments{misfit.place} {misfit.problem}. Resume it with the code it began with"
        ) from None
    return positions, named


def call_text(plan: str, arguments: Any) -> str:
    """A plan and its arguments as JSON, for messages."""
    positions, named = arguments
    given = [*map(shown, positions), *[f"{key}={shown(value)}" for key, value in _pairs(named)]]
    text = ", ".join(given)
    return f"{plan}({text if len(text) <= _LONGEST else text[:_LONGEST] + '...'})"


def _pairs(named: dict[str, Any]) -> list[Any]:
    # Names in another order than that of the alphabet are written as pairs.
    return list(named.get("$pairs") or named.items())


def same_call(one: Any, other: Any) -> bool:
    """Whether two plans with arguments, as JSON, are the same. (For Python 1, 1.0 and True are equal.)

    They also are if one leaves out what the other gives as the default has it, or if a class has changed since one of
    them was written, and it reads as the other.
    """
    if one[0] != other[0]:
        return False
    return _text(one[1]) == _text(other[1]) or _text(_of_today(*one)) == _text(_of_today(*other))


def _of_today(name: str, arguments: Any) -> Any:
    """A call as it would be written today, with its defaults; as it is, if it cannot be made any more."""
    try:
        bound = _bound(inspect.signature(function_called(name)), *read(arguments))
        return exactly().write([bound.args, bound.kwargs])
    except (Misfit, TypeError, UnknownRun, RecursionError):
        return arguments


def _text(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True)
