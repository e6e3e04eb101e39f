"""The steps of sagas: performed like any plan, and noted with their place in the run."""

from __future__ import annotations

from typing import Any

from lambdacat_effects.effects.compensation import Compensable
from lambdacat_effects.runtime.interpreter import drive
from lambdacat_effects.runtime.run import Scope

__all__ = ["compensable"]


async def compensable(effect: Compensable[Any], scope: Scope) -> Any:
    """Answer `Compensable`. Between the step's end and the note of it nothing waits."""
    answer = await drive(effect.plan, *scope)
    effect.done.append((scope.path, effect, answer))
    return answer
