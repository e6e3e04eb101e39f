"""The pytest plugin: async tests on Trio, the fixtures `simulated` and `recording`, and readable failures.

It needs no configuration: an `async def` test runs on Trio, unless it is marked for another plugin (pytest-trio,
anyio, pytest-asyncio), and so do its async fixtures. `-p no:lambdacat_effects` turns it off. Its options are in
`pytest --help`; pytest loads them from `_lambdacat_effects_pytest`, which imports this module when a test needs it.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pytest

from lambdacat_effects.effects.effect import Effect
from lambdacat_effects.errors import InvalidArgument, SimulationFailure, UnperformedWarning
from lambdacat_effects.runtime.handler import Handler
from lambdacat_effects.runtime.tracebacks import trimmed
from lambdacat_effects.testing.recording import Mode, Recorded, Redact, record
from lambdacat_effects.testing.simulation import Check, Exploration, Report, Scenario, explore, simulate
from lambdacat_effects.testing.simulation.exploring import seed_in_force
from lambdacat_effects.testing.simulation.faults import FaultsLike
from lambdacat_effects.testing.simulation.report import MOST_STEPS
from lambdacat_effects.testing.unperformed import warn_unperformed

__all__ = [
    "Recording",
    "Simulated",
    "hide_our_frames",
    "recording_path",
    "watching",
]

E = TypeVar("E", bound=Effect[Any])

_Handlers: TypeAlias = "Handler[Any] | Callable[[], Handler[Any]]"

_RUNS = 500
_LONGEST_NAME = 100
_PACKAGE = __name__.partition(".")[0]


class Simulated:
    """The fixture `simulated`: `explore` and `simulate` with the options of the pytest run.

    It takes a scenario; or a function that makes a plan, with handlers (or a function that makes them, if they keep
    state) and perhaps a check.

    >>> from lambdacat_effects import Sleep, ambient
    >>> simulated = Simulated()
    >>> simulated(lambda: Sleep(1), ambient, runs=20, seed=1).runs
    20
    >>> simulated.once(lambda: (Sleep(1), ambient)).time
    1.0
    """

    def __init__(self, *, seed: int | str | None = None, runs: int | None = None) -> None:
        self._seed = int(seed) if isinstance(seed, str) and seed.lstrip("-").isdigit() else seed
        self._runs = runs

    def __call__(
        self,
        scenario: Scenario | Callable[[], Any] | Effect[Any],
        handlers: _Handlers | None = None,
        check: Check | None = None,
        *,
        runs: int | None = None,
        seed: int | str | None = None,
        faults: FaultsLike | None = None,
        most_steps: int = MOST_STEPS,
    ) -> Exploration:
        """Run it under many schedules and faults; answer what was seen.

        Raises `SimulationFailure` with the shortest failure found, as `explore` does. `--lambdacat-runs` and
        `--lambdacat-seed` win over `runs` and `seed`, and these over the ini file.
        """
        __tracebackhide__ = True
        try:
            return explore(
                _scenario(scenario, handlers, check),
                runs=runs or self._runs or _RUNS,
                seed=self._seed if seed is None else seed,
                faults=faults,
                most_steps=most_steps,
            )
        except SimulationFailure as failure:
            failure.add_note(f"All of this exploration again: pytest --lambdacat-seed={failure.seed}")
            raise

    def once(
        self,
        scenario: Scenario | Callable[[], Any] | Effect[Any],
        handlers: _Handlers | None = None,
        check: Check | None = None,
        *,
        seed: int | str | None = None,
        schedule: Mapping[int, int] | None = None,
        faults: FaultsLike | None = None,
        most_steps: int = MOST_STEPS,
    ) -> Report:
        """Run it once, as `simulate` does, with the seed of `--lambdacat-seed`, `seed`, the ini file, or 0.

        Raises what the check raises, with the steps of the run as a note.
        """
        __tracebackhide__ = True
        chosen = seed_in_force(next(s for s in (seed, self._seed, 0) if s is not None))
        made = _scenario(scenario, handlers, check)
        try:
            return simulate(made, seed=chosen, schedule=schedule, faults=faults, most_steps=most_steps)
        except Exception as error:
            trimmed(error)
            raise


def _scenario(made_by: object, handlers: _Handlers | None, check: Check | None) -> Scenario:
    thing: Any = made_by
    if handlers is None:
        if check is not None:
            raise InvalidArgument(
                "simulated was given check= without handlers: a scenario answers its own check"
            )
        return thing  # type: ignore[no-any-return]
    if isinstance(made_by, Effect):
        name = repr(thing)
    elif callable(thing):
        name = f"{getattr(thing, '__name__', 'plan')}()"
    else:
        raise InvalidArgument(
            f"a plan runs once, and a simulation runs it often: give the function that makes it; got {thing!r}"
        )
    given: Any = handlers

    fixed = issubclass(type(given), Handler)

    def scenario() -> Any:
        plan: Any = thing() if callable(thing) else thing
        made: Any = given if fixed else given()
        return (plan, made) if check is None else (plan, made, check)

    parts = [name, "handlers" if fixed else "handlers()"]
    scenario.__name__ = f"lambda: ({', '.join(parts if check is None else [*parts, 'check'])})"
    return scenario


class Recording:
    """The fixture `recording`: `record` with a file named after the test, `recordings/<module>/<test>.json`.

    >>> import tempfile
    >>> from lambdacat_effects import NewId, ambient
    >>> folder = Path(tempfile.mkdtemp())
    >>> first = Recording(folder / "test_id.json")(ambient).run_pure(NewId())
    >>> Recording(folder / "test_id.json", "none")(ambient).run_pure(NewId()) == first
    True
    """

    def __init__(self, path: Path, option: Mode | None = None, default: Mode = "once") -> None:
        self.path: Path = path
        """The test's file."""
        self._option: Mode | None = option
        self._default: Mode = default
        self._given: set[str | None] = set()

    def __call__(
        self,
        handlers: Handler[E],
        *,
        name: str | None = None,
        mode: Mode | None = None,
        redact: Redact = (),
        strict: bool = False,
    ) -> Recorded[E]:
        """Handlers whose runs are recorded the first time, and answered from the file from then on.

        A test with more than one recording gives each but one a `name`, which is added to the file's. The mode is
        that of `--lambdacat-record`, `mode`, or the ini file; `redact` and `strict` are as for `record`.

        Raises `InvalidArgument` for the same name twice.
        """
        if name in self._given:
            raise InvalidArgument(
                f"this test has a recording {self._file(name).name!r} already: give the next a name, "
                'recording(handlers, name="other")'
            )
        self._given.add(name)
        chosen = self._option or mode or self._default
        return record(handlers, self._file(name), mode=chosen, redact=redact, strict=strict)

    def _file(self, name: str | None) -> Path:
        return self.path if name is None else self.path.with_name(f"{self.path.stem}.{_file_name(name)}.json")


def recording_path(node: Any) -> Path:
    """Where the recording of a test is kept: next to its module, by its class, name and parameters."""
    names = [part.name for part in node.listchain() if isinstance(part, (pytest.Class, pytest.Function))]
    path: Path = node.path
    return path.parent / "recordings" / path.stem / f"{_file_name('.'.join(names) or node.name)}.json"


def _file_name(text: str) -> str:
    """`text`, if that is a good name for a file everywhere; else what is left of it, and a few digits that tell.

    >>> _file_name("test_search[cats]"), _file_name("test_search[a/b]")
    ('test_search[cats]', 'test_search[a-b]-cc822c02')
    """
    safe = re.sub(r"[^\w.\-\[\]]+", "-", text, flags=re.ASCII).strip("-.")[:_LONGEST_NAME]
    # Some file systems do not tell `A` from `a`.
    if safe == text and (text == text.lower() or "[" not in text):
        return safe
    return f"{safe}-{hashlib.blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}"


@contextmanager
def watching(function: Any) -> Generator[None, None, None]:
    """Warn of what is made and never performed meanwhile, in `function` and what it calls.

    Where such warnings are errors, the test fails with the message and the place alone.
    """
    watch = warn_unperformed(*[inspect.unwrap(function)] if callable(function) else [])
    passed = False
    try:
        with watch:
            yield
            passed = True
    except UnperformedWarning as warning:
        if not passed:  # it is the test's own
            raise
        texts = [str(warning), *getattr(warning, "__notes__", [])]
        places = [f"  at {found.file}:{found.line}" for found in watch.found]
        pytest.fail("\n".join([*texts, *places]), pytrace=False)


def hide_our_frames(error: BaseException | None) -> None:
    """Take the frames of this package out of the traceback of a failed simulation, and of its causes.

    What a user has to look at is the message, the test, and where in the plan or the check it went wrong.
    """
    if not isinstance(error, SimulationFailure):
        return
    part: BaseException | None = error
    while part is not None:
        trimmed(part)
        part = part.__cause__
