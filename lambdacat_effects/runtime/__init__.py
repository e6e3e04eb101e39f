"""The handler algebra, the interpreter, and concurrency: pure decisions and the nursery that applies them."""

from lambdacat_effects.runtime.boundary import Boundary, Crossing, Decision, Fate
from lambdacat_effects.runtime.events import (
    Answered,
    Branch,
    Cancelled,
    Event,
    Failed,
    Listener,
    Path,
    Root,
    Started,
)
from lambdacat_effects.runtime.handler import Handler, Interposer, ambient, raising, supply
from lambdacat_effects.runtime.resource import Resource

__all__ = [
    "Answered",
    "Boundary",
    "Branch",
    "Cancelled",
    "Crossing",
    "Decision",
    "Event",
    "Failed",
    "Fate",
    "Handler",
    "Interposer",
    "Listener",
    "Path",
    "Resource",
    "Root",
    "Started",
    "ambient",
    "raising",
    "supply",
]
