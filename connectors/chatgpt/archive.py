"""The official export: the zip that the platform mails to its owner, read without any network.

It gives the same records under the same keys as the network does. The position in it is the number of conversations
that were read; it holds for the very same file only. Records that an export no longer contains are not deleted: it may
be an old one.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from connectors.chatgpt.details import coverage, gap, listed, whole
from connectors.chatgpt.fields import identity
from connectors.chatgpt.gaps import by_conversation, closed
from connectors.chatgpt.jsonbytes import BrokenJsonError, decode
from connectors.chatgpt.jsonstream import elements
from connectors.chatgpt.listing import Item
from connectors.chatgpt.small_rows import shared_conversation
from connectors.chatgpt.tree import Conversation
from pdpp_worker.connector import (
    WHOLE_STREAM,
    Context,
    Message,
    Reason,
    Record,
    ResourceScope,
    ShapeError,
    Start,
    State,
    skip,
)
from pdpp_worker.connector.json_fields import table

SHARES = "shared_conversations"
SUPPLIED = ("conversations", "messages", SHARES)
_SHARES_MEMBER = re.compile(r"(?:.*/)?shared_conversations\.json")
# Large exports come in numbered parts.
_MEMBER = re.compile(r"(?:.*/)?conversations(?:-\d+)?\.json")
_UNREADABLE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def import_archive(start: Start, context: Context, wanted: list[str]) -> Iterator[Message]:
    """Read the conversations of the export, from where the last run stopped."""
    for stream in wanted:
        if stream not in SUPPLIED and not start.recovery_only:
            yield skip(stream, Reason.EXPORT_NOT_WIRED, WHOLE_STREAM, "An export does not hold this.")
    importer = _Importer(start, context, wanted)
    try:
        yield from importer.messages(Path(str(context.settings["archive"])))
    except BrokenJsonError as error:
        yield from importer.stopped(Reason.PARSE_FAILED, f"The export's conversations are not whole JSON: {error}.")
    except _UNREADABLE as error:
        why = f"The export cannot be read ({type(error).__name__}); check the path, or download the export again."
        yield from importer.stopped(Reason.SOURCE_PARTITION_FAILED, why)


class _Importer:
    def __init__(self, start: Start, context: Context, wanted: list[str]) -> None:
        self._start = start
        self._now = context.now
        self._streams = [stream for stream in wanted if stream in SUPPLIED]
        self._cursor = table(start.cursor("conversations"))
        self._shares_cursor = table(start.cursor(SHARES))

    def messages(self, path: Path) -> Iterator[Message]:
        with zipfile.ZipFile(path) as archive:
            if not any(_members(archive)):
                yield from self.stopped(Reason.SOURCE_PARTITION_FAILED, "The export holds no conversations.json.")
                return
            yield from self._recover(archive)
            if self._start.recovery_only:
                return
            fingerprint = _fingerprint(path, archive, self._streams)
            if "conversations" in self._streams:
                yield from self._import(archive, fingerprint)
            if SHARES in self._streams and self._shares_cursor.get("archive") != fingerprint:
                yield from self._import_shares(archive, fingerprint)

    def _import_shares(self, archive: zipfile.ZipFile, fingerprint: str) -> Iterator[Message]:
        """The shared links, of which the export tells less than the network; the list is short."""
        name = next((name for name in archive.namelist() if _SHARES_MEMBER.fullmatch(name)), None)
        if name is None:
            yield skip(SHARES, Reason.EXPORT_NOT_WIRED, WHOLE_STREAM, "The export holds no shared_conversations.json.")
            return
        try:
            with archive.open(name) as member:
                rows = [shared_conversation(decode(raw)) for raw in elements(member)]
        except BrokenJsonError as error:
            yield skip(SHARES, Reason.PARSE_FAILED, WHOLE_STREAM, f"The shared links are not whole JSON: {error}.")
            return
        usable = [row for row in rows if row is not None]
        for row in usable:
            yield Record(stream=SHARES, key=row["id"], data=row, emitted_at=self._now())
        if len(usable) < len(rows):
            yield skip(SHARES, Reason.SHAPE_CHANGED, WHOLE_STREAM, "Shared links of the export have no usable id.")
            return
        yield State(stream=SHARES, cursor={**self._shares_cursor, "archive": fingerprint})

    def stopped(self, reason: Reason, why: str) -> Iterator[Message]:
        for stream in self._streams:
            yield skip(stream, reason, WHOLE_STREAM, why)

    def _recover(self, archive: zipfile.ZipFile) -> Iterator[Message]:
        """Look through the export once for all conversations that are known to be missing."""
        missing = by_conversation(self._start.detail_gaps)
        missing = dict(list(missing.items())[: self._start.budget.items])
        if not missing:
            return
        for index, raw in _conversations(archive):
            detail = Conversation(raw)
            key = _key(detail, index)
            gaps = missing.pop(key, None)
            if gaps is not None and _is_whole(detail):
                yield from self._records(key, detail)
                yield from closed(key, gaps, detail.message_ids)
            elif gaps is not None:
                yield from (gap(key, detail.fields, _SHAPE, gap_id=known.gap_id) for known in gaps)
            if not missing:
                return

    def _import(self, archive: zipfile.ZipFile, fingerprint: str) -> Iterator[Message]:
        saved = table(self._cursor.get("archive"))
        saved = saved if saved.get("fingerprint") == fingerprint else {}
        if saved.get("through"):
            return
        begin = saved.get("position", 0)
        for index, raw in _conversations(archive):
            if index >= begin:
                detail = Conversation(raw)
                yield from self._handle(_key(detail, index), detail)
                yield self._state(fingerprint, index + 1, through=False)
                begin = index + 1
        yield self._state(fingerprint, begin, through=True)

    def _handle(self, key: str, detail: Conversation) -> Iterator[Message]:
        is_whole, with_messages = _is_whole(detail), "messages" in self._streams
        if is_whole:
            yield from self._records(key, detail)
        else:
            yield from self._broken(key, detail.fields, with_messages=with_messages)
        if with_messages:
            yield coverage(key, is_read=is_whole)

    def _broken(self, key: str, fields: dict[str, Any], *, with_messages: bool) -> Iterator[Message]:
        if identity(key) is not None:
            yield listed(Item(key, None, fields), self._now)
        if with_messages:
            yield gap(key, fields, _SHAPE)
        else:
            yield skip("conversations", Reason.SHAPE_CHANGED, ResourceScope(resource_id=key), str(_SHAPE))

    def _records(self, key: str, detail: Conversation) -> Iterator[Message]:
        yield from (record for record in whole(key, {}, detail, self._now) if record.stream in self._streams)

    def _state(self, fingerprint: str, position: int, *, through: bool) -> State:
        archive = {"fingerprint": fingerprint, "position": position, "through": through}
        return State(stream="conversations", cursor={**self._cursor, "archive": archive})


_SHAPE = ShapeError("the export's conversation has no id or no mapping")


def _members(archive: zipfile.ZipFile) -> list[str]:
    return sorted(name for name in archive.namelist() if _MEMBER.fullmatch(name))


def _conversations(archive: zipfile.ZipFile) -> Iterator[tuple[int, bytes]]:
    index = 0
    for name in _members(archive):
        with archive.open(name) as member:
            for raw in elements(member):
                yield index, raw
                index += 1


def _key(detail: Conversation, index: int) -> str:
    """The conversation's id, or its number in the export where it has none."""
    fields = detail.fields
    return identity(fields.get("id")) or identity(fields.get("conversation_id")) or f"#{index}"


def _is_whole(detail: Conversation) -> bool:
    return detail.is_whole and not _key(detail, 0).startswith("#")


def _fingerprint(path: Path, archive: zipfile.ZipFile, streams: list[str]) -> str:
    """Another file, a changed one, or other streams to take from it: another fingerprint."""
    status = path.stat()
    contents = [(one.filename, one.CRC, one.file_size, one.header_offset) for one in archive.infolist()]
    whole_story = json.dumps([status.st_size, status.st_mtime_ns, contents, sorted(streams)])
    return hashlib.sha256(whole_story.encode()).hexdigest()
