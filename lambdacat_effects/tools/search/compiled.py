"""The docstrings of modules that are compiled into Python and so have no source to parse."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from inspect import isclass, ismethoddescriptor, isroutine
from typing import Final

__all__ = ["compiled_docstrings"]

_DOCUMENTED_AS: Final = {
    "builtins": "",  # `str.split` needs no prefix
    "_collections": "collections",
    "_contextvars": "contextvars",
    "_functools": "functools",
    "_random": "random",
    "_struct": "struct",
    **{
        name: name
        for name in (
            *("array", "atexit", "binascii", "cmath", "gc", "itertools", "math", "sys", "time"),
            *("unicodedata", "zlib"),
        )
    },
}


def compiled_docstrings() -> Iterator[tuple[str, str]]:
    """(dotted name, raw docstring) of everything public in the builtins and some compiled modules.

    These modules are imported, which for them runs no Python code; one that this Python lacks is left out.
    """
    for module_name, public_name in _DOCUMENTED_AS.items():
        try:
            module = import_module(module_name)
        except ImportError:
            continue
        if public_name and module_name == public_name and module.__doc__:
            yield public_name, module.__doc__
        yield from _members(vars(module), f"{public_name}." if public_name else "", depth=2)


def _members(namespace: dict[str, object], prefix: str, *, depth: int) -> Iterator[tuple[str, str]]:
    # `vars` is a snapshot of a live namespace: another thread may import meanwhile.
    for name, member in sorted(namespace.copy().items()):
        if name.startswith("_") or not (isclass(member) or isroutine(member) or ismethoddescriptor(member)):
            continue
        # A class without a docstring would inherit one that describes its parent.
        docstring = vars(member).get("__doc__") if isclass(member) else getattr(member, "__doc__", None)
        if isinstance(docstring, str):
            yield prefix + name, docstring
        if isclass(member) and depth > 1:
            yield from _members(dict(vars(member)), f"{prefix}{name}.", depth=depth - 1)
