"""The UIDs that a server tells as ranges in its answer to SEARCH (ESEARCH, RFC 4731)."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ANSWER = re.compile(rb'\(TAG "([^"]*)"\) UID(?: ALL ([\d:,]+))?', re.IGNORECASE)
_RANGE = re.compile(rb"(\d{1,10})(?::(\d{1,10}))?")


def uids_told(answers: Sequence[bytes], tag: bytes, asked: range, most: int) -> list[int] | None:
    """The UIDs of the one answer to the command of this tag, ascending; `asked` are those that were asked for.

    None where it is none, or tells more than `most`: a few bytes may tell four thousand million.
    """
    found = _ANSWER.fullmatch(answers[0]) if len(answers) == 1 and isinstance(answers[0], bytes) else None
    if found is None or found[1] != tag:
        return None
    return _expanded(found[2], asked, most) if found[2] else []


def _expanded(told: bytes, asked: range, most: int) -> list[int] | None:
    """The numbers of the ranges, if these ascend within what was asked for."""
    if told.count(b",") >= most:
        return None
    uids: list[int] = []
    after = asked.start - 1
    for part in told.split(b","):
        if (found := _RANGE.fullmatch(part)) is None:
            return None
        first, last = int(found[1]), int(found[2] or found[1])
        if not after < first <= last < asked.stop or len(uids) + last - first >= most:
            return None
        uids += range(first, last + 1)
        after = last
    return uids
