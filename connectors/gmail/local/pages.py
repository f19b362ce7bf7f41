"""Mails of files read together, by the reader that reads a server's mails."""

from __future__ import annotations

from collections.abc import Container, Generator, Iterable, Iterator
from dataclasses import dataclass, field

from connectors.gmail.local.client import LocalClient, LocalSession
from connectors.gmail.local.mails import FileBox, FileMail, Identified, Known
from connectors.gmail.local.registry import Registry
from connectors.gmail.outcome import Chosen, everything
from connectors.gmail.reader import Reader
from pdpp_worker.connector import Context, DetailGap, Message, Reason, Record, Start

MOST_MAILS = 100
"""Mails between two checkpoints."""
MOST_BYTES = 4 * 1024 * 1024
"""Bytes of mails that are held at once, but for one large mail."""


@dataclass
class PageResult:
    """The result of a page."""

    labels: set[str] = field(default_factory=set)
    firsts: dict[str, str] = field(default_factory=dict)
    """By stream, the key of a record that was told whole."""
    message_ids: dict[str, str] = field(default_factory=dict)
    """By Message-ID, the key of a message that was told."""


class Pages:
    """Tells mails of files, but for those that the server holds."""

    def __init__(self, start: Start, context: Context, registry: Registry, held: Container[str]) -> None:
        self._registry = registry
        self._client = LocalClient()
        self._reader = Reader(start, context, LocalSession(self._client))
        self._identified = Identified(registry)
        self._held = held

    def told(self, mails: Iterable[FileMail], chosen: Chosen = everything) -> Generator[Message, None, PageResult]:
        """The records of mails that lie in one mailbox; a gap for each that could not be read."""
        result, page = PageResult(), list(mails)
        for found in page:
            if found.problem:
                yield gap_of(found)
        with self._registry.together():
            known = [self._identified.known(found) for found in page if not found.problem]
        result.labels = {label for one in known for label in one.mail.labels}
        fresh = {number: one for number, one in enumerate(known, start=1) if one.key not in self._held}
        if fresh:
            yield from self._read(page[0].file.place, fresh, chosen, result)
        return result

    def _read(self, place: str, mails: dict[int, Known], chosen: Chosen, result: PageResult) -> Iterator[Message]:
        box = FileBox(place, 0, gmail=False, mails=mails)
        self._client.hold({number: one.mail for number, one in mails.items()})
        for message in self._reader.page(box, sorted(mails), chosen=chosen):
            if isinstance(message, Record) and not message.partial:
                result.firsts.setdefault(message.stream, str(message.key))
                if message.stream == "messages" and (message_id := message.data.get("message_id")):
                    result.message_ids[str(message_id)] = str(message.key)
            yield message


def gap_of(found: FileMail, gap_id: str | None = None) -> DetailGap:
    """The gap of a mail that could not be read; a cut file may be whole another time, a large mail is not."""
    is_large = "larger" in found.problem
    return DetailGap(
        stream="messages",
        record_key=found.gap_key,
        reason=(Reason.PARSE_FAILED if is_large else Reason.SOURCE_PARTITION_FAILED).value,
        detail_locator=found.locator,
        last_error=f"{found.file.name}, byte {found.at}: {found.problem}",
        gap_id=gap_id,
    )


def paged(mails: Iterable[FileMail]) -> Iterator[list[FileMail]]:
    """Mails of one mailbox by pages that memory holds."""
    page: list[FileMail] = []
    size = 0
    for found in mails:
        is_full = len(page) >= MOST_MAILS or size + len(found.raw) > MOST_BYTES
        if page and (is_full or found.file.place != page[0].file.place):
            yield page
            page, size = [], 0
        page.append(found)
        size += len(found.raw)
    if page:
        yield page
