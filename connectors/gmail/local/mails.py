"""Mails of files, each under the one key that its bytes have wherever it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from connectors.gmail.fields import Headers
from connectors.gmail.local.client import LocalMail
from connectors.gmail.local.identity import Seal, seal
from connectors.gmail.local.mbox import LARGEST, Piece, is_field, pieces
from connectors.gmail.local.mime import is_unfinished, split
from connectors.gmail.local.registry import Registry
from connectors.gmail.local.told import Told, internal_date, told_by_mbox, told_by_name, without_added
from connectors.gmail.local.tree import MailFile
from connectors.gmail.rows import Box


@dataclass(frozen=True)
class FileMail:
    """A mail of a file, at the offset `at`."""

    file: MailFile
    at: int
    raw: bytes
    separator: bytes = b""
    end: int = 0
    problem: str = ""
    """The reason why it is a gap; empty when it was read."""
    is_cut: bool = False
    """Whether the file ends within it."""

    @property
    def message_id(self) -> str | None:
        """The mail's own id, by which it is known again in another file."""
        head, _ = split(self.raw)
        return next(iter(Headers(head).ids("MESSAGE-ID")), None)

    @property
    def gap_key(self) -> str:
        """The name of a mail that could not be read: where it lies."""
        return f"{self.file.name}@{self.at}"[-120:]

    @property
    def locator(self) -> dict[str, Any]:
        """The exact address."""
        return {
            "kind": "gmail.file",
            "file": self.file.name,
            "at": self.at,
            "message_id": self.message_id,
        }


def mails_of(file: MailFile, at: int = 0) -> Iterator[FileMail]:
    """The mails of a file from an offset on, memory for one at a time; raises what an unreadable file raises."""
    with file.opened() as stream:
        if file.kind == "mail":
            raw = stream.read(LARGEST + 1)
            problem = f"the mail is larger than {LARGEST} bytes" if len(raw) > LARGEST else ""
            lines = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            yield FileMail(file, 0, lines, end=file.size, problem=problem)
            return
        _go_to(stream, file, at)
        for piece in pieces(stream, at):
            yield _judged(file, piece)


def _go_to(stream: Any, file: MailFile, at: int) -> None:
    if file.member is None:
        stream.seek(at)
        return
    while at > 0 and (skipped := stream.read(min(at, 1 << 20))):
        at -= len(skipped)


def _judged(file: MailFile, piece: Piece) -> FileMail:
    is_cut = piece.is_last and (piece.is_open or is_unfinished(LocalMail(piece.raw).section))
    problem = "the file ends within this mail; copy it anew" if is_cut else ""
    if piece.is_too_large:
        problem, is_cut = f"the mail is larger than {LARGEST} bytes", False
    elif not piece.separator and not is_field(piece.raw):
        problem, is_cut = f"{piece.end - piece.at} bytes in which no mail begins", False
    return FileMail(file, piece.at, piece.raw, piece.separator, piece.end, problem, is_cut)


@dataclass(frozen=True)
class Known:
    """A mail whose key is known, as it is told."""

    key: str
    found: FileMail
    mail: LocalMail
    extra: dict[str, Any]


@dataclass(frozen=True)
class FileBox(Box):
    """Mails of files that are read together, by number."""

    mails: dict[int, Known] = field(default_factory=dict)

    def key(self, uid: int, gm: int) -> str:  # noqa: ARG002
        """The id of a mail."""
        return self.mails[uid].key

    def locator(self, uid: int, gm: int) -> dict[str, Any]:  # noqa: ARG002
        """The exact address of a mail."""
        return self.mails[uid].found.locator

    def facts(self, uid: int) -> dict[str, Any]:
        """The file, and the fields that it adds."""
        return self.mails[uid].extra


class Identified:
    """Finds the key of a mail and notes it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def known(self, found: FileMail) -> Known:
        """The mail under its key, with the labels of all places in which it lies."""
        raw, told = told_of(found)
        key = self._key(seal(raw), told.gm)
        places = self._registry.put(key, found.file.place)
        labels = told.labels if told.labels is not None else tuple(places)
        received = internal_date(found.separator, raw)
        extra: dict[str, Any] = {"file": found.file.name}
        extra |= {"fields_of_file": [list(one) for one in told.added]} if told.added else {}
        return Known(key, found, LocalMail(raw, received, told.flags, told.gm, told.thread, labels), extra)

    def _key(self, marks: Seal, gm: int) -> str:
        same = self._registry.find(marks)
        if same:
            key = same[0].key
        elif gm and not self._registry.is_another(str(gm), marks):
            key = str(gm)
        else:
            key = marks.key
        self._registry.note(key, marks, of_server=False)
        return key


def told_of(found: FileMail) -> tuple[bytes, Told]:
    """The mail as its sender sent it, and what the file tells beside it."""
    if found.file.kind == "mail":
        return found.raw, told_by_name(found.file.name)
    raw, added = without_added(found.raw)
    return raw, told_by_mbox(found.separator, added)
