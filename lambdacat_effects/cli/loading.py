"""Finding what a command line names: a file, a plan in it, and the handlers to run it with."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard, cast

from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.effects.tools import Tool
from lambdacat_effects.errors import CommandError, UnknownAction
from lambdacat_effects.handlers import call_tools, store_memory
from lambdacat_effects.plan import CustomNode, Task, compile_plan
from lambdacat_effects.plan.compiler import __name__ as COMPILED_IN
from lambdacat_effects.plan.nodes import (
    Choose,
    FailWith,
    Focus,
    LoopWhile,
    Named,
    ParallelSpec,
    Sequence,
)
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.runtime.resource import Resource
from lambdacat_effects.storage.places import is_path, open_store, place_shown

__all__ = ["find_plan", "handlers_of", "load", "on_sys_path", "plans_in", "split_target"]

_NODES = (Task, Sequence, ParallelSpec, Choose, Focus, LoopWhile, FailWith, Named)


def split_target(target: str) -> tuple[str, str | None]:
    """The FILE and the PLAN of `FILE:PLAN`; None where no plan is named.

    >>> split_target("examples/agent.py:research"), split_target("agent.py")
    (('examples/agent.py', 'research'), ('agent.py', None))
    """
    file, colon, plan = target.rpartition(":")
    if not colon or os.path.exists(target):
        return target, None
    return file, plan or None


def load(file: str, *, name: str | None = None) -> ModuleType:
    """The module in `file`: a path, or a dotted name. Raises `CommandError`.

    `name` is what the module of a path has to be called: by it, a durable run finds its plan and classes again.
    """
    path = Path(file)
    if path.is_file():
        return _load_path(path.resolve(), name)
    if path.is_dir():
        raise CommandError(
            f"{file} is a folder: name a file in it, {_python_files(path) or 'which has none'}"
        )
    if path.suffix == ".py" or path.name != file or not all(map(str.isidentifier, file.split("."))):
        raise CommandError(
            f"there is no file {file}{_suggestion(path.name, _python_files(path.parent), path.parent)}: "
            "give the path of a Python file, or a module's dotted name, as FILE:PLAN"
        )
    return _load_dotted(file)


def _load_path(path: Path, wanted: str | None) -> ModuleType:
    on_sys_path(path.parent)
    name = wanted or path.stem
    known = sys.modules.get(name)
    if known is not None:
        if getattr(known, "__file__", None) == str(path):
            return known
        if wanted is not None:
            raise CommandError(
                f"{path} was the module {name!r} when its run began, and here that is "
                f"{getattr(known, '__file__', None) or 'another one'}: a process has one module of a name, so let "
                "the runs of each file go on in a process of its own, `lambdacat resume ID`"
            )
        name = f"lambdacat_run_{name}"  # `trio.py` is a poor name for a plan, but must not replace Trio
    loader = SourceFileLoader(name, str(path))  # whatever the file's name ends in
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        _executing(str(path), lambda: loader.exec_module(module))
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _load_dotted(name: str) -> ModuleType:
    on_sys_path(Path.cwd())
    try:
        spec = importlib.util.find_spec(name)
    except (ModuleNotFoundError, ValueError):  # the latter of `__main__`
        spec = None
    if spec is None:
        raise CommandError(
            f"there is no file and no module {name}: give the path of a Python file (such as {name}.py), or the "
            "dotted name of a module that can be imported from here"
        )
    _executing(name, lambda: importlib.import_module(name))
    return sys.modules[name]


def on_sys_path(folder: Path) -> None:
    """Let modules in the folder be imported."""
    # Worker processes are given this path, and so can import what the file defines, and what it imports.
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _executing(what: str, load: Callable[[], object]) -> None:
    try:
        load()
    except Exception as error:
        _drop_our_frames(error)
        raise CommandError(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error
    except SystemExit as error:
        raise CommandError(
            f"{what} ended Python while it was loaded (SystemExit: {error}): put what runs things under "
            '`if __name__ == "__main__":`'
        ) from None


def _drop_our_frames(error: Exception) -> None:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith((__file__, "<frozen importlib")):
        trace = trace.tb_next
    error.__traceback__ = trace


def plans_in(module: ModuleType) -> list[str]:
    """The names of a module's own plans: its generator functions, compiled plans, and DSL plans."""
    return [name for name, value in vars(module).items() if name[0] != "_" and _is_plan_of(module, value)]


def _is_plan_of(module: ModuleType, value: Any) -> bool:
    if isinstance(value, _NODES):
        return True
    if not inspect.isfunction(value):
        return False
    if value.__module__ == COMPILED_IN:
        return inspect.isgeneratorfunction(value)
    return value.__module__ == module.__name__ and (
        inspect.isgeneratorfunction(value) or "Plan[" in str(value.__annotations__.get("return"))
    )


def find_plan(module: ModuleType, file: str, name: str) -> Callable[..., Any]:
    """The function that makes the plan `name`. A DSL plan is compiled with the module's `actions`.

    Raises `CommandError`, naming the plans that there are.
    """
    if not hasattr(module, name):
        plans = plans_in(module)
        there_are = f"; it has: {', '.join(plans)}" if plans else "; it defines none"
        raise CommandError(f"{file} has no plan {name!r}{_suggestion(name, plans)}{there_are}")
    plan = getattr(module, name)
    if _is_node(plan):
        return _compiled(plan, module, file, name)
    if isinstance(plan, Effect) or inspect.isgenerator(plan):
        performable = cast(Any, plan)
        return lambda: performable
    if callable(plan):
        return cast("Callable[..., Any]", plan)
    raise CommandError(
        f"{name} in {file} is no plan but a {type(plan).__name__}: name a function that makes a plan, a compiled "
        f"plan or a DSL plan{_listing(plans_in(module))}"
    )


def _is_node(value: object) -> TypeGuard[CustomNode]:
    if isinstance(value, _NODES):
        return True
    return isinstance(value, CustomNode) and not isinstance(value, (type, ModuleType))


def _compiled(node: Any, module: ModuleType, file: str, name: str) -> Callable[..., Any]:
    actions = getattr(module, "actions", None)
    try:
        return compile_plan(node, actions)
    except UnknownAction as error:
        if actions is not None:
            raise CommandError(
                f"the plan {name} in {file} names an action that is not in `actions`: {error}"
            ) from None
        raise CommandError(
            f"the plan {name} in {file} names actions, and the file does not say what they are: define "
            "`actions = Actions.empty().register(name, function)...` there"
        ) from None


def handlers_of(module: ModuleType, file: str, place: str) -> Handler[Any]:
    """What the module's effects mean: its `handlers`, else its tools, called, and memory kept in a store.

    Raises `CommandError` where `handlers` is no handler.
    """
    given: Any = getattr(module, "handlers", None)
    store = Path(place) if is_path(place) else place
    if given is None:
        memory = store_memory(Resource(f"the memory in {place_shown(place)}", lambda: open_store(place)))
        return call_tools(*_tools_of(module)) | memory
    if callable(given):
        try:
            inspect.signature(given).bind(store)
        except TypeError as error:
            raise CommandError(
                f"`handlers` in {file} cannot be called with the store's path ({error}): "
                "define it as `def handlers(store: Path) -> Handler[...]`"
            ) from None
        given = given(store)
    if not isinstance(cast(object, given), Handler):
        raise CommandError(
            f"`handlers` in {file} is {given!r}: make it a Handler, or a function from the store's path to one"
        )
    handlers: Handler[Any] = given
    return handlers


def _tools_of(module: ModuleType) -> list[Tool[..., Any]]:
    """The tools that a file can name: its own, those it imports, and those of the modules that it imports from."""
    names = vars(module).values()
    modules = [value for value in names if isinstance(value, ModuleType)]
    homes = {getattr(value, "__module__", None) for value in names if inspect.isfunction(value)}
    modules += [sys.modules[name] for name in homes if name in sys.modules]
    ours = [m for m in modules if not m.__name__.startswith("lambdacat_effects")]
    tools: dict[Tool[..., Any], None] = {}
    for value in (value for m in (module, *ours) for value in vars(m).values()):
        if isinstance(value, Tool):
            tools[cast("Tool[..., Any]", value)] = None
    return list(tools)


def _python_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.py")) if folder.is_dir() else []


def _suggestion(name: str, known: Iterable[str], folder: Path = Path()) -> str:
    nearest = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {folder / nearest[0]}?)" if nearest else ""


def _listing(names: list[str]) -> str:
    return f", such as {', '.join(names)}" if names else ""
