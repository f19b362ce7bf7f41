"""An export on disk: a zip or a folder, with the same names in both. Nothing is unpacked, and no link is followed."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple

from connectors.slack.errors import Refused, Unreadable
from pdpp_worker.connector import Zip, open_gzip, open_zip

LONGEST_MEMBER = 32 * 1024 * 1024
"""Largest file of an export that is read as one document, bytes."""
_BROKEN = (OSError, zipfile.BadZipFile)
"""Failures of a file that is cut, damaged, encrypted, or packed in a way that Python does not know."""


class Member(NamedTuple):
    """A file of an export."""

    name: str
    size: int
    mark: str
    """A text that changes with its content."""


class Tree:
    """The files of one export."""

    def __init__(self, path: Path) -> None:
        """Look at what lies there.

        Raises:
            Refused: it is a zip that cannot be opened.
        """
        self.path = path
        self._open = ExitStack()
        self._zip: Zip | None = None
        self._is_zip = path.is_file()
        try:
            found = list(self._in_zip() if self._is_zip else self._in_folder())
            self.time = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except _BROKEN as error:
            raise Refused(f"{path.name} cannot be opened: {error}") from error
        index = [one.name for one in found if one.name.rpartition("/")[2] in ("channels.json", "users.json")]
        prefix = min((name.rpartition("/")[0] for name in index), key=len, default="")
        self._prefix = f"{prefix}/" if prefix else ""
        cut = len(self._prefix)
        self.members = {one.name[cut:]: one for one in found if one.name.startswith(self._prefix)}
        self.members = {_readable(name): one for name, one in self.members.items()}
        marks = repr(sorted((name, one.size, one.mark) for name, one in self.members.items()))
        self.identity = hashlib.sha256(marks.encode(errors="replace")).hexdigest()[:16]

    def _in_zip(self) -> Iterator[Member]:
        with open_zip(self.path) as archive:
            yield from (Member(one.name, one.size, str(one.crc)) for one in archive.members if not one.is_folder)

    def _in_folder(self) -> Iterator[Member]:
        for folder, names, files in os.walk(self.path):
            names[:] = sorted(one for one in names if not one.startswith("."))
            for name in sorted(files):
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink() and not name.startswith("."):
                    stat = path.stat()
                    inner = path.relative_to(self.path).as_posix()
                    yield Member(inner, stat.st_size, str(stat.st_mtime_ns))

    def close(self) -> None:
        """Leave the zip; it is opened anew when it is read again."""
        self._zip = None
        self._open.close()

    @contextmanager
    def open(self, name: str, *, is_gzipped: bool = False) -> Iterator[IO[bytes]]:
        """One file, to be read; what it holds, if it is gzipped.

        Raises:
            Refused: it cannot be read now.
        """
        try:
            with self._opened(self.members[name].name, is_gzipped=is_gzipped) as file:
                yield file
        except _BROKEN as error:
            raise Refused(f"{name} cannot be read: {error}") from error

    def _opened(self, full: str, *, is_gzipped: bool) -> AbstractContextManager[IO[bytes]]:
        if not self._is_zip:
            path = self.path / full
            return open_gzip(path) if is_gzipped else path.open("rb")
        if self._zip is None:
            self._zip = self._open.enter_context(open_zip(self.path))
        return self._zip.open(full, is_gzipped=is_gzipped)

    def read(self, name: str) -> bytes:
        """The content of one file.

        Raises:
            Refused: it cannot be read now.
            Unreadable: it is larger than what is read as one document.
        """
        content = b""
        if self.members[name].size <= LONGEST_MEMBER:
            with self.open(name) as file:
                content = file.read(LONGEST_MEMBER + 1)
        if self.members[name].size > LONGEST_MEMBER or len(content) > LONGEST_MEMBER:
            raise Unreadable(f"{name} has more than {LONGEST_MEMBER // 2**20} MiB")
        return content


def _readable(name: str) -> str:
    """A name as JSON can say it: a file system may hold bytes that are no text."""
    return name.encode(errors="backslashreplace").decode()
