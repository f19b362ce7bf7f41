"""The coverage of each account: periods that documents cover, against the history promised.

A period is half open, `[since, until)`. The promise begins a fixed number of days before an account was first met and
does not move from then on, so that a missing window keeps its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, NamedTuple

DAY = timedelta(days=1)
_BRIDGE = timedelta(days=31)
"""Longest hole between two documents that equal balances on both sides prove to be empty."""


class Span(NamedTuple):
    """A period that a document covers, and the balances before and after it, cents, where it tells them."""

    since: date
    until: date
    opening: int | None = None
    closing: int | None = None
    is_open: bool = False
    """Whether its last day may go on behind it: only a balance behind it proves that nothing followed."""

    @property
    def end(self) -> date:
        """The first day that it does not cover whole."""
        return self.until - DAY if self.is_open else self.until


class Window(NamedTuple):
    """A period of which nothing is held."""

    since: date
    until: date


@dataclass(slots=True)
class Account:
    """The coverage of one account."""

    promised: date
    spans: list[Span] = field(default_factory=list)
    missing: list[Window] = field(default_factory=list)
    """Windows for which a gap was reported."""
    kind: str | None = None
    """The kind of account, where a document told it."""

    def cover(self, span: Span) -> None:
        """Add what a document covers; overlapping spans become one, and adjacent ones whose balances agree."""
        if span.until <= span.since:
            return
        merged: list[Span] = []
        for one in sorted([*self.spans, span], key=lambda each: (each.since, each.until)):
            if merged and _meet(merged[-1], one) and not _contradict(merged[-1], one):
                merged[-1] = _joined(merged[-1], one)
            else:
                merged.append(one)
        self.spans = merged

    def withdraw(self, gone: Span) -> None:
        """Take back what a document covered that is of another account."""
        kept: list[Span] = []
        for one in self.spans:
            if one.until <= gone.since or one.since >= gone.until:
                kept.append(one)
                continue
            if one.since < gone.since:
                kept.append(Span(one.since, gone.since, one.opening))
            if one.until > gone.until:
                kept.append(Span(gone.until, one.until, None, one.closing, one.is_open))
        self.spans = kept

    @property
    def through(self) -> date | None:
        """The first day after everything covered."""
        return self.spans[-1].end if self.spans else None

    def holes(self) -> list[Window]:
        """The promised periods that no document covers, up to the last covered day.

        Where the balance after one document is not the balance before the next, the two days at this border count.
        """
        found: list[Window] = []
        at: Span | None = None
        for span in self.spans:
            since = self.promised if at is None else max(at.end, self.promised)
            if at is not None and _contradict(at, span):
                found.append(Window(max(span.since - DAY, self.promised), span.since + DAY))
            elif span.since > since and not _is_bridged(at, span):
                found.append(Window(since, span.since))
            at = span
        return found

    def left_of(self, window: Window) -> list[Window]:
        """The parts of a window that are still missing."""
        cut = (Window(max(one.since, window.since), min(one.until, window.until)) for one in self.holes())
        return [one for one in cut if one.since < one.until]


@dataclass(slots=True)
class Ledger:
    """The coverage of all accounts of a connection."""

    accounts: dict[str, Account] = field(default_factory=dict)

    def account(self, key: str, promised: date) -> Account:
        """The account of that id; a new one is promised from the given day on."""
        return self.accounts.setdefault(key, Account(promised))

    def period(self) -> tuple[str, str] | None:
        """The period up to which every account is covered but for its holes, ISO 8601; None before any is."""
        covered = [(one.promised, one.through) for one in self.accounts.values() if one.through is not None]
        if not covered:
            return None
        since, until = min(first for first, _ in covered), min(last for _, last in covered)
        return (f"{since}T00:00:00Z", f"{until}T00:00:00Z") if since < until else None

    def lengthen(self, days: int) -> None:
        """Promise so many more days of history for every account."""
        for one in self.accounts.values():
            one.promised -= max(days, 0) * DAY

    @classmethod
    def load(cls, raw: Any) -> Ledger:
        """The ledger that a cursor holds; an empty one when it holds none."""
        held = raw if isinstance(raw, dict) else {}
        return cls({key: _account(one) for key, one in held.items()})

    def dump(self) -> dict[str, Any]:
        """The ledger as a cursor holds it."""
        return {
            key: {
                "promised": one.promised.isoformat(),
                "spans": [[each.since.isoformat(), each.until.isoformat(), *each[2:]] for each in one.spans],
                "missing": [[each.since.isoformat(), each.until.isoformat()] for each in one.missing],
                **({} if one.kind is None else {"kind": one.kind}),
            }
            for key, one in self.accounts.items()
        }


def _account(raw: dict[str, Any]) -> Account:
    return Account(
        date.fromisoformat(raw["promised"]),
        [Span(*_days(one[:2]), *one[2:]) for one in raw["spans"]],
        [Window(*_days(one)) for one in raw["missing"]],
        raw.get("kind"),
    )


def _days(texts: Iterable[str]) -> tuple[date, date]:
    since, until = (date.fromisoformat(text) for text in texts)
    return since, until


def _joined(one: Span, other: Span) -> Span:
    last = max(one, other, key=lambda each: each.until)
    opening = one.opening if one.opening is not None or other.since > one.since else other.opening
    closing = last.closing
    if closing is None and one.until == other.until:
        closing = one.closing
    return Span(
        one.since, last.until, opening, closing, all(each.is_open for each in (one, other) if each.until == last.until)
    )


def _meet(one: Span, other: Span) -> bool:
    """Whether a document begins before the one before it ends, or right where that is over."""
    return other.since < one.until or (other.since == one.until and (not one.is_open or _is_bridged(one, other)))


def _is_bridged(before: Span | None, after: Span) -> bool:
    """Balances of zero are those of any empty account, and prove nothing."""
    if before is None or not before.closing or after.opening is None:
        return False
    return before.closing == after.opening and after.since - before.until <= _BRIDGE


def _contradict(before: Span, after: Span) -> bool:
    """Whether two adjacent documents tell different balances between them."""
    is_told = before.closing is not None and after.opening is not None
    return is_told and before.until == after.since and before.closing != after.opening
