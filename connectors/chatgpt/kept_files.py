"""The bytes of files, copied from an export to the connection's own directory under their ids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Any

from connectors.chatgpt.file_rows import Held
from pdpp_worker.connector import Context, Start
from pdpp_worker.connector.lazily import lazy

if TYPE_CHECKING:
    from pdpp_worker.connector import FileStore

CHUNK_BYTES = 1 << 20
_FOLDER = "files"
_NAME = re.compile(r"(.+)-([0-9a-f]{64})")


class KeptFiles:
    """The files of one connection, each as `<id>-<SHA-256 of its bytes>`."""

    def __init__(self, store: FileStore) -> None:
        self._store = store

    def fields(self, key: str) -> dict[str, Any]:
        """The `path` of a file in the connection's directory, and its `sha256`; empty where its bytes are not here."""
        digest = self._digests.get(key)
        return {} if digest is None else {"path": _path(key, digest), "sha256": digest}

    def __contains__(self, key: object) -> bool:
        return key in self._digests

    def keep(self, key: str, source: IO[bytes]) -> None:
        """Copy the bytes of a file; they are on the disk when this returns.

        Raises:
            ConfigurationError: the directory cannot be written.
            OSError, zipfile.BadZipFile: the source cannot be read.
        """
        digest = sha256()
        with self._store.draft() as draft:
            for chunk in _chunks(source):
                digest.update(chunk)
                draft.write(chunk)
            draft.keep(_path(key, digest.hexdigest()), at_once=True)
        self._digests[key] = digest.hexdigest()

    @lazy
    def _digests(self) -> dict[str, str]:
        names = self._store.names(_FOLDER)
        return {found[1]: found[2] for name in names if (found := _NAME.fullmatch(name))}


def held_of(start: Start, context: Context) -> Held | None:
    """The bytes that are kept, for the stream `files`; None where it is not asked for."""
    return KeptFiles(context.stored).fields if start.wants("files") else None


def _path(key: str, digest: str) -> str:
    return f"{_FOLDER}/{key}-{digest}"


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_BYTES):
        yield chunk
