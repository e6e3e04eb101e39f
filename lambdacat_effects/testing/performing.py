"""What a run performed, for assertions: which effects, how often, in which order, under which span."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Self, TypeVar, cast, overload

from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.runtime.events import Event
from lambdacat_effects.testing.comparison import (
    Matcher,
    check_matcher,
    described,
    differences,
    matches,
    nearest,
)
from lambdacat_effects.testing.deeds import Deed, Outcome, deeds_of, span_names

__all__ = ["Performed", "performed"]

T = TypeVar("T")

_LISTED = 40
"""How many of the effects performed a message lists."""


def performed(source: object) -> Performed:
    """What was performed in a run, to assert on. Take the run's events with a `Recorder`, and give that, or anything
    with `events`, or the events themselves.

    Counted are the plan's own effects. `including_handlers` adds what handlers and interposers performed to answer
    them, and `including_control` what the runtime interprets (`parallel`, `timeout`, `span`, ...).

    Raises `InvalidArgument` for anything else.

    >>> from lambdacat_effects import Memory, Plan, in_memory, recall, remember
    >>> from lambdacat_effects.effects import Recall, Remember, Forget
    >>> from lambdacat_effects.observability import Recorder
    >>> def visit() -> Plan[Memory, None]:
    ...     n = (yield from recall("site", "visits", as_type=int)) or 0
    ...     yield from remember("site", "visits", n + 1)
    >>> recorder = Recorder()
    >>> in_memory().run_pure(visit(), listen=recorder)
    >>> did = performed(recorder)
    >>> assert did == [Recall, remember("site", "visits", 1)]
    >>> _ = did.once(Remember).never(Forget).in_order(Recall, Remember)
    """
    events = getattr(source, "events", source)
    if isinstance(events, (str, bytes)) or not isinstance(events, Iterable):
        raise InvalidArgument(
            f"performed takes a Recorder, a report with events, or a run's events; got {source!r}: "
            "run the plan with listen=Recorder(), and give that"
        )
    taken = tuple(cast("Iterable[Event]", events))
    for event in taken:
        if not isinstance(cast(object, event), Event):
            raise InvalidArgument(f"performed takes a run's events; got {event!r} among them")
    every = deeds_of(taken)
    return Performed(every, _own, span_names(taken))


def _own(deed: Deed) -> bool:
    return deed.own and not deed.control


class Performed(Sequence[Effect[Any]]):
    """What was performed: a sequence of effects, in the order of their paths, with assertions on it.

    The order of paths is the plan's: what branches did comes one branch after the other, whatever the timing. Each
    assertion raises `AssertionError`, listing what was performed, or answers the same `Performed`, for the next one.
    Effects are meant by an equal effect, a class, a tool or a function of the effect.
    """

    __hash__: ClassVar[None]  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]

    def __init__(
        self, every: Sequence[Deed], shown: Callable[[Deed], bool], spans: Sequence[str], what: str = ""
    ) -> None:
        self._every = every
        self._shown = shown
        self._spans = spans
        self._what = what
        self.deeds: tuple[Deed, ...] = tuple(deed for deed in every if shown(deed))
        """Each effect with its path, how it ended, and the spans around it."""

    # What is looked at.

    def _view(self, shown: Callable[[Deed], bool], what: str) -> Performed:
        return Performed(self._every, shown, self._spans, f"{self._what} {what}".strip())

    def _narrowed(self, keep: Callable[[Deed], bool], what: str) -> Performed:
        shown = self._shown
        return self._view(lambda deed: shown(deed) and keep(deed), what)

    @property
    def including_handlers(self) -> Performed:
        """These, and what handlers and interposers performed to answer them: each try of a retry, say."""
        shown = self._shown
        return self._view(lambda deed: shown(deed) or (not deed.own and not deed.control), "")

    @property
    def including_control(self) -> Performed:
        """These, and the plan's effects that the runtime interprets: `parallel`, `timeout`, spans."""
        shown = self._shown
        return self._view(lambda deed: shown(deed) or (deed.own and deed.control), "")

    def under(self, span: str) -> Performed:
        """Those within a span of this name, at any depth; a task of a DSL plan is a span of its name.

        Raises `AssertionError` if the run had no such span.
        """
        if span not in self._spans:
            known = ", ".join(map(repr, dict.fromkeys(self._spans))) or "none"
            raise AssertionError(f"no span {span!r} was performed; the run's spans: {known}")
        return self._narrowed(lambda deed: span in deed.spans, f"under {span!r}")

    def of(self, matcher: Matcher) -> Performed:
        """Those that are meant by a matcher."""
        check_matcher("of", matcher)
        return self._narrowed(lambda deed: matches(matcher, deed.effect), f"of {described(matcher)}")

    def _ended(self, outcome: Outcome) -> Performed:
        return self._narrowed(lambda deed: deed.outcome == outcome, outcome)

    @property
    def answered(self) -> Performed:
        """Those that ended with an answer."""
        return self._ended("answered")

    @property
    def failed(self) -> Performed:
        """Those that ended with an error."""
        return self._ended("failed")

    @property
    def cancelled(self) -> Performed:
        """Those that were cancelled."""
        return self._ended("cancelled")

    @property
    def unfinished(self) -> Performed:
        """Those that had not ended at the last event."""
        return self._ended("unfinished")

    # As a sequence.

    @overload
    def __getitem__(self, index: int) -> Effect[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Effect[Any]]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [deed.effect for deed in self.deeds[index]]
        return self.deeds[index].effect

    def __len__(self) -> int:
        return len(self.deeds)

    def __eq__(self, other: object) -> bool:
        """Whether exactly these were performed, in the order of the plan; a list may hold any matchers."""
        if isinstance(other, Performed):
            return list(self) == list(other)
        if not isinstance(other, (list, tuple)):
            return NotImplemented
        expected = cast("Sequence[Any]", other)
        return len(expected) == len(self) and all(_meant(m, e) for m, e in zip(expected, self, strict=True))

    def __repr__(self) -> str:
        return repr(list(self))

    # Assertions.

    def exactly(self, *matchers: Matcher) -> Self:
        """Just these were performed, in the order of the plan. `assert did == [...]`, with a message of our own."""
        self._check("exactly", matchers)
        for index, matcher in enumerate(matchers):
            if index >= len(self) or not matches(matcher, self[index]):
                self._fail(f"{described(matcher)} was expected as number {index + 1}", matcher, at=index)
        if len(self) > len(matchers):
            self._fail(f"{len(matchers)} effects were expected", at=len(matchers))
        return self

    def times(self, matcher: Matcher, n: int) -> Self:
        """It was performed `n` times. Raises `InvalidArgument` unless `n` is 0 or more."""
        _check_number("times", n)
        return self._counted("times", matcher, n, n)

    def once(self, matcher: Matcher) -> Self:
        """It was performed once."""
        return self._counted("once", matcher, 1, 1)

    def never(self, matcher: Matcher) -> Self:
        """It was not performed."""
        return self._counted("never", matcher, 0, 0)

    def at_least(self, matcher: Matcher, n: int) -> Self:
        """It was performed `n` times or more."""
        _check_number("at_least", n)
        return self._counted("at_least", matcher, n, None)

    def at_most(self, matcher: Matcher, n: int) -> Self:
        """It was performed `n` times or less."""
        _check_number("at_most", n)
        return self._counted("at_most", matcher, 0, n)

    def only(self, *matchers: Matcher) -> Self:
        """Each of these was performed, and nothing else."""
        self._check("only", matchers)
        for matcher in matchers:
            if not self.count(matcher):
                self._fail(f"{described(matcher)} was expected, and was not performed", matcher)
        for index, effect in enumerate(self):
            if not any(matches(matcher, effect) for matcher in matchers):
                wanted = ", ".join(map(described, matchers)) or "nothing"
                self._fail(f"only {wanted} was expected", at=index)
        return self

    def in_order(self, *matchers: Matcher, finished: bool = False) -> Self:
        """These were performed one after the other, perhaps with others between; with `finished`, each had ended
        before the next began.

        It tells of *this* run, by the order in which effects began. Effects of different branches have no order that
        the next run must keep, unless the plan gives them one.
        """
        self._check("in_order", matchers)
        deeds = sorted(self.deeds, key=lambda deed: deed.began)
        after = -1
        for number, matcher in enumerate(matchers):
            meant = [d for d in deeds if d.began > after and matches(matcher, d.effect)]
            if not meant:
                before = f" after {described(matchers[number - 1])}" if number else ""
                self._fail(f"{described(matcher)} was expected{before}, in this order", matcher)
            # The one that leaves most room for those to come.
            after = min(d.ended if finished else d.began for d in meant)
        return self

    def count(self, value: Any) -> int:
        """How many of these are meant by a matcher."""
        check_matcher("count", value)
        return sum(matches(value, effect) for effect in self)

    def _counted(self, caller: str, matcher: Matcher, least: int, most: int | None) -> Self:
        check_matcher(caller, matcher)
        n = self.count(matcher)
        if n < least or (most is not None and n > most):
            if most is None:
                wanted = f"at least {_times(least)}"
            else:
                wanted = _times(most) if least == most else f"at most {_times(most)}"
            self._fail(f"{described(matcher)} was expected {wanted}, and performed {_times(n)}", matcher)
        return self

    def _check(self, caller: str, matchers: Iterable[object]) -> None:
        for matcher in matchers:
            check_matcher(caller, matcher)

    def _fail(self, message: str, matcher: Matcher | None = None, at: int | None = None) -> None:
        raise AssertionError(f"{message}\n{self._listing(matcher, at)}")

    def _listing(self, matcher: Matcher | None, at: int | None) -> str:
        what = f" {self._what}" if self._what else ""
        if not self.deeds:
            return f"nothing was performed{what}"
        close = None if matcher is None or at is not None else nearest(matcher, self)
        marked = next((i for i, effect in enumerate(self) if effect is close), at)
        first = max(0, min((marked or 0) - _LISTED // 2, len(self) - _LISTED))
        lines = [f"performed{what}:"]
        if first:
            lines.append(f"    ... {first} before")
        for index, deed in enumerate(self.deeds[first : first + _LISTED], first):
            lines.append(f"  {'>' if index == marked else ' '} {deed}")
            if index == marked and matcher is not None:
                lines += [f"        {line}" for line in differences(matcher, deed.effect)]
        if len(self) > first + _LISTED:
            lines.append(f"    ... {len(self) - first - _LISTED} after")
        return "\n".join(lines)


def _meant(matcher: Any, effect: Effect[Any]) -> bool:
    check_matcher("comparing what was performed", matcher)
    return matches(matcher, effect)


def _check_number(caller: str, n: object) -> None:
    if not isinstance(n, int) or isinstance(n, bool) or n < 0:
        raise InvalidArgument(f"{caller} takes a number of times, 0 or more; got {n!r}")


def _times(n: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(n, f"{n} times")
