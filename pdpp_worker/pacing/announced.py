"""A limit as an answer announces it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Announced:
    """One limit: what is left of it, and when it begins anew."""

    remaining: int
    """Requests left until the reset."""
    reset_s: float
    """Seconds from the answer until the window begins anew."""
    limit: int | None = None
    """Requests a window, where told."""
    window_s: float | None = None
    """The window's length, s, where told."""
