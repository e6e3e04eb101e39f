"""Values as plain JSON without their secrets, which still reads as the types that it was written from."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Final, cast
from uuid import UUID

from lambdacat_effects.storage.exact.redaction import Redaction, Redactor
from lambdacat_effects.storage.leaves import REDACTED, Misfit
from lambdacat_effects.storage.plain import dumps, plain

__all__ = ["Redacting", "redacted"]

_BLANKS: Final[dict[type, Any]] = {
    bytes: REDACTED.encode(),
    datetime: datetime.min,
    date: date.min,
    time: time.min,
    UUID: UUID(int=0),
    PurePath: REDACTED,
    Decimal: Decimal(0),
}
"""What stands for a secret that is no text, of its class: "[redacted]" would not read as a date."""

_FEWEST_DIGITS: Final = 6


def redacted(value: object, redaction: Redaction) -> Any:
    """`value` as plain JSON without secrets: what is stored of it then reads as its type, as the value itself
    would.

    Fields, keys of mappings and the first of a pair name a secret. Of what is under such a name each text becomes
    "[redacted]", each number 0, each date and time the first there is, and so on; None, booleans and enums stay.
    Everywhere else texts, and whole numbers as texts, pass the functions of the redaction, and what was a secret
    under its name is one there, too.

    Raises `Misfit`, naming the place in the value.

    >>> redacted({"pin": 1234, "note": "call ann"}, Redaction(["pin", lambda text: text.replace("ann", "A.")]))
    {'pin': 0, 'note': 'call A.'}
    >>> redacted({"user": "hunter2 is mine", "password": "hunter2"}, Redaction())
    {'user': '[redacted] is mine', 'password': '[redacted]'}
    """
    redacting = Redacting(Redactor(redaction))
    written = plain(value, redacting)
    # Again, since what stands before a secret was written when it was not known.
    return plain(value, redacting) if redacting.found else written


class Redacting:
    """What `plain` asks while it writes a value without its secrets."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._hiding = False
        self.found: bool = False
        """Whether there was anything that is a secret by its name."""

    def hides(self, name: object) -> bool:
        """Whether what is under this name is a secret."""
        return self._redactor.hides(name)

    @contextmanager
    def hiding(self, secret: object) -> Generator[None, None, None]:
        """While within, everything is a secret."""
        self._redactor.hide(secret)
        self.found = True
        before, self._hiding = self._hiding, True
        try:
            yield
        finally:
            self._hiding = before

    def primitive(self, value: Any) -> Any:
        """What is written for a text, a number, a boolean or None."""
        if type(value) is str:
            return REDACTED if self._hiding else self._redactor.text(value)
        if type(value) is float:
            return 0.0 if self._hiding else value
        if type(value) is int:
            return 0 if self._hiding or self._is_secret(value) else value
        return value

    def leaf(self, value: Any) -> Any:
        """What is written for a value that JSON has as text."""
        if self._hiding:
            blank = next(_BLANKS[base] for base in type(value).__mro__ if base in _BLANKS)
            aware = isinstance(value, (datetime, time)) and value.tzinfo is not None
            return blank.replace(tzinfo=cast(Any, value).tzinfo) if aware else blank
        if isinstance(value, PurePath):
            return self._redactor.text(str(value))
        if isinstance(value, bytes):
            # Any bytes pass this way and back as they were.
            text = self._redactor.text(value.decode("utf-8", "surrogateescape"))
            return text.encode("utf-8", "surrogateescape")
        return value

    def apart(self, keys: Sequence[Any]) -> list[Any]:
        """Keys of a mapping that are still different: by redaction two of them may have become one.

        Raises `Misfit` for those that are no text.
        """
        given, taken = {dumps(key) for key in keys}, set[str]()
        found: list[Any] = []
        for key in keys:
            number, written = 1, key
            while dumps(written) in taken or (number > 1 and dumps(written) in given):
                if type(key) is not str:
                    raise Misfit(
                        f"has two keys that redaction makes one, {key!r}: use keys that are no secret"
                    )
                number += 1
                written = f"{key} {number}"
            taken.add(dumps(written))
            found.append(written)
        return found

    def _is_secret(self, number: int) -> bool:
        if not 10 ** (_FEWEST_DIGITS - 1) <= abs(number) < 10**1000:
            return False
        return self._redactor.text(str(number)) != str(number)
