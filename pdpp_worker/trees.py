"""Directories that a foreign program has filled: walked and removed however deep they are, whatever their names.

Nothing here calls itself, holds one descriptor a level, or makes a path: a program can nest directories deeper than
Python's stack, than a process may have files open, and than a path may be long. No link is followed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

REMOVE_S = 10.0
"""Most time that a removal takes in one go, s; it goes on where it stopped."""
_AT_ONCE = 1_000
"""Entries that are read before they are dealt with."""
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class _Level(NamedTuple):
    identity: tuple[int, int]
    below: list[str]


def remove(top: Path, *, within_s: float = REMOVE_S) -> None:
    """Remove a directory and all that is in it.

    A directory in a directory is emptied after it was moved up into the top, so no more than two are ever open. Others
    may remove it at the same time.

    Raises:
        OSError: a part of it cannot be removed, or there is no such directory.
        TimeoutError: it takes longer; what is gone is gone, and another call goes on.
    """
    until = time.monotonic() + within_s
    root = _opened(str(top))
    try:
        for name, is_folder in _entries(root, until):
            with suppress(FileNotFoundError):
                if is_folder:
                    _empty(name, root, until)
                    os.rmdir(name, dir_fd=root)
                else:
                    os.unlink(name, dir_fd=root)
    finally:
        os.close(root)
    top.rmdir()


def folders(top: Path, *, without: Collection[str] = ()) -> Iterator[int]:
    """Open the directory and each one below, upper ones first; each is open until the next one is asked for.

    Those `without` are the top's own. A directory that cannot be entered is left out.

    Raises:
        OSError: somebody moves a directory meanwhile.
    """
    folder = os.open(top, _FLAGS)
    trail = [_level(folder, without)]
    try:
        yield folder
        while trail:
            entered = _first_of(trail[-1].below, folder)
            if entered is not None:
                os.close(folder)
                folder = entered
                trail.append(_level(folder))
                yield folder
                continue
            trail.pop()
            if trail:
                above = _above(folder, trail[-1])
                os.close(folder)
                folder = above
    finally:
        os.close(folder)


def _empty(name: str, root: int, until: float) -> None:
    """Remove the files of a directory in the top, and move its directories beside it."""
    folder = _opened(name, root)
    try:
        for below, is_folder in _entries(folder, until):
            with suppress(FileNotFoundError):
                if is_folder:
                    _move_up(below, folder, root)
                else:
                    os.unlink(below, dir_fd=folder)
    finally:
        os.close(folder)


def _move_up(name: str, folder: int, root: int) -> None:
    new = uuid4().hex
    try:
        os.rename(name, new, src_dir_fd=folder, dst_dir_fd=root)
    except PermissionError:  # a directory that may not be written to may not be moved either
        os.close(_opened(name, folder))
        os.rename(name, new, src_dir_fd=folder, dst_dir_fd=root)


def _opened(name: str, within: int | None = None) -> int:
    """Open a directory so that it can be emptied, whatever its mode."""
    try:
        folder = os.open(name, _FLAGS, dir_fd=within)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=within)
        folder = os.open(name, _FLAGS, dir_fd=within)
    with suppress(PermissionError):
        os.fchmod(folder, 0o700)
    return folder


def _entries(folder: int, until: float) -> Iterator[tuple[str, bool]]:
    """The names in a directory and whether each is a directory, until none is left of them."""
    while found := _some(folder):
        for one in found:
            if time.monotonic() >= until:
                raise TimeoutError("it holds more than can be removed in one go; the next one goes on")
            yield one


def _some(folder: int) -> list[tuple[str, bool]]:
    with os.scandir(folder) as found:
        return [(one.name, one.is_dir(follow_symlinks=False)) for one in islice(found, _AT_ONCE)]


def _level(folder: int, without: Collection[str] = ()) -> _Level:
    with os.scandir(folder) as found:
        below = [one.name for one in found if one.is_dir(follow_symlinks=False) and one.name not in without]
    return _Level(_identity(folder), below)


def _first_of(names: list[str], folder: int) -> int | None:
    """Open the first of these directories that can be entered, and forget those before it."""
    while names:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            return os.open(names.pop(), _FLAGS, dir_fd=folder)
    return None


def _above(folder: int, level: _Level) -> int:
    above = os.open("..", _FLAGS, dir_fd=folder)
    if _identity(above) != level.identity:
        os.close(above)
        raise OSError("a directory was moved while it was walked")
    return above


def _identity(folder: int) -> tuple[int, int]:
    found = os.fstat(folder)
    return found.st_dev, found.st_ino
