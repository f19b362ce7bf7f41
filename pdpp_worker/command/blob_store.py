"""Files that a command uploads, by the hash of their content, in its connection's directory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pdpp_worker.stored_files.file_forms import remove_unfinished
from pdpp_worker.stored_files.file_store import FileStore

FOLDER = "attachments"
"""Within the connection's files."""
BLOB_BYTES = 2 * 1024**3
"""Largest blob."""
_OPEN_FILES = Path("/proc/self/fd")


class TooLargeError(Exception):
    """A blob is larger than is kept."""


class Blob(NamedTuple):
    """A stored blob."""

    sha256: str
    size: int

    @property
    def blob_id(self) -> str:
        """The same for the same content."""
        return f"blob_{self.sha256}"


class BlobStore:
    """Keeps blobs among the files of a connection. The same content is kept once."""

    def __init__(self, files: FileStore, *, blob_bytes: int = BLOB_BYTES) -> None:
        self._files = files
        self._folder = files.root / FOLDER
        self._blob_bytes = blob_bytes
        remove_unfinished(self._folder)

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Write into the very directory that is there now inside the block, also where a link is put in its place.

        Raises:
            OSError: a link is in its place already.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        usual, held = self._folder, os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        if _OPEN_FILES.is_dir():
            self._folder = _OPEN_FILES / str(held)
        try:
            yield
        finally:
            self._folder = usual
            os.close(held)

    def add(self, chunks: Iterable[bytes]) -> Blob:
        """Store a blob.

        Raises:
            TooLargeError: it is larger than is kept; nothing is kept of it.
            StorageFull: there is no room for it; nothing is kept of it.
            ConfigurationError: it cannot be written.
            OSError: its chunks cannot be read.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with self._files.at(self._folder).draft() as draft:
            for chunk in chunks:
                size += len(chunk)
                if size > self._blob_bytes:
                    raise TooLargeError(f"a blob of more than {self._blob_bytes} bytes is not kept")
                digest.update(chunk)
                draft.write(chunk)
            blob = Blob(digest.hexdigest(), size)
            draft.keep(f"{blob.sha256[:2]}/{blob.sha256}", at_once=True)
        return blob
