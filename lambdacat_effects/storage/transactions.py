"""Changes that are made with something else: a durable run's memory, with the journal entry that tells of it.

Whoever keeps such a journal opens a `Transaction` around an effect; handlers that change a store do it by `change`,
and read by `look` and `search`. Within a transaction on the same store the changes wait to be committed with it, and
are read as if they had been made. Elsewhere they are made at once.
"""

from __future__ import annotations

from contextvars import ContextVar

from lambdacat_effects.storage.port import Change, Delete, Expect, Put, Store

__all__ = ["Transaction", "change", "enlisting", "look", "search"]


class Transaction:
    """Changes to one store, to be committed by whoever opened it."""

    __slots__ = ("_values", "changes", "expected", "store")

    def __init__(self, store: Store) -> None:
        self.store: Store = store
        self.changes: list[Change] = []
        """What was asked for, in order."""
        self.expected: list[Expect] = []
        """What was found to be so, and has to be so still when the changes are committed. If it is not, somebody was
        quicker: nothing has happened yet, and whoever asked for the changes is to be asked again."""
        self._values: dict[tuple[str, str], bytes | None] = {}

    async def get(self, namespace: str, key: str) -> bytes | None:
        """What is under the key, or will be."""
        place = (namespace, key)
        return self._values[place] if place in self._values else await self.store.get(namespace, key)

    async def scan(self, namespace: str, prefix: str) -> list[tuple[str, bytes]]:
        """The keys that begin with `prefix`, as they are or will be."""
        values: dict[str, bytes | None] = dict(await self.store.scan(namespace, prefix))
        for (of, key), value in self._values.items():
            if of == namespace and key.startswith(prefix):
                values[key] = value
        return sorted((key, value) for key, value in values.items() if value is not None)

    async def batch(self, changes: tuple[Change, ...]) -> bool:
        """Enlist all of the changes, or none and answer False."""
        kept: dict[tuple[str, str], bytes | None] = {}
        for wanted in changes:
            place = (wanted.namespace, wanted.key)
            if isinstance(wanted, Expect) and place not in self._values:
                kept[place] = await self.store.get(*place)
        # From here on nothing waits: an effect may have branches, which share its transaction.
        expected = [wanted for wanted in changes if isinstance(wanted, Expect)]
        for wanted in expected:
            place = (wanted.namespace, wanted.key)
            if wanted.value != (self._values[place] if place in self._values else kept[place]):
                return False
        self.expected += [wanted for wanted in expected if (wanted.namespace, wanted.key) not in self._values]
        for wanted in changes:
            if isinstance(wanted, Put):
                self._values[wanted.namespace, wanted.key] = wanted.value
            elif isinstance(wanted, Delete):
                self._values[wanted.namespace, wanted.key] = None
            if not isinstance(wanted, Expect):
                self.changes.append(wanted)
        return True


_open: ContextVar[tuple[Transaction, ...]] = ContextVar("transactions", default=())


class enlisting:
    """Let the changes that are made within belong to `transaction`, unless an outer one has its store already."""

    __slots__ = ("_before", "_transaction")

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def __enter__(self) -> Transaction:
        self._before = _open.get()
        _open.set((self._transaction, *self._before))
        return self._transaction

    def __exit__(self, *exc_info: object) -> None:
        _open.set(
            self._before
        )  # not `reset`, which would refuse when an abandoned run is closed from elsewhere


def _enlisted(store: Store) -> Transaction | None:
    transactions = _open.get()
    if transactions:
        place = store.place
        for transaction in transactions:
            if transaction.store.place == place:
                return transaction
    return None


async def change(store: Store, *changes: Change) -> bool:
    """`store.batch(changes)`, in the transaction in force."""
    transaction = _enlisted(store)
    return await (store.batch(changes) if transaction is None else transaction.batch(changes))


async def look(store: Store, namespace: str, key: str) -> bytes | None:
    """`store.get(namespace, key)`, in the transaction in force."""
    return await (_enlisted(store) or store).get(namespace, key)


async def search(store: Store, namespace: str, prefix: str = "") -> list[tuple[str, bytes]]:
    """`store.scan(namespace, prefix)`, in the transaction in force."""
    return await (_enlisted(store) or store).scan(namespace, prefix)
