"""Ways in which a server misbehaves."""

from __future__ import annotations

from tests.connectors.gmail.conftest import Holder
from tests.connectors.gmail.gmail_server import Fault

WHOLE = "BODY.PEEK[]"


def touches(uid: int, command: str) -> bool:
    """Whether a command fetches more than the UID of a message."""
    words = command.split(" ")
    if words[:2] != ["UID", "FETCH"] or words[3] == "(UID)":
        return False
    return any(int(part.split(":")[0]) <= uid <= int(part.split(":")[-1]) for part in words[2].split(","))


def refused(uid: int, what: str = "", answer: str = "NO Some messages could not be FETCHed (Failure)") -> Fault:
    """A server that refuses every FETCH of `what` that touches the message; a text is refused with its mail."""
    asked = (what, WHOLE) if what == "BODY.PEEK[1]" else (what,)
    return lambda command: answer if touches(uid, command) and any(one in command for one in asked) else None


def nth(number: int, word: str, answer: str) -> Fault:
    """A server that answers so to the n-th command with the word."""
    seen: list[str] = []

    def fault(command: str) -> str | None:
        if word in command:
            seen.append(command)
        return answer if len(seen) == number and word in command else None

    return fault


def whole(held: Holder) -> bool:
    """Whether everything of the five mails is held."""
    return (
        len(held.held()) == len(held.held("message_bodies")) == 5
        and len(held.held("attachments")) == 1
        and all("snippet" in row for row in held.held().values())
    )


Hidden = set[int]
"""UIDs that a server leaves out of every answer, without a word."""


def silent(what: str = "") -> Fault:
    """A server that answers every FETCH of `what` with OK and no line."""
    return lambda command: "OK Success" if command.startswith("UID FETCH") and what in command else None
