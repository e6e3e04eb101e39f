"""Every exception of the package, and who must act on it.

::

    LambdacatError
    ├── Misuse                    the program is wrong: its author changes the code
    │   ├── NotAPlan              something that cannot be performed was given as a plan
    │   ├── NotAnEffect           a plan yielded something that is no effect
    │   ├── PlanReused            one plan object was started twice
    │   ├── PlanIgnoredClose      a plan yielded again while it was being closed
    │   ├── UnhandledEffect       no handler answers an effect
    │   │   └── UnexpectedCall    a test's tools were called in a way the test did not prepare
    │   ├── NotPure               `run_pure` met a handler that would have to wait
    │   ├── WrongHandlerKind      a handler function is not of the kind it was declared to be
    │   ├── InvalidArgument       an argument is outside its range
    │   ├── UnknownAction         a DSL plan names an action that is not registered
    │   ├── DuplicateAction       an action name was registered twice
    │   ├── ResourceNotOpen       a handler's resource was used outside `run` or `async with`
    │   └── NondeterminismError   what has to repeat itself did not
    ├── PlanTimeout               a deadline passed: the caller waits longer, or does without
    ├── MergeConflict             parallel branches disagree: the plan's author gives `combine=`
    ├── LensMismatch              a lens does not fit its source: the data or the lens is wrong
    ├── NoneSucceeded             every alternative of `choose` failed (an exception group)
    ├── NotSerialisable           a value cannot be stored: the caller stores another
    ├── StoredValueMismatch       a stored value is not of the type asked for
    ├── StoreUnusable             a store cannot be opened or read: the operator acts
    ├── WorkerDied                a worker process ended without an answer
    ├── SimulationFailure         a simulated run went wrong: the plan's author mends it
    ├── Deadlock                  in a simulated run nobody could go on any more
    ├── Endless                   a simulated run took more steps than it may
    ├── FaultInjected             a simulation made an effect fail, or lost its answer
    └── CommandError              a command line names something that is not there

`Misuse` is never an *outcome*: `attempt`, `race`, `choose` and the rest do not take it for a failed
branch, since trying the next branch would only hide the mistake. They let it pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = [
    "CommandError",
    "Deadlock",
    "DuplicateAction",
    "Endless",
    "FaultInjected",
    "InvalidArgument",
    "LambdacatError",
    "LensMismatch",
    "MergeConflict",
    "Misuse",
    "NondeterminismError",
    "NoneSucceeded",
    "NotAPlan",
    "NotAnEffect",
    "NotPure",
    "NotSerialisable",
    "PlanIgnoredClose",
    "PlanReused",
    "PlanTimeout",
    "ResourceNotOpen",
    "SimulationFailure",
    "StoreUnusable",
    "StoredValueMismatch",
    "UnexpectedCall",
    "UnhandledEffect",
    "UnknownAction",
    "WorkerDied",
    "WrongHandlerKind",
]


class LambdacatError(Exception):
    """The base of every error that this package raises on its own account."""


class Misuse(LambdacatError):
    """The program is wrong, whatever its input: its author must change the code."""


class NotAPlan(Misuse, TypeError):
    """Something that cannot be performed was given where a plan was expected. Give a started generator
    function (`research("why?")`, not `research`) or an effect."""


class NotAnEffect(Misuse, TypeError):
    """A plan yielded a value that is not an `Effect`. Write `yield from SomeEffect(...)`."""


class PlanReused(Misuse, RuntimeError):
    """One plan object was performed twice. A plan is a generator and runs once: call the function again, or
    hand over the function itself where a combinator asks for one (`hedge`, `for_each`)."""


class PlanIgnoredClose(Misuse, RuntimeError):
    """A plan yielded an effect while it was being closed, when nobody is left to answer. Perform effects for
    clean-up in `finally` under `shielded(...)`, and let `GeneratorExit` pass."""


class UnhandledEffect(Misuse, LookupError):
    """No handler in force answers this effect. Compose one in with `|`."""


class UnexpectedCall(UnhandledEffect, AssertionError):
    """A tool was called that the test's `answer_tools` has no answer for. Add the answer, or fix the plan."""


class NotPure(Misuse, RuntimeError):
    """`run_pure` met something that would have to wait for the world. Use an in-memory handler, or `run`."""


class WrongHandlerKind(Misuse, TypeError):
    """A handler function is neither a plain, an async nor a generator function, or it returned an awaitable or
    a generator where its kind answers at once."""


class InvalidArgument(Misuse, ValueError):
    """An argument is outside its range. Raised where the argument is given, before anything has run."""


class UnknownAction(Misuse, LookupError):
    """A DSL plan names an action that the registry does not have. The message suggests the nearest name."""


class DuplicateAction(Misuse, ValueError):
    """An action of this name is registered already. Registries are immutable: register another name."""


class ResourceNotOpen(Misuse, RuntimeError):
    """A handler's resource was used while closed. Perform the plan with `handlers.run`, or keep the resource
    open with `async with handlers:`."""


class NondeterminismError(Misuse, RuntimeError):
    """What has to repeat itself did not: a plan or a handler depends on something besides the answers of effects,
    such as `random`, `time`, the order of a set, or what an earlier run has left behind. Ask for it with an effect
    (`Random`, `Now`, `NewId`), or make it anew for each run."""


class PlanTimeout(LambdacatError, TimeoutError):
    """A plan did not end within its deadline. Whatever it had started has been cancelled *and awaited* when
    this is raised."""

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds
        """The time that was allowed, in seconds."""

    def __reduce__(self) -> tuple[object, ...]:
        return _restore_timeout, (str(self), self.seconds)


def _restore_timeout(message: str, seconds: float) -> PlanTimeout:
    return PlanTimeout(message, seconds=seconds)


class MergeConflict(LambdacatError, ValueError):
    """Two parallel branches changed one key to different values, so there is no merged state. Make the
    branches write different keys, or give `parallel(..., combine=...)` a rule that decides."""


class LensMismatch(LambdacatError, LookupError):
    """A lens does not fit the value it was given: the key, attribute or index is not there."""


class NoneSucceeded(ExceptionGroup[Exception], LambdacatError):
    """Every alternative of a `choose` failed; `.exceptions` holds one failure for each, in declared order."""

    def derive(self, excs: Sequence[Any], /) -> Any:
        """A part of the group, as `split` and `subgroup` make it."""
        return NoneSucceeded(self.message, excs)


class NotSerialisable(LambdacatError, TypeError):
    """A value cannot be stored. Nothing has been written. The message names the value's place and type."""


class StoredValueMismatch(LambdacatError, TypeError):
    """A stored value cannot be read as the type asked for. It is still stored, unchanged."""


class StoreUnusable(LambdacatError, OSError):
    """A store cannot be opened, read or written: its place, its rights or its disk need attention."""


class WorkerDied(LambdacatError, RuntimeError):
    """A worker process ended without giving an answer: killed, out of memory, or it called `os._exit`."""


class CommandError(LambdacatError):
    """What a command line names is not there or does not fit. The message says what to type instead."""


class SimulationFailure(LambdacatError, AssertionError):
    """A simulated run went wrong. The message has the shortest run found that does, and a line that repeats it;
    `__cause__` is what went wrong there."""

    def __init__(self, message: str, *, seed: int | str, report: Any) -> None:
        super().__init__(message)
        self.seed = seed
        """Of the exploration that found it."""
        self.report = report
        """The run, as `simulate` reports it: its `schedule` and `faults` repeat it."""

    def __reduce__(self) -> tuple[object, ...]:
        return _restore_failure, (str(self), self.seed)


def _restore_failure(message: str, seed: int | str) -> SimulationFailure:
    return SimulationFailure(message, seed=seed, report=None)


class Deadlock(LambdacatError, RuntimeError):
    """In a simulated run nobody can go on, and no timer is set: every branch waits for ever. The message says for
    what."""


class Endless(LambdacatError, RuntimeError):
    """A simulated run took more steps than it may: a plan polls for ever, say, or two retry against each other."""


class FaultInjected(LambdacatError, ConnectionError):
    """A simulation made an effect fail, or lost its answer. A plan meets it as it would a broken connection."""
