"""The prompts that were typed: the tool's own history, which outlives the sessions."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from connectors.claude_code.cursor import Cursor, TranscriptProgress
from connectors.claude_code.home import HomeFile
from connectors.claude_code.records import RecordFactory
from connectors.claude_code.repeats import Good
from connectors.claude_code.shapes import Obj, iso_time
from connectors.claude_code.stream_counts import StreamCounts, describe_os_error
from connectors.claude_code.transcript import Broken, Pass, is_left, join_broken, open_file, reading_power
from pdpp_worker.connector import Message, Reason, State

PROMPTS = "prompts"
_NS_PER_MS = 1_000_000
_DIGEST_BYTES = 10
_FIELDS = (("display", "text"), ("project", "project"), ("sessionId", "session_id"))
_MS_RANGE = (0, 253_402_300_800_000)


def prompt_row(good: Good) -> Obj:
    """A line of the history; it is known by its bytes."""
    rest = dict(good.line)
    row: Obj = {"id": blake2b(good.raw.strip(), digest_size=_DIGEST_BYTES).hexdigest()}
    for name, field in _FIELDS:
        if isinstance(rest.get(name), str):
            row[field] = rest.pop(name)
    ms = rest.get("timestamp")
    if isinstance(ms, int) and not isinstance(ms, bool) and _MS_RANGE[0] <= ms < _MS_RANGE[1]:
        row["timestamp"] = iso_time(rest.pop("timestamp"))
    if isinstance(rest.get("pastedContents"), dict):
        row["pasted"] = rest.pop("pastedContents")
    return row | {"extra": rest} if rest else row


class HistoryWalk:
    """Reads what is new in the history, and goes on where it stopped."""

    def __init__(self, factory: RecordFactory, found: HomeFile, committed: Any) -> None:
        self._factory = factory
        self._found = found
        self._cursor = Cursor.load(committed, [PROMPTS], reading_power(), [])
        self._counts = StreamCounts(PROMPTS, files=1)

    def run(self) -> Iterator[Message]:
        """Every message of the walk; a STATE now and then, and one at the end."""
        name, mtime_ms, now_ms = self._found.name, self._found.mtime_ns // _NS_PER_MS, self._factory.now_ms
        entry = TranscriptProgress.decode(self._cursor.files.get(name), None)
        is_read = entry is not None and (entry.size, entry.mtime_ms) == (self._found.size, mtime_ms)
        if not is_read or (entry is not None and entry.is_unfinished and is_left(mtime_ms, now_ms)):
            try:
                with open_file(self._found.path) as file:
                    yield from self._read(Pass(file, entry, now_ms))
            except OSError as error:
                reason = Reason.SOURCE_PARTITION_FAILED
                yield self._counts.gap(PROMPTS, name, reason, describe_os_error(error), {"history": name})
        yield from self._checkpoint()

    def _read(self, reading: Pass) -> Iterator[Message]:
        name, broken_now = self._found.name, set[int]()
        named = set() if reading.is_rebuild else self._cursor.broken_in(name)
        for item in join_broken(reading):
            if isinstance(item, Broken):
                broken_now.add(item.offset)
                if item.offset not in named:
                    yield self._broken(item)
                continue
            yield self._factory.record(PROMPTS, prompt_row(item))
            if self._counts.count(len(item.raw)):
                self._cursor.files[name] = reading.mark().encode("")
                self._cursor.note_broken(name, self._cursor.broken_in(name) | broken_now)
                yield from self._checkpoint()
        if reading.is_torn:
            return
        self._cursor.files[name] = reading.entry.encode("")
        before = self._cursor.broken_in(name)
        whole = {place for place in before - broken_now if place >= reading.begin}
        for place in sorted(whole):
            self._counts.read(PROMPTS, f"{name}@{place}")
        self._counts.read(PROMPTS, name)
        self._cursor.note_broken(name, (before | broken_now) - whole)

    def _broken(self, broken: Broken) -> Message:
        self._counts.count(broken.end - broken.offset)
        name = self._found.name
        locator = {"history": name, "offset": broken.offset, "end": broken.end}
        error = f"{broken.lines} lines from byte {broken.offset}: {broken.why}"
        return self._counts.gap(PROMPTS, f"{name}@{broken.offset}", Reason.PARSE_FAILED, error, locator)

    def _checkpoint(self) -> Iterator[Message]:
        yield from self._counts.coverage()
        yield State(stream=PROMPTS, cursor=self._cursor.dump([PROMPTS]))
