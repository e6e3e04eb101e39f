"""A process that performs a durable run of many branches, and tells a ledger of each call; it is there to be killed.

python proof_worker.py STORE SOCKET BRANCHES CALLS [MUTANT]
"""

from __future__ import annotations

import sys
from typing import Any

import trio

from lambdacat_effects import Plan, call_tools, observe, parallel, remember, store_beliefs, store_memory, tool
from lambdacat_effects.journal import Durable, idempotency_key
from lambdacat_effects.storage.lmdb_store import LmdbStore

RUN_ID = "worker"
_ledger = ""


@tool
async def record(what: str) -> str:
    """A call to the world: it has happened when the ledger has it."""
    stream = await trio.open_unix_socket(_ledger)
    async with stream:
        await stream.send_all(f"{idempotency_key()}\t{what}\n".encode())
        answer = await stream.receive_some()
    if answer != b"noted\n":
        raise ConnectionError(f"the ledger answered {answer!r}")
    return f"did {what}"


def branch(name: str, calls: int) -> Plan[Any, str]:
    for i in range(calls):
        yield from record(f"{name} {i}")
        yield from remember("done", f"{name} {i}", i)
        yield from observe("it works", (i + 1) / 10, source=name)
    return name


def many(branches: int, calls: int) -> Plan[Any, list[str]]:
    names = yield from parallel(*[branch(f"branch {i}", calls) for i in range(branches)])
    yield from record("the end")
    return list(names)


async def work(path: str, branches: int, calls: int) -> None:
    async with LmdbStore(path) as store:
        handlers = call_tools(record) | store_memory(store) | store_beliefs(store)
        durable = Durable(store)
        if any(info.run_id == RUN_ID for info in await durable.runs()):
            await durable.resume(RUN_ID, handlers=handlers)
        else:
            await durable.run(RUN_ID, many, branches, calls, handlers=handlers)


def main() -> None:
    global _ledger
    path, _ledger, branches, calls, *mutant = sys.argv[1:]
    if mutant:
        import proof_mutants

        getattr(proof_mutants, mutant[0])().__enter__()
    trio.run(work, path, int(branches), int(calls))


if __name__ == "__main__":
    import proof_worker  # the plan has to have the name that the next process will find it by

    proof_worker.main()
