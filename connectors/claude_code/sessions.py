"""Sessions: sums over the transcripts that hold lines of them.

A session's counts and times are sums over what each file holds of it, so they are right however the files are cut into
runs. Its description (directory, branch, version …) is that of its earliest message: the pass that reads that message
sends the whole record, every later pass sends only counts and times, to be laid over it.
"""

from __future__ import annotations

from typing import Any

from connectors.claude_code.cursor import Share
from connectors.claude_code.shapes import LineOrigin, Obj, is_message, iso_time, milliseconds

_DESCRIPTION = (
    ("cwd", "cwd"),
    ("gitBranch", "git_branch"),
    ("version", "version"),
    ("userType", "user_type"),
    ("entrypoint", "entrypoint"),
)


class Sessions:
    """Every session's shares, and which of them have changed since they were last sent."""

    def __init__(self) -> None:
        self._shares: dict[str, dict[str, Share]] = {}
        self._described: dict[str, tuple[int, Obj]] = {}
        self._changed: dict[str, None] = {}

    def hold(self, file: str, shares: dict[str, Share]) -> None:
        """Take over what a file gave in earlier runs."""
        for session, share in shares.items():
            self._shares.setdefault(session, {})[file] = share

    def forget(self, file: str, shares: dict[str, Share]) -> None:
        """Take back what a file gave: it is read anew."""
        for session in shares:
            self._shares.get(session, {}).pop(file, None)
            self._changed[session] = None

    def touch(self, session: str) -> None:
        """Send a session again."""
        self._changed[session] = None

    def fold(self, file: str, shares: dict[str, Share], line: Obj, origin: LineOrigin, *, is_copy: bool) -> None:
        """Add one line to its session; a copy of a line is the same record and is not counted."""
        session = origin.session_of(line)
        share = shares.get(session)
        if share is None:
            share = shares[session] = self._shares.setdefault(session, {})[file] = Share()
        self._changed[session] = None
        ms = milliseconds(line.get("timestamp"))
        if ms is not None:
            share.last_ms = ms if share.last_ms is None else max(ms, share.last_ms)
        if is_message(line):
            share.messages += not is_copy
            if ms is not None and (share.first_ms is None or ms < share.first_ms):
                share.first_ms = ms
                self._describe(session, ms, line, origin)

    def take_changed(self) -> list[tuple[Obj, bool]]:
        """The records of the sessions that changed, and whether each is only a part of its record."""
        rows = [self._row(session) for session in self._changed if self._shares.get(session)]
        self._changed, self._described = {}, {}
        return rows

    def _describe(self, session: str, ms: int, line: Obj, origin: LineOrigin) -> None:
        known = self._described.get(session)
        if known is not None and known[0] <= ms:
            return
        description: dict[str, Any] = {"project_path": origin.file.split("/", 1)[0]}
        for name, field in _DESCRIPTION:
            value = line.get(name)
            description[field] = value if isinstance(value, str) else None
        self._described[session] = (ms, description)

    def _row(self, session: str) -> tuple[Obj, bool]:
        shares = self._shares[session].values()
        first = min((share.first_ms for share in shares if share.first_ms is not None), default=None)
        last = max((share.last_ms for share in shares if share.last_ms is not None), default=None)
        row: Obj = {
            "id": session,
            "started_at": iso_time(first),
            "last_event_at": iso_time(last),
            "message_count": sum(share.messages for share in shares),
        }
        ms, description = self._described.get(session, (None, {}))
        if ms is None or ms != first:
            return row, True
        return row | description, False
