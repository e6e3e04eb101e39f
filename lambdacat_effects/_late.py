"""Names of a package that are imported when they are first asked for, so that only who needs them waits for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["late"]


def late(package: str, names: Mapping[str, tuple[str, ...]]) -> Callable[[str], object]:
    """A `__getattr__` for `package`, which imports from its modules the names that each has.

    Type checkers are told of the names by imports under `if TYPE_CHECKING:`, and this is hidden from them, or they
    would take any other name for one that may exist.
    """
    module_of = {name: module for module, those in names.items() for name in those}

    def found(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{package}.{module_of[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return found
