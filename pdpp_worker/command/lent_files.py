"""Lends a connection's files to the user that its program runs as, and takes them back."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pdpp_worker import trees
from pdpp_worker.command.connector_user import Account

_HOME, _SCRATCH = ".home", ".tmp"


def take_back(folder: Path, account: Account) -> None:
    """Make files of connections ours again that a killed worker had lent to an account which is lent to nobody now."""
    for files in folder.iterdir():
        with suppress(FileNotFoundError):  # it is removed meanwhile
            if files.lstat().st_uid == account.uid and not files.is_symlink():
                _give(files, (os.geteuid(), os.getegid()), ())


@contextmanager
def lent(files: Path, account: Account, *, kept: Collection[str]) -> Iterator[Mapping[str, str]]:
    """Let `account` own a connection's directory and all that is in it inside the block, but for the names in `kept`.

    Yields the variables of a home that stays from run to run, and of a directory for temporary files that does not.
    """
    ours = os.geteuid(), os.getegid()
    _empty(files / _SCRATCH)
    for name in (_HOME, _SCRATCH):
        _make(files / name)
    try:
        _give(files, (account.uid, account.gid), kept)
        yield {"HOME": str(files / _HOME), "TMPDIR": str(files / _SCRATCH), "USER": f"pdpp-{account.uid}"}
    finally:
        _give(files, ours, kept)
        _empty(files / _SCRATCH)


def _make(folder: Path) -> None:
    """Make a directory; what else a program has left in its place is removed, and no link is followed."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        folder.unlink()
    folder.mkdir(mode=0o700, exist_ok=True)


def _give(files: Path, owner: tuple[int, int], kept: Collection[str]) -> None:
    """Change the owner of the directory and of everything below; no link is followed."""
    skipped = kept
    for folder in trees.folders(files, without=kept):
        if skipped is kept:
            os.fchown(folder, *owner)
        with os.scandir(folder) as entries:
            for one in entries:
                if one.name not in skipped:
                    with suppress(FileNotFoundError):
                        _give_one(one.name, folder, owner)
        skipped = ()


def _give_one(name: str, folder: int, owner: tuple[int, int]) -> None:
    """Change one entry's owner; a file that has another name elsewhere may be somebody else's, and is left."""
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if (found.st_uid, found.st_gid) != owner and (stat.S_ISDIR(found.st_mode) or found.st_nlink == 1):
        os.chown(name, *owner, dir_fd=folder, follow_symlinks=False)


def _empty(scratch: Path) -> None:
    """Remove what a run has left there; where that takes long, a later one goes on."""
    with suppress(OSError):
        if scratch.is_dir() and not scratch.is_symlink():
            trees.remove(scratch)
        else:
            scratch.unlink()
