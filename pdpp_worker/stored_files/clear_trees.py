"""Directories whose files are in the clear while code uses them that reads and writes by itself."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from pathlib import Path

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.logs import get_logger
from pdpp_worker.stored_files import file_forms
from pdpp_worker.stored_files.replacing import Replacing
from pdpp_worker.stored_files.tree_lock import Sealing

_STALE_S = 24 * 3600.0


@contextmanager
def in_clear(root: Path, sealing: Sealing, name: str, kept: Collection[str]) -> Iterator[None]:
    """Files of `root` in the clear for the block: those of that name, or all but the folders in `kept`.

    Raises:
        ConfigurationError: one cannot be opened.
        UpstreamError: somebody else used them all the while.
    """
    with _alone(sealing):
        closes = not ((name or kept) and sealing.lock.is_open)  # what a killed worker left elsewhere stays noted
        if sealing.is_wanted:
            sealing.lock.note_open()
        if sealing.lock.is_marked:
            _open_or_close(root, sealing, name, kept, closes)
        try:
            yield
        finally:
            # All was opened, so a file that only looks like an encrypted one is the code's own.
            _seal_quietly(root, sealing, name, kept, closes, lambda path: file_forms.is_ours(path, sealing.keys()))


@contextmanager
def _alone(sealing: Sealing) -> Iterator[None]:
    """Hold the lock: with others that read clear files too, or alone where files are encrypted."""
    lock = sealing.lock
    while True:
        shared = not (sealing.is_wanted or lock.is_marked)
        with lock.held(shared=shared):
            if not (shared and lock.is_marked):
                yield
                return


def _open_or_close(root: Path, sealing: Sealing, name: str, kept: Collection[str], closes: bool) -> None:
    """Open all files; where one cannot be opened, close those again that were."""
    try:
        with Replacing(root) as opened:
            for path in files_below(root, name, kept):
                if file_forms.is_sealed(path):
                    opened.apply(path, partial(file_forms.open_file, keys=sealing.keys()))
    except (ConfigurationError, OSError) as error:
        _seal_quietly(root, sealing, name, kept, closes, file_forms.is_sealed)
        raise ConfigurationError(str(error)) from None


def _seal_quietly(
    root: Path, sealing: Sealing, name: str, kept: Collection[str], closes: bool, is_done: Callable[[Path], bool]
) -> None:
    """Encrypt all that is in the clear, if that is wanted. A file that cannot be encrypted stays: it is the owner's."""
    if not sealing.is_wanted:
        return
    try:
        with Replacing(root) as sealed:
            for path in files_below(root, name, kept):
                if not is_done(path):
                    sealed.apply(path, partial(file_forms.seal_file, keys=sealing.keys()))
        if closes:
            sealing.lock.note_closed()
    except (ConfigurationError, OSError) as error:
        get_logger().error("files stay in the clear", directory=root.name, why=str(error))


def files_below(root: Path, name: str = "", kept: Collection[str] = ()) -> Iterator[Path]:
    """The files of a directory, without links, pipes, and files that have another name elsewhere.

    Removes files that a killed process left unfinished a day ago or earlier.
    """
    for path in _entries_below(root, only_top=bool(name), kept=kept):
        if (not name or path.name == name or path.name.startswith(f"{name}-")) and _is_file(path):
            yield path


def _entries_below(root: Path, *, only_top: bool, kept: Collection[str]) -> Iterator[Path]:
    """All that is no directory, however deep; a directory that cannot be read is left out."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=attrgetter("name"), reverse=True)
        except OSError:
            continue
        below = [one.name for one in entries if one.is_dir(follow_symlinks=False)]
        yield from (folder / one.name for one in reversed(entries) if not one.is_dir(follow_symlinks=False))
        if not only_top:
            waiting += [folder / one for one in below if folder != root or one not in kept]


def _is_file(path: Path) -> bool:
    try:
        told = path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(told.st_mode):
        return False
    if path.name.startswith(file_forms.UNFINISHED):
        if time.time() - told.st_mtime > _STALE_S:
            path.unlink(missing_ok=True)
        return False
    return told.st_nlink == 1
