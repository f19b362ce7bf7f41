"""What the inbox's cursor holds: which files were read and which could not be, and what each account is covered by."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from connectors.usaa.ledger import Ledger

VERSION = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was looked at."""

    sha256: str
    account: str | None = None
    is_named: bool = True
    """Whether the account was told, by the document or its name, and not concluded from the files around it."""
    statement: str | None = None
    """The id of the statement that it is."""
    unread_by: str | None = None
    """For a file that could not be read: what was known then; with other knowledge it is read again."""


@dataclass(slots=True)
class Place:
    """How far into a long file the committed records go."""

    sha256: str
    account: str
    row: int


@dataclass(slots=True)
class Cursor:
    """The place of the walk over the inbox."""

    files: dict[str, Entry] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    place: Place | None = None

    @classmethod
    def load(cls, raw: Any) -> Cursor:
        """The cursor that was committed; an empty one when there is none of this form."""
        held = raw.get("inbox") if isinstance(raw, dict) else None
        if not isinstance(held, dict) or held.get("version") != VERSION:
            return cls()
        place = held.get("place")
        return cls(
            {name: Entry(**one) for name, one in held["files"].items()},
            Ledger.load(held["accounts"]),
            None if place is None else Place(**place),
        )

    def dump(self) -> dict[str, Any]:
        """The cursor as it is committed."""
        return {
            "inbox": {
                "version": VERSION,
                "files": {name: asdict(one) for name, one in self.files.items()},
                "accounts": self.ledger.dump(),
                "place": None if self.place is None else asdict(self.place),
            }
        }
