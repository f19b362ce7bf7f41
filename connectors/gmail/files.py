"""Files that are too large for the store: kept on disk under the name of their content, and fetched in pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pdpp_worker.connector import ConfigurationError

if TYPE_CHECKING:
    from pdpp_worker.connector import FileStore

CHUNK = 1 << 20
"""Bytes held at once while a file is read."""
_PARTIAL = "partial"


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
    """The bytes of a download so far, a file for each piece that came; they outlive the slice and the worker."""

    def __init__(self, store: FileStore, name: str) -> None:
        self._store, self._path = store, f"{_PARTIAL}/{name}"
        if store.size(self._path) is not None:  # earlier versions wrote all pieces into one file
            store.move(self._path, self._piece(0))

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return sum(size for _, size in self._pieces())

    def put(self, offset: int, piece: bytes) -> None:
        """Add a piece; it has its offset in its name, so that two workers that write the same do no harm."""
        if piece:
            self._store.write(self._piece(offset), piece)

    def chunks(self) -> Iterator[bytes]:
        """The bytes, in order."""
        for path, _ in self._pieces():
            with self._store.open(path) as file:
                while chunk := file.read(CHUNK):
                    yield chunk

    def discard(self) -> None:
        """Forget it."""
        for path, _ in list(self._pieces()):
            self._store.remove(path)

    def _pieces(self) -> Iterator[tuple[str, int]]:
        """The pieces that follow each other from the beginning, and the size of each."""
        offset = 0
        while size := self._store.size(path := self._piece(offset)):
            yield path, size
            offset += size

    def _piece(self, offset: int) -> str:
        return f"{self._path}-{offset}"


class Files:
    """The files of one connection."""

    def __init__(self, store: FileStore) -> None:
        self._store = store

    def partial(self, name: str) -> Partial:
        """The download of that name, begun or not."""
        return Partial(self._store, hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest())

    def check_room(self, size: int) -> None:
        """Refuse so many bytes more where there is no room; raises StorageFull."""
        self._store.check_room(size)

    def keep(self, chunks: Iterator[bytes]) -> Stored:
        """Store a file under the SHA-256 of its content; it is on the disk after the next `flush`."""
        digest, size = hashlib.sha256(), 0
        with self._store.draft() as draft:
            for chunk in chunks:
                digest.update(chunk)
                draft.write(chunk)
                size += len(chunk)
            path = _path_of(digest.hexdigest())
            draft.keep(path)
        return Stored(digest.hexdigest(), size, path)

    def put(self, content: bytes) -> Stored:
        """Store a small file; it is on the disk after the next `flush`."""
        digest = hashlib.sha256(content).hexdigest()
        path = _path_of(digest)
        if not self._holds(path, content):
            self._store.write(path, content)
        return Stored(digest, len(content), path)

    def flush(self) -> None:
        """Bring to the disk what was kept, before a record names it: all at once, not a wait for each file."""
        self._store.flush()

    def head(self, stored: Stored, size: int) -> bytes:
        """The first bytes of a file."""
        return self._store.read(stored.path, size)

    def _holds(self, path: str, content: bytes) -> bool:
        """Whether a file is there and whole; one that is damaged is written anew."""
        try:
            return self._store.size(path) == len(content) and self._store.read(path) == content
        except ConfigurationError:
            return False


def _path_of(digest: str) -> str:
    return f"{digest[:2]}/{digest}"
