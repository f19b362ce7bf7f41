"""Files that are read whole when they change: notes, skills, slash commands, other texts, what is said of subagents."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectors.claude_code.file_names import agent_of
from connectors.claude_code.headers import header_fields
from connectors.claude_code.home import HomeTree
from connectors.claude_code.lines import MAX_LINE_BYTES, BrokenLine, parse
from connectors.claude_code.records import SUBAGENTS, RecordFactory, TooLargeError
from connectors.claude_code.shapes import Obj, record_id
from connectors.claude_code.stream_counts import StreamCounts, describe_os_error
from connectors.claude_code.subagents import meta_row
from connectors.claude_code.transcript import open_file
from connectors.claude_code.tree import Tree, encode_name, locate
from pdpp_worker.connector import Message, Reason, Record, State, is_crowded

MEMORY_NOTES, SKILLS, SLASH_COMMANDS = "memory_notes", "skills", "slash_commands"
DOCUMENTS = "documents"

_SESSION = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Document:
    """One file: its key, its path, and the fields that its path tells."""

    key: str
    path: Path
    fields: Obj
    size: int
    mtime_ns: int

    @property
    def mark(self) -> str:
        """A text that changes when the file changes."""
        return f"{self.size:x} {self.mtime_ns:x}"


@dataclass(slots=True)
class DocumentSet:
    """The documents of a stream, and the directories that could not be listed."""

    documents: list[Document] = field(default_factory=list)
    unlisted: dict[str, OSError] = field(default_factory=dict)


def notes_documents(root: Path, tree: Tree) -> DocumentSet:
    """The notes of all projects."""
    documents = DocumentSet(unlisted=dict(tree.unlisted))
    for found in tree.notes:
        project, _, note = found.name.split("/", 2)
        fields = {"project_path": project, "note_path": note, "path": found.name}
        path = locate(root, found.name)
        document = Document(f"{MEMORY_NOTES}:{project}/{note}", path, fields, found.size, found.mtime_ns)
        documents.documents.append(document)
    return documents


def subagents_documents(root: Path, tree: Tree) -> DocumentSet:
    """Descriptions of subagents beside their transcripts."""
    documents = DocumentSet(unlisted=dict(tree.unlisted))
    for found in tree.metas:
        fields = {"session_id": found.session, "agent_id": agent_of(found.name)}
        path = locate(root, found.name)
        documents.documents.append(Document(found.identity, path, fields, found.size, found.mtime_ns))
    return documents


def other_documents(root: Path, tree: Tree, home: HomeTree) -> DocumentSet:
    """Other files whose text is kept, of the projects and of the tool's own directory."""
    documents = DocumentSet(unlisted=tree.unlisted | home.unlisted)
    for kind, files in sorted(tree.texts.items()):
        for found in files:
            place = found.identity if found.is_inside_session else found.name
            fields = {"kind": kind, "path": found.name, "session_id": _session_in(place), "project_path": found.project}
            path = locate(root, found.name)
            document = Document(f"{DOCUMENTS}:projects/{place}", path, fields, found.size, found.mtime_ns)
            documents.documents.append(document)
    for kind, one in home.texts:
        fields = {"kind": kind, "path": one.name, "session_id": _session_in(one.name), "project_path": None}
        documents.documents.append(Document(f"{DOCUMENTS}:{one.name}", one.path, fields, one.size, one.mtime_ns))
    return documents


def _session_in(name: str) -> str | None:
    """The session that a file's name speaks of."""
    match = _SESSION.search(name)
    return match[0] if match else None


def skills_documents(home: Path) -> DocumentSet:
    """`skills/<name>/SKILL.md`; a skill's directory may be a link."""
    documents = DocumentSet()
    try:
        names = sorted(path.name for path in (home / "skills").iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return documents
    except OSError as error:
        documents.unlisted["skills"] = error
        return documents
    for name in names:
        _add(documents, home, home / "skills" / name / "SKILL.md", f"{SKILLS}:{encode_name(name)}")
    return documents


def commands_documents(home: Path) -> DocumentSet:
    """`commands/**/*.md`; links are not followed."""
    documents = DocumentSet()
    top = home / "commands"

    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            documents.unlisted[encode_name(str(Path(error.filename).relative_to(home)))] = error

    for directory, below, names in os.walk(top, onerror=failed):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            path = Path(directory, name)
            if name.endswith(".md") and not name.startswith("."):
                relative = encode_name(str(path.relative_to(top).with_suffix("")))
                _add(documents, home, path, f"commands:{relative}")
    return documents


def walk_documents(factory: RecordFactory, stream: str, documents: DocumentSet, committed: Any) -> Iterator[Message]:
    """The documents that are new or have changed, then the stream's STATE."""
    before = _part(committed, "files")
    marks: dict[str, str] = {}
    unlisted = dict.fromkeys(documents.unlisted, 1)
    counts = StreamCounts(stream, files=len(documents.documents))
    for name in _part(committed, "unlisted").keys() - unlisted.keys():
        counts.read(stream, name)
    for name, error in documents.unlisted.items():
        yield counts.gap(stream, name, Reason.SOURCE_PARTITION_FAILED, describe_os_error(error), {"directory": name})
    stale = {one.key for one in documents.documents if before.get(one.key, one.mark) != one.mark}
    if stale:
        # A run that is killed now has written what it read: a file that is then as it was before is to be read again.
        before = {key: mark for key, mark in before.items() if key not in stale}
        yield State(stream=stream, cursor={"files": before, "unlisted": unlisted})
    for document in documents.documents:
        if before.get(document.key) != document.mark:
            yield from _read(factory, stream, document, counts, marks)
        else:
            marks[document.key] = document.mark
        if counts.is_due:
            yield from counts.coverage()
            yield State(stream=stream, cursor={"files": before | marks, "unlisted": unlisted})
    yield from counts.coverage()
    yield State(stream=stream, cursor={"files": before | marks if unlisted else marks, "unlisted": unlisted})


def _part(committed: Any, name: str) -> dict[str, Any]:
    part = committed.get(name) if isinstance(committed, dict) else None
    return part if isinstance(part, dict) else {}


def document_record(factory: RecordFactory, stream: str, document: Document) -> Record:
    """The record of a document: its whole text, and the name and description of its header.

    Raises:
        OSError: the file cannot be read.
        TooLargeError: it is longer than this version reads.
        BrokenLine: it says something of a subagent, and is no JSON object.
    """
    with open_file(document.path) as file:
        content = file.read(MAX_LINE_BYTES + 1)
    if len(content) > MAX_LINE_BYTES:
        raise TooLargeError
    if stream == SUBAGENTS:
        if is_crowded(content):
            raise BrokenLine("more values than this version reads")
        row = meta_row(document.fields["session_id"], document.fields["agent_id"], parse(content))
        return factory.record(stream, row, partial=True)
    text = content.decode("utf-8", "surrogateescape")
    named = header_fields(text)
    record = {
        "id": record_id(document.key),
        **document.fields,
        "name": named.get("name"),
        "description": named.get("description"),
        "content": text,
        "mtime_epoch": document.mtime_ns // _NS_PER_S,
    }
    return factory.record(stream, record)


def _read(
    factory: RecordFactory, stream: str, document: Document, counts: StreamCounts, marks: dict[str, str]
) -> Iterator[Message]:
    locator = {"document": document.key}
    try:
        record = document_record(factory, stream, document)
    except FileNotFoundError:
        return
    except OSError as error:
        reason, why = Reason.SOURCE_PARTITION_FAILED, describe_os_error(error)
        yield counts.gap(stream, document.key, reason, why, locator)
        return
    except (TooLargeError, BrokenLine) as error:
        marks[document.key] = document.mark
        why = str(error) or f"longer than {MAX_LINE_BYTES} bytes"
        yield counts.gap(stream, document.key, Reason.PARSE_FAILED, why, locator)
        return
    yield record
    counts.count(document.size)
    counts.read(stream, document.key)
    if _is_as_listed(document):
        marks[document.key] = document.mark


def _is_as_listed(document: Document) -> bool:
    """Whether the file has not changed since it was listed; else the next walk reads it again."""
    try:
        stat = document.path.stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (document.size, document.mtime_ns)


def _add(documents: DocumentSet, home: Path, path: Path, key: str) -> None:
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        documents.unlisted[encode_name(str(path.parent.relative_to(home)))] = error
        return
    fields = {"path": encode_name(str(path.relative_to(home)))}
    documents.documents.append(Document(key, path, fields, stat.st_size, stat.st_mtime_ns))
