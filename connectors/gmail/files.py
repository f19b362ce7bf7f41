"""Files that are too large for the store: kept on disk under the name of their content, and fetched in pieces."""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pdpp_worker.connector import ConfigurationError

CHUNK = 1 << 20
"""Bytes held at once while a file is read."""


@dataclass(frozen=True)
class Stored:
    """A file that is kept; `path` is relative to the connection's directory."""

    sha256: str
    size_bytes: int
    path: str

    def as_json(self) -> dict[str, Any]:
        """The file as a record tells of it."""
        return asdict(self)


class Partial:
    """The bytes of a download so far, as they came; they outlive the slice and the worker."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def size(self) -> int:
        """Bytes that are there."""
        with _writable(self._path.parent):
            return self._path.stat().st_size if self._path.exists() else 0

    def put(self, offset: int, piece: bytes) -> None:
        """Add a piece; written at its offset, so that two workers that write the same do no harm."""
        with _writable(self._path.parent), self._path.open("r+b" if self._path.exists() else "wb") as file:
            file.seek(offset)
            file.write(piece)

    def chunks(self) -> Iterator[bytes]:
        """The bytes, in order."""
        with self._path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def discard(self) -> None:
        """Forget it."""
        self._path.unlink(missing_ok=True)


class Files:
    """The files of one connection."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: set[str] = set()
        self._is_flushed = True

    def partial(self, name: str) -> Partial:
        """The download of that name, begun or not."""
        with _writable(self._root):
            self._make("partial")
        return Partial(self._root / "partial" / hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest())

    def keep(self, chunks: Iterator[bytes]) -> Stored:
        """Store a file under the SHA-256 of its content; it is on the disk after the next `flush`."""
        with _writable(self._root):
            self._make("partial")
            unnamed = self._root / "partial" / f"unnamed-{os.getpid()}-{id(chunks)}"
            try:
                digest, size = _write(unnamed, chunks)
                path = self._path_of(digest)
                unnamed.replace(self._root / path)
                self._is_flushed = False
            finally:
                unnamed.unlink(missing_ok=True)
        return Stored(digest, size, path)

    def put(self, content: bytes) -> Stored:
        """Store a small file; it is on the disk after the next `flush`."""
        digest = hashlib.sha256(content).hexdigest()
        with _writable(self._root):
            path = self._path_of(digest)
            final = self._root / path
            if not final.exists() or final.read_bytes() != content:
                unnamed = final.with_name(f"unnamed-{os.getpid()}-{id(content)}")
                unnamed.write_bytes(content)
                unnamed.replace(final)
                self._is_flushed = False
        return Stored(digest, len(content), path)

    def flush(self) -> None:
        """Bring to the disk what was kept, before a record names it: all at once, not a wait for each file."""
        if not self._is_flushed:
            with _writable(self._root):
                _to_disk(self._root)
            self._is_flushed = True

    def head(self, stored: Stored, size: int) -> bytes:
        """The first bytes of a file."""
        with _writable(self._root), (self._root / stored.path).open("rb") as file:
            return file.read(size)

    def _path_of(self, digest: str) -> str:
        self._make(digest[:2])
        return f"{digest[:2]}/{digest}"

    def _make(self, folder: str) -> None:
        if folder not in self._folders:
            (self._root / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folders.add(folder)


def _write(path: Path, chunks: Iterator[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            size += file.write(chunk)
    return digest.hexdigest(), size


def _to_disk(directory: Path) -> None:
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


@contextmanager
def _writable(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"Files cannot be kept in {directory}: {error.strerror}.") from None
