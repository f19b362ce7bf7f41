"""Messages as they stand: read in one piece instead of part by part where they are small, and kept as .eml files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from connectors.gmail.client import Answer
from connectors.gmail.download import Ask, Downloads
from connectors.gmail.errors import RefusedError
from connectors.gmail.files import Files, Stored
from connectors.gmail.local.client import LocalClient, LocalMail, LocalSession
from connectors.gmail.local.mime import Section
from connectors.gmail.rows import Mail
from connectors.gmail.structure import Part
from pdpp_worker.connector import ShapeError, StorageFull

ITEMS = ("UID", "BODY.PEEK[]")
AT_ONCE = 1024 * 1024
"""Bytes of the largest message that is read in one piece, and its parts out of it."""
SMALL = 256 * 1024
"""Bytes of a message that is not asked for by its parts where it cannot be read in one piece."""
BUNDLE = 4 * 1024 * 1024
"""Bytes that are asked for in one command."""


class Raws:
    """The messages of one bundle as they stand; `limit` is the size of the largest that is kept, bytes.

    `most` is the size of the largest of which all is wanted anyway.
    """

    def __init__(self, files: Files, downloads: Downloads, limit: int, most: int) -> None:
        self._files = files
        self._downloads = downloads
        self._limit = limit
        self._at_once = min(max(min(limit, SMALL), most), AT_ONCE) if limit else 0
        self._mails: dict[int, LocalMail] = {}
        self._stored: dict[int, Stored | StorageFull] = {}

    def clear(self) -> None:
        """Forget the bundle before."""
        self._mails, self._stored = {}, {}

    def bundles(self, messages: Sequence[Mail]) -> Iterator[list[Mail]]:
        """The small messages, as many together as one command is sent for."""
        bundle: list[Mail] = []
        size = 0
        for message in messages:
            told = message.row["size_bytes"] or 0
            if not 0 < told <= self._at_once:
                continue
            if bundle and size + told > BUNDLE:
                yield bundle
                bundle, size = [], 0
            bundle.append(message)
            size += told
        if bundle:
            yield bundle

    def take(self, messages: Sequence[Mail], answers: Mapping[int, Answer]) -> None:
        """Hold and keep messages as they stand, but for those that are not as long, or not made, as the server told."""
        self.clear()
        for message in messages:
            raw, told = answers.get(message.uid, {}).get("BODY[]"), message.row["size_bytes"] or 0
            if not isinstance(raw, bytes) or len(raw) < told:
                continue
            local = LocalMail(raw)
            if all(_agrees(local, part) for part in (*message.parts.texts, *message.parts.attachments)):
                self._mails[message.uid] = local
                if told <= self._limit:
                    self._stored[message.uid] = self._put(raw)

    def _put(self, raw: bytes) -> Stored | StorageFull:
        try:
            return self._files.put(raw)
        except StorageFull as error:
            return error

    def raw(self, message: Mail) -> bytes | None:
        """The message as it stands, where it is held."""
        held = self._mails.get(message.uid)
        return held.raw if held else None

    def parts(self, message: Mail, items: Sequence[str]) -> Answer:
        """The answer to FETCH, out of the message that is held."""
        client = LocalClient({message.uid: self._mails[message.uid]})
        return client.fetch_by_uid(str(message.uid), items)[message.uid]

    def section(self, message: Mail, part: Part) -> Section | None:
        """A part of a message that is held."""
        held = self._mails.get(message.uid)
        return held.section.at(part.path) if held else None

    def ask(self, message: Mail) -> Ask | None:
        """The way to ask for pieces of a message that is held."""
        held = self._mails.get(message.uid)
        return LocalSession(LocalClient({message.uid: held})).ask if held else None

    def kept(self, message: Mail) -> Stored | StorageFull | None:
        """The message as a file, or why there is no room for it; None where it is too large, or is not told.

        Raises:
            ProviderError: the connection failed as a whole.
        """
        size = message.row["size_bytes"] or 0
        if message.uid in self._stored:
            return self._stored[message.uid]
        if not SMALL < size <= self._limit:
            return None
        try:
            return self._downloads.fetch(message, Part("", "message/rfc822", "", None, size, None, None, ""))
        except StorageFull as error:
            return error
        except (RefusedError, ShapeError):
            return None


def _agrees(local: LocalMail, part: Part) -> bool:
    found = local.section.at(part.path)
    return found is not None and (part.size is None or len(found.body) == part.size)
