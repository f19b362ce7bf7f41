"""A connection that reads a server and files: no mail is held twice, and none is deleted that a file holds."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from connectors.gmail.local.identity import seal, seal_of_parts
from connectors.gmail.local.registry import Registry
from connectors.gmail.position import MailboxPosition, Numbers
from connectors.gmail.rows import Box, Mail, attachment_key
from pdpp_worker.connector import Context, Record


class Overlap:
    """Notes the server's messages, and knows which of them files hold too."""

    def __init__(self, registry: Registry, context: Context) -> None:
        self._registry = registry
        self._now = context.now

    def met(self, message: Mail, raw: bytes | None, streams: Sequence[str]) -> Iterator[Record]:
        """Note a message of the server; its records under the key that it had by its file are taken back."""
        marks = seal_of_parts(message.head, message.row["size_bytes"] or 0) if raw is None else seal(raw)
        if marks is None:
            return
        self._registry.note(message.key, marks, of_server=True)
        for known in self._registry.find(marks):
            if not known.of_server and known.key != message.key:
                self._registry.share_places(known.key, message.key)
                yield from self._taken_back(known.key, len(message.parts.attachments), streams)

    def holds(self, key: str) -> bool:
        """Whether a file holds the message."""
        return self._registry.is_in_files(key)

    def _taken_back(self, key: str, attachments: int, streams: Sequence[str]) -> Iterator[Record]:
        keys = {"messages": [key], "message_bodies": [key]}
        keys["attachments"] = [attachment_key(key, index) for index in range(attachments)]
        for stream in streams:
            for one in keys[stream]:
                yield Record(stream=stream, key=one, data={"id": one}, emitted_at=self._now(), op="delete")


class HeldByServer(Container[str]):
    """The keys of the messages that the server held when it was walked last."""

    def __init__(self, positions: Mapping[str, Any], *, is_gmail: bool) -> None:
        self._is_gmail = is_gmail
        self._numbers: dict[str, Numbers] = {}
        for name, saved in positions.items():
            position = MailboxPosition.from_json(saved)
            prefix = "" if is_gmail else Box(name, position.uidvalidity, gmail=False).key(0, 0)[:-1]
            entries = position.ledger.entries()
            self._numbers[prefix] = Numbers(one.gm if is_gmail else one.uid for one in entries)

    def __contains__(self, key: object) -> bool:
        head, dash, number = str(key).rpartition("-")
        if not number.isdecimal():
            return False
        return int(number) in self._numbers.get(head + dash, Numbers())
