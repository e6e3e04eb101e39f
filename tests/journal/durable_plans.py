"""Plans at the top of a module, as durable runs need them, and a world whose calls are counted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Generator
from enum import Enum
from pathlib import Path
from typing import Any

import attrs
import trio

from lambdacat_effects import (
    AgentState,
    Ask,
    Await,
    Believing,
    CallTool,
    Handler,
    Log,
    Memory,
    Need,
    NewId,
    Now,
    Plan,
    Random,
    Saga,
    Sleep,
    Tools,
    ambient,
    answer_tools,
    ask,
    attempt,
    awaiting,
    belief,
    blocking,
    call,
    call_tools,
    continue_as_new,
    idempotency_key,
    isolated,
    log,
    observe,
    on_cancel,
    parallel,
    patched,
    race,
    recall,
    recall_marked,
    remember,
    remember_unless_changed,
    saga,
    shielded,
    span,
    store_memory,
    timeout,
    tool,
    with_state,
)
from lambdacat_effects.journal import Durable
from lambdacat_effects.plan import Actions, compile_plan, sequence
from lambdacat_effects.storage import Store


@tool
async def fetch(what: str) -> str:
    """A call to the world."""
    return f"got {what}"


@tool
async def undo(what: str) -> str:
    """Takes it back."""
    return f"took back {what}"


@tool
async def wait_for_ever(what: str) -> str:
    """Does not end."""
    await trio.sleep_forever()
    return what


@tool
async def fail_always(what: str) -> str:
    """Fails every time."""
    raise Broken(what, code=7)


@tool
def thread_name(what: str) -> str:
    """A plain function, which runs in a thread."""
    return f"{what} in {'main' if threading.current_thread() is threading.main_thread() else 'a thread'}"


@tool
def twice(what: str) -> Plan[Tools, str]:
    """A tool that is a plan: its own effects belong to its answer."""
    first = yield from fetch(what)
    second = yield from fetch(what)
    return f"{first}, {second}"


class Broken(Exception):
    """An error of a user's own, with an attribute."""

    def __init__(self, what: str, *, code: int) -> None:
        super().__init__(what)
        self.code = code


TOOLS = (fetch, undo, wait_for_ever, fail_always, thread_name, twice)


class Died(BaseException):
    """The process died."""


class World:
    """What a plan's calls meet: it counts them, and may let the process die, or be interrupted, at one of them."""

    def __init__(
        self, store: Store, *, stop_at: int | None = None, how: Callable[[], Any] | None = None
    ) -> None:
        self.store = store
        self.calls: list[tuple[str, str]] = []
        """The idempotency key and the text of each."""
        self.stop_at = stop_at
        self.how = how
        self.extra: Handler[Any] = ambient
        self.tools: tuple[Any, ...] = TOOLS

    @property
    def handlers(self) -> Handler[Any]:
        return call_tools(*self.tools).behind(self._counted) | store_memory(self.store) | self.extra

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.calls]

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        return Counter(self.calls)

    def _counted(self, effect: Any) -> Generator[Any, Any, Any]:
        self.calls.append((str(idempotency_key()), str(effect)))
        if self.stop_at is not None and len(self.calls) == self.stop_at:
            assert self.how is not None
            yield from Await(self._stop)
        return (yield from effect)

    async def _stop(self) -> None:
        assert self.how is not None
        self.how()
        await trio.sleep(10)  # under a shield it goes on


def die() -> None:
    raise Died


async def interrupted_at(
    durable: Durable, world: World, number: int, run_id: str, make: Any, *args: Any
) -> None:
    """Perform a run until its call number `number`, where it is interrupted from outside."""
    with trio.CancelScope() as scope:
        world.stop_at, world.how = len(world.calls) + number, scope.cancel
        await durable.run(run_id, make, *args, handlers=world.handlers)
    world.stop_at = None


# Plans


def in_turn(n: int) -> Plan[Tools, list[str]]:
    answers: list[str] = []
    for i in range(n):
        answers.append((yield from fetch(f"item {i}")))
    return answers


def ambient_ones() -> Plan[Any, list[Any]]:
    """What every runner answers, but differently each time."""
    answers: list[Any] = [(yield from Now()), (yield from Random()), (yield from NewId())]
    yield from log("halfway")
    answers.append((yield from fetch("something")))
    yield from Log("done")
    return answers


def within_others() -> Plan[Any, list[Any]]:
    """Spans, calls, plans within plans, generator tools, threads, errors that are caught."""
    found: list[Any] = []
    found.append((yield from span("part", in_turn(2))))
    found.append((yield from call(in_turn(1))))
    found.append((yield from in_turn(1)))
    found.append((yield from thread_name("work")))
    found.append((yield from blocking(abs, -3)))
    found.append((yield from awaiting(slowly, 4)))
    found.append((yield from attempt(fail_always("it"))))
    try:
        yield from fail_always("again")
    except Broken as error:
        found.append([str(error), error.code])
    found.append((yield from fetch("last")))
    return found


async def slowly(n: int) -> int:
    return n + 1


def in_process() -> Plan[Any, list[int]]:
    first = yield from isolated(abs, -1)
    yield from fetch("between")
    second = yield from isolated(abs, -2)
    return [first, second]


def parse(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "parsed": state["text"].split()}


def fetched(state: dict[str, Any]) -> Plan[Tools, dict[str, Any]]:
    answers: list[str] = []
    for word in state["parsed"]:
        answers.append((yield from fetch(word)))
    return {**state, "fetched": answers}


def flow(state: dict[str, Any]) -> Plan[Any, dict[str, Any]]:
    """A plan of the DSL."""
    actions = Actions.empty().register("parse", parse, inline=True).register("fetched", fetched)
    return compile_plan(sequence("parse", "fetched"), actions)(state)


def sleeping(seconds: float) -> Plan[Any, list[float]]:
    began = yield from Now()
    yield from fetch("before")
    yield from Sleep(seconds)
    ended = yield from Now()
    yield from fetch("after")
    return [began, ended]


def deadline(seconds: float) -> Plan[Any, str]:
    try:
        return (yield from timeout(seconds, wait_for_ever("an answer")))
    except TimeoutError:
        return (yield from fetch("what is left"))


def either(slow: float, quick: float) -> Plan[Any, str]:
    return (yield from race(_after(slow, "slow"), _after(quick, "quick")))


def _after(seconds: float, name: str) -> Plan[Any, str]:
    try:
        yield from fetch(f"{name} begins")
        yield from Sleep(seconds)
        return (yield from fetch(name))
    except Exception:
        raise
    except BaseException:
        yield from shielded(undo(name))
        raise


def cleaning_up() -> Plan[Any, str]:
    try:
        yield from fetch("the lock")
        return (yield from wait_for_ever("something"))
    finally:
        yield from shielded(undo("the lock"))


def counted(namespace: str, key: str) -> Plan[Memory, int]:
    """One more, however many do this at the same time."""
    while True:
        marked = yield from recall_marked(namespace, key, as_type=int)
        n = (marked.value or 0) + 1
        if (yield from remember_unless_changed(namespace, key, n, since=marked.mark)) is not None:
            return n


def counting_together(branches: int) -> Plan[Any, int]:
    yield from parallel(*[counted("count", "n") for _ in range(branches)])
    return (yield from recall("count", "n", as_type=int)) or 0


def generations(n: int, most: int) -> Plan[Any, int]:
    seen = (yield from recall("seen", "n", as_type=int)) or 0
    yield from remember("seen", "n", seen + 1)
    yield from fetch(f"round {n}")
    if n < most:
        yield from continue_as_new(generations, n + 1, most=most)
    return n


def approval(what: str) -> Plan[Any, str]:
    draft = yield from fetch(what)
    if (yield from ask(f"Send {draft}?", as_type=bool)):
        return (yield from fetch("sent"))
    return "not sent"


def two_questions() -> Plan[Any, Any]:
    return (yield from parallel(ask("Who?"), ask("How many?", as_type=int)))


def two_other_questions() -> Plan[Any, Any]:
    return (yield from parallel(ask("Whom?"), fetch("how many")))


class Colour(Enum):
    BLACK = "black"
    GREY = "grey"


@attrs.frozen
class Cat:
    name: str
    colour: Colour = Colour.BLACK
    home: Path | None = None


def asking_for_a_cat() -> Plan[Ask[Any], Cat]:
    return (yield from ask("Which cat?", as_type=Cat))


def failing_at_once() -> Plan[Tools, str]:
    return (yield from fail_always("at once"))


TYPES: dict[str, Any] = {t.__name__: t for t in (str, bool, int, float, list, dict, Cat)}


def asking_for(type_name: str) -> Plan[Ask[Any], Any]:
    return (yield from ask("What?", as_type=TYPES[type_name]))


WANTED: list[Any] = [str]
"""The type that `asking_for_what_is_wanted` asks for: types are no arguments of runs."""


def asking_for_what_is_wanted() -> Plan[Ask[Any], Any]:
    return (yield from ask("What?", as_type=WANTED[0]))


def asking_twice_at_once() -> Plan[Any, Any]:
    return (yield from parallel(ask("Who?"), ask("Who?")))


def asking_of_many(n: int) -> Plan[Any, Any]:
    return (yield from parallel(*[ask(f"Who is number {i}?") for i in range(n)]))


def asking_in_turn(n: int) -> Plan[Ask[str], list[str]]:
    names: list[str] = []
    for _ in range(n):
        names.append((yield from ask("Who?")))
    return names


def _work(seconds: float) -> Plan[Any, float]:
    yield from fetch("beside")
    yield from Sleep(seconds)
    return seconds


def asking_beside_work(seconds: float) -> Plan[Any, Any]:
    return list((yield from parallel(ask("Who?"), _work(seconds))))


def asking_within(seconds: float) -> Plan[Any, str]:
    try:
        return (yield from timeout(seconds, ask("Who?")))
    except TimeoutError:
        yield from fetch("more")
        return "nobody answered"


def asking_or_not(seconds: float) -> Plan[Any, str]:
    def patience() -> Plan[Sleep, str]:
        yield from Sleep(seconds)
        return "not asked any more"

    first = yield from race(ask("Who?"), patience())
    yield from fetch("more")
    return first


def noting() -> Plan[Any, None]:
    yield from log("first")
    yield from Now()
    yield from log("second")
    yield from fetch("something")
    yield from log("third")


def either_and_more(slow: float, quick: float) -> Plan[Any, list[str]]:
    first = yield from either(slow, quick)
    return [first, (yield from fetch("more"))]


def counting_calls(key: str, n: int) -> Plan[Any, None]:
    for i in range(n):
        yield from fetch(f"before {i}")
        seen = (yield from recall("count", key, as_type=int)) or 0
        yield from remember("count", key, seen + 1)


def _observing(source: str) -> Plan[Believing, None]:
    yield from observe("rain", 1.0, source=source)


def observing_together(branches: int) -> Plan[Any, float]:
    yield from parallel(*[_observing(f"source {i}") for i in range(branches)])
    return (yield from belief("rain")).log_odds


def observing_and_more() -> Plan[Any, float]:
    yield from observe("rain", 1.0, source="radar")
    yield from fetch("more")
    return (yield from belief("rain")).log_odds


def pure(store: Store) -> Handler[Any]:
    """Handlers that need no event loop."""
    answers: Any = {
        fetch: lambda what: f"got {what}",
        undo: lambda what: f"took back {what}",
        wait_for_ever: "done for ever",
    }
    return answer_tools(answers) | store_memory(store)


def calling_tools() -> Plan[Tools, list[str]]:
    return [(yield from twice("both")), (yield from fail_always("it"))]


@tool
def continuing() -> Plan[Any, None]:
    """A tool that would continue the run that called it."""
    yield from continue_as_new(in_turn, 1)


def continuing_in_a_tool() -> Plan[Tools, None]:
    yield from continuing()


def _branch_that_continues() -> Plan[Any, None]:
    yield from continue_as_new(in_turn, 1)


def continuing_in_a_branch() -> Plan[Any, Any]:
    return (yield from parallel(_branch_that_continues(), fetch("beside")))


def continuing_locally() -> Plan[Any, Any]:
    def local() -> Plan[Any, int]:
        yield from fetch("never")
        return 1

    yield from fetch("something")
    return (yield from continue_as_new(local))


def answering_with_a_function() -> Plan[Any, Any]:
    yield from Now()
    return die


def needing() -> Plan[Need[int], int]:
    return (yield from Need(int))


def failing_then_waiting() -> Plan[Tools, list[Any]]:
    found: list[Any] = []
    try:
        yield from fetch("it")
    except Exception as error:
        found.append([type(error).__name__, str(error), getattr(error, "code", None)])
    yield from fetch("more")
    return found


def swallowing(n: int) -> Plan[Tools, list[str]]:
    """Takes no error for an answer, or tries to."""
    answers: list[str] = []
    for i in range(n):
        try:
            answers.append((yield from fetch(f"item {i}")))
        except Exception:
            answers.append((yield from fetch(f"instead of item {i}")))
    return answers


def _booking(steps: Saga, name: str, seconds: float) -> Plan[Any, str]:
    yield from Sleep(seconds)
    return (yield from steps.step(fetch(name), undo))


def _trip(steps: Saga) -> Plan[Any, None]:
    yield from steps.step(fetch("flight"), undo)
    yield from parallel(_booking(steps, "hotel", 2), _booking(steps, "museum", 1))
    yield from steps.step(fetch("car"), undo)
    yield from fail_always("the dog")


def trip() -> Plan[Any, Any]:
    """A saga whose last step fails."""
    return (yield from saga(_trip))


def late_trip() -> Plan[Any, str]:
    """A saga whose time is up while it waits."""

    def plan(steps: Saga) -> Plan[Any, None]:
        yield from steps.step(fetch("flight"), undo)
        yield from parallel(_booking(steps, "hotel", 2), _booking(steps, "museum", 100))

    try:
        yield from timeout(10, saga(plan))
    except TimeoutError:
        return (yield from fetch("a postcard"))
    return "not late"


def waiting_trip() -> Plan[Any, None]:
    """A saga that waits for ever."""

    def plan(steps: Saga) -> Plan[Any, None]:
        yield from steps.step(fetch("flight"), undo)
        yield from on_cancel(wait_for_ever("a taxi"), undo("the taxi"))

    yield from saga(plan)


def keeping_state() -> Plan[Any, int]:
    """An agent's state, loaded and saved around calls."""

    def visit(state: AgentState[Any]) -> Plan[Any, tuple[int, AgentState[Any]]]:
        yield from fetch("before")
        visits = state.data.get("visits", 0) + 1
        yield from fetch("after")
        return visits, attrs.evolve(state, data={"visits": visits})

    for _ in range(2):
        visits = yield from with_state("agents", "ann", visit)
    yield from fetch("last")
    return visits


def handling_itself(log: str) -> Plan[Any, list[str]]:
    """What is answered by a handler within the plan is its own affair."""
    handled = CallTool.by(lambda call: f"{log} {call.args[0]}")
    inner = yield from handled.handle(in_turn(2))
    return [*inner, (yield from fetch("outside"))]


def echoed(given: dict[str, Any]) -> Plan[Any, str]:
    yield from Now()
    return f"{len(given['names'])} names"


def of_every_kind() -> Plan[Any, list[Any]]:
    """A plan whose journal has records of every kind."""
    found: list[Any] = [(yield from fetch("first"))]
    found.append((yield from attempt(fail_always("it"))))
    found.append((yield from attempt(timeout(2, Sleep(3)))))
    found.append((yield from attempt(_after(1, "alone"))))
    found.append((yield from race(_after(3, "slow"), _after(1, "quick"))))
    found.append((yield from parallel(fetch("left"), fetch("right"), ask("Who?"))))
    found.append((yield from patched("a change")))
    found.append((yield from fetch("last")))
    return [repr(answer) for answer in found]


def first_and_second() -> Plan[Any, tuple[str, str]]:
    return (yield from parallel(fetch("first"), fetch("second")))


CLEANING_UP: list[str] = ["slow"]
"""What the loser of `losing` takes back."""


def losing() -> Plan[Any, str]:
    def loser() -> Plan[Any, str]:
        try:
            yield from wait_for_ever("slow")
        finally:
            for what in CLEANING_UP:
                yield from shielded(undo(what))
        return "lost"

    winner = yield from race(loser(), _after(1, "quick"))
    yield from fetch("last")
    return winner


def asking_and_continuing(n: int) -> Plan[Any, int]:
    yield from fetch(f"round {n}")
    yield from ask("Go on?")
    if n < 2:
        yield from continue_as_new(asking_and_continuing, n + 1)
    return n
