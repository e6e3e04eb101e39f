"""Control effects that belong to the runtime alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from lambdacat_effects.effects.control import Control
from lambdacat_effects.effects.effect import Performs, effect
from lambdacat_effects.runtime.resource import Resource

__all__ = ["Opening"]

A = TypeVar("A")


@effect
class Opening(Control[A]):
    """Perform `plan` while `resources` are open."""

    resources: Sequence[Resource[Any]]
    plan: Performs[Any, A]
