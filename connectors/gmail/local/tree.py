"""The files below a folder: those that hold mail, and those that do not."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, cast

from connectors.gmail.local.mbox import is_field
from pdpp_worker.connector import Member, Zip, open_zip

SNIFFED = 4096
"""Bytes by which a file is known."""
UNREADABLE = (OSError, zipfile.BadZipFile)
"""Failures of a file or of an archive that cannot be read."""

_INDEXES = re.compile(
    r"dovecot.*|maildirfolder|subscriptions|courier.*|maildirsize|table_of_contents|\.mh_sequences|\.uidvalidity"
    r"|\.DS_Store|Thumbs\.db|.*\.(?:msf|lock|toc|idx)",
    re.IGNORECASE,
)
_FOREIGN = frozenset({".pst", ".ost", ".msg", ".olm", ".dbx", ".emlx", ".tgz", ".tar", ".gz", ".7z", ".rar"})
_INDEX = "an index of a mail program, without mail"
_OTHER_FORM = "a form of mail that is not read here; export it as mbox or .eml, or unpack it"
_UNFINISHED = "deliveries that were not finished"


@dataclass(frozen=True)
class MailFile:
    """A file with one mail, or with many. `name` is relative to the folder; in an archive it is `a.zip!member`."""

    name: str
    kind: Literal["mbox", "mail"]
    size: int
    stamp: int
    path: Path
    member: str | None = None
    archive: Zip | None = field(default=None, compare=False, repr=False)
    """The archive, while it is open: to open it takes time for each of its members."""

    @property
    def order(self) -> list[str]:
        """The place of the file among all; files come in ascending order of it."""
        outer = self.name if self.member is None else self.name.removesuffix(f"!{self.member}")
        return [*outer.split("/"), *([] if self.member is None else [self.member])]

    @property
    def place(self) -> str:
        """The mailbox that the file stands for."""
        inner = PurePosixPath(self.name.rpartition("!")[2])
        if self.kind == "mbox":
            shown = inner.parent / inner.name.removesuffix(".mbox")
            return str(shown.parent if shown.name == "mbox" and shown.parent.name else shown)
        folder = inner.parent.parent if inner.parent.name in ("cur", "new") else inner.parent
        return folder.name.strip(".").replace(".", "/") if folder.name.startswith(".") else str(folder)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The file's bytes; raises one of `UNREADABLE`."""
        if self.member is None:
            with self.path.open("rb") as file:
                yield file
            return
        if self.archive is not None and self.archive.is_open:
            with self.archive.open(self.member) as file:
                yield cast(BinaryIO, file)
            return
        with open_zip(self.path) as archive, archive.open(self.member) as file:
            yield cast(BinaryIO, file)


@dataclass(frozen=True)
class OtherFile:
    """A file that is not read; `reason` is empty where this version has never heard of its kind."""

    name: str
    size: int
    reason: str = ""


@dataclass(frozen=True)
class Unreadable:
    """A file or a folder that cannot be looked at."""

    name: str
    error: str


Entry = MailFile | OtherFile | Unreadable


def entries(root: Path) -> Iterator[Entry]:
    """All files at or below a path, in the order of their names."""
    if root.is_dir():
        yield from _folder(root, "")
    else:
        yield from _file(root, root.name)


def _folder(folder: Path, prefix: str) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as scanned:
            inside = sorted(scanned, key=lambda one: one.name)
    except OSError as error:
        yield Unreadable(prefix.rstrip("/") or ".", error.strerror or type(error).__name__)
        return
    for one in inside:
        name = f"{prefix}{one.name}"
        if one.is_dir(follow_symlinks=False):
            yield from _folder(Path(one.path), f"{name}/")
        elif one.is_dir():
            yield OtherFile(name, 0, "a link to another folder")
        else:
            yield from _file(Path(one.path), name)


def _file(path: Path, name: str) -> Iterator[Entry]:
    try:
        stat = path.stat()
        if path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
            yield from _archive(path, name)
        elif (reason := _why_not(name, stat.st_size)) is not None:
            yield OtherFile(name, stat.st_size, reason)
        else:
            with path.open("rb") as file:
                kind = _kind(name, file.read(SNIFFED))
            known = MailFile(name, kind, stat.st_size, stat.st_mtime_ns, path) if kind else None
            yield known or OtherFile(name, stat.st_size)
    except UNREADABLE as error:
        yield Unreadable(name, _words(error))


def _archive(path: Path, name: str) -> Iterator[Entry]:
    with open_zip(path) as archive:
        for member in sorted(archive.members, key=lambda one: one.name):
            if not member.is_folder:
                yield _member(archive, member, path, f"{name}!{member.name}")


def _member(archive: Zip, member: Member, path: Path, name: str) -> Entry:
    if (reason := _why_not(name, member.size)) is not None:
        return OtherFile(name, member.size, reason)
    try:
        with archive.open(member.name) as file:
            kind = _kind(name, file.read(SNIFFED))
    except UNREADABLE as error:
        return Unreadable(name, _words(error))
    if kind is None:
        return OtherFile(name, member.size)
    return MailFile(name, kind, member.size, member.crc, path, member.name, archive)


def _why_not(name: str, size: int) -> str | None:
    """The reason to leave a file alone by its name; None: it has to be looked into."""
    inner = PurePosixPath(name.rpartition("!")[2])
    if _INDEXES.fullmatch(inner.name):
        return _INDEX
    if inner.suffix.lower() in _FOREIGN:
        return _OTHER_FORM
    if inner.parent.name == "tmp":
        return _UNFINISHED
    return None if size else "an empty file"


def _kind(name: str, begin: bytes) -> Literal["mbox", "mail"] | None:
    inner = PurePosixPath(name.rpartition("!")[2])
    if begin.lstrip(b"\r\n\t ").startswith(b"From ") or inner.suffix.lower() == ".mbox":
        return "mbox"
    if inner.suffix.lower() == ".eml" or inner.parent.name in ("cur", "new"):
        return "mail"
    return "mail" if inner.name.isdecimal() and is_field(begin) else None


def _words(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
