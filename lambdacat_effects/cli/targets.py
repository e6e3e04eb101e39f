"""What a durable run has to be told again in another process: the file of its plan, and the name of its module.

A file is no module that Python would find, so whoever lets a run go on has to load it first, under the name that it
had: the journal names functions and classes by it. `Target` is written down with the run, as its note, which is the
command that began it.
"""

from __future__ import annotations

import importlib
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from inspect import BoundArguments
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from lambdacat_effects.cli.loading import find_plan, load, on_sys_path
from lambdacat_effects.effects.effect import Performs
from lambdacat_effects.errors import CommandError, InvalidArgument
from lambdacat_effects.journal import RunInfo
from lambdacat_effects.journal.naming import name_of
from lambdacat_effects.storage.exact.writing import exactly
from lambdacat_effects.storage.leaves import Misfit

__all__ = ["Target", "kept_call", "plan_of"]

_COMMAND = ["lambdacat", "run"]


@attrs.frozen
class Target:
    """Where the plan of a run is."""

    file: str
    """A path, or a dotted name."""
    plan: str
    module: str
    """What the module is called in the journal."""
    folder: str
    """Where modules are imported from."""

    @staticmethod
    def of(file: str, plan: str, module: ModuleType) -> Target:
        """The plan that a command line has named, from anywhere."""
        path = Path(file)
        if path.is_file():
            path = path.resolve()
            return Target(str(path), plan, module.__name__, str(path.parent))
        return Target(file, plan, module.__name__, os.getcwd())

    @staticmethod
    def kept_with(run: RunInfo) -> Target:
        """The plan of a run, also of one that was begun by a program."""
        noted = Target.noted(run.note)
        if noted is not None:
            return noted
        module, _, plan = run.plan.partition(":")
        return Target(module, plan, module, os.getcwd())

    def note(self) -> str:
        """The text to be kept with the run, for people and for `noted`.

        >>> Target("/home/ada/shop.py", "order", "shop", "/home/ada").note()
        'lambdacat run /home/ada/shop.py:order'
        >>> Target("shop", "order", "shop", "/home/ada").note()
        'lambdacat run shop:order in /home/ada'
        """
        words = [*_COMMAND, f"{self.file}:{self.plan}"]
        plain = Target._of_words(self.file, self.plan)
        if plain.module != self.module:
            words += ["as", self.module]
        if plain.folder != self.folder:
            words += ["in", self.folder]
        return shlex.join(words)

    @staticmethod
    def noted(note: str | None) -> Target | None:
        """The target whose `note` this is; None of another text."""
        try:
            words = shlex.split(note or "")
        except ValueError:
            return None
        more = dict(zip(words[3::2], words[4::2], strict=False))
        if words[:2] != _COMMAND or len(words) != 3 + 2 * len(more) or more.keys() - {"as", "in"}:
            return None
        file, _, plan = words[2].rpartition(":")
        if not file or not plan:
            return None
        target = Target._of_words(file, plan)
        return attrs.evolve(
            target, module=more.get("as", target.module), folder=more.get("in", target.folder)
        )

    @staticmethod
    def _of_words(file: str, plan: str) -> Target:
        path = Path(file)
        if path.is_absolute():
            return Target(file, plan, path.stem, str(path.parent))
        return Target(file, plan, file, "")

    def load(self, *, moved_to: str | None = None) -> ModuleType:
        """The module, under the name that it had. Raises `CommandError`, naming the file that was there."""
        if self.module == "__main__":
            raise CommandError(
                "the run was begun by a script that Python ran as its main program, and no other process can import "
                "what that defines: let it go on in the script itself, `Durable.resume(ID, handlers=...)`. Runs of "
                "plans in a module that the script imports can be resumed from anywhere"
            )
        if moved_to is not None:
            if not Path(moved_to).is_file():
                raise CommandError(f"there is no file {moved_to}: name the one that {self} is in now")
            return load(moved_to, name=self.module)
        if not os.path.isabs(self.file):
            on_sys_path(Path(self.folder))
            return load(self.file)
        if not os.path.isfile(self.file):
            raise CommandError(f"the run's plan was in {self.file}, and there is no such file any more")
        return load(self.file, name=self.module)

    def __str__(self) -> str:
        """As it is typed, from here."""
        near = os.path.isabs(self.file) and self.file.startswith(os.path.join(os.getcwd(), ""))
        return f"{os.path.relpath(self.file) if near else self.file}:{self.plan}"


def kept_call(plan: Callable[..., Any], bound: BoundArguments, target: Target) -> tuple[Any, ...]:
    """A function that can be found by its name, and its positional arguments, which make the plan.

    Raises `CommandError` for an argument that cannot be kept.
    """
    for name, value in bound.arguments.items():
        try:
            exactly().write(value)
        except Misfit as misfit:
            raise CommandError(
                f"the argument {name}{misfit.place} of {target} cannot be kept with the run: it {misfit.problem}"
            ) from None
    if not bound.kwargs:
        try:
            name_of(plan)
        except InvalidArgument:
            pass  # compiled from a DSL plan, say
        else:
            return (plan, *bound.args)
    return (plan_of, target.module, target.plan, list(bound.args), dict(bound.kwargs))


def plan_of(module: str, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Performs[Any, Any]:
    """The plan that a command line has named, with its arguments: for plans that cannot be made by a function of
    theirs alone."""
    made: Any = find_plan(importlib.import_module(module), module, name)(*args, **kwargs)
    plan: Performs[Any, Any] = made
    return plan
