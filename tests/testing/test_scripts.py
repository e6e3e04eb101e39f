"""Scripts: handlers that answer in order, or by match."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
import trio

from lambdacat_effects import (
    Effect,
    Need,
    Now,
    Plan,
    Resource,
    Sleep,
    Tools,
    ambient,
    answer_tools,
    attempt,
    call_tools,
    effect,
    in_memory,
    parallel,
    recall,
    remember,
    tool,
)
from lambdacat_effects.effects.control import Span
from lambdacat_effects.errors import (
    InvalidArgument,
    Misuse,
    UnexpectedEffect,
    UnfinishedScript,
    UnhandledEffect,
    WrongHandlerKind,
)
from lambdacat_effects.testing.scripts import (
    Script,
    in_any_order,
    in_order,
    matching,
    on,
    script,
)


@effect
class Ask(Effect[str]):
    question: str
    polite: bool = False


@effect
class AskTwice(Ask):
    pass


@tool
def search(query: str, *, limit: int = 5) -> list[str]: ...


@tool(inline=True)
def upper(text: str) -> str:
    return text.upper()


def asking(*questions: str) -> Plan[Ask, list[str]]:
    answers: list[str] = []
    for question in questions:
        answers.append((yield from Ask(question)))
    return answers


def stubborn(times: int) -> Plan[Ask, str]:
    for _ in range(times - 1):
        try:
            return (yield from Ask("who?"))
        except ConnectionError:
            yield from Sleep(1)
    return (yield from Ask("who?"))


def first_and_second() -> Script[Ask]:
    return script(on(Ask("first")).answers("1"), on(Ask("second")).answers("2"))


# In order.


def test_a_script_answers_in_order() -> None:
    """Each effect with its own answer."""
    with first_and_second() as handlers:
        assert ["1", "2"] == handlers.run_pure(asking("first", "second"))
    assert (Ask("first"), Ask("second")) == handlers.asked
    assert () == handlers.left


def test_a_script_does_not_answer_out_of_order() -> None:
    """What comes later in the script is unexpected now."""
    with pytest.raises(UnexpectedEffect, match="'second'"):
        first_and_second().run_pure(asking("second", "first"))


def test_matching_answers_in_any_order() -> None:
    """By match alone."""
    handlers = matching(on(Ask("first")).answers("1"), on(Ask("second")).answers("2"))
    assert ["2", "1"] == handlers.run_pure(asking("second", "first"))
    handlers.check()


def test_what_a_script_does_not_have_is_unexpected() -> None:
    """After its end, too."""
    with pytest.raises(UnexpectedEffect, match="the script expected nothing more"):
        first_and_second().run_pure(asking("first", "second", "third"))


def test_an_unexpected_effect_is_told_with_what_was_expected_field_by_field() -> None:
    """And with what was asked before it."""
    with pytest.raises(UnexpectedEffect) as caught:
        first_and_second().run_pure(asking("first", "third"))
    assert str(caught.value) == (
        "Ask(question='third', polite=False) was asked, and the script expected\n"
        "  Ask(question='second', polite=False)\n"
        "      question: expected 'second', found 'third'\n"
        "1 asked before it, last Ask(question='first', polite=False). Mend the plan, or add "
        "on(Ask(question='third', polite=False)).answers(...) to the script; what branches ask side by side "
        "goes into in_any_order(...)"
    )


def test_an_unexpected_effect_is_a_mistake_that_no_combinator_takes_for_an_outcome() -> None:
    """`attempt` lets it pass, and pytest takes it for a failed assertion."""
    with pytest.raises(UnexpectedEffect) as caught:
        first_and_second().run_pure(attempt(asking("third")))
    for kind in (Misuse, UnhandledEffect, AssertionError):
        assert isinstance(caught.value, kind)


def test_an_unexpected_effect_that_the_plan_swallows_is_raised_by_the_check() -> None:
    """A broad `except` in a plan hides nothing from the test."""

    def swallowing() -> Plan[Ask, list[str]]:
        try:
            yield from Ask("third")
        except Exception:
            pass
        return (yield from asking("first", "second"))

    handlers = first_and_second()
    assert ["1", "2"] == handlers.run_pure(swallowing())
    with pytest.raises(UnexpectedEffect, match="third"):
        handlers.check()


def test_what_was_never_asked_is_told_at_the_end() -> None:
    """Of the `with` block."""
    with pytest.raises(UnfinishedScript, match=r"Ask\(question='second', polite=False\), which answers '2'"):
        with first_and_second() as handlers:
            handlers.run_pure(asking("first"))


async def test_what_was_never_asked_is_told_at_the_end_of_an_async_block() -> None:
    """Which also keeps resources open."""
    with pytest.raises(UnfinishedScript):
        async with first_and_second() as handlers:
            await handlers.run(asking("first"))


def test_a_failing_block_fails_with_its_own_error() -> None:
    """What was not asked is then no news."""
    with pytest.raises(KeyError), first_and_second():
        raise KeyError("a")


async def test_a_failing_async_block_fails_with_its_own_error() -> None:
    """What was not asked is then no news."""
    with pytest.raises(KeyError):
        async with first_and_second():
            raise KeyError("a")


async def test_a_script_answers_on_trio() -> None:
    """The same answers as without an event loop."""
    with first_and_second() as handlers:
        assert ["1", "2"] == await handlers.run(asking("first", "second"))


def test_a_script_goes_on_from_run_to_run() -> None:
    """It is walked through once."""
    with first_and_second() as handlers:
        assert ["1"] == handlers.run_pure(asking("first"))
        assert ("Ask(question='second', polite=False), which answers '2'",) == handlers.left
        assert ["2"] == handlers.run_pure(asking("second"))


def test_parts_may_be_shared_by_scripts() -> None:
    """A script keeps its progress to itself."""
    part = on(Ask("first")).answers("1")
    for _ in range(2):
        with script(part) as handlers:
            handlers.run_pure(Ask("first"))


# Answers.


def test_an_effect_answers_in_turn() -> None:
    """One value for each time it is asked."""
    with script(on(Ask("who?")).answers("a", "b").answers("c")) as handlers:
        assert ["a", "b", "c"] == handlers.run_pure(asking("who?", "who?", "who?"))


def test_a_failure_and_then_an_answer() -> None:
    """What a retry needs."""
    with script(on(Ask("who?")).raises(ConnectionError("down")).times(2).answers("me")) as handlers:
        assert "me" == handlers.run_pure(stubborn(3))
    with pytest.raises(UnfinishedScript, match=r"raises ConnectionError\('down'\)\n"):
        with script(on(Ask("who?")).raises(ConnectionError("down")).times(2)) as handlers:
            handlers.run_pure(attempt(Ask("who?")))


def test_a_class_of_exceptions_is_raised() -> None:
    """As `raise` takes it."""
    with pytest.raises(ConnectionError):
        script(on(Ask).raises(ConnectionError)).run_pure(Ask("who?"))


def test_an_exception_raised_many_times_does_not_pile_up_tracebacks() -> None:
    """Each asking begins anew."""
    error = ConnectionError("down")
    handlers = script(on(Ask).raises(error).always())
    depths: list[int] = []
    for _ in range(3):
        with pytest.raises(ConnectionError) as caught:
            handlers.run_pure(Ask("who?"))
        depths.append(len(caught.traceback))
    assert 1 == len(set(depths))


def test_a_function_of_the_effect_answers() -> None:
    """A plain one, and a plan."""

    def planned(asked: Ask) -> Generator[Any, Any, str]:
        return f"{asked.question} at {(yield from Now())}"

    with script(on(Ask).calls(lambda asked: asked.question.upper()).calls(planned)) as handlers:
        assert ["A", "b at 0.0"] == handlers.run_pure(asking("a", "b"))


async def test_an_async_function_of_the_effect_answers() -> None:
    """Under `run`."""

    async def waiting(asked: Ask) -> str:
        await trio.lowlevel.checkpoint()
        return asked.question.upper()

    with script(on(Ask).calls(waiting)) as handlers:
        assert "A" == await handlers.run(Ask("a"))


def test_a_plain_function_that_answers_with_a_plan_is_refused() -> None:
    """As by a handler."""
    with pytest.raises(WrongHandlerKind, match="a coroutine or a generator"):
        script(on(Ask).calls(lambda asked: asking(asked.question))).run_pure(Ask("a"))


def test_a_plan_given_as_an_answer_is_an_answer() -> None:
    """It is not performed."""
    plan = asking("a")
    assert plan is script(on(Need(object)).answers(plan)).run_pure(Need(object))


def test_any_number_of_times_may_be_none() -> None:
    """And is not told as unasked."""
    for questions in ((), ("a",), ("a", "b", "c")):
        with script(on(Ask).answers("yes").always(), on(Now).answers(1.0).always()) as handlers:
            assert ["yes"] * len(questions) == handlers.run_pure(asking(*questions))


def test_what_comes_after_any_number_of_times_is_asked_next() -> None:
    """The script goes on when something else is asked, and does not come back."""
    handlers = script(on(Ask).answers("yes").always(), on(Now).answers(1.0))
    assert ["yes", "yes"] == handlers.run_pure(asking("a", "b"))
    assert 1.0 == handlers.run_pure(Now())
    with pytest.raises(UnexpectedEffect):
        handlers.run_pure(Ask("c"))


def test_any_number_of_times_follows_a_number_of_times() -> None:
    """The first answers have to be asked for."""
    with pytest.raises(UnfinishedScript, match="which answers 'a'"):
        with script(on(Ask).answers("a", "b").always()) as handlers:
            handlers.run_pure(asking())


# What is expected.


def test_a_tool_is_expected_by_any_of_its_calls() -> None:
    """Or by one of them."""

    def plan() -> Plan[Tools, list[list[str]]]:
        return [(yield from search("cats")), (yield from search("dogs", limit=1))]

    with script(on(search("cats")).answers(["a cat"]), on(search).answers(["a dog"])) as handlers:
        assert [["a cat"], ["a dog"]] == handlers.run_pure(plan())


def test_an_unexpected_call_is_told_argument_by_argument() -> None:
    """By number and by name."""
    with pytest.raises(UnexpectedEffect, match="argument 1: expected 'cats', found 'dogs'\n"):
        script(on(search("cats", limit=2)).answers([])).run_pure(search("dogs", limit=2))
    with pytest.raises(UnexpectedEffect, match="limit: expected 2, found nothing\n"):
        script(on(search("cats", limit=2)).answers([])).run_pure(search("cats"))


def test_calls_of_other_tools_are_unexpected_unless_another_handler_names_them() -> None:
    """As with `answer_tools`."""
    scripted = script(on(search).answers([]))
    with pytest.raises(UnexpectedEffect):
        scripted.run_pure(upper("a"))
    assert "A" == (call_tools(upper) | script(on(search).answers([]))).run_pure(upper("a"))
    assert "B" == (script(on(search).answers([])) | answer_tools({upper: "B"})).run_pure(upper("a"))


def test_other_classes_of_effects_are_left_to_other_handlers() -> None:
    """A script composes as any handler does."""
    handlers = in_memory() | script(on(recall("a", "b", as_type=int)).answers(7))

    def plan() -> Plan[Any, Any]:
        yield from remember("a", "b", 1)
        return (yield from recall("a", "b", as_type=int))

    assert 7 == handlers.run_pure(plan())


def test_a_class_is_narrowed_by_a_function() -> None:
    """Of the effect."""
    handlers = matching(
        on(Ask, where=lambda asked: asked.polite).answers("with pleasure").always(),
        on(Ask).answers("no").always(),
    )
    assert ("with pleasure", "no") == handlers.run_pure(parallel(Ask("a", polite=True), Ask("a")))


def test_a_subclass_is_expected_by_its_base() -> None:
    """As handlers dispatch."""
    assert "yes" == script(on(Ask).answers("yes")).run_pure(AskTwice("a"))


def test_an_effect_equal_to_none_of_the_fields_is_of_its_own_class_only() -> None:
    """Values of different classes are not equal."""
    with pytest.raises(UnexpectedEffect):
        script(on(Ask("a")).answers("yes")).run_pure(AskTwice("a"))


def test_the_first_part_that_fits_and_has_an_answer_left_answers() -> None:
    """So the particular goes before the general."""
    handlers = matching(on(Ask("a")).answers("once"), on(Ask).answers("ever after").always())
    assert ["once", "ever after", "ever after"] == handlers.run_pure(asking("a", "a", "b"))


# Orders.


def branches_in_their_own_order() -> Script[Ask]:
    return script(
        on(Ask("begin")).answers("0"),
        in_any_order(
            in_order(on(Ask("a1")).answers("a1"), on(Ask("a2")).answers("a2")),
            in_order(on(Ask("b1")).answers("b1"), on(Ask("b2")).answers("b2")),
        ),
        on(Ask("end")).answers("9"),
    )


@pytest.mark.parametrize("middle", ["a1 a2 b1 b2", "a1 b1 a2 b2", "b1 a1 a2 b2", "b1 b2 a1 a2"])
def test_branches_interleave_and_keep_their_own_order(middle: str) -> None:
    """Between what comes before them and after them."""
    questions = ["begin", *middle.split(), "end"]
    with branches_in_their_own_order() as handlers:
        handlers.run_pure(asking(*questions))


@pytest.mark.parametrize(
    "questions",
    ["a1", "begin a2", "begin a1 b2", "begin a1 a2 end", "begin a1 a2 b1 end", "begin a1 a1", "begin end"],
)
def test_an_order_is_kept_within_branches_and_around_them(questions: str) -> None:
    """The last of these questions is asked too early, or once too often."""
    handlers = branches_in_their_own_order()
    *good, _ = questions.split()
    with pytest.raises(UnexpectedEffect):
        handlers.run_pure(asking(*questions.split()))
    assert tuple(map(Ask, good)) == handlers.asked


async def test_parallel_branches_on_trio_meet_a_script_in_any_order() -> None:
    """Whatever order the scheduler draws."""
    for _ in range(20):
        with branches_in_their_own_order() as handlers:

            def plan() -> Plan[Ask, Any]:
                yield from Ask("begin")
                answers = yield from parallel(asking("a1", "a2"), asking("b1", "b2"))
                yield from Ask("end")
                return answers

            assert (["a1", "a2"], ["b1", "b2"]) == await handlers.run(plan())


def test_all_that_may_be_asked_now_is_told() -> None:
    """Of parts in any order, the next of each."""
    with pytest.raises(UnexpectedEffect) as caught:
        branches_in_their_own_order().run_pure(asking("begin", "a1", "end"))
    for question in ("a2", "b1"):
        assert f"  Ask(question={question!r}, polite=False)\n" in str(caught.value)
    for question in ("a1", "b2"):
        assert f"  Ask(question={question!r}, polite=False)\n" not in str(caught.value)


# Handlers.


def test_a_script_behind_interposers_is_the_same_script() -> None:
    """Each try of a retry is asked of it."""

    def retry(asked: Any) -> Generator[Any, Any, Any]:
        try:
            return (yield from asked)
        except ConnectionError:
            return (yield from asked)

    with script(on(Ask).raises(ConnectionError()).answers("me")).behind(retry) as handlers:
        assert "me" == handlers.run_pure(Ask("who?"))
    with pytest.raises(UnfinishedScript):
        script(on(Ask).answers("me")).behind(retry).check()


async def test_a_script_may_own_resources() -> None:
    """And closes them at the end of its block."""
    from contextlib import asynccontextmanager

    happened: list[str] = []

    @asynccontextmanager
    async def opening() -> Any:
        happened.append("open")
        yield 1
        happened.append("close")

    async with script(on(Ask).answers("me")).using(Resource("it", opening)) as handlers:
        assert "me" == await handlers.run(Ask("who?"))
    assert ["open", "close"] == happened


# Arguments.


@pytest.mark.parametrize("thing", [3, "Ask", lambda asked: True, int, Span, [Ask("a")], asking])
def test_what_is_no_effect_is_not_expected(thing: Any) -> None:
    """A function narrows a class; the runtime's own effects reach no handler."""
    with pytest.raises(InvalidArgument):
        on(thing)


def test_wrong_arguments_are_refused_where_they_are_given() -> None:
    """Before anything runs."""
    whole = on(Ask("a")).answers("b")
    wrong: Any = ("a", "b")
    for make in (
        lambda: on(Ask("a"), where=lambda asked: True),  # type: ignore[call-overload]
        lambda: on(Ask).answers(),
        lambda: on(Ask).times(2),
        lambda: on(Ask).always(),
        lambda: on(Ask).raises("down"),  # type: ignore[arg-type]
        lambda: whole.times(0),
        lambda: whole.times(True),
        lambda: script(on(Ask)),
        lambda: script(wrong),
        lambda: in_order(wrong),
        lambda: in_any_order(wrong),
        lambda: matching(wrong),
    ):
        with pytest.raises(InvalidArgument):
            make()


def test_what_is_no_handler_function_does_not_answer() -> None:
    """As with `by`."""
    with pytest.raises(WrongHandlerKind):
        on(Ask).calls("me")  # type: ignore[arg-type]


def test_an_empty_script_expects_nothing() -> None:
    """And leaves everything to others."""
    with script() as handlers:
        assert 0.0 == (handlers | ambient).run_pure(Now())


def test_a_simulation_lets_scripted_effects_fail() -> None:
    """What a script answers at once is the world's answer, and gets lost as such."""
    from lambdacat_effects.testing.simulation import Fault, simulate

    def scenario() -> Any:
        def plan() -> Any:
            try:
                return (yield from Now())
            except ConnectionError:
                return (yield from Now())

        return plan(), script(on(Now).answers(1.0), on(Now).answers(2.0))

    report = simulate(scenario, faults=Fault("lost_reply", path=("plan", 1)))
    assert 2.0 == report.value
    assert 3 == sum(isinstance(turn.effect, Now) for turn in report.trace) + 1
