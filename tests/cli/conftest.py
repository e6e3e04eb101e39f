"""A folder with a file of plans, and the command to run them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

PLANS = '''
    from pathlib import Path
    import os
    import threading
    import time

    from attrs import frozen

    from lambdacat_effects import Effect, Plan, Sleep, blocking, effect, isolated, parallel, recall, remember
    from lambdacat_effects import shielded, span, tool
    from lambdacat_effects.plan import Actions, compile_plan, sequence


    @frozen
    class Greeting:
        text: str
        times: int = 1

        def __str__(self) -> str:
            return "\\n".join([self.text] * self.times)


    @tool
    def greet(name: str) -> str:
        return f"Hello, {name}!"


    def welcome(name: str, *, times: int = 1):
        """Greet somebody, and remember it.

        Parameters
        ----------
        name
            Whom to greet.
        """
        known = yield from recall("greetings", name, as_type=Greeting)
        if known is not None:
            return known
        greeting = Greeting((yield from span("politely", greet(name))), times)
        yield from remember("greetings", name, greeting)
        return greeting


    def table():
        yield from Sleep(0)
        return {"name": "Felix", "lives": 9, "notes": ["x" * 40, "y" * 40]}


    def nothing():
        yield from Sleep(0)


    def noisy():
        print("printed by the plan")
        yield from Sleep(0)
        return "answer"


    def inner():
        yield from Sleep(0)
        raise ValueError("the milk is sour")


    def failing():
        yield from span("drink", inner())


    def failing_branches():
        yield from parallel(inner(), Sleep(60))


    @effect
    class Ask(Effect[int]):
        question: str


    def asking():
        return (yield from Ask("why?"))


    def sleeping():
        try:
            yield from Sleep(0)
            yield from Sleep(60)
        finally:
            yield from shielded(cleaning())


    def cleaning():
        yield from Sleep(0)
        Path("cleaned").touch()


    def failing_to_clean():
        try:
            yield from Sleep(60)
        finally:
            raise RuntimeError("the mop is broken")


    def wait_for_file(name):
        while not Path(name).exists():
            time.sleep(0.01)


    def in_a_thread():
        yield from blocking(wait_for_file, "go on")
        yield from Sleep(60)


    def stubborn():
        try:
            yield from Sleep(60)
        except BaseException:
            return "done all the same"


    def busy():
        yield from Sleep(0)
        Path("busy").touch()
        while True:
            pass


    def where():
        return (yield from isolated(process_id)) != os.getpid()


    def process_id():
        return os.getpid()


    def increment(state: int) -> int:
        return state + 1


    actions = Actions.empty().register("increment", increment)
    twice = sequence("increment", "increment")
    compiled = compile_plan(twice, actions)
    misspelt = sequence("incremnt")
    number = 5


    def no_plan():
        return 5


    async def coroutine():
        return 5
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `plans.py` in it."""
    (tmp_path / "plans.py").write_text(dedent(PLANS))
    return tmp_path


Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def command(folder: Path) -> Command:
    """`lambdacat ...` in that folder, in a process of its own."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "lambdacat_effects.cli", *arguments]
        return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same folder as the working directory of this process, which forgets afterwards what it has loaded."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
