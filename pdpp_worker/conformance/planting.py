"""Things that a practice account can plant in what its provider sends, to see whether a connector says so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Plant(StrEnum):
    """Something that no version of a connector has heard of, or that cannot be true."""

    FIELD = "an unknown field"
    """Items have a field more than the provider ever sent."""
    MEMBER = "an unknown member"
    """The source has a list, file, table or kind of item that no version knows; several of one kind are better."""
    TOTAL = "a contradicting total"
    """The provider's own count, flag or name of a child says that there is more than it gives."""
    TWIN = "a repeated id"
    """Two items of different contents have one id."""


@dataclass(frozen=True)
class Planted:
    """The thing that was planted.

    `marks` are ASCII texts that stand nowhere else in the account: the values of the fields, one for each kind of item;
    the names of the members; a text of each of the two items. `streams` are those that it concerns. `count` is the
    number of members, where they are of one kind.
    """

    marks: tuple[str, ...] = ()
    streams: frozenset[str] = frozenset()
    count: int | None = None


@dataclass(frozen=True)
class Counted:
    """A field of a parent's records that counts its children, which name it by their field `by`."""

    parent: str
    field: str
    child: str
    by: str
