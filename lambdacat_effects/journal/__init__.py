"""Durable runs: what a run's effects were answered is kept, so that it continues where it stopped."""

from __future__ import annotations

from lambdacat_effects.journal.durable import Durable, RunInfo
from lambdacat_effects.journal.history import Step
from lambdacat_effects.journal.idempotency import idempotency_key

__all__ = ["Durable", "RunInfo", "Step", "idempotency_key"]
