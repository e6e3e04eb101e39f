"""The laws of handlers: ours obey them, and each rejects a handler with the flaw it is there to find."""

import itertools
import re
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import strategies as st

from lambdacat_effects import (
    Effect,
    Forget,
    Handler,
    Memory,
    Plan,
    Remember,
    Resource,
    Sleep,
    answer_tools,
    answers,
    attempt,
    call_tools,
    catch,
    effect,
    fail,
    in_memory,
    lmdb_memory,
    race,
    recall,
    settle,
    timeout,
    tool,
)
from lambdacat_effects.errors import InvalidArgument, LawBroken
from lambdacat_effects.testing import laws
from lambdacat_effects.testing.laws import Law
from lambdacat_effects.testing.laws.outcomes import comparable


@effect
class Ask(Effect[Any]):
    key: str


@effect
class Loud(Ask):
    pass


@effect
class Other(Effect[str]):
    pass


def both() -> Plan[Ask | Other, Any]:
    return (yield from Ask("k")), (yield from Other())


PROGRAMS: list[Any] = [Ask("k"), Other(), Loud("l"), both, [both, Ask("k"), both]]


def counting() -> Handler[Any]:
    """A handler with a state, which fails now and then."""
    asked: list[str] = []

    def answer(ask: Ask) -> Any:
        asked.append(ask.key)
        if len(asked) == 2:
            raise ConnectionError("down", [ValueError(ask.key)])
        return len(asked)

    return Ask.by(answer) | Other.by(lambda _: "other")


def named(made: list[Law]) -> dict[str, Law]:
    return {law.name: law for law in made}


OF_PURE = [
    "identity interposer",
    "ambient on the left",
    "ambient on the right",
    "over a rival",
    "under a rival",
]
OF_PURE += ["associativity", "run agrees with run_pure"]


@tool
def search(query: str, limit: int = 3) -> list[str]:
    return [query] * limit


# Ours.

COUNTING = laws.handler_laws(
    counting, PROGRAMS, others=[Loud.by(lambda _: "loud"), lambda: Other.by(lambda _: "another")]
)


@pytest.mark.parametrize("law", COUNTING, ids=str)
def test_handlers_made_of_functions_obey_every_law(law: Law) -> None:
    """With a state, subclasses of effects, errors, and other handlers in the composition."""
    law.check()


TOOLS = laws.handler_laws(
    lambda: answer_tools({search: answers(["a cat"], ConnectionError("down"))}),
    [[search("cats"), search("cats")]],
    others=[lambda: call_tools(search)],
    observe=len,
)


@pytest.mark.parametrize("law", TOOLS, ids=str)
def test_handlers_of_tools_obey_every_law(law: Law) -> None:
    """What dispatches on the value of a field is composed alike."""
    law.check()


names, numbers = st.sampled_from("ab"), st.integers(0, 3)


def memory_steps(values: Any) -> Any:
    return st.one_of(
        st.builds(Remember, names, names, values),
        st.builds(lambda n, k: recall(n, k, as_type=int), names, names),
        st.builds(Forget, names, names),
    )


anything = st.lists(memory_steps(numbers | st.just("text") | st.just(print)), max_size=6)
MEMORY = laws.handler_laws(in_memory, anything, max_examples=30)


@pytest.mark.parametrize("law", MEMORY, ids=str)
def test_memory_in_a_dictionary_obeys_every_law(law: Law) -> None:
    """Any program, with what cannot be stored and what is not of the type asked for."""
    law.check()


@pytest.mark.parametrize("name", [*OF_PURE[:-1], "agrees with its model"])
def test_memory_on_disk_obeys_every_law_and_agrees_with_a_dictionary(name: str, tmp_path: Path) -> None:
    """Any program has the same answers and the same errors on both, in a fresh directory each time."""
    directories = itertools.count()

    def fresh() -> Handler[Memory]:
        return lmdb_memory(tmp_path / str(next(directories)))

    named(laws.handler_laws(fresh, anything, model=in_memory, live=True, max_examples=15))[name].check()


def test_the_laws_of_a_handler() -> None:
    """A model adds one; what waits for the world has no run without an event loop."""
    assert OF_PURE == [law.name for law in laws.handler_laws(counting, PROGRAMS)]
    live = laws.handler_laws(counting, PROGRAMS, model=counting, live=True)
    assert [*OF_PURE[:-1], "agrees with its model"] == [law.name for law in live]


# Mutants: each breaks the one law that is there to find it, and is told with its program.


class Shy(Handler[Any]):
    """Being behind an interposer is visible: it is asked twice."""

    def behind(self, *interposers: Any) -> Any:
        def again(effect: Effect[Any]) -> Generator[Any, Any, Any]:
            yield from effect
            return (yield from effect)

        return super().behind(*interposers, again)


class Forgetful(Handler[Any]):
    """On the left of anything, it loses a binding."""

    def __or__(self, other: Any) -> Any:
        return Handler(dict(list(self.bindings.items())[1:])) | other


class ForgetfulOnTheRight(Handler[Any]):
    def __ror__(self, other: Any) -> Any:
        return other | Handler(dict(list(self.bindings.items())[1:]))


class PrefersTheLeft(Handler[Any]):
    def __or__(self, other: Any) -> Any:
        return Handler({**other.bindings, **self.bindings}, self.resources)


class Yields(Handler[Any]):
    """On the right it gives way to the left one."""

    def __ror__(self, other: Any) -> Any:
        return Handler({**self.bindings, **other.bindings})


def of(kind: type[Handler[Any]]) -> Callable[[], Handler[Any]]:
    def make() -> Handler[Any]:
        made = counting()
        return kind(made.bindings, made.resources)

    return make


def tells_the_runner() -> Handler[Any]:
    """It answers whether it runs in an event loop."""
    return Ask.by(lambda ask: trio.lowlevel.in_trio_run()) | Other.by(lambda _: "other")


MUTANTS: dict[str, tuple[Callable[[], Handler[Any]], list[str]]] = {
    "identity interposer": (
        of(Shy),
        [
            "run(h.behind(identity), p) == run(h, p), where identity only asks the next one",
            "    p = [Ask(key='k')]\n",
            "  left side:  [raised ConnectionError('down', [raised ValueError('k')])]\n",
            "  right side: [answered 1]",
        ],
    ),
    "ambient on the left": (of(ForgetfulOnTheRight), ["run(ambient | h, p) == run(h, p)", "no handler"]),
    "ambient on the right": (of(Forgetful), ["run(h | ambient, p) == run(h, p)", "no handler"]),
    "over a rival": (
        of(Yields),
        ["run(rival | h, p) == run(h, p)", "left side:  [raised RivalAnswered('a rival')]", "[answered 1]"],
    ),
    "under a rival": (
        of(PrefersTheLeft),
        [
            "run(h | rival, p) == run(rival, p)",
            "left side:  [answered 1]",
            "[raised RivalAnswered('a rival')]",
        ],
    ),
    "associativity": (
        of(PrefersTheLeft),
        ["run((a | b) | c, p) == run(a | (b | c), p)", "    a = the handler\n    b = ", "    p = ["],
    ),
    "run agrees with run_pure": (
        tells_the_runner,
        ["run(h, p) == run_pure(h, p)", "left side:  [answered True]", "right side: [answered False]"],
    ),
}


@pytest.mark.parametrize(("name", "made", "told"), [(n, *m) for n, m in MUTANTS.items()], ids=MUTANTS)
@pytest.mark.parametrize("drawn", [True, False], ids=["drawn", "examples"])
def test_every_law_rejects_its_mutant(name: str, made: Any, told: list[str], drawn: bool) -> None:
    """The message has the law's equation, the smallest program and both outcomes."""
    programs: Any = [[Ask("k")], [Other()], [Ask("k"), both]]
    if drawn:
        programs = st.lists(st.sampled_from([Ask("k"), Other(), both]), max_size=4)
    named(laws.handler_laws(counting, programs))[name].check()
    with pytest.raises(LawBroken) as caught:
        named(laws.handler_laws(made, programs))[name].check()
    for part in [f'the law "{name}" does not hold for <handler of Ask, Other>: ', *told]:
        assert part in str(caught.value)


def test_a_live_handler_that_disagrees_with_its_model_is_found_and_shrunk() -> None:
    """The shortest sequence of programs in which the live one forgets what its model remembers."""

    async def kept(_: Remember) -> None:
        await trio.lowlevel.checkpoint()

    def lossy() -> Handler[Memory]:
        return in_memory() | Remember.by(kept)

    made = laws.handler_laws(lossy, st.lists(memory_steps(numbers)), model=in_memory, live=True)
    with pytest.raises(LawBroken) as caught:
        made[-1].check()
    assert (
        f'the law "agrees with its model" does not hold for {lossy()!r}: '
        "run(handler, p) == run_pure(model, p)\n"
        "    p = [Remember(namespace='a', key='a', value=0), Recall(namespace='a', key='a', as_type=<class 'int'>)]\n"
        "  left side:  [answered None, answered None]\n"
        "  right side: [answered None, answered 0]"
    ) == str(caught.value)


# How outcomes are compared.


def group() -> Plan[Any, Any]:
    return (yield from race(fail(ValueError("a")), fail(KeyError("b"))))


def caught() -> Plan[Any, Any]:
    return (
        (yield from catch(ValueError)(fail(ValueError("a")))),
        (yield from attempt(group())),
        {"k": [(yield from settle(fail(OSError(1, "no")), Ask("k")))]},
    )


def late() -> Plan[Any, Any]:
    return (yield from timeout(60, Sleep(3600)))


@pytest.mark.parametrize("program", [group, caught, late], ids=lambda p: p.__name__)
def test_errors_are_equal_by_type_and_arguments_wherever_they_are(program: Any) -> None:
    """Raised, in groups, in results, within answers; and time is virtual also on Trio."""
    for law in laws.handler_laws(counting, [program]):
        law.check()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ValueError("a"), ValueError("b")),
        (ValueError("a"), KeyError("a")),
        (ValueError("a"), "a"),
        (ExceptionGroup("g", [ValueError("a")]), ExceptionGroup("g", [ValueError("b")])),
        (ExceptionGroup("g", [ValueError("a")]), ExceptionGroup("h", [ValueError("a")])),
        (ExceptionGroup("g", [ValueError("a")]), ValueError("a")),
        (ValueError(KeyError("a")), ValueError(KeyError("b"))),
        ([ValueError("a")], (ValueError("a"),)),
        ({"k": ValueError("a")}, {"k": ValueError("b")}),
    ],
)
def test_different_errors_are_different_outcomes(one: Any, other: Any) -> None:
    """By type, arguments, members and places."""
    assert comparable(one) != comparable(other)


def test_answers_are_compared_as_the_user_says() -> None:
    """`observe` and `equal` apply to what each program answers, and not to errors."""

    def rounding(digits: int) -> Callable[[], Handler[Any]]:
        return lambda: Ask.by(lambda ask: round(2 / 3, digits) if ask.key else fails())

    def fails() -> Any:
        raise ValueError("no key")

    programs = [[Ask("k"), Ask("")]]
    disagree = laws.handler_laws(rounding(3), programs, model=rounding(5))[-1]
    with pytest.raises(LawBroken, match=r"left side:  \[answered 0.667, raised ValueError\('no key'\)\]"):
        disagree.check()
    laws.handler_laws(rounding(3), programs, model=rounding(5), observe=lambda x: round(x, 2))[-1].check()
    laws.handler_laws(rounding(3), programs, model=rounding(5), equal=lambda a, b: abs(a - b) < 0.01)[
        -1
    ].check()


def test_each_program_runs_by_itself() -> None:
    """Resources are opened and closed for each run of a program, as in production."""
    log: list[str] = []

    def owning() -> Handler[Any]:
        @asynccontextmanager
        async def opening() -> AsyncGenerator[str, None]:
            log.append("open")
            yield "tea"
            log.append("close")

        pot = Resource("the pot", opening)
        return Ask.by(lambda _: pot.value).using(pot)

    laws.handler_laws(owning, [[Ask("k"), Ask("k")]])[0].check()
    assert ["open", "close"] * 4 == log


# Nothing passes unchecked.


async def waits(ask: Ask) -> str:
    await trio.lowlevel.checkpoint()
    return ask.key


def test_a_handler_that_waits_is_live() -> None:
    """Without an event loop both sides would fail alike; the message says how to check it."""
    first = laws.handler_laws(Ask.by(waits), [Ask("k")])[0]
    with pytest.raises(
        LawBroken, match=r"a handler has to wait: .*waits.*Give live=True, or compare"
    ) as caught:
        first.check()
    assert isinstance(caught.value.__cause__, InvalidArgument)
    for law in laws.handler_laws(Ask.by(waits), [Ask("k")], model=Ask.by(lambda ask: ask.key), live=True):
        law.check()


def test_programs_that_the_handler_does_not_answer_break_the_law() -> None:
    """Else two sides that get nowhere would be equal."""
    law = laws.handler_laws(Ask.by(lambda _: "tea"), [Other()])[0]
    with pytest.raises(LawBroken, match=r"a program performs what the handler does not answer: .*Other"):
        law.check()


def test_a_plan_runs_once_and_is_no_program() -> None:
    """A law performs each program at least twice, and calls it without arguments."""
    with pytest.raises(InvalidArgument, match="give the function that makes it"):
        laws.handler_laws(counting, [both()])

    def needs(argument: object) -> Any:
        return both()

    with pytest.raises(InvalidArgument, match="a function without arguments"):
        laws.handler_laws(counting, [needs])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: laws.handler_laws(3, PROGRAMS), "the handler of handler_laws() is 3. Give a Handler, or a"),  # type: ignore[arg-type]
        (lambda: laws.handler_laws(dict, PROGRAMS), "the handler of handler_laws() is {}. Give a Handler"),
        (lambda: laws.handler_laws(counting, []), "programs has no examples"),
    ],
)
def test_wrong_arguments_are_refused_at_once(given: Any, message: str) -> None:
    """When tests are collected, with what to give instead."""
    with pytest.raises(InvalidArgument, match=re.escape(message)):
        given()


async def test_laws_on_trio_are_checked_outside_of_it() -> None:
    """They run an event loop of their own."""
    with pytest.raises(LawBroken, match="Check it in a plain test"):
        laws.handler_laws(counting, PROGRAMS, live=True)[0].check()
