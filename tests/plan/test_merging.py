"""The three-way merge: its laws, each with a mutant that breaks it, what conflicts, and what it says then."""

import dataclasses
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from itertools import permutations
from types import MappingProxyType
from typing import Any, NamedTuple

import attrs
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lambdacat_effects.errors import InvalidArgument, MergeConflict
from lambdacat_effects.plan import argmax, concat, first, last_wins, three_way_merge

quick = settings(deadline=None, max_examples=60)
Merge = Callable[[Any, Sequence[Any]], Any]

leaves = st.sampled_from([0, 1, True, 1.5, "x", None, (1,), float("nan")])
states = st.recursive(leaves, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3))
mappings = st.dictionaries(st.sampled_from("abc"), states, max_size=3)


@attrs.frozen
class Profile:
    name: Any = ""
    _age: Any = 0
    seen: Any = attrs.field(init=False, default=0)


@dataclasses.dataclass(frozen=True)
class Address:
    city: Any = ""
    street: Any = ""


class Point(NamedTuple):
    x: Any
    y: Any


def outcome(merge: Merge, base: Any, results: Sequence[Any]) -> Any:
    try:
        return repr_of(merge(base, results))
    except MergeConflict:
        return MergeConflict


def repr_of(state: Any) -> Any:
    """A value that tells 1 from True, takes NaN for itself, and forgets the order of keys."""
    if isinstance(state, dict):
        return {key: repr_of(value) for key, value in state.items()}
    return repr(state)


# The laws.


def nothing_changed(merge: Merge, s: Any, a: Any, b: Any) -> None:
    assert repr_of(s) == repr_of(merge(s, [])) == repr_of(merge(s, [s, s]))


def one_change_is_that_change(merge: Merge, s: Any, a: Any, b: Any) -> None:
    assert repr_of(a) == repr_of(merge(s, [a])) == repr_of(merge(s, [s, a])) == repr_of(merge(s, [a, s]))


def idempotent(merge: Merge, s: Any, a: Any, b: Any) -> None:
    assert repr_of(a) == repr_of(merge(s, [a, a, a]))


def commutative(merge: Merge, s: Any, a: Any, b: Any) -> None:
    assert 1 == len({str(sort(outcome(merge, s, order))) for order in permutations([a, b, s])})


def sort(state: Any) -> Any:
    return {k: sort(state[k]) for k in sorted(state)} if isinstance(state, dict) else state


def keeps_every_change(merge: Merge, s: Any, a: Any, b: Any) -> None:
    merged = outcome(merge, s, [a, b])
    if not all(isinstance(x, dict) for x in (s, a, b)) or merged is MergeConflict:
        return
    for k in {*s, *a, *b}:
        held = [repr_of(x.get(k, "absent")) for x in (s, a, b)]
        for value in held[1:]:
            if value != held[0] and held[1:].count(held[0]) == 1:
                assert value == merged.get(k, repr_of("absent"))


LAWS = [nothing_changed, one_change_is_that_change, idempotent, commutative, keeps_every_change]


@pytest.mark.parametrize("law", LAWS)
@given(s=st.one_of(states, mappings), a=st.one_of(states, mappings), b=st.one_of(states, mappings))
@quick
def test_the_merge_is_lawful(law: Any, s: Any, a: Any, b: Any) -> None:
    """For any three states."""
    law(three_way_merge, s, a, b)


def take_last(base: Any, results: Sequence[Any]) -> Any:
    return results[-1] if results else base


def keep_base(base: Any, results: Sequence[Any]) -> Any:
    return base


def later_wins(base: Any, results: Sequence[Any]) -> Any:
    return last_wins(results, base)


def join(base: Any, results: Sequence[Any]) -> Any:
    changed = [r for r in results if repr_of(r) != repr_of(base)]
    return base if not changed else changed[0] if len(changed) == 1 else str(changed)


def drop_shared(base: Any, results: Sequence[Any]) -> Any:
    merged = three_way_merge(base, results)
    if not isinstance(merged, dict) or len(results) < 2:
        return merged
    return {k: v for k, v in merged.items() if isinstance(base, dict) and k in base}


@pytest.mark.parametrize(
    ("law", "mutant"),
    [
        (nothing_changed, lambda base, results: {}),
        (one_change_is_that_change, keep_base),
        (idempotent, join),
        (commutative, later_wins),
        (keeps_every_change, take_last),
        (keeps_every_change, drop_shared),
    ],
)
def test_a_merge_that_breaks_a_law_is_rejected(law: Any, mutant: Merge) -> None:
    """Laws that nothing can fail say nothing."""

    @given(s=mappings, a=mappings, b=mappings)
    @settings(deadline=None, max_examples=300, database=None, derandomize=True, phases=[Phase.generate])
    def check(s: Any, a: Any, b: Any) -> None:
        law(mutant, s, a, b)

    with pytest.raises(AssertionError):
        check()


@pytest.mark.parametrize(
    ("base", "results", "expected"),
    [
        ({"a": 1}, [{"a": 1, "b": 2}, {"a": 1, "c": 3}], {"a": 1, "b": 2, "c": 3}),
        ({"a": 1, "b": 1}, [{"b": 1}, {"a": 1, "b": 2}], {"b": 2}),
        ({"a": 1}, [{}, {}], {}),
        (
            {"a": {"x": 1, "y": 1}},
            [{"a": {"x": 2, "y": 1}}, {"a": {"x": 1, "y": 2}}],
            {"a": {"x": 2, "y": 2}},
        ),
        ({"a": 1}, [{"a": 5}, {"a": 5}], {"a": 5}),
        ("same", ["same", "other"], "other"),
        (3, [3, 3], 3),
        (Profile("n", 1), [Profile("m", 1), Profile("n", 2)], Profile("m", 2)),
        (Address("c", "s"), [Address("d", "s"), Address("c", "t")], Address("d", "t")),
        (Point(1, {"a": 1}), [Point(2, {"a": 1}), Point(1, {"a": 2})], Point(2, {"a": 2})),
        ({"p": Profile("n", 1)}, [{"p": Profile("m", 1)}, {"p": Profile("n", 2)}], {"p": Profile("m", 2)}),
    ],
)
def test_disjoint_changes_merge(base: Any, results: Any, expected: Any) -> None:
    """In mappings, attrs classes, dataclasses and namedtuples, at any depth."""
    assert expected == three_way_merge(base, results)


@pytest.mark.parametrize(
    ("base", "results", "place"),
    [
        ({"a": 1}, [{"a": 2}, {"a": 3}], "state['a']"),
        ({"a": 1}, [{}, {"a": 3}], "state['a']"),
        ({}, [{"a": 2}, {"a": 3}], "state['a']"),
        ({}, [{"a": {"x": 1}}, {"a": {"y": 1}}], "state['a']"),
        ({"a": {"x": {0: 1}}}, [{"a": {"x": {0: 2}}}, {"a": {"x": {0: 3}}}], "state['a']['x'][0]"),
        ({"a": [1]}, [{"a": [1, 2]}, {"a": [1, 3]}], "state['a']"),
        (1, [2, 3], "state"),
        (1, [True, 1.0], "state"),
        (Profile("n"), [Profile("m"), Profile("o")], "state.name"),
        ({"p": Address("c")}, [{"p": Address("d")}, {"p": Address("e")}], "state['p'].city"),
        (Address("c"), [Profile("c"), Point(1, 2)], "state"),
    ],
)
def test_two_values_for_one_key_conflict(base: Any, results: Any, place: str) -> None:
    """The message names the key and the branches, and shows no values: a state may hold secrets."""
    with pytest.raises(MergeConflict) as caught:
        three_way_merge(base, results, ["web", "papers"])
    assert f"the branches 'web' and 'papers' changed {place} to different values" in str(caught.value)


def test_a_conflict_names_the_branches_that_changed_the_key_and_no_others() -> None:
    """Branches of one name are told apart by their number."""
    with pytest.raises(MergeConflict, match=r"the branches 0 and 2 changed"):
        three_way_merge({"a": 1}, [{"a": 2}, {"a": 1}, {"a": 3}])
    with pytest.raises(MergeConflict, match=r"the branches 'web' \(0\) and 'web' \(2\) changed"):
        three_way_merge({"a": 1}, [{"a": 2}, {"a": 1}, {"a": 3}], ["web", "web", "web"])


def test_mappings_keep_their_type() -> None:
    """A `defaultdict` its factory; types that differ become a `dict`."""
    base = defaultdict(list, a=[1], b=[1])
    merged = three_way_merge(base, [defaultdict(list, a=[2], b=[1]), defaultdict(list, a=[1], b=[2])])
    assert defaultdict(list, a=[2], b=[2]) == merged
    assert list is merged.default_factory
    assert {"a": [1], "b": [1]} == base
    proxy = three_way_merge(MappingProxyType({"a": 1}), [MappingProxyType({"a": 1, k: 1}) for k in "bc"])
    assert MappingProxyType is type(proxy)
    mixed: Any = [OrderedDict(a=1, b=1), {"a": 1, "c": 1}]
    assert {"a": 1, "b": 1, "c": 1} == three_way_merge({"a": 1}, mixed)


def test_a_change_of_type_is_a_change() -> None:
    """`1 == True`, and yet the branch changed it."""
    assert True is three_way_merge({"a": 1, "b": 1}, [{"a": True, "b": 1}, {"a": 1, "b": 2}])["a"]


def test_values_that_cannot_be_compared_count_as_changed() -> None:
    """An array compares item by item, and has no truth."""

    class Array:
        def __eq__(self, other: object) -> Any:
            raise ValueError("ambiguous")

        __hash__ = None  # type: ignore[assignment]

    one, two = Array(), Array()
    assert two is three_way_merge({"a": one}, [{"a": one}, {"a": two}])["a"]


def test_last_wins_decides_conflicts_only() -> None:
    """Whatever the earlier branches changed, and the last did not, is kept."""
    assert {"a": 3, "b": 2} == last_wins([{"a": 2, "b": 2}, {"a": 3, "b": 1}], {"a": 1, "b": 1})


def test_concat_first_and_argmax() -> None:
    """LambdaCat's aggregate and choosers."""
    assert "ab" == concat()(["a", "b"])
    assert "" == concat("-")([])
    assert 0 == first()(["b", "a"])
    assert 1 == argmax(len)(["a", "bb", "cc"])
    assert 1 == argmax(float)(["nan", "-1"])
    for choose in (first(), argmax(len)):
        with pytest.raises(InvalidArgument):
            choose([])
