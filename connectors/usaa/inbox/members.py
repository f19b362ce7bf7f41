"""The inventory of the inbox: each kind of file; what gives nothing by its name, or several by a pattern.

Each of them is a gap under its own name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from connectors.usaa.inbox.cursor import FileEntry
from connectors.usaa.inbox.files import Found, size_of
from connectors.usaa.records import ACCOUNTS, STATEMENTS, STATS, TRANSACTIONS
from pdpp_worker.connector import Inventory, SourceMember, inventory_of

_FROM_DOCUMENTS = [TRANSACTIONS, ACCOUNTS, STATS]
_IGNORED = "names of hidden files and of the system's own; they are never opened"


def inbox_inventory(found: Sequence[Found], held: Mapping[str, FileEntry], ignored: int) -> Inventory:
    """The members of the inbox. `held`: what was read of each file; `ignored`: files that were not looked at."""
    kinds: dict[str, list[Found]] = {"exports": [], "statements": []}
    unread: list[Found] = []
    for one in found:
        entry = held.get(one.name)
        if entry is None or entry.unread_by is not None:
            unread.append(one)
        else:
            kinds["exports" if entry.statement is None else "statements"].append(one)
    members = [_collected(name, files) for name, files in kinds.items() if files]
    groups: dict[str, list[Found]] = {}
    for one in unread:
        groups.setdefault(str(PurePosixPath(one.folder, f"*{PurePosixPath(one.name).suffix}")), []).append(one)
    members += [_unknown(pattern, files) for pattern, files in groups.items()]
    if ignored:
        members.append(
            SourceMember(kind="files", name="hidden files", disposition="declared", count=ignored, reason=_IGNORED)
        )
    return inventory_of("inbox", members)


def _collected(name: str, files: Sequence[Found]) -> SourceMember:
    streams = [*_FROM_DOCUMENTS, *([STATEMENTS] if name == "statements" else [])]
    size = sum(size_of(one) for one in files)
    return SourceMember(kind="files", name=name, disposition="collected", streams=streams, count=len(files), bytes=size)


def _unknown(pattern: str, files: Sequence[Found]) -> SourceMember:
    streams = [TRANSACTIONS, STATEMENTS]
    name, size = files[0].name if len(files) == 1 else pattern, sum(size_of(one) for one in files)
    return SourceMember(kind="files", name=name, disposition="unknown", streams=streams, count=len(files), bytes=size)
