"""Scans the projects directory: everything is found, named and sorted, without reading a file.

    <project>/<session>.jsonl                     a transcript
    <project>/<session>/subagents/**/*.jsonl      transcripts of its subagents
    <project>/<session>/tool-results/**           full outputs of tools
    <project>/<session>/subagents/*.meta.json     what a subagent is, and the call that started it
    <project>/<session>/session-memory/**/*.md    what the tool noted of a session
    <project>/sessions-index.json                 the tool's own list of the project's sessions
    <project>/memory/**/*.md                      notes of the project

Names are relative to the projects directory and percent-encoded as in a URL, so that a name of any bytes is plain
ASCII and leads back to its file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from errno import EPERM
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from connectors.claude_code.file_names import agent_of

_SESSION_DIRECTORY = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-")
_RESULTS = "tool-results"
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """A file, as its directory tells of it."""

    name: str
    size: int
    mtime_ns: int
    is_copy: bool = False
    """Whether a project before it by name holds a file of the same identity."""

    @property
    def mtime_ms(self) -> int:
        """The time of its last change, ms since 1970."""
        return self.mtime_ns // _NS_PER_MS

    @property
    def project(self) -> str:
        """The project's directory."""
        return self.name.split("/", 1)[0]

    @property
    def identity(self) -> str:
        """The name without the project: a project's directory that is moved keeps its sessions."""
        return self.name.partition("/")[2] or self.name

    @property
    def session(self) -> str:
        """The session that the path speaks of: the session directory, or the file's own name."""
        parts = self.name.split("/")
        if self.is_inside_session:
            return parts[1]
        return parts[-1].rsplit(".", 1)[0]

    @property
    def is_inside_session(self) -> bool:
        """Whether the file lies in a session's directory."""
        parts = self.name.split("/")
        return len(parts) > 2 and _SESSION_DIRECTORY.match(parts[1]) is not None

    @property
    def is_main(self) -> bool:
        """Whether it is a session's own transcript."""
        return self.identity == f"{self.session}.jsonl"


@dataclass(slots=True)
class Tree:
    """Everything found, each list sorted by name."""

    transcripts: list[Found] = field(default_factory=list)
    results: dict[str, list[Found]] = field(default_factory=dict)
    """Tool results by their session."""
    notes: list[Found] = field(default_factory=list)
    unlisted: dict[str, OSError] = field(default_factory=dict)
    """Directories and files that could not be looked at."""
    projects: int = 0
    """Project directories, those that the settings leave out included."""
    kept: int = 0
    """Project directories that the settings keep."""
    metas: list[Found] = field(default_factory=list)
    """Descriptions of subagents."""
    texts: dict[str, list[Found]] = field(default_factory=dict)
    """Other files whose text is kept, by their kind."""
    others: list[Found] = field(default_factory=list)
    """Files of no known kind."""
    links: int = 0
    """Links that are not followed, and pipes."""
    hidden: int = 0
    """Files and directories whose name begins with a dot."""


def encode_name(path: str) -> str:
    """A relative path as a name."""
    return quote(os.fsencode(path.replace(os.sep, "/")))


def locate(root: Path, name: str) -> Path:
    """The file that a name stands for.

    Raises:
        PermissionError: the name leads out of the directory.
    """
    relative = Path(os.fsdecode(unquote_to_bytes(name)))
    if relative.is_absolute() or ".." in relative.parts:
        raise PermissionError(EPERM, "the name leads out of the directory")
    return root / relative


def find(root: Path, name: str) -> str:
    """The name under which a file is there now: its project may have been moved, or the name be its identity alone."""
    if locate(root, name).exists():
        return name
    try:
        with os.scandir(root) as entries:
            projects = sorted(encode_name(entry.name) for entry in entries if entry.is_dir())
    except OSError:
        return name
    identities = [name, *name.split("/", 1)[1:]]
    candidates = (f"{project}/{identity}" for identity in identities for project in projects)
    return next((one for one in candidates if locate(root, one).is_file()), name)


def scan(root: Path, keeps: Callable[[str], bool]) -> Tree:
    """Find everything in the projects whose directory name is kept.

    Raises:
        OSError: the directory itself cannot be listed.
    """
    tree = Tree()
    for entry in _projects(root, tree):
        tree.projects += 1
        if keeps(entry.name):
            tree.kept += 1
            _scan_directory(root, entry.name, tree)
    _sort(tree)
    return tree


def scan_below(root: Path, name: str) -> Tree:
    """Find everything below one directory.

    Raises:
        OSError: the directory cannot be listed.
    """
    tree = Tree()
    _scan_directory(root, str(locate(root, name).relative_to(root)), tree)
    if name in tree.unlisted:
        raise tree.unlisted[name]
    _sort(tree)
    return tree


def _projects(root: Path, tree: Tree) -> Iterator[os.DirEntry[str]]:
    """Project directories. A link to one that was moved elsewhere counts; one that leads back or nowhere does not."""
    inside = root.resolve()
    seen: set[Path] = set()
    with os.scandir(root) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    tree.hidden += sum(entry.name.startswith(".") for entry in found)
    for entry in (entry for entry in found if not entry.name.startswith(".")):
        if not entry.is_symlink():
            if entry.is_dir():
                yield entry
            else:
                _place(entry, entry.name, tree, [])
            continue
        target = Path(os.path.realpath(entry.path))
        is_elsewhere = not target.is_relative_to(inside) and not inside.is_relative_to(target)
        if is_elsewhere and target not in seen and os.path.isdir(target):  # noqa: PTH112 - it never raises
            seen.add(target)
            yield entry
        else:
            tree.links += 1


def _scan_directory(root: Path, top: str, tree: Tree) -> None:
    pending = [top]
    while pending:
        directory = pending.pop()
        try:
            with os.scandir(root / directory) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        tree.hidden += 1
                    else:
                        _place(entry, os.path.join(directory, entry.name), tree, pending)  # noqa: PTH118 - hot loop
        except FileNotFoundError:
            continue
        except OSError as error:
            tree.unlisted[encode_name(directory)] = error


def _place(entry: os.DirEntry[str], path: str, tree: Tree, pending: list[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        pending.append(path)
        return
    if not entry.is_file(follow_symlinks=False):
        tree.links += 1
        return
    try:
        stat = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    found = Found(encode_name(path), stat.st_size, stat.st_mtime_ns)
    _list_for(found, tree).append(found)


def _list_for(found: Found, tree: Tree) -> list[Found]:
    """The list that a file belongs to, by its place."""
    if found.identity == found.name:
        return tree.others
    _, *inside, last = found.name.split("/")
    if _RESULTS in inside[1:]:
        return tree.results.setdefault(found.session, [])
    if inside[:1] == ["memory"]:
        return tree.notes if last.endswith(".md") else tree.others
    if last.endswith(".jsonl"):
        return tree.transcripts
    if agent_of(last) is not None:
        return tree.metas
    if "session-memory" in inside and last.endswith(".md"):
        return tree.texts.setdefault("session_memory", [])
    if not inside and last == "sessions-index.json":
        return tree.texts.setdefault("sessions_index", [])
    return tree.others


def _sort(tree: Tree) -> None:
    tree.transcripts = list(_copies_marked(sorted(tree.transcripts, key=lambda found: found.name)))
    for files in (tree.notes, tree.metas, tree.others, *tree.texts.values()):
        files.sort(key=lambda found: found.name)
    tree.results = dict(sorted(tree.results.items()))
    tree.unlisted = dict(sorted(tree.unlisted.items()))


def _copies_marked(files: list[Found]) -> Iterator[Found]:
    seen: set[str] = set()
    for found in files:
        yield replace(found, is_copy=True) if found.identity in seen else found
        seen.add(found.identity)
