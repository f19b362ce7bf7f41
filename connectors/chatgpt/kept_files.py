"""The bytes of files, copied from an export to the connection's own directory under their ids."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from connectors.chatgpt.file_rows import Held
from pdpp_worker.connector import ConfigurationError, Context, Start
from pdpp_worker.connector.lazily import lazy

CHUNK_BYTES = 1 << 20
_NAME = re.compile(r"(.+)-([0-9a-f]{64})")


class KeptFiles:
    """The files of one connection, each as `<id>-<SHA-256 of its bytes>`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._directory = root / "files"

    def fields(self, key: str) -> dict[str, Any]:
        """The `path` of a file in the connection's directory, and its `sha256`; empty where its bytes are not here."""
        digest = self._digests.get(key)
        return {} if digest is None else {"path": f"files/{key}-{digest}", "sha256": digest}

    def __contains__(self, key: object) -> bool:
        return key in self._digests

    def keep(self, key: str, source: IO[bytes]) -> None:
        """Copy the bytes of a file; they are on the disk when this returns.

        Raises:
            ConfigurationError: the directory cannot be written.
            OSError, zipfile.BadZipFile: the source cannot be read.
        """
        draft = self._directory / f"{key}.new"
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = draft.open("wb")
        except OSError as error:
            raise ConfigurationError(f"Files cannot be kept in {self._root}: {error.strerror}.") from None
        digest = sha256()
        with file:
            for chunk in _chunks(source):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._directory / f"{key}-{digest.hexdigest()}")
        self._digests[key] = digest.hexdigest()

    @lazy
    def _digests(self) -> dict[str, str]:
        paths = self._directory.iterdir() if self._directory.is_dir() else ()
        return {found[1]: found[2] for path in paths if (found := _NAME.fullmatch(path.name))}


def held_of(start: Start, context: Context) -> Held | None:
    """The bytes that are kept, for the stream `files`; None where it is not asked for."""
    return KeptFiles(context.files).fields if start.wants("files") else None


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_BYTES):
        yield chunk
