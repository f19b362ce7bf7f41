"""All files of the folder, looked at once before any is read: those with mail, and an inventory of the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from connectors.gmail.local.position import GROUPS, FilesPosition, checksum_of, group_of
from connectors.gmail.local.tree import Entry, MailFile, OtherFile, Unreadable, entries
from pdpp_worker.connector import SourceMember

LONGEST_ENDING = 12
"""Characters of a name's ending that is taken for a kind of file."""


@dataclass
class Alike:
    """Files of one kind."""

    count: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count a file."""
        self.count += 1
        self.bytes += size


@dataclass
class Listing:
    """The files below a path."""

    mboxes: list[MailFile] = field(default_factory=list)
    groups: list[int] = field(default_factory=lambda: [0] * GROUPS)
    """A checksum of the single mails by group."""
    singles: dict[str, Alike] = field(default_factory=dict)
    others: dict[tuple[str, str], Alike] = field(default_factory=dict)
    """By the ending of their names and the reason to leave them alone."""
    unreadable: list[Unreadable] = field(default_factory=list)

    @classmethod
    def of(cls, root: Path) -> Listing:
        """Look at all files; none of them is held."""
        listing = cls()
        for entry in entries(root):
            listing._add(entry)
        return listing

    @property
    def has_mail(self) -> bool:
        """Whether any file holds mail."""
        return bool(self.mboxes or self.singles)

    def members(self, position: FilesPosition, streams: Sequence[str]) -> Iterator[SourceMember]:
        """The inventory."""
        goes_to = list(streams)
        for file in self.mboxes:
            count = position.mboxes[file.name].count if file.name in position.mboxes else None
            yield SourceMember(
                kind="mbox", name=file.name, disposition="collected", streams=goes_to, count=count, bytes=file.size
            )
        for pattern, alike in sorted(self.singles.items()):
            yield SourceMember(
                kind="mails",
                name=pattern,
                disposition="collected",
                streams=goes_to,
                count=alike.count,
                bytes=alike.bytes,
            )
        for (pattern, reason), alike in sorted(self.others.items()):
            yield SourceMember(
                kind="files",
                name=pattern,
                disposition="declared" if reason else "unknown",
                reason=reason or None,
                count=alike.count,
                bytes=alike.bytes,
            )

    def _add(self, entry: Entry) -> None:
        if isinstance(entry, Unreadable):
            self.unreadable.append(entry)
        elif isinstance(entry, OtherFile):
            self.others.setdefault((_pattern(entry.name), entry.reason), Alike()).add(entry.size)
        elif entry.kind == "mbox":
            self.mboxes.append(entry)
        else:
            self.groups[group_of(entry)] ^= checksum_of(entry)
            self.singles.setdefault(f"{entry.place}/{_pattern(entry.name)}", Alike()).add(entry.size)


def _pattern(name: str) -> str:
    """The kind of a file by the ending of its name."""
    inner = PurePosixPath(name.rpartition("!")[2])
    if inner.parent.name in ("cur", "new"):
        return f"{inner.parent.name}/*"
    is_kind = 1 < len(inner.suffix) <= LONGEST_ENDING and inner.suffix[1:].isalnum()
    return f"*{inner.suffix.lower()}" if is_kind else "files without an ending"
