"""Beliefs: log-odds that remember who said what, so that nothing is counted twice and anything can be taken back.

A belief is a prior and one piece of evidence per *source*. It is summed up when it is read, never before::

    log-odds now  =  prior  +  sum over sources of  weight * exp(-rate * age)

A source that speaks again replaces what it said (evidence from one source is correlated: it does not add up). Two
agents' beliefs are merged by taking the newest version from each source, which is idempotent, commutative and
associative, so they may be exchanged in any order, and more than once. What was retracted stays as a version with
weight 0, so that merging an older copy does not bring it back.

The sum is correctly rounded (`math.fsum`), so a reading does not depend on the order of what was learnt. Nothing is
clamped when it is written: with a limit of 5, (3 + 4) - 4 would be 1, and 3 + (4 - 4) would be 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import cast

import attrs

from lambdacat_effects.algebra._belief_evidence import (
    Entries,
    Evidence,
    checked_name,
    entry_named,
    newest,
    next_version,
    order_of,
    sorted_entries,
)
from lambdacat_effects.algebra._belief_odds import (
    checked_finite,
    checked_rate,
    checked_weight,
    kept,
    log_odds,
    log_opinion_pool,
    probability,
    weight_of,
)
from lambdacat_effects.algebra.monoid import Monoid
from lambdacat_effects.errors import Contradiction, InvalidArgument

__all__ = [
    "BELIEFS",
    "Belief",
    "Beliefs",
    "Evidence",
    "Reading",
    "log_odds",
    "log_opinion_pool",
    "probability",
    "weight_of",
]

_UNSTATED = Evidence(0, 0.0)


def _evidence(entries: Entries[Evidence]) -> tuple[tuple[str, Evidence], ...]:
    return sorted_entries("a source", Evidence, entries)


@attrs.frozen
class Reading:
    """What a belief came to when it was read.

    >>> Belief.of(0.5).observed("radar", 2.0).observed("gauge", -0.5).reading()
    Reading(log_odds=1.5, pro=2.0, contra=0.5, sources=2)
    """

    log_odds: float
    """Prior and evidence, summed up, and within the limit if there was one."""
    pro: float
    """The weight of the evidence for it, faded as it has; without the prior."""
    contra: float
    """The weight of the evidence against it, as a positive number. Where both are large, sources disagree; where both
    are 0, nothing is known but the prior."""
    sources: int
    """How many sources say something."""

    @property
    def probability(self) -> float:
        """How likely it is true, from 0.0 to 1.0.

        >>> Belief.of(0.25).reading().probability
        0.25
        """
        return probability(self.log_odds)

    @property
    def doubt(self) -> float:
        """How likely it is false: what is left where the probability has come so near to 1 that it is rounded.

        >>> reading = Belief().observed("proof", 100.0).reading()
        >>> reading.probability, reading.doubt
        (1.0, 3.7...e-44)
        """
        return probability(-self.log_odds)


@attrs.frozen
class Belief:
    """What is believed of one proposition: a prior, which does not fade, and the evidence of each source.

    A value: every change gives another. Raises `InvalidArgument` where the parts are not as they should be.

    >>> rain = Belief.of(0.2).observed("radar", 2.0).observed("radar", 2.5)
    >>> round(rain.reading().probability, 3)
    0.753
    >>> rain.retracted("radar").reading().probability
    0.2
    """

    prior: Evidence = _UNSTATED
    """What is believed before any evidence: in log-odds, with a version of its own. Even odds unless stated."""
    entries: tuple[tuple[str, Evidence], ...] = attrs.field(default=(), converter=_evidence)
    """Each source with what it says, sorted by source. May be given as a mapping."""

    @staticmethod
    def of(probability: float, *, time: float = 0.0) -> Belief:
        """A belief with this prior probability. Raises `InvalidArgument` for 0 and 1, which no evidence could move.

        >>> Belief.of(0.5).reading().log_odds
        0.0
        """
        return Belief().stated(log_odds(probability), time=time)

    @property
    def evidence(self) -> Mapping[str, Evidence]:
        """What each source says, by source; a copy.

        >>> Belief().observed("radar", 2.0).evidence
        {'radar': Evidence(version=1, weight=2.0, time=0.0)}
        """
        return dict(self.entries)

    def stated(self, weight: float, *, time: float = 0.0, version: int | None = None) -> Belief:
        """The belief with another prior, in log-odds; its `version` is the next unless given.

        >>> Belief().stated(-math.inf).reading().probability
        0.0
        """
        stated = Evidence(next_version(self.prior.version, version), weight, time)
        return attrs.evolve(self, prior=max(self.prior, stated, key=order_of))

    def observed(
        self, source: str, weight: float, *, time: float = 0.0, version: int | None = None
    ) -> Belief:
        """The belief after `source` has said `weight`, in log-odds, in place of what it said before.

        `version` is the next unless given: a source that numbers what it says may have it arrive out of order, and
        the newest counts. For evidence that is independent of what the source said, name the source otherwise.

        >>> once = Belief().observed("radar", 2.0)
        >>> once.observed("radar", 2.0).reading() == once.reading()
        True
        """
        checked_name("a source", source)
        held = entry_named(self.entries, source)
        following = next_version(held.version if held else 0, version)
        return self._with(source, Evidence(following, weight, time))

    def retracted(self, source: str, *, time: float = 0.0, version: int | None = None) -> Belief:
        """The belief without what `source` said. The version remains, so that merging an older copy does not bring
        it back. Retracting what does not count changes nothing, unless a `version` is given.

        >>> certain = Belief().observed("oracle", math.inf)
        >>> certain.retracted("oracle").merged(certain).reading().probability
        0.5
        """
        checked_name("a source", source)
        held = entry_named(self.entries, source)
        if version is None and (held is None or held.weight == 0.0):
            return self
        return self._with(source, Evidence(next_version(held.version if held else 0, version), 0.0, time))

    def merged(self, other: Belief) -> Belief:
        """Both beliefs: the newest version from each source, and of the prior. Idempotent, commutative, associative.

        Where one version of a source differs, which only happens if two agents hear it apart, the later counts, then
        a retraction, then the higher weight. Raises `InvalidArgument` for what is no `Belief`.

        >>> shared = Belief().observed("radar", 2.0)
        >>> shared.observed("gauge", 1.0).merged(shared.observed("scout", 1.5)).reading().log_odds
        4.5
        """
        if not isinstance(cast(object, other), Belief):
            raise InvalidArgument(f"a Belief is merged with a Belief; got {other!r}")
        return Belief(max(self.prior, other.prior, key=order_of), newest(self.entries, other.entries))

    def reading(self, now: float | None = None, *, rate: float = 0.0, limit: float | None = None) -> Reading:
        """Prior and evidence summed up, as of `now`, in seconds.

        Each weight has faded by `exp(-rate * age)`, with `rate` per second (see `rate_of`); evidence from after `now`
        has not faded, nor do certainties. `limit`, in log-odds, bounds what is answered, and nothing that is kept.

        Raises `Contradiction` if something is certain that is certainly not, and `InvalidArgument` for a rate without
        `now`.

        >>> Belief.of(0.5).observed("radar", 2.0, time=0.0).reading(10.0, rate=0.1).log_odds == 2.0 * math.exp(-1)
        True
        >>> Belief().observed("radar", 30.0).reading(limit=5.0).log_odds
        5.0
        """
        return self.read("the proposition", now, rate, limit)

    def read(self, proposition: str, now: float | None, rate: float, limit: float | None) -> Reading:
        """`reading`, under a name for messages.

        >>> Belief().read("rain", None, 0.0, None).log_odds
        0.0
        """
        weights = self._faded(now, checked_rate(rate))
        named = [("the prior", self.prior.weight), *((repr(name), weight) for name, weight in weights)]
        for_it = [name for name, weight in named if weight == math.inf]
        against_it = [name for name, weight in named if weight == -math.inf]
        if for_it and against_it:
            raise Contradiction(
                f"{', '.join(for_it)} is certain of {proposition}, and {', '.join(against_it)} of its opposite: "
                "retract what is wrong, or give it a finite weight"
            )
        total = math.fsum(weight for _, weight in named)
        if limit is not None:
            most = checked_weight("a limit", limit)
            if most < 0.0:
                raise InvalidArgument(f"a limit, in log-odds, is at least 0; got {limit!r}")
            total = min(max(total, -most), most)
        pro = [weight for _, weight in weights if weight > 0.0]
        contra = [-weight for _, weight in weights if weight < 0.0]
        said = sum(1 for _, evidence in self.entries if evidence.weight != 0.0)
        return Reading(total, math.fsum(pro), math.fsum(contra), said)

    def pruned(self, now: float, rate: float, *, least: float = 1e-6) -> Belief:
        """The belief without evidence that has faded to less than `least`, in log-odds: for keeping it small.

        Only first versions are taken out: of later ones the version has to stay, as an older copy, merged in, could
        otherwise bring back what they replaced, or what was retracted. So a source that speaks often keeps its entry.

        >>> Belief().observed("radar", 2.0).pruned(now=1000.0, rate=0.1)
        Belief(prior=Evidence(version=0, weight=0.0, time=0.0), entries=())
        """
        checked_finite("least", least)
        faded = dict(self._faded(now, checked_rate(rate)))
        kept_entries = [
            (source, evidence)
            for source, evidence in self.entries
            if evidence.version > 1 or evidence.weight == 0.0 or abs(faded[source]) >= least
        ]
        return attrs.evolve(self, entries=kept_entries)

    def _faded(self, now: float | None, rate: float) -> list[tuple[str, float]]:
        if now is None:
            if rate > 0.0:
                raise InvalidArgument(
                    "evidence fades with its age: give now=, the time in seconds, with rate="
                )
            return [(source, evidence.weight) for source, evidence in self.entries]
        moment = checked_finite("now", now)
        return [
            (source, said.weight if math.isinf(said.weight) else said.weight * kept(rate, moment - said.time))
            for source, said in self.entries
        ]

    def _with(self, source: str, said: Evidence) -> Belief:
        return attrs.evolve(self, entries=newest(self.entries, [(source, said)]))


def _beliefs(entries: Entries[Belief]) -> tuple[tuple[str, Belief], ...]:
    return sorted_entries("a proposition", Belief, entries)


@attrs.frozen
class Beliefs(Mapping[str, Belief]):
    """What an agent believes: a frozen mapping from propositions to beliefs. Every change gives another.

    Of a proposition that is not there nothing is known, which reads as even odds; `[]` raises `KeyError` for it.

    >>> ours = Beliefs().observed("it rains", "radar", 2.0)
    >>> theirs = Beliefs().observed("it rains", "gauge", 1.0).stated("it snows", -3.0)
    >>> both = ours.merged(theirs)
    >>> both.reading("it rains").log_odds, list(both)
    (3.0, ['it rains', 'it snows'])
    """

    entries: tuple[tuple[str, Belief], ...] = attrs.field(default=(), converter=_beliefs)
    """Each proposition with what is believed of it, sorted by proposition. May be given as a mapping."""

    def __getitem__(self, proposition: str) -> Belief:
        found = entry_named(self.entries, proposition)
        if found is None:
            raise KeyError(proposition)
        return found

    def __iter__(self) -> Iterator[str]:
        return (proposition for proposition, _ in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def of(self, proposition: str) -> Belief:
        """What is believed of `proposition`; a `Belief()` of nothing if it is not there.

        >>> Beliefs().of("it rains") == Belief()
        True
        """
        return entry_named(self.entries, proposition) or Belief()

    def stated(
        self, proposition: str, weight: float, *, time: float = 0.0, version: int | None = None
    ) -> Beliefs:
        """`Belief.stated` of one proposition.

        >>> Beliefs().stated("it rains", log_odds(0.25)).reading("it rains").probability
        0.25
        """
        return self.replaced(proposition, self.of(proposition).stated(weight, time=time, version=version))

    def observed(
        self, proposition: str, source: str, weight: float, *, time: float = 0.0, version: int | None = None
    ) -> Beliefs:
        """`Belief.observed` of one proposition.

        >>> Beliefs().observed("it rains", "radar", 2.0).reading("it rains").log_odds
        2.0
        """
        changed = self.of(proposition).observed(source, weight, time=time, version=version)
        return self.replaced(proposition, changed)

    def retracted(
        self, proposition: str, source: str, *, time: float = 0.0, version: int | None = None
    ) -> Beliefs:
        """`Belief.retracted` of one proposition.

        >>> Beliefs().observed("it rains", "radar", 2.0).retracted("it rains", "radar").reading("it rains").sources
        0
        """
        return self.replaced(proposition, self.of(proposition).retracted(source, time=time, version=version))

    def replaced(self, proposition: str, belief: Belief) -> Beliefs:
        """With `belief` in place of what was believed of `proposition`; one of nothing is left out.

        >>> Beliefs({"it rains": Belief.of(0.2)}).replaced("it rains", Belief())
        Beliefs(entries=())
        """
        changed = {**dict(self.entries), checked_name("a proposition", proposition): belief}
        if belief == Belief():
            del changed[proposition]
        return Beliefs(changed)

    def merged(self, other: Beliefs) -> Beliefs:
        """`Belief.merged` of every proposition: idempotent, commutative, associative.

        Raises `InvalidArgument` for what is no `Beliefs`.

        >>> one = Beliefs().observed("it rains", "radar", 2.0)
        >>> one.merged(one) == one
        True
        """
        if not isinstance(cast(object, other), Beliefs):
            raise InvalidArgument(f"Beliefs are merged with Beliefs; got {other!r}")
        merged = dict(self.entries)
        for proposition, belief in other.entries:
            held = merged.get(proposition)
            merged[proposition] = belief if held is None else held.merged(belief)
        return Beliefs(merged)

    def reading(
        self, proposition: str, now: float | None = None, *, rate: float = 0.0, limit: float | None = None
    ) -> Reading:
        """`Belief.reading` of one proposition: even odds if nothing is known of it.

        >>> Beliefs().reading("it rains").probability
        0.5
        """
        checked_name("a proposition", proposition)
        return self.of(proposition).read(repr(proposition), now, rate, limit)

    def pruned(self, now: float, rate: float, *, least: float = 1e-6) -> Beliefs:
        """`Belief.pruned` of every proposition; those of which nothing is left are left out.

        >>> len(Beliefs().observed("it rains", "radar", 2.0).pruned(now=1000.0, rate=0.1))
        0
        """
        pruned = [(name, belief.pruned(now, rate, least=least)) for name, belief in self.entries]
        return Beliefs([(name, belief) for name, belief in pruned if belief != Belief()])


def _merged(ours: Beliefs, theirs: Beliefs) -> Beliefs:
    return ours.merged(theirs)


BELIEFS: Monoid[Beliefs] = Monoid("BELIEFS", Beliefs(), _merged)
"""Merging beliefs, commutative and idempotent: for branches that learn apart, `parallel(..., combine=BELIEFS)`."""
