"""The state of a mail that a file keeps beside it: flags, labels, Gmail's ids, the time when it came."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from connectors.gmail.fields import Headers

ADDED = frozenset(
    {
        "X-GMAIL-LABELS",
        "X-GM-THRID",
        "STATUS",
        "X-STATUS",
        "X-KEYWORDS",
        "X-UID",
        "X-IMAP",
        "X-IMAPBASE",
        "CONTENT-LENGTH",
        "LINES",
        "X-MOZILLA-STATUS",
        "X-MOZILLA-STATUS2",
        "X-MOZILLA-KEYS",
        "X-ACCOUNT-KEY",
        "X-UIDL",
    }
)
"""Fields that programs write into an mbox, in capitals; a server does not send them with the mail."""

_ADDED_LINES = re.compile(
    rb"(?im)^(?:" + b"|".join(sorted(name.encode() for name in ADDED)) + rb")[ \t]*:.*\n(?:[ \t].*\n)*"
)
_TAKEOUT = re.compile(rb"From (\d{15,20})@\S+ ")
_DATE = re.compile(rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun).*", re.IGNORECASE)
_ASCTIME = re.compile(r"([A-Za-z]{3}) +(\d{1,2}) +(\d{1,2}:\d\d(?::\d\d)?) +(?:([+-]\d{4}|[A-Z]{3,4}) +)?(\d{4})")
_SYSTEM = {
    "Inbox": "\\Inbox",
    "Sent": "\\Sent",
    "Starred": "\\Starred",
    "Important": "\\Important",
    "Draft": "\\Draft",
    "Drafts": "\\Draft",
    "Trash": "\\Trash",
    "Spam": "\\Spam",
}
"""Labels of Google Takeout and the same ones of IMAP."""
_STATE = {"Unread", "Opened"}
"""Labels of Google Takeout that are a state."""
_STATUS = {"R": b"\\Seen", "A": b"\\Answered", "F": b"\\Flagged", "T": b"\\Draft", "D": b"\\Deleted"}
_MAILDIR = {"S": b"\\Seen", "R": b"\\Answered", "F": b"\\Flagged", "D": b"\\Draft", "T": b"\\Deleted"}
_MOZILLA = {0x1: b"\\Seen", 0x2: b"\\Answered", 0x4: b"\\Flagged", 0x8: b"\\Deleted"}


class Told(NamedTuple):
    """The state of a mail."""

    flags: tuple[bytes, ...] = ()
    labels: tuple[str, ...] | None = None
    """None: the file has no labels; where it lies is the label."""
    gm: int = 0
    thread: int = 0
    added: tuple[tuple[str, str], ...] = ()
    """Fields that were written into the file beside the mail's own, as they stand."""


def without_added(raw: bytes) -> tuple[bytes, bytes]:
    """A mail without the fields that programs write into an mbox, and those fields."""
    end = raw.find(b"\r\n\r\n")
    head = raw if end < 0 else raw[: end + 2]
    found = b"".join(one[0] for one in _ADDED_LINES.finditer(head))
    return (_ADDED_LINES.sub(b"", head) + raw[len(head) :], found) if found else (raw, b"")


def told_by_mbox(separator: bytes, added: bytes) -> Told:
    """The state that an mbox keeps in its separator and in the fields that were added."""
    headers = Headers(added)
    found = _TAKEOUT.match(separator)
    thread = headers.text("X-GM-THRID") or ""
    gm = int(found[1]) if found and thread.isdecimal() else 0
    labels = headers.text("X-GMAIL-LABELS")
    flags = _of_letters((headers.text("STATUS") or "") + (headers.text("X-STATUS") or ""), _STATUS)
    flags |= _of_mozilla(headers.text("X-MOZILLA-STATUS"))
    fields = tuple((name, value) for name, value in headers.as_they_stand())
    if labels is None:
        return Told(tuple(sorted(flags)), None, gm, int(thread) if gm else 0, fields)
    names = [one.strip() for row in csv.reader([labels]) for one in row if one.strip()]
    flags |= set() if "Unread" in names else {b"\\Seen"}
    flags |= {b"\\Flagged"} if "Starred" in names else set()
    flags |= {b"\\Draft"} & {_SYSTEM.get(one, "").encode() for one in names}
    shown = tuple(dict.fromkeys(_SYSTEM.get(one, one) for one in names if one not in _STATE))
    return Told(tuple(sorted(flags)), shown, gm, int(thread) if gm else 0, fields)


def told_by_name(name: str) -> Told:
    """The flags that a Maildir keeps in the name of a file."""
    _, _, letters = name.rpartition(":2,")
    return Told(tuple(sorted(_of_letters(letters, _MAILDIR)))) if ":2," in name else Told()


def internal_date(separator: bytes, raw: bytes) -> bytes | None:
    """When the mail came, as a server would tell it: by Takeout's separator, by the last Received, else by Date."""
    headers = Headers(raw[: raw.find(b"\r\n\r\n")] if b"\r\n\r\n" in raw else raw)
    _, _, received = (headers.text("RECEIVED") or "").rpartition(";")
    by_separator = _DATE.search(separator)
    written = by_separator[0].decode("ascii", "replace") if by_separator else ""
    candidates = [written] if _TAKEOUT.match(separator) else []
    for text in (*candidates, received, headers.text("DATE") or "", written):
        if (moment := _moment(text)) is not None:
            return moment.astimezone(UTC).strftime("%d-%b-%Y %H:%M:%S +0000").encode()
    return None


def _moment(text: str) -> datetime | None:
    """A time of a header or of a separator, whose year stands at its end."""
    if found := _ASCTIME.search(text):
        month, day, clock, zone, year = found.groups()
        text = f"{day} {month} {year} {clock} {zone or '+0000'}"
    try:
        moment = parsedate_to_datetime(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _of_letters(letters: Iterable[str], names: dict[str, bytes]) -> set[bytes]:
    return {names[one] for one in letters if one in names}


def _of_mozilla(status: str | None) -> set[bytes]:
    try:
        bits = int(status or "0", 16)
    except ValueError:
        return set()
    return {flag for bit, flag in _MOZILLA.items() if bits & bit}
