"""Finds the tool results of a session that are new.

They are written once, so a session needs no list of them: the time of the latest one read and how many are that old
tell whether an older one was added, changed or removed since, and then all of the session's are read again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from connectors.claude_code.tree import Found


class Step(NamedTuple):
    """A file to read, and the mark that holds once it is read; None between files of the very same time."""

    found: Found
    mark: str | None


def pending(files: list[Found], mark: str | None) -> Iterator[Step]:
    """The files that the mark does not cover, oldest first."""
    ordered = sorted(files, key=lambda found: (found.mtime_ns, found.name))
    done = _covered(ordered, mark)
    for index in range(done, len(ordered)):
        found = ordered[index]
        is_tied = index + 1 < len(ordered) and ordered[index + 1].mtime_ns == found.mtime_ns
        yield Step(found, None if is_tied else f"{index + 1:x} {found.mtime_ns:x}")


def _covered(ordered: list[Found], mark: str | None) -> int:
    try:
        count, latest = (int(part, 16) for part in (mark or "").split(" "))
    except (AttributeError, ValueError):
        return 0
    return count if count == sum(found.mtime_ns <= latest for found in ordered) else 0
