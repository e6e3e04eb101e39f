"""Plan selection: the best of several plans by what they achieve."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from lambdacat_effects import Log, Sleep, ambient
from lambdacat_effects.errors import InvalidArgument, NoneSucceeded, PlanTimeout, UnknownAction
from lambdacat_effects.plan import Actions, Best, choose_best, compile_plan, sequence

ACTIONS = Actions.of({"short": lambda s: s + "a", "long": lambda s: s + "bbb", "other": lambda s: s + "ccc"})


def boom(state: str) -> str:
    raise ValueError("boom")


def slow(state: str) -> Any:
    yield from Sleep(10)
    return state + "slow"


def run(select: Any, state: Any = "s") -> Any:
    return ambient.run_pure(select(state))


def test_the_highest_score_wins_and_the_first_of_equals() -> None:
    """The answer says which plan it was, what it reached and how well."""
    assert Best("long", "sbbb", 4, 1) == run(choose_best(["short", "long", "other"], len, actions=ACTIONS))


def test_candidates_are_plans_functions_names_and_programs() -> None:
    """Whatever builders take."""
    program = compile_plan(sequence("long", "long"), ACTIONS)
    candidates = [sequence("short", "short"), str.upper, "long", program]
    best = run(choose_best(candidates, len, actions=ACTIONS))
    assert program is best.plan
    assert "sbbbbbb" == best.state


def test_candidates_run_at_the_same_time_on_the_same_state() -> None:
    """Ten seconds, not twenty."""

    async def timed() -> float:
        began = trio.current_time()
        await ambient.run(choose_best([slow, slow], len)("s"))
        return trio.current_time() - began

    assert 10 == pytest.approx(trio.run(timed, clock=MockClock(autojump_threshold=0)))


def test_a_candidate_that_fails_does_not_take_part() -> None:
    """Neither does one whose evaluation fails."""

    def fussy(state: str) -> int:
        if "b" in state:
            raise ValueError("no b")
        return len(state)

    assert 1 == run(choose_best([boom, "short", "long"], fussy, actions=ACTIONS)).index


def test_when_all_fail_all_failures_are_told() -> None:
    """As a group, in the order of the candidates."""
    with pytest.raises(NoneSucceeded, match="2 of 2 plans failed") as caught:
        run(choose_best([boom, boom], len))
    assert ["boom", "boom"] == [str(e) for e in caught.value.exceptions]


def test_at_the_deadline_those_that_have_ended_compete() -> None:
    """And if none has, the deadline is the error, with the failures as its cause."""
    assert "sa" == run(choose_best([slow, "short"], len, actions=ACTIONS, timeout_s=1)).state
    with pytest.raises(PlanTimeout, match="1 had not ended after 1 s") as caught:
        run(choose_best([slow, boom], len, timeout_s=1))
    assert isinstance(caught.value.__cause__, NoneSucceeded)
    with pytest.raises(PlanTimeout):
        run(choose_best([slow], len, timeout_s=1))


def test_an_evaluator_may_ask_the_world() -> None:
    """A model that judges is a generator function."""

    def judge(state: str) -> Any:
        yield from Log(f"judging {state}")
        return -len(state)

    assert "sa" == run(choose_best(["long", "short"], judge, actions=ACTIONS)).state


def test_a_score_that_is_no_number_never_wins() -> None:
    """NaN compares with nothing."""
    scores = {"sa": float("nan"), "sbbb": -1.0}
    assert "sbbb" == run(choose_best(["short", "long"], scores.__getitem__, actions=ACTIONS)).state


def test_mistakes_are_found_before_anything_runs() -> None:
    """No candidates, no evaluator, unknown names, impossible deadlines."""
    with pytest.raises(InvalidArgument):
        choose_best([], len)
    with pytest.raises(InvalidArgument):
        choose_best([str], 3)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument):
        choose_best([str], len, timeout_s=-1)
    with pytest.raises(UnknownAction):
        choose_best(["shart"], len, actions=ACTIONS)


def test_a_mistake_in_one_candidate_is_not_hidden_by_the_others() -> None:
    """`Misuse` is never an outcome."""

    def mistaken(state: str) -> str:
        raise InvalidArgument("mend me")

    with pytest.raises(InvalidArgument, match="mend me"):
        run(choose_best([mistaken, str.upper], len))
