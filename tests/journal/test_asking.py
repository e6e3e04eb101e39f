"""Questions to somebody outside: asked anywhere in a plan, answered before, meanwhile, or long after."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import durable_plans as plans
import pytest
import trio
from durable_plans import Cat, Colour, World, interrupted_at

from lambdacat_effects import Ask, Durable, ambient, answer_tools, ask, shielded, store_memory
from lambdacat_effects.errors import (
    InvalidArgument,
    RunSuspended,
    StoredValueMismatch,
    UnhandledEffect,
    UnknownRun,
)
from lambdacat_effects.journal.records import Record
from lambdacat_effects.storage import Change, InMemoryStore, LmdbStore, Put, Store
from lambdacat_effects.testing import simulate


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore()


async def suspended(store: Store, make: Any, *args: Any, handlers: Any = None) -> tuple[Durable, World]:
    """A run `r` that waits for an answer."""
    world, durable = World(store), Durable(store)
    with pytest.raises(RunSuspended):
        await durable.run("r", make, *args, handlers=handlers or world.handlers)
    return durable, world


async def test_a_run_that_asks_is_suspended(store: InMemoryStore) -> None:
    """With the question; nothing before it is repeated when it goes on."""
    world, durable = World(store), Durable(store)
    with pytest.raises(RunSuspended, match=r"waits for an answer to 'Send got it\?': answer with") as caught:
        await durable.run("r", plans.approval, "it", handlers=world.handlers)
    assert (caught.value.run_id, caught.value.questions) == ("r", ("Send got it?",))
    info = await durable.info("r")
    assert (info.status, info.questions, info.ended) == ("suspended", ("Send got it?",), False)
    with pytest.raises(RunSuspended):
        await durable.resume("r", handlers=world.handlers)
    await durable.answer("r", True)
    assert (await durable.info("r")).questions == ()
    assert await durable.resume("r", handlers=world.handlers) == "got sent"
    assert world.texts == ["fetch('it')", "fetch('sent')"]


async def test_a_suspended_run_goes_on_in_another_process(tmp_path: Path) -> None:
    """Whatever is in the directory is enough."""
    async with LmdbStore(tmp_path) as store:
        await suspended(store, plans.approval, "it")
    await Durable(tmp_path).answer("r", True)
    async with LmdbStore(tmp_path) as store:
        world = World(store)
        assert await Durable(store).resume("r", handlers=world.handlers) == "got sent"
        assert world.texts == ["fetch('sent')"]


async def test_an_answer_reaches_a_run_that_is_being_performed(
    autojump_clock: Any, store: InMemoryStore
) -> None:
    """While a branch is still busy the run is not suspended, and goes on with the answer at once."""
    world, durable = World(store), Durable(store)

    async def answering() -> None:
        await trio.sleep(5)
        assert (await durable.info("r")).status == "running"
        await durable.answer("r", "Ann")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answering)
        assert await durable.run("r", plans.asking_beside_work, 20, handlers=world.handlers) == ["Ann", 20]


async def test_a_run_is_suspended_when_all_that_is_left_waits(
    autojump_clock: Any, store: InMemoryStore
) -> None:
    """Not before the work beside it is done, which is kept."""
    world, durable = World(store), Durable(store)
    with pytest.raises(RunSuspended):
        await durable.run("r", plans.asking_beside_work, 20, handlers=world.handlers)
    assert world.texts == ["fetch('beside')"]
    await durable.answer("r", "Ann")
    assert await durable.resume("r", handlers=world.handlers) == ["Ann", 20]
    assert world.texts == ["fetch('beside')"]


async def test_several_questions_are_answered_one_by_one(store: InMemoryStore) -> None:
    """Each by its text; which one is meant has to be clear."""
    durable, world = await suspended(store, plans.two_questions)
    assert (await durable.info("r")).questions == ("Who?", "How many?")
    with pytest.raises(
        InvalidArgument,
        match=r"'r' asks 'Who\?' \(at 1.0.1\); 'How many\?' \(at 1.1.1\): say which question .* `question=`",
    ):
        await durable.answer("r", "Ann")
    with pytest.raises(InvalidArgument, match="there is no such question"):
        await durable.answer("r", "Ann", question="When?")
    await durable.answer("r", 3, question="How many?")
    with pytest.raises(RunSuspended) as caught:
        await durable.resume("r", handlers=world.handlers)
    assert caught.value.questions == ("Who?",)
    await durable.answer("r", "Ann")
    assert await durable.resume("r", handlers=world.handlers) == ("Ann", 3)
    with pytest.raises(InvalidArgument, match="the run 'r' asks nothing"):
        await durable.answer("r", "Bob")


async def test_equal_questions_are_told_apart_by_their_places(store: InMemoryStore) -> None:
    """As the history shows them. By the text alone it would not be clear which is meant."""
    durable, world = await suspended(store, plans.asking_twice_at_once)
    asked = await durable.questions("r")
    assert [(question.text, question.at, question.type) for question in asked] == [
        ("Who?", "1.0.1", "str"),
        ("Who?", "1.1.1", "str"),
    ]
    with pytest.raises(InvalidArgument, match=r"\(at 1.0.1\); 'Who\?' \(at 1.1.1\): .* with `at=`"):
        await durable.answer("r", "Ann", question="Who?")
    with pytest.raises(InvalidArgument, match="there is no such question"):
        await durable.answer("r", "Ann", at="1.2.1")
    await durable.answer("r", "Bob", at="1.1.1")
    await durable.answer("r", "Ann", question="Who?")
    assert await durable.resume("r", handlers=world.handlers) == ("Ann", "Bob")
    history = await durable.history("r")
    assert {question.at for question in asked} <= {step.place for step in history}


async def test_questions_come_in_the_order_of_the_plan(store: InMemoryStore) -> None:
    """By number, also of more than ten."""
    durable, _ = await suspended(store, plans.asking_of_many, 12)
    assert [question.at for question in await durable.questions("r")] == [f"1.{i}.1" for i in range(12)]


async def test_a_run_that_continues_as_new_after_an_answer(store: InMemoryStore) -> None:
    """Has an empty journal then: nobody misses the records of before, if it is interrupted at once."""
    durable, world = await suspended(store, plans.asking_and_continuing, 1)
    await durable.answer("r", "yes")
    with trio.CancelScope() as scope:
        world.stop_at, world.how = len(world.calls) + 1, scope.cancel
        await durable.resume("r", handlers=world.handlers)
    assert (await durable.info("r")).generation == 1
    assert await durable.history("r") == []
    with pytest.raises(RunSuspended):
        await durable.resume("r", handlers=World(store).handlers)
    assert [question.at for question in await durable.questions("r")] == ["2"]


async def test_questions_of_no_run(store: InMemoryStore) -> None:
    with pytest.raises(UnknownRun):
        await Durable(store).questions("r")


async def test_the_same_question_in_two_places(store: InMemoryStore) -> None:
    """Is asked twice; an answer by its text would be ambiguous, one after the other it is not."""
    durable, world = await suspended(store, plans.asking_in_turn, 2)
    for name in ("Ann", "Bob"):
        await durable.answer("r", name)
        if name == "Ann":
            with pytest.raises(RunSuspended):
                await durable.resume("r", handlers=world.handlers)
    assert await durable.resume("r", handlers=world.handlers) == ["Ann", "Bob"]


@pytest.mark.parametrize(
    ("as_type", "value"),
    [
        (str, "text"),
        (bool, False),
        (int, 3),
        (float, 2),
        (list, [1]),
        (dict, {"a": 1}),
        (Cat, Cat("Felix", Colour.GREY)),
    ],
)
async def test_answers_of_every_type(store: InMemoryStore, as_type: Any, value: Any) -> None:
    """As the plan wants them, also once they come from the journal."""
    durable, world = await suspended(store, plans.asking_for, as_type.__name__)
    await durable.answer("r", value)
    answer = await durable.resume("r", handlers=world.handlers)
    assert (answer, type(answer)) == (value, as_type)
    assert await durable.resume("r", handlers=ambient) == value


@pytest.mark.parametrize(
    ("as_type", "value"), [(bool, "yes"), (int, "3"), (str, 3), (int, True), (list, "a")]
)
async def test_an_answer_of_another_type_is_refused(store: InMemoryStore, as_type: Any, value: Any) -> None:
    """Where it is given."""
    durable, _ = await suspended(store, plans.asking_for, as_type.__name__)
    with pytest.raises(InvalidArgument, match=f"with a value of type {as_type.__name__}; got {value!r}"):
        await durable.answer("r", value)
    assert (await durable.info("r")).questions == ("What?",)


@pytest.mark.parametrize(
    ("as_type", "value", "problem"),
    [
        (list[int], [1, "2"], r"list\[int\]; got \[1, '2'\]: value\[1\]: expected int, found text"),
        (int | None, "3", r"int \| None; got '3': value: "),
        (Literal["yes", "no"], "perhaps", r"Literal\['yes', 'no'\]; got 'perhaps'"),
        (Colour, "red", r"A Colour is one of BLACK \('black'\), GREY \('grey'\)$"),
        (Cat, {"name": 3}, r"value.name: expected str, found an integer. A Cat has name: str, colour: "),
        (Cat, {"colour": "grey"}, r"value.name: is missing.* A Cat has name: str"),
        (dict[str, Colour], {"a": "red"}, r"value\['a'\]: expected a member of durable_plans.Colour"),
        (
            tuple[int, ...],
            [1, None],
            r"tuple\[int, ...\]; got \[1, None\]: value\[1\]: expected int, found null",
        ),
        (Sequence[str], [3], r"value\[0\]: expected str"),
    ],
    ids=str,
)
async def test_an_answer_of_another_compound_type_is_refused(
    store: InMemoryStore, as_type: Any, value: Any, problem: str
) -> None:
    """Where it is given, with what is wanted and where the answer differs; nothing is changed."""
    plans.WANTED[:] = [as_type]
    durable, _ = await suspended(store, plans.asking_for_what_is_wanted)
    with pytest.raises(InvalidArgument, match=problem):
        await durable.answer("r", value)
    assert [question.text for question in await durable.questions("r")] == ["What?"]
    assert await store.scan("_answers") == []


@pytest.mark.parametrize(
    ("as_type", "value", "answer"),
    [
        (list[int], [1, 2], [1, 2]),
        (int | None, None, None),
        (Optional[Colour], "grey", Colour.GREY),  # noqa: UP045
        (Literal["yes", 3], 3, 3),
        (Colour, Colour.BLACK, Colour.BLACK),
        (dict[str, Cat], {"a": Cat("Felix")}, {"a": Cat("Felix")}),
        (
            Annotated[list[Cat], "some"],
            [{"name": "Tom", "colour": "grey", "home": None}],
            [Cat("Tom", Colour.GREY)],
        ),
        (tuple[int, ...], [1, 2], (1, 2)),
        (Any, {"a": [1]}, {"a": [1]}),
    ],
    ids=str,
)
async def test_answers_of_compound_types(store: InMemoryStore, as_type: Any, value: Any, answer: Any) -> None:
    plans.WANTED[:] = [as_type]
    durable, world = await suspended(store, plans.asking_for_what_is_wanted)
    await durable.answer("r", value)
    assert await durable.resume("r", handlers=world.handlers) == answer


async def test_an_answer_that_does_not_fit_is_asked_for_again(
    store: InMemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the class cannot be imported, nobody can tell: the run says so, stays as it is, and asks again."""
    durable, world = await suspended(store, plans.asking_for_a_cat)
    with monkeypatch.context() as elsewhere:
        elsewhere.delattr(plans, "Cat")
        await durable.answer("r", {"name": 3})
    with pytest.raises(
        StoredValueMismatch, match=r"the answer to 'Which cat\?' does not fit: .* Answer it again"
    ):
        await durable.resume("r", handlers=world.handlers)
    assert (await durable.info("r")).questions == ("Which cat?",)
    await durable.answer("r", {"name": "Felix", "colour": "grey", "home": None})
    assert await durable.resume("r", handlers=world.handlers) == Cat("Felix", Colour.GREY)


async def test_a_question_under_a_deadline(autojump_clock: Any, store: InMemoryStore) -> None:
    """Waits until then, as it ends by itself; nobody is asked any more afterwards."""
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 1, "r", plans.asking_within, 60)
    assert (await durable.info("r")).questions == ()
    assert await store.scan("_questions") == []
    assert await durable.resume("r", handlers=world.handlers) == "nobody answered"


async def test_a_question_under_a_deadline_is_answered_in_time(
    autojump_clock: Any, store: InMemoryStore
) -> None:
    world, durable = World(store), Durable(store)

    async def answering() -> None:
        await trio.sleep(30)
        await durable.answer("r", "Ann")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answering)
        assert await durable.run("r", plans.asking_within, 60, handlers=world.handlers) == "Ann"


async def test_a_question_that_loses_a_race(autojump_clock: Any, store: InMemoryStore) -> None:
    """Is withdrawn."""
    world, durable = World(store), Durable(store)
    await interrupted_at(durable, world, 1, "r", plans.asking_or_not, 5)
    assert (await durable.info("r")).questions == ()
    assert await store.scan("_questions") == []
    assert await durable.resume("r", handlers=world.handlers) == "not asked any more"


async def test_a_question_is_withdrawn_though_the_process_died(
    autojump_clock: Any, store: InMemoryStore
) -> None:
    """Before it could do so: its deadline has passed meanwhile, and the run goes on without it."""
    left = InMemoryStore()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            partial(Durable(store).run, "r", plans.asking_within, 60, handlers=World(store).handlers)
        )
        await trio.sleep(1)
        left._namespaces = {space: dict(kept) for space, kept in store._namespaces.items()}
        nursery.cancel_scope.cancel()
    durable, world = Durable(left), World(left)
    assert [question.text for question in await durable.questions("r")] == ["Who?"]
    [(key, data)] = await left.scan("_j")
    began = Record.decode("r", data)
    began.data -= 100  # seconds, in which nobody performed it
    await left.put("_j", key, began.encode("r"))
    with trio.CancelScope() as scope:
        world.stop_at, world.how = 1, scope.cancel
        await durable.resume("r", handlers=world.handlers)
    assert world.texts == ["fetch('more')"]
    assert await durable.questions("r") == []
    assert await durable.resume("r", handlers=World(left).handlers) == "nobody answered"


async def test_a_question_that_is_not_asked_any_more(store: InMemoryStore) -> None:
    """By code that was changed since; nor with the words that it had."""
    durable, world = await suspended(store, plans.two_questions)
    with pytest.raises(RunSuspended) as caught:
        await durable.resume("r", handlers=world.handlers, make=plans.two_other_questions)
    assert caught.value.questions == ("Whom?",)
    assert [question.text for question in await durable.questions("r")] == ["Whom?"]


async def test_a_tool_and_an_interposer_ask(store: InMemoryStore) -> None:
    """An approval in an interposer: the call in flight is not begun before the answer."""
    world = World(store)

    def approved(call: Any) -> Generator[Any, Any, Any]:
        if not (yield from ask(f"Allow {call}?", as_type=bool)):
            raise PermissionError(str(call))
        return (yield from call)

    handlers = world.handlers.behind(approved)
    durable, _ = await suspended(store, plans.in_turn, 1, handlers=handlers)
    assert (await durable.info("r")).questions == ("Allow fetch('item 0')?",)
    assert world.calls == []
    await durable.answer("r", True)
    assert await durable.resume("r", handlers=handlers) == ["got item 0"]
    assert world.texts == ["fetch('item 0')"]
    with pytest.raises(RunSuspended):
        await durable.run("s", plans.in_turn, 1, handlers=handlers)
    await durable.answer("s", False)
    with pytest.raises(PermissionError):
        await durable.resume("s", handlers=handlers)
    assert len(world.calls) == 1


async def test_a_handler_of_ask_comes_first(store: InMemoryStore) -> None:
    """Who handles questions is asked, and nothing is suspended."""
    handlers = World(store).handlers | Ask.by(lambda asked: asked.question.endswith("?"))
    assert await Durable(store).run("r", plans.approval, "it", handlers=handlers) == "got sent"


async def test_without_a_journal_somebody_has_to_answer() -> None:
    with pytest.raises(UnhandledEffect, match="no handler answers Ask"):
        await ambient.run(shielded(ask("Who?")))


async def test_only_runs_that_ask_are_answered(store: InMemoryStore) -> None:
    durable = Durable(store)
    with pytest.raises(UnknownRun):
        await durable.answer("r", 1)
    await durable.run("r", plans.in_turn, 0, handlers=ambient)
    with pytest.raises(InvalidArgument, match="the run 'r' asks nothing: there is no such question"):
        await durable.answer("r", 1)


def test_questions_under_run_pure_and_simulation(store: InMemoryStore) -> None:
    """They are suspended there, too."""
    durable = Durable(store)
    pure = answer_tools({plans.fetch: lambda what: f"got {what}"}) | store_memory(store)
    plan, handlers = durable.prepared("r", plans.approval, "it", handlers=pure)
    with pytest.raises(RunSuspended):
        handlers.run_pure(plan)
    report = simulate(lambda: durable.prepared("r", plans.approval, "it", handlers=pure))
    assert isinstance(report.error, RunSuspended)
    trio.run(durable.answer, "r", True)
    assert simulate(lambda: durable.prepared("r", plans.approval, "it", handlers=pure)).value == "got sent"


class AnswersWhenSuspended(InMemoryStore):
    """A store in which the answer comes just when the run has been suspended."""

    def __init__(self, answer: str) -> None:
        super().__init__()
        self.given = answer

    async def batch(self, changes: Sequence[Change]) -> bool:
        made = await super().batch(changes)
        suspending = any(
            isinstance(one, Put) and one.namespace == "_runs" and b'"suspended"' in one.value
            for one in changes
        )
        if suspending and self.given:
            answer, self.given = self.given, ""
            assert (await Durable(self).info("r")).status == "suspended"
            await Durable(self).answer("r", answer)
        return made


async def test_an_answer_that_comes_when_the_run_is_suspended() -> None:
    """Is taken at once: whoever gave it has seen that the run was being performed, and nobody resumes it."""
    store = AnswersWhenSuspended("Ann")
    world, durable = World(store), Durable(store)
    with pytest.raises(RunSuspended):
        await durable.run("r", plans.asking_in_turn, 2, handlers=world.handlers)
    assert len(await store.scan("_j")) == 1
    store.given = "Bob"
    assert await durable.resume("r", handlers=world.handlers) == ["Ann", "Bob"]


@pytest.mark.parametrize("question", ["", 3, None])
def test_a_question_is_a_text(question: Any) -> None:
    with pytest.raises(InvalidArgument, match="ask takes a question, a non-empty text"):
        ask(question)
