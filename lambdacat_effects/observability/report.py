"""The run report: for each node of a plan, how often, how long, and how much of it beside other work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from lambdacat_effects.observability.nodes import Nesting, is_machinery, is_span, node_of
from lambdacat_effects.observability.overlap import Activity
from lambdacat_effects.runtime.events import Answered, Branch, Cancelled, Event, Failed, Path, Root, Started

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Recorder", "Row", "RunReport", "Tally", "duration", "report_table"]


class Recorder:
    """Keeps the events of a run: give it to `run(plan, listen=recorder)`.

    >>> from lambdacat_effects import Sleep, ambient, parallel
    >>> recorder = Recorder()
    >>> _ = ambient.run_pure(parallel(Sleep(2), Sleep(3)), listen=recorder)
    >>> recorder.report().rows
    (Row(node='Sleep', calls=2, failed=0, cancelled=0, wall=5.0, overlap=4.0),)
    """

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Keep one event."""
        self.events.append(event)

    def report(self) -> RunReport:
        """The report of what happened until now."""
        return RunReport.of(self.events)


class Tally:
    """Sums a run up while it goes on, and keeps none of its events: give it to `run(plan, listen=tally)`.

    It takes events in the order of their times, as a run on Trio tells them. Under `run_pure`, where each branch
    begins at the time its siblings begin at, use a `Recorder`.
    """

    def __init__(self) -> None:
        self._sweep = _Sweep()
        self._began: float | None = None

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if self._began is None:
            self._began = event.at
        self._sweep.take(event)

    def report(self) -> RunReport:
        """The report of the run, once it has ended."""
        return self._sweep.report(0.0 if self._began is None else self._sweep.now - self._began)


@attrs.frozen
class Row:
    """What one node did.

    Of a node within a node of the same name (a task and its function, a call and its repetition by an interposer),
    the outer one counts. What a durable run was answered before it was resumed does not count.
    """

    node: str
    """A span's name (and so a DSL task's), a tool's, a function's, or the name of the effect's class."""
    calls: int
    failed: int
    cancelled: int
    wall: float
    """Seconds from begin to end, summed over the calls."""
    overlap: float
    """The part of these seconds in which work was going on in another branch."""


@attrs.frozen
class RunReport:
    """What a run did, node by node, in the order of the plan."""

    rows: tuple[Row, ...]
    wall: float
    """Seconds from the first event to the last."""
    overlap: float
    """Seconds of work beside other work: the sum of what branches worked less the time in which any of them did."""

    @staticmethod
    def of(events: Iterable[Event]) -> RunReport:
        """The report of these events. What has not ended yet counts until the last of them."""
        sweep = _Sweep()
        # Under `run_pure` branches run one after the other, each from the time at which all of them start.
        ordered = sorted(events, key=lambda event: event.at)
        for event in ordered:
            sweep.take(event)
        return sweep.report(ordered[-1].at - ordered[0].at if ordered else 0.0)


@attrs.define
class _Total:
    first: Path
    calls: int = 0
    failed: int = 0
    cancelled: int = 0
    wall: float = 0.0
    alone: float = 0.0


@attrs.define(eq=False)
class _Interval:
    path: Path
    node: str | None
    at: float
    alone: float
    works: bool
    total: _Total | None = None
    """The sums it goes into; None where the node around it counts."""


class _Sweep:
    def __init__(self) -> None:
        self.activity = Activity()
        self.nesting = Nesting[_Interval]()
        self.totals: dict[str, _Total] = {}
        self.now = 0.0

    def take(self, event: Event) -> None:
        self.now = event.at
        self.activity.advance(event.at)
        if isinstance(event, Started):
            self.begin(event)
        else:
            interval = self.nesting.close(event.path, event.what)
            if interval is not None:
                self.end(interval, event)
            self.activity.forget(event.path)

    def begin(self, event: Started) -> None:
        path, what = event.path, event.what
        node = node_of(what)
        if node is None and type(what) not in (Root, Branch):
            return
        works = node is not None and not is_span(what)
        if event.again and works:
            return
        around = self.nesting.enclosing(path)
        if around is not None and around.works and is_machinery(what):
            return
        interval = _Interval(path, node, event.at, self.activity.alone(path[:-1]), works)
        if node is not None and (around is None or around.node != node):
            interval.total = self.totals.setdefault(node, _Total(path))
            interval.total.first = min(
                interval.total.first, path
            )  # which of two branches began first is chance
            interval.total.calls += 1
        self.nesting.open(path, what, interval)
        if works:
            self.activity.begin(path[:-1])

    def end(self, interval: _Interval, event: Answered | Failed | Cancelled) -> None:
        if interval.works:
            self.activity.end(interval.path[:-1])
        if interval.total is not None and event.again:
            interval.total.calls -= 1  # a span in which nothing was new
        elif interval.total is not None:
            interval.total.failed += isinstance(event, Failed)
            interval.total.cancelled += isinstance(event, Cancelled) and not event.left
            self.measure(interval, interval.total)

    def measure(self, interval: _Interval, total: _Total) -> None:
        total.wall += self.now - interval.at
        total.alone += self.activity.alone(interval.path[:-1]) - interval.alone

    def report(self, wall: float) -> RunReport:
        for interval in self.nesting.items():
            if interval.total is not None:
                self.measure(interval, interval.total)
        rows = [
            # The two sums are rounded differently, so their difference may be a little below zero.
            Row(node, t.calls, t.failed, t.cancelled, t.wall, max(0.0, t.wall - t.alone))
            for node, t in sorted(self.totals.items(), key=lambda item: item[1].first)
            if t.calls
        ]
        return RunReport(tuple(rows), wall, self.activity.beside)


def duration(seconds: float) -> str:
    """Seconds for people to read.

    >>> duration(0.0000123), duration(0.0123), duration(1.5), duration(3725)
    ('12 µs', '12.3 ms', '1.50 s', '1 h 02 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    if minutes:
        return f"{minutes} min {rest:02} s"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    if seconds >= 0.001:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds * 1e6:.0f} µs"


def report_table(report: RunReport) -> Table:
    """The report as a table for the terminal."""
    from rich import box  # importing a report should not cost importing Rich
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, caption_justify="left", caption=_caption(report))
    table.add_column("node", overflow="fold")
    for heading in ("calls", "failed", "cancelled", "wall time", "overlap"):
        table.add_column(heading, justify="right")
    for row in report.rows:
        counts = [str(row.calls), *(str(n) if n else "" for n in (row.failed, row.cancelled))]
        table.add_row(
            row.node, *counts, duration(row.wall), duration(row.overlap) if row.overlap >= 1e-6 else ""
        )
    return table


def _caption(report: RunReport) -> str:
    beside = f", {duration(report.overlap)} of work beside other work" if report.overlap >= 1e-6 else ""
    return f"{duration(report.wall)} in all{beside}"
