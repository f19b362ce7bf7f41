"""The texts of mails that a parser has to take apart, which works in a child process.

Time for a page of HTML grows with the square of the tags that are open at once, time for a mail with the product of its
lines and of the levels of its parts: a mail of a few megabytes would hold a worker for hours.
"""

from __future__ import annotations

from typing import Any

from connectors.gmail.tidy import is_tidy
from pdpp_worker.connector import ConfinedError, Room, ShapeError

_CPU_S = 10.0
"""A page of 5 MB takes 0.3 s."""
_PAGES = Room("connectors.gmail.html_text:html_text", cpu_s=_CPU_S)
_MAILS = Room("connectors.gmail.source:outside", cpu_s=_CPU_S)


def page_text(html: str) -> str:
    """The text that a page shows; see `html_text`.

    Raises:
        ShapeError: it takes too much time or memory to read.
    """
    return str(_read(_PAGES, html.encode("utf-8", "replace"), "the HTML of the message")) if html.strip() else ""


def outside(head: bytes, body: bytes) -> list[str]:
    """The texts of a mail that stand in none of its parts; see `source.outside`.

    Raises:
        ShapeError: it takes too much time or memory to read.
    """
    mail = head.rstrip(b"\r\n") + b"\r\n\r\n" + body
    return [] if is_tidy(mail) else list(_read(_MAILS, mail, "the message as it stands"))


def _read(room: Room, job: bytes, what: str) -> Any:
    try:
        return room.call(job)
    except ConfinedError as error:
        raise ShapeError(f"{what} is not read: {error}") from None
