"""Lenses: a first-class way to read one part of a value, and to replace it in a copy.

A lens is lawful when, for every source `s` that it fits and all values `v`, `w`::

    lens.set(s, lens.get(s)) == s                       get-set: putting back what was read changes nothing
    lens.get(lens.set(s, v)) == v                       set-get: what was put is what is read
    lens.set(lens.set(s, v), w) == lens.set(s, w)       set-set: the last value put wins

The constructors of this module are lawful, and so is every composition of lawful lenses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

import attrs

from lambdacat_effects.algebra._lens_steps import AttrStep, FunctionsStep, IndexStep, KeyStep, Step
from lambdacat_effects.errors import InvalidArgument

__all__ = ["Lens", "as_lens", "attr", "identity", "index", "key", "lens"]

S = TypeVar("S")
A = TypeVar("A")
B = TypeVar("B")


@attrs.frozen(repr=False)
class Lens(Generic[S, A]):
    """A view of one part, of type `A`, of a source of type `S`. It never changes its source.

    Made by `lens`, `key`, `attr`, `index`, `identity` and `as_lens`. Two lenses are equal if they take
    equal steps. Every method raises `LensMismatch` if the lens does not fit the source.

    >>> first_name = key("user") >> attr("names") >> index(0)
    >>> first_name
    key('user') >> attr('names') >> index(0)
    """

    # A tuple of steps, not nested pairs: composition is then associative by `==`, and a lens of any depth
    # is read without recursion.
    _steps: tuple[Step, ...]

    def get(self, source: S) -> A:
        """The part of `source` that this lens looks at.

        >>> key("n").get({"n": 1})
        1
        """
        part: Any = source
        for step in self._steps:
            part = step.read(part, self)
        return cast(A, part)

    def set(self, source: S, value: A) -> S:
        """A copy of `source` with `value` in place of the part that this lens looks at.

        >>> key("n").set({"n": 1, "m": 2}, 5)
        {'n': 5, 'm': 2}
        """
        part: Any = source
        wholes: list[Any] = []
        for step in self._steps[:-1]:
            wholes.append(part)
            part = step.read(part, self)
        wholes.append(part)
        changed: Any = value
        for step, whole in zip(reversed(self._steps), reversed(wholes), strict=False):
            changed = step.write(whole, changed, self)
        return cast(S, changed)

    def modify(self, source: S, f: Callable[[A], A]) -> S:
        """A copy of `source` with `f(part)` in place of the part. What `f` raises passes unchanged.

        >>> index(-1).modify((1, 2), lambda n: n * 10)
        (1, 20)
        """
        return self.set(source, f(self.get(source)))

    def compose(self, inner: Lens[A, B]) -> Lens[S, B]:
        """The lens that looks through this one and then through `inner`; also written `outer >> inner`.

        Raises `InvalidArgument` if `inner` is no `Lens`.

        >>> key("a").compose(key("b")).get({"a": {"b": 1}})
        1
        """
        if not _is_lens(inner):
            raise InvalidArgument(
                f"the lens {self!r} was composed with {inner!r}. Give a Lens: lens(get, set) or as_lens(...)."
            )
        return Lens(self._steps + inner._steps)

    def __rshift__(self, inner: Lens[A, B]) -> Lens[S, B]:
        return self.compose(inner)

    def __repr__(self) -> str:
        return " >> ".join(map(repr, self._steps)) or "identity"


identity: Lens[Any, Any] = Lens(())
"""The lens that looks at the whole source; composing with it changes nothing."""


def lens(get: Callable[[S], A], set: Callable[[S, A], S], *, name: str | None = None) -> Lens[S, A]:
    """A lens from two functions, which should obey the laws above and leave their source as it is.

    `name` is what the lens is called in error messages. If one of the functions raises `KeyError`,
    `AttributeError`, `IndexError` or `TypeError`, the lens raises `LensMismatch` from it. Raises
    `InvalidArgument` if one of the two cannot be called.

    >>> real = lens(lambda z: z.real, lambda z, x: complex(x, z.imag), name="real")
    >>> real.set(1 + 2j, 5)
    (5+2j)
    """
    for role, function in (("get", get), ("set", set)):
        if not callable(function):
            raise InvalidArgument(f"lens() was given {function!r} as its {role}. Give a function.")
    return Lens((FunctionsStep(get, set, name),))


def key(name: object) -> Lens[Any, Any]:
    """The value under one key of a mapping. `set` answers with a new `dict`, in the same order.

    The key has to be there, for `set` too: a lens that added what it cannot read would break get-set, and
    would hide a misspelt key. Annotate the result to give it types. Raises `InvalidArgument` if `name`
    cannot be a key.

    >>> prices: Lens[dict[str, int], int] = key("tea")
    >>> prices.set({"tea": 3, "jam": 4}, 5)
    {'tea': 5, 'jam': 4}
    """
    try:
        hash(name)
    except TypeError as error:
        raise InvalidArgument(f"key() was given {name!r}, which is not hashable. Give a string.") from error
    return Lens((KeyStep(name),))


def attr(name: str) -> Lens[Any, Any]:
    """One field of an attrs class, a dataclass or a namedtuple. `set` evolves a copy.

    The class's own validators and converters run on `set`; what they raise passes unchanged. Annotate the
    result to give it types. Raises `InvalidArgument` if `name` is no identifier.

    >>> from typing import NamedTuple
    >>> class Point(NamedTuple):
    ...     x: int
    ...     y: int
    >>> attr("x").set(Point(1, 2), 5)
    Point(x=5, y=2)
    """
    if type(name) is not str or not name.isidentifier():
        advice = "Give the name of one field; for a path, write attr('a') >> attr('b')."
        raise InvalidArgument(f"attr() was given {name!r}, which is no identifier. {advice}")
    return Lens((AttrStep(name),))


def index(i: int) -> Lens[Any, Any]:
    """One item of a tuple or a list, counted from the end if `i` is negative. `set` keeps the type.

    Annotate the result to give it types. Raises `InvalidArgument` if `i` is no `int`.

    >>> index(-1).set([1, 2, 3], 9)
    [1, 2, 9]
    """
    if type(i) is not int:
        raise InvalidArgument(
            f"index() was given {i!r}. Give an int; for the key of a mapping, write key(...)."
        )
    return Lens((IndexStep(i),))


def as_lens(thing: object) -> Lens[Any, Any]:
    """A `Lens` from any object with functions `get(source)` and `set(source, value)`; a `Lens` is itself.

    Raises `InvalidArgument` if `thing` does not have both.

    >>> from types import SimpleNamespace
    >>> as_lens(SimpleNamespace(get=lambda s: s[0], set=lambda s, v: (v, *s[1:]))).set((1, 2), 5)
    (5, 2)
    """
    if _is_lens(thing):
        return cast("Lens[Any, Any]", thing)
    get, set = getattr(thing, "get", None), getattr(thing, "set", None)
    if not (callable(get) and callable(set)):
        raise InvalidArgument(
            f"as_lens() was given {thing!r}, which has no functions get(source) and set(source, value). "
            "Give a lens, or make one with lens(get, set)."
        )
    return Lens((FunctionsStep(get, set, f"as_lens({type(thing).__qualname__})"),))


def _is_lens(thing: object) -> bool:
    return isinstance(thing, Lens)
