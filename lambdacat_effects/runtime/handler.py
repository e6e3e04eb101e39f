"""Handlers: what effects mean. They compose, wrap one another, own resources, and run plans."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Generic, Never, Self, TypeAlias, TypeVar, cast, overload

from lambdacat_effects.effects.ambient import Ambient
from lambdacat_effects.effects.control import Handled, perform
from lambdacat_effects.effects.effect import Effect, Performs, Plan, performable, plan_name
from lambdacat_effects.effects.failure import Fail
from lambdacat_effects.effects.needs import Need
from lambdacat_effects.errors import InvalidArgument, WrongHandlerKind
from lambdacat_effects.runtime.boundary import Boundary, bounded
from lambdacat_effects.runtime.continuing import to_the_end
from lambdacat_effects.runtime.events import Listener, Root
from lambdacat_effects.runtime.live import LIVE, LIVE_OBSERVED, live_run, raise_failure
from lambdacat_effects.runtime.pure import PURE, PURE_OBSERVED, finish, pure_run
from lambdacat_effects.runtime.resource import Resource, close_all, open_all, opened
from lambdacat_effects.runtime.run import Run
from lambdacat_effects.runtime.scopes import Opening
from lambdacat_effects.runtime.table import ASYNC, GENERATOR, PLAIN, Chain, Key, Step, Table
from lambdacat_effects.runtime.tracebacks import trimmed

__all__ = ["Handler", "Interposer", "ambient", "raising", "step_of", "supply"]

A = TypeVar("A")
B = TypeVar("B")
E2 = TypeVar("E2", bound=Effect[Any])
E_con = TypeVar("E_con", bound=Effect[Any], contravariant=True)

Interposer: TypeAlias = Callable[[Any], Generator[Any, Any, Any]]
"""A generator function from an effect to a plan that answers it. Inside, `yield from effect` asks the next one."""


def step_of(fn: Callable[..., Any]) -> Step:
    """A handler function with its kind. Raises `WrongHandlerKind` for what is none of the three."""
    if not callable(cast(object, fn)):
        raise WrongHandlerKind(
            f"a handler is a plain, async or generator function of the effect; got {fn!r}. "
            "To answer with a constant, write `lambda effect: ...`"
        )
    call = fn if inspect.isroutine(fn) or isinstance(fn, type) else getattr(fn, "__call__", fn)  # noqa: B004
    if inspect.isasyncgenfunction(fn) or inspect.isasyncgenfunction(call):
        raise WrongHandlerKind(
            f"the handler {_name(fn)} is an async generator function, which answers many times; "
            "an effect has one answer: use `async def` with `return`, or a generator function"
        )
    if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(call):
        return Step(ASYNC, fn)
    if inspect.isgeneratorfunction(fn) or inspect.isgeneratorfunction(call):
        return Step(GENERATOR, fn)
    return Step(PLAIN, fn)


class Handler(Generic[E_con]):
    """A meaning for the effects in `E_con`. Contravariant: a handler of more effects fits wherever fewer are needed.

    Make one with `SomeEffect.by(function)`, or take one (`call_tools`, `in_memory`, ...); compose with `|`; run
    plans with `run` and `run_pure`. Handlers are immutable and can be shared.
    """

    __slots__ = ("_tables", "bindings", "boundaries", "resources")

    def __init__(
        self,
        bindings: Mapping[Key, Chain],
        resources: Sequence[Resource[Any]] = (),
        boundaries: Sequence[Boundary] = (),
    ) -> None:
        self.bindings: Mapping[Key, Chain] = bindings
        self.resources: tuple[Resource[Any], ...] = tuple(resources)
        self.boundaries: tuple[Boundary, ...] = tuple(boundaries)
        """Whom effects meet before any handler or interposer, outermost first."""
        self._tables: dict[int, Table] = {}

    @staticmethod
    def of(
        functions: Mapping[Key, Callable[..., Any]], resources: Sequence[Resource[Any]] = ()
    ) -> Handler[Any]:
        """A handler from a table: effect classes, or (class, value of `dispatch_on`), to handler functions."""
        return Handler({key: (step_of(fn),) for key, fn in functions.items()}, resources)

    def __or__(self, other: Handler[E2]) -> Handler[E_con | E2]:
        """Both; what both name is answered by the right one. Of two boundaries, the left one is met first."""
        if not isinstance(cast(object, other), Handler):
            return NotImplemented
        resources = _union(self.resources, other.resources)
        boundaries = _union(self.boundaries, other.boundaries)
        bindings = {**self.bindings, **other.bindings}
        return cast("Handler[E_con | E2]", Handler(bindings, resources, boundaries))

    def behind(self, *interposers: Interposer) -> Self:
        """This handler behind interposers: each effect meets the first, then the next, then the handler.

        An interposer is a generator function from the effect to a plan that answers it. `yield from effect` inside
        asks the next one in line, as often as it likes; its other effects go to the handlers of the run.

        >>> from lambdacat_effects import Effect, effect
        >>> @effect
        ... class Ask(Effect[str]):
        ...     question: str
        >>> def politely(ask):
        ...     answer = yield from ask
        ...     return answer + ", please"
        >>> Ask.by(lambda ask: "Tea").behind(politely).run_pure(Ask("Tea or coffee?"))
        'Tea, please'
        """
        steps = [step_of(interposer) for interposer in interposers]
        for step in steps:
            if step.kind != GENERATOR:
                raise WrongHandlerKind(
                    f"the interposer {_name(step.fn)} is not a generator function: write "
                    f"`def {_name(step.fn)}(effect): answer = yield from effect; return answer`, "
                    "so that it can wait and fail as plans do"
                )
        chains = {key: (*steps, *chain) for key, chain in self.bindings.items()}
        return cast(Self, Handler(chains, self.resources, self.boundaries))

    def using(self, *resources: Resource[Any]) -> Self:
        """This handler, owning `resources`: open while it is in use."""
        return cast(Self, Handler(self.bindings, _union(self.resources, resources), self.boundaries))

    @overload
    def handle(self, plan: Performs[E_con, A]) -> Plan[Never, A]: ...
    @overload
    def handle(self, plan: Performs[E_con | E2, A]) -> Plan[E2, A]: ...
    def handle(self, plan: Performs[Any, A]) -> Plan[Any, A]:
        """The plan with these effects answered: they are gone from its row. The rest goes to the handlers around."""
        handled = perform(Handled(self, performable(plan)))
        return perform(Opening(self.resources, handled)) if self.resources else handled

    async def run(
        self, plan: Performs[E_con | Ambient, A], *, name: str | None = None, listen: Listener | None = None
    ) -> A:
        """Perform `plan` on Trio and answer its answer, or raise what it raises.

        Resources that are not open are opened for it and closed after it. `listen` is called with every event; `name`
        is the first element of every path, the plan's own name unless given.

        Raises `UnhandledEffect` at the effect that nobody answers.
        """
        root = LIVE if listen is None else LIVE_OBSERVED
        return cast(A, await self.interpret(plan, root, live_run(listen), name))

    def run_pure(
        self, plan: Performs[E_con | Ambient, A], *, name: str | None = None, listen: Listener | None = None
    ) -> A:
        """Perform `plan` without an event loop: branches in declared order, virtual time, seeded chance.

        Raises `NotPure`, naming the handler, where something would have to wait.
        """
        root = PURE if listen is None else PURE_OBSERVED
        running = self.interpret(plan, root, pure_run(listen), name)
        try:
            return cast(A, finish(running, "a resource of the handlers"))
        except BaseException as exc:
            raise trimmed(exc)  # noqa: B904  (the same exception)

    async def interpret(self, plan: Performs[Any, A], root: Table, run: Run, name: str | None) -> Any:
        """Perform `plan` over a root table of any kind: what `run`, `run_pure` and a simulation share."""
        performable(plan)  # before any resource is opened
        name = name or plan_name(plan)
        try:
            async with opened(self.resources):
                return await self.perform(plan, root, run, name)
        except BaseException as exc:
            raise trimmed(exc)  # noqa: B904  (the same exception)

    async def perform(self, plan: Performs[Any, A], root: Table, run: Run, name: str) -> A:
        """As `interpret`, with the resources open."""
        performing = to_the_end(plan, self.over(root), name, run)
        return cast(A, await run.tell(performing, (name,), Root(name)))

    def over(self, outer: Table) -> Table:
        """The table of this handler within another; of the four roots it is kept."""
        if outer.outer is not None:
            return self._over(outer)
        table = self._tables.get(id(outer))
        if table is None:
            table = self._tables[id(outer)] = self._over(outer)
        return table

    def _over(self, outer: Table) -> Table:
        table = outer.over(self.bindings)
        for boundary in reversed(self.boundaries):
            table = bounded(table, boundary)
        return table

    async def __aenter__(self) -> Self:
        """Open the resources, for several runs."""
        await open_all(self.resources)
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        """Close them, last opened first."""
        await close_all(self.resources)

    def __repr__(self) -> str:
        names = sorted({_key_name(key) for key in self.bindings})
        return f"<handler of {', '.join(names) or 'nothing'}>"


def _union(some: tuple[B, ...], others: Sequence[B]) -> tuple[B, ...]:
    return (*some, *(other for other in others if other not in some))


def _name(fn: object) -> str:
    return getattr(fn, "__qualname__", None) or repr(fn)


def _key_name(key: Key) -> str:
    if type(key) is tuple:
        value = cast("tuple[Any, Any]", key)[1]
        return str(getattr(value, "name", None) or _name(value))
    return _name(key)


def supply(key: type[B], value: B) -> Handler[Need[B]]:
    """A handler that provides `value` to plans that `Need(key)`. Each type has one of its own."""
    if not isinstance(cast(object, key), type):
        raise InvalidArgument(f"supply takes a class and a value of it; got {key!r}")

    def provide(_need: Need[B]) -> B:
        return value

    return cast("Handler[Need[B]]", Handler.of({(Need, key): provide}))


ambient: Handler[Never] = Handler({})
"""The handler of nothing beyond what every runner answers: the identity of `|`."""

raising: Handler[Fail[Exception]] = Handler.of({Fail: raise_failure})
"""A handler that lets errors a plan did not catch be raised from the run."""
