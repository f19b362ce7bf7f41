"""Filters of gaps as owners write them, checked."""

from __future__ import annotations

from collections.abc import Sequence

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.reasons import Reason, known_reason
from pdpp_worker.store.gaps.selection import GapFilter

__all__ = ["ALL", "GapFilter", "check_reason", "gap_filter"]

ALL = GapFilter()


def gap_filter(stream: str | None, reason: str | None, ids: Sequence[int] | None) -> GapFilter:
    """Make a filter of gaps; None is all.

    Raises:
        ConfigurationError: there is no such reason; names those that there are.
    """
    check_reason(reason)
    return GapFilter(stream, reason, ids or None)


def check_reason(reason: str | None) -> None:
    """Refuse a reason that is none.

    Raises:
        ConfigurationError: names those that there are.
    """
    if reason is not None and known_reason(reason) is None:
        raise ConfigurationError(f"{reason!r} is not a reason; known: {', '.join(one.value for one in Reason)}.")
