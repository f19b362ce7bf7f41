"""Write transcripts as Claude Code does, and run the connector over them under the runtime's own rules."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from connectors.claude_code.connector import collect
from pdpp_worker.connector import (
    Budget,
    DetailCoverage,
    DetailGap,
    GapToClose,
    Message,
    Record,
    ResourceScope,
    SkipResult,
    State,
)
from pdpp_worker.protocol.manifest import Manifest, load_manifest
from pdpp_worker.runtime.handler import MessageHandler
from tests.support.connectors import context, start

MAIN = ("sessions", "messages", "attachments")
A = "aaaaaaaa-1111-4222-8333-444444444444"
B = "bbbbbbbb-1111-4222-8333-444444444444"
PROJECT = "-home-owner-site"


@cache
def manifest() -> Manifest:
    """The connector's manifest."""
    return load_manifest(Path(__file__).parents[3] / "connectors" / "claude_code" / "manifest.json")


def at(second: int) -> str:
    """A time on one day, in the tool's own form."""
    return f"2026-03-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000Z"


def said(uuid: str, text: Any = "hello", *, session: str = A, second: int = 0, **more: Any) -> dict[str, Any]:
    """A user line."""
    return {
        "type": "user",
        "uuid": uuid,
        "parentUuid": None,
        "sessionId": session,
        "timestamp": at(second),
        "cwd": "/home/owner/site",
        "gitBranch": "main",
        "version": "2.0.1",
        "isSidechain": False,
        "message": {"role": "user", "content": text},
        **more,
    }


def encoded(*lines: dict[str, Any] | bytes) -> bytes:
    """Lines as they stand in a file."""
    return b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)


def write(path: Path, *lines: dict[str, Any] | bytes, append: bool = False) -> Path:
    """Write or append lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab" if append else "wb") as file:
        file.write(encoded(*lines))
    return path


@dataclass
class Outcome:
    """The messages of a run."""

    sent: list[Message] = field(default_factory=list)
    before: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> dict[str, Any]:
        """The cursors after it."""
        return {**self.before, **{m.stream: m.cursor for m in self.sent if isinstance(m, State)}}

    @property
    def records(self) -> list[Record]:
        """Every record, in order."""
        return [m for m in self.sent if isinstance(m, Record)]

    def ids(self, stream: str) -> list[str]:
        """The keys of a stream's records, in order."""
        return [str(r.key) for r in self.records if r.stream == stream]

    @property
    def gaps(self) -> list[DetailGap]:
        """The gaps it opened or tried in vain."""
        return [m for m in self.sent if isinstance(m, DetailGap)]

    @property
    def skips(self) -> list[SkipResult]:
        """The streams it skipped."""
        return [m for m in self.sent if isinstance(m, SkipResult)]

    @property
    def closed(self) -> set[tuple[str, str]]:
        """Stream and key of each detail it says was read."""
        covered = [m for m in self.sent if isinstance(m, DetailCoverage)]
        return {(m.stream, key) for m in covered for key in m.hydrated_keys}


@dataclass
class Held:
    """The store after some runs: a partial record is laid over the one that is there."""

    data: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def take(self, messages: Sequence[Message]) -> Held:
        """Store the records of these messages."""
        for message in messages:
            if isinstance(message, Record):
                stream = self.data.setdefault(message.stream, {})
                before = stream.get(str(message.key), {}) if message.partial else {}
                stream[str(message.key)] = before | message.data
        return self

    def __getitem__(self, stream: str) -> dict[str, dict[str, Any]]:
        return self.data.get(stream, {})


def stream_messages(
    root: Path,
    state: Mapping[str, Any] | None = None,
    streams: Sequence[str] = MAIN,
    *,
    gaps: Sequence[GapToClose] = (),
    recovery_only: bool = False,
    budget: Budget | None = None,
    **settings: Any,
) -> Iterator[Message]:
    """The connector's messages as they come; each passes the runtime's handler, which refuses a violation."""
    request = start(streams, state, gaps=gaps, recovery_only=recovery_only, budget=budget)
    handler = MessageHandler(manifest(), request, lambda text: text)
    given = context(
        {"projects_dir": str(root), "claude_dir": str(root.parent), "include": "", "exclude": ""} | settings
    )
    for message in collect(request, given):
        handler.handle(message)
        assert not handler.checkpoints.errors
        assert not handler.pending.take().rejections
        yield message


def run(root: Path, state: Mapping[str, Any] | None = None, streams: Sequence[str] = MAIN, **more: Any) -> Outcome:
    """One whole run."""
    return Outcome(list(stream_messages(root, state, streams, **more)), state or {})


def to_close(gap: DetailGap, gap_id: str = "7") -> GapToClose:
    """A gap as START hands it back."""
    scope = ResourceScope(resource_id=gap.record_key)
    return GapToClose(
        gap_id=gap_id, stream=gap.stream, scope=scope, reason=gap.reason, detail_locator=gap.detail_locator
    )


def uuids(outcome: Outcome) -> list[str]:
    """The uuids of the messages, in order."""
    return [key.rsplit("#", 1)[1] for key in outcome.ids("messages")]
