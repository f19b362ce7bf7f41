"""Counts and removes what a user has outside of its own directories. Used by processes that import nothing else."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pdpp_worker.command.other_user import Identity, become, sweep

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - it is looked at, and nothing is made there
_OPEN_TO_ALL = (SHARED_MEMORY, Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - the same
_SEGMENTS = Path("/proc/sysvipc/shm")
_BLOCK = 512
_IPC_RMID = 0


def clear(identity: Identity, lent: Sequence[str] = ()) -> int:
    """End all processes of a user whom a command has for itself, and remove what they left but for paths lent to it.

    Returns 1 if some run on.
    """
    status = sweep(identity)
    if identity.ids is not None and identity.is_own and identity.ids[0] not in (0, os.getuid()):
        _remove(identity, identity.ids[0], lent)
    return status


def kept_bytes(identity: Identity) -> int:
    """Bytes of memory that such a user has in files and segments that need no process."""
    if identity.ids is None or not identity.is_own:
        return 0
    uid = identity.ids[0]
    return sum(map(_bytes_of, _below(SHARED_MEMORY, uid))) + sum(size for _, size in _segments(uid))


def _remove(identity: Identity, uid: int, lent: Sequence[str]) -> None:
    """Remove it as that user, which can remove nothing of others."""
    found = [str(path) for place in _OPEN_TO_ALL for path in _entries(place) if _owner(path) == uid]
    paths = [path for path in found if not any(f"{one}/".startswith(f"{path}/") for one in lent)]
    segments = [segment for segment, _ in _segments(uid)]
    if not paths and not segments:
        return
    remover = os.fork()
    if remover == 0:
        with suppress(OSError):
            become(identity)
            for segment in segments:
                ctypes.CDLL(None).shmctl(segment, _IPC_RMID, None)
            os.execvp("rm", ["rm", "-rf", "--", *paths])  # noqa: S606, S607 - it goes down as deep as it must
        os._exit(1)
    os.waitpid(remover, 0)


def _below(folder: Path, uid: int) -> Iterator[os.stat_result]:
    """The status of all that the user has below a directory, however deep."""
    waiting = [folder]
    while waiting:
        for path in _entries(waiting.pop()):
            with suppress(OSError):
                status = path.lstat()
                if status.st_uid == uid:
                    yield status
                if path.is_dir() and not path.is_symlink():
                    waiting.append(path)


def _bytes_of(status: os.stat_result) -> int:
    return status.st_blocks * _BLOCK


def _entries(folder: Path) -> list[Path]:
    with suppress(OSError):
        return list(folder.iterdir())
    return []


def _owner(path: Path) -> int | None:
    with suppress(OSError):
        return path.lstat().st_uid
    return None


def _segments(uid: int) -> Iterator[tuple[int, int]]:
    """The user's segments of shared memory: id and bytes."""
    if sys.platform != "linux" or not _SEGMENTS.exists():
        return
    header, *lines = [line.split() for line in _SEGMENTS.read_text(encoding="ascii").splitlines()]
    for line in lines:
        found = dict(zip(header, line, strict=False))
        if found["uid"] == str(uid):
            yield int(found["shmid"]), int(found["size"])
