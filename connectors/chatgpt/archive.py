"""The official export: the zip that the platform mails to its owner, read without any network.

It gives the same records under the same keys as the network does. The position in it is the number of conversations
that were read; it holds for the very same file only. Records that an export no longer contains are not deleted: it may
be an old one. So a conversation that an earlier export held in a newer version is passed over.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from connectors.chatgpt.details import flaw_of
from connectors.chatgpt.export_file import Export, account_of, fingerprint_of, open_export
from connectors.chatgpt.export_members import CONVERSATIONS_MEMBER, SHARES_MEMBER, not_collected
from connectors.chatgpt.export_times import ExportTimes
from connectors.chatgpt.fields import identity
from connectors.chatgpt.gaps import NAMELESS, by_conversation, closed
from connectors.chatgpt.jsonbytes import BrokenJsonError, decode
from connectors.chatgpt.jsonstream import elements
from connectors.chatgpt.reports import coverage, gap, listed, whole
from connectors.chatgpt.small_rows import shared_conversation
from connectors.chatgpt.tree import Conversation
from pdpp_worker.connector import (
    WHOLE_STREAM,
    BatchScope,
    Context,
    GapToClose,
    Message,
    Reason,
    Record,
    ResourceScope,
    ShapeError,
    SourceAccount,
    Start,
    State,
    UpstreamError,
    closed_as_absent,
    skip,
    still_missing,
)
from pdpp_worker.connector.json_fields import table, text

SHARES = "shared_conversations"
SUPPLIED = ("conversations", "messages", SHARES)
STATE_CHARS = 2048
"""A cursor that is longer is saved the more seldom: about so much is written for each conversation."""
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
        self._times = ExportTimes(self._cursor.get("export_times"))
        self._nameless = 0

    def messages(self, path: Path) -> Iterator[Message]:
        with open_export(path) as archive:
            if not any(_members(archive)):
                yield from self.stopped(Reason.SOURCE_PARTITION_FAILED, "The export holds no conversations.json.")
                return
            yield from _account(archive)
            yield from self._recover(archive)
            if self._start.recovery_only:
                return
            fingerprint = fingerprint_of(archive, self._streams)
            if "conversations" in self._streams:
                yield from self._import(archive, fingerprint)
                yield from self._not_collected(archive)
            if SHARES in self._streams and self._shares_cursor.get("archive") != fingerprint:
                yield from self._import_shares(archive, fingerprint)

    def _import_shares(self, archive: Export, fingerprint: str) -> Iterator[Message]:
        """The shared links, of which the export tells less than the network; the list is short."""
        rows: list[dict[str, Any] | None] = []
        try:
            # An export of an account that shares nothing, or a newer one, has no such member.
            for name in filter(SHARES_MEMBER.fullmatch, archive.names()):
                with archive.open(name) as member:
                    rows += [shared_conversation(decode(raw)) for raw in elements(member)]
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

    def _recover(self, archive: Export) -> Iterator[Message]:
        """Look through the export once for all conversations that are known to be missing."""
        missing = by_conversation(self._start.detail_gaps)
        for key in [key for key in missing if identity(key) is None]:
            # Earlier versions named items without an id by their number; these are said of the export as a whole now.
            yield from (closed_as_absent(known) for known in missing.pop(key))
        for raw in _conversations(archive) if missing else ():
            detail = Conversation(raw)
            gaps = missing.pop(_key(detail) or "", None)
            if gaps is not None:
                yield from self._retry(gaps, detail)
            if not missing:
                return
        for known in (one for gaps in missing.values() for one in gaps):
            yield still_missing(_NOT_THERE, known)

    def _retry(self, gaps: list[GapToClose], detail: Conversation) -> Iterator[Message]:
        key, flaw = _key(detail) or "", _flaw(detail)
        if detail.is_whole:
            yield from self._records(key, detail)
        if flaw is None:
            yield from closed(key, gaps, detail.message_ids)
        else:
            yield from (still_missing(flaw, known) for known in gaps)

    def _import(self, archive: Export, fingerprint: str) -> Iterator[Message]:
        saved = table(self._cursor.get("archive"))
        saved = saved if saved.get("fingerprint") == fingerprint else {}
        begin, self._nameless = saved.get("position", 0), saved.get("nameless", 0)
        index = saved_at = begin
        for index, raw in enumerate(_conversations(archive) if not saved.get("through") else (), start=1):
            if index <= begin:
                continue
            yield from self._handle(Conversation(raw))
            if (index - saved_at) * STATE_CHARS >= self._times.chars:
                yield self._state(fingerprint, saved_at := index, through=False)
        if not saved.get("through"):
            yield self._state(fingerprint, max(index, begin), through=True)
        if self._nameless:
            why = f"{self._nameless} conversations of the export have no usable id."
            yield skip("conversations", Reason.SHAPE_CHANGED, BatchScope(partition=dict(NAMELESS)), why)

    def _not_collected(self, archive: Export) -> Iterator[Message]:
        names = not_collected(archive.names())
        if names:
            scope = BatchScope(partition={"export_members": "not collected"})
            why = f"The export holds what this version does not collect: {', '.join(names)}."
            yield skip("conversations", Reason.EXPORT_NOT_WIRED, scope, why)

    def _handle(self, detail: Conversation) -> Iterator[Message]:
        key = _key(detail)
        if key is None:
            self._nameless += 1
            return
        flaw, with_messages = _flaw(detail), "messages" in self._streams
        if not self._times.is_newer_than(key, detail.fields.get("update_time")):
            yield from self._take(key, detail, flaw, with_messages=with_messages)
        elif with_messages:
            yield coverage(key, is_read=True)

    def _take(
        self, key: str, detail: Conversation, flaw: ShapeError | None, *, with_messages: bool
    ) -> Iterator[Message]:
        if detail.is_whole:
            yield from self._records(key, detail)
        else:
            yield listed(key, detail.fields, self._now)
        if with_messages and flaw is not None:
            yield gap(key, detail.fields, flaw)
        elif flaw is not None:
            yield skip("conversations", Reason.SHAPE_CHANGED, ResourceScope(resource_id=key), str(flaw))
        else:
            self._times.note(key, detail.fields.get("update_time"))
        if with_messages:
            yield coverage(key, is_read=flaw is None)

    def _records(self, key: str, detail: Conversation) -> Iterator[Message]:
        yield from (record for record in whole(key, {}, detail, self._now) if record.stream in self._streams)

    def _state(self, fingerprint: str, position: int, *, through: bool) -> State:
        archive = {"fingerprint": fingerprint, "position": position, "through": through}
        archive |= {"nameless": self._nameless} if self._nameless else {}
        cursor = {**self._cursor, "archive": archive, "export_times": self._times.as_text()}
        return State(stream="conversations", cursor=cursor)


_NOT_THERE = UpstreamError("the export does not hold this conversation")


def _account(archive: Export) -> Iterator[Message]:
    told = account_of(archive)
    if (user := text(told.get("id"))) is not None:
        yield SourceAccount(identity=user, label=text(told.get("email")))


def _members(archive: Export) -> list[str]:
    return sorted(name for name in archive.names() if CONVERSATIONS_MEMBER.fullmatch(name))


def _conversations(archive: Export) -> Iterator[bytes]:
    for name in _members(archive):
        with archive.open(name) as member:
            yield from elements(member)


def _key(detail: Conversation) -> str | None:
    return identity(detail.fields.get("id")) or identity(detail.fields.get("conversation_id"))


def _flaw(detail: Conversation) -> ShapeError | None:
    if not detail.is_whole:
        return ShapeError("the export's conversation has no mapping")
    flaw = flaw_of({}, detail)
    return flaw if isinstance(flaw, ShapeError) else None
