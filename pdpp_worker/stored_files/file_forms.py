"""One stored file in its two forms, encrypted or in the clear: which it is, and from one to the other.

A file keeps its name in both forms. Content that would pass for the encrypted form is always written encrypted.
"""

from __future__ import annotations

import fcntl
import io
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.secret_keys import Keys
from pdpp_worker.stored_files.sealing import HEAD_BYTES, MARK, SealedReader, SealedWriter, clear_size

UNFINISHED = ".unfinished-"
"""Beginning of the name of a file that is being written. One that is left over is of a process that was killed."""
_CHUNK = 1024 * 1024


def is_sealed(path: Path) -> bool:
    """Whether a file has the mark of the encrypted form."""
    with _plainly(path) as file:
        return file.read(len(MARK)) == MARK


def open_sealed(path: Path, keys: Keys) -> SealedReader:
    """The clear bytes of an encrypted file."""
    return SealedReader(_plainly(path), keys, path)


def open_clear(path: Path, keys: Callable[[], Keys] | None) -> BinaryIO:
    """The clear bytes of a file in either form; without keys it is taken as it is. Clear files need no key."""
    if keys is None or not is_sealed(path):
        return _plainly(path)
    return cast("BinaryIO", io.BufferedReader(open_sealed(path, keys()), _CHUNK))


def is_ours(path: Path, keys: Keys) -> bool:
    """Whether a file is encrypted under one of our keys, as far as its beginning shows."""
    if not is_sealed(path):
        return False
    try:
        with open_sealed(path, keys) as reader:
            reader.read(1)
    except ConfigurationError:
        return False
    return True


def size_of(path: Path) -> int:
    """The clear bytes of a file in either form."""
    size = path.stat().st_size
    return clear_size(size) if size >= HEAD_BYTES and is_sealed(path) else size


def seal_file(path: Path, keys: Keys) -> Path:
    """Write the encrypted form of a clear file beside it; returns where. It is on the disk after a flush."""
    with _plainly(path) as clear, _beside(path) as (sealed, at):
        writer = SealedWriter(sealed, keys)
        shutil.copyfileobj(clear, writer, _CHUNK)
        writer.end()
    return at


def open_file(path: Path, keys: Keys) -> Path:
    """Write the clear form of an encrypted file beside it, whole or not at all; returns where."""
    with open_sealed(path, keys) as reader, _beside(path) as (clear, at):
        shutil.copyfileobj(cast("BinaryIO", reader), clear, _CHUNK)
    return at


def reseal_file(path: Path, keys: Keys) -> Path | None:
    """Write a file anew under the first key beside it; None: it is under that key.

    Raises:
        ConfigurationError: no key opens it, or it is damaged.
    """
    with open_sealed(path, keys) as reader:
        if reader.is_newest:
            return None
        with _beside(path) as (sealed, at):
            writer = SealedWriter(sealed, keys)
            shutil.copyfileobj(cast("BinaryIO", reader), writer, _CHUNK)
            writer.end()
    return at


def unfinished_beside(path: Path) -> Path:
    """A name for a file that is to take the place of this one once it is whole."""
    return unfinished_in(path.parent)


def unfinished_in(folder: Path) -> Path:
    """A name for a file that is not whole yet."""
    return folder / f"{UNFINISHED}{secrets.token_hex(8)}"


def new_file(path: Path) -> BinaryIO:
    """Open a file that is not there yet for writing; only its owner can read it. It is locked until it is closed."""
    return cast("BinaryIO", open(path, "xb", opener=_privately))


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left unfinished in a folder, which may be missing; what is locked is being written.

    A link that a program put there is not followed.
    """
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            with os.scandir(opened) as found:
                names = [one.name for one in found if one.name.startswith(UNFINISHED)]
            for name in names:
                _remove_unless_locked(name, opened)
        finally:
            os.close(opened)


def _remove_unless_locked(name: str, folder: int) -> None:
    with suppress(OSError):  # it is locked, or no file
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=folder)
        finally:
            os.close(file)


@contextmanager
def _beside(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file with the rights and times of this one, which is removed again where the block fails."""
    at, told = unfinished_beside(path), path.lstat()
    try:
        with new_file(at) as file:
            yield file, at
        at.chmod(told.st_mode & 0o700 | 0o600)
        os.utime(at, ns=(told.st_atime_ns, told.st_mtime_ns))
    except OSError as error:
        at.unlink(missing_ok=True)
        raise ConfigurationError(f"{path} cannot be written anew: {error.strerror}.") from None
    except BaseException:
        at.unlink(missing_ok=True)
        raise


def _plainly(path: Path) -> BinaryIO:
    """Open a file for reading; a link or a pipe that a program put there is refused, and waits for nobody."""
    return cast("BinaryIO", open(path, "rb", opener=_without_links))


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _privately(path: str, flags: int) -> int:
    file = os.open(path, flags | os.O_NOFOLLOW, 0o600)
    with suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file
