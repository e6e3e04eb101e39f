"""What an effect is, what a plan is, and what can be performed.

An effect is a frozen value that names an operation; a plan is a generator that yields effects. Neither does
anything. `yield from SomeEffect(...)` asks, and has the effect's static answer type.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from types import GeneratorType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Generic,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    cast,
    dataclass_transform,
)

import attrs

from lambdacat_effects.errors import NotAPlan

if TYPE_CHECKING:
    from lambdacat_effects.runtime.handler import Handler

__all__ = ["EMPTY", "Effect", "Performs", "Plan", "effect", "performable", "plan_name", "where"]

A = TypeVar("A")
C = TypeVar("C", bound=type)
A_co = TypeVar("A_co", covariant=True)
E_co = TypeVar("E_co", covariant=True)


EMPTY: Final[Mapping[str, Any]] = {}
"""The default of fields that hold a mapping.

Shared, as nobody may change an effect: a factory would be called for every effect that is made. Not a
`MappingProxyType`, which can be neither pickled nor copied."""


class Effect(Generic[A]):
    """A request whose answer is an `A`. Subclass it with `@effect`:

    >>> from lambdacat_effects import Effect, effect
    >>> @effect
    ... class Translate(Effect[str]):
    ...     text: str
    ...     to: str = "en"
    >>> Translate("chat")
    Translate(text='chat', to='en')

    Invariant in `A`: were it covariant, a handler of `Need[Db | Cache]` would pass for one of both.
    """

    __slots__ = ()

    dispatch_on: ClassVar[str | None] = None
    """The field whose value, beside the class, selects the handler: `CallTool` dispatches on its tool."""

    def __iter__(self) -> Generator[Self, object, A]:
        # One statement, since every effect that a plan performs passes here. (`cast` would cost a call.)
        return (yield self)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]

    def title(self) -> str:
        """How reports call it, shortly: its `repr` may be long, and is the user's own code."""
        return type(self).__name__

    @classmethod
    def by(cls, answer: Callable[[Self], A | Awaitable[A] | Generator[Any, object, A]]) -> Handler[Self]:
        """A handler that answers this effect with a plain, async or generator function.

        Usable as a decorator. A generator function may perform effects itself; they go to the handlers around
        it, and the same effect performed again goes *outward*, past this handler.

        Raises `WrongHandlerKind` for anything that is not one of the three.

        >>> from lambdacat_effects import Effect, effect
        >>> @effect
        ... class Double(Effect[int]):
        ...     n: int
        >>> doubling = Double.by(lambda e: e.n * 2)
        >>> doubling.run_pure(Double(21))
        42
        """
        # The one late edge of the import graph: an effect is not interpreted here, but `Search.by(f)` is the
        # only spelling for which every checker compares `f` with the effect's answer type.
        from lambdacat_effects.runtime.handler import Handler

        return cast("Handler[Self]", Handler.of({cls: answer}))


E = TypeVar("E", bound=Effect[Any])

Plan: TypeAlias = Generator[E, object, A]
"""A plan with row `E` (a union of effect types) and answer `A`.

The send type is `object`, not `Any`: a forgotten `from` is a type error where the answer is used."""


class Performs(Protocol[E_co, A_co]):
    """Anything that can be performed: an effect, or a plan. What combinators take."""

    def __iter__(self) -> Generator[E_co, object, A_co]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def effect(cls: C) -> C:
    """Make a class of effects: a slotted value, equal and hashable by its fields, frozen for type checkers.

    Construction is on the hot path of every plan. `attrs.frozen` pays for its run-time guard at each field:
    419 ns for two fields where a plain slotted class takes 198 ns (CPython 3.11, same run), and the whole
    interpreter needs about as much. So immutability is enforced where it is free, by the type checker; the hash
    is there because effects are values, and handlers must not assign to them.
    """
    return attrs.define(cls, unsafe_hash=True)


def where(plan: object) -> str:
    """Name a plan for an error message: its function, file and line."""
    code = getattr(plan, "gi_code", None)
    if code is None:
        return repr(plan)
    if code is _PERFORMING:
        return "itself, without a plan around it"
    return f"{getattr(plan, '__qualname__', '?')} ({code.co_filename}:{code.co_firstlineno})"


def performable(thing: object) -> Any:
    """`thing` itself, a plan or an effect. Raises `NotAPlan`, naming what was given and what to give instead."""
    if type(thing) is GeneratorType or isinstance(thing, Effect):
        return cast(Any, thing)
    raise NotAPlan(_explain(thing))


_PERFORMING: Any = vars(Effect)["__iter__"].__code__


def plan_name(thing: object) -> str:
    """How reports call a plan or an effect."""
    frame = getattr(thing, "gi_frame", None)
    if frame is not None and frame.f_code is _PERFORMING:
        thing = frame.f_locals["self"]  # a combinator's plan
    if isinstance(thing, Effect):
        return thing.title()
    return str(getattr(thing, "__name__", thing))


def _explain(thing: object) -> str:
    name = getattr(thing, "__qualname__", None) or type(thing).__qualname__
    if isinstance(thing, type):
        return f"the class {name} is not a plan: give an instance, {name}(...)"
    if hasattr(thing, "cr_code"):
        cast(Any, thing).close()
        return (
            f"the coroutine {name} is not a plan: make {name} a @tool, or perform it with Await({name}, ...)"
        )
    if hasattr(thing, "ag_code"):
        return (
            f"the async generator {name} is not a plan: plans are plain generators (`def`, not `async def`)"
        )
    if hasattr(thing, "fn") and callable(thing):
        return f"the tool {name} is not a plan: call it, {getattr(thing, 'name', name)}(...)"
    if type(thing).__module__.startswith("lambdacat_effects.plan."):
        return f"{thing!r} is a plan of the DSL: compile it, compile_plan(plan, actions)(state)"
    if isinstance(thing, (list, tuple, set)):
        return f"{thing!r} is not a plan, but a {name} of them: give them one by one, as in parallel(*plans)"
    if callable(thing):
        return (
            f"the function {name} is not a plan: call it, {name}(...), and have it `yield from` its effects"
        )
    return (
        f"{thing!r} is not a plan: expected a generator that yields effects, or an effect, not {name}. "
        "A function without any `yield` returns its value at once and is no plan."
    )
