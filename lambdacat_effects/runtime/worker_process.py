"""A plain function in a process of its own, which ends no later than the Trio scope that waits for it.

A thread cannot be killed, so a scope has to wait for one; a process can. `worker_main` is the other side.

Why not `multiprocessing`: it blocks a thread for each process, leaves a resource tracker running, runs the main
program again even for functions of other modules, and cannot kill what the function itself has started.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, Literal

import trio

from lambdacat_effects.errors import InvalidArgument, NotSerialisable, WorkerDied
from lambdacat_effects.runtime import worker_main
from lambdacat_effects.runtime.process_tree import end_process

__all__ = ["Answer", "Request", "run_in_process", "worker_limiter"]

Request = tuple[list[str], list[str], tuple[str, str] | None, tuple[str, str] | None, bytes]
"""`sys.path`, `sys.argv`, the main program (`("path" | "module", which)`), the function's module and its file, and
the pickled `(function, args, kwargs)`."""

Answer = (
    tuple[Literal["answered"], Any]
    | tuple[Literal["raised"], bytes | None, str, str]
    | tuple[Literal["unloadable"], str, str]
    | tuple[Literal["unserialisable"], str, str]
)
"""The value; or the pickled exception (None if it cannot be pickled), what it says and its traceback; or what could
not be loaded, and the traceback; or the type of a value that cannot be pickled, and why."""

_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("lambdacat worker processes")

_AT_ONCE = 1 << 20
"""Bytes read from a pipe at once."""


# By path, under its full name: neither `lambdacat_effects` nor Trio is imported, and the byte code is cached.
_BOOTSTRAP = """\
import sys
from importlib.util import module_from_spec, spec_from_file_location
_, name, path, request, answer = sys.argv
spec = spec_from_file_location(name, path)
sys.modules[name] = module = module_from_spec(spec)
spec.loader.exec_module(module)
module.main(int(request), int(answer))
"""


class _RemoteTraceback(Exception):
    """The `__cause__` of an exception that was raised in a worker process: the traceback there, as text."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def worker_limiter() -> trio.CapacityLimiter:
    """What bounds how many worker processes this Trio run has at once: as many as there are processors, unless
    you set its `total_tokens`.

    Raises:
        RuntimeError: not called from inside `trio.run`.
    """
    try:
        return _limiter.get()
    except LookupError:
        _limiter.set(trio.CapacityLimiter(os.cpu_count() or 1))
        return _limiter.get()


# Ctrl-C then arrives at an `await` only, so never between the start of a process and the `try` that ends it.
@trio.lowlevel.enable_ki_protection
async def run_in_process(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call `fn(*args, **kwargs)` in a new process and answer what it answers, or raise what it raises.

    >>> import math
    >>> trio.run(run_in_process, math.hypot, (3.0, 4.0), {})
    5.0

    When this returns or raises, also by cancellation, the process is dead and reaped, and the processes that it
    started are dead: none of their side effects lands later. Only a daemon gets away: a process that has left its
    process group and lost its parent. If *this* process is killed, the worker's process group is killed at once.

    The function, its arguments and its answer travel pickled: the function must be found under its name in a module
    (decorators that set `__wrapped__` are seen through), or in the main program, which is then run again as
    `__mp_main__`. The process shares nothing but the environment, the working directory, stdout and stderr; its
    stdin is empty. It is killed once it has answered: `atexit` functions do not run. This is no sandbox.

    An exception that `fn` raised has the worker's traceback as its `__cause__`.

    Raises:
        InvalidArgument: `fn` or an argument cannot be sent to another process, or `fn` cannot be imported there.
        NotSerialisable: the answer, or the exception, cannot be sent back.
        WorkerDied: the process could not be started, or ended without an answer (`os._exit`, `sys.exit`, a signal).
    """
    name = _name(fn)
    _check_callable_here(fn, name)
    request = _request(fn, name, args, kwargs)
    async with worker_limiter():
        answer, status = await _exchange(request, name)
    if answer is None:
        raise WorkerDied(_death(name, status))
    return _unpack(answer, name)


def _check_callable_here(fn: Callable[..., Any], name: str) -> None:
    if os.name != "posix":
        raise InvalidArgument(
            f'{name}: isolate="process" needs a POSIX system (process groups). Use isolate="thread" on this one.'
        )
    if worker_main.is_preparing():
        raise InvalidArgument(
            f"{name} was to run in a worker process while a worker process was loading the main program. "
            'Put the part of the program that runs things under `if __name__ == "__main__":`.'
        )
    if inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn):
        raise InvalidArgument(
            f"{name} is async, and a worker process runs plain functions. Perform it in the plan itself, or give a "
            "plain function that calls `trio.run`."
        )


def _name(fn: Callable[..., Any]) -> str:
    module, qualname = getattr(fn, "__module__", None), getattr(fn, "__qualname__", None)
    return f"{module}.{qualname}" if module and qualname else repr(fn)


# The request


def _request(
    fn: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> memoryview:
    program = _main_program()
    module = getattr(fn, "__module__", None)
    if module == "__main__" and program is None:
        raise InvalidArgument(
            f"{name} was defined interactively, where a worker process cannot find it. Define it in a file."
        )
    call = _pickled_call(fn, name, args, dict(kwargs))
    file = getattr(sys.modules.get(module or ""), "__file__", None)
    request: Request = (
        sys.path,
        sys.argv,
        program,
        (module, file) if module and file else None,
        call,
    )
    return memoryview(worker_main.frame(pickle.dumps(request, pickle.HIGHEST_PROTOCOL)))


def _main_program() -> tuple[str, str] | None:
    """How a worker can load what is `__main__` here; None in an interactive session."""
    program = sys.modules["__main__"]
    spec = getattr(program, "__spec__", None)
    if spec is not None and spec.name != "__main__":
        return "module", spec.name
    file = getattr(program, "__file__", None)
    return None if file is None else ("path", os.path.abspath(file))


class _CallPickler(pickle.Pickler):
    """Also pickles a function whose name stands for what decorators have made of it."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, FunctionType) and (depth := _decorators(obj)):
            return worker_main.find_wrapped, (obj.__module__, obj.__qualname__, depth)
        return NotImplemented


def _decorators(function: FunctionType) -> int:
    """How many decorators there are between a function and what has its name; 0 also where it has none."""
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    depth = 0
    while found is not None and found is not function:
        found = getattr(found, "__wrapped__", None)
        depth += 1
    return depth if found is function else 0


def _pickled(value: object) -> bytes:
    file = io.BytesIO()
    _CallPickler(file, pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()


def _pickled_call(fn: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    try:
        return _pickled((fn, args, kwargs))
    except Exception as error:
        # One by one, to say which it was.
        raise _unsendable(fn, name, args, kwargs, error) from error


def _unsendable(
    fn: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception
) -> InvalidArgument:
    if not _can_pickle(fn):
        return InvalidArgument(
            f"{name} cannot run in a worker process: {error}. Give a function that is defined with `def` at the top "
            "level of a module, and pass what it needs as arguments."
        )
    named = [(f"Argument {i}", value) for i, value in enumerate(args)]
    named += [(f"Argument {key!r}", value) for key, value in kwargs.items()]
    for label, value in named:
        if not _can_pickle(value):
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            return InvalidArgument(
                f"{label} of {name}, a {kind}, cannot be sent to a worker process: {error}. Pass plain data, and "
                "open files, locks and connections inside the function."
            )
    return InvalidArgument(f"The arguments of {name} cannot be sent to a worker process: {error}.")


def _can_pickle(value: object) -> bool:
    try:
        _pickled(value)
    except Exception:
        return False
    return True


# The process


async def _exchange(request: memoryview, name: str) -> tuple[memoryview | None, int]:
    """The body of the answer, or None if the worker ended without one; and its exit status (negative: the signal)."""
    with contextlib.ExitStack() as ours:
        process, to_worker, from_worker = await _start(ours, name)
        answer = None
        try:
            # A worker that is dead before it has read all is noticed below.
            with contextlib.suppress(trio.BrokenResourceError):
                await to_worker.send_all(request)
            answer = await _receive(from_worker)
        finally:
            # Unless it has said that it has no children, it may have some.
            await end_process(process, children=answer is None or answer[0] != 0)
        status = process.returncode
        assert status is not None
        return None if answer is None else answer[1:], status


async def _start(
    ours: contextlib.ExitStack, name: str
) -> tuple[trio.Process, trio.lowlevel.FdStream, trio.lowlevel.FdStream]:
    """Start a worker; `ours` comes to hold our ends of its two pipes."""
    with contextlib.ExitStack() as theirs:
        request_fd, our_request_fd = os.pipe()
        theirs.callback(os.close, request_fd)
        to_worker = ours.enter_context(contextlib.closing(trio.lowlevel.FdStream(our_request_fd)))
        our_answer_fd, answer_fd = os.pipe()
        theirs.callback(os.close, answer_fd)
        from_worker = ours.enter_context(contextlib.closing(trio.lowlevel.FdStream(our_answer_fd)))
        command = [sys.executable, *_interpreter_options(), "-c", _BOOTSTRAP]
        command += [
            worker_main.__name__,
            os.path.abspath(worker_main.__file__),
            str(request_fd),
            str(answer_fd),
        ]
        try:
            # Either raises Cancelled before it starts anything, or returns the process: it never abandons its thread.
            process = await trio.lowlevel.open_process(
                command, stdin=subprocess.DEVNULL, pass_fds=(request_fd, answer_fd), start_new_session=True
            )
        except OSError as error:
            raise WorkerDied(f"The worker process of {name} could not be started: {error}.") from error
    return process, to_worker, from_worker


def _interpreter_options() -> list[str]:
    """The worker runs as this process does: assertions, warnings, encoding. What is set by environment variables, it
    inherits anyway. `-P`: nothing of the working directory before we give it our `sys.path`."""
    options = ["-P", *(f"-W{option}" for option in sys.warnoptions)]
    if sys.flags.optimize:
        options.append("-" + "O" * sys.flags.optimize)
    if sys.flags.dont_write_bytecode:
        options.append("-B")
    if sys.flags.dev_mode:
        options += ["-X", "dev"]
    return [*options, "-X", f"utf8={sys.flags.utf8_mode}"]


async def _receive(stream: trio.lowlevel.FdStream) -> memoryview | None:
    header = worker_main.frame(b"")
    size = len(header)
    data = bytearray()
    while len(data) < size:
        chunk = await stream.receive_some(_AT_ONCE)
        if not chunk:
            return None
        data += chunk
        if size == len(header) <= len(data):
            size += int.from_bytes(data[: len(header)], "big")
    return memoryview(data)[len(header) :]


# The answer


def _unpack(body: memoryview, name: str) -> Any:
    """The value of an answer; raises what it says was raised."""
    answer: Answer
    try:
        answer = _Unpickler(io.BytesIO(body)).load()
    except Exception as error:
        raise NotSerialisable(
            f"The answer of {name} was sent back from its worker process, but cannot be unpickled here: {error}. "
            "Return plain data."
        ) from error
    match answer:
        case ("answered", value):
            return value
        case ("raised", pickled, summary, trace):
            raise _exception(pickled, summary, name) from _RemoteTraceback(trace)
        case ("unloadable", summary, trace):
            raise InvalidArgument(
                f"A worker process cannot load {name} or its arguments: {summary}. Define them in a module that "
                "can be imported from `sys.path`."
            ) from _RemoteTraceback(trace)
        case ("unserialisable", kind, why):
            raise NotSerialisable(
                f"The answer of {name}, a {kind}, cannot be sent back from its worker process: {why}. Return "
                "plain data."
            )


def _exception(pickled: bytes | None, summary: str, name: str) -> BaseException:
    # Many exceptions can be pickled, but not unpickled: those with more parameters than `args`.
    with contextlib.suppress(Exception):
        if pickled is not None and isinstance(error := _Unpickler(io.BytesIO(pickled)).load(), BaseException):
            return error
    return NotSerialisable(
        f"{name} raised an exception that cannot be sent back from its worker process: {summary}. Raise one that can "
        "be pickled (see `__reduce__`). Where it was raised is shown above."
    )


class _Unpickler(pickle.Unpickler):
    """Finds here what was defined in the main program, which has another name in a worker."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        return super().find_class("__main__" if module_name == "__mp_main__" else module_name, global_name)


def _death(name: str, status: int) -> str:
    if status >= 0:
        how = f"it exited with code {status}"
        advice = "The function must return or raise, not call `os._exit` or `sys.exit`"
    else:
        how = f"it was killed by {signal.Signals(-status).name}"
        advice = {
            signal.SIGKILL: "Was it out of memory? Give it less at once, or the machine more",
            signal.SIGSEGV: "A C extension crashed: run it with PYTHONFAULTHANDLER=1 to see where",
        }.get(signal.Signals(-status), "See its output on stderr")
    return f"The worker process of {name} ended without an answer: {how}. {advice}."
