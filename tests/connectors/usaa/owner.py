"""An owner with an inbox: runs the connector under the runtime's own rules and keeps what a store would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from connectors.usaa.connector import collect_with
from connectors.usaa.documents.templates import TEMPLATES, Template
from pdpp_worker.connector import (
    Context,
    DetailCoverage,
    DetailGap,
    DetailGapRecovered,
    GapToClose,
    Message,
    Record,
    ResourceScope,
    SkipResult,
    State,
)
from pdpp_worker.protocol.manifest import load_manifest
from pdpp_worker.protocol.scope import scope_key
from pdpp_worker.runtime.handler import MessageHandler
from tests.support.connectors import context, start

MANIFEST = load_manifest(Path(__file__).parents[3] / "connectors" / "usaa" / "manifest.json")
_numbers = count(1)
NOW = datetime(2026, 2, 20, 12, tzinfo=UTC)


@dataclass
class Owner:
    """One connection, run after run."""

    settings: Mapping[str, Any]
    now: datetime = NOW
    templates: Sequence[Template] = TEMPLATES
    state: dict[str, Any] = field(default_factory=dict)
    gaps: dict[tuple[str, str], GapToClose] = field(default_factory=dict)
    """Open gaps by stream and scope."""
    data: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def context(self) -> Context:
        """The context of the next run."""
        settings = {"history_days": 510, "base_url": "http://127.0.0.1:1", **self.settings}
        return replace(context(settings), now=lambda: self.now)

    def run(self, *, cut: int | None = None, recovery_only: bool = False, assigned: bool = True) -> list[Message]:
        """A slice, cut after some messages if asked; every message has to pass the handler."""
        streams = [stream.name for stream in MANIFEST.supplied_to(self.settings)]
        gaps = list(self.gaps.values()) if assigned else []
        request = start(streams, self.state, gaps=gaps, recovery_only=recovery_only)
        handler = MessageHandler(MANIFEST, request, lambda text: text)
        sent: list[Message] = []
        messages = partial(collect_with, self.templates)(request, self.context())
        for message in messages:
            handler.handle(message)
            sent.append(message)
            self._hold(message)
            if len(sent) == cut:
                break
        assert handler.batch.rejections == []
        assert handler.checkpoints.errors == {}
        return sent

    def held(self, stream: str) -> list[dict[str, Any]]:
        """The records of a stream, by date where they have one."""
        return sorted(self.data.get(stream, {}).values(), key=lambda one: (one.get("date", ""), one["id"]))

    def missing(self) -> list[tuple[str, Any]]:
        """Reason and scope of each open gap."""
        return [(gap.reason, gap.scope.model_dump(exclude_none=True)) for gap in self.gaps.values()]

    def reasons(self) -> list[str]:
        """The reasons of the open gaps about documents; periods are left out."""
        return sorted(gap.reason for gap in self.gaps.values() if gap.reason != "range_shortened")

    def _hold(self, message: Message) -> None:
        match message:
            case Record(op="delete"):
                self.data.get(message.stream, {}).pop(str(message.key), None)
            case Record():
                rows = self.data.setdefault(message.stream, {})
                before = rows.get(str(message.key), {}) if message.partial else {}
                rows[str(message.key)] = {**before, **message.data}
            case State():
                self.state[message.stream] = message.cursor
            case DetailCoverage():
                for key in message.hydrated_keys:
                    self.gaps.pop((message.stream, scope_key(ResourceScope(resource_id=key))), None)
            case DetailGapRecovered():
                self.gaps = {key: gap for key, gap in self.gaps.items() if gap.gap_id != message.gap_id}
            case DetailGap() | SkipResult():
                self._open(message)
            case _:
                pass

    def _open(self, message: DetailGap | SkipResult) -> None:
        assigned = next((one for one in self.gaps.values() if one.gap_id == getattr(message, "gap_id", None)), None)
        scope = assigned.scope if assigned is not None else message.scope
        assert scope is not None
        key = (message.stream, scope_key(scope))
        locator = message.detail_locator if isinstance(message, DetailGap) else None
        gap_id = assigned.gap_id if assigned is not None else str(next(_numbers))
        self.gaps[key] = GapToClose(
            gap_id=gap_id, stream=message.stream, scope=scope, reason=message.reason, detail_locator=locator
        )


def transactions(owner: Owner) -> list[tuple[str, int, str]]:
    """Date, cents and text of each transaction held."""
    return [(one["date"], one["amount"], one["original_description"]) for one in owner.held("transactions")]


def last_errors(sent: Sequence[Message]) -> list[str]:
    """The errors in the gaps of a run."""
    return [one.last_error or "" for one in sent if isinstance(one, DetailGap)]


def emitted(sent: Sequence[Message]) -> list[Record]:
    """The records of a run."""
    return [one for one in sent if isinstance(one, Record)]
