"""Burr: a chain of 200 trivial actions, as its documentation writes one. Prints microseconds per step."""

import json
import time
from itertools import pairwise

from burr.core import ApplicationBuilder, State, action

N = 200


@action(reads=["n"], writes=["n"])
def step(state: State) -> State:
    return state.update(n=state["n"] + 1)


def build():
    names = [f"step{i}" for i in range(N)]
    return (
        ApplicationBuilder()
        .with_actions(**dict.fromkeys(names, step))
        .with_transitions(*pairwise(names))
        .with_state(n=0)
        .with_entrypoint(names[0])
        .build()
    ), names[-1]


best = float("inf")
for _ in range(10):
    app, last = build()
    began = time.perf_counter()
    _, _, state = app.run(halt_after=[last])
    best = min(best, time.perf_counter() - began)
    assert state["n"] == N
print(json.dumps({"us_per_step": best / N * 1e6}))
