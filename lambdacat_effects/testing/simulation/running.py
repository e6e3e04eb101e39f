"""One simulated run of a scenario."""

from __future__ import annotations

import gc
import inspect
import sys
import warnings
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar, cast

import attrs
import trio

from lambdacat_effects.effects.ambient import Now
from lambdacat_effects.effects.control import Control, Span
from lambdacat_effects.effects.effect import Performs, performable, plan_name
from lambdacat_effects.errors import Deadlock, Endless, InvalidArgument, StaleSchedule
from lambdacat_effects.runtime.events import Event
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.testing.simulation.clock import VirtualClock
from lambdacat_effects.testing.simulation.faults import Fault, FaultsLike, Injector, listed
from lambdacat_effects.testing.simulation.fingerprint import fingerprint
from lambdacat_effects.testing.simulation.gate import Gate
from lambdacat_effects.testing.simulation.interpretation import SIMULATED, SimulatedRun
from lambdacat_effects.testing.simulation.report import MOST_STEPS, Report
from lambdacat_effects.testing.simulation.schedules import RandomWalk, Schedule, Written
from lambdacat_effects.testing.simulation.story import called, line, story
from lambdacat_effects.testing.simulation.trace import Resumed, Turn

__all__ = ["Check", "Scenario", "check_seed", "perform_once", "simulate", "verdict"]

A = TypeVar("A")

Check: TypeAlias = Callable[[Report], object]
"""Looks at a run, and raises if it is wrong."""
Scenario: TypeAlias = Callable[
    [], "tuple[Performs[Any, Any], Handler[Any]] | tuple[Performs[Any, Any], Handler[Any], Check]"
]
"""A function that makes a plan, its handlers, and perhaps a check, fresh each time."""


def simulate(
    scenario: Scenario,
    *,
    seed: int | str = 0,
    schedule: Mapping[int, int] | None = None,
    faults: FaultsLike | None = None,
    most_steps: int = MOST_STEPS,
) -> Report:
    """Run a scenario once, in virtual time, with everything that could go either way decided by `seed`.

    `scenario()` makes `(plan, handlers)` or `(plan, handlers, check)`. The seed decides which branch goes on wherever
    more than one could, whether a timer is over before work that could go on, and which `faults` happen; with
    `schedule` those choices are written down instead, as a failed `explore` prints them. The same arguments give the
    same trace, on any machine.

    Warns (`StaleSchedule`) of a written choice or fault that did not come about, as the plan has changed since.

    Answers a `Report`; a plan that fails is in `report.error`. `check(report)` is called at the end, and what it
    raises is raised, with the steps of the run as a note. Raises `InvalidArgument` for a scenario that is none, or
    inside a running event loop.

    >>> from lambdacat_effects import Sleep, ambient, race
    >>> def slow_and_fast():
    ...     def cat(name, seconds):
    ...         yield from Sleep(seconds)
    ...         return name
    ...     return race(cat("Tom", 2), cat("Felix", 1)), ambient
    >>> simulate(slow_and_fast, seed=7).value
    'Felix'
    """
    check_seed(seed)
    choices = RandomWalk(seed) if schedule is None else Written(schedule)
    report, check = perform_once(scenario, choices, listed(faults), seed, most_steps)
    if check is not None:
        try:
            answer = check(report)
        except Exception as error:
            how = f"seed={seed!r}" if schedule is None else f"schedule={dict(schedule)!r}"
            again = line(report, called(scenario))
            error.add_note(f"Simulated with {how}:\n\n{story(report)}\n\nTo do it again:\n\n    {again}")
            raise
        _check_answer(answer)
    _warn_of_stale(report, schedule or {}, listed(faults))
    return report


def _check_answer(answer: Any) -> None:
    """A check raises. What it answers nobody looks at, so that it must not look as if somebody did."""
    if isinstance(answer, bool) or inspect.iscoroutine(answer) or inspect.isgenerator(answer):
        if not isinstance(answer, bool):
            answer.close()
        raise InvalidArgument(
            "a check is a plain function that raises, as `assert` does, if the run is wrong; this one answered "
            f"{answer!r}"
        )


def _warn_of_stale(report: Report, schedule: Mapping[int, int], faults: tuple[Fault, ...]) -> None:
    missed = [
        f"{{{step}: {choice}}}" for step, choice in schedule.items() if report.schedule.get(step, 0) != choice
    ]
    at_paths = {fault.path for fault in report.faults}
    missed += [
        repr(fault)
        for fault in faults
        if fault.probability == 1
        and fault.path
        and fault.path not in at_paths
        and not any(path and path[: len(fault.path)] == fault.path for path in at_paths)
    ]
    if missed:
        warnings.warn(
            f"of what the run was to do, this could not be done: {', '.join(missed)}. The plan has changed since: "
            "explore it anew",
            StaleSchedule,
            stacklevel=3,
        )


def verdict(report: Report, check: Check | None) -> BaseException | None:
    """What is wrong with a run, if anything.

    That it was stopped (`Deadlock`, `Endless`); what the check raises; or the plan's error, unless the check looked
    at it and let it pass, or it is nothing but injected faults.
    """
    report.looked = False
    if isinstance(report.unexpected, (Deadlock, Endless)):
        return report.unexpected
    if check is not None:
        try:
            answer = check(report)
        except BaseException as error:
            # Those of pytest: `fail` is a failure as any other, `skip` and `xfail` are none.
            outcome = type(error).__module__ == "_pytest.outcomes" and type(error).__name__ == "Failed"
            if not (isinstance(error, Exception) or outcome):
                raise
            return error
        _check_answer(answer)
    return None if check is not None and report.looked else report.unexpected


def perform_once(
    scenario: Scenario,
    schedule: Schedule,
    faults: tuple[Fault, ...],
    seed: int | str,
    most_steps: int = MOST_STEPS,
    begins: float = 0.0,
) -> tuple[Report, Check | None]:
    """One run, which begins so many seconds after the Unix epoch, and the scenario's check, which has not been
    called."""
    _check_alone()
    clock = VirtualClock()
    clock.time = begins
    injector = Injector(faults, seed)
    gate = Gate(schedule, injector, clock, seed, most_steps)
    events: list[Event] = []
    outcome: list[Any] = []
    made: list[Any] = []

    def listen(event: Event) -> None:
        if not clock.broken:
            events.append(event)

    async def main() -> None:
        plan, handlers, check = _made(scenario)
        made.extend([plan_name(plan), fingerprint(plan), check])
        run = SimulatedRun(gate, listen)
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                nursery.start_soon(gate.keep, scope)
                try:
                    outcome[:] = [await handlers.interpret(plan, SIMULATED, run, None), None]
                except (trio.Cancelled, GeneratorExit):
                    raise
                except BaseException as error:
                    if _tells_to_exit(error) is not None:
                        raise
                    outcome[:] = [None, error]
            nursery.cancel_scope.cancel()

    def let_go() -> None:
        gate.forget()
        outcome.clear()
        _let_go(gate.trace, events)

    _run_loop(main, clock, let_go)
    value, error = outcome or (None, None)
    if gate.error is not None or gate.crash is not None:
        value, error = None, gate.error or gate.crash
    name, code, check = made
    report = Report(
        plan=name,
        fingerprint=code,
        time=clock.time - begins,
        trace=gate.trace,
        schedule=gate.chosen,
        faults=injector.injected,
        events=events,
        seed=seed,
        most_steps=most_steps,
        outcome=(value, error),
        injected=tuple(injector.errors),
    )
    return report, check


def _tells_to_exit(error: Any) -> BaseException | None:
    """What ends the whole program, if an error is or holds such a thing."""
    if isinstance(error, BaseExceptionGroup):
        members = cast("BaseExceptionGroup[BaseException]", error).exceptions
        return next((leaf for leaf in map(_tells_to_exit, members) if leaf is not None), None)
    return error if isinstance(error, (KeyboardInterrupt, SystemExit)) else None


def _without_plans(what: Any) -> Any:
    """What stands for a control effect whose plans hold on to their tasks."""
    if isinstance(what, Resumed):
        return Resumed(_without_plans(what.effect))
    return Span(what.title(), Now()) if issubclass(type(cast(object, what)), Control) else what


def _run_loop(main: Callable[[], Awaitable[None]], clock: VirtualClock, let_go: Callable[[], None]) -> None:
    hook = sys.unraisablehook
    try:
        try:
            trio.run(main, clock=clock)
        except BaseExceptionGroup as group:
            leaf = _tells_to_exit(group)
            if leaf is None:
                raise
            raise leaf from None
        except trio.TrioInternalError:
            if not clock.broken:
                raise
            # Its tasks will be freed, and each would complain that it could not end.
            sys.unraisablehook = _ignore
        if clock.broken:
            let_go()
    finally:
        sys.unraisablehook = hook


def _let_go(trace: list[Turn], events: list[Event]) -> None:
    """Free the tasks of an event loop that was ended from outside."""
    for turn in trace:
        turn.effect = _without_plans(turn.effect)
    events[:] = [attrs.evolve(event, what=_without_plans(event.what)) for event in events]
    while gc.collect():  # what is closed may hold on to others until it is gone itself
        continue


def _ignore(_unraisable: object) -> None:
    """Says nothing."""


def check_seed(seed: object) -> None:
    """Raise `InvalidArgument` unless it is an int or a str."""
    if isinstance(seed, bool) or not isinstance(seed, (int, str)):
        raise InvalidArgument(f"a seed is an int or a str; got {seed!r}")


def _check_alone() -> None:
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return
    raise InvalidArgument(
        "a simulation runs an event loop of its own, so it cannot be started in one: call it in a plain `def` test"
    )


def _made(scenario: Any) -> tuple[Any, Handler[Any], Check | None]:
    if not callable(scenario):
        raise InvalidArgument(
            "a scenario is a function without arguments that makes (plan, handlers), fresh each time; "
            f"got {scenario!r}"
        )
    made: Any = scenario()
    if type(made) is not tuple or len(cast(Any, made)) not in (2, 3):
        raise InvalidArgument(
            f"the scenario answered {made!r}: it makes (plan, handlers) or (plan, handlers, check), fresh each time"
        )
    parts: list[Any] = [*made, None]
    plan, handlers, check = parts[:3]
    if not issubclass(type(handlers), Handler):
        raise InvalidArgument(f"the scenario's second part is a handler, such as `ambient`; got {handlers!r}")
    if check is not None and not callable(check):
        raise InvalidArgument(f"the scenario's third part is a function of the report; got {check!r}")
    return performable(plan), handlers, check
