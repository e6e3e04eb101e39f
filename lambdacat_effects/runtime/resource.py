"""What handlers own: a connection pool, a database, a subprocess. Opened once, however many runs share it."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Generic, TypeVar

import trio

from lambdacat_effects.errors import ResourceNotOpen

__all__ = ["Resource", "close_all", "open_all", "opened"]

R = TypeVar("R")


class _Use(Generic[R]):
    """A resource as one event loop uses it."""

    def __init__(self) -> None:
        self.users = 0
        self.held: tuple[AbstractAsyncContextManager[R], R] | None = None
        self.changing: trio.Event | None = None  # being opened or closed: others wait

    @contextmanager
    def change(self) -> Generator[None, None, None]:
        changing = self.changing = trio.Event()
        try:
            yield
        finally:
            self.changing = None
            changing.set()


class Resource(Generic[R]):
    """Something that handlers need open: `open` makes the async context manager that opens and closes it.

    It is opened by the first run (or `async with`) that needs it and closed by the last. Event loops of different
    threads share nothing: each opens it for itself. Handler functions read `value`, which raises `ResourceNotOpen`
    outside.
    """

    def __init__(self, name: str, open: Callable[[], AbstractAsyncContextManager[R]]) -> None:
        self.name: str = name
        self._open = open
        self._uses: dict[object, _Use[R]] = {}

    @property
    def value(self) -> R:
        """The open resource."""
        use = self._uses.get(_event_loop())
        if use is None and len(self._uses) == 1:  # a worker thread, which has no event loop of its own
            (use,) = self._uses.values()
        if use is None or use.held is None:
            raise ResourceNotOpen(
                f"{self.name} is not open: perform plans with `handlers.run(...)`, "
                "or keep it open with `async with handlers:`"
            )
        return use.held[1]

    async def __aenter__(self) -> R:
        use = self._uses.setdefault(_event_loop(), _Use())
        use.users += 1  # those who wait count, else the first to be done would close it under them
        try:
            while use.changing is not None:
                await use.changing.wait()
            if use.held is None:
                with use.change():
                    manager = self._open()
                    use.held = (manager, await manager.__aenter__())
        except BaseException:
            await self.__aexit__()
            raise
        return use.held[1]

    async def __aexit__(self, *exc_info: Any) -> None:
        loop = _event_loop()
        use = self._uses[loop]
        use.users -= 1
        if use.users:
            return
        try:
            if use.held is not None:
                manager, _ = use.held
                use.held = None
                with use.change():
                    await manager.__aexit__(None, None, None)
        finally:
            if not use.users:  # nobody came while it was closed
                self._uses.pop(loop, None)


def _event_loop() -> object:
    try:
        return trio.lowlevel.current_trio_token()
    except RuntimeError:
        return threading.get_ident()  # `run_pure`


async def open_all(resources: Sequence[Resource[Any]]) -> None:
    """Open them in order. If one fails, what was opened is closed again."""
    for done, resource in enumerate(resources):
        try:
            await resource.__aenter__()
        except BaseException:
            await close_all(resources[:done])
            raise


async def close_all(resources: Sequence[Resource[Any]]) -> None:
    """Close them, last first; all of them, whatever fails. Two failures or more are raised as a group."""
    errors: list[BaseException] = []
    for resource in reversed(resources):
        try:
            await resource.__aexit__()
        except BaseException as exc:
            errors.append(exc)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup("while closing resources", errors)


@asynccontextmanager
async def opened(resources: Sequence[Resource[Any]]) -> AsyncGenerator[None, None]:
    """Open them, and close them at the end, also on failure and cancellation."""
    await open_all(resources)
    try:
        yield
    finally:
        await close_all(resources)
