"""Documents that every machine has: a folder of notes, and Python's own documentation.

Nothing is fetched, and no module is imported to be read: importing runs code (`this` prints, `antigravity`
opens a browser). The standard library is parsed instead. The exceptions are modules compiled into Python,
which have no source to parse: a fixed, short list of them, none with a side effect, is imported by name.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from inspect import cleandoc
from pathlib import Path, PurePosixPath
from typing import Final

from lambdacat_effects.errors import InvalidArgument, StoreUnusable
from lambdacat_effects.tools.search.compiled import compiled_docstrings
from lambdacat_effects.tools.search.passage import Passage
from lambdacat_effects.tools.search.splitting import chunks, sections

__all__ = ["folder_fingerprint", "folder_passages", "stdlib_fingerprint", "stdlib_passages"]

_PATTERNS: Final = ("*.md", "*.txt", "*.rst")
_NOT_DOCUMENTS: Final = frozenset({"node_modules", "__pycache__"})
_REVISION: Final = 1  # raise it when the same files would give other passages

_SKIPPED_PACKAGES: Final = frozenset(
    # Tests and test data, development tools, copies of other packages, and generated tables. distutils and
    # lib2to3 left Python in 3.12 and 3.13, and answers should still be true there.
    {
        *("__phello__", "distutils", "encodings", "ensurepip", "idlelib", "lib2to3", "msilib", "pydoc_data"),
        *("site-packages", "test", "tests", "turtledemo"),
    }
)
_WRITTEN_IN_PYTHON: Final = {"_pydatetime": "datetime", "_pydecimal": "decimal", "_pyio": "io"}
"""Python versions of compiled modules, whose docstrings describe the public module."""

_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def folder_passages(root: str | os.PathLike[str], patterns: Sequence[str] = _PATTERNS) -> Iterator[Passage]:
    """Passages of at most 1,200 characters from the text files under `root`, in the order of their paths.

    Documents are cut at headings, then between paragraphs; sources look like `docs/guide.md#Installing`, with
    the path relative to `root`. Files that are not UTF-8 text are skipped, and so are hidden ones. Raises
    `InvalidArgument` at once if `root` is no folder, `StoreUnusable` for a file that may not be read.
    """
    folder = _folder(root)
    return (passage for path in _documents(folder, patterns) for passage in _document_passages(folder, path))


def folder_fingerprint(root: str | os.PathLike[str], patterns: Sequence[str] = _PATTERNS) -> str:
    """Differs when `folder_passages` would: from the names, sizes and modification times of the files."""
    folder = _folder(root)
    digest = hashlib.sha256(f"{_REVISION}\0{folder.resolve()}".encode())
    for path in _documents(folder, patterns):
        status = path.stat()
        digest.update(f"\0{path}\0{status.st_size}\0{status.st_mtime_ns}".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _folder(root: str | os.PathLike[str]) -> Path:
    folder = Path(root)
    if not folder.is_dir():
        raise InvalidArgument(f"{str(folder)!r} is no folder: give one that holds documents")
    return folder


def _documents(folder: Path, patterns: Sequence[str]) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in _NOT_DOCUMENTS)
        for name in sorted(names):
            path = Path(place, name)
            if name[0] != "." and any(fnmatch(name, pattern) for pattern in patterns) and path.is_file():
                yield path


def _document_passages(folder: Path, path: Path) -> Iterator[Passage]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    except OSError as error:
        raise StoreUnusable(
            f"{str(path)!r} cannot be read: {error}. Change its rights or its place."
        ) from error
    if "\0" in text:
        return
    # A file name need not be Unicode, but what is indexed and cited must be.
    name = os.fsencode(path.relative_to(folder).as_posix()).decode(errors="replace")
    for heading, body in sections(text, markdown=path.suffix.lower() == ".md"):
        source = f"{name}#{heading}" if heading else name
        for chunk in chunks(body):
            yield Passage(chunk, source, _titled(PurePosixPath(name).stem, heading))


def _titled(document: str, heading: str) -> str:
    return f"{document}: {heading}" if heading else document


def stdlib_passages() -> Iterator[Passage]:
    """Python's own documentation, as far as it is installed with Python: some ten thousand passages.

    The docstrings of the standard library's public modules, classes, functions and methods (sources like
    `json.dumps`), then the chapters of the language reference that `help("with")` shows (sources like
    `python language reference: with`). The reference comes with most Pythons but not all: see
    `stdlib_fingerprint`.
    """
    seen: set[str] = set()
    for source, docstring in (*_parsed_docstrings(), *compiled_docstrings()):
        text = cleandoc(docstring)
        # Overridden methods repeat their docstring; one word ("Deprecated.") answers no question.
        if text in seen or len(text.split()) < 3:
            continue
        seen.add(text)
        for chunk in chunks(text):
            yield Passage(chunk, source, source)
    yield from _reference_passages()


def stdlib_fingerprint() -> str:
    """Differs when `stdlib_passages` would: from the version of Python and its place, and whether the language
    reference is there."""
    reference = len(_reference())
    return f"{_REVISION} {sys.version} {_stdlib_folder()} reference:{reference}"


def _stdlib_folder() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _parsed_docstrings() -> Iterator[tuple[str, str]]:
    """(dotted name, raw docstring) for everything public in the standard library's source."""
    root = _stdlib_folder()
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name.isidentifier() and name not in _SKIPPED_PACKAGES)
        for name in sorted(names):
            module = _module_name(Path(place, name).relative_to(root))
            if module is not None:
                yield from _module_docstrings(Path(place, name), module)


def _module_name(path: Path) -> str | None:
    """The name under which the contents of a source file are documented, or None if they are private.

    `concurrent/futures/_base.py` defines `concurrent.futures.Future`; a private module at the top has nothing
    for the public, except the Python versions of compiled ones.
    """
    if path.suffix != ".py":
        return None
    first, *rest = path.with_suffix("").parts
    first = _WRITTEN_IN_PYTHON.get(first, first)
    if first.startswith("_") and first != "__future__":
        return None
    return ".".join([first, *(part for part in rest if not part.startswith("_"))])


def _module_docstrings(path: Path, module: str) -> Iterator[tuple[str, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # old invalid escapes in the standard library are not our user's concern
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):
            return  # some distributions install templates and broken links there
    yield from _docstrings(tree, module)


def _docstrings(node: ast.Module | _Definition, name: str) -> Iterator[tuple[str, str]]:
    docstring = ast.get_docstring(node, clean=False)
    if docstring is not None:
        yield name, docstring
    if isinstance(node, ast.Module | ast.ClassDef):
        for child in node.body:
            if not isinstance(child, _Definition):
                continue
            if child.name == "__init__":
                yield from _docstrings(child, name)  # how to make one is part of what a class is
            elif not child.name.startswith("_"):
                yield from _docstrings(child, f"{name}.{child.name}")


def _reference() -> dict[str, str]:
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return {}
    return topics


def _reference_passages() -> Iterator[Passage]:
    # Long chapters contain short ones in full ("compound" has "with"); the short one is what to cite.
    seen: set[str] = set()
    for topic, text in sorted(_reference().items(), key=lambda item: (len(item[1]), item[0])):
        for heading, body in sections(text.partition("-[ Footnotes ]-")[0]):
            for chunk in chunks(body):
                if chunk not in seen:
                    seen.add(chunk)
                    yield Passage(chunk, f"python language reference: {topic}", _titled(topic, heading))
