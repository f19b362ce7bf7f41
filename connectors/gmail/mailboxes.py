"""Chooses the mailboxes that hold the account's mail, and lists the labels that its owner sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from connectors.gmail.client import Listed
from connectors.gmail.errors import HungUpError, RefusedError, SilentError
from connectors.gmail.fields import atom, checksum, mailbox_name
from connectors.gmail.session import Selected, Session
from pdpp_worker.connector import Context, Message, Record, ShapeError, Start, State

AGREEING = 2
"""Runs that have to find something absent before it is deleted."""
ALL_MAIL = "[Gmail]/All Mail"
"""Its name in English, for a server that does not mark it."""
HIDDEN = "All Mail is not shown to IMAP; tick it under 'Show in IMAP' in the label settings of Gmail"

_TELLS_STATUS = frozenset({"LIST-STATUS", "CONDSTORE"})
_STATUS = "MESSAGES UIDVALIDITY UIDNEXT HIGHESTMODSEQ"
_NO_MAILBOX = {b"\\noselect", b"\\nonexistent"}
_PASSING = {b"\\marked", b"\\unmarked", b"\\haschildren", b"\\hasnochildren"}
"""Attributes in LIST that speak of a mailbox's state rather than of its nature."""
_VIEWS = {b"\\all", b"\\flagged", b"\\important"}
"""Mailboxes that show messages of others (RFC 6154, RFC 8457)."""


class Mailbox(NamedTuple):
    """A line of LIST."""

    name: str
    delimiter: str | None
    attributes: frozenset[bytes]


def listed(session: Session) -> list[Mailbox]:
    """All mailboxes by name.

    Raises:
        ShapeError: there is none, although every account has an INBOX.
    """
    return _mailboxes(session, session.ask("LIST", lambda one: one.list_folders()))


def listed_with_status(session: Session) -> tuple[list[Mailbox], dict[str, Selected]]:
    """All mailboxes by name, and what the server tells of each, as if it were opened, as far as it tells that at once.

    A server that hangs up on that question, or has no answer in time, is asked for the list alone, by a new connection.

    Raises:
        ShapeError: there is none, although every account has an INBOX.
    """
    if not session.capabilities >= _TELLS_STATUS:
        return listed(session), {}
    try:
        lines, told = session.ask("LIST", lambda one: _told(*one.list_with_status(_STATUS)))
    except (RefusedError, HungUpError, ShapeError):
        return listed(session), {}
    return _mailboxes(session, lines), told


def _told(lines: Listed, told: Sequence[Any]) -> tuple[Listed, dict[str, Selected]]:
    found: dict[str, Selected] = {}
    for raw, items in zip(told[::2], told[1::2], strict=True):
        name = mailbox_name(_spelled(raw))
        number = dict(zip(items[::2], items[1::2], strict=True))
        found[name] = Selected(
            name,
            int(number[b"MESSAGES"]),
            int(number[b"UIDVALIDITY"]),
            int(number[b"UIDNEXT"]),
            int(number[b"HIGHESTMODSEQ"]) or None,
        )
    return lines, found


def _spelled(raw: Any) -> bytes:
    return raw if isinstance(raw, bytes) else atom(raw).encode()


def _mailboxes(session: Session, lines: Listed) -> list[Mailbox]:
    found: dict[str, Mailbox] = {}
    for attributes, delimiter, raw in lines:
        if raw == b"":
            continue
        spelled = _spelled(raw)
        name = mailbox_name(spelled)
        session.spelled[name] = spelled
        between = delimiter.decode("utf-8", "replace") if delimiter else None
        found[name] = Mailbox(name, between, frozenset(one.lower() for one in attributes))
    if not found:
        raise SilentError("the server lists no mailbox")
    return [found[name] for name in sorted(found)]


def is_container(mailbox: Mailbox) -> bool:
    """Whether it cannot be opened."""
    return bool(mailbox.attributes & _NO_MAILBOX)


def is_view(mailbox: Mailbox) -> bool:
    """Whether it shows messages of others."""
    return bool(mailbox.attributes & _VIEWS)


def to_walk(mailboxes: Sequence[Mailbox], *, gmail: bool) -> list[str]:
    """The mailboxes that together hold every message once; empty where Gmail hides All Mail."""
    open_ones = [one for one in mailboxes if not is_container(one)]
    if gmail:
        marked = [one.name for one in open_ones if b"\\all" in one.attributes]
        return marked[:1] or [one.name for one in open_ones if one.name == ALL_MAIL]
    plain = [one.name for one in open_ones if not is_view(one)]
    return plain or [one.name for one in open_ones]


def collect_labels(start: Start, context: Context, mailboxes: Sequence[Mailbox]) -> Iterator[Message]:
    """The labels that are new or changed since the last run, and those that are not listed any more."""
    saved = start.cursor("labels") or {}
    before: dict[str, int] = saved.get("labels", {})
    gone: dict[str, list[str]] = {**{name: [] for name in before}, **saved.get("gone", {})}
    rows = {one.name: label(one) for one in mailboxes}
    marks = {name: checksum(row) for name, row in rows.items()}
    for name, row in rows.items():
        if before.get(name) != marks[name] or name in saved.get("gone", {}):
            yield Record(stream="labels", key=name, data=row, emitted_at=context.now())
    absent = {name: sorted({*runs, start.run_id}) for name, runs in gone.items() if name not in rows}
    for name in absent:
        data = {"name": name}
        yield Record(stream="labels", key=name, data=data, emitted_at=context.now(), op="delete", ground="absent")
    left = {name: runs for name, runs in absent.items() if len(runs) < AGREEING}
    if (cursor := {"labels": marks, "gone": left}) != saved:
        yield State(stream="labels", cursor=cursor)


def label(mailbox: Mailbox) -> dict[str, Any]:
    """The row of a label."""
    parent, _, _ = mailbox.name.rpartition(mailbox.delimiter) if mailbox.delimiter else ("", "", "")
    is_gmails = mailbox.name == "[Gmail]" or mailbox.name.startswith("[Gmail]/")
    attributes = sorted(one.decode("ascii", "replace") for one in mailbox.attributes - _PASSING)
    return {
        "name": mailbox.name,
        "canonical_name": mailbox.name.removeprefix("[Gmail]/").lower().replace(" ", "_"),
        "is_system": mailbox.name.upper() == "INBOX" or is_gmails,
        "parent_name": parent or None,
        "attributes": attributes,
        "is_selectable": not is_container(mailbox),
    }
