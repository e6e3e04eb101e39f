"""What pytest loads, wherever lambdacat_effects is installed: options, fixtures and hooks that do next to nothing.

It stands outside of the package, as importing any part of that imports Trio and the runtime, at each start of pytest
and before a coverage plugin could measure it. So the package is imported where a test has use for it. What the
fixtures are is in `lambdacat_effects.testing.pytest_plugin`.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lambdacat_effects.testing.pytest_plugin import Recording, Simulated

__all__ = [
    "pytest_addoption",
    "pytest_configure",
    "pytest_fixture_setup",
    "pytest_pyfunc_call",
    "pytest_report_header",
    "pytest_runtest_call",
    "recording",
    "simulated",
]

_MODES = ("once", "none", "new", "all")
_ENVIRONMENT = {"lambdacat_seed": "LAMBDACAT_SEED", "lambdacat_runs": "LAMBDACAT_RUNS"}
# Marks by which other plugins know the async tests that are theirs.
_FOREIGN = ("trio", "anyio", "asyncio", "twisted", "curio", "gen_test")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, and what they are when an ini file has them."""
    group = parser.getgroup("lambdacat", "lambdacat_effects: simulations and recordings")
    group.addoption(
        "--lambdacat-seed",
        metavar="SEED",
        help="seed of every exploration, and of simulated.once(). Wins over LAMBDACAT_SEED, which wins over seed= in "
        "the test, which wins over lambdacat_seed in the ini file",
    )
    group.addoption(
        "--lambdacat-runs",
        metavar="N",
        help="runs of every exploration. Wins over LAMBDACAT_RUNS, runs= in the test, and lambdacat_runs in the ini "
        "file; 500 without any of these",
    )
    group.addoption(
        "--lambdacat-record",
        choices=_MODES,
        help="what the fixture `recording` does: once (replay; record what has no file yet), none (replay only: for "
        "CI), new (replay; record what is new), all (record everything anew). Wins over mode= in the test and "
        "lambdacat_record in the ini file; once without any of these",
    )
    parser.addini("lambdacat_seed", "seed of simulations by the fixture `simulated`", default="")
    parser.addini("lambdacat_runs", "runs of each exploration by the fixture `simulated`", default="")
    parser.addini("lambdacat_record", "mode of the fixture `recording`: once, none, new, all", default="once")
    parser.addini(
        "lambdacat_async",
        "run async tests on Trio, but for those that are marked for another plugin",
        type="bool",
        default=True,
    )
    parser.addini(
        "lambdacat_warn_unperformed",
        "warn of effects and plans that a test makes and nobody performs",
        type="bool",
        default=True,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Check what was given, and tell `explore` of it by its environment variables, worker processes included."""
    config.addinivalue_line(
        "markers",
        "lambdacat: run this async test on Trio, although lambdacat_async is off (lambdacat_effects)",
    )
    record = config.getini("lambdacat_record")
    if record not in _MODES:
        raise pytest.UsageError(
            f"lambdacat_record is one of {', '.join(_MODES)}; the ini file has {record!r}"
        )
    for where in (config.getoption("lambdacat_runs"), config.getini("lambdacat_runs")):
        if where and not (where.isdecimal() and int(where)):
            raise pytest.UsageError(f"the number of runs is at least 1; got {where!r}")
    for option, variable in _ENVIRONMENT.items():
        given = config.getoption(option)
        if given:
            config.add_cleanup(_restoring(variable, os.environ.get(variable)))
            os.environ[variable] = given


def _restoring(variable: str, before: str | None) -> Any:
    def restore() -> None:
        if before is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = before

    return restore


def pytest_report_header(config: pytest.Config) -> str | None:
    """The seed, runs and mode in force, if any was given."""
    said: list[str] = []
    for option, variable in _ENVIRONMENT.items():
        value = os.environ.get(variable)
        source = "--" + option.replace("_", "-") if config.getoption(option) else variable
        if not value:
            value, source = config.getini(option), "ini file"
        if value:
            said.append(f"{option.removeprefix('lambdacat_')} {value} ({source})")
    if config.getoption("lambdacat_record"):
        said.append(f"record {config.getoption('lambdacat_record')}")
    return f"lambdacat_effects: {', '.join(said)}" if said else None


def _function(item: Any) -> Any:
    """The test function as it was written: under `@given`, the inner one."""
    obj: Any = getattr(item, "obj", None)
    return obj.hypothesis.inner_test if hasattr(obj, "hypothesis") else obj


def _is_ours(item: object) -> bool:
    """Whether it is an async test that no other plugin runs."""
    if not isinstance(item, pytest.Function) or not inspect.iscoroutinefunction(_function(item)):
        return False
    if any(item.get_closest_marker(mark) for mark in _FOREIGN):
        return False
    return item.config.getini("lambdacat_async") or item.get_closest_marker("lambdacat") is not None


def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: Any) -> object:
    """An async fixture of an async test waits for the test's event loop."""
    if not _is_ours(request.node):
        return None
    from lambdacat_effects.testing.async_tests import postponed

    value = postponed(fixturedef, request)
    if value is not None:
        fixturedef.cached_result = (value, fixturedef.cache_key(request), None)
    return value


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Make a plain function of an async test, for pytest to call."""
    if not _is_ours(pyfuncitem):
        return
    from lambdacat_effects.testing.async_tests import on_trio

    test: Any = pyfuncitem.obj
    if hasattr(test, "hypothesis"):
        test.hypothesis.inner_test = on_trio(test.hypothesis.inner_test)
    else:
        pyfuncitem.obj = on_trio(test)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Watch for what is never performed, and take our frames out of the failures of simulations."""
    __tracebackhide__ = True
    try:
        # A test that has not imported effects makes none.
        if not (
            item.config.getini("lambdacat_warn_unperformed") and "lambdacat_effects.effects" in sys.modules
        ):
            return (yield)
        from lambdacat_effects.testing.pytest_plugin import watching

        with watching(_function(item)):
            return (yield)
    except Exception as error:
        if "lambdacat_effects.testing.simulation" in sys.modules:
            from lambdacat_effects.testing.pytest_plugin import hide_our_frames

            hide_our_frames(error)
        raise


@pytest.fixture
def simulated(request: pytest.FixtureRequest) -> Simulated:
    """Runs a scenario under many schedules and faults: simulated(scenario), simulated(make_plan, handlers, check)."""
    from lambdacat_effects.testing.pytest_plugin import Simulated

    seed: str = request.config.getini("lambdacat_seed")
    runs: str = request.config.getini("lambdacat_runs")
    return Simulated(seed=seed or None, runs=int(runs) if runs else None)


@pytest.fixture
def recording(request: pytest.FixtureRequest) -> Recording:
    """Records a run in a file named after the test, and replays it from then on: recording(handlers)."""
    from lambdacat_effects.testing.pytest_plugin import Recording, recording_path

    config = request.config
    return Recording(
        recording_path(request.node), config.getoption("lambdacat_record"), config.getini("lambdacat_record")
    )
