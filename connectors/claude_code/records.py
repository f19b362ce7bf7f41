"""Records of the streams that were asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connectors.claude_code.cursor import TranscriptProgress
from connectors.claude_code.lines import MAX_LINE_BYTES
from connectors.claude_code.repeats import Good
from connectors.claude_code.shapes import (
    LineOrigin,
    Obj,
    OldKeys,
    attachment_record,
    message_record,
    old_line_ids,
    record_id,
    result_record,
)
from connectors.claude_code.subagents import subagent_rows
from connectors.claude_code.transcript import open_file
from connectors.claude_code.tree import Found, locate
from connectors.claude_code.usage import Answers
from pdpp_worker.connector import Record

SESSIONS, MESSAGES, ATTACHMENTS = "sessions", "messages", "attachments"
USAGE, SUBAGENTS = "usage", "subagents"


class TooLargeError(Exception):
    """A file is longer than this version reads."""


@dataclass(frozen=True, slots=True)
class RecordFactory:
    """Makes the records of one slice."""

    root: Path
    """The directory of the projects."""
    home: Path
    """The tool's own directory."""
    wanted: frozenset[str]
    now: Callable[[], datetime]

    @property
    def detail_stream(self) -> str:
        """The stream that answers for a transcript that cannot be read."""
        return next((stream for stream in (MESSAGES, ATTACHMENTS) if stream in self.wanted), SESSIONS)

    @property
    def now_ms(self) -> int:
        """The time by now, ms since 1970."""
        return int(self.now().timestamp() * 1000)

    def record(self, stream: str, data: Obj, *, partial: bool = False) -> Record:
        """A record whose key is its id."""
        return Record(stream=stream, key=data["id"], data=data, emitted_at=self.now(), partial=partial)

    def of_line(self, good: Good, origin: LineOrigin, entry: TranscriptProgress, answers: Answers) -> list[Record]:
        """Everything that a line of a transcript brings."""
        line, record = good.line, self.line(good, origin)
        records = [] if record is None else [record]
        if good.offset < entry.old_end:
            records = self._line_under_old_keys(good, origin, entry.old_keys) + records
        if USAGE in self.wanted and (row := answers.add(line, origin)) is not None:
            records.append(self.record(USAGE, row))
        if ("toolUseResult" in line or "agentId" in line) and SUBAGENTS in self.wanted:
            records += [self.record(SUBAGENTS, row, partial=True) for row in subagent_rows(line, origin)]
        return records

    def usage(self, answers: Answers) -> list[Record]:
        """The rows of answers that are still being put together."""
        return [self.record(USAGE, row) for row in answers.take()]

    def line(self, good: Good, origin: LineOrigin) -> Record | None:
        """The record of a line, or None when its stream was not asked for."""
        stream, shape = (MESSAGES, message_record) if good.is_turn else (ATTACHMENTS, attachment_record)
        if stream not in self.wanted:
            return None
        return self.record(stream, shape(good.line, origin, good.raw, good.mark))

    def _line_under_old_keys(self, good: Good, origin: LineOrigin, old: OldKeys) -> list[Record]:
        """The deletions of a line under the keys that earlier versions gave it."""
        stream = MESSAGES if good.is_turn else ATTACHMENTS
        if stream not in self.wanted:
            return []
        keys = old_line_ids(good.line, origin, good.offset, good.raw, good.mark, old)
        return [self._gone(stream, key) for key in sorted(keys)]

    def result_under_old_key(self, found: Found) -> Record:
        """The deletion of a tool's output under the key that the version before gave it."""
        return self._gone(ATTACHMENTS, record_id(found.name))

    def _gone(self, stream: str, key: str) -> Record:
        return Record(stream=stream, key=key, data={"id": key}, emitted_at=self.now(), op="delete")

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
        return self.record(
            ATTACHMENTS, result_record(found.identity, found.name, found.session, content, found.mtime_ms)
        )


def origin_of(found: Found) -> LineOrigin:
    """The origin of the lines of a transcript."""
    return LineOrigin(found.name, found.session, found.is_inside_session)
