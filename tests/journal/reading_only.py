"""A process that may only read what is in a directory, also if it is the superuser's.

python reading_only.py DIRECTORY SCANS
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import Any

import trio

from lambdacat_effects import Durable, ambient, ask
from lambdacat_effects.errors import StoreUnusable
from lambdacat_effects.storage import LmdbStore


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def give_up_rights() -> None:
    """Be an ordinary user: the superuser may write whatever the permissions say."""
    if os.geteuid() == 0:
        header, data = _Header(0x20080522, 0), (_Data * 2)()
        assert ctypes.CDLL(None).capset(ctypes.byref(header), ctypes.byref(data)) == 0


async def refused(changing: Any) -> str:
    try:
        await changing
    except StoreUnusable as error:
        return str(error)
    raise AssertionError("it was changed")


async def look(directory: str) -> dict[str, Any]:
    async with Durable(directory) as durable:
        return {
            "runs": [(info.run_id, info.status) for info in await durable.runs()],
            "info": (await durable.info("asking")).questions,
            "questions": [question.text for question in await durable.questions("asking")],
            "history": [step.outcome for step in await durable.history("done")],
            "outcome": await durable.resume("done", handlers=ambient),
            "refusals": [
                await refused(durable.run("new", ask, "Who?", handlers=ambient)),
                await refused(durable.resume("asking", handlers=ambient)),
                await refused(durable.answer("asking", "Ann")),
                await refused(durable.cancel("asking")),
                await refused(durable.forget("done")),
                await refused(durable.compact()),
            ],
        }


async def scans(directory: str, number: int) -> list[int]:
    """How many different values there were in each scan of records that are all written together."""
    async with LmdbStore(directory) as store:
        return [len({value for _, value in await store.scan("together")}) for _ in range(number)]


def main() -> None:
    directory, number = sys.argv[1], int(sys.argv[2])
    give_up_rights()
    try:
        with open(os.path.join(directory, "probe"), "w"):
            raise AssertionError("the directory can be written")
    except PermissionError:
        pass
    found = trio.run(look, directory)
    print(json.dumps({**found, "scans": trio.run(scans, directory, number)}))


if __name__ == "__main__":
    main()
