"""Makes a record of a line of a transcript; nothing of the line is lost.

A record's own fields are lifted out of the line; everything else stays under `extra`, under `message` (the message
without its content) and under `attachment` (the attachment without its content). A value of an unexpected type is not
lifted. No text is held twice: the text of a message's sole text part is its `content`, and left out of its `parts`.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from pdpp_worker.connector.json_fields import iso_utc

Obj = dict[str, Any]

MESSAGE_TYPES = frozenset({"user", "assistant"})
_LIFTED = (
    ("uuid", "uuid", str),
    ("parentUuid", "parent_uuid", str),
    ("isSidechain", "is_sidechain", bool),
    ("userType", "user_type", str),
    ("agentId", "agent_id", str),
)
_ATTACHED = (("hookName", "hook_name"), ("toolUseID", "tool_use_id"), ("content", "content"))
_EXACT_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_EXACT_MINUTE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:", re.ASCII)
_EXACT_CHARS = len("2026-01-01T00:00:00.000Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_MS_RANGE = (-62_135_596_800_000, 253_402_300_800_000)
"""The years 1 to 9999 in UTC."""
_ID_CHARS = 900
_DIGEST_BYTES = 16
_LINE_DIGEST_BYTES = 10


class OldKeys(StrEnum):
    """The keys of an earlier version under which lines are held; the value marks them in the cursor."""

    NONE = ""
    OF_PLACES = "*"
    OF_CONTENTS = "+"
    OF_EITHER = "!"


@dataclass(slots=True)
class LineOrigin:
    """The origin of a line."""

    file: str
    """Name of the transcript."""
    session: str
    """The session of lines that name none."""
    is_forced: bool
    """Whether the path overrules what the lines say: so it is in a session's directory."""
    prefix: str = field(init=False)
    """First part of its lines' keys: a project that is moved keeps them."""

    def __post_init__(self) -> None:
        self.prefix = self.file.partition("/")[2].removesuffix(".jsonl")

    def session_of(self, line: Obj) -> str:
        """The session that a line belongs to."""
        named = line.get("sessionId")
        return named if isinstance(named, str) and named and not self.is_forced else self.session


def milliseconds(value: Any) -> int | None:
    """An ISO 8601 time with its zone as ms since 1970; None when it is none."""
    return _moment(value)[0] if isinstance(value, str) else None


def utc(value: Any) -> str | None:
    """An ISO 8601 time with its zone in UTC with milliseconds; None when it is none."""
    return _moment(value)[1] if isinstance(value, str) else None


@lru_cache(maxsize=8)  # the session's sum and the records ask for the same line's time
def _moment(text: str) -> tuple[int, str] | tuple[None, None]:
    if len(text) == _EXACT_CHARS and text[19] == "." and text[23] == "Z":
        begun, rest = _minute(text[:17]), text[17:19] + text[20:23]
        if begun is not None and rest.isdigit() and rest.isascii() and rest < "60000":
            return begun + int(rest), text
    return _any_moment(text)


@lru_cache(maxsize=64)  # lines stand in the order of their times
def _minute(begin: str) -> int | None:
    """The beginning of a time, up to its seconds, as ms since 1970."""
    return _any_moment(f"{begin}00Z")[0] if _EXACT_MINUTE.fullmatch(begin) else None


def _any_moment(text: str) -> tuple[int, str] | tuple[None, None]:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None, None
    if parsed.tzinfo is None:
        return None, None
    ms = (parsed - _EPOCH) // _MS
    if not _MS_RANGE[0] <= ms < _MS_RANGE[1]:
        return None, None
    return ms, text if _EXACT_TIME.fullmatch(text) else iso_utc(_EPOCH + ms * _MS)


def iso_time(ms: int | None) -> str | None:
    """Ms since 1970 as ISO 8601 UTC with milliseconds."""
    return None if ms is None else iso_utc(_EPOCH + ms * _MS)


def is_message(line: Obj) -> bool:
    """Whether a line is a turn of the conversation."""
    kind = line.get("type")
    return type(kind) is str and kind in MESSAGE_TYPES


def message_record(line: Obj, origin: LineOrigin, raw: bytes, mark: str = "") -> Obj:
    """A `user` or `assistant` line."""
    record, rest = _common(line, origin, raw, mark)
    record["role"] = rest.pop("type")
    if isinstance(rest.get("message"), dict):
        _speak(record, rest.pop("message"))
    return _with_rest(record, rest)


def attachment_record(line: Obj, origin: LineOrigin, raw: bytes, mark: str = "") -> Obj:
    """A line of any other type, known or not; `event_type` is its type."""
    record, rest = _common(line, origin, raw, mark)
    record["event_type"] = rest.pop("type") if isinstance(rest.get("type"), str) else "untyped"
    holder = rest
    if isinstance(rest.get("attachment"), dict):
        holder = record["attachment"] = dict(rest.pop("attachment"))
    for name, own in _ATTACHED:
        if isinstance(holder.get(name), str):
            record[own] = holder.pop(name)
    return _with_rest(record, rest)


def result_record(identity: str, name: str, session: str, content: bytes, mtime_ms: int) -> Obj:
    """A file of tool output: its text, or base64 where it is not UTF-8."""
    record: Obj = {
        "id": record_id(identity),
        "session_id": session,
        "file": name,
        "event_type": "tool_result_file",
        "timestamp": iso_time(mtime_ms),
        "content_bytes": len(content),
    }
    try:
        record["content"] = content.decode()
    except UnicodeDecodeError:
        record["content_base64"] = b64encode(content).decode()
    return record


def record_id(text: str) -> str:
    """A text as a key; one that is too long for an index stands as its digest."""
    if len(text) <= _ID_CHARS and text.isascii():
        return text
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()


def _common(line: Obj, origin: LineOrigin, raw: bytes, mark: str) -> tuple[Obj, Obj]:
    rest = line.copy()
    session = origin.session_of(line)
    if rest.get("sessionId") == session:
        del rest["sessionId"]
    record: Obj = {"session_id": session, "file": origin.file}
    for name, own, kind in _LIFTED:
        if name in line and type(line[name]) is kind:
            record[own] = rest.pop(name)
    stamp = line.get("timestamp")
    if (when := utc(stamp)) is not None:
        record["timestamp"] = when
        if when == stamp:
            del rest["timestamp"]
    record["id"] = _line_id(record.get("uuid"), origin, raw, mark)
    return record, rest


def old_line_ids(line: Obj, origin: LineOrigin, offset: int, raw: bytes, mark: str, old: OldKeys) -> set[str]:
    """The keys that earlier versions gave to a line: with the project, and at first, without a uuid, with its place."""
    before = origin.file.removesuffix(".jsonl")
    uuid = line.get("uuid")
    if isinstance(uuid, str) and uuid:
        return {record_id(f"{before}#{uuid}{mark}")}
    place = f"{offset}-{blake2b(raw.rstrip(), digest_size=4).hexdigest()}"
    owns = {OldKeys.OF_PLACES: (place,), OldKeys.OF_CONTENTS: (_content_mark(raw),)}.get(
        old, (place, _content_mark(raw))
    )
    return {record_id(f"{before}#{own}") for own in owns}


def _line_id(uuid: str | None, origin: LineOrigin, raw: bytes, mark: str) -> str:
    """One uuid may stand in several files after a resume or a fork, so the file is part of the key.

    A line without a uuid is known by its bytes: a rewritten file neither replaces one line by another nor doubles it.
    """
    own = f"{uuid}{mark}" if uuid else _content_mark(raw)
    return record_id(f"{origin.prefix}#{own}")


def _content_mark(raw: bytes) -> str:
    return blake2b(raw.strip(), digest_size=_LINE_DIGEST_BYTES).hexdigest()


def _speak(record: Obj, body: Obj) -> None:
    """Put a message's text, its parts and the rest of it into a record."""
    content = body.get("content")
    if not isinstance(content, str | list):
        record["message"] = body
        return
    record["message"] = without = body.copy()
    del without["content"]
    if isinstance(content, str):
        record["content"] = content
        return
    spoken = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
    text = record["content"] = "\n".join([part["text"] for part in spoken if isinstance(part.get("text"), str)])
    record["parts"] = [_without_text(spoken[0], part) for part in content] if text and len(spoken) == 1 else content


def _without_text(only: Obj, part: Any) -> Any:
    """A part of a message, without its text where it is the only one that is a text; of several each keeps its own."""
    if part is not only:
        return part
    bare = only.copy()
    del bare["text"]
    return bare


def _with_rest(record: Obj, rest: Obj) -> Obj:
    if rest:
        record["extra"] = rest
    return record
