"""Finds the tool results of a session that are new.

They are written once, so a session needs no list of them: how many were read, the time of the latest and a digest of
their names, sizes and times tell whether an older one was added, changed or removed since, and then all of the
session's are read again.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

from connectors.claude_code.tree import Found

_DIGEST_BYTES = 6
_OLD_KEYS = "*"


class Step(NamedTuple):
    """A file to read, and the mark that holds once it is read; None between files of the very same time."""

    found: Found
    mark: str | None
    has_old_key: bool
    """Whether the file is held under the key of the version before."""


def mark_of_old_keys(mark: str) -> str:
    """The mark of results that are held under the keys of the version before: all are read again."""
    return f"{_OLD_KEYS}{mark.split(' ')[0]}"


def pending(files: list[Found], mark: str | None) -> Iterator[Step]:
    """The files that the mark does not cover, oldest first."""
    ordered = sorted(files, key=lambda found: (found.mtime_ns, found.name))
    mark, _, old = (mark or "").partition(_OLD_KEYS)
    done, old_count = _covered(ordered, mark), _count(old)
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for index, found in enumerate(ordered):
        digest.update(_line(found))
        is_tied = index + 1 < len(ordered) and ordered[index + 1].mtime_ns == found.mtime_ns
        if index >= done:
            rest = f"{_OLD_KEYS}{old}" if index + 1 < old_count else ""
            after = None if is_tied else f"{index + 1:x} {found.mtime_ns:x} {digest.hexdigest()}{rest}"
            yield Step(found, after, index < old_count)


def _covered(ordered: list[Found], mark: str) -> int:
    """How many of the oldest files the mark covers: all that it counts, or none."""
    count = _count(mark.split(" ")[0])
    digest = blake2b(digest_size=_DIGEST_BYTES)
    for found in ordered[:count]:
        digest.update(_line(found))
    return count if mark.endswith(f" {digest.hexdigest()}") else 0


def _count(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


def _line(found: Found) -> bytes:
    return f"{found.identity} {found.size} {found.mtime_ns}\n".encode()
