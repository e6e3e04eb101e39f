"""What the interpreter tells while it performs a plan: the one source of logs, reports, timelines and live views.

Give `run(plan, listen=function)` and the function is called with each event, in the order they happen. It must return
at once and raise nothing. Without a listener none of this costs anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

__all__ = [
    "Answered",
    "Branch",
    "Cancelled",
    "Event",
    "Failed",
    "Listener",
    "Path",
    "Root",
    "Started",
    "path_text",
]

Path: TypeAlias = tuple[str | int, ...]
"""Where in a run something happens: the run's name, then counters of effects and numbers of branches, such as
`("research", 3, 0, 1)`: the first effect of branch 0 of the third effect. It depends on the plan alone, never on
timing.
"""


def path_text(path: Path) -> str:
    """A path for people: `research/3/0`."""
    return "/".join(map(str, path))


@attrs.define
class Root:
    """The plan that was given to `run`."""

    name: str


@attrs.define
class Branch:
    """One branch of a concurrent combinator."""

    index: int
    name: str


@attrs.define
class Started:
    """Something began: an effect, a span, a branch or the whole run."""

    path: Path
    what: Any
    at: float
    """Seconds on the run's clock."""
    again: bool = False
    """Whether an effect was answered before, or anything else begun: of that a durable run tells once more when it is
    resumed."""


@attrs.define
class Answered:
    """It ended with an answer."""

    path: Path
    what: Any
    at: float
    answer: Any
    again: bool = False
    """Whether it was so before, and nothing was done: also of a span or a branch in which nothing is new."""


@attrs.define
class Failed:
    """It ended with an error, which was raised where it was asked."""

    path: Path
    what: Any
    at: float
    error: BaseException
    again: bool = False
    """As in `Answered`."""


@attrs.define
class Cancelled:
    """It was cancelled, by a deadline, a sibling or from outside, and has ended."""

    path: Path
    what: Any
    at: float
    again: bool = False
    """As in `Answered`."""
    left: bool = False
    """Whether it was left as it is, in a durable run that is suspended or interrupted: it goes on when that is
    resumed."""


Event: TypeAlias = Started | Answered | Failed | Cancelled
Listener: TypeAlias = Callable[[Event], object]
