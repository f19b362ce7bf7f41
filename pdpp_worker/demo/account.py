"""An account that a connector brings to the demonstration.

A connector takes part when its package has a module `practice.demo` that defines

    def open_account(directory: Path, *, is_first: bool) -> AbstractContextManager[DemoAccount]: ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class DemoAccount:
    """A connection to add, and the sentences that are shown about it."""

    introduction: str
    """Shown before the collection, after the connection's name."""
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    summary: Callable[[float], str] | None = None
    """From the seconds that the collection took to the sentence shown at its end, after the connection's name."""


class DemoFactory(Protocol):
    """The function `practice.demo.open_account` of a connector."""

    def __call__(self, directory: Path, *, is_first: bool) -> AbstractContextManager[DemoAccount]:
        """Open the account; it keeps in `directory` what has to outlive one demonstration.

        `is_first` is False when a demonstration ran before: then a day has passed for the account.
        """
        ...
