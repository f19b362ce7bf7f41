"""The forward walk: every transcript and tool result that is new or has changed, in the order of their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from connectors.claude_code import results
from connectors.claude_code.cursor import GROUP_CHARS, Cursor, TranscriptProgress, file_key, group_key
from connectors.claude_code.lines import MAX_LINE_BYTES
from connectors.claude_code.records import ATTACHMENTS, SESSIONS, RecordFactory, TooLargeError, origin_of
from connectors.claude_code.repeats import Good
from connectors.claude_code.sessions import Sessions
from connectors.claude_code.shapes import LineOrigin
from connectors.claude_code.stream_counts import StreamCounts, describe_os_error
from connectors.claude_code.transcript import Broken, Pass, is_left, join_broken, open_file, reading_power
from connectors.claude_code.tree import Found, Tree, locate
from connectors.claude_code.usage import Answers
from pdpp_worker.connector import DetailGap, Message, Progress, Reason, State


class TranscriptWalk:
    """One walk over a tree, from a cursor."""

    def __init__(self, factory: RecordFactory, tree: Tree, committed: Any, rejected: Iterable[str] = ()) -> None:
        """`rejected`: sessions whose records are sent again."""
        self._factory = factory
        self._tree = tree
        found = [*tree.transcripts, *(files[0] for files in tree.results.values())]
        self._cursor = Cursor.load(committed, factory.wanted, reading_power(), found)
        self._answers = Answers()
        self._sessions = Sessions()
        self._counts = StreamCounts(SESSIONS, files=len(tree.transcripts))
        self._entries = self._take_over()
        for session in rejected:
            self._sessions.touch(session)
        self._open: tuple[Found, Pass] | None = None
        self._broken_now: set[int] = set()
        self._walked = 0
        self._unfinished = 0

    @property
    def unread_bytes(self) -> int:
        """The bytes that the walk will read, about."""
        transcripts = sum(found.size - self._read_before(found) for found in self._tree.transcripts)
        results = (files for files in self._tree.results.values() if group_key(files[0]) not in self._cursor.results)
        return transcripts + sum(found.size for files in results for found in files)

    def _read_before(self, found: Found) -> int:
        entry = self._entries.get(file_key(found))
        if entry is None:
            return 0
        return found.size if entry.covers(found) else min(entry.position, found.size)

    def run(self) -> Iterator[Message]:
        """Every message of the walk; a STATE now and then, and one at the end."""
        yield from self._unlisted()
        for found in self._tree.transcripts:
            yield from self._transcript(found)
            self._walked += 1
            yield from self._checkpoint_if_due()
        if ATTACHMENTS in self._factory.wanted:
            for group in self._tree.results.values():
                yield from self._results(group)
        yield from self._checkpoint()

    def _take_over(self) -> dict[str, TranscriptProgress]:
        """Entries of files that are there, and of vanished ones whose sessions live on; others are dropped.

        A tool that cleans up after itself takes nothing from a session that goes on. After a directory could not be
        listed nothing is dropped: its files may only be out of sight.
        """
        owners = {group_key(found): found.session for found in self._tree.transcripts}
        present = {file_key(found) for found in self._tree.transcripts}
        decoded = {
            key: TranscriptProgress.decode(text, owners.get(key[:GROUP_CHARS]))
            for key, text in self._cursor.files.items()
        }
        entries = {key: entry for key, entry in decoded.items() if entry is not None}
        living = {session for key, entry in entries.items() if key in present for session in entry.shares}
        living.update(owners.values())
        kept = {key for key, entry in entries.items() if key in present or living.intersection(entry.shares)}
        for key in kept:
            self._sessions.hold(key, entries[key].shares)
        if not self._tree.unlisted:
            self._cursor.files = {key: text for key, text in self._cursor.files.items() if key in kept}
            self._cursor.broken = {key: text for key, text in self._cursor.broken.items() if key in kept}
            groups = {group_key(files[0]) for files in self._tree.results.values()}
            self._cursor.results = {key: text for key, text in self._cursor.results.items() if key in groups}
        return {key: entries[key] for key in kept & present}

    def _unlisted(self) -> Iterator[Message]:
        stream = self._factory.detail_stream
        for name in self._cursor.unlisted:
            if name not in self._tree.unlisted:
                self._counts.read(stream, name)
        self._cursor.unlisted = dict.fromkeys(self._tree.unlisted, 1)
        for name, error in self._tree.unlisted.items():
            reason = Reason.SOURCE_PARTITION_FAILED
            yield self._counts.gap(stream, name, reason, describe_os_error(error), {"directory": name})

    def _transcript(self, found: Found) -> Iterator[Message]:
        entry, now_ms = self._entries.get(file_key(found)), self._factory.now_ms
        if entry is not None and entry.covers(found) and not (entry.is_unfinished and is_left(found.mtime_ms, now_ms)):
            return
        try:
            with open_file(locate(self._factory.root, found.name)) as file:
                yield from self._read(found, Pass(file, entry, now_ms), entry)
        except FileNotFoundError:
            return
        except OSError as error:
            yield self._unreadable(found, error)
        finally:
            self._open = None

    def _read(self, found: Found, reading: Pass, before: TranscriptProgress | None) -> Iterator[Message]:
        self._open, self._broken_now = (found, reading), set()
        key, origin = file_key(found), origin_of(found)
        named = set() if reading.is_rebuild else self._cursor.broken_in(key)
        if reading.is_rebuild and before is not None:
            self._sessions.forget(key, before.shares)
        for item in join_broken(reading):
            if isinstance(item, Good):
                self._fold(key, item, origin, reading)
                yield from self._factory.of_line(item, origin, reading.entry, self._answers)
                if self._counts.count(len(item.raw)):
                    yield from self._checkpoint()
                continue
            self._broken_now.add(item.offset)
            if item.offset not in named:
                yield self._broken(found, item)
        if reading.is_torn:
            self._note_position()
            return
        yield from self._factory.usage(self._answers)
        self._cursor.files[key] = reading.entry.encode(found.session)
        self._unfinished += reading.ends_unfinished
        self._counts.read(self._factory.detail_stream, found.name)
        self._close_broken(found, reading.begin)

    def _fold(self, key: str, good: Good, origin: LineOrigin, reading: Pass) -> None:
        shares = reading.entry.shares
        self._sessions.fold(key, shares, good, origin)
        if good.is_turn and not reading.titles.is_waiting:
            return
        title = reading.titles.of(good.line, reading.repeats.knows)
        if title is not None:
            self._sessions.name(key, shares, title, origin.session_of(good.line))

    def _close_broken(self, found: Found, begin: int) -> None:
        """Account for the places that are whole now; those before the first line that was read stay as they are."""
        key = file_key(found)
        before = self._cursor.broken_in(key)
        for place in sorted(before - self._broken_now):
            if place >= begin:
                self._counts.read(self._factory.detail_stream, _broken_key(found, place))
        self._cursor.note_broken(key, {place for place in before if place < begin} | self._broken_now)

    def _broken(self, found: Found, broken: Broken) -> DetailGap:
        self._counts.count(broken.end - broken.offset)
        locator = {"file": found.name, "offset": broken.offset, "end": broken.end, "lines": broken.lines}
        error = f"{broken.lines} lines from byte {broken.offset}: {broken.why}"
        key = _broken_key(found, broken.offset)
        return self._counts.gap(self._factory.detail_stream, key, Reason.PARSE_FAILED, error, locator)

    def _unreadable(self, found: Found, error: OSError) -> DetailGap:
        self._note_position()
        reason, why = Reason.SOURCE_PARTITION_FAILED, describe_os_error(error)
        return self._counts.gap(self._factory.detail_stream, found.name, reason, why, {"file": found.name})

    def _results(self, group: list[Found]) -> Iterator[Message]:
        key = group_key(group[0])
        for step in results.pending(group, self._cursor.results.get(key)):
            if step.has_old_key:
                yield self._factory.result_under_old_key(step.found)
            yield from self._result(step.found)
            if step.mark is not None:
                self._cursor.results[key] = step.mark
                yield from self._checkpoint_if_due()

    def _result(self, found: Found) -> Iterator[Message]:
        self._counts.count(found.size)
        locator = {"result": found.name}
        try:
            yield self._factory.result(found)
            self._counts.read(ATTACHMENTS, found.name)
        except FileNotFoundError:
            return
        except OSError as error:
            reason = Reason.SOURCE_PARTITION_FAILED
            yield self._counts.gap(ATTACHMENTS, found.name, reason, describe_os_error(error), locator)
        except TooLargeError:
            why = f"longer than {MAX_LINE_BYTES} bytes"
            yield self._counts.gap(ATTACHMENTS, found.name, Reason.PARSE_FAILED, why, locator)

    def _checkpoint_if_due(self) -> Iterator[Message]:
        if self._counts.is_due:
            yield from self._checkpoint()

    def _checkpoint(self) -> Iterator[Message]:
        self._note_position()
        yield from self._factory.usage(self._answers)
        for row, partial in self._sessions.take_changed():
            yield self._factory.record(SESSIONS, row, partial=partial)
        yield from self._counts.coverage()
        yield self._progress()
        yield State(stream=SESSIONS, cursor=self._cursor.dump(self._factory.wanted))

    def _note_position(self) -> None:
        """Bring the cursor up to the line that was taken in last."""
        if self._open is not None:
            found, reading = self._open
            key = file_key(found)
            self._cursor.files[key] = reading.mark().encode(found.session)
            self._cursor.note_broken(key, self._cursor.broken_in(key) | self._broken_now)

    def _progress(self) -> Progress:
        notes = (
            (self._unfinished, "transcripts end in an unfinished line, left for the next run"),
            (len(self._tree.others) + self._tree.links, "files of other kinds and links were left alone"),
        )
        message = "; ".join(f"{count} {text}" for count, text in notes if count)
        return Progress(stream=SESSIONS, message=message, count=self._walked, total=len(self._tree.transcripts))


def _broken_key(found: Found, place: int) -> str:
    return f"{found.name}@{place}"
