"""Durable runs: what a run's effects were answered is kept, so that it continues where it stopped."""

from __future__ import annotations

from lambdacat_effects.journal.durable import Durable
from lambdacat_effects.journal.history import Step
from lambdacat_effects.journal.idempotency import idempotency_key
from lambdacat_effects.journal.questions import Question
from lambdacat_effects.journal.standing import RunInfo

__all__ = ["Durable", "Question", "RunInfo", "Step", "idempotency_key"]
