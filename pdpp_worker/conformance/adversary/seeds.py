"""The seeds of a check: how many in the short form, and how they are named."""

from __future__ import annotations

from pdpp_worker.errors import ConfigurationError

SHORT = range(10)
"""Seeds of the adversary in the short form."""


def named(text: str) -> range:
    """The seeds of a number of them, or of FIRST-LAST.

    Raises:
        ConfigurationError: the text names none.
    """
    first, dash, last = text.partition("-")
    try:
        chosen = range(int(first), int(last) + 1) if dash else range(int(first))
    except ValueError:
        chosen = range(0)
    if not chosen:
        raise ConfigurationError(f"{text!r} names no seeds; say a number of them, such as 200, or FIRST-LAST.")
    return chosen
