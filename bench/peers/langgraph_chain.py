"""LangGraph: a chain of 200 trivial nodes, as its documentation writes one. Prints microseconds per step."""

import json
import time
from typing import TypedDict

from langgraph.graph import END, START, StateGraph

N = 200


class Counter(TypedDict):
    n: int


def step(state: Counter) -> Counter:
    return {"n": state["n"] + 1}


graph = StateGraph(Counter)
for i in range(N):
    graph.add_node(f"step{i}", step)
graph.add_edge(START, "step0")
for i in range(1, N):
    graph.add_edge(f"step{i - 1}", f"step{i}")
graph.add_edge(f"step{N - 1}", END)
chain = graph.compile()

best = float("inf")
for _ in range(10):
    began = time.perf_counter()
    answer = chain.invoke({"n": 0}, {"recursion_limit": N + 10})
    best = min(best, time.perf_counter() - began)
    assert answer["n"] == N
print(json.dumps({"us_per_step": best / N * 1e6}))
