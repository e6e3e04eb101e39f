"""Names of files for any text, and the contents of the files of a `JsonStore`, which people can read."""

from __future__ import annotations

import base64
import json
import re
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final, cast

__all__ = ["Damaged", "beginning", "directory_name", "file_name", "key_of", "record", "value_of"]

_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")
_LONGEST: Final = 150  # file systems take 255 bytes, and some 143 where they encrypt names
_CUT: Final = 100
_EXTENSION: Final = ".json"
_LONGEST_JSON: Final = 1_000_000  # of what people might read
_INDENT: Final = 2
_DEEP: Final = "\n" + " " * 200 * _INDENT  # what could be written in one thread, and not be read in another
_NOTHING: Final = object()
_HEAD: Final = 4
"""The lines of a file in which its key is."""
_PARTS: Final = re.compile(r"%([0-9a-f]{2})|\+([a-z])|([^%+])")


class Damaged(Exception):
    """What a file has is not what a store writes."""


def directory_name(namespace: str) -> str:
    """The directory that a namespace has its files in."""
    return _safe(namespace)


def file_name(key: str) -> str:
    """The file of a key, in the directory of its namespace.

    >>> file_name("felix"), file_name("Felix/1"), file_name("")
    ('felix.json', '+felix%2f1.json', '%.json')
    """
    return _safe(key) + _EXTENSION


def key_of(file: str, data: bytes) -> str | None:
    """The key of a file that cannot be read: by its name, or, of a key that is too long for one, by what is left of
    its contents; None if that does not tell.

    >>> key_of("+felix%2f1.json", b"")
    'Felix/1'
    """
    name = file.removesuffix(_EXTENSION)
    candidates: list[str] = []
    with suppress(ValueError):
        candidates.append(_unescaped("" if name == "%" else name))
    for line in data.split(b"\n")[:_HEAD]:
        with suppress(ValueError, RecursionError):
            part: Any = json.loads(b"{%b}" % line.strip().removesuffix(b","))
            candidates.append(str(part["key"]) if "key" in part else "")
    return next((key for key in candidates if file_name(key) == file), None)


def _unescaped(name: str) -> str:
    octets = bytearray()
    for escape, one, plain in _PARTS.findall(name):
        octets += bytes.fromhex(escape) if escape else (one.upper() or plain).encode()
    return octets.decode("utf-8", "surrogatepass")


def beginning(prefix: str) -> str:
    """How the file names of keys that begin with `prefix` begin: others may, too."""
    return _escaped(prefix)[:_CUT]


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _escaped(text: str) -> str:
    # Disks may take "A" for "a", and one way to write "é" for the other, so neither appears in a name.
    parts: list[str] = []
    for byte in _utf8(text):
        if byte in _PLAIN and (parts or byte != 0x2E):  # a name that begins with a dot is ours
            parts.append(chr(byte))
        elif 0x41 <= byte <= 0x5A:
            parts.append("+" + chr(byte).lower())
        else:
            parts.append(f"%{byte:02x}")
    return "".join(parts)


def _safe(text: str) -> str:
    name = _escaped(text)
    if len(name) > _LONGEST:
        return f"{name[:_CUT]}~{blake2b(_utf8(text), digest_size=16).hexdigest()}"
    return name or "%"


def record(namespace: str, key: str, value: bytes) -> bytes:
    """The contents of a file: the value as JSON if it is that, exactly; else as text, or in base64."""
    kept: dict[str, Any] = {"namespace": namespace, "key": key, **_kept(value)}
    return _utf8(json.dumps(kept, ensure_ascii=False, indent=_INDENT) + "\n")


def _kept(value: bytes) -> dict[str, Any]:
    try:
        text = value.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
    return {"text": text} if (parsed := _parsed(text)) is _NOTHING else {"value": parsed}


def _parsed(text: str) -> object:
    if len(text) > _LONGEST_JSON:
        return _NOTHING
    try:
        parsed = json.loads(text, parse_constant=_refuse)
        exact = _compact(parsed) == text  # else these very bytes could not be made of it again
        shallow = _DEEP not in json.dumps(parsed, ensure_ascii=False, indent=_INDENT)
    except (ValueError, RecursionError):
        return _NOTHING
    return parsed if exact and shallow else _NOTHING


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON to others than Python")


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def value_of(data: bytes) -> tuple[str, str, bytes]:
    """The namespace, key and value in the contents of a file. Raises `Damaged`, saying what is wrong."""
    try:
        found = json.loads(data.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise Damaged(f"it is no JSON ({error})") from None
    if not isinstance(found, dict):
        raise Damaged("it is no JSON object")
    given = cast("dict[str, Any]", found)
    namespace, key = given.get("namespace"), given.get("key")
    if not isinstance(namespace, str) or not isinstance(key, str):
        raise Damaged('it has no "namespace" and "key"')
    if "value" in given:
        return namespace, key, _utf8(_compact(given["value"]))
    if isinstance(given.get("text"), str):
        return namespace, key, _utf8(given["text"])
    if isinstance(given.get("base64"), str):
        try:
            return namespace, key, base64.b64decode(given["base64"], validate=True)
        except ValueError as error:
            raise Damaged(f'its "base64" cannot be read ({error})') from None
    raise Damaged('it has neither a "value" nor "text" nor "base64"')
