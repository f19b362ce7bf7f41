"""The inbox's cursor: the files that were read, those that could not be, and the coverage of each account."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

from connectors.usaa.ledger import Ledger

VERSION = 1
READING = 3
"""Raised whenever more is taken out of a file than before."""
_MAX_GONE = 1000


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file that was looked at."""

    sha256: str
    account: str | None = None
    is_named: bool = True
    """Whether the account was told, by the document or its name, and not concluded from the files around it."""
    statement: str | None = None
    """The id of the statement that it is."""
    unread_by: str | None = None
    """For a file that could not be read: what was known then; with other knowledge it is read again."""
    reading: int = 1
    """The version of what is taken out of a file that was read; a file of an earlier one is read again."""
    period: str | None = None
    """First and last day of a statement, and its balances."""
    product: str | None = None
    """The name of the account as a statement prints it."""
    rival: str | None = None
    """For a statement that contradicts one that is held: the file of that one."""


@dataclass(slots=True)
class RowPosition:
    """The row of a long file up to which its records are committed."""

    sha256: str
    account: str
    row: int


@dataclass(slots=True)
class Cursor:
    """The position of the walk over the inbox."""

    files: dict[str, FileEntry] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    position: RowPosition | None = None
    gone: dict[str, str] = field(default_factory=dict)
    """SHA-256 of files that lie there no more to the account under which they were taken in."""
    history_days: int | None = None
    names: dict[str, str] = field(default_factory=dict)
    """Account to its name that was sent last."""

    def forget(self, names: Collection[str]) -> None:
        """Drop the files of these names, but not under which account their content is held."""
        for name in names:
            held = self.files.pop(name)
            if held.account is not None:
                self.gone[held.sha256] = held.account
        self.gone = dict(list(self.gone.items())[-_MAX_GONE:])

    def promise(self, days: int) -> None:
        """Lengthen the promise where the setting asks for more history than before."""
        if self.history_days is not None:
            self.ledger.lengthen(days - self.history_days)
        self.history_days = max(days, self.history_days or 0)

    @classmethod
    def load(cls, raw: Any) -> Cursor:
        """The cursor that was committed; an empty one when there is none of this form."""
        held = raw.get("inbox") if isinstance(raw, dict) else None
        if not isinstance(held, dict) or held.get("version") != VERSION:
            return cls()
        position = held.get("place")
        return cls(
            {name: FileEntry(**one) for name, one in held["files"].items()},
            Ledger.load(held["accounts"]),
            None if position is None else RowPosition(**position),
            dict(held.get("gone", {})),
            held.get("history_days"),
            dict(held.get("names", {})),
        )

    def dump(self) -> dict[str, Any]:
        """The cursor as it is committed."""
        return {
            "inbox": {
                "version": VERSION,
                "files": {name: asdict(one) for name, one in self.files.items()},
                "accounts": self.ledger.dump(),
                "place": None if self.position is None else asdict(self.position),
                "gone": self.gone,
                "history_days": self.history_days,
                "names": self.names,
            }
        }
