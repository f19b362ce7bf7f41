"""The official export: the zip that the platform mails to its owner, read without any network.

It gives the same records under the same keys as the network does. The position in it is the number of conversations
that were read; it holds for the very same file only. Records that an export no longer contains are not deleted: it may
be an old one. So a conversation that an earlier export held in a newer version is passed over.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from connectors.chatgpt.details import flaw_of
from connectors.chatgpt.export_file import Export, account_of, fingerprint_of, open_export
from connectors.chatgpt.export_items import ROWS, import_items
from connectors.chatgpt.export_members import CONVERSATIONS_MEMBER, file_id, members
from connectors.chatgpt.export_times import ExportTimes, OnlineVersions
from connectors.chatgpt.fields import identity, millis
from connectors.chatgpt.gaps import NAMELESS, TREES, by_conversation, closed
from connectors.chatgpt.jsonbytes import BrokenJsonError
from connectors.chatgpt.jsonstream import elements
from connectors.chatgpt.kept_files import KeptFiles
from connectors.chatgpt.reports import children_in, coverage, gap, keys_of, listed, whole
from connectors.chatgpt.tree import Conversation
from pdpp_worker.connector import (
    WHOLE_STREAM,
    BatchScope,
    Context,
    DetailGapRecovered,
    GapToClose,
    Message,
    ProviderError,
    Reason,
    ResourceScope,
    ShapeError,
    Start,
    State,
    StorageFull,
    UpstreamError,
    account_named,
    closed_as_absent,
    inventory_of,
    skip,
    still_missing,
)
from pdpp_worker.connector.json_fields import table, text

SUPPLIED = (*TREES, *ROWS)
STATE_CHARS = 2048
"""A cursor that is longer is saved the more seldom: about so much is written for each conversation."""
_UNREADABLE = (OSError, zipfile.BadZipFile)


def import_archive(start: Start, context: Context, wanted: list[str]) -> Iterator[Message]:
    """Read the conversations of the export, from where the last run stopped."""
    for stream in wanted:
        if stream not in SUPPLIED and not start.recovery_only:
            yield skip(stream, Reason.EXPORT_NOT_WIRED, WHOLE_STREAM, "An export does not hold this.")
    importer = _Importer(start, context, wanted)
    place = Path(str(context.settings["archive"]))
    try:
        yield from importer.messages(place)
    except BrokenJsonError as error:
        yield from importer.stopped(Reason.PARSE_FAILED, f"The export's conversations are not whole JSON: {error}.")
    except _UNREADABLE as error:
        why = f"The export {place.name} cannot be read ({type(error).__name__}); check its path, or download it again."
        yield from importer.stopped(Reason.SOURCE_PARTITION_FAILED, why)


class _Importer:
    def __init__(self, start: Start, context: Context, wanted: list[str]) -> None:
        self._start = start
        self._now = context.now
        self._streams = [stream for stream in wanted if stream in SUPPLIED]
        self._children = children_in(self._streams)
        self._cursor = table(start.cursor("conversations"))
        self._kept = KeptFiles(context.stored)
        self._full: StorageFull | None = None
        """Why a file of the conversation that was told last is not kept."""
        self._keeps = context.settings.get("keep_files") is not False
        self._file_members: dict[str, str] = {}
        self._times = ExportTimes(self._cursor.get("export_times"))
        flags = ["hydrated", *(["files"] if "files" in wanted else [])]
        self._online = OnlineVersions(self._cursor, *flags)
        self._nameless = 0
        """Conversations without an id of their own."""
        self._met: dict[str, tuple[int | None, bytes]] = {}
        """Conversation to its time and the digest of its content, as it was met in this slice."""

    def messages(self, path: Path) -> Iterator[Message]:
        with open_export(path) as archive:
            if not any(_members(archive)):
                yield from self.stopped(Reason.SOURCE_PARTITION_FAILED, "The export holds no conversations.json.")
                return
            yield from _account(archive)
            if "files" in self._streams and self._keeps:
                self._file_members = {key: name for name in archive.names() if (key := file_id(name)) is not None}
            yield from self._recover(archive)
            if self._start.recovery_only:
                return
            fingerprint = fingerprint_of(archive, self._streams)
            if "conversations" in self._streams:
                yield from self._import(archive, fingerprint)
            for stream in filter(ROWS.__contains__, self._streams):
                cursor = table(self._start.cursor(stream))
                yield from import_items(stream, archive, cursor, fingerprint, self._now)
            yield self._inventory(archive)

    def stopped(self, reason: Reason, why: str) -> Iterator[Message]:
        for stream in self._streams:
            yield skip(stream, reason, WHOLE_STREAM, why)

    def _recover(self, archive: Export) -> Iterator[Message]:
        """Look through the export once for all conversations that are known to be missing."""
        # Earlier versions said by a gap what the inventory says now.
        yield from (_no_longer(one) for one in self._start.detail_gaps if one.scope == _MEMBERS_SCOPE)
        missing = by_conversation(self._start.detail_gaps)
        for key in [key for key in missing if identity(key) is None]:
            # Earlier versions named items without an id by their number; these are said of the export as a whole now.
            yield from (closed_as_absent(known) for known in missing.pop(key))
        for raw in _conversations(archive) if missing else ():
            detail = Conversation(raw)
            gaps = missing.pop(_key(detail) or "", None)
            if gaps is not None:
                yield from self._retry(archive, gaps, detail)
            if not missing:
                return
        for known in (one for gaps in missing.values() for one in gaps):
            yield still_missing(_NOT_THERE, known)

    def _retry(self, archive: Export, gaps: list[GapToClose], detail: Conversation) -> Iterator[Message]:
        key, flaw = _key(detail) or "", _flaw(detail)
        if detail.is_whole:
            yield from self._records(archive, key, detail)
        failure, streams = self._failure(flaw)
        missing = [known for known in gaps if flaw is not None or known.stream in streams]
        yield from (still_missing(failure, known) for known in missing if failure is not None)
        yield from closed(key, [known for known in gaps if known not in missing], keys_of(key, detail))

    def _failure(self, flaw: ProviderError | None) -> tuple[ProviderError | None, Sequence[str]]:
        """Why something of a conversation is missing, and of which streams that hang on it."""
        if flaw is None and self._full is not None:
            return self._full, ["files"]
        return flaw, self._children if flaw is not None else ()

    def _import(self, archive: Export, fingerprint: str) -> Iterator[Message]:
        saved = table(self._cursor.get("archive"))
        saved = saved if saved.get("fingerprint") == fingerprint else {}
        begin, self._nameless = saved.get("position", 0), saved.get("nameless", 0)
        index = saved_at = begin
        for index, raw in enumerate(_conversations(archive) if not saved.get("through") else (), start=1):
            if index <= begin:
                continue
            yield from self._handle(archive, raw)
            if (index - saved_at) * STATE_CHARS >= self._times.chars:
                yield self._state(fingerprint, saved_at := index, through=False)
        if not saved.get("through"):
            yield self._state(fingerprint, max(index, begin), through=True)
        if self._nameless:
            why = f"{self._nameless} conversations of the export have no usable id, or that of another one."
            yield skip("conversations", Reason.SHAPE_CHANGED, BatchScope(partition=dict(NAMELESS)), why)

    def _inventory(self, archive: Export) -> Message:
        return inventory_of("export", members(archive.names(), archive.size, self._kept))

    def _handle(self, archive: Export, raw: bytes) -> Iterator[Message]:
        detail = Conversation(raw)
        key = _key(detail)
        if key is None or (detail.is_whole and self._is_another(key, detail, raw)):
            self._nameless += 1
            return
        with_messages = "messages" in self._streams
        if not self._is_older(key, detail.fields.get("update_time")):
            yield from self._take(archive, key, detail, with_messages=with_messages)
        elif with_messages:
            yield from coverage(key, self._children, is_read=True)

    def _is_another(self, key: str, detail: Conversation, raw: bytes) -> bool:
        """Whether the export holds another conversation with this id, of the same time and with other content."""
        told = millis(detail.fields.get("update_time")), blake2b(raw, digest_size=16).digest()
        met = self._met.get(key, told)
        if met[0] == told[0] and met != told:
            return True
        self._met[key] = told
        return False

    def _is_older(self, key: str, update_time: Any) -> bool:
        """Whether a newer version is held, from an export before or from the network."""
        return self._times.is_newer_than(key, update_time) or self._online.holds_as_new(key, update_time)

    def _take(self, archive: Export, key: str, detail: Conversation, *, with_messages: bool) -> Iterator[Message]:
        flaw = _flaw(detail)
        if detail.is_whole:
            yield from self._records(archive, key, detail)
        else:
            yield listed(key, detail.fields, self._now)
        failure, missing = self._failure(flaw)
        if flaw is not None and not with_messages:
            yield skip("conversations", Reason.SHAPE_CHANGED, ResourceScope(resource_id=key), str(flaw))
        elif failure is not None:
            yield from gap(key, detail.fields, failure, missing)
        if flaw is None:
            self._times.note(key, detail.fields.get("update_time"))
        if with_messages:
            for stream in self._children:
                yield from coverage(key, [stream], is_read=stream not in missing)

    def _records(self, archive: Export, key: str, detail: Conversation) -> Iterator[Message]:
        self._full = None
        held = partial(self._held, archive) if "files" in self._streams else None
        yield from (one for one in whole(key, {}, detail, self._now, held) if one.stream in self._streams)

    def _held(self, archive: Export, file: str) -> dict[str, Any]:
        """The bytes of a file, copied where the export holds them."""
        name = self._file_members.get(file)
        if name is not None and file not in self._kept:
            try:
                with archive.open(name) as source:
                    self._kept.keep(file, source)
            except StorageFull as error:
                self._full = error
        return self._kept.fields(file)

    def _state(self, fingerprint: str, position: int, *, through: bool) -> State:
        archive = {"fingerprint": fingerprint, "position": position, "through": through}
        archive |= {"nameless": self._nameless} if self._nameless else {}
        cursor = {**self._cursor, "archive": archive, "export_times": self._times.as_text()}
        return State(stream="conversations", cursor=cursor)


_NOT_THERE = UpstreamError("the export does not hold this conversation")


_MEMBERS_SCOPE = BatchScope(partition={"export_members": "not collected"})


def _no_longer(known: GapToClose) -> DetailGapRecovered:
    return DetailGapRecovered(gap_id=known.gap_id, stream=known.stream, record_key=known.stream, absent=True)


def _account(archive: Export) -> Iterator[Message]:
    told = account_of(archive)
    if (user := text(told.get("id"))) is not None:
        yield account_named(user, text(told.get("email")))


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
    return ShapeError(str(flaw)) if flaw is not None else None
