"""Actions: the functions that plans name, and how each is performed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias, cast

import attrs

from lambdacat_effects.effects.ambient import Isolate, check_isolate
from lambdacat_effects.errors import DuplicateAction, InvalidArgument, UnknownAction
from lambdacat_effects.plan import builders
from lambdacat_effects.plan.functions import ActionKind, kind_of, takes_ctx
from lambdacat_effects.plan.nodes import (
    Choose,
    Focus,
    LoopWhile,
    ParallelSpec,
    PlanLike,
    Sequence,
    Task,
)

__all__ = ["Action", "Actions", "as_actions"]

Fn: TypeAlias = Callable[..., Any]


@attrs.frozen
class Action:
    """A function with what was found out about it once, so that no run has to look again."""

    name: str
    fn: Fn
    kind: ActionKind
    takes_ctx: bool
    """Whether it is given the context as a second argument."""
    isolate: Isolate = "thread"
    monadic: bool = False
    """Whether it answers with a step of a monad, for `compile_to_kleisli`."""

    @staticmethod
    def of(
        name: str, fn: Fn, *, inline: bool = False, isolate: Isolate = "thread", monadic: bool = False
    ) -> Action:
        """Inspect `fn`. Raises `InvalidArgument` if it cannot be an action.

        >>> Action.of("trim", str.strip).kind
        'blocking'
        """
        if not isinstance(cast(object, name), str) or not name:
            raise InvalidArgument(f"an action needs a name that is a string and not empty; got {name!r}")
        if not callable(cast(object, fn)):
            raise InvalidArgument(f"the action {name!r} is {fn!r}, which is no function")
        check_isolate(isolate)
        kind = kind_of(fn)
        if kind == "blocking" and inline:
            kind = "inline"
        if isolate == "process" and kind != "blocking":
            raise InvalidArgument(
                f"the action {name!r} cannot run in a process: isolate is for plain functions that are not "
                f"inline, and this one is {kind}"
            )
        return Action(name, fn, kind, takes_ctx(name, fn), isolate, monadic)


def _frozen(actions: Mapping[str, Action]) -> Mapping[str, Action]:
    return MappingProxyType(dict(actions))


@attrs.frozen(repr=False)
class Actions:
    """An immutable registry of actions. Each change answers a new one; a name is never taken twice.

    An action is one of, where `ctx` is the context given to `compile_plan`:

    - `def f(state)` or `def f(state, ctx)`: runs in a worker thread; with `inline=True` it is called in place (for
      functions that neither block nor take long); with `isolate="process"` it runs in a worker process that can be
      killed. A second parameter is taken for `ctx` if it has no default, or the default `None`, or the name `ctx`;
      functions written in C, and classes, get the state only.
    - `async def f(state)` or `async def f(state, ctx)`: is awaited.
    - a generator function: a plan, and performed as one. So are a `Tool` and a class of effects.

    >>> actions = Actions.empty().register("trim", str.strip).register("shout", str.upper)
    >>> actions.names
    ('trim', 'shout')
    """

    _by_name: Mapping[str, Action] = attrs.field(converter=_frozen)

    @staticmethod
    def empty() -> Actions:
        """No actions.

        >>> Actions.empty().names
        ()
        """
        return Actions({})

    @staticmethod
    def of(functions: Mapping[str, Fn], *, inline: bool = False) -> Actions:
        """Actions from a mapping of names to functions.

        >>> Actions.of({"trim": str.strip}).names
        ('trim',)
        """
        if not isinstance(cast(object, functions), Mapping):
            raise InvalidArgument(f"Actions.of takes a mapping from names to functions; got {functions!r}")
        return Actions({name: Action.of(name, fn, inline=inline) for name, fn in functions.items()})

    def register(
        self,
        name: str,
        fn: Fn,
        *,
        inline: bool = False,
        isolate: Isolate = "thread",
        monadic: bool = False,
    ) -> Actions:
        """These actions and one more.

        Raises `DuplicateAction` if the name is taken, and `InvalidArgument` if `fn` cannot be an action.

        >>> Actions.empty().register("trim", str.strip, inline=True)["trim"].kind
        'inline'
        """
        return self | Actions({name: Action.of(name, fn, inline=inline, isolate=isolate, monadic=monadic)})

    def __or__(self, other: Actions) -> Actions:
        """Both. Raises `DuplicateAction` if they give one name to two actions."""
        if not isinstance(cast(object, other), Actions):
            return NotImplemented
        for name, action in other._by_name.items():
            if self._by_name.get(name, action) != action:
                raise DuplicateAction(
                    f"the action {name!r} is registered already, as {self._by_name[name].fn!r}: "
                    "register another name"
                )
        return Actions({**self._by_name, **other._by_name})

    def __getitem__(self, name: str) -> Action:
        """The action of this name. Raises `UnknownAction`, suggesting the nearest name."""
        if name in self._by_name:
            return self._by_name[name]
        nearest = difflib.get_close_matches(name, self._by_name, n=1)
        suggestion = f"did you mean {nearest[0]!r}? " if nearest else ""
        known = ", ".join(map(repr, self._by_name))
        there = (
            f"known are {known}" if known else "none are registered: compile_plan(plan, actions) takes them"
        )
        raise UnknownAction(f"no action is named {name!r}: {suggestion}{there}")

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of registration.

        >>> Actions.of({"b": str.upper, "a": str.strip}).names
        ('b', 'a')
        """
        return tuple(self._by_name)

    def mapping(self) -> dict[str, Fn]:
        """The functions by name.

        >>> Actions.of({"trim": str.strip}).mapping()
        {'trim': <method 'strip' of 'str' objects>}
        """
        return {name: action.fn for name, action in self._by_name.items()}

    def name_of(self, fn: Fn) -> str:
        """The name a function is registered under, the first if there are several. Raises `UnknownAction`.

        >>> Actions.of({"trim": str.strip}).name_of(str.strip)
        'trim'
        """
        name = self._name_of(fn)
        if name is None:
            raise UnknownAction(
                f"{fn!r} is not registered: register(name, fn) answers a registry that has it"
            )
        return name

    def resolve(self, task: Task) -> Action:
        """The action of a task. A function that is not registered is one of its own. Raises `UnknownAction`.

        >>> Actions.empty().resolve(Task("shout", str.upper)).kind
        'blocking'
        """
        if task.fn is None:
            return self[task.name]
        name = self._name_of(task.fn)
        return Action.of(task.name, task.fn) if name is None else attrs.evolve(self[name], name=task.name)

    def task(self, action: str | Fn) -> Task:
        """`task`, which knows the names: an unknown one raises `UnknownAction` here.

        >>> Actions.of({"trim": str.strip}).task(str.strip)
        Task(name='trim', fn=None)
        """
        node = self._known(action)
        return node if isinstance(node, Task) else builders.task(action)

    def sequence(self, *plans: PlanLike) -> Sequence:
        """`sequence`, which knows the names.

        >>> len(Actions.of({"trim": str.strip}).sequence("trim", str.upper).items)
        2
        """
        return builders.sequence(*map(self._known, plans))

    def parallel(self, *branches: PlanLike, **settings: Any) -> ParallelSpec:
        """`parallel`, which knows the names.

        >>> Actions.of({"trim": str.strip}).parallel("trim", timeout_s=1.0).timeout_s
        1.0
        """
        return builders.parallel(*map(self._known, branches), **settings)

    def choose(self, *plans: PlanLike, **settings: Any) -> Choose:
        """`choose`, which knows the names.

        >>> len(Actions.of({"trim": str.strip}).choose("trim").items)
        1
        """
        return builders.choose(*map(self._known, plans), **settings)

    def focus(self, lens: object, plan: PlanLike) -> Focus:
        """`focus`, which knows the names.

        >>> from lambdacat_effects.algebra import key
        >>> Actions.of({"trim": str.strip}).focus(key("text"), "trim").lens
        key('text')
        """
        return builders.focus(lens, self._known(plan))

    def loop_while(
        self, predicate: Callable[[Any], Any], body: PlanLike, max_iterations: int | None = None
    ) -> LoopWhile:
        """`loop_while`, which knows the names.

        >>> Actions.of({"trim": str.strip}).loop_while(str.isspace, "trim", 3).max_iterations
        3
        """
        return builders.loop_while(predicate, self._known(body), max_iterations)

    def _known(self, plan: PlanLike) -> PlanLike:
        if isinstance(plan, str):
            return Task(self[plan].name)
        name = self._name_of(plan) if callable(plan) else None
        return plan if name is None else Task(name)

    def _name_of(self, fn: object) -> str | None:
        # `==`, since two bound methods of one object are equal and not identical.
        return next((name for name, action in self._by_name.items() if action.fn == fn), None)

    def __repr__(self) -> str:
        return f"<actions {', '.join(self._by_name) or '(none)'}>"


def as_actions(actions: object) -> Actions:
    """`Actions` from a registry, a mapping of names to functions, or None. Raises `InvalidArgument`.

    >>> as_actions({"trim": str.strip}).names
    ('trim',)
    """
    if isinstance(actions, Actions):
        return actions
    if actions is None:
        return Actions.empty()
    if isinstance(actions, Mapping):
        return Actions.of(cast("Mapping[str, Fn]", actions))
    raise InvalidArgument(
        f"actions are a registry (Actions) or a mapping of names to functions; got {actions!r}"
    )
