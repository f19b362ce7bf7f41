"""The requests of one slice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class RequestCounts:
    """Counted by the pacer, read by the limits of the slice."""

    sent: int = 0
    """Requests that went out, retries and redirects included."""
    answered: int = 0
    """Requests that were answered, and neither refused nor failed."""
