"""Effects as a recording has them: what was asked, in JSON, and how that differs from what is asked now."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias, cast

from lambdacat_effects.effects.ambient import Await, Blocking
from lambdacat_effects.effects.concurrency import Concurrent
from lambdacat_effects.effects.control import Timeout
from lambdacat_effects.effects.tools import CallTool
from lambdacat_effects.journal.showing import shown
from lambdacat_effects.storage.exact.classes import class_name, field_names
from lambdacat_effects.storage.exact.writing import Writer

__all__ = ["Asked", "describe", "differences", "nearest"]


class Asked(NamedTuple):
    """What an effect asks for, redacted: its fingerprint."""

    effect: str
    """Its class, as "module:name"; of the effects of this package, the name alone."""
    fields: dict[str, Any]
    """Its fields as JSON; of a call, the arguments by the names of the parameters."""

    def text(self) -> str:
        """How messages call it.

        >>> Asked("CallTool", {"tool": "search", "arguments": {"query": "cats"}}).text()
        "search(query='cats')"
        >>> Asked("Blocking", {"function": "shop:pack", "isolate": "thread", "arguments": {"order": 7}}).text()
        'pack(order=7)'
        """
        fields = dict(self.fields)
        name = fields.pop("tool", None) or fields.pop("combinator", None) or self.effect.rpartition(":")[2]
        if "function" in fields:
            function = fields.pop("function")
            name = shown({"$name": function} if isinstance(function, str) else function)
            if fields.get("isolate") == "thread":
                del fields["isolate"]
        arguments = fields.pop("arguments", {})
        given = [f"{key}={shown(value)}" for key, value in (fields | arguments).items()]
        return f"{name}({', '.join(given)})"

    def key(self) -> str:
        """The same text for the same question."""
        return json.dumps([self.effect, self.fields], sort_keys=True)


def describe(effect: Any, writer: Writer) -> Asked:
    """What `effect` asks for.

    >>> from lambdacat_effects import Sleep
    >>> from lambdacat_effects.storage.exact.redaction import Redaction, Redactor
    >>> describe(Sleep(1), Writer(Redactor(Redaction()), exactly=False))
    Asked(effect='Sleep', fields={'seconds': 1})
    """
    name, fields = _described(cast(Any, type(effect)))
    return Asked(name, fields(effect, writer))


_Fields: TypeAlias = Callable[[Any, Writer], dict[str, Any]]


@lru_cache(maxsize=1024)
def _described(cls: type[Any]) -> tuple[str, _Fields]:
    """What effects of a class are called, and what makes their fields: once for a class, as that takes long."""
    name = cls.__name__ if cls.__module__.startswith("lambdacat_effects.effects.") else class_name(cls)
    for kind, fields in _SPECIAL.items():
        if issubclass(cls, kind):
            return name, fields
    names = field_names(cls) or ()
    return name, lambda effect, writer: writer.fields(effect, names)


def _call(effect: CallTool[Any], writer: Writer) -> dict[str, Any]:
    return {"tool": effect.tool.name, "arguments": _arguments(effect.tool.fn, effect, writer)}


def _blocking(effect: Blocking[Any], writer: Writer) -> dict[str, Any]:
    function, arguments = _function_name(effect.fn, writer), _arguments(effect.fn, effect, writer)
    return {"function": function, "isolate": effect.isolate, "arguments": arguments}


def _await(effect: Await[Any], writer: Writer) -> dict[str, Any]:
    return {
        "function": _function_name(effect.fn, writer),
        "arguments": _arguments(effect.fn, effect, writer),
    }


def _function_name(fn: Any, writer: Writer) -> Any:
    written = writer.write(fn)
    return written.get("$name", written)


def _arguments(
    fn: Callable[..., Any], called: CallTool[Any] | Blocking[Any] | Await[Any], writer: Writer
) -> dict[str, Any]:
    args, kwargs = called.args, called.kwargs
    # By name, since a secret that was given by its position is one, too, and f(1) asks the same as f(x=1).
    try:
        signature = _signature(fn)
        if not kwargs and len(args) == len(signature.parameters) and _is_simple(fn):
            arguments = dict(
                zip(signature.parameters, args, strict=True)
            )  # as binding would, which takes long
        else:
            arguments = signature.bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        arguments = {**{str(i): arg for i, arg in enumerate(args)}, **kwargs}
    return writer.named(arguments)


@lru_cache(maxsize=1024)
def _signature(fn: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(fn)


@lru_cache(maxsize=1024)
def _is_simple(fn: Callable[..., Any]) -> bool:
    kinds = [parameter.kind for parameter in _signature(fn).parameters.values()]
    return all(
        kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds
    )


def _timeout(asked: Timeout[Any], _writer: Writer) -> dict[str, Any]:
    return {"seconds": asked.seconds}


def _combinator(asked: Concurrent[Any], _writer: Writer) -> dict[str, Any]:
    fields = {"n": asked.n, "timeout": asked.timeout, "limit": asked.limit, "partial": asked.partial or None}
    given = {name: value for name, value in fields.items() if value is not None}
    return {"combinator": asked.combinator, "branches": len(asked.branches), **given}


_SPECIAL: Final[dict[type[Any], _Fields]] = {
    CallTool: _call,
    Blocking: _blocking,
    Await: _await,
    Concurrent: _combinator,
    Timeout: _timeout,
}


def differences(recorded: Asked, asked: Asked) -> list[str]:
    """The fields that differ, each as "place: recorded -> asked".

    >>> differences(Asked("Ask", {"q": {"a": 1, "b": 2}}), Asked("Ask", {"q": {"a": 1, "b": 3}}))
    ['q.b: 2 -> 3']
    """
    old, new = dict(_leaves(recorded.fields)), dict(_leaves(asked.fields))
    lines = [] if recorded.effect == asked.effect else [f"effect: {recorded.effect} -> {asked.effect}"]
    for place in [*old, *(place for place in new if place not in old)]:
        was, now = old.get(place, "nothing"), new.get(place, "nothing")
        if was != now:
            lines.append(f"{place}: {was} -> {now}")
    return lines


def _leaves(plain: Any, place: str = "") -> Iterable[tuple[str, str]]:
    parts: Iterable[tuple[str, Any]] = ()
    if isinstance(plain, dict) and plain:
        parts = [(f".{key}", item) for key, item in cast(Any, plain).items()]
    elif isinstance(plain, list) and plain:
        parts = [(f"[{i}]", item) for i, item in enumerate(cast("list[Any]", cast(Any, plain)))]
    else:
        yield place.removeprefix(".").removeprefix("arguments."), repr(cast(Any, plain))
    for step, item in parts:
        yield from _leaves(item, place + step)


def nearest(asked: Asked, candidates: Iterable[Asked]) -> int | None:
    """Which of the candidates is the most alike, by number: the same effect before any other, a call of the same tool
    before that of another.

    >>> ask = [Asked("Ask", {"q": "dogs and cats"}), Asked("Ask", {"q": "cats"}), Asked("Sleep", {"seconds": 1})]
    >>> nearest(Asked("Ask", {"q": "cat"}), ask)
    1
    """
    key = asked.key()

    def likeness(other: Asked) -> tuple[bool, bool, float]:
        same = other.effect == asked.effect
        alike = other.fields.get("tool") == asked.fields.get("tool")
        return same, same and alike, SequenceMatcher(None, other.key()[:2000], key[:2000]).ratio()

    ranked = [(likeness(other), -i) for i, other in enumerate(candidates)]
    return -max(ranked)[1] if ranked else None
