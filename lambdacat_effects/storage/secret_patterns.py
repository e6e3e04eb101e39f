"""Patterns of what should not be kept, whatever field it is in: functions from a text to the text without it.

For `redacting(...)` and `record(..., redact=...)`. They find what looks like a secret, so they miss those that
look like nothing, and take some text that only looks so: name the fields that hold secrets, too."""

from __future__ import annotations

import re
from typing import Final

from lambdacat_effects.storage.leaves import REDACTED

__all__ = ["api_keys", "bearer_tokens", "card_numbers", "email_addresses"]

# Texts, which `re` compiles when they are first used, and keeps: that takes milliseconds, and whoever imports the
# package would pay for it.

# The local part has no upper bound in the pattern but the 64 characters that RFC 5321 allows: without one, a long
# text without any "@" would take quadratic time.
_EMAIL: Final = (
    r"(?<![\w.+%-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[\w](?:[\w-]{0,61}[\w])?\.){1,8}[^\W\d_][\w-]{1,62}"
)
# In one piece, or as they are printed: by fours with perhaps a rest, or as 4-6-5 and 4-6-4.
_CARD: Final = (
    r"(?<!\d)(\d{12,19}|\d{4}([ -])\d{4}\2\d{4}\2\d{4}|\d{4}([ -])\d{6}\3\d{4,5})([ -]\d{1,3})?(?!\d)"
)
_BEARER: Final = r"(?i)\b(bearer|basic|token)([ \t]+)([\w.~+/-]{8,}=*)"
_JWT: Final = r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"

# fmt: off
_KNOWN_KEYS: Final = "|".join([
    r"\bsk-[\w-]{16,}",                     # OpenAI, Anthropic (sk-ant-...), OpenRouter
    r"\b[srp]k_(?:live|test)_\w{10,}",      # Stripe
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",       # AWS
    r"\bAIza[\w-]{30,}",                    # Google
    r"\bgh[opusr]_\w{20,}",                 # GitHub
    r"\bgithub_pat_\w{20,}",
    r"\bglpat-[\w-]{16,}",                  # GitLab
    r"\bxox[abeoprs]-[\w-]{10,}",           # Slack
    r"\bhf_\w{20,}",                        # Hugging Face
    r"\bnpm_\w{30,}",
    r"\bpypi-[\w-]{30,}",
    r"\bSG\.[\w-]{16,}\.[\w-]{16,}",        # SendGrid
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[\s\S]*?(?:-----END (?:[A-Z]+ )*PRIVATE KEY-----|\Z)",
])
# fmt: on
_NAMED_KEY: Final = (
    r"(?i)((?:api[_-]?key|secret|password|passwd|access[_-]?key|auth[_-]?token|access[_-]?token)"
    r"[\"']?\s{0,8}[:=]\s{0,8}[\"']?)([^\s\"',;&]{6,})"
)


def email_addresses(text: str) -> str:
    """`text` without e-mail addresses.

    >>> email_addresses("write to ann.o'neil+cats@mail.example.org, not @home")
    'write to [redacted], not @home'
    """
    return re.sub(_EMAIL, REDACTED, text) if "@" in text else text


def card_numbers(text: str) -> str:
    """`text` without payment card numbers: 12 to 19 digits, in one piece or in the groups that cards show, that
    satisfy the Luhn check (ISO/IEC 7812-1). One in ten other numbers of that shape does, too.

    >>> card_numbers("on 2026-05-01 4111 1111 1111 1111 is a card, 4111111111111112 is none")
    'on 2026-05-01 [redacted] is a card, 4111111111111112 is none'
    """
    parts: list[str] = []
    begin = at = 0
    shape = re.compile(_CARD)
    while found := shape.search(text, at):
        # What looks like a last group may be another number, and what looks like a first one, too.
        end = next(
            (found.end(part) for part in (0, 1) if _is_card(text[found.start() : found.end(part)])), None
        )
        at = found.start() + 1 if end is None else end
        if end is not None:
            parts += (text[begin : found.start()], REDACTED)
            begin = end
    return "".join((*parts, text[begin:]))


def bearer_tokens(text: str) -> str:
    """`text` without what follows "Bearer", "Basic" or "Token" in HTTP headers, and without JSON Web Tokens.

    >>> bearer_tokens("Authorization: Bearer mF_9.B5f-4.1JqM")
    'Authorization: Bearer [redacted]'
    """
    return re.sub(_JWT, REDACTED, re.sub(_BEARER, _after_scheme, text))


def api_keys(text: str) -> str:
    """`text` without private keys, what follows `api_key=`, `password:` and the like, and keys with the prefixes
    of well known services (`sk-`, `AKIA`, `ghp_`, ...).

    >>> api_keys("OPENAI_API_KEY=abc123def and AKIAIOSFODNN7EXAMPLE")
    'OPENAI_API_KEY=[redacted] and [redacted]'
    """
    return re.sub(_NAMED_KEY, rf"\1{REDACTED}", re.sub(_KNOWN_KEYS, REDACTED, text))


def _after_scheme(found: re.Match[str]) -> str:
    # Prose has such pairs, too ("basic research", "token economy"): a credential has more than lower-case letters.
    scheme, space, credential = found.groups()
    return found[0] if credential.isalpha() and credential.islower() else f"{scheme}{space}{REDACTED}"


def _is_card(number: str) -> bool:
    digits = [int(digit) for digit in number if digit.isdecimal()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(digits) <= 19 and any(digits) and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
