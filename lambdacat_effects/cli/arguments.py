"""A plan's own arguments: parsed as its function's annotations say."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, cast, get_args, get_origin

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter, Token

from lambdacat_effects.errors import CommandError

__all__ = ["bind", "print_help"]


def bind(fn: Callable[..., Any], tokens: Sequence[str], command: str) -> inspect.BoundArguments:
    """The arguments in `tokens`, for `fn`. `command` is what was typed before them.

    A parameter without an annotation takes JSON, or else text. Raises `CommandError`.
    """
    signature = _signature(fn, command)
    app = _app(fn, signature, command)
    try:
        _, bound, _ = app.parse_args(list(tokens), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise CommandError(
            f"{_explained(error, signature)}\n{_usage(signature, command)}\n{command} --help says more"
        ) from None
    return bound


def print_help(fn: Callable[..., Any], command: str) -> None:
    """Print what the plan is for and which arguments it takes."""
    signature = _signature(fn, command)
    app = _app(fn, signature, command)
    app.usage = _usage(signature, command)
    app.help_print([])


def _signature(fn: Callable[..., Any], command: str) -> inspect.Signature:
    try:
        signature = inspect.signature(fn, eval_str=True)
    except NameError as error:
        raise CommandError(
            f"the annotations of {command.rpartition(':')[2]} cannot be read: {error}. What they name must be "
            "imported at run time, not under `if TYPE_CHECKING:`"
        ) from None
    except (TypeError, ValueError):  # written in C
        return inspect.Signature()
    return signature.replace(parameters=[_typed(parameter) for parameter in signature.parameters.values()])


def _typed(parameter: inspect.Parameter) -> inspect.Parameter:
    if parameter.annotation not in (parameter.empty, Any):
        return parameter
    if parameter.default not in (parameter.empty, None):
        return parameter  # of the default's type
    return parameter.replace(annotation=Annotated[Any, Parameter(converter=_json_or_text, n_tokens=1)])


def _json_or_text(_type: object, tokens: Sequence[Token]) -> object:
    try:
        return json.loads(tokens[0].value)
    except ValueError:
        return tokens[0].value


def _explained(error: CycloptsError, signature: inspect.Signature) -> str:
    argument = error.argument
    if isinstance(error, MissingArgumentError) and argument is not None and not argument.tokens:
        parameter = signature.parameters.get(argument.field_info.name)
        if parameter is not None and parameter.kind is not parameter.KEYWORD_ONLY:
            return f"the argument {_shown(parameter)} is missing: a value of type {_type_name(parameter)}"
    error.verbose = False
    return str(error)


def _app(fn: Callable[..., Any], signature: inspect.Signature, command: str) -> App:
    def plan(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    plan.__doc__ = fn.__doc__
    plan.__signature__ = signature  # type: ignore[attr-defined]  # pyright: ignore[reportFunctionMemberAccess]
    app = App(name=command, help_flags=(), version_flags=())
    app.default(plan)
    return app


def _usage(signature: inspect.Signature, command: str) -> str:
    words = [f"Usage: {command}"]
    for parameter in signature.parameters.values():
        needed = parameter.default is parameter.empty
        if parameter.kind is parameter.VAR_POSITIONAL:
            words.append(f"[{_shown(parameter)} ...]")
        elif parameter.kind is parameter.VAR_KEYWORD:
            words.append("[--NAME VALUE ...]")
        elif parameter.kind is parameter.KEYWORD_ONLY or not needed:
            word = f"--{_shown(parameter).lower()} {_type_name(parameter).upper()}"
            words.append(word if needed else f"[{word}]")
        else:
            words.append(_shown(parameter))
    return " ".join(words)


def _shown(parameter: inspect.Parameter) -> str:
    return parameter.name.strip("_").replace("_", "-").upper()


def _type_name(parameter: inspect.Parameter) -> str:
    kind: Any = parameter.annotation
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if kind is parameter.empty:
        kind = cast(Any, type(parameter.default))
    if kind is Any:
        return "JSON or text"
    return str(getattr(kind, "__name__", kind))
