"""Plans drawn at random, whose every call names what the plan has seen so far: a decision that is taken anew, and
otherwise, shows in the next call."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from random import Random
from typing import Any, NamedTuple

import trio

from lambdacat_effects import (
    CallTool,
    Handler,
    NewId,
    Plan,
    Sleep,
    attempt,
    call_tools,
    continue_as_new,
    for_each,
    hedge,
    n_best,
    on_cancel,
    parallel,
    patched,
    quorum,
    race,
    recall,
    recall_marked,
    remember,
    remember_unless_changed,
    saga,
    settle,
    shielded,
    span,
    store_memory,
    timeout,
    tool,
)
from lambdacat_effects.journal.committing import Commit
from lambdacat_effects.storage import Store
from lambdacat_effects.testing import Faults
from lambdacat_effects.testing.lives import Lives

__all__ = ["drawn", "lived"]

SECONDS = (0.2, 0.5, 1.0, 2.0, 3.0, 7.0)
CRASHES = (Faults(crash=0.04),)
LOST_REPLIES = (*CRASHES, Faults(lost_reply=0.03, on=Commit), Faults(lost_reply=0.03, on=CallTool))


@tool
async def fetch(what: str) -> str:
    """A call that answers at once."""
    return f"<{what[:6]}>"


@tool
async def dawdle(what: str, seconds: float) -> str:
    """A call that takes its time."""
    await trio.sleep(seconds)
    return f"<{what[:6]}>"


@tool
async def broken(what: str) -> str:
    """A call that fails."""
    raise ValueError(what)


@tool
def composed(what: str) -> Plan[Any, str]:
    """A tool that is a plan."""
    first = yield from fetch(f"{what}, first")
    yield from remember("composed", what, 1)
    return first + (yield from fetch(f"{what}, second"))


class Node(NamedTuple):
    """A part of a plan."""

    kind: str
    seconds: float
    n: int
    parts: tuple[Any, ...]


LEAVES = (
    ["fetch"] * 5 + ["dawdle"] * 2 + ["broken", "count", "sleep", "nothing", "composed", "new id", "shared"]
)
MANY = ["sequence"] * 4 + [
    "parallel",
    "in time",
    "partial",
    "race",
    "race",
    "quorum",
    "settle",
    "best",
    "each",
    "saga",
]
PAIRS = ["finally", "shielded finally", "caught", "on cancel"]
SINGLE = ["hedge", "timeout", "timeout", "attempt", "span", "shielded", "patched"]


def _tree(chance: Random, depth: int) -> Node:
    seconds = chance.choice(SECONDS)
    if depth == 0 or chance.random() < 0.15:
        return Node(chance.choice(LEAVES), seconds, 0, ())
    kind = chance.choice(MANY + PAIRS + SINGLE)
    count = chance.choice([1, 2, 2, 3]) if kind in MANY else 2 if kind in PAIRS else 1
    n = chance.randint(1, count)
    return Node(kind, seconds, n, tuple([_tree(chance, depth - 1) for _ in range(count)]))


def _short(seen: object) -> str:
    return blake2b(repr(seen).encode(), digest_size=3).hexdigest()


def _leaf(node: Node, at: str, seen: str) -> Plan[Any, Any]:
    text = f"{at} {seen}"
    match node.kind:
        case "fetch":
            return (yield from fetch(text))
        case "dawdle":
            return (yield from dawdle(text, node.seconds))
        case "broken":
            return (yield from broken(text))
        case "composed":
            return (yield from composed(text))
        case "sleep":
            return (yield from Sleep(node.seconds))
        case "new id":
            return len((yield from NewId()))
        case "count":
            count = yield from recall("counts", at, as_type=int)
            yield from remember("counts", at, (count or 0) + 1)
            return count
        case "shared":
            found = yield from recall_marked("shared", "number", as_type=int)
            new = (found.value or 0) + 1
            return (yield from remember_unless_changed("shared", "number", new, since=found.mark)) is not None
        case _:
            return None


def _plan(node: Node, at: str, seen: str) -> Plan[Any, Any]:
    if not node.parts:
        return (yield from _leaf(node, at, seen))
    parts: list[Callable[[], Plan[Any, Any]]] = [
        lambda i=i, part=part: _plan(part, f"{at}.{i}", seen) for i, part in enumerate(node.parts)
    ]
    branches = [part() for part in parts] if node.kind in MANY else []
    match node.kind:
        case "sequence":
            for i, part in enumerate(node.parts):
                seen = _short((seen, (yield from _plan(part, f"{at}.{i}", seen))))
            return seen
        case "parallel":
            return _short((yield from parallel(*branches)))
        case "in time":
            return _short((yield from parallel(*branches, timeout=node.seconds)))
        case "partial":
            return [
                str(one)[:7] for one in (yield from parallel(*branches, timeout=node.seconds, partial=True))
            ]
        case "race":
            return _short((yield from race(*branches)))
        case "quorum":
            return _short((yield from quorum(*branches, n=node.n)))
        case "settle":
            return [type(one).__name__ for one in (yield from settle(*branches, timeout=node.seconds))]
        case "best":
            return _short((yield from n_best(*branches, n=node.n, score=str, timeout=node.seconds)))
        case "each":
            return _short((yield from for_each(range(len(parts)), lambda i: parts[i](), limit=node.n)))
        case "hedge":
            return _short((yield from hedge(parts[0], after=node.seconds, copies=2)))
        case "timeout":
            return _short((yield from timeout(node.seconds, parts[0]())))
        case "attempt":
            return type((yield from attempt(parts[0]()))).__name__
        case "span":
            return (yield from span("a span", parts[0]()))
        case "shielded":
            return (yield from shielded(parts[0]()))
        case "patched":
            return (yield from parts[0]()) if (yield from patched(f"change {node.seconds}")) else "old"
        case "finally":
            try:
                return (yield from parts[0]())
            finally:
                yield from parts[1]()
        case "shielded finally":
            try:
                return (yield from parts[0]())
            finally:
                yield from shielded(parts[1]())
        case "caught":
            try:
                return (yield from parts[0]())
            except Exception:
                return (yield from parts[1]())
        case "on cancel":
            return (yield from on_cancel(parts[0](), parts[1]()))
        case _:

            def steps(saga: Any) -> Plan[Any, str]:
                for i, part in enumerate(parts):
                    yield from saga.step(part(), lambda answer, i=i: fetch(f"{at} undo {i} {_short(answer)}"))
                return "done"

            return (yield from saga(steps))


def drawn(seed: int, generation: int = 0) -> Plan[Any, str]:
    """The plan of a seed. Each fifth continues as new."""
    chance = Random(f"{seed} {generation}")
    seen: list[Any] = []
    for number in range(2):
        try:
            seen.append((yield from _plan(_tree(chance, 3), f"{generation}.{number}", _short(seen))))
        except Exception as error:
            seen.append(type(error).__name__)
        yield from fetch(f"after {number} {_short(seen)}")
    if seed % 5 == 0 and generation == 0:
        yield from continue_as_new(drawn, seed, 1)
    return _short(seen)


def _handlers(store: Store) -> Handler[Any]:
    return call_tools(fetch, dawdle, broken, composed) | store_memory(store)


def lived(seed: int, *, lost_replies: bool, cancelled: bool = False) -> Lives:
    """The run of a seed's plan, to its end, through crashes; and `cancelled` while its process is dead."""
    faults = LOST_REPLIES if lost_replies else CRASHES
    lives = Lives(drawn, (seed,), _handlers, faults=faults, apart=(0.0, 0.1, 2.0, 40.0), hurry=0.1)
    if cancelled and lives.live(f"{seed}/0"):
        lives.cancel()
    lives.to_the_end(seed)
    if not lives.wrong:
        lives.check_calls()
        lives.check_replay()
    return lives
