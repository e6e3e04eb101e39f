"""Live progress of a run: a tree that changes in place on a terminal, else one line for each begin and end.

A progress only looks on: whatever goes wrong in it, a full pipe or an odd `repr`, ends the showing and not the run.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self, TextIO

from lambdacat_effects.effects.ambient import Await, Blocking, Count, Log, NewId, Now, Random
from lambdacat_effects.effects.durable import Ask, ContinueAsNew, Patched
from lambdacat_effects.effects.memory import (
    Forget,
    Recall,
    RecallMarked,
    Remember,
    RememberUnlessChanged,
)
from lambdacat_effects.observability.nodes import Nesting, is_machinery, is_span, node_of
from lambdacat_effects.observability.report import duration
from lambdacat_effects.runtime.events import Answered, Branch, Cancelled, Event, Failed, Path, Root, Started

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

__all__ = ["Progress", "progress"]

_AT_ONCE = (Now, Random, NewId, Log, Count, Patched, ContinueAsNew)
"""Effects that nobody waits for, and of which there are many."""

_WIDTH = 72
_MOST_RUNNING = 12
_MOST_ENDED = 4
_HOW_ENDED: dict[type[Event], str] = {Answered: "done", Failed: "failed", Cancelled: "cancelled"}
_MARKS = {
    "": ("●", "cyan"),
    "done": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("∅", "yellow"),
    "stopped": ("‖", "yellow"),
    "waits": ("?", "magenta"),
}


class _Item:
    """One node or branch of the run."""

    __slots__ = (
        "around",
        "before",
        "depth",
        "ended",
        "label",
        "node",
        "number",
        "recent",
        "running",
        "seconds",
        "shown",
        "since",
        "unshown",
    )

    def __init__(self, node: str | None, label: str, around: _Item | None, *, before: bool) -> None:
        self.node = node
        self.before = before
        """Whether it had begun before a durable run was resumed."""
        self.shown = False
        self.label = label
        self.around = around
        self.depth: int = 0 if around is None else around.depth + (around.node is not None)
        self.since = perf_counter()
        self.seconds = 0.0
        self.ended = ""
        self.number = 0
        self.running: dict[_Item, None] = {}
        self.recent = deque[_Item](maxlen=_MOST_ENDED)
        """The last that have ended. Others are let go, so that a long run needs no more memory than a short one."""
        self.unshown = 0
        """How many those are."""

    def begin(self, number: int) -> None:
        self.number = number
        self.shown = True
        if self.around is not None:
            self.around.running[self] = None

    def only_child(self) -> _Item:
        """What a branch consists of, if that is one node: then it needs no line of its own."""
        children = [*self.recent, *self.running]
        return children[0] if len(children) == 1 else self

    def end(self, how: str) -> None:
        self.ended = how
        self.seconds = perf_counter() - self.since
        if self.around is not None and self.shown:
            del self.around.running[self]
            self.around.unshown += len(self.around.recent) == _MOST_ENDED
            self.around.recent.append(self)


class Progress:
    """Shows a run while it goes on: give it to `run(plan, listen=...)`, and enter it as a context manager.

    Of a durable run that is resumed it shows what is new, and says how much was answered before.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began = perf_counter()
        self._nesting = Nesting[_Item]()
        self._count = 0
        self._before = 0
        """How many effects of a durable run were answered before it was resumed."""
        self._broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop showing."""
        self._tell_of_before()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if self._broken:
            return
        try:
            self._take(event)
        except Exception:
            self._broken = True

    def note(self, text: str) -> None:
        """Show a line of text that stays."""
        with suppress(OSError, ValueError):  # nobody reads it any more, or the stream is closed
            print(text, file=self._stream, flush=True)

    def _take(self, event: Event) -> None:
        path, what = event.path, event.what
        if not isinstance(event, Started):
            item = self._nesting.close(path, what)
            if item is not None:
                self._before += event.again and item.node is not None and not is_span(what)
                item.end(_how_ended(event))
                if item.shown:
                    self._ended(item)
            return
        node = node_of(what)
        if type(what) in (Root, Branch):
            label = str(what.name)
        elif type(what) is Log:
            self._log(path, what)
            return
        elif node is None or type(what) in _AT_ONCE:
            return
        else:
            label = node if is_span(what) else _label(what)
        around = self._nesting.enclosing(path)
        if around is not None and around.node is not None and (around.node == node or is_machinery(what)):
            return  # how the node around it is performed
        item = _Item(node, label, around, before=event.again)
        self._nesting.open(path, what, item)
        if not event.again:
            self._show(item)

    def _show(self, item: _Item) -> None:
        """Show that an item began, and before it what it is in: of a run that is resumed that is shown only now."""
        if item.around is not None and not item.around.shown:
            self._show(item.around)
        self._count += 1
        item.begin(self._count)
        self._started(item)

    def _log(self, path: Path, log: Log) -> None:
        around = self._nesting.enclosing(path)
        depth = 0 if around is None else around.depth + (around.node is not None)
        fields = "".join(f" {name}={value!r}" for name, value in log.fields.items())
        seconds = perf_counter() - self._began
        self.note(f"{seconds:8.3f} s  {'  ' * depth}{log.level:9}  {log.message}{fields}")

    def _started(self, item: _Item) -> None:
        if item.node is not None:
            self._tell_of_before()
            self._line(item, f"started    {item.label}")

    def _ended(self, item: _Item) -> None:
        if item.node is not None:
            for_what = "for an answer" if item.ended == "waits" else duration(item.seconds)
            self._line(item, f"{item.ended:9}  {item.label} ({for_what})")

    def _tell_of_before(self) -> None:
        if self._before:
            self.note(f"{perf_counter() - self._began:8.3f} s  {_answered_before(self._before)}")
            self._before = 0

    def _line(self, item: _Item, text: str) -> None:
        self.note(f"{perf_counter() - self._began:8.3f} s  {'  ' * item.depth}{text}")


class _Live(Progress):
    """The same as a tree, drawn some times per second by a thread of Rich's."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        from rich.console import Console
        from rich.live import Live

        self._root: _Item | None = None
        self._console = Console(file=stream)
        # What a plan prints must not be drawn over, if it goes to the same terminal; in a pipe it is left alone.
        self._live = Live(
            console=self._console,
            get_renderable=self._drawn,
            refresh_per_second=5,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(Exception):
            self._live.stop()

    def note(self, text: str) -> None:
        from rich.text import Text

        with suppress(Exception):
            self._console.print(Text(text), soft_wrap=True)

    def _started(self, item: _Item) -> None:
        if item.around is None:
            self._root = item

    def _ended(self, item: _Item) -> None:
        """The next picture shows it."""

    def _drawn(self) -> Any:
        from rich.text import Text

        if self._root is None:
            return Text("")
        try:
            return self._tree(self._root)
        except (
            Exception
        ):  # the run's thread may change a list under our hands: the next picture will be whole
            return Text(self._root.label)

    def _tree(self, item: _Item) -> Tree:
        from rich.tree import Tree

        tree = Tree(_line_of(item))
        if item is self._root and self._before:
            tree.add(_answered_before(self._before), style="dim")
        running = list(item.running)
        shown = [*item.recent, *running[:_MOST_RUNNING]]
        for child in sorted(shown, key=lambda child: child.number):
            tree.add(self._tree(child.only_child() if child.node is None else child))
        more = item.unshown + len(running[_MOST_RUNNING:])
        if more:
            tree.add(f"... and {more} more", style="dim")
        return tree


def _line_of(item: _Item) -> Text:
    from rich.text import Text

    mark, style = _MARKS[item.ended]
    seconds = item.seconds if item.ended else perf_counter() - item.since
    return Text.assemble((mark, style), " ", item.label, " ", (duration(seconds), "dim"))


def _how_ended(event: Event) -> str:
    if isinstance(event, Cancelled) and event.left:
        return "waits" if type(event.what) is Ask else "stopped"
    return _HOW_ENDED[type(event)]


def _answered_before(count: int) -> str:
    return f"{count:,} effect{'' if count == 1 else 's'} answered before"


def _label(what: Any) -> str:
    if type(what) is Ask:
        text = f"Ask {what.question!r}"
    elif type(what) in (Recall, Remember, Forget, RecallMarked, RememberUnlessChanged):
        text = f"{type(what).__name__} {what.namespace} {what.key!r}"  # values may be large
    elif type(what) in (Blocking, Await):
        given = [*map(repr, what.args), *(f"{name}={value!r}" for name, value in what.kwargs.items())]
        text = f"{node_of(what)}({', '.join(given)})"
    else:
        text = repr(what)
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 4]} ..."


def progress(stream: TextIO | None = None) -> Progress:
    """Progress on `stream` (standard error unless given): live on a terminal, else line by line.

    >>> import io
    >>> from lambdacat_effects import Sleep, ambient, span
    >>> lines = io.StringIO()
    >>> with progress(lines) as shown:
    ...     ambient.run_pure(span("wait", Sleep(1)), listen=shown)
    >>> [line.split()[2:4] for line in lines.getvalue().splitlines()]
    [['started', 'wait'], ['started', 'Sleep(seconds=1)'], ['done', 'Sleep(seconds=1)'], ['done', 'wait']]
    """
    to = sys.stderr if stream is None else stream
    live = to.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
    return _Live(to) if live else Progress(to)
