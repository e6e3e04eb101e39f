"""Tracebacks that show the plan's frames and the handlers', not the interpreter's."""

from __future__ import annotations

from inspect import CO_GENERATOR
from types import TracebackType

__all__ = ["last_line", "trimmed"]

_OURS = tuple(
    f"lambdacat_effects.{folder}."
    for folder in ("algebra", "effects", "plan", "runtime", "storage", "journal", "handlers", "testing")
)


def trimmed(exc: BaseException, known: TracebackType | None = None) -> BaseException:
    """`exc`, its traceback without frames of this package, as far as `known`: the part that was trimmed before.

    With `known` an error that passes 100,000 levels of `call` is trimmed in linear time. The links are made anew, as
    assigning `tb_next` walks the whole rest of the chain to look for loops.
    """
    kept: list[TracebackType] = []
    tb = exc.__traceback__
    while tb is not None and tb is not known:
        if not tb.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
            kept.append(tb)
        tb = tb.tb_next
    for entry in reversed(kept):
        tb = TracebackType(tb, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    exc.__traceback__ = tb
    return exc


def last_line(exc: BaseException) -> str | None:
    """The line of a plan in which `exc` was raised: its function, file and number. None if it passed no plan."""
    found: TracebackType | None = None
    tb = exc.__traceback__
    while tb is not None:
        name = tb.tb_frame.f_globals.get("__name__", "")
        if tb.tb_frame.f_code.co_flags & CO_GENERATOR and not name.startswith(_OURS):
            found = tb
        tb = tb.tb_next
    if found is None:
        return None
    code = found.tb_frame.f_code
    return f"{code.co_qualname} ({code.co_filename}:{found.tb_lineno})"
