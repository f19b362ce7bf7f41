"""Puts files in the place of others, many after one wait for the disk, so that none is lost when the machine stops."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

MOST_FILES, MOST_BYTES = 256, 64 * 1024 * 1024
"""Files, and bytes of them, that wait for the disk together."""


class Replacing:
    """Writes files of a directory anew, and gives them their names once they are on the disk.

    One that was changed meanwhile stays as it is. Files that were written before a failure are put in place too.
    """

    def __init__(self, root: Path, alone: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        """`alone`: keeps others from the directory while files get their names."""
        self._root, self._alone = root, alone
        self._waiting: list[_Waiting] = []
        self._bytes = 0
        self.count = 0
        """Files that were put in place."""

    def apply(self, path: Path, make: Callable[[Path], Path | None]) -> None:
        """Let the file that `make` writes beside `path` take its place; None: it stays."""
        seen = _signature(path)
        if (whole := make(path)) is None:
            return
        self._waiting.append(_Waiting(whole, path, seen))
        self._bytes += whole.stat().st_size
        if len(self._waiting) >= MOST_FILES or self._bytes >= MOST_BYTES:
            self.commit()

    def commit(self) -> None:
        """Let those that wait take their places."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        try:
            if waiting:
                to_disk(self._root)
                with self._alone():
                    self.count += sum(one.put() for one in waiting)
        finally:
            for one in waiting:
                one.whole.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.commit()


class _Waiting:
    """A whole file that is to take the place of another one, if that is still as it was seen."""

    def __init__(self, whole: Path, final: Path, seen: object) -> None:
        self.whole, self._final, self._seen = whole, final, seen

    def put(self) -> bool:
        """Give it the name; returns whether it has it."""
        with suppress(FileNotFoundError):
            if _signature(self._final) == self._seen:
                self.whole.replace(self._final)
                return True
        return False


def _signature(path: Path) -> object:
    told = path.lstat()
    return told.st_ino, told.st_mtime_ns, told.st_ctime_ns, told.st_size


def to_disk(directory: Path) -> None:
    """Write out what the file system of a directory holds back; of all file systems where one cannot be named."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        if syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(handle)
