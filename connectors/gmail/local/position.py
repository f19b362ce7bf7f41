"""The place in the files: how far each mbox was read, and a checksum of the single mails by group of names."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import PurePosixPath
from typing import Any

from connectors.gmail.local.tree import MailFile

GROUPS = 256
"""Groups of single mails: where one file of a group is new or changed, the whole group is read again."""
TAIL = 64
"""Bytes before a place by which an mbox is known again."""
_DIGITS = 16


@dataclass
class MboxPlace:
    """How far an mbox was read."""

    size: int = -1
    stamp: int = 0
    at: int = 0
    tail: str = ""
    count: int = 0
    """Mails before the place."""
    is_done: bool = False

    def stands(self, file: MailFile) -> bool:
        """Whether the file was read to its end, and is still the same."""
        return self.is_done and (self.size, self.stamp) == (file.size, file.stamp)


@dataclass
class FilesPosition:
    """The progress through all files."""

    account: str = ""
    """The identity of the owner of the files, where no server tells it."""
    mboxes: dict[str, MboxPlace] = field(default_factory=dict)
    groups: list[int] = field(default_factory=lambda: [0] * GROUPS)
    """The checksums of the groups that were read."""
    aim: list[int] = field(default_factory=list)
    """The checksums at the beginning of a pass that is not at its end; it came to the file `after`."""
    after: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> FilesPosition:
        """Read what `as_json` wrote."""
        return cls(
            account=value["account"],
            mboxes={name: MboxPlace(**place) for name, place in value["mboxes"].items()},
            groups=_numbers(value["groups"]) or [0] * GROUPS,
            aim=_numbers(value["aim"]),
            after=value["after"],
            labels=value["labels"],
        )

    def as_json(self) -> dict[str, Any]:
        """The position as JSON carries it."""
        return {
            "account": self.account,
            "mboxes": {name: vars(place).copy() for name, place in self.mboxes.items()},
            "groups": _digits(self.groups) if any(self.groups) else "",
            "aim": _digits(self.aim),
            "after": self.after,
            "labels": self.labels,
        }


def group_of(file: MailFile) -> int:
    """The group of a single mail: a Maildir's flags are no part of it, and neither is new or cur."""
    inner = PurePosixPath(file.name)
    stem = inner.name.partition(":2,")[0]
    return blake2b(stem.encode("utf-8", "surrogatepass"), digest_size=1).digest()[0]


def checksum_of(file: MailFile) -> int:
    """A checksum of a single mail's name, size and time; those of a group are joined by XOR."""
    told = f"{file.name}\0{file.size}\0{file.stamp}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(told, digest_size=8).digest(), "big")


def tail_of(before: bytes) -> str:
    """The digest of the bytes before a place."""
    return blake2b(before[-TAIL:], digest_size=8).hexdigest() if before else ""


def _digits(numbers: list[int]) -> str:
    return "".join(f"{one:0{_DIGITS}x}" for one in numbers)


def _numbers(digits: str) -> list[int]:
    return [int(digits[at : at + _DIGITS], 16) for at in range(0, len(digits), _DIGITS)]
