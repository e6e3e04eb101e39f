"""Running a plan for a command line: signals cancel it, cleanly, and say what they wait for."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import attrs
import trio

from lambdacat_effects.effects.ambient import Blocking
from lambdacat_effects.observability.nodes import Nesting, is_span, node_of
from lambdacat_effects.runtime.events import Answered, Event, Listener, Started
from lambdacat_effects.runtime.handler import Handler

__all__ = ["Outcome", "run_plan"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 0.25  # seconds that clean-up may take before it is worth a word


@attrs.frozen
class Outcome:
    """How a run ended: with an answer, with an error, cancelled by a signal, or with both of the last."""

    answer: Any = None
    error: BaseException | None = None
    cancelled_by: signal.Signals | None = None
    effects: int = 0
    """How many effects had been answered."""


class _Watch:
    """Counts the effects answered, and knows those that are not yet."""

    def __init__(self, listen: Listener) -> None:
        self.listen = listen
        self.answered = 0
        self.unanswered = Nesting[object]()

    def __call__(self, event: Event) -> None:
        if node_of(event.what) is not None and not is_span(event.what):
            if isinstance(event, Started):
                self.unanswered.open(event.path, event.what, event.what)
            else:
                self.unanswered.close(event.path, event.what)
                self.answered += isinstance(event, Answered)
        self.listen(event)

    def awaited(self) -> str:
        """What keeps a cancelled run from ending, in words."""
        open_effects = self.unanswered.items()
        threads = [e for e in open_effects if isinstance(e, Blocking) and e.isolate == "thread"]
        if threads:
            names = ", ".join(_call_name(blocking.fn) for blocking in threads)
            return f"{names} (a plain function in a thread, which cannot be stopped, only waited for)"
        return ", ".join(map(_short, open_effects)) or "clean-up"


class _Interruption:
    """What a signal does: the first cancels, the others say what is still being waited for."""

    def __init__(self, watch: _Watch, say: Callable[[str], None]) -> None:
        self.watch = watch
        self.say = say
        self.scope = trio.CancelScope()
        self.came_in = trio.Event()
        self.signal: signal.Signals | None = None
        self.pending = 0

    @contextmanager
    def receiving(self) -> Generator[None, None, None]:
        """Within this, signals come here."""
        token = trio.lowlevel.current_trio_token()

        def receive(number: int, _frame: FrameType | None) -> None:
            self.pending += 1
            if self.pending > 2:
                # Trio has had no turn since the last two: a plan's own code is busy. This gets through to it.
                raise KeyboardInterrupt
            token.run_sync_soon(self.act, signal.Signals(number))

        before = [(number, signal.signal(number, receive)) for number in _SIGNALS]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def act(self, number: signal.Signals) -> None:
        self.pending = 0
        if self.signal is None:
            self.signal = number
            self.came_in.set()
            self.scope.cancel()
        else:
            self.say(
                f"still waiting for {self.watch.awaited()}. Threads cannot be stopped; "
                f"`kill -9 {os.getpid()}` ends everything at once, without clean-up"
            )

    async def explain(self) -> None:
        """Once cancelled, say so, and what for the run is not over at once."""
        await self.came_in.wait()
        assert self.signal is not None
        self.say(f"{self.signal.name}: cancelling")
        await trio.sleep(_PATIENCE)
        self.say(f"waiting for {self.watch.awaited()}")


async def run_plan(
    handlers: Handler[Any],
    make: Callable[[], Any],
    *,
    name: str,
    listen: Listener,
    say: Callable[[str], None],
) -> Outcome:
    """Run the plan that `make` makes. `say` is told, in words, what happens when a signal comes."""
    watch = _Watch(listen)
    interruption = _Interruption(watch, say)
    answer: Any = None
    error: BaseException | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(interruption.explain)
        try:
            with interruption.receiving(), interruption.scope as scope:
                answer = await handlers.run(make(), name=name, listen=watch)
        except (Exception, KeyboardInterrupt) as exc:
            error = exc
        nursery.cancel_scope.cancel()
    if isinstance(error, KeyboardInterrupt):
        return Outcome(None, None, interruption.signal or signal.SIGINT, watch.answered)
    if error is not None and error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next  # without this frame the plan's come first
    cancelled = interruption.signal if scope.cancelled_caught or error is not None else None
    return Outcome(answer, error, cancelled, watch.answered)


def _call_name(fn: Any) -> str:
    return str(getattr(fn, "__qualname__", None) or repr(fn))


def _short(effect: object) -> str:
    text = repr(effect)
    return text if len(text) <= 60 else f"{text[:56]} ..."
