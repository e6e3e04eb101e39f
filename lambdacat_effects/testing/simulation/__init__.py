"""Runs under a schedule from a seed: `simulate` one, `explore` many."""

from lambdacat_effects.testing.simulation.exploring import Exploration, explore
from lambdacat_effects.testing.simulation.faults import Crash, Fault, Faults
from lambdacat_effects.testing.simulation.report import Report
from lambdacat_effects.testing.simulation.running import Check, Scenario, simulate
from lambdacat_effects.testing.simulation.trace import Advanced, Decided, Resumed, Turn

__all__ = [
    "Advanced",
    "Check",
    "Crash",
    "Decided",
    "Exploration",
    "Fault",
    "Faults",
    "Report",
    "Resumed",
    "Scenario",
    "Turn",
    "explore",
    "simulate",
]
