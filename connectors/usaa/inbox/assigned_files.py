"""Files that the assigned gaps are about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from connectors.usaa.gaps import Gaps
from connectors.usaa.inbox.cursor import Cursor
from connectors.usaa.inbox.files import Found
from pdpp_worker.connector import Message, resource_of

_LOCATOR = "usaa.file"


def locator_of(found: Found) -> dict[str, object]:
    """The address of a file in a gap."""
    return {"kind": _LOCATOR, "file": found.name}


class AssignedFiles:
    """Tells which files the assigned gaps name, and closes the gaps of those that are gone."""

    def __init__(self, root: Path, cursor: Cursor, gaps: Gaps) -> None:
        self._root = root
        self._cursor = cursor
        self._gaps = gaps

    def name_of(self, found: Found) -> str | None:
        """The file's name, when an assigned gap is about it or about the statement that it is."""
        held = self._cursor.files.get(found.name)
        keys = {found.name, None if held is None else held.statement}
        for gap in self._gaps.resources():
            locator = gap.detail_locator or {}
            if keys & {locator.get("file"), resource_of(gap)} - {None}:
                return found.name
        return None

    def vanished(self, found: Sequence[Found]) -> Iterator[Message]:
        """Close the gaps about files that lie there no more."""
        names = {one.name for one in found}
        statements = {held.statement for name, held in self._cursor.files.items() if name in names}
        for gap in self._gaps.resources():
            locator = gap.detail_locator or {}
            is_named = locator.get("kind") == _LOCATOR and self._is_folder_there(str(locator.get("file")))
            if is_named and locator.get("file") not in names and resource_of(gap) not in statements:
                yield self._gaps.vanished(gap)

    def _is_folder_there(self, name: str) -> bool:
        """Whether the folder of a file can be seen; one that cannot may be a disk that is not mounted."""
        return (self._root / name).parent.is_dir()
