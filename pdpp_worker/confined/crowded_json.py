"""A bound on the values of a JSON document: each takes some hundred bytes of memory, and one byte of the document."""

from __future__ import annotations

MOST_VALUES = 2_000_000
"""Values of one document that are decoded."""
_FREE_BYTES = 4 * 1024 * 1024
_MARKS = (b"{", b"[", b",")


def is_crowded(raw: bytes) -> bool:
    """Whether a document has more values than memory can hold; a text full of commas counts as one with values."""
    return len(raw) > _FREE_BYTES and sum(map(raw.count, _MARKS)) > MOST_VALUES
