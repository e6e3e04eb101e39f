"""Compensation: what is undone when a plan is cancelled, or when a later step fails.

A call to the world cannot be rolled back, but another call may make up for it (Garcia-Molina and Salem, "Sagas",
1987).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar, cast

from lambdacat_effects.effects.control import Call, Control, Shielded, perform
from lambdacat_effects.effects.durable import Continued
from lambdacat_effects.effects.effect import Effect, Performs, Plan, effect, performable, plan_name
from lambdacat_effects.errors import InvalidArgument, Misuse

__all__ = ["Compensable", "Done", "Saga", "on_cancel", "saga"]

A = TypeVar("A")
E = TypeVar("E", bound=Effect[Any])
E2 = TypeVar("E2", bound=Effect[Any])


@effect
class Compensable(Control[A]):
    """Perform `plan`, a step of a saga, and note how it is undone, and where in the run it stands."""

    plan: Performs[Any, A]
    compensate: Callable[[A], Performs[Any, object]]
    done: list[Done]

    def title(self) -> str:
        return plan_name(self.plan)


Done: TypeAlias = tuple[tuple[Any, ...], Compensable[Any], Any]
"""A step that is done: its path, itself, and its answer."""


class Saga:
    """Performs the steps of a saga. Made by `saga`, and good for one performance of it."""

    __slots__ = ("_done",)

    def __init__(self, done: list[Done]) -> None:
        self._done = done

    def step(self, plan: Performs[E, A], compensate: Callable[[A], Performs[E2, object]]) -> Plan[E | E2, A]:
        """Perform `plan`, and answer its answer. If the saga fails later, or is cancelled, `compensate(answer)` is
        performed.

        A step that fails, or is cancelled while it is under way, is not compensated: if it may have had an effect all
        the same, wrap it in `on_cancel`, or let it fail only when it had none.

        Raises `InvalidArgument` if `compensate` is no function.
        """
        if not callable(cast(object, compensate)) or isinstance(cast(object, compensate), Effect):
            raise InvalidArgument(
                f"compensate takes a function from the step's answer to a plan; got {compensate!r}. If the answer "
                "does not matter, write `lambda _: ...`"
            )
        return perform(Compensable(performable(plan), compensate, self._done))


def _compensated(done: list[Done]) -> Plan[Any, list[Exception]]:
    """Compensate steps, and answer what failed in that."""
    failed: list[Exception] = []
    # By place and not by time: branches end in an order that a run which is resumed does not repeat.
    for _, step, answer in sorted(done, key=itemgetter(0), reverse=True):
        try:
            yield from Shielded(performable(step.compensate(answer)))
        except Exception as error:
            error.add_note(f"raised while {plan_name(step.plan)} was compensated")
            failed.append(error)
    return failed


def saga(make: Callable[[Saga], Performs[E, A]]) -> Plan[E, A]:
    """Perform the plan `make(steps)`: all of its steps, or none that is not made up for.

    `make` performs its steps by `steps.step(plan, compensate)`. When the plan fails or is cancelled, the steps that
    are done are compensated, each once, shielded, the last one first; of steps in branches, those of the last branch
    first. Then what ended the plan is raised. If compensations fail, the others are performed all the same, and a
    group of what ended the plan and of what they raised is raised.

    A saga that answered is not compensated, also where its answer is not used, as that of a branch that ties with the
    winner of a race: let the saga be around the race.

    >>> from lambdacat_effects import answer_tools, attempt, saga, tool
    >>> @tool
    ... def book(what: str) -> str: ...
    >>> @tool
    ... def give_back(ticket: str) -> None: ...
    >>> def trip(steps):
    ...     yield from steps.step(book("flight"), give_back)
    ...     yield from steps.step(book("hotel"), give_back)
    ...     raise ValueError("no car")
    >>> returned = []
    >>> tools = answer_tools({book: lambda what: f"{what} ticket", give_back: returned.append})
    >>> tools.run_pure(attempt(saga(trip))), returned
    (Err(error=ValueError('no car')), ['hotel ticket', 'flight ticket'])

    Raises `InvalidArgument` if `make` is no function.
    """
    if not callable(cast(object, make)):
        raise InvalidArgument(
            f"saga takes a function from the steps to a plan, `def trip(steps): ...`; got {make!r}"
        )
    return _saga(make)


def _saga(make: Callable[[Saga], Performs[Any, A]]) -> Plan[Any, A]:
    done: list[Done] = []
    try:
        plan: Plan[Any, A] = performable(make(Saga(done)))
        return (yield from Call(plan))
    except (GeneratorExit, Continued):
        raise  # nobody is left to answer; or the run goes on elsewhere
    except BaseException as ending:
        failed = yield from _compensated(done)
        if failed:
            raise _together("a saga ended, and not all of it could be compensated", ending, failed) from None
        raise


def on_cancel(plan: Performs[E, A], undo: Performs[E2, object]) -> Plan[E | E2, A]:
    """Perform `plan`; if it is cancelled, also `undo`, shielded, before the cancellation goes on.

    A plan that loses a race, is out of time, or belongs to a run that is cancelled, may have asked for something that
    is under way. `undo` is not performed when the plan fails, or when it answers. If `undo` fails, a group of the
    cancellation and of what it raised is raised.

    >>> from lambdacat_effects import Sleep, answer_tools, attempt, on_cancel, timeout, tool
    >>> @tool
    ... def call_off(what: str) -> None: ...
    >>> called_off = []
    >>> def late():
    ...     return (yield from attempt(timeout(5, on_cancel(Sleep(60), call_off("the taxi")))))
    >>> answer_tools({call_off: called_off.append}).run_pure(late()), called_off
    (Err(error=PlanTimeout('the plan had not ended after 5 s')), ['the taxi'])
    """
    return _on_cancel(performable(plan), performable(undo))


def _on_cancel(plan: Plan[Any, A], undo: Plan[Any, object]) -> Plan[Any, A]:
    try:
        return (yield from Call(plan))
    except (Exception, GeneratorExit, Continued):
        raise
    except BaseException as cancelled:
        try:
            yield from Shielded(undo)
        except Exception as error:
            raise _together("a plan was cancelled, and its undoing failed", cancelled, [error]) from None
        raise


def _together(message: str, ending: BaseException, failed: Sequence[Exception]) -> BaseException:
    """All that went wrong as one error; a mistake in the program alone, as it is no outcome."""
    for error in failed:
        if isinstance(error, Misuse) and isinstance(ending, Exception):
            error.__context__ = ending
            return error
    return BaseExceptionGroup(message, [ending, *failed])
