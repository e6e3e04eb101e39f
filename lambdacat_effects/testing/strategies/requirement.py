"""Hypothesis is optional: what is raised where it is missing."""

from __future__ import annotations

from lambdacat_effects.errors import LambdacatError

__all__ = ["HypothesisMissing"]


class HypothesisMissing(LambdacatError, ModuleNotFoundError):
    """Strategies draw with Hypothesis, which is not installed here. Install it, as in `pip install hypothesis`."""
