"""An export on disk: a zip or a folder, with the same names in both. Nothing is unpacked, and no link is followed."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple

from connectors.slack.errors import Refused, Unreadable
from pdpp_worker.connector import open_member, open_zip

LONGEST_MEMBER = 32 * 1024 * 1024
"""Largest file of an export that is read as one document, bytes."""
_BROKEN = (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
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
        self._zip: zipfile.ZipFile | None = None
        try:
            if path.is_file():
                self._zip = self._open.enter_context(open_zip(path))
            found = list(self._in_zip(self._zip) if self._zip is not None else self._in_folder())
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

    def _in_zip(self, file: zipfile.ZipFile) -> Iterator[Member]:
        for one in file.infolist():
            if not one.is_dir():
                yield Member(one.filename, one.file_size, str(one.CRC))

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
        """Leave the zip."""
        self._open.close()

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """One file, to be read.

        Raises:
            Refused: it cannot be read now.
        """
        try:
            full = self.members[name].name
            with open_member(self._zip, full) if self._zip is not None else (self.path / full).open("rb") as file:
                yield file
        except (*_BROKEN, EOFError) as error:
            raise Refused(f"{name} cannot be read: {error}") from error

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
