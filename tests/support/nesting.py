"""Data that is nested deeper than readers and databases expect."""

from __future__ import annotations

from typing import Any


def nested(depth: int, leaf: Any = "leaf") -> Any:
    """A list in a list in a list."""
    for _ in range(depth):
        leaf = [leaf]
    return leaf
