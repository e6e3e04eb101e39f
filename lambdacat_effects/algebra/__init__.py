"""Pure mathematics: lenses, monoids, monads, beliefs and their laws. Nothing here performs an effect."""

from typing import TYPE_CHECKING

from lambdacat_effects._late import late
from lambdacat_effects.algebra.lens import Lens, as_lens, attr, identity, index, key, lens
from lambdacat_effects.algebra.result import MISSING, Err, Missing, Ok, Result

if TYPE_CHECKING:
    from lambdacat_effects.algebra._belief_evidence import Evidence
    from lambdacat_effects.algebra._belief_odds import log_odds, log_opinion_pool, probability, weight_of
    from lambdacat_effects.algebra.belief import BELIEFS, Belief, Beliefs, Reading
    from lambdacat_effects.algebra.belief_state import update_belief
    from lambdacat_effects.algebra.categorical import Categorical, Likelihoods
    from lambdacat_effects.algebra.forgetting import markov_forget, rate_of, temper
    from lambdacat_effects.algebra.kleisli import (
        IDENTITY,
        OPTION,
        RESULT,
        STATE,
        Kleisli,
        Monad,
        writer_monad,
    )
    from lambdacat_effects.algebra.monoid import (
        ALL_OF,
        ANY_OF,
        FIRST,
        LAST,
        LIST,
        MAX,
        MIN,
        PRODUCT,
        SET,
        STRING,
        SUM,
        TUPLE,
        Monoid,
        dict_monoid,
        endo,
        tuple_monoid,
    )
    from lambdacat_effects.algebra.option import NOTHING, Nothing, Option, Some, of
    from lambdacat_effects.algebra.state import State
    from lambdacat_effects.algebra.writer import Writer, tell

__all__ = [
    "ALL_OF",
    "ANY_OF",
    "BELIEFS",
    "FIRST",
    "IDENTITY",
    "LAST",
    "LIST",
    "MAX",
    "MIN",
    "MISSING",
    "NOTHING",
    "OPTION",
    "PRODUCT",
    "RESULT",
    "SET",
    "STATE",
    "STRING",
    "SUM",
    "TUPLE",
    "Belief",
    "Beliefs",
    "Categorical",
    "Err",
    "Evidence",
    "Kleisli",
    "Lens",
    "Likelihoods",
    "Missing",
    "Monad",
    "Monoid",
    "Nothing",
    "Ok",
    "Option",
    "Reading",
    "Result",
    "Some",
    "State",
    "Writer",
    "as_lens",
    "attr",
    "dict_monoid",
    "endo",
    "identity",
    "index",
    "key",
    "lens",
    "log_odds",
    "log_opinion_pool",
    "markov_forget",
    "of",
    "probability",
    "rate_of",
    "tell",
    "temper",
    "tuple_monoid",
    "update_belief",
    "weight_of",
    "writer_monad",
]

if not TYPE_CHECKING:
    __getattr__ = late(
        __name__,
        {
            "_belief_evidence": ("Evidence",),
            "_belief_odds": (
                "log_odds",
                "log_opinion_pool",
                "probability",
                "weight_of",
            ),
            "belief": (
                "BELIEFS",
                "Belief",
                "Beliefs",
                "Reading",
            ),
            "belief_state": ("update_belief",),
            "categorical": (
                "Categorical",
                "Likelihoods",
            ),
            "forgetting": (
                "markov_forget",
                "rate_of",
                "temper",
            ),
            "kleisli": (
                "IDENTITY",
                "OPTION",
                "RESULT",
                "STATE",
                "Kleisli",
                "Monad",
                "writer_monad",
            ),
            "monoid": (
                "ALL_OF",
                "ANY_OF",
                "FIRST",
                "LAST",
                "LIST",
                "MAX",
                "MIN",
                "PRODUCT",
                "SET",
                "STRING",
                "SUM",
                "TUPLE",
                "Monoid",
                "dict_monoid",
                "endo",
                "tuple_monoid",
            ),
            "option": (
                "NOTHING",
                "Nothing",
                "Option",
                "Some",
                "of",
            ),
            "state": ("State",),
            "writer": (
                "Writer",
                "tell",
            ),
        },
    )
