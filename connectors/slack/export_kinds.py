"""Exports where the owner's setting points: which kind each is, its parts, and what else lies in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from connectors.slack import export_chunks, export_slack
from connectors.slack.errors import Refused
from connectors.slack.export_parts import Part
from connectors.slack.export_tree import Tree
from connectors.slack.streams import MESSAGES
from pdpp_worker.connector import Inventory, SourceMember, inventory_of

_DECLARED = {
    "integration_logs.json": "who installed which app: the workspace's administration, not its conversations",
    "content_flags.json": "reports to the workspace's administrators",
}
_NEVER = {
    "saved items": "no export holds them; the Web API does",
    "user groups": "no export holds them; the Web API does",
    "reminders": "no export holds them; the Web API does",
    "how far direct messages were read": "no export holds it; the Web API does",
}
_BYTES = ("__uploads/", "__avatars/", "attachments/")
_NO_BYTES = "the bytes of files are not collected; what is known about them is"


class Found(NamedTuple):
    """The exports that lie where the setting points, oldest first, and what there is none."""

    trees: list[Tree]
    others: list[SourceMember]


def find(path: Path) -> Found:
    """The exports at a path: a zip, a folder that is one, or a folder that holds several."""
    if not path.exists():
        return Found([], [_strange(path, "is not there")])
    try:
        return _find(path)
    except (OSError, Refused) as error:
        return Found([], [_strange(path, f"cannot be read: {error}")])


def _find(path: Path) -> Found:
    names = [path] if path.is_file() else [one for one in sorted(path.iterdir()) if not one.name.startswith(".")]
    if path.is_dir() and is_export(whole := Tree(path)) and not _holds_several(path, whole):
        return Found([whole], [])
    trees: list[Tree] = []
    others: list[SourceMember] = []
    for one in names:
        try:
            tree = Tree(one)
        except Refused as error:
            others.append(_strange(one, str(error)))
            continue
        if is_export(tree):
            trees.append(tree)
        else:
            others.append(_strange(one, "is no export of Slack's or slackdump's"))
    if not trees and not others:
        others.append(_strange(path, "holds no export"))
    return Found(sorted(trees, key=lambda tree: tree.time), others)


def _holds_several(path: Path, whole: Tree) -> bool:
    """Whether the folder's files were taken for one export because one of its folders is."""
    return not any((path / name).exists() for name in whole.members)


def is_export(tree: Tree) -> bool:
    """Whether the files are those of an export."""
    return export_chunks.is_one(tree) or export_slack.is_one(tree)


def parts(tree: Tree) -> list[Part]:
    """The parts of an export, in the order in which they are read."""
    return list(export_chunks.parts(tree) if export_chunks.is_one(tree) else export_slack.parts(tree))


def inventory(found: Found, *, alone: bool) -> Iterator[Inventory]:
    """The members of every export; where there is no other source (`alone`), also what none holds."""
    if alone and found.trees:
        never = (
            SourceMember(kind="list", name=name, disposition="declared", reason=why) for name, why in _NEVER.items()
        )
        yield inventory_of("other sources", never)
    if found.others:
        yield inventory_of("exports", found.others)
    for tree in found.trees:
        yield inventory_of(f"export {tree.path.name}", _members(tree))


def _members(tree: Tree) -> Iterator[SourceMember]:
    lists: list[SourceMember] = []
    counts: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
    sizes: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
    streams = {part.name: part.streams for part in parts(tree) if part.streams}
    for name, member in tree.members.items():
        if name in streams and "/" not in name and streams[name] != (MESSAGES,):
            lists.append(
                SourceMember(
                    kind="member",
                    name=name,
                    disposition="collected",
                    streams=list(streams[name]),
                    count=1,
                    bytes=member.size,
                )
            )
            continue
        kind = _kind(name, streams)
        counts[kind] += 1
        sizes[kind] += member.size
    yield from lists
    for (disposition, pattern, of), count in sorted(counts.items()):
        reason = _DECLARED.get(pattern, _NO_BYTES) if disposition == "declared" else None
        size = {"count": count, "bytes": sizes[disposition, pattern, of]}
        yield SourceMember.model_validate(
            {"kind": "files", "name": pattern, "disposition": disposition, "streams": of, "reason": reason, **size}
        )


def _kind(name: str, streams: dict[str, tuple[str, ...]]) -> tuple[str, str, tuple[str, ...]]:
    """The disposition of a file that is one of many, the pattern of these, and their streams."""
    folder, _, last = name.rpartition("/")
    if name in streams:
        return "collected", "days of conversations" if folder else "conversations", streams[name]
    if name in _DECLARED:
        return "declared", name, ()
    if name.startswith(_BYTES) or "/attachments/" in f"/{name}":
        return "declared", "files that were shared", ()
    return "unknown", f"{folder}/*.{last.rpartition('.')[2]}" if folder else name, ()


def _strange(path: Path, why: str) -> SourceMember:
    return SourceMember(kind="member", name=f"{path.name}: {why}", disposition="unknown")
