"""How journals write JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lambdacat_effects.journal.json_text import dumps

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(plain)
def test_it_is_what_the_standard_library_writes(value: Any) -> None:
    """Compactly, whatever is in it; so journals are read by whatever reads JSON."""
    assert dumps(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert json.loads(dumps(value)) == value


def test_half_of_a_surrogate_pair_stays_what_it_is() -> None:
    """As file names may have it."""
    assert dumps(["\ud800"]) == '["\ud800"]'
