"""Records of the streams that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connectors.claude_code.lines import MAX_LINE_BYTES
from connectors.claude_code.repeats import Good
from connectors.claude_code.shapes import (
    LineOrigin,
    Obj,
    attachment_record,
    is_message,
    message_record,
    old_line_id,
    result_record,
)
from connectors.claude_code.transcript import open_file
from connectors.claude_code.tree import Found, locate
from pdpp_worker.connector import Record

SESSIONS, MESSAGES, ATTACHMENTS = "sessions", "messages", "attachments"


class TooLargeError(Exception):
    """A file is longer than this version reads."""


@dataclass(frozen=True, slots=True)
class RecordFactory:
    """Makes the records of one slice."""

    root: Path
    wanted: frozenset[str]
    now: Callable[[], datetime]

    @property
    def detail_stream(self) -> str:
        """The stream that answers for a transcript that cannot be read."""
        return next((stream for stream in (MESSAGES, ATTACHMENTS) if stream in self.wanted), SESSIONS)

    def record(self, stream: str, data: Obj, *, partial: bool = False) -> Record:
        """A record whose key is its id."""
        return Record(stream=stream, key=data["id"], data=data, emitted_at=self.now(), partial=partial)

    def line(self, good: Good, origin: LineOrigin) -> Record | None:
        """The record of a line, or None when its stream was not asked for."""
        stream, shape = (MESSAGES, message_record) if is_message(good.line) else (ATTACHMENTS, attachment_record)
        if stream not in self.wanted:
            return None
        return self.record(stream, shape(good.line, origin, good.raw, good.mark))

    def line_under_old_key(self, good: Good, origin: LineOrigin) -> Iterator[Record]:
        """The deletion of a line without a uuid under the key that the version before gave it."""
        stream = MESSAGES if is_message(good.line) else ATTACHMENTS
        if stream in self.wanted and not isinstance(good.line.get("uuid"), str):
            key = old_line_id(origin, good.offset, good.raw)
            yield Record(stream=stream, key=key, data={"id": key}, emitted_at=self.now(), op="delete")

    def result(self, found: Found) -> Record:
        """The record of a tool's output.

        Raises:
            OSError: the file cannot be read.
            TooLargeError: it is longer than this version reads.
        """
        with open_file(locate(self.root, found.name)) as file:
            content = file.read(MAX_LINE_BYTES + 1)
        if len(content) > MAX_LINE_BYTES:
            raise TooLargeError
        return self.record(ATTACHMENTS, result_record(found.name, found.session, content, found.mtime_ms))


def origin_of(found: Found) -> LineOrigin:
    """The origin of the lines of a transcript."""
    return LineOrigin(found.name, found.session, found.is_inside_session)
