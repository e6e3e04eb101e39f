"""A law: which inputs it is checked on, what it says when it is broken, and that it cannot pass unchecked."""

import functools
import itertools
import math
import re
import subprocess
import sys
import traceback
from typing import Any

import pytest
from hypothesis import HealthCheck, Verbosity, given, settings
from hypothesis import strategies as st
from hypothesis.errors import FailedHealthCheck, Unsatisfiable

from lambdacat_effects.algebra import OPTION, Kleisli, Some, State
from lambdacat_effects.errors import InvalidArgument, LambdacatError, LawBroken
from lambdacat_effects.testing import laws
from lambdacat_effects.testing.laws import Law


def halves(n: Any, **how: Any) -> Law:
    return Law("halves", "n // 2 * 2 == n", lambda n: (n // 2 * 2, n), {"n": n}, **how)


def message_of(law: Law) -> str:
    with pytest.raises(LawBroken) as caught:
        law.check()
    return str(caught.value)


def test_a_law_that_holds_says_nothing() -> None:
    """On examples and on drawn inputs alike."""
    halves([0, 2, -4]).check()
    halves(st.integers().map(lambda n: n * 2)).check()


def test_a_broken_law_shows_its_equation_the_first_example_and_both_sides() -> None:
    """Examples are tried in their order."""
    assert (
        'the law "halves" does not hold: n // 2 * 2 == n\n    n = 7\n  left side:  6\n  right side: 7'
    ) == message_of(halves([2, 7, 1]))


def test_a_drawn_counter_example_is_shrunk() -> None:
    """Hypothesis finds the smallest, and adds nothing of its own to the error."""
    with pytest.raises(LawBroken) as caught:
        halves(st.integers()).check()
    assert 'the law "halves" does not hold: n // 2 * 2 == n\n    n = 1\n' in str(caught.value)
    assert not hasattr(caught.value, "__notes__")
    told = "".join(traceback.format_exception(caught.value))
    assert "Falsifying" not in told
    assert "another exception" not in told


def test_a_broken_law_is_a_failed_assertion_and_one_of_our_errors() -> None:
    """pytest counts it as a failure, and `except LambdacatError` meets it."""
    assert issubclass(LawBroken, AssertionError)
    assert issubclass(LawBroken, LambdacatError)


def test_drawing_is_the_same_in_each_run() -> None:
    """Unless settings say otherwise, a law sees the same inputs every time."""

    def drawn(**how: Any) -> list[int]:
        seen: list[int] = []
        Law("any", "n == n", lambda n: (seen.append(n), None), {"n": st.integers()}, **how).check()
        return seen

    assert drawn() == drawn()
    seeded = settings(derandomize=False, database=None)
    assert drawn(settings=seeded) != drawn(settings=seeded)
    assert 7 == len(drawn(max_examples=7))
    assert 5 == len(drawn(settings=settings(max_examples=5)))
    assert 6 == len(drawn(settings=settings(max_examples=5), max_examples=6))


def test_all_combinations_of_examples_are_tried() -> None:
    """In order, the last input fastest; a collection that can be read once only is read once."""
    seen: list[Any] = []
    inputs = {"a": iter([1, 2]), "b": "xy", "c": {None}}
    Law("any", "", lambda a, b, c: (seen.append((a, b, c)), None), inputs).check()
    assert list(itertools.product([1, 2], "xy", [None])) == seen


def test_too_many_combinations_are_sampled_evenly() -> None:
    """As many as `max_examples`, all different, and every example occurs."""
    seen: list[Any] = []
    hundred = range(100)
    inputs = {"a": hundred, "b": hundred, "c": hundred}
    Law("any", "", lambda a, b, c: (seen.append((a, b, c)), None), inputs, max_examples=2_000).check()
    assert 2_000 == len(set(seen)) == len(seen)
    assert [set(hundred)] * 3 == [{tried[i] for tried in seen} for i in range(3)]
    seen.clear()
    Law("any", "", lambda a, b, c: (seen.append((a, b, c)), None), inputs).check()
    assert 10_000 == len(seen)


def test_examples_and_strategies_may_be_mixed() -> None:
    """A collection among strategies is sampled from."""
    law = Law("sum", "a + b < 5", lambda a, b: (a + b < 5, True), {"a": [1, 2, 4], "b": st.integers(0, 3)})
    assert "    a = 2\n    b = 3\n" in message_of(law) or "    a = 4\n    b = 1\n" in message_of(law)


def test_drawn_inputs_come_in_their_order() -> None:
    """Whatever order they are drawn in."""
    inputs = {name: st.just(name) for name in "bcad"} | {"a": st.sampled_from("a")}
    Law("order", "", lambda b, c, a, d: (b + c + a + d, "bcad"), inputs).check()


def test_a_law_without_inputs_is_checked_once() -> None:
    """An equation between constants is one, too."""
    Law("one", "1 == 1", lambda: (1, 1), {}).check()
    assert "left side:  1\n  right side: 2" in message_of(Law("one", "1 == 2", lambda: (1, 2), {}))


def test_equality_can_be_given() -> None:
    """For floats, say; what it answers counts as true or false."""
    law = functools.partial(Law, "thirds", "a / 3 * 3 == a", lambda a: (a / 3 * 3 + 1e-16, a), {"a": [0.1]})
    assert "left side:  0.1000000000000" in message_of(law(equal=lambda a, b: a == b and [1]))
    law(equal=math.isclose).check()


def test_what_is_observed_is_compared_and_shown() -> None:
    """Functions and states are compared by what they answer at a few points."""
    assert [0, 25] == laws.at(0, 5)(lambda n: n * n)
    assert [("a", 0), ("a", 5)] == laws.at(0, 5)(State.pure("a"))
    law = functools.partial(
        Law, "square", "square == f", lambda f: (lambda n: n * n, f), observe=laws.at(2, 3)
    )
    law({"f": [lambda n: n**2]}).check()
    assert "  left side:  [4, 9]\n  right side: [4, 6]" in message_of(law({"f": [lambda n: n * 2]}))


def test_a_function_is_shown_by_its_place_and_the_calls_that_matter() -> None:
    """A lambda's own repr says nothing; which of its answers break the law does."""
    law = Law("even", "f(n) is even", lambda f, n: (f(n) % 2, 0), {"f": [lambda n: n + 1], "n": [1, 4]})
    assert re.search(r"f = <lambda> \(test_laws\.py:\d+\), where f\(4\) = 5\n    n = 4\n", message_of(law))


def test_a_drawn_function_is_shown_with_its_calls() -> None:
    """So a counter-example with functions of Hypothesis can be read, too."""
    functions = st.functions(like=lambda n: ..., returns=st.integers(), pure=True)
    law = Law("zero", "f(1) == 0", lambda f: (f(1), 0), {"f": functions})
    assert "where f(1) = 1\n  left side:  1\n" in message_of(law)


def test_an_arrow_is_shown_by_its_function_and_its_calls() -> None:
    """An arrow is a function under another name."""
    arrow = Kleisli(OPTION, lambda n: Some(n + 1))
    law = Law("same", "f(n) == Some(n)", lambda f: (f.run(3), Some(3)), {"f": [arrow]})
    told = message_of(law)
    assert re.search(
        r"f = Kleisli\(OPTION, <lambda> \(test_laws\.py:\d+\)\), where f\(3\) = Some\(value=4\)", told
    )


def test_a_side_that_raises_breaks_the_law() -> None:
    """The message names the error, which is also the cause, with its traceback."""
    law = Law("inverse", "1 / n * n == 1", lambda n: (1 / n * n, 1), {"n": st.integers()}, about="division")
    with pytest.raises(LawBroken) as caught:
        law.check()
    assert (
        'the law "inverse" does not hold for division: 1 / n * n == 1\n    n = 0\n'
        "  raised ZeroDivisionError('division by zero')"
    ) == str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_inputs_are_shown_as_they_were_given() -> None:
    """Also if what is checked changes them, or they cannot be shown."""

    class Mute:
        def __repr__(self) -> str:
            raise ValueError("no")

    law = Law("pop", "", lambda xs, _: (xs.pop(), None), {"xs": [[1, 2]], "mute": [Mute()]})
    told = message_of(law)
    assert "    xs = [1, 2]\n" in told
    assert "    mute = <Mute, whose repr raised ValueError('no')>\n" in told


def test_a_law_that_is_broken_by_chance_says_so() -> None:
    """What does not depend on its inputs alone cannot be shrunk; it is broken nevertheless."""
    tosses = itertools.count()
    law = Law("chance", "toss(n) == toss(n)", lambda n: (next(tosses) == 3, False), {"n": st.integers()})
    assert message_of(law).endswith("tried again it held: the outcome depends on more than these inputs")


def test_a_law_is_named_and_can_be_called() -> None:
    """`ids=str` names it, and it is a test by itself."""
    law = halves([1])
    assert ["halves", "<law halves: n // 2 * 2 == n>"] == [str(law), repr(law)]
    with pytest.raises(LawBroken):
        law()
    halves([2])()


@pytest.mark.parametrize("law", [halves([2]), halves(st.just(2))], ids=str)
def test_laws_are_parameters_of_a_test(law: Law) -> None:
    """As users write it."""
    law.check()


@settings(max_examples=5, deadline=None)
@given(st.integers())
def test_examples_can_be_checked_within_a_test_of_drawn_inputs(n: int) -> None:
    """A law of examples draws nothing, so nothing is nested."""
    halves([n * 2]).check()
    assert f"n = {n * 2 + 1}" in message_of(halves([n * 2 + 1]))


def test_drawing_within_drawing_is_refused_or_allowed_as_everywhere() -> None:
    """Hypothesis' own health check, and its own way to switch it off."""

    def nested(**how: Any) -> None:
        @settings(max_examples=1, database=None, **how)
        @given(st.just(2))
        def outer(n: int) -> None:
            halves(st.just(n)).check()

        outer()

    with pytest.raises(FailedHealthCheck, match=r"[Nn]est"):
        nested()
    nested(suppress_health_check=[HealthCheck.nested_given])


# Nothing passes unchecked.


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            [],
            "n has no examples, and a law that is checked on nothing proves nothing. Give a list of examples,",
        ),
        (iter(()), "n has no examples"),
        (3, "n is 3, neither a collection of examples nor a strategy. Give a list"),
        ({"a": 1}, "n is one mapping, {'a': 1}. Give a list of examples, or a Hypothesis strategy."),
        (itertools.count(), "n has more than 100,000 examples. Give fewer, or a strategy."),
    ],
)
def test_inputs_that_check_nothing_are_refused_at_once(inputs: Any, message: str) -> None:
    """When the law is made, so when tests are collected."""
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        halves(inputs)


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "7"])
def test_max_examples_is_a_positive_whole_number(count: Any) -> None:
    """None would be a check of nothing."""
    with pytest.raises(InvalidArgument, match=re.escape(f"max_examples is {count!r}. Give a whole number")):
        halves([1], max_examples=count)


@pytest.mark.parametrize("nothing", [st.nothing(), st.integers().filter(lambda n: False)])
def test_a_strategy_that_draws_nothing_is_an_error(nothing: Any) -> None:
    """Hypothesis says so itself; a filter that lets nothing pass is one of its health checks."""
    with pytest.raises((Unsatisfiable, FailedHealthCheck)):
        halves(nothing, settings=settings(verbosity=Verbosity.quiet)).check()


def test_there_are_points_to_observe_at() -> None:
    """At none of them, everything would be equal."""
    with pytest.raises(InvalidArgument, match="at\\(\\) was given no points"):
        laws.at()


def test_examples_need_no_hypothesis() -> None:
    """Neither importing the laws nor checking examples loads it, or pytest."""
    script = (
        "import sys\n"
        "from lambdacat_effects.testing import laws\n"
        "from lambdacat_effects.algebra import SUM\n"
        "for law in laws.monoid_laws(SUM, [1, 2]): law.check()\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('hypothesis', 'pytest', '_pytest')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ("[]\n", "") == (done.stdout, done.stderr)


def test_what_hypothesis_and_users_raise_while_drawing_passes() -> None:
    """An error in a strategy is no counter-example."""

    def fails(n: int) -> int:
        raise AssertionError("in the strategy")

    with pytest.raises(AssertionError, match="in the strategy") as caught:
        halves(st.integers().map(fails)).check()
    assert not isinstance(caught.value, LawBroken)
