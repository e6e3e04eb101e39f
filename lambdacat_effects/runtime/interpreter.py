"""The interpreter: drives a plan, handing each effect to its handler and the answer back.

It keeps a stack of its own for `call`, `handle`, `span` and handlers that are plans themselves, so that they cost the
same at any depth. Whatever a handler raises, cancellation included, is thrown into the plan where it asked. It knows
nothing of Trio: what waits, it awaits, and control effects are functions found in the table like any other.
"""

# The loop holds plans, effects and answers of every type at once, so here their types are `Any` by nature.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from types import CoroutineType, GeneratorType, TracebackType
from typing import Any, Never, Protocol, TypeAlias, cast

from lambdacat_effects.effects.effect import Effect, where
from lambdacat_effects.errors import (
    NotAnEffect,
    PlanIgnoredClose,
    PlanReused,
    UnhandledEffect,
    WrongHandlerKind,
)
from lambdacat_effects.runtime.events import Path
from lambdacat_effects.runtime.run import Pace, Run, Scope
from lambdacat_effects.runtime.table import (
    ASYNC,
    CALL,
    CONTROL,
    GENERATOR,
    HANDLED,
    KEYED,
    LOCATED,
    NOT_AN_EFFECT,
    OBSERVED,
    PLAIN,
    SPAN,
    UNHANDLED,
    Table,
)
from lambdacat_effects.runtime.tracebacks import trimmed

__all__ = ["Ending", "drive", "perform_step"]

_UNANSWERED = frozenset([CoroutineType, GeneratorType])
_DELEGATES = frozenset([GENERATOR, CALL, HANDLED, SPAN])

# A plan that waits for the one above it: generator, table, path, effects so far (None: the same counter goes on
# above it), and what to do at the end.
_Frame: TypeAlias = "tuple[Any, Table, Path, int | None, _Telling | None]"


class _Telling:
    """Tells the listener of an effect that is performed on the stack."""

    __slots__ = ("effect", "path", "run")

    def __init__(self, run: Run, path: Path, effect: object) -> None:
        self.run = run
        self.path = path
        self.effect = effect

    def begin(self) -> None:
        self.run.started(self.path, self.effect)

    def made(self, fn: Any) -> Any:
        """The plan of a generator function; arguments that do not fit it fail here, before it has begun."""
        self.begin()
        try:
            return fn(self.effect)
        except BaseException as exc:
            self.end(None, exc)
            raise

    def end(self, answer: Any, error: BaseException | None) -> None:
        self.run.ended(self.path, self.effect, answer, error)


class Ending(Protocol):
    """Who is told how a plan ended, in place of the caller of `drive`."""

    def end(self, index: int, answer: Any, error: BaseException | None) -> None:
        """The plan number `index` ended. Raises what is to be raised from its task."""
        ...


# One long function, on purpose: every call it made of a part of itself would be paid for by each effect.
async def drive(
    plan: Any, table: Table, path: Path, run: Run, ending: Ending | None = None, index: int = 0
) -> Any:
    """Perform `plan` to its end and answer its answer, or raise what it raises.

    With `ending` it is the whole of a task, and how it ends is told there. (A coroutine around this one, for each
    branch of a large fan-out, would cost as much as the branch's effects.)
    """
    if type(plan) is not GeneratorType:
        plan = iter(plan)  # an effect alone
    elif plan.gi_suspended or plan.gi_running or plan.gi_frame is None:
        plan = _refusing(plan)
    stack: list[_Frame] | None = None
    send: Any = plan.send
    answer: Any = None
    error: Any = None
    known: TracebackType | None = None  # of `error`, as far as it was trimmed before it is thrown
    told = False  # that it is cancelled
    ended = False
    n: int = 0
    pace = run.pace
    credit = run.first
    try:
        while True:
            try:
                effect: Any = send(answer) if error is None else plan.throw(error)
            except StopIteration as stop:
                answer, error = stop.value, None
            except BaseException as exc:
                answer, error = None, trimmed(exc, known if exc is error else None)
            else:
                error = None
                n += 1
                credit -= 1
                key: Any = type(effect)
                try:
                    if not credit:
                        credit = 1  # if this raises, look again before the next effect
                        if told:
                            told = run.is_cancelled()  # else a scope within the plan has caught it
                        if pace is None:
                            pace = Pace(run)
                        elif pace.due():
                            told = await run.before(path, n, effect, told)
                            pace.rested()
                        credit = 1 if told else pace.stride
                    kind, fn, after = table[key]
                    if kind == KEYED:
                        key = (key, getattr(effect, effect.dispatch_on))
                        kind, fn, after = table[key]
                    if kind == PLAIN:
                        answer = fn(effect)
                        if type(answer) in _UNANSWERED:
                            _refuse(fn, effect, answer)
                        continue
                    if kind == ASYNC:
                        answer = await fn(effect)
                        continue
                    if kind == GENERATOR:
                        inner = fn(effect)
                        below = (plan, table, path, n, None)
                        if stack is None:
                            stack = [below]
                        else:
                            stack.append(below)
                        plan = inner
                        send, answer = plan.send, None
                        table = table.insides.get(key) or table.inside(key, after)
                        path = path + (n,)  # noqa: RUF005  (half the time of unpacking)
                        n = 0
                        continue
                    leave: _Telling | None = None
                    if kind == OBSERVED:
                        kind, fn, after = fn
                        if kind in _DELEGATES:
                            leave = _Telling(run, (*path, n), effect)
                        else:
                            here = (*path, n)
                            doing = perform_step(kind, fn, effect, plan, Scope(table, here, run))
                            answer = await run.tell(doing, here, effect)
                            continue
                    if stack is None:
                        stack = []
                    if kind == GENERATOR and leave is not None:
                        inner = leave.made(fn)
                        stack.append((plan, table, path, n, leave))
                        plan, table = inner, table.inside(key, after)
                        path, n = (*path, n), 0
                    elif kind in _DELEGATES:
                        inner = effect.plan
                        if type(inner) is GeneratorType:
                            _check_unstarted(inner)
                        else:
                            inner = iter(inner)
                        within = effect.handler.over(table) if kind == HANDLED else table
                        if leave is not None:
                            leave.begin()
                        stack.append((plan, table, path, None, leave))
                        plan, table = inner, within
                    else:
                        answer = await perform_step(kind, fn, effect, plan, Scope(table, (*path, n), run))
                        continue
                    send, answer = plan.send, None
                except GeneratorExit:
                    raise  # this coroutine is being closed, so nothing can be answered any more
                except BaseException as exc:
                    answer, error = None, trimmed(exc)
                    known = error.__traceback__
                    if run.tells_cancellation(exc):
                        told, credit = True, 1
                continue
            # The plan has ended, well or not: its answer or error goes to the plan below.
            if error is not None:
                known = error.__traceback__
            if not stack:
                ended = True
                if ending is not None:
                    ending.end(index, answer, error)
                    return None
                if error is None:
                    return answer
                raise error
            plan, table, path, kept, leave = stack.pop()
            send = plan.send
            if kept is not None:
                n = kept
            if leave is not None:
                leave.end(answer, error)
    finally:
        error = known = None  # they hold this frame by its traceback
        if not ended:
            _close(plan, stack)


async def perform_step(kind: int, fn: Any, effect: Any, plan: Any, scope: Scope) -> Any:
    """Answer an effect of a less frequent kind."""
    if kind == PLAIN:
        answer = fn(effect)
        if type(answer) in _UNANSWERED:
            _refuse(fn, effect, answer)
        return answer
    if kind == ASYNC:
        return await fn(effect)
    if kind == LOCATED:
        return fn(effect, scope)
    if kind == CONTROL:
        return await fn(effect, scope)
    raise _no_handler(kind, effect, plan)


def _refusing(plan: Any) -> Any:
    """A plan that fails as `plan`, which was performed before, has to."""
    _check_unstarted(plan)
    yield  # never reached: this only makes it a plan


def _check_unstarted(plan: Any) -> None:
    if plan.gi_suspended or plan.gi_running or plan.gi_frame is None:
        raise PlanReused(
            f"the plan {where(plan)} was performed before: a plan is a generator and runs once. "
            "Call its function again for each run; `hedge` and `for_each` take the function itself."
        )


def _close(plan: Any, stack: list[_Frame] | None) -> None:
    """Close what is left of an abandoned plan, innermost first, all of it, and then raise what that raised first."""
    first: BaseException | None = None
    for one in [plan, *(frame[0] for frame in reversed(stack or ()))]:
        try:
            _close_one(one)
        except BaseException as exc:
            first = first or exc
    if first is not None:
        raise first


def _close_one(plan: Any) -> None:
    try:
        plan.close()
    except RuntimeError as exc:
        if "ignored GeneratorExit" not in str(exc):
            raise
        raise PlanIgnoredClose(
            f"the plan {where(plan)} yielded an effect while it was being closed: "
            "let GeneratorExit pass, and perform effects for clean-up under `shielded(...)`"
        ) from None


def _refuse(fn: Any, effect: Any, answer: Any) -> Never:
    answer.close()
    name = getattr(fn, "__qualname__", repr(fn))
    if type(answer) is CoroutineType:
        what, do = (
            "a coroutine",
            f"make it `async def`, or have it return the answer: `async def {name}(...)`",
        )
    else:
        what, do = (
            "a generator",
            f"make it a generator function: `return (yield from ...)` inside `def {name}`",
        )
    raise WrongHandlerKind(
        f"the plain handler {name} answered {effect!r} with {what}, not with an answer; {do}"
    )


_SUGGESTED = {
    **dict.fromkeys(
        ("Remember", "Recall", "Forget", "SearchMemory", "RecallMarked", "RememberUnlessChanged"),
        "in_memory()",
    ),
    **dict.fromkeys(
        ("Believe", "Observe", "ReadBelief", "Retract", "HeldBeliefs", "Adopt"), "in_memory_beliefs()"
    ),
    "SaveState": "with_state(...)",
}


def _no_handler(kind: int, effect: Any, plan: Any) -> Exception:
    if kind == NOT_AN_EFFECT:
        return NotAnEffect(
            f"the plan {where(plan)} yielded {effect!r}, of type {type(effect).__qualname__}, which is no effect: "
            "plans `yield from` effects and other plans"
        )
    assert kind == UNHANDLED
    name = type(cast("Effect[Any]", effect)).__qualname__
    if name == "CallTool":
        suggestion = f"call_tools({effect.tool.name})"
    elif name == "Need":
        suggestion = f"supply({getattr(effect.key, '__name__', effect.key)}, ...)"
    else:
        suggestion = _SUGGESTED.get(name, f"{name}.by(...)")
    asked_by = "" if plan is None else f", performed by {where(plan)}"
    return UnhandledEffect(
        f"no handler answers {effect!r}{asked_by}: compose one in, such as `handlers | {suggestion}`"
    )
