"""Laws to check on instances of one's own: named equations, each with the counter-example that breaks it.

::

    law.py          a law, and what it says when it is broken
    inputs.py       what laws are checked on: collections of examples, or Hypothesis strategies
    drawing.py      the one module that imports Hypothesis, once a strategy is given
    algebra.py      lenses, monoids, functors, monads, Kleisli arrows
    beliefs.py      beliefs: merging, evidence, fading
    handlers.py     handlers: interposers, composition, agreement with a model
    stores.py       engines of the Store port
    outcomes.py     how programs end under a handler, so that two endings can be compared

Each function answers with a list of laws. Give them to pytest one by one:

>>> from lambdacat_effects.algebra import Lens, key
>>> from lambdacat_effects.testing import laws
>>> name: Lens[dict[str, str], str] = key("name")
>>> for law in laws.lens_laws(name, sources=[{"name": "Tom"}, {"name": ""}], values=["Kit", ""]):
...     law.check()

in a test file as `@pytest.mark.parametrize("law", laws.lens_laws(...), ids=str)` over
`def test_my_lens(law): law.check()`.
"""

from lambdacat_effects.testing.laws.algebra import (
    functor_laws,
    kleisli_laws,
    lens_laws,
    monad_laws,
    monoid_laws,
)
from lambdacat_effects.testing.laws.beliefs import Within, belief_laws
from lambdacat_effects.testing.laws.handlers import Make, handler_laws
from lambdacat_effects.testing.laws.inputs import Inputs
from lambdacat_effects.testing.laws.law import Checking, Law, at
from lambdacat_effects.testing.laws.outcomes import Program
from lambdacat_effects.testing.laws.stores import MakeStore, StoreProgram, store_laws

__all__ = [
    "Checking",
    "Inputs",
    "Law",
    "Make",
    "MakeStore",
    "Program",
    "StoreProgram",
    "Within",
    "at",
    "belief_laws",
    "functor_laws",
    "handler_laws",
    "kleisli_laws",
    "lens_laws",
    "monad_laws",
    "monoid_laws",
    "store_laws",
]
