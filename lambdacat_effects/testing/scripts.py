"""Scripts: handlers that answer as a test prescribes, and report what was asked beside it and what never was.

`answer_tools` answers the calls of tools, in any order. A script is for effects of every kind, and knows an order:

>>> from lambdacat_effects import Effect, Plan, effect
>>> @effect
... class Ask(Effect[str]):
...     question: str
>>> def order() -> Plan[Ask, str]:
...     drink = yield from Ask("Tea or coffee?")
...     milk = yield from Ask(f"Milk in your {drink}?")
...     return f"{drink}, milk: {milk}"
>>> with script(on(Ask("Tea or coffee?")).answers("tea"), on(Ask).answers("yes")) as handlers:
...     handlers.run_pure(order())
'tea, milk: yes'

Branches that run at the same time ask in no order that a plan could rely on. So an order is right only for what one
branch asks; put branches side by side with `in_any_order(in_order(...), in_order(...))`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Self, TypeVar, cast

from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.errors import UnexpectedEffect, UnfinishedScript
from lambdacat_effects.runtime.handler import Handler, Interposer
from lambdacat_effects.runtime.resource import Resource
from lambdacat_effects.runtime.table import GENERATOR, PLAIN, Chain, Key, Step
from lambdacat_effects.testing.comparison import differences
from lambdacat_effects.testing.script_parts import On, Part, Progress, check_parts, in_any_order, in_order, on

__all__ = [
    "On",
    "Part",
    "Script",
    "in_any_order",
    "in_order",
    "matching",
    "on",
    "script",
]

E = TypeVar("E", bound=Effect[Any])
E_con = TypeVar("E_con", bound=Effect[Any], contravariant=True)


def script(*parts: Part[E]) -> Script[E]:
    """A handler that answers what is asked in this order, as it happens in the run.

    An effect of one of its classes that is not the next raises `UnexpectedEffect`; other classes are left to other
    handlers. At the end of `with script(...) as handlers:`, or by `handlers.check()`, what was never asked raises
    `UnfinishedScript`. A run does not check at its own end, since a script may serve several, and a plan's own
    failure tells more. A script is used up by what it answers: make one for each test.

    Branches have no order among them on Trio: see `in_any_order`.

    >>> from lambdacat_effects import Now
    >>> script(on(Now).answers(1.0, 2.0)).check()
    Traceback (most recent call last):
        ...
    lambdacat_effects.errors.UnfinishedScript: the script was not asked for:
      any Now, which answers 1.0
      any Now, which answers 2.0
    Mend the plan, or take it out of the script; what may be asked any number of times ends with .always()
    """
    return _scripted(in_order(*check_parts("script", parts)))


def matching(*parts: Part[E]) -> Script[E]:
    """A script without an order: the first part that fits an effect and has an answer left answers it.

    >>> from lambdacat_effects import Plan, Tools, tool
    >>> @tool
    ... def search(query: str) -> str: ...
    >>> def both() -> Plan[Tools, tuple[str, str]]:
    ...     return (yield from search("cats")), (yield from search("dogs"))
    >>> matching(on(search("dogs")).answers("a dog"), on(search).answers("anything").always()).run_pure(both())
    ('anything', 'a dog')
    """
    return _scripted(in_any_order(*check_parts("matching", parts)))


def _scripted(part: Part[E]) -> Script[E]:
    state = _State(part)
    # At once where it can: a simulation takes what a plain function answers for the world's, and lets it fail.
    step = Step(PLAIN, state.answer_at_once) if part.at_once else Step(GENERATOR, state.answer)
    return Script(dict.fromkeys(part.handled(), (step,)), (), state)


class _State:
    """What the handlers made of one script share: how far it has come, and what went wrong."""

    def __init__(self, part: Part[Any]) -> None:
        self.progress: Progress = part.begin()
        self.asked: list[Effect[Any]] = []
        self.unexpected: list[UnexpectedEffect] = []

    def answer(self, effect: Effect[Any]) -> Generator[Any, Any, Any]:
        answering = self.progress.take(effect)
        if answering is None:
            error = UnexpectedEffect(_unexpected(effect, self.progress.turn(), self.asked))
            self.unexpected.append(error)
            raise error
        self.asked.append(effect)
        return (yield from answering(effect))

    def answer_at_once(self, effect: Effect[Any]) -> Any:
        try:
            next(self.answer(effect))
        except StopIteration as answered:
            return answered.value
        raise AssertionError("unreachable")


class Script(Handler[E_con]):
    """A handler that answers as a script prescribes. Made by `script` and `matching`."""

    _state: _State

    def __init__(
        self, bindings: Mapping[Key, Chain], resources: Sequence[Resource[Any]], state: _State
    ) -> None:
        super().__init__(bindings, resources)
        self._state = state

    @property
    def asked(self) -> tuple[Effect[Any], ...]:
        """The effects that the script has answered until now, in the order in which they were asked."""
        return tuple(self._state.asked)

    @property
    def left(self) -> tuple[str, ...]:
        """What has yet to be asked, in words."""
        return tuple(self._state.progress.left())

    def check(self) -> None:
        """Raise the first `UnexpectedEffect` again, even if the plan caught it; or `UnfinishedScript`, naming what
        was never asked."""
        if self._state.unexpected:
            raise self._state.unexpected[0]
        left = self.left
        if left:
            raise UnfinishedScript(
                "\n  ".join(("the script was not asked for:", *left))
                + "\nMend the plan, or take it out of the script; "
                "what may be asked any number of times ends with .always()"
            )

    def behind(self, *interposers: Interposer) -> Self:
        """This script behind interposers, which see its answers; it is the same script, and is checked as one."""
        return self._sharing(super().behind(*interposers))

    def using(self, *resources: Resource[Any]) -> Self:
        """This script, owning resources."""
        return self._sharing(super().using(*resources))

    def _sharing(self, handler: Handler[Any]) -> Self:
        return cast(Self, Script(handler.bindings, handler.resources, self._state))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self.check()

    async def __aexit__(self, *exc_info: Any) -> None:
        """Close the resources, and check."""
        await super().__aexit__(*exc_info)
        if exc_info[1] is None:
            self.check()


def _unexpected(effect: Effect[Any], turn: Sequence[On[Any, Any]], asked: Sequence[Effect[Any]]) -> str:
    lines = [f"{effect!r} was asked, and the script expected {'' if turn else 'nothing more'}".rstrip()]
    for part in turn:
        lines.append(f"  {part.expected}")
        lines += [f"      {line}" for line in differences(part.matcher, effect)]
    before = f"{len(asked)} asked before it, last {asked[-1]!r}" if asked else "nothing was asked before it"
    return "\n".join(lines) + (
        f"\n{before}. Mend the plan, or add on({effect!r}).answers(...) to the script; "
        "what branches ask side by side goes into in_any_order(...)"
    )
