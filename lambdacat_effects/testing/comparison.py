"""Which effects a test means, and how two effects differ, field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias, cast

import attrs

from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.effects.tools import CallTool, Tool
from lambdacat_effects.errors import InvalidArgument

__all__ = ["Matcher", "check_matcher", "described", "differences", "matches", "nearest"]

Matcher: TypeAlias = Effect[Any] | type[Any] | Tool[..., Any] | Callable[[Any], object]
"""Which effects are meant: those equal to an effect, those of a class, the calls of a tool, or those for which a
function of the effect answers something true."""


def check_matcher(caller: str, matcher: object) -> None:
    """Raise `InvalidArgument`, naming `caller`, for what is no matcher.

    >>> check_matcher("once", 3)
    Traceback (most recent call last):
        ...
    lambdacat_effects.errors.InvalidArgument: once takes an effect, a class of effects, a tool or a function of ...
    """
    fits = isinstance(matcher, (Effect, Tool))
    if not fits and isinstance(matcher, type):
        fits = issubclass(matcher, Effect)
    elif not fits:
        fits = callable(matcher)
    if not fits:
        raise InvalidArgument(
            f"{caller} takes an effect, a class of effects, a tool or a function of the effect; got {matcher!r}"
        )


def matches(matcher: Matcher, effect: Any) -> bool:
    """Whether `effect` is meant.

    >>> from lambdacat_effects import Now, Sleep
    >>> matches(Sleep(1), Sleep(1)), matches(Sleep, Sleep(2)), matches(Now, Sleep(1))
    (True, True, False)
    >>> matches(lambda effect: isinstance(effect, Sleep) and effect.seconds > 1, Sleep(2))
    True
    """
    if isinstance(matcher, Effect):
        return bool(matcher == effect)
    if isinstance(matcher, Tool):
        return _is_call(effect) and effect.tool is matcher
    if isinstance(matcher, type):
        return isinstance(effect, matcher)
    return bool(matcher(effect))


def described(matcher: Matcher) -> str:
    """How messages call what a matcher means.

    >>> from lambdacat_effects import Sleep
    >>> described(Sleep(1)), described(Sleep)
    ('Sleep(seconds=1)', 'any Sleep')
    """
    if isinstance(matcher, Effect):
        return repr(cast(object, matcher))
    if isinstance(matcher, Tool):
        return f"any {matcher.name}(...)"
    name = str(getattr(matcher, "__qualname__", None) or repr(matcher))
    return f"any {name}" if isinstance(matcher, type) else f"an effect for which {name} holds"


def differences(expected: Matcher, actual: Any) -> list[str]:
    """The fields in which two effects of one class differ, one line each; none where there is nothing to compare.

    >>> from lambdacat_effects import remember
    >>> differences(remember("a", "b", 1), remember("a", "c", 1))
    ["key: expected 'b', found 'c'"]
    """
    if not _is_effect(expected) or _class_of(expected) is not _class_of(actual):
        return []
    found = dict(_fields(actual))
    wanted = dict(_fields(expected))
    return [
        f"{name}: expected {wanted.get(name, _NOTHING)!r}, found {found.get(name, _NOTHING)!r}"
        for name in {**wanted, **found}
        if name not in wanted or name not in found or wanted[name] != found[name]
    ]


def nearest(expected: Matcher, effects: Iterable[Any]) -> Any:
    """The effect most like the expected one: of its class, of its tool, with the fewest other fields. Or None.

    >>> from lambdacat_effects import Now, remember
    >>> nearest(remember("a", "b", 1), [Now(), remember("x", "y", 1), remember("a", "c", 1)])
    Remember(namespace='a', key='c', value=1)
    """
    alike = [e for e in effects if _is_effect(expected) and _class_of(e) is _class_of(expected)]
    return min(alike, key=lambda e: _distance(expected, e), default=None)


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()


def _is_effect(thing: object) -> bool:
    return isinstance(thing, Effect)


def _is_call(effect: Any) -> bool:
    return issubclass(_class_of(effect), CallTool)


def _class_of(effect: object) -> type[Any]:
    return type(effect)


def _distance(expected: Any, effect: Any) -> tuple[bool, int]:
    other_tool = _is_call(expected) and expected.tool is not effect.tool
    return other_tool, len(differences(expected, effect))


def _fields(effect: Any) -> Iterator[tuple[str, object]]:
    """Its fields by name; of a tool's call, its arguments one by one."""
    cls = _class_of(effect)
    if _is_call(effect):
        yield "tool", effect.tool
        yield from ((f"argument {i}", value) for i, value in enumerate(effect.args, 1))
        yield from effect.kwargs.items()
    elif attrs.has(cls):
        yield from ((field.name, getattr(effect, field.name)) for field in attrs.fields(cls) if field.eq)
