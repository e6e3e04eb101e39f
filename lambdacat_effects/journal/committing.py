"""How a journal writes: in a simulation by an effect, so that schedule and faults reach it as any other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import trio

from lambdacat_effects.effects.control import Shielded
from lambdacat_effects.effects.effect import Effect, effect
from lambdacat_effects.runtime.interpreter import drive
from lambdacat_effects.runtime.run import Scope
from lambdacat_effects.storage.port import Change, Store

__all__ = ["Commit", "Settle", "commit", "committed", "settle", "settled"]


@effect
class Commit(Effect[bool]):
    """Make changes to a store, all or none. Plans have no use for it."""

    store: Store
    changes: Sequence[Change]

    def __repr__(self) -> str:
        return f"Commit({len(self.changes)} changes)"


async def committed(effect: Commit) -> bool:
    """Answer `Commit`: the handler that a durable run brings along."""
    return await effect.store.batch(effect.changes)


async def commit(store: Store, changes: Sequence[Change], scope: Scope) -> bool:
    """Make the changes, whatever is cancelled meanwhile; False if what they expect is not so."""
    run = scope.run
    if run.alone:
        return await store.batch(changes)
    if not run.staged:
        # A change that has begun is waited for anyhow, and a shield takes as long as all the rest of a step.
        if trio.current_effective_deadline() > -math.inf:
            return await store.batch(changes)
        with trio.CancelScope(shield=True):
            return await store.batch(changes)
    # A branch of its own, with a number that no branch has: a combinator's decision is written while those go on.
    return bool(await drive(Shielded(Commit(store, changes)), scope.table, (*scope.path, -1), run))


@effect
class Settle(Effect[None]):
    """Wait until a commit that somebody else has begun is over. Plans have no use for it."""

    over: trio.Event


async def settled(effect: Settle) -> None:
    """Answer `Settle`: the handler that a durable run brings along."""
    await effect.over.wait()


async def settle(over: trio.Event, scope: Scope) -> None:
    """Wait until the commit is over, whatever is cancelled meanwhile."""
    if scope.run.staged:
        await drive(Shielded(Settle(over)), scope.table, (*scope.path, -1), scope.run)
        return
    with trio.CancelScope(shield=True):
        await over.wait()
