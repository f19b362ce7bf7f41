"""Bounds on what a member of an archive unpacks to."""

from __future__ import annotations

import zipfile
from typing import IO

DENSEST = 100
"""Times its bytes; text packs to a tenth, a record of zeros to a thousandth."""
DENSE_FREE_BYTES = 8 * 1024 * 1024
"""Below this, unpacked, a member may be as dense as it likes."""


def most_unpacked(packed: int) -> int:
    """Bytes that a member of so many packed bytes may unpack to."""
    return max(DENSE_FREE_BYTES, DENSEST * packed)


def open_member(archive: zipfile.ZipFile, name: str | zipfile.ZipInfo) -> IO[bytes]:
    """A member's bytes; no more come than its entry says.

    Raises:
        KeyError: there is none of this name.
        zipfile.BadZipFile: it is damaged, or unpacks to far more than its bytes.
    """
    info = name if isinstance(name, zipfile.ZipInfo) else archive.getinfo(name)
    if info.file_size > most_unpacked(info.compress_size):
        raise zipfile.BadZipFile(f"a member unpacks to more than {DENSEST} times its bytes")
    return archive.open(info)
