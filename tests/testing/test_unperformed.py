"""A warning for effects and plans that are made and never performed."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
import trio

from lambdacat_effects import (
    Effect,
    Handler,
    Log,
    Memory,
    Now,
    Plan,
    Remember,
    Sleep,
    Tools,
    ambient,
    answer_tools,
    attempt,
    awaiting,
    blocking,
    call,
    call_tools,
    catch,
    effect,
    fail,
    for_each,
    hedge,
    in_memory,
    parallel,
    race,
    recall,
    remember,
    shielded,
    span,
    timeout,
    tool,
)
from lambdacat_effects.errors import InvalidArgument, UnperformedWarning
from lambdacat_effects.plan import Actions, compile_plan, sequence
from lambdacat_effects.testing.unperformed import warn_unperformed


@effect
class Ask(Effect[str]):
    question: str


@tool
def search(query: str) -> list[str]: ...


def saving(n: int = 1) -> Plan[Memory, int]:
    yield from remember("a", "b", n)
    return n


def noting(n: int) -> Remember:
    return remember("notes", "n", n)


def renamed(n: int) -> Plan[Memory, int]:
    return span("renamed", saving(n))


def attempted(n: int) -> Plan[Memory, Any]:
    return attempt(saving(n))


class Agent:
    def act(self) -> Plan[Memory, int]:
        self.save()
        yield from Now()
        return 1

    def save(self) -> Plan[Memory, int]:
        return (yield from saving())


agent = Agent()


def found_by(run: Callable[[], object], *functions: Callable[..., object]) -> list[str]:
    """The statements that are warned of while `run` is called."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with warn_unperformed(*functions) as watch:
            run()
    assert len(watch.found) == len(caught)
    assert [found.line for found in watch.found] == [warning.lineno for warning in caught]
    assert {warning.filename for warning in caught} <= {__file__}
    assert {warning.category for warning in caught} <= {UnperformedWarning}
    return [found.text for found in watch.found]


def run(plan: Any) -> Any:
    return in_memory().run_pure(plan)


# Plans that forget to perform something, and the statement that forgets it.


def forgets_an_effect() -> Plan[Memory, int]:
    remember("a", "b", 1)
    return (yield from saving())


def forgets_its_last_effect_of_many() -> Plan[Memory, int]:
    for n in range(100):
        yield from remember("a", "b", n)
        Ask("why?")
    return 1


def forgets_the_call_of_a_tool() -> Plan[Memory, int]:
    search("cats")
    return (yield from saving())


def forgets_an_effect_of_a_helper() -> Plan[Memory, int]:
    noting(3)
    return (yield from saving())


def forgets_an_effect_over_lines() -> Plan[Memory, int]:
    remember(
        "a",
        "b",
        1,
    )
    return (yield from saving())


def forgets_branches() -> Plan[Memory, int]:
    parallel(saving(), saving())
    return (yield from saving())


def forgets_a_race() -> Plan[Memory, int]:
    race(saving(), saving())
    return (yield from saving())


def forgets_a_span() -> Plan[Memory, int]:
    span("part", saving())
    return (yield from saving())


def forgets_a_timeout() -> Plan[Memory, int]:
    timeout(3, saving())
    return (yield from saving())


def forgets_a_shield() -> Plan[Memory, int]:
    try:
        return (yield from saving())
    finally:
        shielded(saving())


def forgets_each() -> Plan[Memory, int]:
    for_each([1, 2], saving)
    return (yield from saving())


def forgets_to_attempt() -> Plan[Memory, int]:
    attempt(saving())
    return (yield from saving())


def forgets_to_catch() -> Plan[Memory, int]:
    catch(KeyError)(saving())
    return (yield from saving())


def forgets_to_fail() -> Plan[Memory, int]:
    fail(KeyError("a"))
    return (yield from saving())


def forgets_a_plan() -> Plan[Memory, int]:
    saving(2)
    return (yield from saving())


def forgets_a_plan_made_by_a_helper() -> Plan[Memory, int]:
    attempted(2)
    return (yield from saving())


def forgets_a_method() -> Plan[Memory, int]:
    agent.act()
    return (yield from saving())


def forgets_a_plan_defined_inside() -> Plan[Memory, int]:
    def inner() -> Plan[Memory, int]:
        return (yield from saving())

    inner()
    return (yield from saving())


def forgets_and_performs_nothing() -> Plan[Memory, int]:
    saving(2)
    if agent is not None:
        return 1
    return (yield from saving())


FORGETFUL = {
    forgets_an_effect: "remember('a', 'b', 1)",
    forgets_its_last_effect_of_many: "Ask('why?')",
    forgets_the_call_of_a_tool: "search('cats')",
    forgets_an_effect_of_a_helper: "noting(3)",
    forgets_an_effect_over_lines: "remember( 'a', 'b', 1, )",
    forgets_branches: "parallel(saving(), saving())",
    forgets_a_race: "race(saving(), saving())",
    forgets_a_span: "span('part', saving())",
    forgets_a_timeout: "timeout(3, saving())",
    forgets_a_shield: "shielded(saving())",
    forgets_each: "for_each([1, 2], saving)",
    forgets_to_attempt: "attempt(saving())",
    forgets_to_catch: "catch(KeyError)(saving())",
    forgets_to_fail: "fail(KeyError('a'))",
    forgets_a_plan: "saving(2)",
    forgets_a_plan_made_by_a_helper: "attempted(2)",
    forgets_a_method: "agent.act()",
    forgets_a_plan_defined_inside: "inner()",
    forgets_and_performs_nothing: "saving(2)",
}

everyone = pytest.mark.parametrize("plan", FORGETFUL, ids=lambda plan: plan.__name__)
# One that performs nothing is seen only where it is handed to a runner or a combinator.
all_who_perform = pytest.mark.parametrize(
    "plan", [p for p in FORGETFUL if p is not forgets_and_performs_nothing], ids=lambda plan: plan.__name__
)


def texts(found: list[str]) -> list[str]:
    return [text.replace('"', "'") for text in found]


@everyone
def test_what_a_plan_forgets_is_found(plan: Callable[[], Any]) -> None:
    """Each statement once, in the words of the source."""
    assert [FORGETFUL[plan]] == texts(found_by(lambda: run(plan())))


@everyone
def test_what_a_plan_forgets_is_found_in_every_run_again(plan: Callable[[], Any]) -> None:
    """Nothing is remembered from one `with` block to the next; instructions that CPython has specialised are read."""
    for _ in range(5):
        assert [FORGETFUL[plan]] == texts(found_by(lambda: [run(plan()) for _ in range(20)]))


@everyone
def test_what_a_plan_within_a_plan_forgets_is_found(plan: Callable[[], Any]) -> None:
    """By `yield from`, and through the interpreter's stack."""

    def outer() -> Plan[Any, Any]:
        yield from call(plan())
        return (yield from plan())

    assert [FORGETFUL[plan]] == texts(found_by(lambda: run(outer())))


@everyone
def test_what_a_branch_forgets_is_found(plan: Callable[[], Any]) -> None:
    """Without an event loop."""
    assert [FORGETFUL[plan]] == texts(found_by(lambda: run(parallel(saving(), plan()))))


@everyone
async def test_what_a_branch_on_trio_forgets_is_found(plan: Callable[[], Any]) -> None:
    """The hooks are the same on Trio."""
    with pytest.warns(UnperformedWarning) as caught, warn_unperformed() as watch:
        await in_memory().run(parallel(saving(), plan()))
    assert [FORGETFUL[plan]] == texts([found.text for found in watch.found])
    assert len(caught) == 1


@all_who_perform
def test_what_a_generator_handler_forgets_is_found(plan: Callable[[], Any]) -> None:
    """A handler that is a plan."""

    def answer(asked: Ask) -> Generator[Any, Any, str]:
        yield from plan()
        return "so"

    handlers: Handler[Any] = Ask.by(answer) | in_memory()
    assert [FORGETFUL[plan]] == texts(found_by(lambda: handlers.run_pure(Ask("why?"))))


@all_who_perform
async def test_what_an_action_of_the_dsl_forgets_is_found(plan: Callable[[], Any]) -> None:
    """A generator function as an action."""

    def action(state: int) -> Plan[Any, int]:
        yield from plan()
        return state

    program = compile_plan(sequence("act"), Actions.of({"act": action}))
    assert [FORGETFUL[plan]] == texts(found_by(lambda: run(program(1))))


def forgetting_the_only_effect(state: int) -> int:
    remember("a", "b", state)
    return state


def forgetting_the_only_plan(state: int) -> int:
    saving(state)
    return state


PLAIN = {
    forgetting_the_only_effect: "remember('a', 'b', state)",
    forgetting_the_only_plan: "saving(state)",
}


@pytest.mark.parametrize("action", PLAIN)
@pytest.mark.parametrize("inline", [True, False])
async def test_a_plain_action_that_lacks_its_only_yield_is_found(action: Any, inline: bool) -> None:
    """In place and in a worker thread; without its `yield from` a plan is a plain function, which nobody notices."""
    program = compile_plan(sequence("act"), Actions.of({"act": action}, inline=inline))
    with pytest.warns(UnperformedWarning), warn_unperformed() as watch:
        await in_memory().run(program(1))
    assert [PLAIN[action]] == texts([found.text for found in watch.found])


@pytest.mark.parametrize("fn", PLAIN)
def test_a_plain_handler_that_lacks_its_only_yield_is_found(fn: Any) -> None:
    """A handler function that was a plan but for `yield from`."""
    assert [PLAIN[fn]] == texts(found_by(lambda: Ask.by(fn).run_pure(Ask("why?"))))


@pytest.mark.parametrize("fn", PLAIN)
async def test_a_plain_function_performed_in_a_plan_is_looked_at(fn: Any) -> None:
    """In a worker thread, as `blocking` performs it."""
    with pytest.warns(UnperformedWarning), warn_unperformed() as watch:
        await ambient.run(blocking(fn, 1))
    assert [PLAIN[fn]] == texts([found.text for found in watch.found])


async def test_an_async_function_performed_in_a_plan_is_looked_at() -> None:
    """As `awaiting` performs it."""

    async def waiting() -> int:
        saving(5)
        return 1

    with pytest.warns(UnperformedWarning), warn_unperformed() as watch:
        await ambient.run(awaiting(waiting))
    assert ["saving(5)"] == [found.text for found in watch.found]


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("fn", PLAIN)
async def test_a_plain_tool_that_lacks_its_only_yield_is_found(fn: Any, inline: bool) -> None:
    """The function of a tool that is called."""
    save = tool(inline=inline)(fn)
    with pytest.warns(UnperformedWarning), warn_unperformed() as watch:
        await call_tools(save).run(save(1))
    assert [PLAIN[fn]] == texts([found.text for found in watch.found])


def test_statements_of_the_test_itself_are_found() -> None:
    """A test that forgets to run its plan, whatever it forgets."""
    with pytest.warns(UnperformedWarning) as caught, warn_unperformed() as watch:  # noqa: PT031
        saving(3)
        Ask("why?")
    assert ["saving(3)", 'Ask("why?")'] == [found.text for found in watch.found]
    assert watch.found[0].line + 1 == watch.found[1].line == caught[1].lineno


def test_functions_can_be_named_to_be_looked_at() -> None:
    """As a plugin does with each test."""

    def test_something() -> None:
        saving(4)

    def begin() -> None: ...

    assert ["saving(4)"] == found_by(begin, test_something)


def test_a_method_of_self_is_found() -> None:
    """A class of plans."""
    assert ["self.save()"] == found_by(lambda: run(agent.act()))


def test_the_warning_says_what_to_write() -> None:
    """With the statement as it is."""
    with (
        pytest.warns(UnperformedWarning, match=r"write `yield from remember\(") as caught,
        warn_unperformed(),
    ):
        run(forgets_an_effect())
    assert "the effect Remember" in str(caught[0].message)
    assert (__file__, forgets_an_effect.__code__.co_firstlineno + 1) == (caught[0].filename, caught[0].lineno)


# What is nobody's mistake.


def performs_all() -> Plan[Any, Any]:
    yield from remember("a", "b", 1)
    yield from saving()
    yield from parallel(saving(), saving(), remember("a", "b", 1))
    yield from for_each([1, 2], saving)
    return (yield from recall("a", "b", as_type=int))


def hands_it_on() -> Plan[Any, Any]:
    plans: list[Any] = []
    plans.append(saving())
    plans.append(remember("a", "b", 2))
    for plan in plans:
        yield from plan
    return 1


def throws_what_it_keeps_away_later() -> Plan[Any, Any]:
    effects: list[Any] = [Ask("a"), Ask("b")]
    effects.pop()
    del effects[0]
    effects.append(Ask("c"))
    effects.clear()
    kept = {"a": Ask("d")}
    kept.pop("a")
    kept.setdefault("b", Ask("e"))
    kept.setdefault("b", Ask("f"))
    yield from Now()
    return effects


def compares() -> Plan[Any, Any]:
    yield from Now()
    repr(Ask("a"))
    str(Ask("a") == Ask("b"))
    [Ask("a")].index(Ask("a"))
    same(Ask("a"))
    return Ask("a") == Ask("b")


def same(asked: Ask) -> Ask:
    return asked


def returns_effects() -> Plan[Any, Any]:
    yield from Now()
    return [Ask("a"), remember("a", "b", 1)], saving()


def whole_effects() -> Plan[Any, Any]:
    return (yield from performed_and_returned_in_a_plan())


def performed_and_returned_in_a_plan() -> Plan[Any, Any]:
    asked = Now()
    yield from asked
    return asked


def cancels_branches_before_their_turn() -> Plan[Any, Any]:
    def broken() -> Plan[Any, Any]:
        yield from Now()
        raise KeyError("a")

    return (yield from attempt(parallel(broken(), saving(), remember("a", "b", 2))))


def wins_early() -> Plan[Any, Any]:
    yield from race(Now(), saving(), remember("a", "b", 2))
    return (yield from hedge(saving, after=5, copies=3))


def is_late() -> Plan[Any, Any]:
    return (yield from attempt(timeout(1, parallel(Sleep(2), saving()))))


def calls_other_things() -> Plan[Any, Any]:
    def plain() -> int:
        return 1

    def local(saving: Callable[[], int]) -> int:
        saving()
        return 1

    @performed_at_once
    def decorated() -> Plan[Any, Any]:
        yield from Now()

    plain()
    local(plain)
    decorated()
    managed()
    yield from Now()
    return 1


def performed_at_once(plan: Callable[[], Any]) -> Callable[[], Any]:
    import functools

    @functools.wraps(plan)
    def at_once() -> Any:
        return ambient.run_pure(plan())

    return at_once


@performed_at_once
def managed() -> Plan[Any, Any]:
    yield from Now()


def is_shadowed() -> Plan[Any, Any]:
    saving = print
    saving()
    yield from Now()
    return 1


INNOCENT = [
    performs_all,
    hands_it_on,
    throws_what_it_keeps_away_later,
    compares,
    returns_effects,
    whole_effects,
    cancels_branches_before_their_turn,
    wins_early,
    is_late,
    calls_other_things,
    is_shadowed,
]


@pytest.mark.parametrize("plan", INNOCENT)
def test_what_is_nobodys_mistake_is_not_warned_of(plan: Callable[[], Any]) -> None:
    """Without an event loop."""
    assert [] == found_by(lambda: [run(plan()) for _ in range(20)])


@pytest.mark.parametrize("plan", INNOCENT)
async def test_what_is_nobodys_mistake_is_not_warned_of_on_trio(
    plan: Callable[[], Any], autojump_clock: trio.testing.MockClock
) -> None:
    """Losers included, which are closed before they have begun."""
    with warn_unperformed() as watch:
        await in_memory().run(plan())
    assert () == watch.found


def test_a_statement_that_runs_a_plan_is_no_mistake() -> None:
    """Whatever the plan answers, effects among it."""
    with warn_unperformed() as watch:
        run(returns_effects())
        asks(Ask("a"))
        both(Ask("a"), question="b")
    assert () == watch.found


def asks(asked: Ask) -> Ask:
    Ask.by(lambda asked: asked.question).run_pure(asked)
    return asked


def both(first: Ask, question: str) -> Ask:
    second = Ask(question)
    Ask.by(lambda asked: asked.question).run_pure(parallel(first, second))
    return second


def test_what_is_expected_to_fail_is_no_mistake() -> None:
    """A test of the arguments of a combinator or of a plan."""
    with warn_unperformed() as watch:
        with pytest.raises(InvalidArgument):
            remember("", "b", 1)
        with pytest.raises(InvalidArgument):
            Sleep(-1)
        with pytest.raises(TypeError):
            saving(1, 2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert () == watch.found


def test_effects_that_outlive_the_block_are_not_warned_of() -> None:
    """They may be performed later."""
    with warn_unperformed() as watch:
        plan = saving()
        effects = [remember("a", "b", 1)]
    del effects
    assert 1 == run(plan)
    assert () == watch.found


def test_the_block_lets_go_of_effects_that_outlive_it() -> None:
    """No reference to them is kept, not even a weak one."""
    with warn_unperformed():
        kept = Ask("a")
        assert 1 == weakref.getweakrefcount(kept)
    assert 0 == weakref.getweakrefcount(kept)


def test_effects_made_in_no_plan_for_comparison_are_not_warned_of() -> None:
    """Keys, answers and lists of a test."""
    with warn_unperformed() as watch:
        expected = {Ask("a"): 1, noting(3): 2}
        assert 1 == expected[Ask("a")]
        expected.pop(Ask("a"))
        answer_tools({search: [Ask("b")]})
    assert () == watch.found


# The block.


def patched() -> list[object]:
    """All that the hooks replace."""
    classes = [Effect, Ask, Remember, Log, Sleep]
    of_effects = [vars(cls).get(name) for cls in classes for name in ("__init__", "__iter__", "__new__")]
    return [*of_effects, vars(Effect).get("__init_subclass__"), Handler.interpret, Handler.over]


def test_the_block_leaves_everything_as_it_was() -> None:
    """Also when it is nested, and when it fails."""
    before = patched()
    with warn_unperformed():
        during = patched()
        with warn_unperformed():
            assert during == patched()
        assert during == patched()
    assert before == patched()
    with pytest.raises(KeyError), warn_unperformed():
        raise KeyError("a")
    assert before == patched()
    assert during != before
    assert {"__init__", "__new__", "__init_subclass__"}.isdisjoint(vars(Effect))
    assert Ask("a") == Ask("a")
    assert [Ask("a")] == list(Ask("a"))


def test_outside_the_block_nothing_is_found() -> None:
    """Before it, and after it."""
    run(forgets_an_effect())
    with warn_unperformed() as watch:
        run(performs_all())
    run(forgets_an_effect())
    assert () == watch.found


def test_the_innermost_block_warns() -> None:
    """What happens within it is its own, and nothing is warned of twice."""
    with warn_unperformed() as outer:
        with pytest.warns(UnperformedWarning), warn_unperformed() as inner:
            run(forgets_an_effect())
        run(performs_all())
    assert 1 == len(inner.found)
    assert () == outer.found


def test_an_exception_that_leaves_the_block_carries_the_warnings_as_notes() -> None:
    """A forgotten `yield from` may be its cause."""
    with pytest.raises(KeyError) as caught, warn_unperformed():  # noqa: PT012
        run(forgets_an_effect())
        raise KeyError("a")
    (note,) = caught.value.__notes__
    line = forgets_an_effect.__code__.co_firstlineno + 1
    assert note.startswith(f"{__file__}:{line}: `remember(")


def test_as_an_error_the_first_warning_carries_the_others() -> None:
    """With `-W error` none of them is lost."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnperformedWarning, match="remember") as caught, warn_unperformed():  # noqa: PT012
            run(forgets_an_effect())
            run(forgets_a_plan())
    assert 1 == len(caught.value.__notes__)
    assert "saving(2)" in caught.value.__notes__[0]


def test_effects_of_classes_made_within_the_block_are_watched() -> None:
    """A test may well define its own."""
    with pytest.warns(UnperformedWarning), warn_unperformed() as watch:  # noqa: PT031

        @effect
        class Local(Effect[int]):
            n: int

        class Bare(Effect[int]):
            pass

        def plan() -> Plan[Local, int]:
            Local(1)
            Bare()
            return (yield from Local(2))

        assert 4 == Local.by(lambda asked: asked.n * 2).run_pure(plan())
    assert ["Local(1)", "Bare()"] == [found.text for found in watch.found]
    assert Local(3) == Local(3)
    assert isinstance(Bare(), Bare)


def test_names_of_plans_stay_as_they_are() -> None:
    """Reports and errors name a combinator's plan as ever."""
    from lambdacat_effects.observability import Recorder

    def names() -> list[str]:
        recorder = Recorder()
        ambient.run_pure(span("part", Now()), listen=recorder)
        ambient.run_pure(Now(), listen=recorder)
        return [str(event.path[0]) for event in recorder.events]

    before = names()
    with warn_unperformed():
        assert before == names()


def test_a_tool_is_not_watched_where_nothing_is_thrown_away() -> None:
    """Its answer is the statement's."""

    def plan() -> Plan[Tools, int]:
        yield from search("cats")
        return 1

    assert [] == found_by(lambda: answer_tools({search: []}).run_pure(plan()))


@contextmanager
def entered() -> Generator[None, None, None]:
    yield


def test_a_context_manager_is_no_plan() -> None:
    """It is a function that answers with something else than a generator."""

    def plan() -> Plan[Any, int]:
        entered()
        yield from Now()
        return 1

    assert [] == found_by(lambda: run(plan()))
