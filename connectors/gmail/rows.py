"""Makes records of a server's answers: keys, fields, and what a gap has to remember."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from connectors.gmail.client import Answer, moment
from connectors.gmail.errors import SilentError
from connectors.gmail.fields import HEADER_BYTES, Headers, checksum, flags, iso, labels, number
from connectors.gmail.files import Stored
from connectors.gmail.ledger import MessageEntry
from connectors.gmail.structure import Part, Structure, structure

HEADER = f"BODY.PEEK[HEADER]<0.{HEADER_BYTES}>"
STATE_ITEMS = ("UID", "FLAGS")
METADATA_ITEMS = (*STATE_ITEMS, "INTERNALDATE", "RFC822.SIZE", "BODYSTRUCTURE", HEADER)
FACE_ITEMS = ("UID", "INTERNALDATE", "RFC822.SIZE")
GMAIL_STATE_ITEMS = ("X-GM-LABELS",)
GMAIL_ITEMS = (*GMAIL_STATE_ITEMS, "X-GM-MSGID", "X-GM-THRID")


@dataclass(frozen=True)
class Box:
    """A mailbox in one of its lives: a new UIDVALIDITY gives every UID a new meaning."""

    name: str
    uidvalidity: int
    gmail: bool

    def key(self, uid: int, gm: int) -> str:
        """The id of a message: Gmail's own, in decimal; elsewhere made of the mailbox, its life and the UID."""
        if self.gmail:
            return str(gm)
        return f"{hashlib.sha256(self.name.encode()).hexdigest()[:12]}-{self.uidvalidity}-{uid}"

    def locator(self, uid: int, gm: int) -> dict[str, Any]:
        """The exact address of a message."""
        address = {"kind": "gmail.message", "mailbox": self.name, "uidvalidity": self.uidvalidity, "uid": uid}
        return {**address, "gm_msgid": str(gm)} if gm else address

    def facts(self, uid: int) -> dict[str, Any]:  # noqa: ARG002
        """Facts beside the message that no field names."""
        return {}


@dataclass(frozen=True)
class Mail:
    """One message as its metadata tells it."""

    box: Box
    uid: int
    gm: int
    key: str
    received_at: str | None
    parts: Structure
    row: dict[str, Any]
    """The record without its snippet."""
    mark: int
    """A checksum of the fields that change."""
    face: int
    """A checksum of what never changes."""
    head: bytes
    """The header as it stands."""

    def entry(self, *, marked: bool) -> MessageEntry:
        """The entry for the ledger; with a mark only where the server does not say itself what changed."""
        return MessageEntry(self.uid, self.gm, len(self.parts.attachments), self.mark if marked else 0)

    def attachment_key(self, index: int) -> str:
        """The id of an attachment."""
        return attachment_key(self.key, index)


def metadata_items(box: Box) -> tuple[str, ...]:
    """The items of a FETCH of metadata."""
    return METADATA_ITEMS + (GMAIL_ITEMS if box.gmail else ())


def attachment_key(message: str, index: int) -> str:
    """The id of a message's attachment, counted from 0 in the order of its structure."""
    return f"{message}:{index}"


def mail(box: Box, uid: int, answer: Answer) -> Mail:
    """Read the metadata of a message.

    Raises:
        ShapeError: something is missing that every answer must have.
    """
    gm = number(answer.get("X-GM-MSGID")) or 0
    raw = next((value for name, value in answer.items() if name.startswith("BODY[HEADER")), None)
    if not isinstance(raw, bytes | None) or "BODYSTRUCTURE" not in answer or (box.gmail and not gm):
        raise SilentError("the server told less of the message than it was asked for")
    parts = structure(answer["BODYSTRUCTURE"])
    key = box.key(uid, gm)
    received_at = iso(moment(answer))
    headers = Headers(raw or b"")
    row = {
        "id": key,
        "thread_id": _thread(answer, headers, key),
        "mailbox": box.name,
        **_letterhead(headers),
        "received_at": received_at,
        "size_bytes": number(answer.get("RFC822.SIZE")),
        "has_attachments": bool(parts.attachments),
    }
    if facts := box.facts(uid):
        row["extra"] = facts
    changing = state(box, answer)
    return Mail(
        box, uid, gm, key, received_at, parts, {**row, **changing}, checksum(changing), face(answer), raw or b""
    )


def face(answer: Answer) -> int:
    """A checksum of what never changes of a message: when it came, its size, Gmail's id."""
    return checksum([iso(moment(answer)), number(answer.get("RFC822.SIZE")), number(answer.get("X-GM-MSGID"))])


def state(box: Box, answer: Answer) -> dict[str, Any]:
    """The fields of a message that change."""
    known = flags(answer.get("FLAGS"))
    marks = {one.lower() for one in known}
    is_told = box.gmail or "X-GM-LABELS" in answer
    tagged = labels(answer.get("X-GM-LABELS")) if is_told else [box.name]
    return {
        "labels": tagged,
        "flags": [one for one in known if one.lower() != "\\recent"],
        "is_seen": "\\seen" in marks,
        "is_flagged": "\\flagged" in marks,
        "is_answered": "\\answered" in marks,
        "is_draft": "\\draft" in marks,
    }


def attachment(message: Mail, index: int) -> dict[str, Any]:
    """The fields of an attachment that its structure tells."""
    part = message.parts.attachments[index]
    return {
        "id": message.attachment_key(index),
        "message_id": message.key,
        "message_received_at": message.received_at,
        "part_index": index,
        "part": part.path,
        "filename": part.filename,
        "content_type": part.type,
        "content_id": part.content_id,
        "is_inline": part.disposition == "inline" or (part.content_id is not None and not part.disposition),
        "encoding": part.encoding or None,
        "encoded_bytes": part.size,
        **({"extra": part.extra} if part.extra else {}),
    }


def hydrated(stored: Stored) -> dict[str, Any]:
    """The fields of an attachment that was fetched."""
    return {
        "hydration_status": "hydrated",
        "content_sha256": stored.sha256,
        "size_bytes": stored.size_bytes,
        "path": stored.path,
    }


TOO_LARGE: dict[str, Any] = {
    "hydration_status": "too_large",
    "content_sha256": None,
    "size_bytes": None,
    "path": None,
}


def _letterhead(headers: Headers) -> dict[str, Any]:
    senders = headers.addresses("FROM")
    sender = senders[0] if senders else {"name": None, "email": None}
    return {
        "subject": headers.text("SUBJECT"),
        "from_name": sender["name"],
        "from_email": sender["email"],
        "to": headers.addresses("TO"),
        "cc": headers.addresses("CC"),
        "bcc": headers.addresses("BCC"),
        "reply_to": headers.addresses("REPLY-TO"),
        "date": headers.date(),
        "message_id": next(iter(headers.ids("MESSAGE-ID")), None),
        "in_reply_to": next(iter(headers.ids("IN-REPLY-TO")), None),
        "references": headers.ids("REFERENCES"),
        "headers": headers.as_they_stand(),
    }


def _thread(answer: Answer, headers: Headers, key: str) -> str:
    thread = number(answer.get("X-GM-THRID"))
    return str(thread) if thread else _derived_thread(headers, key)


def _derived_thread(headers: Headers, key: str) -> str:
    """The message that the conversation began with, as far as the header tells."""
    for name in ("REFERENCES", "IN-REPLY-TO", "MESSAGE-ID"):
        if found := headers.ids(name):
            return found[0]
    return key


def path_of(part: Part) -> str:
    """The part in a FETCH command, without marking the message as read."""
    return f"BODY.PEEK[{part.path}]"
