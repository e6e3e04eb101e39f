"""Option, Result, Writer and State: functor and monad laws, through methods and through `Monad` values alike."""

import copy
import pickle
import re
import traceback
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdacat_effects.algebra import (
    IDENTITY,
    LIST,
    MISSING,
    NOTHING,
    OPTION,
    RESULT,
    STATE,
    STRING,
    SUM,
    Err,
    Missing,
    Monad,
    Monoid,
    Nothing,
    Ok,
    Some,
    State,
    Writer,
    dict_monoid,
    of,
    tell,
    writer_monad,
)
from lambdacat_effects.errors import InvalidArgument, LawBroken
from lambdacat_effects.testing.laws import Law, functor_laws, monad_laws

quick = settings(deadline=None, max_examples=30)


def through_methods(m: Any, f: Any) -> Any:
    return m.then(f)


def map_method(m: Any, f: Any) -> Any:
    return m.map(f)


@attrs.frozen
class Case:
    """A monad, its `map`, values to draw, and one example with which its mutants are told apart."""

    monad: Monad
    steps: Any
    """Strategy of `M[int]`."""
    arrows: Any
    """Strategy of functions `int -> M[int]`."""
    example: tuple[Any, Any, Any]
    """`m`, `f`, `g`, where `f` and `g` change what they are given."""
    map: Any = map_method

    def laws(self, values: Any, steps: Any, arrows: Any, **how: Any) -> dict[str, Law]:
        functions = [double, increment]
        made = [
            *monad_laws(
                self.monad, values, steps, arrows, map=self.map, functions=functions, observe=seen, **how
            ),
            *functor_laws(self.map, steps, functions, observe=seen, **how),
        ]
        return {law.name: law for law in made}

    def check(self, name: str) -> None:
        """On the example only."""
        m, f, g = self.example
        self.laws([7], [m], [f, g])[name].check()


def seen(step: Any) -> Any:
    """Of states what they do from a few first states, since that is what equality of functions means."""
    return [step.run(s) for s in (-1, 0, 5)] if isinstance(step, State) else step


def double(n: Any) -> Any:
    return n * 2


def increment(n: Any) -> Any:
    return n + 1


LAWS = ["left identity", "right identity", "associativity", "identity", "composition", "map is bind"]

integers = st.integers(-50, 50)
no, nay = ValueError("no"), KeyError("nay")


def arrows_to(wrap: Any, failures: Any = ()) -> Any:
    """Functions n -> wrap(k * n + d), which answer with a failure for the multiples of three if there is one."""
    return st.builds(
        lambda k, d, failure: lambda n: failure if failure is not None and n % 3 == 0 else wrap(k * n + d),
        integers,
        integers,
        st.sampled_from([None, *failures]),
    )


def writer(monoid: Monoid[Any], log: Any) -> Any:
    return lambda n: Writer(n, log(n), monoid)


def counting(n: Any) -> Any:
    return State(lambda s: (n + s, s * 2 + n))


def case(monad: Monad, wrap: Any, failures: Any = ()) -> Case:
    steps = st.builds(wrap, integers) | st.sampled_from(failures) if failures else st.builds(wrap, integers)
    example = (wrap(5), lambda n: wrap(n + 2), lambda n: wrap(n * 3))
    return Case(monad, steps, arrows_to(wrap, failures), example)


def itself(n: Any) -> Any:
    return n


write_text, write_list, write_both = (
    writer(STRING, str),
    writer(LIST, lambda n: [n]),
    writer(dict_monoid(LIST), lambda n: {n % 3: [n]}),
)
BY_METHODS = {
    "Option": case(Monad("methods of Option", Some, through_methods), Some, [NOTHING]),
    "Result": case(Monad("methods of Result", Ok, through_methods), Ok, [Err(no), Err(nay)]),
    "Writer of str": case(Monad("m", lambda n: Writer(n, "", STRING), through_methods), write_text),
    "Writer of list": case(Monad("m", lambda n: Writer(n, [], LIST), through_methods), write_list),
    "State": case(Monad("methods of State", State.pure, through_methods), counting),
}
BY_MONADS = {
    "IDENTITY": attrs.evolve(case(IDENTITY, itself), map=lambda m, f: f(m)),
    "OPTION": case(OPTION, Some, [NOTHING]),
    "RESULT": case(RESULT, Ok, [Err(no), Err(nay)]),
    "writer_monad(STRING)": case(writer_monad(STRING), write_text),
    "writer_monad(dict_monoid(LIST))": case(writer_monad(dict_monoid(LIST)), write_both),
    "STATE": case(STATE, counting),
}
CASES = BY_METHODS | BY_MONADS


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_monad_obeys_every_law(case: Case) -> None:
    """Binding has a two-sided identity and is associative; mapping is a functor and agrees with binding."""
    laws = case.laws(integers, case.steps, case.arrows, max_examples=30)
    assert set(LAWS) == set(laws)
    for law in laws.values():
        law.check()


def mutant(name: str, case: Case) -> Case:
    """The monad with the one flaw that the law is there to find."""
    monad, (_, f, _) = case.monad, case.example
    match name:
        case "left identity":
            return attrs.evolve(case, monad=attrs.evolve(monad, bind=lambda m, _: m))
        case "right identity":
            return attrs.evolve(case, monad=attrs.evolve(monad, bind=lambda _, h: h(0)))
        case "associativity":
            return attrs.evolve(
                case, monad=attrs.evolve(monad, bind=lambda m, h: m if h is f else monad.bind(m, h))
            )
        case "identity":
            return attrs.evolve(case, map=lambda m, h: case.map(m, lambda x: h(x + 1)))
        case "composition":
            return attrs.evolve(case, map=lambda m, h: m if h is double else case.map(m, h))
        case "map is bind":
            return attrs.evolve(case, map=lambda m, _: m)
    raise NotImplementedError(name)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_law_rejects_a_mutant_of_every_monad(name: str, case: Case) -> None:
    """On the same example each law accepts the monad and rejects it with the flaw it is there to find."""
    case.check(name)
    with pytest.raises(LawBroken):
        mutant(name, case).check(name)


MINUS: Monoid[Any] = Monoid("minus", 0, lambda a, b: a - b)
FAMILIAR_MISTAKES = {
    "a State that forgets what it wrote": (
        "right identity",
        case(Monad("m", State.pure, lambda m, f: State(lambda s: f(m.run(s)[0]).run(s))), counting),
    ),
    "a pure that counts itself": (
        "left identity",
        case(Monad("m", lambda a: State(lambda s: (a, s + 1)), through_methods), counting),
    ),
    "a log that is no monoid": (
        "associativity",
        case(writer_monad(MINUS), writer(MINUS, itself)),
    ),
    "an Option that drops zero": (
        "left identity",
        case(Monad("m", lambda a: Some(a) if a != 7 else NOTHING, through_methods), Some),
    ),
    "a Result that goes on after an error": (
        "right identity",
        attrs.evolve(
            case(Monad("m", Ok, lambda m, f: f(m.value if m.is_ok else 0)), Ok),
            example=(Err(no), lambda n: Ok(n + 2), lambda n: Ok(n * 3)),
        ),
    ),
}


@pytest.mark.parametrize(("name", "wrong"), FAMILIAR_MISTAKES.values(), ids=FAMILIAR_MISTAKES)
def test_the_laws_find_familiar_mistakes(name: str, wrong: Case) -> None:
    """Losing state, a `pure` with an effect and a failure that is ignored each break a law."""
    with pytest.raises(LawBroken):
        wrong.check(name)


# or_else: the first success.


def or_else_is_associative(or_else: Any, a: Any, b: Any, c: Any) -> None:
    left = or_else(or_else(a, lambda: b), lambda: c)
    assert left == or_else(a, lambda: or_else(b, lambda: c))


def or_else_keeps_the_first_success(or_else: Any, a: Any, b: Any, c: Any) -> None:
    first = next((m for m in (a, b, c) if not isinstance(m, (Nothing, Err))), c)
    assert first == or_else(or_else(a, lambda: b), lambda: c)


def or_else_is_lazy(or_else: Any, a: Any, b: Any, c: Any) -> None:
    asked: list[Any] = []
    or_else(a, lambda: asked.append("asked") or b)
    assert isinstance(a, (Nothing, Err)) == bool(asked)


OR_ELSE_LAWS = [or_else_is_associative, or_else_keeps_the_first_success, or_else_is_lazy]


def or_else_method(m: Any, make_other: Any) -> Any:
    return m.or_else(make_other)


def succeeds(m: Any) -> bool:
    return not isinstance(m, (Nothing, Err))


@pytest.mark.parametrize(
    ("or_else", "name"),
    [
        (or_else_method, "OPTION"),
        (OPTION.or_else, "OPTION"),
        (or_else_method, "RESULT"),
        (RESULT.or_else, "RESULT"),
    ],
)
@quick
@given(data=st.data())
def test_or_else_is_the_first_success(or_else: Any, name: str, data: Any) -> None:
    """Ordered choice is associative, keeps the first success, and makes no alternative it does not need."""
    steps = BY_MONADS[name].steps
    a, b, c = data.draw(steps), data.draw(steps), data.draw(steps)
    for law in OR_ELSE_LAWS:
        law(or_else, a, b, c)


@pytest.mark.parametrize("name", ["IDENTITY", "writer_monad(STRING)", "STATE"])
def test_or_else_is_the_first_where_nothing_fails(name: str) -> None:
    """In a monad without failures the alternative is not even made."""
    asked: list[str] = []
    first = BY_MONADS[name].example[0]
    assert first is BY_MONADS[name].monad.or_else(first, lambda: asked.append("asked"))
    assert [] == asked


@pytest.mark.parametrize(
    ("law", "wrong"),
    [
        # Exclusive choice: two successes cancel out.
        (
            or_else_is_associative,
            lambda m, make: make() if not succeeds(m) else NOTHING if succeeds(make()) else m,
        ),
        (or_else_keeps_the_first_success, lambda m, make: make() if succeeds(make()) else m),
        (or_else_is_lazy, lambda m, make: make() and m),
    ],
)
def test_every_law_of_or_else_rejects_its_mutant(law: Any, wrong: Any) -> None:
    """On one example each law accepts `or_else` and rejects a choice that breaks it."""
    example = (Some(1), Some(2), Some(3))
    law(or_else_method, *example)
    with pytest.raises(AssertionError):
        law(wrong, *example)


# Option.


def test_of_is_nothing_only_for_none() -> None:
    """False values other than `None` are there."""
    assert [NOTHING, Some(0), Some("")] == [of(None), of(0), of("")]


def test_an_option_can_be_matched() -> None:
    """`case Some(value)` and `case Nothing()` tell the two apart."""

    def describe(option: Any) -> Any:
        match option:
            case Some(value):
                return value
            case Nothing():
                return "absent"

    assert [None, "absent"] == [describe(Some(None)), describe(NOTHING)]


def test_unwrapping_nothing_says_what_to_do() -> None:
    """`unwrap` answers with the value, or names the two ways out."""
    assert 3 == Some(3).unwrap()
    expected = (
        "unwrap() was called on NOTHING, which holds no value. Match on Some(value) and Nothing(), or give an "
        "alternative first: option.or_else(lambda: Some(...)).unwrap()."
    )
    with pytest.raises(InvalidArgument, match=re.escape(expected)):
        NOTHING.unwrap()


@pytest.mark.parametrize("single", [NOTHING, MISSING])
def test_a_singleton_survives_copying_and_pickling(single: Any) -> None:
    """`is` keeps working after `copy`, `deepcopy` and every pickle protocol."""
    assert single is copy.copy(single) is copy.deepcopy(single)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert single is pickle.loads(pickle.dumps(single, protocol))


@pytest.mark.parametrize(
    ("name", "single", "kind"), [("NOTHING", NOTHING, Nothing), ("MISSING", MISSING, Missing)]
)
def test_a_singleton_is_false_and_prints_its_name(name: str, single: Any, kind: type) -> None:
    """`NOTHING` and `MISSING` are false, print as they are written, and are of the class one matches on."""
    assert not single
    assert name == repr(single)
    assert isinstance(single, kind)


# Result.


def test_a_result_can_be_matched() -> None:
    """`case Ok(value)` and `case Err(error)` tell the two apart, by position."""

    def describe(result: Any) -> Any:
        match result:
            case Ok(value):
                return ("ok", value)
            case Err(error):
                return ("err", error)

    assert [("ok", 3), ("err", no)] == [describe(Ok(3)), describe(Err(no))]


def test_is_ok_tells_success_from_failure() -> None:
    """Also a success with a false value is one."""
    assert [True, True, False] == [Ok(1).is_ok, Ok(None).is_ok, Err(no).is_ok]


def test_results_are_equal_by_value_and_errors_by_identity() -> None:
    """Equal values make equal results; two exceptions are equal only if they are one object, as in Python."""
    assert {Ok(1)} == {Ok(1), Ok(1)}
    assert Err(no) == Err(no)
    assert Err(ValueError("no")) != Err(ValueError("no"))
    assert Ok(no) != Err(no)


@pytest.mark.parametrize(
    "frozen", [Ok(1), Err(no), Some(1), Writer(1, "", STRING), State.pure(1), STRING, OPTION]
)
def test_the_values_are_frozen_and_slotted(frozen: Any) -> None:
    """Nothing can be assigned, and there is no dict to assign it to."""
    for name in (attrs.fields(type(frozen))[0].name, "other"):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(frozen, name, 3)
    assert not hasattr(frozen, "__dict__")


def test_unwrapping_an_error_raises_it_with_its_own_traceback() -> None:
    """`unwrap` answers with the value, or raises the very exception, which still says where it came from."""

    def the_culprit() -> None:
        raise LookupError("lost")

    assert 3 == Ok(3).unwrap()
    result = RESULT.attempt(the_culprit)
    with pytest.raises(LookupError, match="lost") as caught:
        result.unwrap()
    assert caught.value is result.error
    assert "the_culprit" in "".join(traceback.format_exception(caught.value))


def test_map_error_changes_errors_only() -> None:
    """A success passes; an error is replaced by what the function makes of it."""
    assert Ok(3) == Ok(3).map_error(lambda error: nay)
    assert Err(nay) == Err(no).map_error(lambda error: nay if error is no else no)


def test_what_a_mapped_function_raises_passes() -> None:
    """Only `attempt` turns exceptions into values: a bug in `f` is not an outcome of the step before."""
    with pytest.raises(ZeroDivisionError):
        Ok(0).map(lambda n: 1 / n)


@pytest.mark.parametrize("thing", ["no", None, KeyboardInterrupt(), ValueError])
def test_err_refuses_what_is_no_exception(thing: Any) -> None:
    """A message, a class or an interrupt could not be raised by `unwrap`, or must not be kept."""
    expected = f"Err() was given {thing!r}, which is no Exception. Give one: Err(ValueError(...))."
    with pytest.raises(InvalidArgument, match=re.escape(expected)):
        Err(thing)


def test_results_pickle() -> None:
    """A result crosses a process boundary; the error keeps type and arguments, though not identity."""
    assert Ok(3) == pickle.loads(pickle.dumps(Ok(3)))
    restored = pickle.loads(pickle.dumps(Err(no))).error
    assert (ValueError, ("no",)) == (type(restored), restored.args)


# Writer and State.


def test_tell_writes_and_answers_none() -> None:
    """Logs are combined in the order of the steps."""
    both = tell("a", STRING).then(lambda nothing: Writer((nothing, 3), "b", STRING))
    assert Writer((None, 3), "ab", STRING) == both


def test_writers_over_different_monoids_do_not_mix() -> None:
    """A log that is summed cannot go on as one that is joined; the message names both monoids."""
    expected = (
        "a Writer over SUM was followed by one over STRING, so their logs cannot be combined. "
        "Give both the same monoid."
    )
    with pytest.raises(InvalidArgument, match=re.escape(expected)):
        Writer(1, 2, SUM).then(lambda n: Writer(n, "log", STRING))


@quick
@given(s=integers, t=integers)
def test_states_read_and_write_as_they_say(s: int, t: int) -> None:
    """`get` reads, `put` replaces, `modify` changes, `pure` does neither."""
    assert (s, s) == State.get().run(s)
    assert (None, t) == State.put(t).run(s)
    assert (None, s + t) == State.modify(lambda n: n + t).run(s)
    assert (t, s) == State.pure(t).run(s)
    assert (t, t) == State.put(t).then(lambda _: State.get()).run(s)


def tick() -> State[int, int]:
    return State(lambda s: (s, s + 1))


def test_10_000_binds_to_the_left_do_not_recurse() -> None:
    """`((m >>= f) >>= f) >>= ...`, as a loop builds it, runs in a loop."""
    chain = tick()
    for _ in range(10_000):
        chain = chain.then(lambda _: tick()).map(lambda n: n)
    assert (10_000, 10_001) == chain.run(0)


def test_10_000_binds_to_the_right_do_not_recurse() -> None:
    """`m >>= (x -> m >>= (...))`, as a recursive function builds it, runs in a loop."""

    def count_down(n: int) -> State[int, int]:
        return tick().then(lambda _: count_down(n - 1)) if n else tick()

    assert (10_000, 10_001) == count_down(10_000).run(0)


def test_one_state_can_be_run_many_times() -> None:
    """A `State` is a description: running it changes nothing about it."""
    chain = tick().then(lambda _: tick())
    assert [(1, 2), (6, 7), (1, 2)] == [chain.run(0), chain.run(5), chain.run(0)]


def not_a_step(_: Any) -> Any:
    return 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: State(3),
            "State() was given 3. Give a function state -> (value, next state), or write State.pure(value).",
        ),
        (
            lambda: State(not_a_step).run(0),
            f"the transition {not_a_step!r} of a State answered with 3. Return a pair: (value, next state).",
        ),
        (lambda: State(lambda s: (s, s, s)).run(0), "answered with (0, 0, 0). Return a pair"),
        (
            lambda: tick().then(not_a_step).run(0),
            f"the function {not_a_step!r} given to State.then answered with 3. Return a State; for a bare value "
            "use map, or State.pure(value).",
        ),
    ],
)
def test_a_state_says_what_is_wrong_with_its_functions(make: Any, message: str) -> None:
    """The message names the function, what it answered, and what to return instead."""
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        make()


def test_a_state_prints_its_function() -> None:
    """A long chain prints shortly."""
    assert f"State({not_a_step.__qualname__})" == repr(State(not_a_step))
    assert "State(...)" == repr(tick().then(lambda _: tick()))
