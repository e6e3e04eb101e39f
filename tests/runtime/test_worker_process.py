"""A function in a worker process: what comes back, and that nothing of it is left when its scope has ended.

Real processes and real time, since that is the promise. The subjects are functions of the standard library where
one will do: a function of this module costs each call the import of pytest and Trio.
"""

from __future__ import annotations

import fractions
import functools
import math
import operator
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from lambdacat_effects.errors import InvalidArgument, NotSerialisable, WorkerDied
from lambdacat_effects.runtime.worker_process import run_in_process, worker_limiter

# What the workers run. Plain files tell the test what happened, as pipes would be closed with the process.


LATER = 0.3
"""Seconds from "started" to the side effect that must not land."""


def start_then_write(folder: Path) -> None:
    """Say that it runs, and later do what must not happen after a cancellation."""
    (folder / "started").write_text(str(os.getpid()))
    time.sleep(LATER)
    (folder / "landed").touch()


def shell(folder: Path, script: str = "{}") -> list[str]:
    """A command line that does the same."""
    return ["sh", "-c", script.format(f"(echo $$ > {folder}/started; sleep {LATER}; touch {folder}/landed)")]


def run_a_worker(folder: Path) -> None:
    trio.run(run_in_process, start_then_write, (folder,), {})


def leave_a_fork_that_returns(folder: Path) -> None:
    """Both processes return, as a program does that forgets `os._exit` in the child."""
    if os.fork() == 0:
        start_then_write(folder)


def leave_a_thread(folder: Path) -> None:
    threading.Thread(target=start_then_write, args=(folder,)).start()


def leave_a_child_in_a_new_session(folder: Path) -> None:
    subprocess.Popen(shell(folder), start_new_session=True)  # returns when the session is there


def die_and_leave_a_child(folder: Path) -> None:
    os.posix_spawnp("sh", shell(folder), os.environ)  # unlike `subprocess`, it closes no descriptors
    os._exit(4)


def status_of_a_fork_that_returns() -> int:
    if (child := os.fork()) == 0:
        return -1
    return os.waitpid(child, 0)[1]


def fork_and_die() -> None:
    """The forked process has the pipes too, and must not keep the end of the worker from being noticed."""
    if os.fork() == 0:
        time.sleep(60)
    os._exit(4)


class Unsendable(Exception):
    """Can be pickled, but not unpickled, like many exceptions of many libraries."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")


def raise_unsendable() -> None:
    raise Unsendable(7, "no luck")


class Registered:
    """What a decorator makes of a function that it registers."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        functools.update_wrapper(self, fn)  # type: ignore[arg-type]


@Registered
def decorated(x: int) -> int:
    return x + 1


async def an_async_function() -> None: ...


def running(pid: int) -> bool:
    """Whether a process is there and no zombie: those that are not our children are reaped by somebody else."""
    done = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() not in ("", "Z")


async def until_exists(path: Path) -> None:
    with trio.fail_after(5):
        while not path.exists() or not path.stat().st_size:
            await trio.sleep(0.01)


async def nothing_lands(*folders: Path) -> None:
    """Wait longer than anything in this file takes to have its effect."""
    await trio.sleep(LATER + 0.2)
    assert not [folder.name for folder in folders if (folder / "landed").exists()]


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    """After every test, this process has no other children than before: a server of other tests, perhaps."""
    before = _children()
    yield
    assert before == _children()


def _children() -> set[str]:
    """The process ids of this process's children, with those that have ended and are not waited for."""
    found = subprocess.run(["ps", "-A", "-o", "ppid=,pid=,comm="], capture_output=True, text=True, check=True)
    rows = [row.split(maxsplit=2) for row in found.stdout.splitlines()]
    return {pid for parent, pid, name in rows if parent == str(os.getpid()) and name != "ps"}


# What comes back


async def test_the_answer_comes_back() -> None:
    assert await run_in_process(math.hypot, (3.0, 4.0), {}) == 5.0
    assert await run_in_process(int, ("ff",), {"base": 16}) == 255


async def test_it_is_another_process_in_a_session_of_its_own() -> None:
    assert await run_in_process(os.getpid, (), {}) != os.getpid()
    assert await run_in_process(os.getsid, (0,), {}) not in (0, os.getsid(0))


async def test_an_exception_comes_back_with_the_traceback_of_the_worker() -> None:
    with pytest.raises(ZeroDivisionError, match=r"Fraction\(1, 0\)") as caught:
        await run_in_process(fractions.Fraction, (1, 0), {})
    assert "fractions.py" in str(caught.value.__cause__)
    assert "worker_main" not in str(caught.value.__cause__)


async def test_an_exception_that_cannot_be_sent_back_is_told() -> None:
    with pytest.raises(NotSerialisable, match="Unsendable: 7: no luck") as caught:
        await run_in_process(raise_unsendable, (), {})
    assert 'raise Unsendable(7, "no luck")' in str(caught.value.__cause__)


async def test_a_big_argument_and_a_big_answer_pass() -> None:
    big = os.urandom(1000) * 50_000
    assert await run_in_process(bytes, (big,), {}) == big


async def test_what_it_prints_is_printed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    await run_in_process(print, ("hello from the worker",), {})
    assert capfd.readouterr().out == "hello from the worker\n"


async def test_it_inherits_no_descriptor_but_its_pipes_and_standard_streams(tmp_path: Path) -> None:
    with open(tmp_path / "open in the parent", "w") as file:
        os.set_inheritable(file.fileno(), True)
        there = await run_in_process(os.listdir, ("/proc/self/fd",), {})
    assert len(there) == 3 + 2 + 1  # and the folder being listed


async def test_a_forked_copy_of_the_function_gives_no_answer() -> None:
    assert await run_in_process(status_of_a_fork_that_returns, (), {}) == 0


async def test_eight_run_at_once() -> None:
    worker_limiter().total_tokens = 8
    answers = dict[int, int]()

    async def ask(n: int) -> None:
        answers[n] = await run_in_process(operator.mul, (n, n), {})

    async with trio.open_nursery() as nursery:
        for n in range(8):
            nursery.start_soon(ask, n)
    assert answers == {n: n * n for n in range(8)}


async def test_no_more_run_at_once_than_the_limiter_allows() -> None:
    worker_limiter().total_tokens = 1
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(run_in_process, time.sleep, (0.1,), {})
    assert trio.current_time() - begun > 0.3


# Which functions


async def test_a_decorated_function_runs_undecorated() -> None:
    assert await run_in_process(decorated.__wrapped__, (1,), {}) == 2  # type: ignore[attr-defined]


async def test_a_module_outside_the_path_is_loaded_from_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plan_of_mine.py").write_text("def double(x): return 2 * x")
    with monkeypatch.context() as patched:
        patched.syspath_prepend(tmp_path)
        import plan_of_mine  # type: ignore[import-not-found]
    assert str(tmp_path) not in sys.path
    assert await run_in_process(plan_of_mine.double, (4,), {}) == 8


async def test_a_module_on_the_path_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "steps_of_mine.py").write_text("import os\ndef where(): return __file__")
    monkeypatch.syspath_prepend(tmp_path)
    import steps_of_mine  # type: ignore[import-not-found]

    assert await run_in_process(steps_of_mine.where, (), {}) == str(tmp_path / "steps_of_mine.py")


@pytest.mark.parametrize("fn", [lambda: 1, an_async_function], ids=["lambda", "async"])
async def test_a_function_that_cannot_run_there_is_refused(fn: Callable[..., Any]) -> None:
    with pytest.raises(InvalidArgument, match=r"worker process.*[Gg]ive a"):
        await run_in_process(fn, (), {})


async def test_a_local_function_is_refused() -> None:
    def local() -> None: ...

    with pytest.raises(InvalidArgument, match=r"<locals>\.local cannot run .* at the top level of a module"):
        await run_in_process(local, (), {})


@pytest.mark.parametrize(
    ("args", "kwargs", "named"),
    [((1, threading.Lock()), {}, "Argument 1"), ((), {"k": threading.Lock()}, "'k'")],
)
async def test_an_argument_that_cannot_be_sent_is_named(
    args: tuple[Any, ...], kwargs: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidArgument, match=rf"{named} of \S*print, a _thread.lock, .* Pass plain data"):
        await run_in_process(print, args, kwargs)


async def test_an_answer_that_cannot_be_sent_back_is_told_with_its_type() -> None:
    with pytest.raises(NotSerialisable, match=r"memoryview, a builtins\.memoryview, .* Return plain data"):
        await run_in_process(memoryview, (b"",), {})


# How it ends


@pytest.mark.parametrize(
    ("fn", "args", "how"),
    [
        (os._exit, (3,), "exited with code 3"),
        (sys.exit, (5,), "exited with code 5"),
        (signal.raise_signal, (signal.SIGKILL,), "was killed by SIGKILL.*out of memory"),
        (signal.raise_signal, (signal.SIGSEGV,), "was killed by SIGSEGV.*C extension"),
        (fork_and_die, (), "exited with code 4"),
    ],
    ids=["_exit", "exit", "SIGKILL", "SIGSEGV", "fork"],
)
async def test_a_worker_that_ends_without_an_answer_is_an_error(
    fn: Callable[..., Any], args: tuple[Any, ...], how: str
) -> None:
    with (
        trio.fail_after(5),
        pytest.raises(WorkerDied, match=rf"{fn.__name__} ended without an answer: it {how}"),
    ):
        await run_in_process(fn, args, {})


async def test_an_interpreter_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(WorkerDied, match=r"could not be started: .*/nowhere/python"):
        await run_in_process(os.getpid, (), {})


async def test_an_interpreter_that_does_not_read_its_call_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(WorkerDied, match="exited with code 1"):
        await run_in_process(len, (bytes(1_000_000),), {})


async def test_cancelling_the_scope_kills_the_worker_and_all_that_it_started(tmp_path: Path) -> None:
    """When the scope has been left, all are dead, and what they were about to do does not happen."""
    worker_limiter().total_tokens = 4
    folders = [tmp_path / name for name in ("itself", "child", "session", "worker")]
    itself, child, session, worker = folders
    async with trio.open_nursery() as nursery:
        nursery.start_soon(started_then_cancelled, itself, start_then_write, itself)
        nursery.start_soon(started_then_cancelled, child, subprocess.call, shell(child))
        nursery.start_soon(started_then_cancelled, session, subprocess.call, ["setsid", *shell(session)])
        nursery.start_soon(started_then_cancelled, worker, run_a_worker, worker)
    assert not [folder.name for folder in folders if running(int((folder / "started").read_text()))]
    await nothing_lands(*folders)


async def started_then_cancelled(folder: Path, fn: Callable[..., Any], *args: Any) -> None:
    folder.mkdir()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_in_process, fn, args, {})
        await until_exists(folder / "started")
        nursery.cancel_scope.cancel()


async def test_a_deadline_at_any_moment_leaves_no_process() -> None:
    """Before the start, during it, while it loads, while it runs: `no_process_is_left` looks after it."""
    before = _children()
    for milliseconds in (0, 0.5, 1, 2, 3, 5, 8, 13, 20, 30):
        with trio.move_on_after(milliseconds / 1000) as scope:
            await run_in_process(time.sleep, (5,), {})
        assert scope.cancelled_caught
        assert before == _children()


async def test_an_answer_leaves_nothing_running(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("child", "session", "orphan", "fork", "thread", "death")]
    child, session, orphan, fork, thread, death = folders
    for folder in folders:
        folder.mkdir()
    async with trio.open_nursery() as nursery:
        run = nursery.start_soon
        run(run_in_process, os.spawnvp, (os.P_NOWAIT, "sh", shell(child)), {})
        run(run_in_process, leave_a_child_in_a_new_session, (session,), {})
        run(run_in_process, subprocess.call, (shell(orphan, "{} &"),), {})
        run(run_in_process, leave_a_fork_that_returns, (fork,), {})
        run(run_in_process, leave_a_thread, (thread,), {})
        with pytest.raises(WorkerDied):
            await run_in_process(die_and_leave_a_child, (death,), {})
    await nothing_lands(*folders)


# Whole programs, since these are about what the main program is, and about its end


def program(folder: Path, text: str, *, guarded: bool = True) -> list[str]:
    """The command line of a script that has `run_in_process` at hand and calls its own `main`."""
    first = "import operator, os, pathlib, re, sys, time; here = pathlib.Path(__file__).parent"
    condition = '__name__ == "__main__"' if guarded else "True"
    last = f"""if {condition}:
        import trio
        from lambdacat_effects.runtime.worker_process import run_in_process
        trio.run(main)"""
    script = folder / "script.py"
    script.write_text("\n".join([first, textwrap.dedent(text), last]))
    return [sys.executable, str(script)]


def finished(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False, **options)


OF_MAIN = """
    class Point:
        def __init__(self, x): self.x = x
        def __reduce__(self): return Point, (self.x,)
    class Mine(Exception): pass
    def step(point):
        if point.x < 0: raise Mine(point.x)
        return Point(point.x + 1)
    async def main():
        print((await run_in_process(step, (Point(1),), {})).x)
        try: await run_in_process(step, (Point(-1),), {})
        except Mine as error: print(repr(error))
"""


def test_functions_and_classes_of_the_main_program_work(tmp_path: Path) -> None:
    done = finished(program(tmp_path, OF_MAIN))
    assert (done.stdout, done.stderr) == ("2\nMine(-1)\n", "")


def test_a_main_program_that_was_started_as_a_module_works(tmp_path: Path) -> None:
    program(tmp_path, OF_MAIN)
    done = finished([sys.executable, "-m", "script"], cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("2\nMine(-1)\n", "")


def test_the_main_program_is_not_run_again_for_a_function_of_another_module(tmp_path: Path) -> None:
    text = """
        print("main program", flush=True)
        async def main():
            print(await run_in_process(operator.add, (1, 2), {}))
    """
    done = finished(program(tmp_path, text, guarded=False))
    assert (done.stdout, done.stderr) == ("main program\n3\n", "")


def test_a_main_program_without_a_guard_does_not_start_workers_for_ever(tmp_path: Path) -> None:
    text = """
        def step(): pass
        async def main():
            await run_in_process(step, (), {})
    """
    done = finished(program(tmp_path, text, guarded=False))
    assert 'under `if __name__ == "__main__":`' in done.stderr
    assert done.returncode == 1


def test_an_interactive_function_is_refused() -> None:
    text = """
        import trio
        from lambdacat_effects.runtime.worker_process import run_in_process
        def f(): pass
        trio.run(run_in_process, f, (), {})
    """
    done = finished([sys.executable, "-c", textwrap.dedent(text)])
    assert "__main__.f was defined interactively" in done.stderr


def test_a_worker_runs_as_the_main_program_does(tmp_path: Path) -> None:
    """With its assertions, encoding and warnings; and `__main__` is the same for a worker's own workers."""
    text = """
        def inner(): return sys.flags.optimize, sys.flags.utf8_mode, sys.warnoptions
        def outer():
            import trio
            from lambdacat_effects.runtime.worker_process import run_in_process
            return trio.run(run_in_process, inner, (), {})
        async def main(): print(await run_in_process(outer, (), {}))
    """
    python, script = program(tmp_path, text)
    done = finished([python, "-O", "-X", "utf8", "-W", "error", script])
    assert (done.stdout, done.stderr) == ("(1, 1, ['error'])\n", "")


STARTED = """
    def start_then_write():
        (here / "started").write_text(str(os.getpid()))
        {busy}
        (here / "landed").touch()
    async def main(): await run_in_process(start_then_write, (), {{}})
"""

HOLDS_THE_GIL = 're.match("(a+)+$", "a" * 64 + "b")'


@pytest.mark.parametrize(
    ("number", "busy"),
    [(signal.SIGINT, "time.sleep(60)"), (signal.SIGKILL, HOLDS_THE_GIL)],
    ids=["Ctrl-C", "SIGKILL"],
)
async def test_the_worker_ends_with_its_parent(tmp_path: Path, number: int, busy: str) -> None:
    command = program(tmp_path, STARTED.format(busy=busy))
    process = await trio.lowlevel.open_process(command, stderr=subprocess.DEVNULL)
    await until_exists(tmp_path / "started")
    worker = int((tmp_path / "started").read_text())
    process.send_signal(number)
    with trio.fail_after(5):
        assert await process.wait() in (-number, 1)
        while number == signal.SIGKILL and running(worker):  # whoever inherits it reaps it, some time
            await trio.sleep(0.01)
    assert not running(worker)
