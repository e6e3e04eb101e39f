"""Kleisli arrows are a category for every monad; and what `Monad` values do and say."""

import importlib
import pkgutil
import re
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lambdacat_effects.algebra as algebra
from lambdacat_effects.algebra import (
    IDENTITY,
    LIST,
    NOTHING,
    OPTION,
    RESULT,
    STATE,
    STRING,
    SUM,
    Err,
    Kleisli,
    Monad,
    Ok,
    Some,
    State,
    Writer,
    writer_monad,
)
from lambdacat_effects.errors import InvalidArgument, LawBroken, Misuse
from lambdacat_effects.testing.laws import kleisli_laws

quick = settings(deadline=None, max_examples=30)


def seen(step: Any) -> Any:
    """Of states what they do from a few first states, since that is what equality of functions means."""
    return [step.run(s) for s in (-1, 0, 5)] if isinstance(step, State) else step


def same(expected: Any, actual: Any) -> None:
    assert seen(expected) == seen(actual)


LAWS = ["left identity", "right identity", "associativity", "composition is bind"]

integers = st.integers(-50, 50)
no, nay = ValueError("no"), KeyError("nay")

# For each monad: how a number becomes a step that does something, and the steps that fail.
MONADS: dict[str, tuple[Monad, Any, list[Any]]] = {
    "IDENTITY": (IDENTITY, lambda n: n, []),
    "OPTION": (OPTION, Some, [NOTHING]),
    "RESULT": (RESULT, Ok, [Err(no), Err(nay)]),
    "writer": (writer_monad(LIST), lambda n: Writer(n, [n], LIST), []),
    "STATE": (STATE, lambda n: State(lambda s: (n + s, s * 2 + n)), []),
}


def arrows(monad: Monad, wrap: Any, failures: list[Any]) -> Any:
    """Arrows n -> wrap(k * n + d), which fail for the multiples of three if the monad has failures."""
    return st.builds(
        lambda k, d, failure: Kleisli(
            monad, lambda n: failure if failure is not None and n % 3 == 0 else wrap(k * n + d)
        ),
        integers,
        integers,
        st.sampled_from([None, *failures]),
    )


@pytest.mark.parametrize(("monad", "wrap", "failures"), MONADS.values(), ids=MONADS)
def test_the_arrows_of_every_monad_are_a_category(monad: Monad, wrap: Any, failures: Any) -> None:
    """Composition is associative, is `bind`, and has a two-sided identity."""
    some = arrows(monad, wrap, failures)
    for law in kleisli_laws(monad, some, integers, observe=seen, max_examples=30):
        law.check()


def test_compositions_are_equal_however_they_are_grouped() -> None:
    """By `==`, not only in what they answer."""
    f, g, h = (Kleisli.lift(OPTION, function) for function in (abs, double, str))
    assert ((f >> g) >> h).run == (f >> (g >> h)).run


def mutant(name: str, monad: Monad, g: Any) -> dict[str, Any]:
    """The identity or the composition with the one flaw that the law is there to find."""
    match name:
        case "left identity" | "right identity":
            return {"identity": Kleisli.lift(monad, lambda n: n + 1)}
        case "associativity":
            return {"compose": lambda x, y: x if y is g else x >> y}
        case "composition is bind":
            return {"compose": lambda x, y: y >> x}
    raise NotImplementedError(name)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(("monad", "wrap", "_"), MONADS.values(), ids=MONADS)
def test_every_law_rejects_a_mutant_of_every_category(name: str, monad: Monad, wrap: Any, _: Any) -> None:
    """On the same example each law accepts the category and rejects it with the flaw it is there to find."""
    some = [Kleisli(monad, lambda n, k=k: wrap(n * k + 1)) for k in (2, 3, 5)]

    def check(**wrong: Any) -> None:
        laws = kleisli_laws(monad, some, [7], observe=seen, **wrong)
        laws[LAWS.index(name)].check()

    check()
    with pytest.raises(LawBroken, match=f'the law "{name}"'):
        check(**mutant(name, monad, some[1]))


def lifting_keeps_composition(lift: Any, monad: Monad, p: Any, q: Any, a: Any) -> None:
    same(lift(monad, lambda x: q(p(x))).run(a), (lift(monad, p) >> lift(monad, q)).run(a))


def lifting_keeps_identity(lift: Any, monad: Monad, p: Any, q: Any, a: Any) -> None:
    same(Kleisli.identity(monad).run(a), lift(monad, lambda x: x).run(a))


def lifting_is_pure_after_the_function(lift: Any, monad: Monad, p: Any, q: Any, a: Any) -> None:
    same(monad.pure(p(a)), lift(monad, p).run(a))


LIFT_LAWS = [lifting_keeps_composition, lifting_keeps_identity, lifting_is_pure_after_the_function]


def double(n: Any) -> Any:
    return n * 2


@pytest.mark.parametrize(("monad", "_", "__"), MONADS.values(), ids=MONADS)
@quick
@given(a=integers, d=integers)
def test_lifting_is_a_functor(monad: Monad, _: Any, __: Any, a: int, d: int) -> None:
    """Lifting plain functions keeps identity and composition, and adds no effect."""
    for law in LIFT_LAWS:
        law(Kleisli.lift, monad, lambda n: n + d, double, a)


@pytest.mark.parametrize(
    ("law", "wrong"),
    [
        (lifting_keeps_composition, lambda m, f: Kleisli.lift(m, lambda x: f(x) + 1)),
        (lifting_keeps_identity, lambda m, f: Kleisli.lift(m, lambda x: f(x) + 1)),
        (lifting_is_pure_after_the_function, lambda m, f: Kleisli.identity(m)),
    ],
)
def test_every_law_of_lifting_rejects_its_mutant(law: Any, wrong: Any) -> None:
    """On one example each law accepts `lift` and rejects a lifting that breaks it."""
    law(Kleisli.lift, OPTION, double, double, 7)
    with pytest.raises(AssertionError):
        law(wrong, OPTION, double, double, 7)


@pytest.mark.parametrize(("monad", "_", "__"), MONADS.values(), ids=MONADS)
def test_a_sequence_of_2_000_arrows_does_not_recurse(monad: Monad, _: Any, __: Any) -> None:
    """However it is nested, a long sequence needs no deep stack."""
    step = Kleisli.lift(monad, lambda n: n + 1)
    left = right = step
    for _count in range(999):
        left, right = left >> step, step >> right
    same(monad.pure(2_000), (left >> right).run(0))


def test_arrows_stop_at_the_first_failure() -> None:
    """What comes after a failure is not asked."""
    asked: list[int] = []
    after = Kleisli(RESULT, lambda n: Ok(asked.append(n)))
    assert Err(no) == (Kleisli(RESULT, lambda n: Err(no)) >> after).run(1)
    assert [] == asked


def test_an_arrow_can_be_written_like_its_type() -> None:
    """`Kleisli[int, str](...)` is the same arrow."""
    assert Some("3") == (Kleisli[int, int](OPTION, Some) >> Kleisli.lift(OPTION, str)).run(3)


# attempt


@pytest.mark.parametrize(
    ("expected", "monad"),
    [(3, IDENTITY), (Some(3), OPTION), (Ok(3), RESULT), (Writer(3, "", STRING), writer_monad(STRING))],
)
def test_attempt_lifts_what_succeeds(expected: Any, monad: Monad) -> None:
    """A computation that succeeds becomes a step that does nothing else."""
    assert expected == monad.attempt(lambda: 3)


def test_attempt_in_state_leaves_the_state() -> None:
    """The lifted value comes with the state it was given."""
    assert (3, "s") == STATE.attempt(lambda: 3).run("s")


def raises(error: BaseException) -> Any:
    def thunk() -> Any:
        raise error

    return thunk


@pytest.mark.parametrize(("expected", "monad"), [(NOTHING, OPTION), (Err(no), RESULT)])
def test_attempt_turns_an_exception_into_a_failure(expected: Any, monad: Monad) -> None:
    """A monad with failures takes the exception for one; `Err` keeps the very object."""
    assert expected == monad.attempt(raises(no))


@pytest.mark.parametrize("monad", [IDENTITY, STATE, writer_monad(LIST)])
def test_attempt_lets_exceptions_pass_where_nothing_can_fail(monad: Monad) -> None:
    """A monad without failures has no place for an exception."""
    with pytest.raises(ValueError, match="no") as caught:
        monad.attempt(raises(no))
    assert caught.value is no


@pytest.mark.parametrize("error", [Misuse("wrong"), InvalidArgument("wrong"), KeyboardInterrupt("stop")])
@pytest.mark.parametrize(("monad", "_", "__"), MONADS.values(), ids=MONADS)
def test_misuse_and_interrupts_always_pass(monad: Monad, _: Any, __: Any, error: BaseException) -> None:
    """A wrong program is no outcome, and neither is a request to stop: no monad hides them."""
    with pytest.raises(type(error)) as caught:
        monad.attempt(raises(error))
    assert caught.value is error


# Monads as values.


def test_a_monad_of_ones_own_needs_a_name_and_two_functions() -> None:
    """By default nothing fails: `attempt` lets exceptions pass and `or_else` is the first."""
    many = Monad("many", lambda a: [a], lambda m, f: [b for a in m for b in f(a)])
    assert [1, 10, 2, 20] == Kleisli(many, lambda n: [n, n * 10]).run(1) + many.attempt(lambda: 2) + [20]
    assert [1] == many.or_else([1], lambda: [2])
    with pytest.raises(ValueError, match="no"):
        many.attempt(raises(no))


def test_monads_are_values_and_print_their_names() -> None:
    """Monads built alike are equal, so their arrows compose."""
    assert {writer_monad(LIST)} == {writer_monad(LIST), writer_monad(LIST)}
    assert writer_monad(LIST) != writer_monad(STRING)
    assert "[OPTION, writer_monad(LIST)]" == repr([OPTION, writer_monad(LIST)])
    first, second = Kleisli.lift(writer_monad(LIST), double), Kleisli.lift(writer_monad(LIST), double)
    assert 8 == (first >> second).run(2).value


def not_a_step(_: Any) -> Any:
    return 3


arrow = Kleisli.lift(RESULT, str)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: arrow >> Kleisli.lift(OPTION, str),
            "an arrow of the monad RESULT was composed with one of OPTION. Give both the same monad: convert the "
            "answer of one of them first.",
        ),
        (
            lambda: Kleisli.lift(writer_monad(SUM), str).then(Kleisli.lift(writer_monad(LIST), str)),
            "an arrow of the monad writer_monad(SUM) was composed with one of writer_monad(LIST).",
        ),
        (
            lambda: arrow >> str,
            "then() was given <class 'str'>. Give an arrow: Kleisli(monad, run) or Kleisli.lift(monad, f).",
        ),
        (
            lambda: Kleisli(Ok, str),
            "Kleisli() was given <class 'lambdacat_effects.algebra.result.Ok'>. Give a Monad",
        ),
        (
            lambda: Kleisli(RESULT, 3),
            "Kleisli(RESULT, ...) was given 3. Give a function; for a constant, write Kleisli.lift(monad, lambda _: "
            "value).",
        ),
        (
            lambda: Kleisli.identity("RESULT"),
            "Kleisli.identity() was given 'RESULT'. Give a Monad, such as RESULT.",
        ),
        (
            lambda: Kleisli.lift(str, RESULT),
            "Kleisli.lift() was given <class 'str'>. Give a Monad, such as RESULT.",
        ),
        (
            lambda: Kleisli.lift(RESULT, 3),
            "Kleisli.lift(RESULT, ...) was given 3. Give a function of one value.",
        ),
        (
            lambda: writer_monad(list),
            "writer_monad() was given <class 'list'>. Give a Monoid, such as LIST or STRING.",
        ),
        (
            lambda: Monad("", Some, not_a_step),
            "Monad() was given the name ''. Give a string that is not empty.",
        ),
        (lambda: Monad("m", 3, not_a_step), "Monad('m', ...) was given pure=3. Give a function."),
        (lambda: Monad("m", Some, None), "Monad('m', ...) was given bind=None. Give a function."),
        (
            lambda: attrs.evolve(OPTION, or_else=1),
            "Monad('OPTION', ...) was given or_else=1. Give a function.",
        ),
        (lambda: attrs.evolve(OPTION, failed=1), "Monad('OPTION', ...) was given failed=1. Give a function."),
        (
            lambda: RESULT.bind(Some(1), Ok),
            "in the monad RESULT, bind was given Some(value=1), which is no Ok or Err. Return a step of this monad; "
            "for a bare value use its pure(value).",
        ),
        (
            lambda: (arrow >> Kleisli(RESULT, not_a_step)).run(1),
            f"in the monad RESULT, {not_a_step!r} answered with 3, which is no Ok or Err.",
        ),
        (
            lambda: STATE.bind(State.pure(1), not_a_step).run(0),
            "given to State.then answered with 3. Return a State",
        ),
    ],
)
def test_wrong_arguments_are_refused(make: Any, message: str) -> None:
    """The message names what was given, and says what to give."""
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        make()


# The package.


def test_the_package_exports_everything_public() -> None:
    """`algebra` re-exports the `__all__` of each of its public modules, sorted, and nothing else."""
    found = [
        module.name for module in pkgutil.iter_modules(algebra.__path__) if not module.name.startswith("_")
    ]
    modules = [importlib.import_module(f"{algebra.__name__}.{name}") for name in found]
    names = {name: module for module in modules for name in module.__all__}
    assert set(names) == set(algebra.__all__)
    assert all(getattr(module, name) is getattr(algebra, name) for name, module in names.items())
    for module in [algebra, *modules]:
        assert (
            sorted(module.__all__, key=lambda n: (not n.isupper(), not n[0].isupper(), n)) == module.__all__
        )
