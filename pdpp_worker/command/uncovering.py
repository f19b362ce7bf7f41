"""Lets another user reach single paths below directories that are closed to it, such as those below /root.

It happens in a namespace of mounts of this process's own: a closed directory is covered there by an empty one, in which
only these paths are found, at their own places. For everybody else nothing changes. Used by processes that import
nothing else of the package.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18


def uncover(paths: Sequence[str], uid: int, gid: int) -> None:
    """Let the user reach these absolute paths, before this process becomes it.

    Where the kernel does not let this process, nothing is done.

    Raises:
        OSError: a path is not there, or the kernel stops in the middle.
    """
    closed: dict[str, list[str]] = {}
    for path in sorted(set(paths)):
        top = _closed(Path(path), uid, gid)
        if top is not None and not any(path.startswith(f"{other}/") for other in closed.get(top, [])):
            closed.setdefault(top, []).append(path)
    if not closed or sys.platform != "linux" or ctypes.CDLL(None).unshare(_CLONE_NEWNS):
        return
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    for top, inside in closed.items():
        held = {path: os.open(path, os.O_PATH) for path in inside}
        _mount("tmpfs", top, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=711,size=1m")
        for path, descriptor in held.items():
            _show(path, descriptor)
            os.close(descriptor)


def _closed(path: Path, uid: int, gid: int) -> str | None:
    """The highest directory above a path that the user may not enter."""
    for directory in reversed(path.parents):
        found = directory.stat()
        bit = stat.S_IXUSR if found.st_uid == uid else stat.S_IXGRP if found.st_gid == gid else stat.S_IXOTH
        if not found.st_mode & bit:
            return str(directory)
    return None


def _show(path: str, descriptor: int) -> None:
    target = Path(path)
    for parent in reversed(target.parents):
        if not parent.exists():
            parent.mkdir()
            parent.chmod(0o711)
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        target.mkdir()
    else:
        target.touch()
    _mount(f"/proc/self/fd/{descriptor}", path, None, _MS_BIND | _MS_REC)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    if libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)
