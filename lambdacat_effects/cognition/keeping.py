"""States that are loaded when a plan begins, and saved when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar, cast, overload

import attrs

from lambdacat_effects.cognition.compaction import Compaction, compacted
from lambdacat_effects.cognition.fidelity import read_back
from lambdacat_effects.cognition.state import AgentState
from lambdacat_effects.effects.ambient import Now
from lambdacat_effects.effects.effect import Effect, Performs, Plan, performable
from lambdacat_effects.effects.memory import Marked, Memory, SaveState, recall_marked, remember_unless_changed
from lambdacat_effects.errors import (
    InvalidArgument,
    LimitExceeded,
    MergeConflict,
    NotSerialisable,
    StateConflict,
    StoredValueMismatch,
)
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.storage.codec import decode, encode
from lambdacat_effects.storage.leaves import type_name
from lambdacat_effects.storage.limits import checked_limit
from lambdacat_effects.storage.plain import stored_fields
from lambdacat_effects.storage.versions import versioned

__all__ = ["SavedState", "save_state", "with_state"]

A = TypeVar("A")
E = TypeVar("E", bound=Effect[Any])
S = TypeVar("S", bound=AgentState[Any])

Merge: TypeAlias = Callable[[Any, Sequence[Any]], Any]


@versioned(1)
@attrs.frozen
class SavedState(Generic[S]):
    """A state as it is kept in memory: `recall(store, key, as_type=SavedState[AgentState[Notes]])` has it.

    >>> SavedState(1, AgentState("tea")).state.data
    'tea'
    """

    saves: int
    """How often it has been saved."""
    state: S
    """The state, without its scratch."""


def save_state(state: S) -> SaveState[S]:
    """Save `state` now, in a plan that `with_state` runs: what is saved stays, whatever becomes of the plan.

    Answers the state as it is kept, to go on from: compacted or merged, if `with_state` was told to. The same
    errors as at the end. Outside of `with_state` it raises `UnhandledEffect`. Of branches of one plan the last to
    save decides, as for a variable: let them answer their states, and save what they are joined to.

    >>> from lambdacat_effects import AgentState, attempt, in_memory, save_state, with_state
    >>> from lambdacat_effects.cognition import data_lens
    >>> def plan(state):
    ...     yield from save_state(data_lens.set(state, {"steps": 1}))
    ...     raise ConnectionError("down")
    >>> memory = in_memory()
    >>> memory.run_pure(attempt(with_state("agents", "ada", plan)))
    Err(error=ConnectionError('down'))
    >>> from lambdacat_effects import recall
    >>> memory.run_pure(recall("agents", "ada", as_type=SavedState)).saves
    1
    """
    if not isinstance(cast(object, state), AgentState):
        raise InvalidArgument(f"save_state takes the AgentState to save; got {state!r}")
    return SaveState(state)


@overload
def with_state(
    store: str,
    key: str,
    plan: Callable[[AgentState[Any]], Performs[E, AgentState[Any]]],
    *,
    merge: Merge | None = None,
    compaction: Compaction | None = None,
    most_bytes: int | None = None,
) -> Plan[E | Memory | Now, AgentState[Any]]: ...
@overload
def with_state(
    store: str,
    key: str,
    plan: Callable[[AgentState[Any]], Performs[E, tuple[A, AgentState[Any]]]],
    *,
    merge: Merge | None = None,
    compaction: Compaction | None = None,
    most_bytes: int | None = None,
) -> Plan[E | Memory | Now, A]: ...
@overload
def with_state(
    store: str,
    key: str,
    plan: Callable[[S], Performs[E, S]],
    *,
    initial: S,
    as_type: type[S] | None = None,
    merge: Merge | None = None,
    compaction: Compaction | None = None,
    most_bytes: int | None = None,
) -> Plan[E | Memory | Now, S]: ...
@overload
def with_state(
    store: str,
    key: str,
    plan: Callable[[S], Performs[E, tuple[A, S]]],
    *,
    initial: S,
    as_type: type[S] | None = None,
    merge: Merge | None = None,
    compaction: Compaction | None = None,
    most_bytes: int | None = None,
) -> Plan[E | Memory | Now, A]: ...
def with_state(
    store: str,
    key: str,
    plan: Callable[[Any], Performs[Any, Any]],
    *,
    initial: AgentState[Any] | None = None,
    as_type: Any = None,
    merge: Merge | None = None,
    compaction: Compaction | None = None,
    most_bytes: int | None = None,
) -> Plan[Any, Any]:
    """`plan(state)`, where the state is what is kept in memory under (`store`, `key`), and is saved when the plan
    ends.

    `plan` is a function from the state to a plan that answers the next one, such as `compile_plan` makes, or
    answers a pair `(answer, state)`. The whole answers the state, or the answer of the pair. It performs effects
    of memory, so the handlers decide where the state is kept, and in a durable run it is saved together with the
    journal.

    - `initial` is the state when nothing is kept yet (`AgentState({})` unless given); its scratch is what each
      run begins with. `as_type`, such as `AgentState[dict[str, Hit]]`, is what to read it as: needed where the
      class of `initial.data` does not say it. A plan never gets objects that it shares with another run.
    - A plan that fails or is cancelled saves nothing, and neither does one that changed nothing. What it saved
      before with `save_state` stays. There is one write, so that nothing is ever half-saved.
    - If somebody else has saved the state meanwhile, nothing is written, and `StateConflict` says so. With
      `merge`, a function `merge(base, [theirs, ours])` such as `merge_states`, the merged state is saved instead.
    - `compaction` keeps the state small, each so many saves. A state that takes more than `most_bytes` when it is
      encoded is refused with `LimitExceeded`.

    Raises `NotSerialisable`, naming the place, for a state that cannot be stored, or that would not come back the
    same; `StoredValueMismatch` for one that does not read as its type; `InvalidArgument` if the plan answers no
    state.

    >>> from lambdacat_effects import AgentState, in_memory, with_state
    >>> from lambdacat_effects.cognition import data_lens
    >>> def visit(state):
    ...     state = data_lens.modify(state, lambda data: {"visits": data.get("visits", 0) + 1})
    ...     return f"visit {state.data['visits']}", state
    ...     yield
    >>> memory = in_memory()
    >>> [memory.run_pure(with_state("agents", "ada", visit)) for _ in range(3)]
    ['visit 1', 'visit 2', 'visit 3']
    """
    if not callable(plan):
        raise InvalidArgument(
            f"with_state takes a function from a state to a plan (`research`, not `research(state)`); got {plan!r}"
        )
    if initial is not None and not isinstance(cast(object, initial), AgentState):
        raise InvalidArgument(f"with_state(initial=...) is an AgentState; got {initial!r}")
    checked_limit(most_bytes)
    if compaction is not None and not isinstance(cast(object, compaction), Compaction):
        raise InvalidArgument(f"with_state(compaction=...) is a Compaction or None; got {compaction!r}")
    if merge is not None and not callable(merge):
        raise InvalidArgument(
            f"with_state(merge=...) is a function merge(base, states) or None; got {merge!r}"
        )
    recall_marked(store, key, as_type=object)  # checks the names before anything runs
    first: AgentState[Any] = AgentState({}) if initial is None else initial
    keeping = _Keeping(store, key, first, as_type or _type_of(first), merge, compaction, most_bytes)
    return keeping.run(plan)


class _Keeping:
    """One state, while one plan has it."""

    def __init__(
        self,
        store: str,
        key: str,
        initial: Any,
        as_type: Any,
        merge: Merge | None,
        compaction: Compaction | None,
        most_bytes: int | None,
    ) -> None:
        self.store = store
        self.key = key
        self.initial = initial
        self.as_type = as_type
        self.merge = merge
        self.compaction = compaction
        self.most_bytes = most_bytes
        self.saves = 0
        """How often what is kept has been saved, as far as the plan knows."""
        self.mark = ""
        """Of what is kept, as far as the plan knows."""
        self.base = b""
        """The state that the plan has begun from, or saved last; encoded, as a plan may change what it is given."""

    def run(self, plan: Callable[[Any], Performs[Any, Any]]) -> Plan[Any, Any]:
        state = yield from self.load()
        saving: Handler[SaveState[Any]] = Handler.of({SaveState: self.saving})
        answer: Any = yield from saving.handle(performable(plan(state)))
        if _is_state(answer):
            return (yield from self.save(answer))
        pair: Any = (None, None)
        if isinstance(answer, tuple) and len(cast(Any, answer)) == 2:
            pair = cast(Any, answer)
        if _is_state(pair[1]):
            yield from self.save(pair[1])
            return pair[0]
        raise InvalidArgument(
            f"the plan that with_state ran for {self.place} is to answer its AgentState, or a pair (answer, state); "
            f"it answered {answer!r}. Nothing was saved at its end"
        )

    def saving(self, asked: SaveState[Any]) -> Generator[Any, Any, Any]:
        return (yield from self.save(asked.state))

    @property
    def place(self) -> str:
        return f"({self.store!r}, {self.key!r})"

    def load(self) -> Plan[Memory, Any]:
        found = yield from self.recalled()
        self.mark = found.mark
        kept = found.value
        if kept is None:
            # As it would come from the store: so the first run meets what every other does, and shares nothing.
            state, self.base = self.read_back(self.initial, "the initial state of")
        else:
            state, self.base, self.saves = kept.state, encode(kept.state), kept.saves
        return attrs.evolve(state, scratch=self.initial.scratch)

    def recalled(self) -> Plan[Memory, Marked[SavedState[Any] | None]]:
        saved: Any = cast(Any, SavedState)[self.as_type]
        try:
            found: Marked[SavedState[Any] | None] = yield from recall_marked(
                self.store, self.key, as_type=saved
            )
        except StoredValueMismatch as error:
            # In the words of whoever has given the state, and not in those of how it is kept.
            text = str(error).replace(type_name(saved), f"a state of the type {type_name(self.as_type)}")
            raise StoredValueMismatch(text.replace(": value.state", ": state")) from None
        return found

    def save(self, state: Any) -> Plan[Memory | Now, Any]:
        _, data = self.read_back(state, "the state of")
        if data == self.base and self.saves:
            return state  # so that a plan that only reads is in nobody's way
        while True:
            if self.compaction is not None and (self.saves + 1) % self.compaction.every == 0:
                state = compacted(state, self.compaction, now=(yield from Now()))
            read, data = self.read_back(state, "the state of")
            self.check_size(len(data), state)
            saved = SavedState(self.saves + 1, attrs.evolve(state, scratch={}))
            mark = yield from remember_unless_changed(self.store, self.key, saved, since=self.mark)
            if mark is not None:
                self.mark, self.saves, self.base = mark, self.saves + 1, data
                return attrs.evolve(read, scratch=state.scratch)
            state = yield from self.merged(state)

    def merged(self, ours: Any) -> Plan[Memory, Any]:
        """Our state with what others have saved meanwhile."""
        found = yield from self.recalled()
        kept = found.value
        if kept is None:
            raise StateConflict(
                f"the state {self.place} was forgotten while a plan worked on it; nothing was saved. "
                "Run the plan again"
            )
        if self.merge is None:
            raise StateConflict(
                f"the state {self.place} was saved by somebody else while a plan worked on it (it was at save "
                f"{self.saves} and is at {kept.saves}); nothing was saved. Run the plan again, which then begins "
                "from what they saved, or give with_state(..., merge=merge_states)"
            )
        try:
            state: Any = self.merge(decode(self.base, self.as_type), [kept.state, ours])
        except MergeConflict as error:
            raise StateConflict(
                f"the state {self.place} was saved by somebody else while a plan worked on it, and cannot be merged "
                f"(branch 0 is theirs, 1 is ours): {error}"
            ) from error
        if not _is_state(state):
            raise InvalidArgument(f"with_state(merge=...) is to answer an AgentState; it answered {state!r}")
        # Only now: a plan that survives a conflict must not save over what it has not merged.
        self.mark, self.saves, self.base = found.mark, kept.saves, encode(kept.state)
        return state

    def read_back(self, state: Any, what: str) -> tuple[Any, bytes]:
        try:
            return read_back(attrs.evolve(state, scratch={}), self.as_type)
        except NotSerialisable as error:
            raise NotSerialisable(f"{what} {self.place} cannot be saved: {error}") from None

    def check_size(self, size: int, state: Any) -> None:
        if self.most_bytes is not None and size > self.most_bytes:
            kind = cast(Any, type(state))
            parts = {name: len(encode(getattr(state, name))) for name in stored_fields(kind) or ()}
            most = max(parts, key=lambda name: parts[name])
            raise LimitExceeded(
                f"the state {self.place} has {size:,} bytes, of which its {most} has {parts[most]:,}, and may have "
                f"{self.most_bytes:,}. Nothing was saved: keep less, give compaction=, or raise most_bytes="
            )


def _is_state(thing: object) -> bool:
    return isinstance(thing, AgentState)


def _type_of(initial: AgentState[Any]) -> Any:
    cls: Any = type(initial)
    if not getattr(cls, "__parameters__", ()):
        return cls
    data = cast(Any, type(initial.data))
    return cls[data if stored_fields(data) is not None else Any]
