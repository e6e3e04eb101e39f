"""What a plan's code is, in a few characters: whether a failure that was written down is about the same plan."""

from __future__ import annotations

import hashlib
from types import CodeType
from typing import Any, cast

from lambdacat_effects.effects.effect import plan_name

__all__ = ["fingerprint"]


def fingerprint(plan: object) -> str:
    """12 hexadecimal digits that change with the code of the plan's function, or with the effect's class.

    The same in every process. It sees neither the plan's arguments nor the functions it calls, and differs between
    minor versions of Python, whose byte code differs.

    >>> from lambdacat_effects import Sleep
    >>> fingerprint(Sleep(1)) == fingerprint(Sleep(2))
    True
    """
    digest = hashlib.sha256(plan_name(plan).encode())
    code: Any = getattr(plan, "gi_code", None)
    if code is not None:
        _add(digest, code)
    return digest.hexdigest()[:12]


def _add(digest: Any, code: CodeType) -> None:
    digest.update(code.co_code)
    digest.update(repr(code.co_names).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _add(digest, constant)
        elif isinstance(constant, frozenset):
            members = cast("frozenset[object]", constant)
            digest.update(repr(sorted(map(repr, members))).encode())
        else:
            digest.update(repr(constant).encode())
