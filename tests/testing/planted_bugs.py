"""Plans of agents with a bug in each, and the same plans without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import trio

from lambdacat_effects import (
    Effect,
    Memory,
    Plan,
    Sleep,
    attempt,
    effect,
    for_each,
    in_memory,
    parallel,
    race,
    recall,
    remember,
    shielded,
    timeout,
)
from lambdacat_effects.errors import FaultInjected, PlanTimeout
from lambdacat_effects.testing.simulation import Faults, Report

REPLIES_GET_LOST = Faults(lost_reply=0.2)


class Bug(AssertionError):
    """What must never happen has happened."""


@effect
class Charge(Effect[str]):
    """Charge a card. The same key never charges twice."""

    key: str
    cents: int


@effect
class Notify(Effect[None]):
    """Tell somebody something."""

    text: str


class Bank:
    """Charges by key."""

    def __init__(self) -> None:
        self.charges: dict[str, int] = {}
        self.told: list[str] = []
        self.handlers = Charge.by(self.charge) | Notify.by(self.notify) | in_memory()

    def charge(self, asked: Charge) -> str:
        self.charges[asked.key] = asked.cents
        return f"receipt for {asked.key}"

    def notify(self, asked: Notify) -> None:
        self.told.append(asked.text)

    def check(self, report: Report) -> None:
        if len(self.charges) > 1:
            raise Bug(f"charged {len(self.charges)} times: {self.charges}")


def session() -> Plan[Memory, str]:
    return (yield from recall("session", "key", as_type=str)) or "none"


def paying() -> Any:
    """Reads the key again before it tries again."""
    for _ in range(2):
        key = yield from session()
        try:
            return (yield from Charge(key, 4200))
        except FaultInjected:
            yield from Notify("no reply from the bank, trying again")
    return "not paid"


def paying_by_one_key() -> Any:
    key = yield from session()
    for _ in range(2):
        try:
            return (yield from Charge(key, 4200))
        except FaultInjected:
            yield from Notify("no reply from the bank, trying again")
    return "not paid"


def renewing() -> Any:
    """Puts a key of its own in place while it works, and then the old one back."""
    key = yield from session()
    try:
        yield from remember("session", "key", f"{key}, renewed")
        yield from Notify("session renewed")
    finally:
        yield from remember("session", "key", key)


def noting(what: str) -> Any:
    for i in range(3):
        yield from Notify(f"{what} {i}")


def checkout(pay: Callable[[], Any]) -> Any:
    yield from remember("session", "key", "order 7")
    branches = [noting("audit"), renewing(), pay(), noting("mail"), noting("stock")]
    yield from parallel(*[attempt(branch) for branch in branches])


def double_charge(pay: Callable[[], Any] = paying) -> Any:
    bank = Bank()
    return checkout(pay), bank.handlers, bank.check


def charged_once() -> Any:
    return double_charge(paying_by_one_key)


def spending(cents: int) -> Plan[Memory, None]:
    spent = (yield from recall("budget", "spent", as_type=int)) or 0
    yield from Sleep(0)
    yield from remember("budget", "spent", spent + cents)


def researching() -> Any:
    yield from parallel(spending(100), spending(20), spending(3))
    return (yield from recall("budget", "spent", as_type=int))


def researching_in_turn() -> Any:
    yield from for_each([100, 20, 3], spending, limit=1)
    return (yield from recall("budget", "spent", as_type=int))


def lost_update(plan: Callable[[], Any] = researching) -> Any:
    def check(report: Report) -> None:
        if report.value != 123:
            raise Bug(f"spent {report.value} of 123")

    return plan(), in_memory(), check


def every_update() -> Any:
    return lost_update(researching_in_turn)


@effect
class Book(Effect[str]):
    """Reserve a room; answers its number."""

    room: str


@effect
class Cancel(Effect[None]):
    """Give a reservation back."""

    number: str


class Hotel:
    """Reservations."""

    def __init__(self) -> None:
        self.reserved: set[str] = set()
        self.handlers = Book.by(self.book) | Cancel.by(self.cancel) | in_memory()

    async def book(self, asked: Book) -> str:
        await trio.sleep(1)
        self.reserved.add(asked.room)
        return asked.room

    def cancel(self, asked: Cancel) -> None:
        self.reserved.discard(asked.number)


def booking() -> Any:
    number = yield from Book("12a")
    yield from remember("trip", "room", number)


def booking_whole() -> Any:
    yield from shielded(booking())


def travelling(book: Callable[[], Any]) -> Any:
    """Book a room and search for a flight; if that takes too long, give back what is booked."""

    def searching() -> Any:
        yield from Sleep(2)

    try:
        yield from timeout(1.5, parallel(book(), searching()))
    except PlanTimeout:
        number = yield from recall("trip", "room", as_type=str)
        if number is not None:
            yield from Cancel(number)
        return "at home"
    return "away"


def leaked_reservation(book: Callable[[], Any] = booking) -> Any:
    hotel = Hotel()

    def check(report: Report) -> None:
        if report.value == "at home" and hotel.reserved:
            raise Bug(f"{hotel.reserved} is reserved, and nobody knows")

    return travelling(book), hotel.handlers, check


def reservation_kept_in_mind() -> Any:
    return leaked_reservation(booking_whole)


@effect
class Acquire(Effect[None]):
    """Wait for a lock."""

    name: str


@effect
class Let(Effect[None]):
    """Let go of a lock."""

    name: str


class Locks:
    """Locks by name, which the tasks of a run share."""

    def __init__(self) -> None:
        self.taken: dict[str, trio.Event] = {}
        self.handlers = Acquire.by(self.acquire) | Let.by(self.let) | in_memory()

    async def acquire(self, asked: Acquire) -> None:
        while asked.name in self.taken:
            await self.taken[asked.name].wait()
        self.taken[asked.name] = trio.Event()

    def let(self, asked: Let) -> None:
        self.taken.pop(asked.name).set()


def editing(*files: str) -> Any:
    for file in files:
        yield from Acquire(file)
    yield from remember("edits", ",".join(files), True)
    for file in files:
        yield from Let(file)


def deadlock(order: Callable[[list[str]], list[str]] = list) -> Any:
    plan = parallel(editing(*order(["a.py", "b.py"])), editing(*order(["b.py", "a.py"])))
    return plan, Locks().handlers


def locks_in_order() -> Any:
    return deadlock(sorted)


@effect
class Write(Effect[str]):
    """Have a model write a draft."""

    model: str


def drafting(model: str, place: str) -> Any:
    """Keeps its draft, and removes it if it was not needed."""
    text = yield from Write(model)
    needed = False
    try:
        yield from remember("drafts", place, text)
        yield from Sleep(0.1)
        needed = True
    finally:
        if not needed:
            yield from shielded(remember("drafts", place, ""))
    return text


def writing(places: tuple[str, str]) -> Any:
    first, second = places
    text = yield from race(drafting("small", first), drafting("large", second))
    one = yield from recall("drafts", first, as_type=str)
    other = yield from recall("drafts", second, as_type=str)
    return text, [one, other]


def removed_draft(places: tuple[str, str] = ("draft", "draft")) -> Any:
    async def write(asked: Write) -> str:
        await trio.sleep(1 if asked.model == "small" else 1.5)
        return f"by the {asked.model} model"

    def check(report: Report) -> None:
        text, kept = report.value
        if text not in kept:
            raise Bug(f"{text!r} was answered, and {kept} kept")

    return writing(places), Write.by(write) | in_memory(), check


def draft_of_its_own() -> Any:
    return removed_draft(("small", "large"))


@effect
class Append(Effect[None]):
    """Add a line, once for each id."""

    line: str
    id: str | None = None


class Minutes:
    """Lines, without those whose id is known."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ids: set[str] = set()

    def append(self, asked: Append) -> None:
        if asked.id is None or asked.id not in self.ids:
            self.lines.append(asked.line)
        if asked.id is not None:
            self.ids.add(asked.id)

    def check(self, report: Report) -> None:
        if len(self.lines) != len(set(self.lines)):
            raise Bug(f"written twice: {self.lines}")


def retried(asked: Append) -> Any:
    """Three times, if need be."""
    for last in (False, False, True):
        try:
            return (yield from asked)
        except FaultInjected:
            if last:
                raise
            yield from Sleep(1)
    return None


def written_twice(ids: bool = False) -> Any:
    minutes = Minutes()
    lines = [Append(f"line {i}", f"id {i}" if ids else None) for i in range(4)]
    return parallel(*lines), Append.by(minutes.append).behind(retried), minutes.check


def written_once() -> Any:
    return written_twice(ids=True)


@attrs.frozen
class Planted:
    """A bug, what brings it about, and the same plan without it."""

    scenario: Callable[[], Any]
    mended: Callable[[], Any]
    faults: Faults | None
    error: str
    switches: int
    """How many the shortest failing schedule has."""
    injected: int = 0
    """How many faults it takes."""


BUGS = {
    "two switches and a lost reply charge twice": Planted(
        double_charge, charged_once, REPLIES_GET_LOST, "charged 2 times", switches=2, injected=1
    ),
    "an update is lost": Planted(lost_update, every_update, None, "of 123", switches=1),
    "a deadline leaks a reservation": Planted(
        leaked_reservation, reservation_kept_in_mind, None, "nobody knows", switches=1
    ),
    "two agents wait for one another": Planted(
        deadlock, locks_in_order, None, "nobody can go on", switches=1
    ),
    "a loser removes the winner's draft": Planted(
        removed_draft, draft_of_its_own, None, "was answered", switches=1
    ),
    "a retry writes twice": Planted(
        written_twice, written_once, REPLIES_GET_LOST, "written twice", switches=0, injected=1
    ),
}
