"""Keeping secrets out of recordings: by the name of the field that holds them, and by the secret itself elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias, cast

from lambdacat_effects.errors import InvalidArgument
from lambdacat_effects.storage.exact.classes import field_names
from lambdacat_effects.storage.leaves import REDACTED, TAG

__all__ = ["REDACTED", "SECRET_NAMES", "Redact", "Redaction", "Redactor"]

Redact: TypeAlias = "str | Callable[[str], str] | Iterable[str | Callable[[str], str]]"
"""Names of fields, and functions from a text that is about to be written to the text to write instead."""

# fmt: off
SECRET_NAMES: Final = frozenset([
    "access_key", "access_token", "api_key", "api_token", "apikey", "auth", "auth_token", "authorization", "bearer",
    "client_secret", "cookie", "credentials", "csrf_token", "id_token", "passphrase", "passwd", "password",
    "private_key", "proxy_authorization", "pwd", "refresh_token", "secret", "secret_key", "session_token",
    "set_cookie", "token", "x_api_key", "x_auth_token",
])
# fmt: on
"""Names of fields that are always redacted, in lower case, with "_" for "-"."""

# A shorter secret is looked for as a whole text only: within others it would be found by chance.
_LEAST_PART = 6


class Redaction:
    """What to redact, as given to `record`. Raises `InvalidArgument` for what is neither a name nor a function.

    >>> Redaction("Pin-Code").names - SECRET_NAMES
    frozenset({'pin_code'})
    """

    def __init__(self, redact: Redact = ()) -> None:
        given: Any = redact
        items: list[Any] = (
            [given] if isinstance(given, str) or not isinstance(given, Iterable) else [*cast(Any, given)]
        )
        for item in items:
            if not (isinstance(item, str) and item) and not callable(item):
                raise InvalidArgument(
                    f"redact= takes names of fields, and functions from text to text; got {item!r}"
                )
        self.names: frozenset[str] = SECRET_NAMES | {_normal(item) for item in items if isinstance(item, str)}
        """Names of fields whose values are never written."""
        self.rewrites: tuple[Callable[[str], str], ...] = tuple([i for i in items if not isinstance(i, str)])
        """Functions that every text passes."""


class Redactor:
    """Redacts what is written in one recording, and remembers the secrets it has seen.

    >>> redactor = Redactor(Redaction())
    >>> redactor.hides("API-Key")
    True
    >>> redactor.hide("sk-1234567")
    '[redacted]'
    >>> redactor.text("no such key: sk-1234567")
    'no such key: [redacted]'
    """

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._secrets: list[str] = []  # the longest first, since one may be a part of another

    @property
    def knows_secrets(self) -> bool:
        """Whether it has seen any, so that what it writes from now on depends on what it has written."""
        return bool(self._secrets)

    def hides(self, name: object) -> bool:
        """Whether values under this name are secrets."""
        return isinstance(name, str) and _normal(name) in self._redaction.names

    def hide(self, secret: object) -> str:
        """What stands for `secret`. Wherever it turns up again, in an error's message say, it is redacted, too."""
        found = {text for text in _texts(secret) if text and text != REDACTED}
        found |= {word for text in found for word in text.split() if len(word) > _LEAST_PART}
        self._secrets = sorted(found | {*self._secrets}, key=lambda text: (-len(text), text))
        return REDACTED

    def text(self, text: str) -> str:
        """`text` without any secret."""
        for rewrite in self._redaction.rewrites:
            rewritten: Any = rewrite(text)
            if not isinstance(rewritten, str):
                raise InvalidArgument(
                    f"a function given as redact= is to answer with text; {rewrite!r} answered {rewritten!r}"
                )
            text = rewritten
        for secret in self._secrets:
            if text == secret:
                return REDACTED
            if len(secret) >= _LEAST_PART and secret in text:
                text = text.replace(secret, REDACTED)
        return text

    def octets(self, octets: bytes) -> bytes:
        """`octets` without any secret."""
        for secret in self._secrets:
            if len(secret) >= _LEAST_PART or octets == secret.encode("utf-8", "surrogatepass"):
                octets = octets.replace(secret.encode("utf-8", "surrogatepass"), REDACTED.encode())
        return octets

    def scrub(self, plain: Any) -> Any:
        """JSON without the secrets that were seen only after it was made."""
        if not self._secrets:
            return plain
        if isinstance(plain, str):
            return self.text(plain)
        if isinstance(plain, list):
            items: list[Any] = cast(Any, plain)
            return [self.scrub(item) for item in items]
        if isinstance(plain, dict):
            parts: dict[str, Any] = cast(Any, plain)
            return {
                key if key.startswith("$") else self.text(key): item if key == TAG else self.scrub(item)
                for key, item in parts.items()
            }
        return plain


@lru_cache(maxsize=4096)
def _normal(name: str) -> str:
    return name.strip("_").lower().replace("-", "_").replace(" ", "_")


def _texts(value: Any) -> list[str]:
    """The texts in a secret, which may be a whole object."""
    parts: Iterable[Any] = ()
    if isinstance(value, str):
        return [value]
    if isinstance(value, (bytes, bytearray)):
        return [bytes(value).decode("utf-8", "ignore")]
    if isinstance(value, int) and abs(value) >= 10**_LEAST_PART:
        return [str(value)]
    if isinstance(value, Mapping):
        parts = cast(Any, value).values()
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts = cast(Any, value)
    else:
        parts = [getattr(value, name, None) for name in field_names(cast(Any, type(value))) or ()]
    return [text for part in parts for text in _texts(part)]
