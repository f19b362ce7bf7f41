"""The inbox: which files lie in it and what they are, told by their content. Nothing in it is ever changed."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from connectors.usaa.documents.export import account_in, looks_like_export
from connectors.usaa.documents.money_files import reader_of

MAX_BYTES = 32 * 1024 * 1024
"""Longest file that is read; a statement or export of one account is far shorter."""

_PDF = b"%PDF-"
_HEAD_BYTES = 1024

Kind = Literal["statement", "export"]

_ARRIVING = re.compile(r".*\.(part|partial|crdownload|download|tmp|opdownload)", re.IGNORECASE)
_IGNORED = re.compile(r"\..*|~\$.*|thumbs\.db|desktop\.ini", re.IGNORECASE)
_DIGITS = re.compile(r"(?<!\d)(?!(?:19|20)\d\d(?!\d))\d{4}(?!\d)")
_NOT_OURS = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet; put the unpacked files or a CSV export here"),
    (b"\x1f\x8b", "a compressed file; put the unpacked file here"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet; put a CSV export here"),
    (b"\x89PNG", "a picture; put the PDF itself here"),
    (b"\xff\xd8\xff", "a picture; put the PDF itself here"),
)


class UnreadableFileError(Exception):
    """A file that cannot be taken in as it is; says why, without content."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the inbox; `name` is its path below the inbox."""

    name: str
    path: Path

    @property
    def folder(self) -> str:
        """The folder below the inbox that it lies in; empty for the inbox itself."""
        folder = str(PurePosixPath(self.name).parent)
        return "" if folder == "." else folder

    @property
    def account(self) -> str | None:
        """The last four digits of an account, where the folder or a masked number in the file's name tells them."""
        digits = _DIGITS.findall(self.folder)
        return digits[-1] if digits else account_in(PurePosixPath(self.name).stem.replace("_", " "))


@dataclass(frozen=True, slots=True)
class Content:
    """A file that was read: what it is, its bytes, and their SHA-256."""

    kind: Kind
    data: bytes
    sha256: str


def scan(root: Path) -> list[Found]:
    """Every file below the inbox, by name. Links to directories are not followed; hidden files are not looked at.

    Raises:
        OSError: a directory cannot be listed.
    """
    return sorted(_below(root, ""), key=lambda found: found.name)


def read(found: Found) -> Content:
    """Read a file and tell what it is.

    Raises:
        UnreadableFileError: it is none that can be taken in, or not yet.
    """
    data = _bytes(found)
    return Content(_kind(found, data), data, hashlib.sha256(data).hexdigest())


def is_pdf(found: Found) -> bool:
    """Whether a file begins as a PDF does."""
    try:
        if not found.path.is_file():
            return False
        with found.path.open("rb") as file:
            return _PDF in file.read(_HEAD_BYTES)
    except OSError:
        return False


def fingerprint(found: Found) -> str | None:
    """The SHA-256 of a file; None when it cannot be read."""
    try:
        if not found.path.is_file():
            return None
        with found.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def ignored_in(root: Path) -> int:
    """How many files the inbox holds that are never looked at."""
    found = 0
    for _, below, names in os.walk(root):
        below[:] = [name for name in below if not _IGNORED.fullmatch(name)]
        found += sum(1 for name in names if _IGNORED.fullmatch(name))
    return found


def size_of(found: Found) -> int:
    """The length of a file, bytes; 0 when it cannot be told."""
    try:
        return found.path.stat().st_size
    except OSError:
        return 0


def _below(root: Path, folder: str) -> Iterator[Found]:
    with os.scandir(root / folder) as entries:
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if _IGNORED.fullmatch(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _below(root, name)
            elif not entry.is_dir():
                yield Found(printable(name), root / name)


def printable(name: str) -> str:
    """A name as text that can be stored; bytes that are none stay readable as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _bytes(found: Found) -> bytes:
    try:
        status = found.path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableFileError("not a file")
        if status.st_size > MAX_BYTES:
            raise UnreadableFileError(f"longer than {MAX_BYTES} bytes")
        with found.path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableFileError(error.strerror or type(error).__name__) from None


def _kind(found: Found, data: bytes) -> Kind:
    if _ARRIVING.fullmatch(found.name):
        raise UnreadableFileError("its name says that it is still being downloaded")
    if not data.strip():
        raise UnreadableFileError("empty")
    if _PDF in data[:_HEAD_BYTES]:
        return "statement"
    for magic, why in _NOT_OURS:
        if data.startswith(magic):
            raise UnreadableFileError(why)
    if re.match(rb"(\xef\xbb\xbf)?\s*(<!doctype html|<html|<head|<body)", data[:_HEAD_BYTES], re.IGNORECASE):
        raise UnreadableFileError("a web page, not the document; download it again while signed in")
    if looks_like_export(data) or reader_of(data) is not None:
        return "export"
    raise UnreadableFileError("neither a PDF, nor a CSV with a date and an amount column, nor OFX, QFX or QIF")
