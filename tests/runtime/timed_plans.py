"""Plans that take their time, and what becomes of them."""

import logging

import pytest
import trio

from lambdacat_effects import Sleep, ambient, shielded


def after(seconds, answer):
    """A plan that answers after some seconds."""
    yield from Sleep(seconds)
    return answer


def failing(seconds, error):
    """A plan that fails after some seconds."""
    yield from Sleep(seconds)
    raise error


def messy(error):
    """A plan that fails when it is cancelled."""
    try:
        yield from Sleep(100)
    finally:
        raise error


def cleaning(log, seconds=0.0):
    """A plan that never ends, with clean-up that takes some seconds."""
    try:
        yield from Sleep(100)
    finally:
        if seconds:
            yield from shielded(Sleep(seconds))
        log.append(("cleaned", trio.current_time()))


def watched(ends, name, plan):
    """`plan`, noting how and when it ends."""
    try:
        answer = yield from plan
    except BaseException as error:
        ends.append((name, type(error).__name__, trio.current_time()))
        raise
    ends.append((name, "answered", trio.current_time()))
    return answer


async def timed(plan):
    """The answer of a plan, and the virtual seconds it took."""
    began = trio.current_time()
    answer = await ambient.run(plan)
    return answer, trio.current_time() - began


async def raised(kind, plan):
    """The error of a plan, which is exactly of this type, and the virtual seconds it took."""
    began = trio.current_time()
    with pytest.raises(kind) as caught:
        await ambient.run(plan)
    assert kind is type(caught.value)
    return caught.value, trio.current_time() - began


def leaves(error):
    """The exceptions in a group of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for e in error.exceptions for leaf in leaves(e)]
    return [error]


def logged(caplog):
    """What the package has logged as warnings."""
    ours = [r for r in caplog.get_records("call") if r.name == "lambdacat_effects"]
    return [r.getMessage() for r in ours if r.levelno == logging.WARNING]
