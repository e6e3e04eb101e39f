"""Plans in a simulation: as on Trio, with a turn at the gate around each effect, and nothing of the world."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

import trio

from lambdacat_effects.effects.ambient import Blocking, NewId, Random, Sleep
from lambdacat_effects.effects.concurrency import Concurrent
from lambdacat_effects.effects.control import Control, Shielded
from lambdacat_effects.runtime.events import Branch, Listener, Path, Root
from lambdacat_effects.runtime.interpreter import drive, perform_step
from lambdacat_effects.runtime.live import LIVE, answer_of, concurrent, is_cancelled
from lambdacat_effects.runtime.pure import located_id, located_random
from lambdacat_effects.runtime.resource import opened
from lambdacat_effects.runtime.run import Pace, Run, Scope
from lambdacat_effects.runtime.scopes import Opening
from lambdacat_effects.runtime.table import ASYNC, CONTROL, GENERATOR, LOCATED, PLAIN, Chain, Key, Step, Table
from lambdacat_effects.testing.simulation.faults import Crash, Fault
from lambdacat_effects.testing.simulation.gate import Gate

__all__ = ["SIMULATED", "SimulatedRun"]

_current_gate: trio.lowlevel.RunVar[Gate] = trio.lowlevel.RunVar("lambdacat gate")

A = TypeVar("A")

_Ask: TypeAlias = Callable[[Any, Scope], Coroutine[Any, Any, Any]]


class SimulatedRun(Run):
    """A run whose tasks go on when its gate says so."""

    __slots__ = ("gate",)

    def __init__(self, gate: Gate, listen: Listener) -> None:
        super().__init__(gate.clock, listen, _checkpoint, trio.Cancelled, is_cancelled, gate.ticks)
        self.gate: Gate = gate
        _current_gate.set(gate)
        self.first: int = 1
        self.staged: bool = True
        self.pace: Pace | None = _BeforeEachEffect(self)

    def cut(self, nursery: Any, path: Path) -> None:
        self.gate.cut(nursery, path)

    async def begin(self, path: Path) -> None:
        await self.gate.turn(path, Branch(int(path[-1]), ""))

    async def tell(self, performing: Awaitable[A], path: Path, what: object) -> A:
        if not isinstance(what, Root):
            return await super().tell(performing, path, what)
        await self.gate.turn(path, what)
        self.gate.open = True
        try:
            return await super().tell(performing, path, what)
        finally:
            self.gate.open = False

    async def before(self, path: Path, n: int, effect: object, told: bool) -> bool:
        # Control effects do nothing by themselves: what they perform comes by here.
        if not issubclass(type(effect), Control):
            spared = self.spares is not None and self.spares((*path, n), effect)
            await self.gate.before((*path, n), effect, told or spared)
        return told


class _BeforeEachEffect(Pace):
    """The pace of a plan that lets others run before each effect."""

    __slots__ = ()

    def due(self) -> bool:
        self.stride = 1
        return True


async def _checkpoint(told: bool) -> bool:
    return told  # the gate has one before each effect


def _gate(scope: Scope) -> Gate:
    assert isinstance(scope.run, SimulatedRun)
    return scope.run.gate


def _gated(step: Step, answers: bool) -> Step:
    """A handler function that faults may befall and that waits by way of the gate."""
    kind, fn = step
    if kind == GENERATOR and answers:
        return Step(GENERATOR, _fallible_plan(fn))
    if kind not in (PLAIN, LOCATED, ASYNC):
        return step

    async def ask(effect: Any, scope: Scope) -> Any:
        gate = _gate(scope)
        if kind != ASYNC:
            return await perform_step(kind, fn, effect, None, scope)
        return await gate.waiting(fn(effect), scope.path, effect)

    return Step(CONTROL, _fallible(ask))


def _fallible(ask: _Ask) -> _Ask:
    """A handler function that faults may befall."""

    async def gated(effect: Any, scope: Scope) -> Any:
        fault = _gate(scope).fault(scope.path, effect)
        return await (ask(effect, scope) if fault is None else _suffer(fault, ask, effect, scope))

    return gated


def _fallible_plan(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A generator function that faults may befall."""

    def planned(effect: Any) -> Any:
        gate = _current_gate.get()
        turn = gate.trace[-1]  # that of this effect: the handler is called as soon as it is its turn
        fault = gate.fault(turn.path, effect) if turn.effect is effect else None
        return fn(effect) if fault is None else _suffering(fault, fn, effect, gate)

    return planned


def _suffering(fault: Fault, fn: Callable[[Any], Any], effect: Any, gate: Gate) -> Generator[Any, Any, Any]:
    """As `_suffer`, for a handler that is a plan."""
    plan: Callable[[Any], Generator[Any, Any, Any]] = fn
    if fault.kind == "delay":
        yield from Sleep(fault.seconds)
        return (yield from plan(effect))
    if fault.kind == "duplicate":
        answer = yield from plan(effect)
        with suppress(Exception):
            yield from plan(effect)
        return answer
    if fault.kind == "lost_reply":
        yield from plan(effect)
    raise _raised_for(fault, effect, gate)


def _raised_for(fault: Fault, effect: Any, gate: Gate) -> BaseException:
    error = gate.faults.error(fault, effect)
    if isinstance(error, Crash):
        gate.crash = error
    return error


async def _suffer(fault: Fault, ask: _Ask, effect: Any, scope: Scope) -> Any:
    gate = _gate(scope)
    if fault.kind == "delay":
        await gate.waiting(trio.sleep(fault.seconds), scope.path, effect)
        return await ask(effect, scope)
    if fault.kind == "duplicate":
        answer = await ask(effect, scope)
        await gate.turn(scope.path, effect)  # others may come between
        with suppress(Exception):  # nobody waits for the second answer
            await ask(effect, scope)
        return answer
    if fault.kind == "lost_reply":
        await ask(effect, scope)
    raise _raised_for(fault, effect, gate)


async def _sleep(effect: Sleep, scope: Scope) -> None:
    await _gate(scope).sleep(scope.path, effect)


async def _blocking(effect: Blocking[Any]) -> Any:
    await trio.lowlevel.checkpoint_if_cancelled()
    answer = answer_of(
        effect
    )  # here, as a simulation has no threads; its answer arrives later, as from a thread
    await trio.lowlevel.checkpoint()
    return answer


async def _concurrent(effect: Concurrent[Any], scope: Scope) -> Any:
    gate = _gate(scope)
    gate.blocks(scope.path, effect)
    try:
        return await concurrent(effect, scope)
    finally:
        await gate.resume(scope.path, effect)


async def _shielded(effect: Shielded[Any], scope: Scope) -> Any:
    gate = _gate(scope)
    # A shield of its own, since a run that is stopped from outside must end.
    with trio.CancelScope(shield=True) as shield:
        gate.shields.append(shield)
        try:
            return await drive(effect.plan, *scope)
        finally:
            gate.shields.remove(shield)


async def _opening(effect: Opening[Any], scope: Scope) -> Any:
    gate = _gate(scope)
    gate.blocks(scope.path, effect)
    try:
        async with opened(effect.resources):
            await gate.resume(scope.path, effect)
            try:
                return await drive(effect.plan, *scope)
            finally:
                gate.blocks(scope.path, effect)
    finally:
        await gate.resume(scope.path, effect)


def _random(_effect: Random, scope: Scope) -> float:
    return located_random(_gate(scope).seed, scope)


def _new_id(_effect: NewId, scope: Scope) -> str:
    return located_id(_gate(scope).seed, scope)


_BINDINGS: dict[Key, Chain] = {
    **LIVE.bindings,
    Shielded: (Step(CONTROL, _shielded),),
    Opening: (Step(CONTROL, _opening),),
    Concurrent: (Step(CONTROL, _concurrent),),
    Sleep: (Step(CONTROL, _fallible(_sleep)),),
    Random: (Step(LOCATED, _random),),
    NewId: (Step(LOCATED, _new_id),),
    Blocking: (Step(ASYNC, _blocking),),
}

SIMULATED = Table(_BINDINGS, None, observed=True, adapt=_gated)
"""What every simulated run answers: the live table, but for what would reach the world."""
