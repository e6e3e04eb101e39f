"""What handlers own: a connection pool, a database, a subprocess. Opened once, however many runs share it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Generic, TypeVar

import trio

from lambdacat_effects.errors import ResourceNotOpen

__all__ = ["Resource", "opened"]

R = TypeVar("R")


class Resource(Generic[R]):
    """Something that handlers need open: `open` makes the async context manager that opens and closes it.

    It is opened by the first run (or `async with`) that needs it and closed by the last. Its handler functions read
    `value`, which raises `ResourceNotOpen` outside.
    """

    def __init__(self, name: str, open: Callable[[], AbstractAsyncContextManager[R]]) -> None:
        self.name = name
        self._open = open
        self._users = 0
        self._held: tuple[AbstractAsyncContextManager[R], R] | None = None
        self._changing: trio.Event | None = None  # being opened or closed: others wait

    @property
    def value(self) -> R:
        """The open resource."""
        if self._held is None:
            raise ResourceNotOpen(
                f"{self.name} is not open: perform plans with `handlers.run(...)`, "
                "or keep it open with `async with handlers:`"
            )
        return self._held[1]

    async def __aenter__(self) -> R:
        self._users += 1  # those who wait count, else the first to be done would close it under them
        try:
            while self._changing is not None:
                await self._changing.wait()
            if self._held is None:
                with self._change():
                    manager = self._open()
                    self._held = (manager, await manager.__aenter__())
        except BaseException:
            await self.__aexit__()
            raise
        return self.value

    async def __aexit__(self, *exc_info: Any) -> None:
        self._users -= 1
        if self._users == 0 and self._held is not None:
            manager, _ = self._held
            self._held = None
            with self._change():
                await manager.__aexit__(None, None, None)

    @contextmanager
    def _change(self) -> Generator[None, None, None]:
        changing = self._changing = trio.Event()
        try:
            yield
        finally:
            self._changing = None
            changing.set()


@asynccontextmanager
async def opened(resources: Sequence[Resource[Any]]) -> AsyncGenerator[None, None]:
    """Open what is not open yet, in order, and close what this opened, also on failure and cancellation."""
    async with AsyncExitStack() as stack:
        for resource in resources:
            await stack.enter_async_context(resource)
        yield
