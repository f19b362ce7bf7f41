"""A client that answers FETCH out of mails in memory, so that one reader reads a server's mails and those of files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from imapclient.imap_utf7 import encode as encode_utf7

from connectors.gmail.client import Answer, Fetches
from connectors.gmail.local.mime import Section, parsed
from pdpp_worker.connector.lazily import lazy

T = TypeVar("T")

_PIECE = re.compile(r"BODY\.PEEK\[([^\]]*)\](?:<(\d+)\.(\d+)>)?")


@dataclass
class LocalMail:
    """A mail of a file, and what the file tells beside it."""

    raw: bytes
    """Lines end with CRLF."""
    received: bytes | None = None
    """As INTERNALDATE."""
    flags: tuple[bytes, ...] = ()
    gm: int = 0
    thread: int = 0
    labels: tuple[str, ...] = ()

    @lazy
    def section(self) -> Section:
        """The structure."""
        return parsed(self.raw)


class LocalClient:
    """Answers about mails by number."""

    def __init__(self, mails: Mapping[int, LocalMail] | None = None) -> None:
        self._mails = mails or {}

    def hold(self, mails: Mapping[int, LocalMail]) -> None:
        """Answer about these mails from now on."""
        self._mails = mails

    def fetch_by_uid(self, messages: str, items: Sequence[str], changed_since: int | None = None) -> dict[int, Answer]:  # noqa: ARG002
        """The answers about these mails (a sequence set), by number."""
        return {number: _answer(number, self._mails[number], items) for number in self.existing(messages)}

    def existing(self, messages: str) -> list[int]:
        """The mails among these that are there."""
        return [number for number in _numbers(messages) if number in self._mails]


class LocalSession:
    """Asks the client at once: nobody has to be waited for."""

    def __init__(self, client: Fetches) -> None:
        self._client = client

    def ask(self, label: str, command: Callable[[Fetches], T]) -> T:  # noqa: ARG002
        """The answer to a command."""
        return command(self._client)

    def ahead(self, label: str, messages: str, items: Sequence[str]) -> Callable[[], dict[int, Answer]]:  # noqa: ARG002
        """The answers to FETCH, when they are wanted."""
        return lambda: self._client.fetch_by_uid(messages, items)


def _numbers(messages: str) -> Iterator[int]:
    for part in messages.split(","):
        first, _, last = part.partition(":")
        yield from range(int(first), int(last or first) + 1)


def _answer(number: int, mail: LocalMail, items: Sequence[str]) -> Answer:
    told: Answer = {
        "UID": number,
        "FLAGS": mail.flags,
        "INTERNALDATE": mail.received,
        "RFC822.SIZE": len(mail.raw),
        "BODYSTRUCTURE": mail.section.told if "BODYSTRUCTURE" in items else None,
        "X-GM-LABELS": tuple(encode_utf7(label) for label in mail.labels),
        "X-GM-MSGID": mail.gm or None,
        "X-GM-THRID": mail.thread or None,
    }
    answer = {name: value for name, value in told.items() if name in items or name.startswith("X-GM-")}
    for item in items:
        if found := _PIECE.fullmatch(item):
            content = _content(mail, found[1])
            start, size = (int(found[2]), int(found[3])) if found[2] else (0, len(content))
            origin = f"<{start}>" if found[2] else ""
            answer[f"BODY[{found[1]}]{origin}"] = content[start : start + size]
    return answer


def _content(mail: LocalMail, section: str) -> bytes:
    simple: dict[str, Any] = {
        "": lambda: mail.raw,
        "HEADER": lambda: mail.section.head,
        "TEXT": lambda: mail.section.body,
    }
    if section in simple:
        return bytes(simple[section]())
    part = mail.section.at(section.removesuffix(".MIME"))
    if part is None:
        return b""
    return part.head if section.endswith(".MIME") else part.body
