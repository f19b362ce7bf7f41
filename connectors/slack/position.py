"""The place in one conversation, as the cursor of messages keeps it.

last    the newest message when it was last walked; the next walk goes down to some days before it
top     the newest message when the walk under way began; mark: how far down it has come; began: in which run
threads parent to what it said of its replies when they were read ("count latest"), within the window
thread  the thread that is being read: its parent, and the place in its list
seen    message to what rode on it when last walked (attachments, then "emoji:user"), within the window; met: the
        same for the walk under way
doubts  message that was seen and not met again, to the run that said so first; said twice it is forgotten
hole    the span of messages that a walk could not read and that stands in a gap: oldest, latest
run     the run that has walked it to its end; failed: the run in which it last failed
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from connectors.slack.fields import micros, text, ts_of
from connectors.slack.rows import Obj
from pdpp_worker.connector.json_fields import table

BEGINNING = "0"

_DAY = 86_400 * 1_000_000


class Position:
    """One conversation's part of the cursor, `kept`; times are microseconds since 1970."""

    def __init__(self, kept: Obj, *, window: int, now: int, most_seen: int) -> None:
        self.kept = kept
        self._window = window
        self._until = now + _DAY
        self._most_seen = most_seen
        self.low = self._low_watermark()
        """Down to where a walk goes, exclusive; 0 is all the way."""

    def begin(self, run: str) -> bool:
        """Begin a walk, unless one is under way; returns whether it is this run's own."""
        if "mark" not in self.kept:
            self.kept["began"] = run
        return bool(self.kept.setdefault("began", run) == run)

    @property
    def mark(self) -> str | None:
        """How far down the walk under way has come."""
        return text(self.kept.get("mark"))

    def before(self, ts: str) -> list[Any] | None:
        """The things that rode on a message when it was last walked; None when it was not, or long ago."""
        found = table(self.kept.get("seen")).get(ts)
        return found if isinstance(found, list) and found else None

    def meet(self, ts: str, riders: list[Any]) -> None:
        """Note a message of the walk."""
        if "top" not in self.kept and (micros(ts) or 0) <= self._until:
            self.kept["top"] = ts
        if self.before(ts) is not None or self._is_young(ts):
            self.kept.setdefault("met", {})[ts] = riders

    def finish(self, run: str, *, has_floor: bool, hides: bool) -> list[str]:
        """End a walk that came to its end; returns the messages that were seen before and not met again.

        A walk that met nothing of what it looked for, and nothing older either, has proven nothing.
        `hides`: what lies below the last message that was met is only out of sight.
        """
        met, seen, doubts = table(self.kept.get("met")), table(self.kept.get("seen")), table(self.kept.get("doubts"))
        low = max(self.low, min(_times(met), default=self._until)) if hides else self.low
        is_proof = bool(met) or has_floor
        absent = [ts for ts in seen if ts not in met and (micros(ts) or 0) > low] if is_proof else []
        in_doubt = {ts: doubts.get(ts, run) for ts in absent if doubts.get(ts, run) == run}
        unmet = seen if not is_proof else {ts: seen[ts] for ts in in_doubt}
        self._move_up({**unmet, **met}, in_doubt if is_proof else doubts)
        return absent

    def give_up(self, *, is_open: bool) -> Obj:
        """End a walk that failed; returns the span that is missing, with any that was missing before.

        `is_open`: the failure may lie above the mark too.
        """
        span = {"oldest": ts_of(self.low) if self.low else BEGINNING}
        latest = None if is_open else self.mark
        span = _joined(span | ({"latest": latest} if latest else {}), table(self.kept.get("hole")))
        if self.mark is not None:
            # The next walk begins at the newest message again: the span is left to its gap.
            self.kept["hole"] = span
            self._move_up({**table(self.kept.get("seen")), **table(self.kept.get("met"))}, self.kept.get("doubts"))
        return span

    def _move_up(self, seen: Obj, doubts: Any) -> None:
        top = self.kept.pop("top", None)
        last = text(self.kept.get("last"))
        for name in ("mark", "began", "met", "thread"):
            self.kept.pop(name, None)
        if newest := max(filter(None, (top, last)), key=lambda ts: micros(ts) or 0, default=None):
            self.kept["last"] = newest
        doubts = table(doubts)
        young = sorted((ts for ts in seen if self._is_young(ts) or ts in doubts), key=lambda ts: -(micros(ts) or 0))
        self.kept["seen"] = {ts: seen[ts] for ts in young[: self._most_seen]}
        self.kept["doubts"] = {ts: run for ts, run in doubts.items() if ts in self.kept["seen"]}
        threads = table(self.kept.get("threads"))
        self.kept["threads"] = {ts: mark for ts, mark in threads.items() if self._is_young(ts)}
        for name in ("seen", "doubts", "threads"):
            if not self.kept[name]:
                del self.kept[name]

    def _low_watermark(self) -> int:
        last = micros(self.kept.get("last"))
        if last is None:
            return 0
        window = min(last, self._until) - self._window
        return max(0, min([window, *(time - 1 for time in _times(table(self.kept.get("doubts"))))]))

    def _is_young(self, ts: str) -> bool:
        """Whether the next walk will come by the message."""
        newest = max(micros(self.kept.get("top")) or 0, micros(self.kept.get("last")) or 0)
        return (micros(ts) or 0) > newest - self._window


def _joined(span: Obj, other: Obj) -> Obj:
    """The span from the older of two beginnings to the newer of two ends; without "latest" it has no end."""
    if not other:
        return span
    oldest = min(span["oldest"], text(other.get("oldest")) or BEGINNING, key=lambda ts: micros(ts) or 0)
    ends = [text(one.get("latest")) for one in (span, other)]
    latest = max((end for end in ends if end), key=lambda ts: micros(ts) or 0, default=None)
    return {"oldest": oldest, **({"latest": latest} if None not in ends and latest else {})}


def _times(messages: Iterable[str]) -> Iterator[int]:
    return (micros(ts) or 0 for ts in messages)
