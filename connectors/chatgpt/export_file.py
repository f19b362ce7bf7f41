"""An export as its owner has it: the zip, the folder that was unpacked from it, or its conversations.json alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from connectors.chatgpt.jsonbytes import BrokenJsonError, decode
from pdpp_worker.connector import Zip, open_zip
from pdpp_worker.connector.json_fields import table

ACCOUNT_MEMBER = "user.json"
SMALL_BYTES = 1 << 20
"""A member about the account that is larger is something else."""


class Export(Protocol):
    """The members of an export, by name."""

    def names(self) -> list[str]:
        """The names of all members, in their order."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """A member's bytes. Raises OSError, or the error of a broken zip."""
        ...

    def size(self, name: str) -> int:
        """The number of a member's bytes. Raises OSError."""
        ...

    def signs(self) -> list[Any]:
        """Signs of the content: others for a changed export."""
        ...


@contextmanager
def open_export(path: Path) -> Iterator[Export]:
    """The export at `path`.

    Raises:
        OSError: it is not there or cannot be read.
        zipfile.BadZipFile: it is none.
    """
    if path.is_dir():
        yield _Folder(path)
    elif _begins_as_json(path):
        yield _Bare(path)
    else:
        with open_zip(path) as archive:
            yield _Zip(path, archive)


def fingerprint_of(export: Export, streams: Sequence[str]) -> str:
    """Another export, a changed one, or other streams to take from it: another fingerprint."""
    return hashlib.sha256(json.dumps([*export.signs(), sorted(streams)]).encode()).hexdigest()


def account_of(export: Export) -> dict[str, Any]:
    """The account as the export describes it; empty where it does not."""
    for name in export.names():
        if name.rpartition("/")[2] == ACCOUNT_MEMBER:
            with export.open(name) as member:
                return _object(member.read(SMALL_BYTES))
    return {}


class _Zip:
    def __init__(self, path: Path, archive: Zip) -> None:
        self._path, self._archive = path, archive

    def names(self) -> list[str]:
        return [one.name for one in self._archive.members]

    def open(self, name: str) -> IO[bytes]:
        return self._archive.open(name)

    def size(self, name: str) -> int:
        return self._archive.named(name).size

    def signs(self) -> list[Any]:
        contents = [(one.name, one.crc, one.size, one.offset) for one in self._archive.members]
        return [*_signs(self._path), contents]


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        files = (file for file in self._path.rglob("*") if file.is_file())
        return sorted(file.relative_to(self._path).as_posix() for file in files)

    def open(self, name: str) -> IO[bytes]:
        return (self._path / name).open("rb")

    def size(self, name: str) -> int:
        return (self._path / name).stat().st_size

    def signs(self) -> list[Any]:
        return [[name, *_signs(self._path / name)] for name in self.names()]


class _Bare:
    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        return ["conversations.json"]

    def open(self, name: str) -> IO[bytes]:  # noqa: ARG002 - there is one
        return self._path.open("rb")

    def size(self, name: str) -> int:  # noqa: ARG002 - there is one
        return self._path.stat().st_size

    def signs(self) -> list[Any]:
        return _signs(self._path)


def _signs(path: Path) -> list[Any]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _begins_as_json(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{")


def _object(raw: bytes) -> dict[str, Any]:
    try:
        return table(decode(raw))
    except BrokenJsonError:
        return {}
