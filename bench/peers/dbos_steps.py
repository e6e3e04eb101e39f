"""DBOS on SQLite: a workflow of N trivial steps, as its documentation writes one, timing the run alone.

Prints seconds per step, and the bytes on disk per step. Arguments: N, the bytes of a step's answer, a directory.
"""

import json
import logging
import os
import sys
import time

from dbos import DBOS, DBOSConfig

N, ANSWER, DIRECTORY = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
text = os.urandom(ANSWER // 2).hex()

config: DBOSConfig = {
    "name": "steps",
    "system_database_url": f"sqlite:///{DIRECTORY}/dbos.sqlite",
    "log_level": "ERROR",
}
DBOS(config=config)


@DBOS.step()
def step(i: int) -> object:
    return text if ANSWER else i


@DBOS.workflow()
def workflow() -> int:
    for i in range(N):
        step(i)
    return N


def size() -> int:
    return sum(os.path.getsize(os.path.join(DIRECTORY, name)) for name in os.listdir(DIRECTORY))


logging.disable()
DBOS.launch()
before = size()
began = time.perf_counter()
assert workflow() == N
took = time.perf_counter() - began
print(json.dumps({"seconds_per_step": took / N, "bytes_per_step": (size() - before) / N}), flush=True)
DBOS.destroy()
