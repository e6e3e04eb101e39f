"""What runs inside a worker process: read one call, make it, answer. The other side is `worker_process`.

Standard library only, and loaded by path: importing `lambdacat_effects` would cost every call the import of
Trio. What the called function's own module imports is imported, of course.

Both pipes carry frames: eight bytes of length, then that many of body. A request is a pickled
`worker_process.Request`; an answer is one byte that says whether the worker has children left, then a pickled
`worker_process.Answer`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import pickle
import signal
import struct
import sys
from types import ModuleType

TYPE_CHECKING = False  # the name that checkers know; importing `typing` would cost each call 3 ms
if TYPE_CHECKING:
    from typing import Any

__all__ = ["find_wrapped", "frame", "is_preparing", "load_from_file", "main", "watch"]

_LENGTH = struct.Struct("!Q")


class _State:
    """What one process knows of its call. A process makes one call, so there is one of these."""

    preparing = False
    main: tuple[str, str] | None = None
    module_file: tuple[str, str] | None = None


def is_preparing() -> bool:
    """Whether this process is a worker that is loading the main program, which must not start workers then."""
    return _State.preparing


def frame(body: bytes) -> bytes:
    """The bytes that carry `body` over a pipe."""
    return _LENGTH.pack(len(body)) + body


def main(request_fd: int, answer_fd: int) -> None:
    """Make the call that arrives at `request_fd` and answer it at `answer_fd`. Does not return: having answered,
    the process waits to be killed, so that its children are still its children when they are looked for."""
    for fd in (request_fd, answer_fd):
        os.set_inheritable(fd, False)
    body = _read_frame(request_fd)
    if body is None:
        os._exit(1)  # whoever asked is gone
    watch(request_fd)
    # A process forked by the function must not hold the pipe open (the end of the worker would go unnoticed).
    os.register_at_fork(after_in_child=lambda: _close(request_fd, answer_fd))
    worker = os.getpid()
    answer = _answer(body)
    children = _has_children()
    _flush()
    if os.getpid() != worker:
        os._exit(0)  # forked by the function, and came back from it: the answer is the worker's to give
    _write(answer_fd, frame(bytes([children]) + answer))
    while True:
        signal.pause()


def watch(fd: int) -> None:
    """Have this process group killed as soon as the last writer of the pipe `fd` is gone: the parent was killed.

    On Linux the kernel does it, so it also works in a call that never releases the GIL (a regular expression
    that backtracks for ever), where a thread would not get to run. `PR_SET_PDEATHSIG` would not do: it tells
    of the end of the *thread* that started this process, and Trio's threads retire when idle."""
    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
        if _ended(fd):  # before the kernel was asked
            os.killpg(0, signal.SIGKILL)
    else:
        import _thread

        _thread.start_new_thread(_kill_at_end, (fd,))


def _ended(fd: int) -> bool:
    import select

    return bool(select.select([fd], [], [], 0)[0])


def _kill_at_end(fd: int) -> None:
    os.read(fd, 1)
    os.killpg(0, signal.SIGKILL)


def _close(*fds: int) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):  # the function has closed it
            os.close(fd)


def _answer(body: bytes) -> bytes:
    """The pickled answer to a pickled request."""
    try:
        function, args, kwargs = _load(pickle.loads(body))
    except Exception as error:
        return pickle.dumps(("unloadable", _summary(error), _traceback(error)))
    try:
        value = function(*args, **kwargs)
    except (SystemExit, KeyboardInterrupt):
        raise  # it asked for the end of the process, and gets it
    except BaseException as error:
        return pickle.dumps(("raised", _pickled_or_none(error), _summary(error), _traceback(error)))
    try:
        return pickle.dumps(("answered", value), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        return pickle.dumps(("unserialisable", kind, _summary(error)))


def _load(request: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    path, argv, _State.main, _State.module_file, call = request
    sys.path[:] = path
    sys.argv[:] = argv
    loaded: tuple[Any, tuple[Any, ...], dict[str, Any]] = _Unpickler(io.BytesIO(call)).load()
    return loaded


class _Unpickler(pickle.Unpickler):
    """Loads the main program when, and only if, the call refers to it: a function of another module does not
    pay for it, and `pytest` or `lambdacat` is never run again."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if module_name in ("__main__", "__mp_main__"):
            _load_main()
            return super().find_class("__mp_main__", global_name)
        try:
            return super().find_class(module_name, global_name)
        except ModuleNotFoundError:
            if _State.module_file is None or _State.module_file[0] != module_name:
                raise
            load_from_file(*_State.module_file)
            return super().find_class(module_name, global_name)


def find_wrapped(module: str, qualname: str, depth: int) -> Any:
    """The function below `depth` decorators of the thing that has its name (decorators set `__wrapped__`)."""
    found = _Unpickler(io.BytesIO()).find_class(module, qualname)
    for _ in range(depth):
        found = found.__wrapped__
    return found


def load_from_file(name: str, path: str) -> ModuleType:
    """Load a module whose directory is not on `sys.path`.

    Raises:
        ModuleNotFoundError: no module can be loaded from `path`.
    """
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module {name!r} at {path}", name=name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _load_main() -> None:
    """Run the main program under the name `__mp_main__`, so that its `if __name__ == "__main__":` does not hold,
    as `multiprocessing` does."""
    if "__mp_main__" in sys.modules:
        return
    if _State.main is None:
        raise ModuleNotFoundError("The main program has no file to load it from", name="__main__")
    import runpy

    kind, which = _State.main
    run = runpy.run_path if kind == "path" else runpy.run_module
    _State.preparing = True
    try:
        content = run(which, run_name="__mp_main__")
    finally:
        _State.preparing = False
    module = ModuleType("__mp_main__")
    module.__dict__.update(content)
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module


def _has_children() -> bool:
    """Whether this process has a child, running or not. Asked here since the parent can only find out by
    searching all processes."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _pickled_or_none(error: BaseException) -> bytes | None:
    try:
        return pickle.dumps(error)
    except Exception:
        return None


def _summary(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception_only(error)).strip()  # bears with a `__str__` that fails


def _traceback(error: BaseException) -> str:
    import traceback

    # The first frame is this module's.
    shown = error.__traceback__.tb_next if error.__traceback__ is not None else None
    return "".join(traceback.format_exception(type(error), error, shown))


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed by the function, or nobody reads
            stream.flush()


def _read_frame(fd: int) -> bytes | None:
    """The next frame's body, or None where the pipe ends first."""
    header = _read_exactly(fd, _LENGTH.size)
    return None if header is None else _read_exactly(fd, _LENGTH.unpack(header)[0])


def _read_exactly(fd: int, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        chunk = os.read(fd, min(size - len(data), 1 << 20))
        if not chunk:
            return None
        data += chunk
    return bytes(data)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
