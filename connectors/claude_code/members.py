"""The inventory: every kind of file in the two directories, where it goes, or why it does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from connectors.claude_code.home import DECLARED, ELSEWHERE, HIDDEN, HISTORY, PROJECTS, HomeTree
from connectors.claude_code.tree import Found, Tree
from pdpp_worker.connector import Inventory, SourceMember, inventory_of

_LINKS = "links and pipes are not followed, so that nothing is read twice"
_SKILL_FILES = "programs and materials beside a skill's SKILL.md are not collected"
_LEFT_OUT = "the settings `include` and `exclude` leave these projects out"
_OTHER_PROJECTS = "the setting `projects_dir` names another directory"


def projects_inventory(tree: Tree) -> Inventory:
    """The members of the projects directory."""
    found = {
        "<project>/**/*.jsonl": (["sessions", "messages", "attachments", "usage"], tree.transcripts),
        "<project>/<session>/subagents/*.meta.json": (["subagents"], tree.metas),
        "<project>/<session>/tool-results/**": (
            ["attachments"],
            [one for files in tree.results.values() for one in files],
        ),
        "<project>/memory/**/*.md": (["memory_notes"], tree.notes),
        "<project>/<session>/session-memory/**/*.md": (["documents"], tree.texts.get("session_memory", [])),
        "<project>/sessions-index.json": (["documents"], tree.texts.get("sessions_index", [])),
    }
    members = [
        SourceMember(
            kind="files", name=name, disposition="collected", streams=streams, count=len(files), bytes=_sum(files)
        )
        for name, (streams, files) in found.items()
        if files
    ]
    if tree.links:
        members.append(_declared("links", "links", tree.links, None, _LINKS))
    if tree.projects > tree.kept:
        members.append(_declared("directories", "projects left out", tree.projects - tree.kept, None, _LEFT_OUT))
    if tree.hidden:
        members.append(_declared("files", ".*", tree.hidden, None, HIDDEN))
    beside = [(one.name, one.size) for one in tree.others if one.identity == one.name]
    below = [(one.identity, one.size) for one in tree.others if one.identity != one.name]
    unknown = [*_unknown(beside, ["attachments"], ""), *_unknown(below, ["attachments"], "<project>/")]
    return inventory_of("projects", [*members, *unknown])


def home_inventory(tree: HomeTree, *, is_projects_elsewhere: bool) -> Inventory:
    """The members of the tool's own directory, without those of the projects."""
    members = [
        _collected(f"{top}/**" if any("/" in name for name, _ in files) else top, "documents", files)
        for top, files in _by_top((found.top, found.name, found.size) for _, found in tree.texts)
    ]
    for top, files in _by_top((found.top, found.name, found.size) for found in tree.elsewhere):
        members.append(_collected(f"{top}/**/*{ELSEWHERE[top][1]}", ELSEWHERE[top][0], files))
    if tree.history is not None:
        members.append(_collected(HISTORY, "prompts", [(HISTORY, tree.history.size)]))
    for top, files in _by_top((found.top, found.name, found.size) for found in tree.declared):
        members.append(_declared("files", top, len(files), sum(size for _, size in files), DECLARED[top]))
    if tree.hidden:
        members.append(_declared("files", ".*", tree.hidden, None, HIDDEN))
    if is_projects_elsewhere and tree.has_projects:
        members.append(_declared("directories", PROJECTS, 1, None, _OTHER_PROJECTS))
    beside = [one for one in tree.others if one.top == "skills"]
    if beside:
        members.append(_declared("files", "skills/**", len(beside), sum(one.size for one in beside), _SKILL_FILES))
    others = [(one.name, one.size) for one in tree.others if one.top != "skills"]
    return inventory_of("home", [*members, *_unknown(others, ["documents"], "")])


def _unknown(files: Iterable[tuple[str, int]], streams: list[str], before: str) -> Iterator[SourceMember]:
    """Files that this version does not know, those of one directory and one ending in one line."""
    groups: dict[str, list[int]] = {}
    for name, size in files:
        path = PurePosixPath(name)
        is_deep = len(path.parts) > 1
        pattern = f"{before}{_top(path)}/**/*{path.suffix}" if is_deep else f"{before}{name}"
        groups.setdefault(pattern, []).append(size)
    for pattern, sizes in sorted(groups.items()):
        yield SourceMember(
            kind="files", name=pattern, disposition="unknown", streams=streams, count=len(sizes), bytes=sum(sizes)
        )


def _top(path: PurePosixPath) -> str:
    """The directory of a file; a session's directory is any of its kind."""
    first, second, *_ = path.parts
    is_session = first.count("-") == 4
    return f"<session>/{second}" if is_session and len(path.parts) > 2 else "<session>" if is_session else first


def _by_top(files: Iterable[tuple[str, str, int]]) -> list[tuple[str, list[tuple[str, int]]]]:
    groups: dict[str, list[tuple[str, int]]] = {}
    for top, name, size in files:
        groups.setdefault(top, []).append((name, size))
    return list(groups.items())


def _collected(name: str, stream: str, files: list[tuple[str, int]]) -> SourceMember:
    size = sum(one for _, one in files)
    return SourceMember(
        kind="files", name=name, disposition="collected", streams=[stream], count=len(files), bytes=size
    )


def _declared(kind: str, name: str, count: int, size: int | None, reason: str) -> SourceMember:
    return SourceMember(kind=kind, name=name, disposition="declared", reason=reason, count=count, bytes=size)


def _sum(files: Iterable[Found]) -> int:
    return sum(one.size for one in files)
