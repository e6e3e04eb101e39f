"""Tests of plans: simulated schedules and faults, recordings, scripts, assertions, laws.

::

    testing/
      simulation/        simulate and explore: every interleaving and fault from one seed
      recording/         record and replay: runs kept in files
      laws/              named laws with their equation, to check on instances of one's own
      scripts.py         handlers that answer in order or by match
      performing.py      assertions on what a run performed
      crashing.py        the crash sweep of durable runs
      unperformed.py     warnings of effects that were made and never performed
      strategies/        Hypothesis strategies of plans, schedules and faults (import it by itself)
      pytest_plugin.py   fixtures and options; loaded by pytest

Nothing else in the package imports it, and importing it imports neither pytest nor Hypothesis.
"""

from lambdacat_effects.errors import (
    Deadlock,
    Endless,
    FaultInjected,
    LawBroken,
    NondeterminismError,
    RecordedError,
    RecordingMismatch,
    RecordingUnreadable,
    SimulationFailure,
    StaleSchedule,
    UnexpectedEffect,
    UnfinishedScript,
    UnperformedWarning,
    Unrecordable,
    UnusedRecording,
)
from lambdacat_effects.observability.report import Recorder
from lambdacat_effects.testing import laws
from lambdacat_effects.testing.crashing import Swept, crash_sweep
from lambdacat_effects.testing.mortal import CrashPoint
from lambdacat_effects.testing.performing import Performed, performed
from lambdacat_effects.testing.recording import Recorded, record, replay
from lambdacat_effects.testing.scripts import (
    Script,
    in_any_order,
    in_order,
    matching,
    on,
    script,
)
from lambdacat_effects.testing.simulation import (
    Check,
    Crash,
    Exploration,
    Fault,
    Faults,
    Report,
    Scenario,
    Turn,
    explore,
    simulate,
)
from lambdacat_effects.testing.unperformed import warn_unperformed

__all__ = [
    "Check",
    "Crash",
    "CrashPoint",
    "Deadlock",
    "Endless",
    "Exploration",
    "Fault",
    "FaultInjected",
    "Faults",
    "LawBroken",
    "NondeterminismError",
    "Performed",
    "Recorded",
    "RecordedError",
    "Recorder",
    "RecordingMismatch",
    "RecordingUnreadable",
    "Report",
    "Scenario",
    "Script",
    "SimulationFailure",
    "StaleSchedule",
    "Swept",
    "Turn",
    "UnexpectedEffect",
    "UnfinishedScript",
    "UnperformedWarning",
    "Unrecordable",
    "UnusedRecording",
    "crash_sweep",
    "explore",
    "in_any_order",
    "in_order",
    "laws",
    "matching",
    "on",
    "performed",
    "record",
    "replay",
    "script",
    "simulate",
    "warn_unperformed",
]
