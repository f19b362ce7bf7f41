"""A wait that is no interval: an instant, and the reason that an owner is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hold:
    """A pause until `until` (s, the clock of the rate model); `reason` is a short phrase for owners."""

    until: float
    reason: str


def longest(holds: Iterable[Hold | None], now: float) -> Hold | None:
    """The one that ends last of those in force at `now`."""
    in_force = [one for one in holds if one is not None and one.until > now]
    return max(in_force, key=lambda one: one.until, default=None)
