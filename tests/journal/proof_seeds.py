"""Durable runs under chance: crashes, and lost replies of tools and of the journal's own commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from proof_plans import PROOFS, Proof, handlers

from lambdacat_effects import CallTool, Forget, Observe, Remember
from lambdacat_effects.journal.committing import Commit
from lambdacat_effects.testing import Faults
from lambdacat_effects.testing.lives import Lives

FAULTS = (
    Faults(crash=0.02),
    *[Faults(lost_reply=0.04, on=on) for on in (Commit, CallTool, Remember, Forget, Observe)],
)
"""Not of effects that the plan answers itself, as `with_state` does: those are no news from outside."""


def endured(proof: Proof, seed: int | str) -> Lives:
    """A run that has ended in spite of it all, and has been checked."""
    lives = Lives(proof.make, proof.args, handlers, proof.answers, FAULTS, timing=True)
    lives.to_the_end(seed)
    if not lives.wrong:
        lives.check_calls()
        lives.check_replay()
    return lives


def endure(seeds: Iterable[int], proofs: list[Proof] = PROOFS) -> Counter[str]:
    """One run for each seed, the plans in turn; what happened in them. Raises `AssertionError` for what is wrong."""
    happened: Counter[str] = Counter()
    for seed in seeds:
        proof = proofs[seed % len(proofs)]
        lives = endured(proof, seed)
        assert not lives.wrong, f"{proof.name}, seed {seed}:\n" + "\n".join([*lives.wrong, lives.story()])
        happened += Counter(
            {
                "runs": 1,
                "crashes": len(lives.deaths),
                "lives": lives.count,
                "lost replies": lives.lost,
                "calls": len(lives.calls),
                "calls made again": lives.repeated,
            }
        )
    return happened
