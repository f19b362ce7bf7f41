"""Known gaps, tried one by one by the address they name; nothing else is read.

A transcript, document or directory that could not be read is not in the cursor, so a forward walk reads it, with
checkpoints, and closes its gap by its account of the details; here it is read only in a run that does nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from connectors.claude_code.documents import DocumentSet, document_record
from connectors.claude_code.history import PROMPTS, prompt_row
from connectors.claude_code.home import HISTORY
from connectors.claude_code.lines import BrokenLine
from connectors.claude_code.records import ATTACHMENTS, MESSAGES, SESSIONS, RecordFactory, TooLargeError, origin_of
from connectors.claude_code.stream_counts import describe_os_error
from connectors.claude_code.transcript import Broken, open_file, read_stretch
from connectors.claude_code.tree import Found, find, locate, scan_below
from pdpp_worker.connector import DetailGap, DetailGapRecovered, GapToClose, Message, Reason, Record, ResourceScope

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Most bytes of one transcript that are read without a checkpoint; a longer one is left to the forward walk."""

_ADDRESSES = ("end", "result")
"""Locators of what a forward walk does not come by again."""


class _StillMissingError(Exception):
    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason = reason


class Recovery:
    """Tries gaps about transcripts, their lines, tool results and documents."""

    def __init__(self, factory: RecordFactory, documents_of: Callable[[str], DocumentSet]) -> None:
        self._factory = factory
        self._documents_of = documents_of

    def run(self, gaps: list[GapToClose], *, is_all: bool) -> Iterator[Message]:
        """Each gap: its records and the word that it is closed, or the gap again.

        `is_all` is False when a forward walk follows.
        """
        rejected: dict[str, dict[str, GapToClose]] = {}
        for gap in gaps:
            locator = gap.detail_locator or {}
            if not isinstance(gap.scope, ResourceScope) or gap.stream == SESSIONS:
                continue
            key = gap.scope.resource_id
            if gap.reason == Reason.RECORD_REJECTED:
                rejected.setdefault(gap.stream, {})[key] = gap
            elif is_all or any(kind in locator for kind in _ADDRESSES):
                yield from self._try(gap, key, locator)
        for stream, by_key in rejected.items():
            yield from self._rejected(stream, by_key)

    def _rejected(self, stream: str, gaps: dict[str, GapToClose]) -> Iterator[Message]:
        """The records that an earlier version's shape had no room for; their acceptance is the proof."""
        if stream not in (MESSAGES, ATTACHMENTS):
            for key in gaps:
                yield from self._readable(self._document(stream, key))
            return
        # An earlier version's gap names the record together with its project; under that key there will be nothing.
        older = {key.partition("/")[2]: (gap, key) for key, gap in gaps.items()}
        sources = [
            self._lines(f"{name}.jsonl") for name in sorted({key.partition("#")[0] for key in gaps if "#" in key})
        ]
        sources += [self._result(key) for key in sorted(gaps) if "#" not in key]
        for source in sources:
            for record in self._readable(source):
                if record.key in gaps or record.key in older:
                    yield record
                if record.key in older and record.key not in gaps:
                    gap, own = older[str(record.key)]
                    yield DetailGapRecovered(gap_id=gap.gap_id, stream=stream, record_key=own, absent=True)

    def _readable(self, records: Iterator[Record]) -> Iterator[Record]:
        """Records as far as their file can be read."""
        try:
            yield from records
        except (OSError, TooLargeError, BrokenLine):
            return

    def _result(self, name: str) -> Iterator[Record]:
        yield self._factory.result(self._found(name))

    def _try(self, gap: GapToClose, key: str, locator: dict[str, Any]) -> Iterator[Message]:
        proof: Record | None = None
        try:
            for record in self._records(gap.stream, locator):
                proof = record
                yield record
        except FileNotFoundError:
            if not self._is_source_there(locator):
                yield _again(gap, key, Reason.SOURCE_PARTITION_FAILED, "its project directory is not there")
                return
        except _StillMissingError as error:
            yield _again(gap, key, error.reason, str(error))
            return
        except (TooLargeError, BrokenLine) as error:
            yield _again(gap, key, Reason.PARSE_FAILED, str(error) or "longer than this version reads")
            return
        except OSError as error:
            yield _again(gap, key, Reason.SOURCE_PARTITION_FAILED, describe_os_error(error))
            return
        if proof is None:
            yield DetailGapRecovered(gap_id=gap.gap_id, stream=gap.stream, record_key=key, absent=True)
        else:
            yield DetailGapRecovered(gap_id=gap.gap_id, stream=proof.stream, record_key=str(proof.key))

    def _records(self, stream: str, locator: dict[str, Any]) -> Iterator[Record]:
        match locator:
            case {"history": str(), "offset": int(offset), "end": int(end)}:
                yield from self._history(offset, end)
            case {"history": str()}:
                raise _StillMissingError(Reason.SOURCE_PARTITION_FAILED, "the next walk reads it with checkpoints")
            case {"file": str(name), "offset": int(offset), "end": int(end)}:
                yield from self._stretch(self._found(name), offset, end)
            case {"file": str(name)}:
                yield from self._transcript(self._found(name))
            case {"result": str(name)}:
                yield self._factory.result(self._found(name))
            case {"document": str(key)}:
                yield from self._document(stream, key)
            case {"directory": str(name)}:
                yield from self._directory(stream, name)
            case _:
                raise _StillMissingError(Reason.PARSE_FAILED, "the gap names no address that this version knows")

    def _stretch(self, found: Found, offset: int, end: int) -> Iterator[Record]:
        broken: Broken | None = None
        with open_file(locate(self._factory.root, found.name)) as file:
            for item in read_stretch(file, offset, end):
                if isinstance(item, Broken):
                    broken = broken or item
                elif (record := self._factory.line(item, origin_of(found))) is not None:
                    yield record
        if broken is not None:
            raise _StillMissingError(Reason.PARSE_FAILED, broken.why)

    def _history(self, offset: int, end: int) -> Iterator[Record]:
        with open_file(self._factory.home / HISTORY) as file:
            for item in read_stretch(file, offset, end):
                if isinstance(item, Broken):
                    raise _StillMissingError(Reason.PARSE_FAILED, item.why)
                yield self._factory.record(PROMPTS, prompt_row(item))

    def _transcript(self, found: Found) -> Iterator[Record]:
        if found.size > MAX_FILE_BYTES:
            raise _StillMissingError(Reason.SOURCE_PARTITION_FAILED, "long; the next walk reads it with checkpoints")
        yield from self._lines(found.name)

    def _lines(self, name: str) -> Iterator[Record]:
        found = self._found(name)
        with open_file(locate(self._factory.root, found.name)) as file:
            for item in read_stretch(file, 0, found.size):
                # Its broken lines are for the walk to name: the file is not in the cursor.
                if isinstance(item, Broken):
                    continue
                if (record := self._factory.line(item, origin_of(found))) is not None:
                    yield record

    def _document(self, stream: str, key: str) -> Iterator[Record]:
        for document in self._documents_of(stream).documents:
            if document.key == key:
                yield document_record(self._factory, stream, document)

    def _directory(self, stream: str, name: str) -> Iterator[Record]:
        if stream not in self._factory.wanted:
            documents = self._documents_of(stream)
            if name in documents.unlisted:
                raise documents.unlisted[name]
            for document in documents.documents:
                if document.fields["path"].startswith(f"{name}/"):
                    yield document_record(self._factory, stream, document)
            return
        for found in scan_below(self._factory.root, name).transcripts:
            yield from self._transcript(found)

    def _found(self, name: str) -> Found:
        name = find(self._factory.root, name)
        stat = locate(self._factory.root, name).lstat()
        return Found(name, stat.st_size, stat.st_mtime_ns)

    def _is_source_there(self, locator: dict[str, Any]) -> bool:
        name = next((str(locator[kind]) for kind in ("file", "result", "directory") if kind in locator), "")
        return locate(self._factory.root, name.split("/", 1)[0]).is_dir()


def _again(gap: GapToClose, key: str, reason: Reason, why: str) -> DetailGap:
    return DetailGap(stream=gap.stream, record_key=key, reason=reason.value, last_error=why, gap_id=gap.gap_id)
