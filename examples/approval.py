"""A run that waits for a person: it may take days, and no process has to wait with it.

    lambdacat run examples/approval.py:newsletter "Ten tricks with generators" --durable issue-7
    lambdacat runs
    lambdacat answer issue-7 yes

The first command writes a draft, asks whether it may be sent, and ends (exit status 75). The answer lets the run go
on where it stopped: the draft is not written again. The "letters" are lines in the file `outbox.txt`.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from lambdacat_effects import Ask, NewId, Now, Plan, Tools, ask, for_each, idempotency_key, tool

OUTBOX = Path("outbox.txt")


@frozen
class Draft:
    number: str
    written: float
    text: str


@tool
def send(reader: str, draft: Draft) -> str:
    """Send one letter, unless that has been done: a call that was in flight when its process died is repeated."""
    key = idempotency_key()
    sent = OUTBOX.read_text().splitlines() if OUTBOX.exists() else []
    if not any(line.startswith(f"{key}\t") for line in sent):
        with OUTBOX.open("a") as outbox:
            outbox.write(f"{key}\t{reader}\t{draft.text}\n")
    return reader


def newsletter(
    subject: str, *, readers: tuple[str, ...] = ("Ada", "Grace")
) -> Plan[Tools | Ask[bool] | NewId | Now, str]:
    """Write a newsletter, and send it if somebody approves.

    Parameters
    ----------
    subject
        What it is about.
    readers
        Who gets it.
    """
    draft = Draft((yield from NewId()), (yield from Now()), f"News: {subject}")
    if not (yield from ask(f"Send {draft.text!r} to {len(readers)} readers?", as_type=bool)):
        return "not sent"
    sent = yield from for_each(readers, lambda reader: send(reader, draft), limit=10)
    return f"sent to {', '.join(sent)}"
