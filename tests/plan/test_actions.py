"""Actions: what can be one, how each kind is performed, what it is given, and what the registry refuses."""

import functools
import threading
from typing import Any

import pytest

from lambdacat_effects import Await, Blocking, Log, Plan, ambient, tool
from lambdacat_effects.algebra import key
from lambdacat_effects.errors import DuplicateAction, InvalidArgument, UnknownAction, WrongHandlerKind
from lambdacat_effects.plan import Action, Actions, Task, compile_plan, sequence, task
from lambdacat_effects.runtime import Handler


def trim(text: str) -> str:
    return text.strip()


def with_ctx(text: str, ctx: Any = None) -> str:
    return f"{text}+{ctx}"


def with_setting(text: str, times: int = 2) -> str:
    return text * times


async def fetch(text: str, ctx: Any = None) -> str:
    return f"{text}~{ctx}"


def research(text: str, ctx: Any) -> Plan[Log, str]:
    yield from Log(text)
    return f"{text}?{ctx}"


class Shout:
    def __call__(self, text: str) -> str:
        return text.upper()


class Listening:
    async def __call__(self, text: str, ctx: Any) -> str:
        return f"{text}&{ctx}"


class Host:
    def action(self, text: str) -> str:
        return text + "!"


def run(fn: Any, state: Any = "a", ctx: Any = None, **settings: Any) -> Any:
    actions = Actions.empty().register("it", fn, **settings)
    return ambient.run_pure(compile_plan("it", actions, ctx)(state))


def performed(fn: Any, **settings: Any) -> list[Any]:
    """The world-touching effects of one action."""
    seen: list[Any] = []

    def note(effect: Any) -> str:
        seen.append(effect)
        return "answer"

    handlers = Handler.of({Blocking: note, Await: note})
    handlers.run_pure(compile_plan("it", Actions.empty().register("it", fn, **settings))("a"))
    return seen


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (trim, "a"),
        (with_ctx, "a+C"),
        (fetch, "a~C"),
        (research, "a?C"),
        (Shout(), "A"),
        (Listening(), "a&C"),
        (Host().action, "a!"),
        (functools.partial(with_setting, times=3), "aaa"),
        (functools.partial(with_ctx, ctx="own"), "a+own"),
        (lambda text: text + "l", "al"),
        (lambda text, ctx: text + ctx, "aC"),
        (str.upper, "A"),
        (str.strip, "a"),
        (len, 1),
        (list, ["a"]),
        (functools.lru_cache(trim), "a"),
    ],
)
def test_every_kind_of_function_is_an_action_and_gets_the_context_if_it_takes_one(
    fn: Any, expected: Any
) -> None:
    """Plain, async and generator functions, objects, partials, lambdas, builtins, classes."""
    assert expected == run(fn, ctx="C")


def test_a_second_parameter_that_is_a_setting_is_not_given_the_context() -> None:
    """`lambda state, i=i: ...` captures a loop's variable; it asks for no context."""
    assert "aa" == run(with_setting, ctx="C")
    assert ["a0", "a1"] == [run(lambda text, i=i: f"{text}{i}", ctx="C") for i in range(2)]


def test_a_parameter_named_ctx_is_the_context_whatever_its_default() -> None:
    """The name says so."""
    assert "aC" == run(lambda text, ctx="default": text + ctx, ctx="C")


def test_plain_functions_run_in_a_worker_unless_they_are_inline() -> None:
    """`Blocking`, or nothing at all."""
    assert [Blocking(trim, ("a",))] == performed(trim)
    assert [] == performed(trim, inline=True)


def test_isolation_reaches_the_effect() -> None:
    """`isolate="process"` is for functions that must be killed in time."""
    assert [Blocking(trim, ("a",), isolate="process")] == performed(trim, isolate="process")


def test_async_functions_are_awaited() -> None:
    """`Await`, with the context that they take."""
    assert [Await(fetch, ("a", None))] == performed(fetch)


async def test_on_trio_inline_means_this_thread_and_blocking_another() -> None:
    """So that what blocks does not block the others."""
    actions = Actions.empty().register("here", lambda _: threading.get_ident(), inline=True)
    actions = actions.register("there", lambda _: threading.get_ident())
    assert threading.get_ident() == await ambient.run(compile_plan("here", actions)(0))
    assert threading.get_ident() != await ambient.run(compile_plan("there", actions)(0))


def test_a_tool_is_an_action_that_asks_for_its_call() -> None:
    """No thread is involved: the call is an effect of the plan."""

    @tool
    def search(query: str, site: str | None = None) -> str:
        raise AssertionError("a tool is called by its handler")

    called: list[Any] = []

    def answer(call: Any) -> str:
        called.append(call)
        return "found"

    from lambdacat_effects import CallTool

    handlers = CallTool.by(answer)
    assert "found" == handlers.run_pure(compile_plan(sequence(search), ctx="C")("cats"))
    assert [search("cats")] == called


def test_an_inline_function_may_answer_with_a_plan() -> None:
    """`lambda state: research(state, ...)` is as good as a generator function."""
    assert "a?x" == run(lambda text: research(text, "x"), inline=True)


@pytest.mark.parametrize("fn", [lambda text: fetch(text), lambda text: research(text, 1)])
async def test_a_worker_that_answers_with_something_unfinished_is_told_what_to_be(fn: Any) -> None:
    """Nothing is dropped silently, and no coroutine stays un-awaited."""
    with pytest.raises(WrongHandlerKind):
        run(fn)
    with pytest.raises(WrongHandlerKind, match="no plain function"):
        await ambient.run(compile_plan(task(fn))("a"))


def test_an_inline_function_must_not_answer_with_a_coroutine() -> None:
    """It is awaited only if the function is declared `async def`."""
    with pytest.raises(WrongHandlerKind, match="async def"):
        run(lambda text: fetch(text), inline=True)


def needs_three(a: Any, b: Any, c: Any) -> None: ...
def needs_keyword(a: Any, *, b: Any) -> None: ...
def needs_nothing() -> None: ...
async def many(a: Any) -> Any:
    yield a


@pytest.mark.parametrize("fn", [needs_three, needs_keyword, needs_nothing, many, "trim", None])
def test_what_cannot_be_called_with_a_state_is_refused_at_registration(fn: Any) -> None:
    """Not when the plan has been running for an hour."""
    with pytest.raises(InvalidArgument):
        Actions.empty().register("it", fn)


@pytest.mark.parametrize(
    ("fn", "settings"),
    [
        (trim, {"isolate": "container"}),
        (trim, {"isolate": "process", "inline": True}),
        (fetch, {"isolate": "process"}),
        (research, {"isolate": "process"}),
    ],
)
def test_settings_that_contradict_the_function_are_refused(fn: Any, settings: Any) -> None:
    """Only plain functions run elsewhere."""
    with pytest.raises(InvalidArgument):
        Actions.empty().register("it", fn, **settings)


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_name_is_a_string_that_is_not_empty(name: Any) -> None:
    """Both for actions and for tasks."""
    with pytest.raises(InvalidArgument):
        Actions.empty().register(name, trim)


def test_a_duplicate_is_refused_and_names_what_is_there() -> None:
    """By `register` and by `|`."""
    actions = Actions.empty().register("trim", trim)
    with pytest.raises(DuplicateAction, match=r"'trim' is registered already, as .*trim"):
        actions.register("trim", str.strip)
    with pytest.raises(DuplicateAction):
        actions | Actions.of({"trim": str.strip})


def test_registries_do_not_change() -> None:
    """Each registration answers a new one."""
    before = Actions.empty()
    after = before.register("trim", trim)
    assert () == before.names
    assert ("trim",) == after.names
    after.mapping().clear()
    assert {"trim": trim} == after.mapping()


def test_merging_registries_joins_them_and_allows_the_same_action_twice() -> None:
    """Two modules may bring the same third one."""
    one = Actions.of({"trim": trim})
    assert ("trim", "fetch") == (one | one | Actions.of({"fetch": fetch})).names


def test_an_unknown_action_suggests_the_nearest_and_lists_the_known() -> None:
    """At compile time, before anything has run."""
    actions = Actions.of({"parse": trim, "write": trim})
    with pytest.raises(UnknownAction, match=r"'parze': did you mean 'parse'\? known are 'parse', 'write'"):
        compile_plan(sequence("write", "parze"), actions)
    with pytest.raises(UnknownAction, match="none are registered"):
        compile_plan("parze")


def test_name_of_finds_a_function_bound_methods_included() -> None:
    """Two lookups of a method are equal, not identical."""
    host = Host()
    actions = Actions.empty().register("act", host.action).register("trim", trim)
    assert "act" == actions.name_of(host.action)
    with pytest.raises(UnknownAction):
        actions.name_of(len)


def test_a_registered_function_in_a_plan_runs_as_registered() -> None:
    """`sequence(trim)` and `sequence("trim")` are performed alike."""
    actions = Actions.empty().register("trim", trim, inline=True)
    handlers = Handler.of({Blocking: lambda _: pytest.fail("not inline")})
    assert "a" == handlers.run_pure(compile_plan(sequence(trim), actions)(" a "))


def test_a_function_that_is_not_registered_is_an_action_of_its_own() -> None:
    """Under its own name, or one that it is given."""
    assert "A" == ambient.run_pure(compile_plan(sequence(trim, str.upper))(" a "))
    assert Task("trim", trim) == task(trim)
    assert Task("tidy", trim) == task(trim, name="tidy")


def test_bound_builders_know_their_names() -> None:
    """A misspelt name is found where it is written."""
    actions = Actions.of({"trim": trim})
    assert sequence("trim", "trim") == actions.sequence("trim", trim)
    assert Task("trim") == actions.task(trim)
    assert Task("upper", str.upper) == actions.task(str.upper)
    assert (Task("trim"),) == actions.parallel("trim", timeout_s=1).branches
    assert (Task("trim"),) == actions.choose("trim", by=len).items
    assert Task("trim") == actions.focus(key("a"), "trim").inner
    assert Task("trim") == actions.loop_while(bool, trim, 3).body
    for build in (actions.task, actions.sequence, actions.parallel, actions.choose):
        with pytest.raises(UnknownAction):
            build("trin")


def test_inspection_happens_at_registration_only() -> None:
    """A run calls what was found out before."""
    assert Action("it", with_ctx, "blocking", True) == Actions.of({"it": with_ctx})["it"]
