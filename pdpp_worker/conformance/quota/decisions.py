"""Answers of a quota to one request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The decision on one request."""

    UNCHARGED = "uncharged"
    ADMITTED = "admitted"
    REFUSED = "refused"
    FLAGGED = "flagged"
    """Refused, and the last straw: the penalty begins."""
    BOXED = "boxed"
    """Refused because of a penalty."""

    @property
    def refuses(self) -> bool:
        """Whether the request is answered with 429."""
        return self in (Verdict.REFUSED, Verdict.FLAGGED, Verdict.BOXED)


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, and after a refusal the seconds until the same request would be admitted."""

    verdict: Verdict
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Left:
    """An announced limit: requests left until the reset, and s until it."""

    remaining: int
    reset_s: float


ADMITTED = Decision(Verdict.ADMITTED)
UNCHARGED = Decision(Verdict.UNCHARGED)


def refused(wait_s: float) -> Decision:
    """A refusal; the same request would be admitted after `wait_s`."""
    return Decision(Verdict.REFUSED, wait_s)
