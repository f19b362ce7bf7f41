"""Files that are too large for the store: kept on disk under the name of their content, and fetched in pieces."""

from __future__ import annotations

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
        self._is_flushed = True

    def partial(self, name: str) -> Partial:
        """The download of that name, begun or not."""
        folder = self._root / "partial"
        with _writable(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Partial(folder / hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest())

    def keep(self, chunks: Iterator[bytes]) -> Stored:
        """Store a file under the SHA-256 of its content; it is on the disk when this returns."""
        with _writable(self._root):
            unnamed = self._root / "partial" / f"unnamed-{os.getpid()}-{id(chunks)}"
            unnamed.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                digest, size = _write(unnamed, chunks)
                path = f"{digest[:2]}/{digest}"
                self._name(unnamed, self._root / path)
            finally:
                unnamed.unlink(missing_ok=True)
        return Stored(digest, size, path)

    def put(self, content: bytes) -> Stored:
        """Store a small file; it is on the disk after the next `flush`."""
        digest = hashlib.sha256(content).hexdigest()
        path = f"{digest[:2]}/{digest}"
        final = self._root / path
        with _writable(self._root):
            if not final.exists() or final.read_bytes() != content:
                final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                unnamed = final.with_name(f"unnamed-{os.getpid()}-{id(content)}")
                unnamed.write_bytes(content)
                unnamed.replace(final)
                self._is_flushed = False
        return Stored(digest, len(content), path)

    def flush(self) -> None:
        """Bring to the disk what was put: all at once, since each file by itself takes ten times as long."""
        if not self._is_flushed:
            os.sync()
            self._is_flushed = True

    def head(self, stored: Stored, size: int) -> bytes:
        """The first bytes of a file."""
        with _writable(self._root), (self._root / stored.path).open("rb") as file:
            return file.read(size)

    def _name(self, unnamed: Path, final: Path) -> None:
        final.parent.mkdir(mode=0o700, exist_ok=True)
        unnamed.replace(final)
        for directory in (final.parent, self._root):
            _to_disk(directory)


def _write(path: Path, chunks: Iterator[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            size += file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def _to_disk(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _writable(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"Files cannot be kept in {directory}: {error.strerror}.") from None
