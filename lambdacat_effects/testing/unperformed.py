"""A warning for effects and plans that are made and never performed: `remember(...)` without its `yield from`.

No type checker sees it, since a bare expression is a fine statement, and nothing happens. While `warn_unperformed` is
active, every effect is watched: one that dies in the very statement whose call made it was thrown away. Of plans,
which Python makes and drops without telling anybody, the source of the functions that run is looked at, too.
"""

from __future__ import annotations

import dis
import functools
import inspect
import os
import sys
import sysconfig
import threading
import warnings
import weakref
from collections.abc import Callable, Mapping
from types import CodeType, FrameType, GeneratorType
from typing import Any, Self, TypeAlias, cast

from lambdacat_effects.effects.ambient import Await, Blocking
from lambdacat_effects.effects.control import Control
from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.effects.tools import CallTool, Tool
from lambdacat_effects.errors import UnperformedWarning
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.testing.discarded import Discarded, discarded_in, statement_at

__all__ = ["warn_unperformed"]

_MOST_FRAMES = 16
_MOST_BYTES = 24  # of bytecode, from a call to the end of its inline caches
_POP_TOP = dis.opmap["POP_TOP"]
_SUSPENDS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_LIBRARIES = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_PACKAGE = __name__.partition(".")[0]

# Not `inspect.currentframe`: it would make a frame object of the hook itself, which keeps the effect alive.
_frame_at: Callable[[int], FrameType] = sys._getframe  # pyright: ignore[reportPrivateUsage]

_Place: TypeAlias = "tuple[CodeType, int]"
"""A frame's code, and which instruction it is at."""


class warn_unperformed:
    """Warn of effects and plans that are made and never performed, with an `UnperformedWarning` at the statement.

    The warnings come at the end of the `with` block; an exception that leaves the block carries them as notes, since
    a forgotten `yield from` may well be its cause. Found are:

    - each *effect* (and what is made of one: `parallel(...)`, `span(...)`, a tool's call) that a statement makes and
      throws away, in any thread. One that is kept, compared, passed on or returned is nobody's mistake, nor is one
      whose turn never came.
    - each statement that makes a *plan* and throws it away, in a plan, handler, tool or action that runs, in the
      function with the `with` block, and in the `functions` given. The plan's function must be known from where it is
      defined or imported: a method of a local variable is not. A plan that another one delegates to by `yield from`
      is seen to run by its first effect.

    Outside the block nothing is watched, and nothing costs.

    >>> from lambdacat_effects import Memory, Plan, in_memory, remember
    >>> def visit() -> Plan[Memory, None]:
    ...     remember("site", "visits", 1)
    ...     yield from remember("site", "visitors", 1)
    >>> with warnings.catch_warnings(record=True, action="always") as caught, warn_unperformed():
    ...     in_memory().run_pure(visit())
    >>> [warning.category.__name__ for warning in caught]
    ['UnperformedWarning']
    """

    def __init__(self, *functions: Callable[..., object]) -> None:
        self._functions = functions
        self._seen: dict[int, CodeType] = {}
        self._found: dict[tuple[str, int], Discarded] = {}
        self._made: dict[int, weakref.ref[Effect[Any]]] = {}

    @property
    def found(self) -> tuple[Discarded, ...]:
        """What has been found until now, by file and line."""
        return tuple(found for _, found in sorted(self._found.items()))

    def __enter__(self) -> Self:
        frame = _frame_at(1)
        self._look_at(frame.f_code, frame.f_globals)
        for function in self._functions:
            self._look_at_function(function)
        _hooks.add(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        _hooks.remove(self)
        self._made.clear()
        texts = [(found, _message(found)) for found in self.found]
        if error is not None:
            for found, text in texts:
                error.add_note(f"{found.file}:{found.line}: {text}")
            return
        raised: list[Warning] = []
        for found, text in texts:
            try:
                warnings.warn_explicit(text, UnperformedWarning, found.file, found.line)
            except Warning as warning:  # they are errors here; none of them may hide the others
                raised.append(warning)
        for other in raised[1:]:
            raised[0].add_note(str(other))
        if raised:
            raise raised[0]

    def note(self, effect: Effect[Any], frame: FrameType) -> None:
        """An effect was made, by the function of this frame. For the hooks."""
        self._look_at_frames(frame)
        self._look_inside(effect)
        key = id(effect)
        died = functools.partial(self._died, key, type(effect).__name__, _places(frame))
        try:
            self._made[key] = weakref.ref(effect, died)
        except TypeError:  # of a class that allows no weak references
            self._made.pop(key, None)

    def perform(self, effect: Effect[Any], frame: FrameType) -> None:
        """An effect is performed, by the function of this frame. For the hooks."""
        self._made.pop(id(effect), None)
        self._look_at_frames(frame)

    def run(self, handler: Handler[Any], plan: object) -> None:
        """A plan is run, or handled, with a handler. For the hooks."""
        self._look_at_plan(plan)
        for chain in tuple(handler.bindings.values()):
            for step in chain:
                self._look_at_function(step.fn)

    def _died(self, key: int, name: str, places: tuple[_Place, ...], ref: weakref.ref[Effect[Any]]) -> None:
        frame = _frame_at(1)
        if self._made.get(key) is not ref:
            return
        del self._made[key]
        if _thrown_away(frame.f_code, frame.f_lasti, places):
            line, text = statement_at(frame.f_code, frame.f_lasti)
            file = frame.f_code.co_filename
            # What has happened tells more than what the source alone told.
            self._found[file, line] = Discarded(file, line, text or name, f"the effect {name}")

    def _look_at_frames(self, frame: FrameType | None) -> None:
        """Look at the functions that run, out to the interpreter, which has looked at what is beyond it."""
        plain = 0
        while frame is not None and plain < _MOST_FRAMES:
            self._look_at(frame.f_code, frame.f_globals)
            flags = frame.f_code.co_flags
            if flags & inspect.CO_COROUTINE:
                return
            plain += not flags & inspect.CO_GENERATOR
            frame = frame.f_back

    def _look_inside(self, effect: Effect[Any]) -> None:
        thing: Any = effect
        if isinstance(effect, Control):
            self._look_at_plan(getattr(thing, "plan", None))
            branches = getattr(thing, "branches", ())
            if isinstance(branches, tuple):  # else they are made when they start
                for branch in cast("tuple[object, ...]", branches):
                    self._look_at_plan(branch)
        elif isinstance(effect, (Blocking, Await)):
            self._look_at_function(thing.fn)
        elif isinstance(effect, CallTool):
            self._look_at_function(thing.tool)

    def _look_at_plan(self, plan: Any) -> None:
        frame: FrameType | None = plan.gi_frame if isinstance(plan, GeneratorType) else None
        if frame is None:
            return
        if _is_ours(frame.f_globals):  # a plan of the DSL, say, with an action that it is about to call
            for value in tuple(frame.f_locals.values()):
                self._look_at_function(value)
        else:
            self._look_at(frame.f_code, frame.f_globals)

    def _look_at_function(self, function: Any) -> None:
        if isinstance(function, Tool):
            function = cast(Any, function).fn
        while isinstance(function, functools.partial):
            function = cast(Any, function).func
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType):
            function = inspect.unwrap(getattr(function, "__func__", function))
            self._look_at(getattr(function, "__code__", code), getattr(function, "__globals__", {}))

    def _look_at(self, code: CodeType, names: Mapping[str, Any]) -> None:
        if id(code) in self._seen:
            return
        self._seen[id(code)] = code  # kept, so that its id stays its own
        if not _is_ours(names) and not code.co_filename.startswith(_LIBRARIES):
            for found in discarded_in(code, names):
                self._found.setdefault((found.file, found.line), found)


def _places(frame: FrameType | None) -> tuple[_Place, ...]:
    """Where a function and its callers are, out to the nearest plan or task."""
    places: list[_Place] = []
    while frame is not None and len(places) < _MOST_FRAMES:
        places.append((frame.f_code, frame.f_lasti))
        frame = None if frame.f_code.co_flags & _SUSPENDS else frame.f_back
    return tuple(places)


def _thrown_away(code: CodeType, at: int, places: tuple[_Place, ...]) -> bool:
    """Whether a statement drops the answer of the call that made the effect: nothing comes between call and drop."""
    for made_in, made_at in places:
        if made_in is code and 0 < at - made_at <= _MOST_BYTES:
            operations = code.co_code[made_at : at + 1 : 2]
            return operations[-1] == _POP_TOP and not any(operations[1:-1])  # inline caches are zero
    return False


def _is_ours(names: Mapping[str, Any]) -> bool:
    return str(names.get("__name__", "")).partition(".")[0] == _PACKAGE


def _message(found: Discarded) -> str:
    return (
        f"`{found.text}` made {found.made} that nobody performs, so it does nothing: write `yield from {found.text}` "
        f"in a plan, run it with `handlers.run(...)` outside of one, or take it out"
    )


class _Hooks:
    """What tells the innermost active `warn_unperformed` of effects. Nothing is in place while there is none."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.active: list[warn_unperformed] = []
        self.replaced: list[tuple[type[Any], str, Any]] = []

    def add(self, watch: warn_unperformed) -> None:
        with self.lock:
            self.active.append(watch)
            if len(self.active) == 1:
                self.install()

    def remove(self, watch: warn_unperformed) -> None:
        with self.lock:
            self.active.remove(watch)
            if not self.active:
                self.restore()

    @property
    def watch(self) -> warn_unperformed | None:
        active = self.active
        return active[-1] if active else None

    def install(self) -> None:
        # Not `Effect.__new__`: CPython never again makes instances of a class whose `__new__` was set and deleted
        # as it did before (bpo-25731).
        self.replace(Effect, "__init__", self.noting(cast(Any, object).__init__))
        for cls in _subclasses(Effect):
            self.replace_init(cls)
        self.replace(Effect, "__init_subclass__", classmethod(self.subclassing()))
        self.replace(Effect, "__iter__", self.performing(vars(Effect)["__iter__"]))
        self.replace(Handler, "interpret", self.running(vars(Handler)["interpret"]))
        self.replace(Handler, "over", self.running(vars(Handler)["over"]))

    def restore(self) -> None:
        while self.replaced:
            cls, name, original = self.replaced.pop()
            if original is None:
                delattr(cls, name)
            else:
                setattr(cls, name, original)

    def replace(self, cls: type[Any], name: str, hook: Any) -> None:
        self.replaced.append((cls, name, vars(cls).get(name)))
        setattr(cls, name, hook)

    def replace_init(self, cls: type[Any]) -> None:
        if "__init__" in vars(cls):
            self.replace(cls, "__init__", self.noting(vars(cls)["__init__"]))

    def noting(self, init: Any) -> Any:
        @functools.wraps(init)
        def __init__(effect: Any, *args: Any, **kwargs: Any) -> None:
            init(effect, *args, **kwargs)
            if (watch := self.watch) is not None:
                watch.note(effect, _frame_at(1))

        return __init__

    def performing(self, iterate: Any) -> Any:
        @functools.wraps(iterate)
        def __iter__(effect: Any) -> Any:
            if (watch := self.watch) is not None:
                watch.perform(effect, _frame_at(1))
            return iterate(effect)

        return __iter__

    def running(self, run: Any) -> Any:
        @functools.wraps(run)
        def run_it(handler: Any, plan: Any, *args: Any, **kwargs: Any) -> Any:
            if (watch := self.watch) is not None:
                watch.run(handler, plan)
            return run(handler, plan, *args, **kwargs)

        return run_it

    def subclassing(self) -> Any:
        def __init_subclass__(cls: Any, **kwargs: Any) -> None:
            cast(Any, super(Effect, cls)).__init_subclass__(**kwargs)
            with self.lock:
                if self.active:
                    self.replace_init(cls)

        return __init_subclass__


def _subclasses(cls: type[Any]) -> list[type[Any]]:
    found: dict[type[Any], None] = {}
    left = [cls]
    while left:
        new = [sub for sub in left.pop().__subclasses__() if sub not in found]
        found.update(dict.fromkeys(new))
        left += new
    return list(found)


_hooks = _Hooks()
