"""Runs that go on as another plan."""

from __future__ import annotations

from typing import Any, NoReturn

from lambdacat_effects.effects.durable import ContinueAsNew, Continued, Patched
from lambdacat_effects.effects.effect import Performs, performable
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.runtime.events import path_text
from lambdacat_effects.runtime.interpreter import drive
from lambdacat_effects.runtime.run import Run, Scope
from lambdacat_effects.runtime.table import Table

__all__ = ["always_patched", "continued", "to_the_end"]


def always_patched(_effect: Patched) -> bool:
    """Answer `Patched` without a journal: every line is new."""
    return True


def continued(effect: ContinueAsNew, scope: Scope) -> NoReturn:
    """Answer `ContinueAsNew`."""
    if len(scope.path) != 2:
        raise InvalidArgument(
            f"continue_as_new was performed at {path_text(scope.path)}, within a combinator or a handler: only the "
            "run's own plan can be continued, since what runs beside it would be lost. Answer from there, and "
            "continue in the plan"
        )
    raise Continued(effect)


async def to_the_end(plan: Performs[Any, Any], table: Table, name: str, run: Run) -> Any:
    """Perform a run's plan, and those that it goes on as."""
    while True:
        try:
            return await drive(performable(plan), table, (name,), run)
        except Continued as continued:
            plan = continued.plan()
