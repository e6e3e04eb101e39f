"""Tracebacks that show the plan's frames and the handlers', not the interpreter's."""

from __future__ import annotations

from types import TracebackType

__all__ = ["trimmed"]

_OURS = ("lambdacat_effects.runtime.", "lambdacat_effects.effects.")


def trimmed(exc: BaseException, known: TracebackType | None = None) -> BaseException:
    """`exc`, its traceback without frames of this package, as far as `known`: the part that was trimmed before.

    With `known` an error that passes 100,000 levels of `call` is trimmed in linear time.
    """
    tb = exc.__traceback__
    first: TracebackType | None = None
    last: TracebackType | None = None
    while tb is not None and tb is not known:
        if not tb.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
            if last is None:
                first = tb
            else:
                last.tb_next = tb
            last = tb
        tb = tb.tb_next
    if last is None:
        first = tb
    else:
        last.tb_next = tb
    exc.__traceback__ = first
    return exc
