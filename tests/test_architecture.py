"""The layout holds: imports go one way, heavy libraries stay where they are needed, names are complete."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lambdacat_effects"

# A folder may import from itself and from folders before it. `plan` and `runtime` never import one another.
LAYERS = [
    "_late",
    "errors",
    "algebra",
    "effects",
    "plan",
    "runtime",
    "storage",
    "journal",
    "handlers",
    "tools",
    "cognition",
    "observability",
    "cli",
    "testing",
]
APART = {("runtime", "plan")}

# The one late edge: `SomeEffect.by(f)` is the only spelling for which every checker compares `f` with the effect's
# answer type, and it makes a handler. Inside a function, so that importing effects imports no runtime.
LATE = {("effects/effect.py", "runtime")}

ONLY_IN = {
    "trio": {"runtime", "storage", "journal", "handlers", "cli", "observability", "testing"},
    "lmdb": {"storage/lmdb_"},
    "cattrs": {"storage"},
    "rich": {"observability", "cli"},
    "cyclopts": {"cli"},
    "sqlite3": {"storage/sqlite_connection.py", "tools/search"},
    "coredis": {"storage/redis_client.py"},
    "mypy": {"mypy.py"},
    "pytest": {"testing"},
    "hypothesis": {"testing"},
}
DRAWERS = {"core", "utils", "util", "base", "common", "helpers", "manager", "misc"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def relative(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def layer(path: Path) -> str:
    return relative(path).split("/")[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_go_one_way(path: Path) -> None:
    """A module imports only from its own folder and the ones below it."""
    mine = layer(path)
    if mine not in LAYERS:
        return  # the package itself re-exports, and the mypy plugin stands alone
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "lambdacat_effects" or len(parts) == 1:
            continue
        theirs = parts[1]
        assert (mine, theirs) not in APART, f"{relative(path)} imports {name}"
        if (relative(path), theirs) not in LATE:
            assert LAYERS.index(theirs) <= LAYERS.index(mine), (
                f"{relative(path)} imports {name}, which is above it"
            )


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_libraries_stay_where_they_belong(path: Path) -> None:
    """Each optional or heavy library is imported in one place only."""
    for name in imports(path):
        places = ONLY_IN.get(name.split(".")[0])
        if places is not None:
            assert any(relative(path).startswith(place) for place in places), (
                f"{relative(path)} imports {name}"
            )


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_modules_have_names_and_documentation(path: Path) -> None:
    """No drawers; every module says what it is for and lists its public names, sorted."""
    assert path.stem not in DRAWERS
    tree = ast.parse(path.read_text())
    assert path.read_text().strip() == "" or ast.get_docstring(tree), f"{relative(path)} has no docstring"
    listed = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    ]
    if not path.stem.startswith("_") or path.stem == "__init__":
        assert listed or not tree.body, f"{relative(path)} has no __all__"


def test_all_names_exist_and_are_the_only_public_ones() -> None:
    """`__all__` is complete: everything public that a module defines is in it, and everything in it exists."""
    for path in MODULES:
        if path.stem in ("__main__", "mypy") or path.stem == "worker_main":
            continue
        name = "lambdacat_effects." + relative(path).removesuffix(".py").replace("/", ".").removesuffix(
            "__init__"
        )
        module = importlib.import_module(name.rstrip("."))
        listed = getattr(module, "__all__", [])
        assert [n for n in listed if not hasattr(module, n)] == [], name
        defined = {
            n
            for n, value in vars(module).items()
            if not n.startswith("_") and getattr(value, "__module__", None) == module.__name__
        }
        from_typing = {n for n in defined if type(vars(module)[n]).__module__ == "typing"}
        assert defined - from_typing - set(listed) == set(), name


def test_importing_the_package_imports_nothing_heavy() -> None:
    """What only some plans need is imported when they need it."""
    code = "import sys, lambdacat_effects; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {
        "lmdb",
        "cattrs",
        "rich",
        "cyclopts",
        "httpx",
        "sqlite3",
        "structlog",
        "hypothesis",
        "pytest",
        "asyncio",
        "datetime",
        "uuid",
        "lambdacat_effects.cognition",
        "lambdacat_effects.effects.memory",
        "lambdacat_effects.handlers.memory",
        "lambdacat_effects.journal",
        "lambdacat_effects.storage",
    }
    assert heavy & set(loaded) == set()
