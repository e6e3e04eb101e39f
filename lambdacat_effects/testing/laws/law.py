"""A law: an equation with a name, what it is checked on, and what it says when it is broken."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack, cast

import attrs

from lambdacat_effects.algebra.kleisli import Kleisli
from lambdacat_effects.errors import InvalidArgument, LawBroken
from lambdacat_effects.testing.laws.inputs import Inputs, combinations, gathered, is_strategy

if TYPE_CHECKING:
    from hypothesis import settings as Settings

__all__ = ["Checking", "Law", "Sides", "Trying", "at", "trying"]

_MOST_COMBINATIONS = 10_000
_MOST_CALLS_SHOWN = 5


_Two: TypeAlias = tuple[Any, Any]
Sides: TypeAlias = (
    Callable[[], _Two]
    | Callable[[Any], _Two]
    | Callable[[Any, Any], _Two]
    | Callable[[Any, Any, Any], _Two]
    | Callable[[Any, Any, Any, Any], _Two]
)
"""A function of the inputs of a law, in order, that answers with both sides. (Of up to four, since checkers infer the
parameters of a lambda only where they know how many there are.)"""


class Trying(TypedDict, total=False):
    """How inputs are found."""

    settings: Settings | None
    """Hypothesis settings for drawing. Unless given, the same examples are drawn in each run."""
    max_examples: int | None
    """How many inputs are tried at most: 100 unless given for strategies, 10,000 for collections."""


class Checking(Trying, total=False):
    """How laws are checked: keyword arguments of `Law` and of every function that makes laws.

    `settings` are Hypothesis settings, if the same examples are not to be drawn in each run; `max_examples` is how
    many inputs are tried at most, 100 unless given for strategies and 10,000 for collections.
    """

    equal: Callable[[Any, Any], object]
    """What the two sides are compared with; `==` unless given. `math.isclose`, say."""
    observe: Callable[[Any], object]
    """What is compared and shown in place of a side: its result at a few points (`at`), if it is a function."""


def trying(how: Checking) -> Trying:
    """Of `how`, what applies to a law whose sides are of a kind of its own."""
    return {"settings": how.get("settings"), "max_examples": how.get("max_examples")}


class Law:
    """An equation that should hold for all inputs. `check()`, or calling it, tries.

    `inputs` has, by name, a collection of examples, and all combinations are tried in order; or a Hypothesis
    strategy, and a counter-example is shrunk. `sides` takes one of each, in that order, and answers with both sides.
    `about` says what the law is checked of, in messages. `str(law)` is its name: give `ids=str` to
    `pytest.mark.parametrize`.

    Raises `InvalidArgument` if an input has no examples.

    >>> halves = Law("halves", "n // 2 * 2 == n", lambda n: (n // 2 * 2, n), {"n": [0, 2, 4, 5]})
    >>> halves.check()
    Traceback (most recent call last):
    lambdacat_effects.errors.LawBroken: the law "halves" does not hold: n // 2 * 2 == n
        n = 5
      left side:  4
      right side: 5
    """

    __slots__ = (
        "_about",
        "_equal",
        "_inputs",
        "_max_examples",
        "_observe",
        "_settings",
        "_sides",
        "equation",
        "name",
    )

    def __init__(
        self,
        name: str,
        equation: str,
        sides: Sides,
        inputs: Mapping[str, Inputs[Any]],
        *,
        about: str = "",
        **how: Unpack[Checking],
    ) -> None:
        self.name: str = name
        """What it is called."""
        self.equation: str = equation
        """What should hold for all inputs."""
        self._sides: Any = sides
        self._inputs: dict[str, Any] = {given: gathered(given, some) for given, some in inputs.items()}
        self._about = about
        self._equal = how.get("equal", operator.eq)
        self._observe = how.get("observe", _itself)
        self._settings = how.get("settings")
        self._max_examples = _checked_count(how.get("max_examples"))

    def check(self) -> None:
        """Try it on its inputs. Raises `LawBroken` with the first counter-example, or the smallest one drawn."""
        __tracebackhide__ = True
        broken, always = self._search()
        if broken is not None:
            again = "" if always else "\n  tried again it held: the outcome depends on more than these inputs"
            # A new one: Hypothesis adds notes of its own to what it has caught.
            raise LawBroken(f"{broken}{again}") from broken.__cause__

    def __call__(self) -> None:
        """`check()`, so that a law is a test by itself."""
        __tracebackhide__ = True
        self.check()

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<law {self.name}: {self.equation}>"

    def _search(self) -> tuple[AssertionError | None, bool]:
        if any(map(is_strategy, self._inputs.values())):
            # Here, as Hypothesis is optional: without strategies there is no need of it.
            from lambdacat_effects.testing.laws.drawing import draw_counter_example

            return draw_counter_example(self._broken_by, self._inputs, self._settings, self._max_examples)
        most = self._max_examples or _MOST_COMBINATIONS
        tried = (self._broken_by(chosen, ()) for chosen in combinations(self._inputs, most))
        return next((broken for broken in tried if broken is not None), None), True

    def _broken_by(self, inputs: dict[str, Any], passing: tuple[type[Exception], ...]) -> LawBroken | None:
        """What the law says of these inputs if they break it. Errors of the types `passing` are none of its own."""
        # Before: a function under test may change its arguments, which is one way to break a law.
        given = {name: _shown(value) for name, value in inputs.items()}
        cause: Exception | None = None
        try:
            left, right = map(self._observe, self._sides(*inputs.values()))
            if self._equal(left, right):
                return None
            ends = [f"left side:  {_shown(left)}", f"right side: {_shown(right)}"]
        except passing:
            raise
        except Exception as error:
            cause = error
            ends = [f"raised {error!r}"]
        calls = self._calls(inputs)
        of = f" for {self._about}" if self._about else ""
        lines = [f'the law "{self.name}" does not hold{of}: {self.equation}']
        lines += [f"    {name} = {text}{calls.get(name, '')}" for name, text in given.items()]
        broken = LawBroken("\n".join(lines + [f"  {end}" for end in ends]))
        broken.__cause__ = cause
        return broken

    def _calls(self, inputs: dict[str, Any]) -> dict[str, str]:
        """Which calls of the functions among the inputs decide: a lambda in itself says nothing.

        They are found by computing both sides again, since watching from the start would put other functions in the
        place of those under test.
        """
        calls: dict[str, list[str]] = {}
        watched = {name: _watched(name, value, calls.setdefault(name, [])) for name, value in inputs.items()}
        if all(watched[name] is value for name, value in inputs.items()):
            return {}
        with contextlib.suppress(Exception):
            for side in self._sides(*watched.values()):
                self._observe(side)
        return {
            name: f", where {'; '.join(list(dict.fromkeys(made))[:_MOST_CALLS_SHOWN])}"
            for name, made in calls.items()
            if made
        }


def at(*points: Any) -> Callable[[Any], list[Any]]:
    """For `observe=`: what a function, or something that has to be `run`, answers at each of `points`.

    Functions have no equality of their own. Two are taken for equal if they agree at these points.

    Raises `InvalidArgument` if there are no points.

    >>> from lambdacat_effects.algebra import State
    >>> at(0, 5)(lambda n: n + 1), at(0, 5)(State.get())
    ([1, 6], [(0, 0), (5, 5)])
    """
    if not points:
        raise InvalidArgument("at() was given no points, at which everything is equal. Give at least one.")

    def observe(thing: Any) -> list[Any]:
        run = getattr(thing, "run", thing)
        return [run(point) for point in points]

    return observe


def _itself(value: Any) -> Any:
    return value


def _checked_count(count: int | None) -> int | None:
    if count is not None and (type(cast(object, count)) is not int or count < 1):
        raise InvalidArgument(f"max_examples is {count!r}. Give a whole number of at least 1.")
    return count


def _shown(value: Any) -> str:
    try:
        if isinstance(value, FunctionType):
            code = value.__code__
            return f"{value.__name__} ({PurePath(code.co_filename).name}:{code.co_firstlineno})"
        if issubclass(type(value), Kleisli):
            return f"Kleisli({value.monad!r}, {_shown(value.run)})"
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__}, whose repr raised {error!r}>"


def _watched(name: str, value: Any, calls: list[str]) -> Any:
    """A function of arguments, or an arrow, that writes down its calls; anything else as it is."""
    if issubclass(type(value), Kleisli):
        return attrs.evolve(value, run=_watched(name, value.run, calls))
    if not isinstance(value, FunctionType) or not value.__code__.co_argcount:
        return value

    def watching(*args: Any) -> Any:
        answer = value(*args)
        calls.append(f"{name}({', '.join(map(_shown, args))}) = {_shown(answer)}")
        return answer

    return watching
