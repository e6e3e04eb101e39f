"""Every exception of the package, and who must act on it.

::

    LambdacatError
    ├── Misuse                    the program is wrong: its author changes the code
    │   ├── NotAPlan              something that cannot be performed was given as a plan
    │   ├── NotAnEffect           a plan yielded something that is no effect
    │   ├── PlanReused            one plan object was started twice
    │   ├── PlanIgnoredClose      a plan yielded again while it was being closed
    │   ├── UnhandledEffect       no handler answers an effect
    │   │   ├── UnexpectedCall    a test's tools were called in a way the test did not prepare
    │   │   └── UnexpectedEffect  a test's script does not have what a plan asked for
    │   ├── NotPure               `run_pure` met a handler that would have to wait
    │   ├── WrongHandlerKind      a handler function is not of the kind it was declared to be
    │   ├── InvalidArgument       an argument is outside its range
    │   ├── UnknownAction         a DSL plan names an action that is not registered
    │   ├── DuplicateAction       an action name was registered twice
    │   ├── ResourceNotOpen       a handler's resource was used outside `run` or `async with`
    │   ├── NondeterminismError   what has to repeat itself did not
    │   ├── UnfinishedScript      a plan did not ask for all that a test's script has
    │   ├── RecordingMismatch     a replayed plan asked for what the recording has not
    │   ├── RecordingUnreadable   a recording is missing, corrupt or of another version
    │   └── Unrecordable          an answer cannot be written in a recording
    ├── PlanTimeout               a deadline passed: the caller waits longer, or does without
    ├── MergeConflict             parallel branches disagree: the plan's author gives `combine=`
    ├── StateConflict             somebody else saved a state meanwhile: the caller runs again, or gives `merge=`
    ├── Contradiction             something is certain, and certainly not: one of its sources is to be retracted
    ├── LensMismatch              a lens does not fit its source: the data or the lens is wrong
    ├── NoneSucceeded             every alternative of `choose` failed (an exception group)
    ├── NotSerialisable           a value cannot be stored: the caller stores another
    ├── StoredValueMismatch       a stored value is not of the type asked for
    ├── StoreUnusable             a store cannot be opened or read: the operator acts
    │   └── StoreDamaged          what is kept under some keys cannot be read, and the rest can
    ├── LimitExceeded             a value or a store would outgrow its limit: the caller stores less, or raises it
    ├── JournalUnreadable         a journal is damaged or of a newer format: the operator acts
    ├── RunInUse                  a run is being performed already, or its id is taken: the caller waits, or renames
    ├── RunMismatch               a run of that id has another plan or other arguments: the caller chooses another id
    ├── LeaseLost                 a run was taken over by somebody else while it was performed here
    ├── RunSuspended              a run waits for an answer: somebody gives it, and resumes the run
    ├── RunCancelled              a run was cancelled: whoever asked for it is told
    ├── UnknownRun                there is no run of that id
    ├── WorkerDied                a worker process ended without an answer
    ├── SimulationFailure         a simulated run went wrong: the plan's author mends it
    ├── Deadlock                  in a simulated run nobody could go on any more
    ├── Endless                   a simulated run took more steps than it may
    ├── FaultInjected             a simulation made an effect fail, or lost its answer
    ├── LawBroken                 a law does not hold for an instance
    ├── HypothesisMissing         strategies need a library that is not installed
    ├── LibraryMissing            an optional part needs a library that is not installed
    ├── RecordedError             stands for a recorded error whose class is gone
    └── CommandError              a command line names something that is not there

    UserWarning
    ├── UnperformedWarning        an effect or a plan was made and never performed
    ├── StaleSchedule             a written schedule does not fit the plan any more
    ├── UnusedRecording           a recording has effects that nobody asked for
    └── InterruptedRecording      a replay came to where the recorded run was interrupted

`Misuse` is never an *outcome*: `attempt`, `race`, `choose` and the rest do not take it for a failed
branch, since trying the next branch would only hide the mistake. They let it pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "CommandError",
    "Contradiction",
    "Deadlock",
    "DuplicateAction",
    "Endless",
    "FaultInjected",
    "HypothesisMissing",
    "InterruptedRecording",
    "InvalidArgument",
    "JournalUnreadable",
    "LambdacatError",
    "LawBroken",
    "LeaseLost",
    "LensMismatch",
    "LibraryMissing",
    "LimitExceeded",
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
    "RecordedError",
    "RecordingMismatch",
    "RecordingUnreadable",
    "ResourceNotOpen",
    "RunCancelled",
    "RunInUse",
    "RunMismatch",
    "RunSuspended",
    "SimulationFailure",
    "StaleSchedule",
    "StateConflict",
    "StoreDamaged",
    "StoreUnusable",
    "StoredValueMismatch",
    "UnexpectedCall",
    "UnexpectedEffect",
    "UnfinishedScript",
    "UnhandledEffect",
    "UnknownAction",
    "UnknownRun",
    "UnperformedWarning",
    "Unrecordable",
    "UnusedRecording",
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


class StateConflict(LambdacatError, RuntimeError):
    """An agent's state was saved by somebody else while a plan worked on it, so that saving it would undo what they
    did. Nothing was written: run the plan again, which then begins from their state, or give
    `with_state(..., merge=)`."""


class LensMismatch(LambdacatError, LookupError):
    """A lens does not fit the value it was given: the key, attribute or index is not there."""


class Contradiction(LambdacatError, ValueError):
    """Of what is believed, one part is certain and another is certain of the opposite, so there is no probability.
    The message names the sources: retract one that is wrong, or give it a finite weight."""


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


class StoreDamaged(StoreUnusable):
    """What a store keeps under some keys cannot be read: restore it from a backup. The rest can be."""

    def __init__(
        self, message: str, damaged: Mapping[str, str], found: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        super().__init__(message)
        self.damaged: Mapping[str, str] = damaged
        """What is wrong, by the keys that cannot be read."""
        self.found: Sequence[tuple[str, bytes]] = found
        """The other keys that were asked for, with their values, in order."""


class LimitExceeded(LambdacatError):
    """What was to be stored would outgrow a limit. Nothing was written: store less, forget what is not needed, or
    raise the limit."""


class JournalUnreadable(LambdacatError):
    """A journal is damaged, or was written by a newer version of the package. It is left as it is: restore the store
    from a backup, or use the version that wrote it."""


class RunInUse(LambdacatError):
    """A run of this id exists already, or is being performed elsewhere at this moment. Choose another id, resume the
    run, or wait until whoever performs it has ended."""


class RunMismatch(LambdacatError):
    """There is a run of this id, and it was begun with another plan, or with other arguments. Choose another id."""


class LeaseLost(LambdacatError):
    """Another process, or another task of this one, has taken over the run that was being performed here, since its
    lease was not renewed in time. Nothing more is written here; the run goes on there."""


class RunSuspended(LambdacatError):
    """A durable run can go on only when somebody answers its questions. Answer them (`Durable.answer`), and resume
    it."""

    def __init__(self, message: str, *, run_id: str = "", questions: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.run_id: str = run_id
        """The run that waits."""
        self.questions: tuple[str, ...] = tuple(questions)
        """What it asks."""

    def __reduce__(self) -> Any:
        return (_suspended, (self.args[0], self.run_id, self.questions))


def _suspended(message: str, run_id: str, questions: tuple[str, ...]) -> RunSuspended:
    return RunSuspended(message, run_id=run_id, questions=questions)


class RunCancelled(LambdacatError):
    """A durable run was cancelled (`Durable.cancel`), and its clean-up has been done."""


class UnknownRun(LambdacatError, LookupError):
    """The store has no run of this id: see `Durable.runs` for those it has."""


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


class UnexpectedEffect(UnhandledEffect, AssertionError):
    """A plan asked for something that the test's script does not have, or does not have yet. Mend the plan, or add
    it to the script."""


class UnfinishedScript(Misuse, AssertionError):
    """A plan ended before it had asked for all that the test's script has. Mend the plan, or take it out of the
    script; what may be asked any number of times ends with `.always()`."""


class RecordingMismatch(Misuse, LookupError):
    """A replayed plan asked for what the recording has not. The plan, or what it is given, has changed since: undo
    that, or record anew. The message shows the nearest recorded effect and the fields that differ."""


class RecordingUnreadable(Misuse, ValueError):
    """A recording is missing, truncated or corrupt, of another version, or names classes that are gone. The file is
    left as it is: restore it, or delete it and record anew."""


class Unrecordable(Misuse, NotSerialisable):
    """An answer cannot be written in a recording; the message names the effect and the place in the answer. The file
    has not been touched. Have the handler answer with data: attrs classes, dataclasses, enums, collections."""


class LawBroken(LambdacatError, AssertionError):
    """A law does not hold. The message has its equation, the inputs that break it, and both sides: mend the
    instance, or give only inputs that it is made for."""


class HypothesisMissing(LambdacatError, ModuleNotFoundError):
    """Strategies draw with Hypothesis, which is not installed here. Install it, as in `pip install hypothesis`."""


class LibraryMissing(LambdacatError, ModuleNotFoundError):
    """A part of the package needs a library that is not installed here. Install the extra that the message names."""


class RecordedError(LambdacatError):
    """Raised by a replay in place of an error whose class cannot be imported any more.

    >>> from lambdacat_effects.errors import RecordedError
    >>> RecordedError("shop:SoldOut", "no tea left").type_name
    'shop:SoldOut'
    """

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(type_name, message)
        self.type_name: str = type_name
        """The class it was of, as "module:name"."""
        self.message: str = message
        """What it said."""

    def __str__(self) -> str:
        return f"{self.type_name} was recorded here, which cannot be imported: {self.message}"


class UnperformedWarning(UserWarning):
    """An effect or a plan was made and thrown away, so nothing happened. Write `yield from` in front of it, or take
    it out."""


class StaleSchedule(UserWarning):
    """A written schedule or fault could not be carried out: the plan has changed since, so that the run tests
    something else. Explore the plan anew, and write down what that finds."""


class UnusedRecording(UserWarning):
    """A replay ended, and the recording has effects that nobody asked for: the plan asks for less than it did."""


class InterruptedRecording(UserWarning):
    """A replay came to where the recorded run was interrupted from outside, and waits there to be interrupted."""
