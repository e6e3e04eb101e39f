"""Inputs drawn, and the counter-example shrunk, by Hypothesis. The one module of the laws that imports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import Phase, Verbosity, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, HypothesisException

from lambdacat_effects.testing.laws.inputs import is_strategy

__all__ = ["draw_counter_example"]

_CounterExample = Callable[[dict[str, Any], tuple[type[Exception], ...]], AssertionError | None]


def draw_counter_example(
    counter_example: _CounterExample,
    inputs: Mapping[str, Any],
    chosen: settings | None,
    max_examples: int | None,
) -> tuple[AssertionError | None, bool]:
    """The smallest counter-example that Hypothesis finds, if any, and whether it is one each time it is tried.

    The same examples are drawn each time, unless `chosen` settings say otherwise. A collection among the strategies
    is sampled from. What Hypothesis has to say about the strategies (`Unsatisfiable`, `FailedHealthCheck`) passes.
    """
    found: list[AssertionError] = []

    def holds(drawn: dict[str, Any]) -> None:
        # In the order of the inputs, which is not the one that Hypothesis draws in.
        broken = counter_example({name: drawn[name] for name in inputs}, (HypothesisException,))
        if broken is not None:
            found.append(broken)
            raise broken

    strategies = {name: some if is_strategy(some) else st.sampled_from(some) for name, some in inputs.items()}
    checking = _settings(chosen, max_examples)(given(st.fixed_dictionaries(strategies))(holds))
    try:
        checking()
    except Flaky:
        if not found:
            raise
        return found[-1], False
    except AssertionError:
        if not found:
            raise
        return found[-1], True  # Hypothesis tries the smallest one last
    return None, True


def _settings(chosen: settings | None, max_examples: int | None) -> settings:
    # Neither a deadline nor a database: whether a law holds depends on its inputs alone, and so does its message.
    made = chosen or settings(derandomize=True, deadline=None, database=None, verbosity=Verbosity.quiet)
    return settings(
        made,
        max_examples=made.max_examples if max_examples is None else max_examples,
        phases=[phase for phase in made.phases if phase is not Phase.explain],
        report_multiple_bugs=False,
        print_blob=False,
    )
