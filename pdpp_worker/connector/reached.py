"""The answer of a connector's `check`: whose account it met, and what is there. Nothing of it is collected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pdpp_worker.connector.author_context import Context
from pdpp_worker.protocol.messages import SourceAccount


@dataclass(frozen=True)
class Reached:
    """The account and the parts that a check met."""

    account: SourceAccount | None = None
    """Whose it is, where the source tells."""
    holds: Mapping[str, int | None] = field(default_factory=dict)
    """Name of a part in the plural, such as "mailboxes", to how many there are; None: the source does not say."""
    remark: str = ""
    """A sentence about what the first run will need or make, if any."""


Check = Callable[[Context], Reached]
"""Tries credentials and settings with as few requests as tell whether they work, at most a handful.

Raises ProviderError or ConfigurationError where they do not, in words for the owner.
"""
