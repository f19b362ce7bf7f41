"""An account, as a source names it."""

from __future__ import annotations

from typing import NamedTuple


class Account(NamedTuple):
    """An account at a source."""

    identity: str
    label: str | None = None

    def __str__(self) -> str:
        """Its name as its owner knows it."""
        return self.identity if self.label in (None, self.identity) else f"{self.label} ({self.identity})"
