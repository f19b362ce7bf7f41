"""How many records one walk may delete because it did not find them; a pure decision."""

from __future__ import annotations

MOST_UNASKED = 20
"""Deletions that never wait: an owner who tidies up deletes so many between two walks, and can look them up."""
SHARE = 0.1
"""Share of a stream from which a source that hides its items is likelier than an owner who deleted them."""


def waits_for_owner(absent: int, held: int) -> bool:
    """Whether `absent` deletions, of a stream of which `held` records are here, wait for the owner's word."""
    return absent > MOST_UNASKED and absent >= SHARE * held
