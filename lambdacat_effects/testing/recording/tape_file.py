"""Recordings as files: JSON with sorted keys, one entry for each effect, in the order of the plan."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NoReturn, cast

from lambdacat_effects.errors import RecordingUnreadable, StoreUnusable
from lambdacat_effects.journal.asked import Asked
from lambdacat_effects.storage.exact.redaction import Redactor
from lambdacat_effects.testing.recording.tape import Entry, RecordedRun, Tape

__all__ = ["load", "save", "text_of"]

_FORMAT: Final = "lambdacat-effects recording"
_VERSION: Final = 1
_OUTCOMES = ("answer", "branches", "chunks", "error", "unfinished")
_FATES = frozenset({"not begun", "answered", "failed", "failed late", "cancelled", "won"})


def save(tape: Tape, redactor: Redactor) -> None:
    """Write `tape` in place of what was there, at once or not at all. Raises `StoreUnusable`."""
    folder = os.path.dirname(os.path.abspath(tape.file))
    octets = text_of(tape, redactor).encode()
    try:
        os.makedirs(folder, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".recording-", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(octets)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())  # `mkstemp` makes it for its owner's eyes only
            os.replace(temporary, tape.file)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        _sync(folder)
    except OSError as error:
        raise StoreUnusable(
            f"the recording {tape.file!r} cannot be written ({error.strerror or error}): see to its folder, or give "
            "another path"
        ) from error


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync(folder: str) -> None:
    with suppress(OSError):  # which some file systems refuse, and Windows
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def text_of(tape: Tape, redactor: Redactor) -> str:
    """The whole file. Equal recordings give equal text.

    >>> from lambdacat_effects.storage.exact.redaction import Redaction
    >>> print(text_of(Tape("file.json"), Redactor(Redaction())))
    {
      "$format": "lambdacat-effects recording",
      "$version": 1,
      "runs": []
    }
    <BLANKLINE>
    """
    runs = [
        {
            "effects": [_written(entry, redactor) for _, entry in sorted(run.entries.items())],
            "name": run.name,
            "run": run.number,
        }
        for run in sorted(tape.runs, key=lambda run: (run.name, run.number))
    ]
    whole = {"$format": _FORMAT, "$version": _VERSION, "runs": runs}
    return json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _written(entry: Entry, redactor: Redactor) -> dict[str, Any]:
    written: dict[str, Any] = {
        "asked": redactor.scrub(entry.asked.fields),
        "effect": entry.asked.effect,
        "path": entry.where,
    }
    if entry.branches is not None:
        written |= {"branches": entry.branches, "cancelled": entry.cancelled}
    elif entry.stream is not None:
        written |= {"stream": entry.stream, "chunks": redactor.scrub(entry.chunks), "ended": entry.ended}
    elif entry.answer is not None:
        written["answer"] = redactor.scrub(entry.answer[0])
    elif entry.error is None:
        written["unfinished"] = True
    if entry.error is not None:
        written["error"] = redactor.scrub(entry.error)
    return written


def load(path: str) -> Tape:
    """The recording at `path`; the file is only read. Raises `RecordingUnreadable`, naming the place."""
    try:
        with open(path, "rb") as file:
            octets = file.read()
    except FileNotFoundError:
        raise RecordingUnreadable(
            f'there is no recording {path!r}: make one with record(handlers, {path!r}), mode "once"'
        ) from None
    except OSError as error:
        raise RecordingUnreadable(
            f"the recording {path!r} cannot be read ({error.strerror or error})"
        ) from error
    try:
        whole = json.loads(octets.decode())
    except json.JSONDecodeError as error:
        _refuse(path, f"line {error.lineno}, column {error.colno}", f"it is no JSON ({error.msg})")
    except UnicodeDecodeError as error:
        _refuse(path, f"byte {error.start}", "it is no UTF-8")
    except RecursionError:
        _refuse(path, "all of it", "it is nested too deeply")
    return _tape(path, whole)


def _refuse(path: str, where: str, problem: str) -> NoReturn:
    raise RecordingUnreadable(
        f"the recording {path!r} cannot be read: {where}: {problem}. The file was left as it is: restore it, or "
        'record anew (mode="all")'
    )


def _tape(path: str, whole: Any) -> Tape:
    if not isinstance(whole, dict) or cast(Any, whole).get("$format") != _FORMAT:
        _refuse(path, "the top", f'it does not say "$format": "{_FORMAT}", so it is something else')
    parts: dict[str, Any] = cast(Any, whole)
    version = parts.get("$version")
    if version != _VERSION:
        _refuse(path, "the top", f"it is of version {version!r}, and this release reads version {_VERSION}")
    tape = Tape(path)
    where = "the top"
    try:
        for i, run in enumerate(_of(list, parts["runs"])):
            where = f"runs[{i}]"
            recorded = RecordedRun(_of(str, run["name"]), _of(int, run["run"]))
            if any((recorded.name, recorded.number) == (other.name, other.number) for other in tape.runs):
                raise ValueError(f"run {recorded.number} of {recorded.name!r} is there twice")  # noqa: TRY301
            tape.runs.append(recorded)
            for j, written in enumerate(_of(list, run["effects"])):
                where = f"runs[{i}].effects[{j}]"
                entry = _entry(_of(dict, written))
                if entry.place in recorded.entries:
                    raise ValueError(f"path {entry.where} is there twice")  # noqa: TRY301
                recorded.entries[entry.place] = entry
    except KeyError as error:
        _refuse(path, where, f"{error} is missing")
    except (TypeError, ValueError) as error:
        _refuse(path, where, str(error))
    return tape


def _entry(written: dict[str, Any]) -> Entry:
    place = tuple([int(part) for part in _of(str, written["path"]).split("/")])
    entry = Entry(place, Asked(_of(str, written["effect"]), _of(dict, written["asked"])), used=False)
    found = [name for name in _OUTCOMES if name in written]
    if "chunks" in found:
        entry.chunks = _of(list, written["chunks"])
        entry.stream = _of(str, written["stream"])
        entry.ended = _of(bool, written["ended"])
        found.remove("chunks")
        found += [] if "error" in found else ["chunks"]
    if len(found) != 1:
        raise ValueError(f"it is to have one of {', '.join(_OUTCOMES)}, and has {', '.join(found) or 'none'}")
    if "branches" in written:
        entry.branches = _fates(_of(list, written["branches"]))
        entry.cancelled = _of(bool, written["cancelled"])
    if "answer" in written:
        entry.answer = [written["answer"]]
    if "error" in written:
        entry.error = _of(dict, written["error"])
    return entry


def _fates(written: list[Any]) -> list[Any]:
    if not all(fate in _FATES for fate in written):
        raise ValueError(f"a branch is one of {', '.join(sorted(_FATES))}")
    return written


def _of(kind: Callable[..., Any], value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(
            f"expected {cast(Any, kind).__name__}, found {type(value).__name__}: {str(value)[:60]!r}"
        )
    return value
