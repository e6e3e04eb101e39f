"""Hypothesis strategies: random plans, states, schedules and faults, and simulations of drawn inputs.

::

    program.py      recipes of plans, which make the same plan again and again
    programs.py     random recipes over a user's effects
    dsl.py          random plans of the DSL, and actions for them
    drawn.py        states, schedules, seeds, faults
    simulating.py   tests that simulate what they are given

Hypothesis is not installed with the package: `pip install hypothesis`.
"""

from lambdacat_effects.errors import HypothesisMissing

try:
    from lambdacat_effects.testing.strategies.drawn import faults, schedules, seeds, states
    from lambdacat_effects.testing.strategies.dsl import DICT_ACTIONS, dsl_plans
    from lambdacat_effects.testing.strategies.program import COMBINATORS, UNTIMED, Program
    from lambdacat_effects.testing.strategies.programs import programs
    from lambdacat_effects.testing.strategies.simulating import given_simulation
except ModuleNotFoundError as _error:
    if (_error.name or "").partition(".")[0] != "hypothesis":
        raise
    raise HypothesisMissing(
        "lambdacat_effects.testing.strategies draws with Hypothesis, which is not installed: pip install hypothesis",
        name=_error.name,
    ) from _error

__all__ = [
    "COMBINATORS",
    "DICT_ACTIONS",
    "UNTIMED",
    "HypothesisMissing",
    "Program",
    "dsl_plans",
    "faults",
    "given_simulation",
    "programs",
    "schedules",
    "seeds",
    "states",
]
