"""The record of every request: what a test or a benchmark judges a client by."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REFUSALS_WINDOW_S = 60.0


class AnchoredClock:
    """Unix seconds that never go back: the wall clock, read once, plus the monotonic clock since."""

    def __init__(self) -> None:
        self._origin_ns = time.time_ns() - time.monotonic_ns()

    def __call__(self) -> float:
        """Unix seconds."""
        return self.at(time.monotonic_ns())

    def at(self, monotonic_ns: int) -> float:
        """The Unix seconds of a monotonic instant, to the microsecond."""
        return (self._origin_ns + monotonic_ns) // 1000 / 1e6


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that has just come in: its number and when (Unix s; monotonic ns)."""

    n: int
    at: float
    monotonic_ns: int


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One line of the log. `path` has the query with it; `retry_after` is the header as sent."""

    n: int
    at: float
    monotonic_ns: int
    method: str
    path: str
    kind: str
    conversation_id: str | None
    status: int
    decision: str
    retry_after: str | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class Stats:
    """The log in figures."""

    requests: int
    by_status: dict[int, int]
    by_kind: dict[str, int]
    details_by_id: dict[str, int]
    smallest_gap_s: float | None
    """Between two arrivals, whatever they asked for."""
    most_refusals_in_60_s: int
    """429 answers, penalties included."""
    flags: int
    """Penalties that began."""


class Journal:
    """Numbers the arrivals, keeps the entries and appends each to a file at once."""

    def __init__(self, path: Path | None, clock: AnchoredClock) -> None:
        self._clock = clock
        self._entries: list[LoggedRequest] = []
        self._file = path.open("a", encoding="utf-8") if path else None
        self._arrivals = 0
        self._last_ns: int | None = None
        self._smallest_gap_ns: int | None = None
        self._refused_at: deque[float] = deque()
        self._most_refusals = 0

    def arrive(self) -> Arrival:
        """Take down that a request has come in, now."""
        now = time.monotonic_ns()
        if self._last_ns is not None:
            gap = now - self._last_ns
            self._smallest_gap_ns = gap if self._smallest_gap_ns is None else min(gap, self._smallest_gap_ns)
        self._last_ns = now
        self._arrivals += 1
        return Arrival(self._arrivals, self._clock.at(now), now)

    def write(self, entry: LoggedRequest) -> None:
        """Keep an entry; it is in the file when this returns."""
        self._entries.append(entry)
        if entry.status == 429:
            self._count_refusal(entry.at)
        if self._file:
            self._file.write(json.dumps(asdict(entry)) + "\n")
            self._file.flush()

    def since(self, n: int) -> list[LoggedRequest]:
        """The entries after number `n`, in order."""
        return self._entries[max(0, n) :]

    def stats(self) -> Stats:
        """The log in figures."""
        entries = self._entries
        return Stats(
            requests=len(entries),
            by_status=dict(Counter(entry.status for entry in entries)),
            by_kind=dict(Counter(entry.kind for entry in entries)),
            details_by_id=dict(Counter(e.conversation_id for e in entries if e.conversation_id is not None)),
            smallest_gap_s=None if self._smallest_gap_ns is None else self._smallest_gap_ns / 1e9,
            most_refusals_in_60_s=self._most_refusals,
            flags=sum(entry.decision == "flagged" for entry in entries),
        )

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def _count_refusal(self, at: float) -> None:
        self._refused_at.append(at)
        while at - self._refused_at[0] >= REFUSALS_WINDOW_S:
            self._refused_at.popleft()
        self._most_refusals = max(self._most_refusals, len(self._refused_at))


def request_from_json(row: dict[str, Any]) -> LoggedRequest:
    """An entry from a line of the log."""
    return LoggedRequest(**row)


def stats_from_json(row: dict[str, Any]) -> Stats:
    """Figures from their JSON form, whose keys are all text."""
    by_status = {int(status): count for status, count in row["by_status"].items()}
    return Stats(**{**row, "by_status": by_status})
