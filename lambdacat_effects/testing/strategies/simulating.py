"""Tests that simulate what they are given: Hypothesis draws the inputs and one seed, which decides all the rest."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from hypothesis import given
from hypothesis.control import current_build_context
from hypothesis.errors import HypothesisException
from hypothesis.strategies import SearchStrategy

from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.testing.simulation.exploring import failure, schedule_for
from lambdacat_effects.testing.simulation.faults import Fault, FaultsLike, listed
from lambdacat_effects.testing.simulation.report import MOST_STEPS
from lambdacat_effects.testing.simulation.running import Scenario, perform_once, verdict
from lambdacat_effects.testing.simulation.shrinking import Failing, shrunk
from lambdacat_effects.testing.strategies.drawn import seeds

__all__ = ["given_simulation"]

_SEED: Final = "simulation_seed"
_FAULTS: Final = "simulation_faults"
# Where a preemption may come is drawn from about as many steps as the run has, which is not known before it.
_STEPS: Final = (10, 30, 100, 300)

_Function: TypeAlias = Callable[..., Any]


def given_simulation(
    *,
    faults: FaultsLike | SearchStrategy[Any] | None = None,
    most_steps: int = MOST_STEPS,
    **inputs: SearchStrategy[Any],
) -> Callable[[_Function], _Function]:
    """Make a test of a function that answers a scenario's parts: `(plan, handlers)` or `(plan, handlers, check)`.

    Hypothesis draws the `inputs`, and a seed that decides every schedule and fault, as in `explore`. Each example is
    one run, and it fails as a run of `explore` does: by `SimulationFailure`, with the story and a line that repeats
    it. The seed shrinks towards 0, the plainest run without random faults, so that a failure which needs no special
    schedule is told by its inputs alone; otherwise the schedule is shortened at the end, as by `explore`.

    `faults` may be a strategy, too, such as `strategies.faults()`; `most_steps` is as for `explore`. Fixtures,
    parametrisation, `settings` and `example` work as under `given` (an `example` gives a `simulation_seed`, too).
    The function is called for each run, so what the plan or a handler changes is best made in it. It is still there
    as `test.scenario`.

    Raises `InvalidArgument` for inputs that are no strategies, and for a function that is itself a plan or async.

    >>> from hypothesis import strategies as st
    >>> from lambdacat_effects import Sleep, ambient, parallel
    >>> @given_simulation(seconds=st.lists(st.integers(0, 9), min_size=1))
    ... def test_time(seconds):
    ...     def check(report):
    ...         assert max(seconds) <= report.time <= sum(seconds)
    ...     return parallel(*map(Sleep, seconds)), ambient, check
    >>> test_time()
    """
    for name, strategy in inputs.items():
        if not isinstance(cast(object, strategy), SearchStrategy):
            raise InvalidArgument(f"{name} is drawn by a strategy, such as st.integers(); got {strategy!r}")
    drawn: dict[str, SearchStrategy[Any]] = {**inputs, _SEED: seeds()}
    if isinstance(faults, SearchStrategy):
        drawn[_FAULTS] = faults
        always: tuple[Fault, ...] = ()
    else:
        always = listed(faults)

    def decorate(function: _Function) -> _Function:
        _check_function(function)
        simulating: Any = given(**drawn)(_simulating(function, always, [*drawn], most_steps))
        simulating.scenario = function
        return cast(_Function, simulating)

    return decorate


def _simulating(
    function: _Function, always: tuple[Fault, ...], drawn: list[str], most_steps: int
) -> _Function:
    """The test that Hypothesis runs: one example."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def simulating(*args: Any, **named: Any) -> None:
        __tracebackhide__ = True
        seed: int = named.pop(_SEED)
        faults = always + listed(named.pop(_FAULTS, None))
        if seed == 0 or seed % 5 == 4:
            faults = tuple([fault for fault in faults if fault.probability == 1])
        steps = _STEPS[seed // 8 % len(_STEPS)]
        scenario = cast(Scenario, functools.partial(function, *args, **named))
        schedule = schedule_for("given", seed, steps)
        report, check = perform_once(scenario, schedule, faults, seed, most_steps)
        error = verdict(report, check)
        if error is None:
            return
        if isinstance(error, HypothesisException):
            raise error  # `assume`, say
        found = least = Failing(report, error)
        if current_build_context().is_final:  # to shorten each of the examples before would take too long
            least = shrunk(scenario, found, most_steps)
        name = function.__qualname__.rpartition("<locals>.")[2]
        shown = ", ".join(
            [f"{name}={value!r}" for name, value in signature.bind(*args, **named).arguments.items()]
        )
        failed = failure(f"lambda: {name}.scenario({shown})", seed, f"{_SEED} {seed}", found, least)
        # By it Hypothesis tells one failure from another: not the shortened one's, which only the last run has.
        failed.__context__ = error
        raise failed from least.error

    parameters = [*signature.parameters.values()]
    more = [name for name in drawn if name in (_SEED, _FAULTS)]
    keywords = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in more]
    # A `**kwargs` stays last.
    last = [p for p in parameters if p.kind is inspect.Parameter.VAR_KEYWORD]
    rest = [p for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]
    cast(Any, simulating).__signature__ = signature.replace(
        parameters=[*rest, *keywords, *last], return_annotation=None
    )
    return simulating


def _check_function(function: Any) -> None:
    kind = "none"
    if inspect.iscoroutinefunction(function):
        kind = "async"
    elif inspect.isgeneratorfunction(function):
        kind = "a generator function"
    elif inspect.isfunction(function):
        return
    raise InvalidArgument(
        "given_simulation decorates a plain function that answers (plan, handlers) or (plan, handlers, check); "
        f"{getattr(function, '__qualname__', repr(function))} is {kind}"
    )
