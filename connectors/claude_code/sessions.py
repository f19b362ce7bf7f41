"""Sessions: sums over the transcripts that hold lines of them.

A session's counts, times and models are sums over what each file holds of it, so they are right however the files are
cut into runs. Its description (directory, branch, version …) is that of its earliest message, its titles are the latest
of each kind. The first pass that meets a session sends the whole record, every later one what has changed, to be laid
over it.
"""

from __future__ import annotations

from typing import Any

from connectors.claude_code.cursor import Share
from connectors.claude_code.repeats import Good
from connectors.claude_code.shapes import LineOrigin, Obj, iso_time, milliseconds
from connectors.claude_code.titles import Title
from connectors.claude_code.usage import NOT_FROM_THE_API

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
        self._titles: dict[str, Obj] = {}
        self._known: set[str] = set()
        self._changed: dict[str, None] = {}

    def hold(self, file: str, shares: dict[str, Share]) -> None:
        """Take over what a file gave in earlier runs."""
        for session, share in shares.items():
            self._shares.setdefault(session, {})[file] = share
            self._known.add(session)

    def forget(self, file: str, shares: dict[str, Share]) -> None:
        """Take back what a file gave: it is read anew."""
        for session in shares:
            self._shares.get(session, {}).pop(file, None)
            self._changed[session] = None

    def touch(self, session: str) -> None:
        """Send a session again."""
        self._changed[session] = None

    def fold(self, file: str, shares: dict[str, Share], good: Good, origin: LineOrigin) -> None:
        """Add one line to its session; a copy of a line is the same record and is not counted."""
        line = good.line
        session = origin.session_of(line)
        share = shares.get(session) or self._add_share(file, shares, session)
        self._changed[session] = None
        ms = milliseconds(line.get("timestamp"))
        if ms is not None and (share.last_ms is None or ms > share.last_ms):
            share.last_ms = ms
        if good.is_turn:
            share.messages += not good.is_copy
            if ms is not None and (share.first_ms is None or ms < share.first_ms):
                share.first_ms = ms
                self._describe(session, ms, line, origin)
            body = line.get("message")
            model = body.get("model") if isinstance(body, dict) else None
            if isinstance(model, str) and model not in share.models and model != NOT_FROM_THE_API:
                share.models.add(model)

    def name(self, file: str, shares: dict[str, Share], title: Title, session: str) -> None:
        """Take in a title; the session is called by the latest one of the best kind."""
        share = shares.get(session) or self._add_share(file, shares, session)
        titles = self._titles.setdefault(session, {})
        titles[title.field] = title.text
        if title.rank >= max(one.rank for one in self._shares[session].values()):
            titles["title"] = title.text
        share.rank = max(share.rank, title.rank)

    def _add_share(self, file: str, shares: dict[str, Share], session: str) -> Share:
        share = shares[session] = self._shares.setdefault(session, {})[file] = Share()
        return share

    def take_changed(self) -> list[tuple[Obj, bool]]:
        """The records of the sessions that changed, and whether each is only a part of its record."""
        rows = [self._row(session) for session in self._changed if self._shares.get(session)]
        self._known.update(self._changed)
        self._changed, self._described, self._titles = {}, {}, {}
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
            **self._titles.get(session, {}),
        }
        models = set[str]().union(*(share.models for share in shares))
        if models:
            row["models"] = sorted(models)
        ms, description = self._described.get(session, (None, {}))
        if ms is not None and ms == first:
            row |= description
        return row, session in self._known
