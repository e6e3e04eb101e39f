"""The laws of the algebra: lenses, monoids, functors, monads and Kleisli arrows."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeVar, Unpack

from lambdacat_effects.algebra.kleisli import Kleisli, Monad
from lambdacat_effects.algebra.lens import as_lens
from lambdacat_effects.algebra.monoid import Monoid
from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.testing.laws.inputs import Inputs, gathered
from lambdacat_effects.testing.laws.law import Checking, Law, Sides, trying

__all__ = ["functor_laws", "kleisli_laws", "lens_laws", "monad_laws", "monoid_laws"]

A = TypeVar("A")


def _then(f: Kleisli[Any, Any], g: Kleisli[Any, Any]) -> Kleisli[Any, Any]:
    return f >> g


def lens_laws(lens: object, sources: Inputs[Any], values: Inputs[Any], **how: Unpack[Checking]) -> list[Law]:
    """The laws of a lens, or of any object with functions `get(source)` and `set(source, value)`.

    `sources` are values that it fits, `values` what may be put in place of the part. If it has a function
    `modify(source, f)`, that has to agree with the two. Raises `InvalidArgument` if it has no `get` and `set`, or
    there is nothing to check.

    >>> from lambdacat_effects.algebra import lens
    >>> celsius = lens(lambda s: s["c"], lambda s, v: {"c": round(v)}, name="celsius")
    >>> [law.name for law in lens_laws(celsius, [{"c": 20}], [21])]
    ['get-set', 'set-get', 'set-set', 'source kept', 'modify']
    >>> lens_laws(celsius, [{"c": 20}], [21, 21.5])[1].check()
    Traceback (most recent call last):
    lambdacat_effects.errors.LawBroken: the law "set-get" does not hold for celsius: get(set(s, v)) == v
        s = {'c': 20}
        v = 21.5
      left side:  22
      right side: 21.5
    """
    made = as_lens(lens)
    get, set, modify = made.get, made.set, getattr(lens, "modify", None)
    s, v = gathered("sources", sources), gathered("values", values)
    observe, equal = how.get("observe", _itself), how.get("equal", operator.eq)

    def source_kept(s: Any, v: Any) -> tuple[Any, Any]:
        before = observe(get(s)), repr(s)
        set(s, v)
        return (observe(get(s)), repr(s)), before

    def kept(after: tuple[Any, str], before: tuple[Any, str]) -> bool:
        return after[1] == before[1] and bool(equal(after[0], before[0]))

    def modified(s: Any, v: Any) -> tuple[Any, Any]:
        part = get(s)

        def to_v(given: Any) -> Any:
            return v if given == part else given

        assert modify is not None
        return modify(s, to_v), set(s, to_v(part))

    def law(name: str, equation: str, sides: Sides, **inputs: Any) -> Law:
        return Law(name, equation, sides, inputs, about=repr(lens), **how)

    laws = [
        law("get-set", "set(s, get(s)) == s", lambda s: (set(s, get(s)), s), s=s),
        law("set-get", "get(set(s, v)) == v", lambda s, v: (get(set(s, v)), v), s=s, v=v),
        law(
            "set-set",
            "set(set(s, v), w) == set(s, w)",
            lambda s, v, w: (set(set(s, v), w), set(s, w)),
            s=s,
            v=v,
            w=v,
        ),
        Law(
            "source kept",
            "(get(s), repr(s)) is the same after set(s, v)",
            source_kept,
            {"s": s, "v": v},
            about=repr(lens),
            **trying(how),
            equal=kept,
        ),
    ]
    if modify is not None:
        laws.append(
            law("modify", "modify(s, f) == set(s, f(get(s))), where f(get(s)) is v", modified, s=s, v=v)
        )
    return laws


def monoid_laws(
    monoid: Monoid[A],
    values: Inputs[A],
    *,
    commutative: bool = False,
    idempotent: bool = False,
    **how: Unpack[Checking],
) -> list[Law]:
    """The laws of a monoid; also that `combine` does not care for order, or for repetition, if it is said to.

    A merge of branches that end in any order is to be commutative, one of messages that may come twice idempotent.
    Raises `InvalidArgument` if `monoid` is no `Monoid`, or there is nothing to check.

    >>> from lambdacat_effects.algebra import SET
    >>> sets = [frozenset(), frozenset("a"), frozenset("bc")]
    >>> for law in monoid_laws(SET, sets, commutative=True, idempotent=True):
    ...     law.check()
    """
    _require(monoid, Monoid, "monoid_laws()", "Give a Monoid(name, empty, combine).")
    combine, concat = monoid.combine, monoid.concat
    some = gathered("values", values)

    def kept(a: Any, b: Any) -> tuple[Any, Any]:
        before = repr((a, b))
        combine(a, b)
        return repr((a, b)), before

    def law(name: str, equation: str, sides: Sides, names: str) -> Law:
        return Law(name, equation, sides, dict.fromkeys(names, some), about=repr(monoid), **how)

    laws = [
        law("left identity", "combine(empty, a) == a", lambda a: (combine(monoid.empty, a), a), "a"),
        law("right identity", "combine(a, empty) == a", lambda a: (combine(a, monoid.empty), a), "a"),
        law(
            "associativity",
            "combine(combine(a, b), c) == combine(a, combine(b, c))",
            lambda a, b, c: (combine(combine(a, b), c), combine(a, combine(b, c))),
            "abc",
        ),
        law("concat of none", "concat([]) == empty", lambda: (concat([]), monoid.empty), ""),
        law("concat of one", "concat([a]) == a", lambda a: (concat([a]), a), "a"),
        law(
            "concat in parts",
            "concat([a, b, c]) == combine(concat([a]), concat([b, c]))",
            lambda a, b, c: (concat([a, b, c]), combine(concat([a]), concat([b, c]))),
            "abc",
        ),
        # Of texts, whatever `observe` makes of values.
        Law(
            "arguments kept",
            "repr((a, b)) is the same after combine(a, b)",
            kept,
            {"a": some, "b": some},
            about=repr(monoid),
            **trying(how),
        ),
    ]
    if commutative:
        both = "combine(a, b) == combine(b, a)"
        laws.append(law("commutativity", both, lambda a, b: (combine(a, b), combine(b, a)), "ab"))
    if idempotent:
        laws.append(law("idempotence", "combine(a, a) == a", lambda a: (combine(a, a), a), "a"))
    return laws


def functor_laws(
    map: Callable[[Any, Callable[[Any], Any]], Any],
    steps: Inputs[Any],
    functions: Inputs[Callable[[Any], Any]],
    **how: Unpack[Checking],
) -> list[Law]:
    """The laws of `map(step, function)`: it changes the values in a step and nothing else.

    `functions` are functions from a value to one of the same kind. Raises `InvalidArgument` if `map` cannot be
    called, or there is nothing to check.

    >>> from lambdacat_effects.algebra import NOTHING, Some
    >>> for law in functor_laws(lambda m, f: m.map(f), [NOTHING, Some(2)], [str, repr]):
    ...     law.check()
    """
    _require_callable(map, "functor_laws()", "map(step, function)")
    m, f = gathered("steps", steps), gathered("functions", functions)
    return [
        Law("identity", "map(m, lambda x: x) == m", lambda m: (map(m, _itself), m), {"m": m}, **how),
        Law(
            "composition",
            "map(map(m, f), g) == map(m, lambda x: g(f(x)))",
            lambda m, f, g: (map(map(m, f), g), map(m, lambda x: g(f(x)))),
            {"m": m, "f": f, "g": f},
            **how,
        ),
    ]


def monad_laws(
    monad: Monad,
    values: Inputs[Any],
    steps: Inputs[Any],
    arrows: Inputs[Callable[[Any], Any]],
    *,
    map: Callable[[Any, Callable[[Any], Any]], Any] | None = None,
    functions: Inputs[Callable[[Any], Any]] | None = None,
    **how: Unpack[Checking],
) -> list[Law]:
    """The laws of a monad: what `pure` makes does nothing, and steps may be grouped at will.

    `arrows` are functions from a value to a step. With `map(step, function)` and `functions` of a value, mapping has
    to agree with binding. Steps that have to be run before they can be compared need `observe=`: see `at`.

    Raises `InvalidArgument` if `monad` is no `Monad`, if only one of `map` and `functions` is given, or there is
    nothing to check.

    >>> from lambdacat_effects.algebra import STATE, State
    >>> from lambdacat_effects.testing.laws import at
    >>> tick = State.modify(lambda n: n + 1)
    >>> steps, arrows = [State.get(), tick.map(lambda _: 2)], [State.put, State.pure]
    >>> for law in monad_laws(STATE, [0, 7], steps, arrows, observe=at(0, 5)):
    ...     law.check()
    """
    _require(monad, Monad, "monad_laws()", "Give a Monad(name, pure, bind).")
    if (map is None) != (functions is None):
        raise InvalidArgument("monad_laws() was given one of map= and functions=. Give both, or neither.")
    pure, bind = monad.pure, monad.bind
    a, m, f = gathered("values", values), gathered("steps", steps), gathered("arrows", arrows)

    def law(name: str, equation: str, sides: Sides, **inputs: Any) -> Law:
        return Law(name, equation, sides, inputs, about=repr(monad), **how)

    laws = [
        law("left identity", "bind(pure(a), f) == f(a)", lambda a, f: (bind(pure(a), f), f(a)), a=a, f=f),
        law("right identity", "bind(m, pure) == m", lambda m: (bind(m, pure), m), m=m),
        law(
            "associativity",
            "bind(bind(m, f), g) == bind(m, lambda x: bind(f(x), g))",
            lambda m, f, g: (bind(bind(m, f), g), bind(m, lambda x: bind(f(x), g))),
            m=m,
            f=f,
            g=f,
        ),
    ]
    if map is not None:
        _require_callable(map, "monad_laws()", "map(step, function)")
        laws.append(
            law(
                "map is bind",
                "map(m, p) == bind(m, lambda x: pure(p(x)))",
                lambda m, p: (map(m, p), bind(m, lambda x: pure(p(x)))),
                m=m,
                p=gathered("functions", functions),
            )
        )
    return laws


def kleisli_laws(
    monad: Monad,
    arrows: Inputs[Kleisli[Any, Any] | Callable[[Any], Any]],
    values: Inputs[Any],
    *,
    compose: Callable[[Kleisli[Any, Any], Kleisli[Any, Any]], Kleisli[Any, Any]] = _then,
    identity: Kleisli[Any, Any] | None = None,
    **how: Unpack[Checking],
) -> list[Law]:
    """The laws of a monad's arrows: composition is associative, is `bind`, and has an identity on either side.

    `arrows` are `Kleisli` arrows, or functions from a value to a step; they are compared by what they answer to
    `values`. `compose` and `identity` are those of `Kleisli` unless given.

    Raises `InvalidArgument` if `monad` is no `Monad`, or there is nothing to check.

    >>> from lambdacat_effects.algebra import NOTHING, OPTION, Some
    >>> half = Kleisli(OPTION, lambda n: Some(n // 2) if n % 2 == 0 else NOTHING)
    >>> for law in kleisli_laws(OPTION, [half, Kleisli.lift(OPTION, abs)], [12, 6, -1]):
    ...     law.check()
    """
    _require(monad, Monad, "kleisli_laws()", "Give a Monad(name, pure, bind).")
    unit = Kleisli[Any, Any].identity(monad) if identity is None else identity
    f, a = gathered("arrows", arrows), gathered("values", values)

    def arrow(given: Any) -> Kleisli[Any, Any]:
        return given if isinstance(given, Kleisli) else Kleisli(monad, given)  # pyright: ignore[reportUnknownVariableType]

    def law(name: str, equation: str, sides: Sides, names: str) -> Law:
        return Law(name, equation, sides, dict.fromkeys(names, f) | {"a": a}, about=repr(monad), **how)

    def associativity(f: Any, g: Any, h: Any, a: Any) -> tuple[Any, Any]:
        f, g, h = arrow(f), arrow(g), arrow(h)
        return compose(compose(f, g), h).run(a), compose(f, compose(g, h)).run(a)

    return [
        law(
            "left identity",
            "(identity >> f)(a) == f(a)",
            lambda f, a: (compose(unit, arrow(f)).run(a), arrow(f).run(a)),
            "f",
        ),
        law(
            "right identity",
            "(f >> identity)(a) == f(a)",
            lambda f, a: (compose(arrow(f), unit).run(a), arrow(f).run(a)),
            "f",
        ),
        law("associativity", "((f >> g) >> h)(a) == (f >> (g >> h))(a)", associativity, "fgh"),
        law(
            "composition is bind",
            "(f >> g)(a) == bind(f(a), g)",
            lambda f, g, a: (compose(arrow(f), arrow(g)).run(a), monad.bind(arrow(f).run(a), arrow(g).run)),
            "fg",
        ),
    ]


def _itself(x: Any) -> Any:
    return x


def _require(given: object, kind: type, where: str, advice: str) -> None:
    if not isinstance(given, kind):
        raise InvalidArgument(f"{where} was given {given!r}. {advice}")


def _require_callable(given: object, where: str, what: str) -> None:
    if not callable(given):
        raise InvalidArgument(f"{where} was given {given!r} as its {what}. Give a function.")
