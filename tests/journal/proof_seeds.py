"""Durable runs under chance: crashes, and lost replies of tools and of the journal's own commits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from proof_plans import APART, PROOFS, Proof, handlers

from lambdacat_effects import CallTool, Forget, Observe, Remember
from lambdacat_effects.journal.committing import Commit
from lambdacat_effects.journal.records import ENTRIES, Record
from lambdacat_effects.testing import Faults
from lambdacat_effects.testing.lives import RUN_ID, Lives

FAULTS = (
    Faults(crash=0.02),
    *[Faults(lost_reply=0.04, on=on) for on in (Commit, CallTool, Remember, Forget, Observe)],
)
"""Not of effects that the plan answers itself, as `with_state` does: those are no news from outside."""


def endured(proof: Proof, seed: int | str) -> Lives:
    """A run that has ended in spite of it all, and has been checked."""
    lives = Lives(
        proof.make, proof.args, handlers, answers=proof.answers, faults=FAULTS, apart=APART, hurry=0.1
    )
    lives.to_the_end(seed)
    if not lives.wrong:
        lives.check_calls()
        lives.check_replay()
        lives.wrong += _changed_twice(lives)
    return lives


def _changed_twice(lives: Lives) -> list[str]:
    """What is in memory more or less often than the journal tells."""
    records = [Record.decode(RUN_ID, data) for data in lives.disk.contents().get(ENTRIES, {}).values()]
    saved = sum("RememberUnlessChanged" in str(r.asked) and r.data is not None for r in records)
    states = [json.loads(data)["saves"] for data in lives.memory.get("agents", {}).values()]
    wrong = [
        f"a state was saved {saves} times, and {saved} times by the journal"
        for saves in states
        if saves != saved
    ]
    beliefs = [json.loads(data) for data in lives.memory.get("_beliefs", {}).values()]
    for belief in beliefs:  # each source speaks once
        evidence = [belief["prior"], *[each for _, each in belief["entries"]]]
        wrong += [f"{each} was observed again" for each in evidence if each["version"] > 1]
    return wrong


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
