"""The bound on the bytes of a connection's files, and on what they leave free of the disk.

Files are counted once; from then on the count follows each file that is written, replaced or removed. It is kept beside
the directory while nobody uses it, so that the next slice need not count either. Where code writes by itself, such as a
program, all is counted again now and then.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pdpp_worker import trees
from pdpp_worker.errors import StorageFull
from pdpp_worker.stored_files.file_forms import new_file

SUFFIX = ".bytes"
_LEAST = 4096
"""Bytes that the smallest file and a directory take."""
_MB = 1024 * 1024
_SPARE = _MB
"""Bytes that code which writes by itself may add where there is too much already."""
_SHARE_OF_DISK = 10
"""No more than a tenth of a disk is left free: it may be a small one."""
_COUNT_EVERY_S, _COUNT_SHARE = 5.0, 20.0
"""Between two counts, s, and times as long as one takes: counting takes no more than a twentieth of the time."""


class Quota:
    """The bytes of one connection's files; a bound of 0 is none."""

    def __init__(self, root: Path, *, most_mb: int, free_mb: int) -> None:
        """`most_mb`: of all files, MB of 1024² bytes; `free_mb`: what they leave free of the disk."""
        self._root, self._most, self._free = root, most_mb * _MB, free_mb * _MB
        self._most_by_itself = self._most
        self._used: int | None = None
        self._is_counted = False
        """Whether `_used` was counted by this object, and not by an earlier one."""
        self._is_exact = True
        self._drafts: set[Path] = set()
        self._next_count = 0.0

    def check(self, more: int) -> None:
        """Refuse so many more bytes beyond the bound, or any where the disk is nearly full; the directory is there.

        Raises:
            StorageFull: it does.
        """
        _refuse(self._disk_is_full() or self._is_beyond(more, self._most))

    def begin(self) -> None:
        """Let code begin that writes by itself. Where there is too much already, it may do what needs no room.

        Raises:
            StorageFull: the disk is nearly full.
        """
        _refuse(self._disk_is_full())
        if self._is_beyond(0, self._most) is not None:
            self._most_by_itself = self._known() + _SPARE

    def look(self) -> None:
        """Check what code has written by itself since `begin`; cheap, so that it can be called during every wait.

        Raises:
            StorageFull: there is too much by now, or the disk is nearly full.
        """
        if self._most and time.monotonic() >= self._next_count:
            self._count()
        _refuse(self._disk_is_full() or self._is_beyond(0, self._most_by_itself))

    def add(self, change: int) -> None:
        """Note that there is so much more, or less."""
        if self._used is not None:
            self._used = max(0, self._used + change)

    @contextmanager
    def beside(self, draft: Path) -> Iterator[None]:
        """Leave a file that is being written out of the count inside the block: its writer adds it by `check`."""
        self._drafts.add(draft)
        try:
            yield
        finally:
            self._drafts.discard(draft)

    def doubt(self) -> None:
        """Note that somebody else may write: the count is not kept for later."""
        self._is_exact = False

    def close(self) -> None:
        """Keep the count for the next one, if it is exact."""
        if self._used is not None and self._is_exact and self._root.is_dir():
            with suppress(OSError):  # without it the next one counts
                forget(self._root)
                with new_file(_kept_at(self._root)) as file:
                    file.write(str(self._used).encode("ascii"))
        self._used, self._is_counted = None, False

    def _disk_is_full(self) -> str | None:
        if not self._free:
            return None
        disk = os.statvfs(self._root)
        least = min(self._free, disk.f_blocks * disk.f_frsize // _SHARE_OF_DISK)
        if (free := disk.f_bavail * disk.f_frsize) >= least:
            return None
        return (
            f"only {free // _MB:,} MB are free on the disk of {self._root}, and {least // _MB:,} MB are left free "
            "(PDPP_FILES_FREE_MB); make room"
        )

    def _is_beyond(self, more: int, most: int) -> str | None:
        if not most or self._known() + more <= most:
            return None
        if not self._is_counted and self._count() + more <= most:  # its owner may have made room meanwhile
            return None
        return (
            f"the files in {self._root} would be {(self._known() + more) / _MB:,.1f} MB, and PDPP_CONNECTION_FILES_MB "
            f"lets a connection have {self._most // _MB:,} MB; raise it, or remove what you can do without"
        )

    def _known(self) -> int:
        if self._used is None:
            self._used = _taken(self._root)
        return self._count() if self._used is None else self._used

    def _count(self) -> int:
        began = time.monotonic()
        drafts = sum(map(size_at, list(self._drafts)))
        self._used, self._is_counted = max(0, counted(self._root) - drafts), True
        now = time.monotonic()
        self._next_count = now + max(_COUNT_EVERY_S, _COUNT_SHARE * (now - began))
        return self._used


def _refuse(why: str | None) -> None:
    if why is not None:
        raise StorageFull(why)


def forget(root: Path) -> None:
    """Let the next one that uses these files count them."""
    _kept_at(root).unlink(missing_ok=True)


def counted(root: Path) -> int:
    """The bytes of all that is in a directory, as far as it can be entered."""
    total = 0
    with suppress(OSError):  # a program moves a directory meanwhile
        for folder in trees.folders(root):
            with os.scandir(folder) as found:
                for one in found:
                    with suppress(FileNotFoundError):
                        total += _bytes(one.stat(follow_symlinks=False))
    return total


def size_at(path: Path) -> int:
    """The bytes of one file; 0 where there is none."""
    try:
        return _bytes(path.lstat())
    except FileNotFoundError:
        return 0


def _bytes(told: os.stat_result) -> int:
    """The bytes that an entry takes: a hole takes none, and a file with several names is counted once in all."""
    if not stat.S_ISREG(told.st_mode):
        return _LEAST
    return max(_LEAST, min(told.st_size, told.st_blocks * 512)) // told.st_nlink


def _taken(root: Path) -> int | None:
    """The count that was kept, which is nobody's from now on: of one that is killed nothing is believed."""
    with suppress(OSError, ValueError):
        kept = int(_kept_at(root).read_text(encoding="ascii"))
        forget(root)
        return kept
    return None


def _kept_at(root: Path) -> Path:
    return root.with_name(f"{root.name}{SUFFIX}")
