"""What effects mean: interpretations that are live, in memory, or fixed."""

from typing import TYPE_CHECKING

from lambdacat_effects._late import late
from lambdacat_effects.handlers.redacting import redacting
from lambdacat_effects.handlers.tools import answer_tools, answers, call_tools
from lambdacat_effects.handlers.world import (
    collect_counts,
    collect_logs,
    fixed_ids,
    fixed_random,
    fixed_time,
    live_ids,
    live_random,
    live_time,
)

if TYPE_CHECKING:
    from lambdacat_effects.handlers.beliefs import (
        in_memory_beliefs,
        json_beliefs,
        lmdb_beliefs,
        redis_beliefs,
        sqlite_beliefs,
        store_beliefs,
    )
    from lambdacat_effects.handlers.memory import (
        in_memory,
        json_memory,
        lmdb_memory,
        redis_memory,
        sqlite_memory,
        store_memory,
    )

__all__ = [
    "answer_tools",
    "answers",
    "call_tools",
    "collect_counts",
    "collect_logs",
    "fixed_ids",
    "fixed_random",
    "fixed_time",
    "in_memory",
    "in_memory_beliefs",
    "json_beliefs",
    "json_memory",
    "live_ids",
    "live_random",
    "live_time",
    "lmdb_beliefs",
    "lmdb_memory",
    "redacting",
    "redis_beliefs",
    "redis_memory",
    "sqlite_beliefs",
    "sqlite_memory",
    "store_beliefs",
    "store_memory",
]

if not TYPE_CHECKING:
    __getattr__ = late(
        __name__,
        {
            "beliefs": (
                "in_memory_beliefs",
                "json_beliefs",
                "lmdb_beliefs",
                "redis_beliefs",
                "sqlite_beliefs",
                "store_beliefs",
            ),
            "memory": (
                "in_memory",
                "json_memory",
                "lmdb_memory",
                "redis_memory",
                "sqlite_memory",
                "store_memory",
            ),
        },
    )
