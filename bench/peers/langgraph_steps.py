"""LangGraph, AsyncSqliteSaver, durability="sync": a graph of one trivial node run N times, timing the run alone.

Prints seconds per step, and the bytes on disk per step. Arguments: N, the bytes of a step's answer, a directory. The
answers are kept in a list, as messages are.
"""

import asyncio
import json
import operator
import os
import sys
import time
from typing import Annotated, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

N, ANSWER, DIRECTORY = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
text = os.urandom(ANSWER // 2).hex()


class State(TypedDict):
    n: int
    answers: Annotated[list[str], operator.add]


async def step(state: State) -> State:
    return {"n": state["n"] + 1, "answers": [text] if ANSWER else []}


def size() -> int:
    return sum(os.path.getsize(os.path.join(DIRECTORY, name)) for name in os.listdir(DIRECTORY))


async def main() -> None:
    graph = StateGraph(State)
    graph.add_node("step", step)
    graph.add_edge(START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if state["n"] < N else END)
    async with AsyncSqliteSaver.from_conn_string(f"{DIRECTORY}/langgraph.sqlite") as saver:
        await saver.setup()
        chain = graph.compile(checkpointer=saver)
        before = size()
        config = {"configurable": {"thread_id": "1"}, "recursion_limit": N + 10}
        began = time.perf_counter()
        answer = await chain.ainvoke({"n": 0, "answers": []}, config, durability="sync")
        took = time.perf_counter() - began
        assert answer["n"] == N
        print(json.dumps({"seconds_per_step": took / N, "bytes_per_step": (size() - before) / N}))


asyncio.run(main())
