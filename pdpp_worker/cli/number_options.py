"""Bounds of the numbers that commands take, so that none goes further than the command line."""

from __future__ import annotations

import math

import typer

MOST = 1_000_000_000
"""Largest count that an option takes."""
MAX_ID = 2**63 - 1
"""Largest number that a row can have."""
YEAR_S = 365 * 86_400.0


def finite(value: float | None) -> float | None:
    """Refuse what is no number: it passes every comparison with a bound.

    Raises:
        typer.BadParameter: it is none.
    """
    if value is not None and math.isnan(value):
        raise typer.BadParameter("it is no number.")
    return value
