"""Running a plan for a command line: signals cancel it, cleanly, and say what they wait for."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import attrs
import trio

from lambdacat_effects.algebra.result import Err, Ok
from lambdacat_effects.effects.ambient import Blocking
from lambdacat_effects.observability.nodes import Nesting, is_span, node_of
from lambdacat_effects.runtime.events import Answered, Event, Listener, Started

__all__ = ["Outcome", "run_plan"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 0.25  # seconds that clean-up may take before it is worth a word


@attrs.frozen
class Outcome:
    """How a run ended."""

    answer: Ok[Any] | Err[Exception] | None
    """None if it was cancelled."""
    interrupted_by: signal.Signals | None
    """The signal that came, even if the run was at its end by then."""
    effects: int
    """How many effects had been answered."""


class _Watch:
    """Counts the effects answered, and knows those that are not yet."""

    def __init__(self, listen: Listener) -> None:
        self.listen = listen
        self.answered = 0
        self.unanswered = Nesting[Any]()

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
        unanswered = self.unanswered.items()
        threads = [_call_name(e.fn) for e in unanswered if type(e) is Blocking and e.isolate == "thread"]
        if threads:
            return f"{', '.join(threads)}: threads cannot be stopped, so the function has to return first"
        return ", ".join(map(_short, unanswered)) or "clean-up"


class _Interruption:
    """What a signal does: the first cancels, the others say what is still being waited for."""

    def __init__(self, watch: _Watch, say: Callable[[str], None], doing: str) -> None:
        self.watch = watch
        self.say = say
        self.doing = doing
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
                f"still waiting for {self.watch.awaited()}. To end everything at once, without clean-up: "
                f"kill -9 {os.getpid()}"
            )

    async def explain(self) -> None:
        """Once cancelled, say so, and what for the run is not over at once."""
        await self.came_in.wait()
        assert self.signal is not None
        self.say(f"{self.signal.name}: {self.doing}")
        await trio.sleep(_PATIENCE)
        self.say(f"waiting for {self.watch.awaited()}")


async def run_plan(
    perform: Callable[[Listener], Awaitable[Any]],
    *,
    listen: Listener,
    say: Callable[[str], None],
    stopping: str = "cancelling",
) -> Outcome:
    """Perform a plan, as `perform` does, with a listener. `say` is told, in words, what happens when a signal comes,
    which is `stopping` the plan."""
    watch = _Watch(listen)
    interruption = _Interruption(watch, say, stopping)
    answer: Ok[Any] | Err[Exception] | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(interruption.explain)
        try:
            with interruption.receiving(), interruption.scope:
                answer = Ok(await perform(watch))
        except Exception as error:
            answer = Err(error)
        except (KeyboardInterrupt, BaseExceptionGroup):  # the latter from a busy branch
            interruption.signal = interruption.signal or signal.SIGINT
        nursery.cancel_scope.cancel()
    return Outcome(answer, interruption.signal, watch.answered)


def _call_name(fn: Any) -> str:
    return str(getattr(fn, "__qualname__", None) or repr(fn))


def _short(effect: object) -> str:
    text = repr(effect)
    return text if len(text) <= 60 else f"{text[:56]} ..."
