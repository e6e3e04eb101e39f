"""Whether a law holds of a function, and whether it finds a mutant."""

import pytest
from hypothesis import Phase, given, settings


def passes(law, instances, function):
    """Check a law by examples."""

    @settings(max_examples=150, deadline=None)
    @given(instances)
    def check(instance):
        law(function, instance)

    check()


def rejects(law, instances, mutant):
    """Check that a law has a counterexample."""

    @settings(
        max_examples=1000,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
    )
    @given(instances)
    def check(instance):
        law(mutant, instance)

    with pytest.raises(AssertionError):
        check()
