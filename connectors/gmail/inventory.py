"""The mailboxes of a server, and what becomes of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.gmail.mailboxes import Mailbox, is_container, is_view
from connectors.gmail.position import MailboxPosition
from pdpp_worker.connector import SourceMember

PART = "server"

_APART = {b"\\trash", b"\\junk"}
_NO_MAIL = "holds other mailboxes and no mail"
_THROWN_AWAY = "Trash and Spam are no part of All Mail; Google Takeout has them"
_VIEW = "shows messages of other mailboxes"
_LABEL = "shows messages of All Mail, whose labels name it"


def members(
    mailboxes: Sequence[Mailbox], walked: Mapping[str, Any], streams: Sequence[str], *, gmail: bool
) -> Iterator[SourceMember]:
    """The inventory; `walked` are the positions of the mailboxes that are walked, by name."""
    for one in mailboxes:
        if one.name in walked:
            saved = walked[one.name]
            count = MailboxPosition.from_json(saved).count if saved else None
            yield SourceMember(
                kind="mailbox", name=one.name, disposition="collected", streams=list(streams), count=count
            )
        else:
            yield SourceMember(kind="mailbox", name=one.name, disposition="declared", reason=_reason(one, gmail=gmail))


def _reason(mailbox: Mailbox, *, gmail: bool) -> str:
    if is_container(mailbox):
        return _NO_MAIL
    if gmail:
        return _THROWN_AWAY if mailbox.attributes & _APART else _LABEL
    return _VIEW if is_view(mailbox) else _NO_MAIL
